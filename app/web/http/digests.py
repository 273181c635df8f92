"""``Content-Digest`` (RFC 9530): whether what arrived is what was sent."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Self

from app.errors import DigestMismatch, MalformedRequest

if TYPE_CHECKING:
    from starlette.requests import Request

HEADER = "Content-Digest"

# Those that RFC 9530 calls active. Others may stand beside them, and are left to whoever knows them.
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}

# A dictionary of structured fields (RFC 9651) whose values are bytes.
_MEMBER = re.compile(r"[ \t]*([a-z0-9*_.-]{1,32})=:([A-Za-z0-9+/]*={0,2}):[ \t]*")


class ContentDigest:
    """What a body's digest has to be, by each algorithm that was named; often by none.

    Args:
        wanted: Digests, by their algorithms.
    """

    def __init__(self, wanted: dict[str, bytes]) -> None:
        self._wanted = wanted
        self._found = {name: hashlib.new(_ALGORITHMS[name]) for name in wanted}

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the header.

        Raises:
            MalformedRequest: It cannot be read.
        """
        header = ",".join(request.headers.getlist(HEADER))
        members = [_MEMBER.fullmatch(member) for member in header.split(",")] if header.strip() else []
        wanted = {}
        for member in members:
            if member is None:
                raise MalformedRequest.in_field(HEADER)
            if member[1] in _ALGORITHMS:
                wanted[member[1]] = _decoded(member[2])
        return cls(wanted)

    def update(self, chunk: bytes) -> None:
        """Take more of the body in."""
        for found in self._found.values():
            found.update(chunk)

    def check(self) -> None:
        """Compare, when all of it has come.

        Raises:
            DigestMismatch: Something else has come than was sent.
        """
        if any(found.digest() != self._wanted[name] for name, found in self._found.items()):
            raise DigestMismatch


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise MalformedRequest.in_field(HEADER) from None
