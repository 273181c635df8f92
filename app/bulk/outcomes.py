"""What became of a photo, as it is kept: what a ZIP needs to know of its avatar, and JSON. Then sealed."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import FieldProblem, InternalError, InvalidSpec, RibbonsError
from app.render.framing import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.errors import Param


_HEAD = struct.Struct("<QIHB")


class Entry(NamedTuple):
    """An avatar as a file in a ZIP.

    Attributes:
        name: With its folders.
        size: Its bytes.
        crc: Its CRC-32.
        token: Of the object that holds it. Each who draws a photo has one of their own: two may draw one at
            once, on machines whose pictures differ in a bit.
    """

    name: str
    size: int
    crc: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a photo.

    Attributes:
        error: Why there is no avatar; None where there is one.
        framing: Which square of the photo the avatar shows, and how it was chosen.
        seconds: That drawing it took.
        entry: The avatar, as a file in a ZIP; None where there is none.
    """

    error: RibbonsError | None = None
    framing: Choice | None = None
    seconds: float | None = None
    entry: Entry | None = None


def pack(outcome: Outcome) -> bytes:
    """Write an outcome down."""
    values = {
        "error": pack_error(outcome.error) if outcome.error else None,
        "framing": outcome.framing,
        "seconds": outcome.seconds,
    }
    entry = outcome.entry or Entry("", 0, 0)
    name, token = entry.name.encode(), entry.token.encode()
    head = _HEAD.pack(entry.size, entry.crc, len(name), len(token)) + name + token
    return head + json.dumps(values, ensure_ascii=False).encode()


def unpack(packed: bytes) -> Outcome:
    """Read what :func:`pack` has written."""
    entry = unpack_entry(packed)
    values = json.loads(packed[_HEAD.size + len(entry.name.encode()) + len(entry.token) :])
    return Outcome(
        error=unpack_error(values["error"]) if values["error"] else None,
        framing=Choice(*values["framing"]) if values["framing"] else None,
        seconds=values["seconds"],
        entry=entry if entry.name else None,
    )


def unpack_entry(packed: bytes) -> Entry:
    """Read what a ZIP needs to know, and no more: of 50,000 avatars before its first byte is sent."""
    size, crc, name, token = _HEAD.unpack_from(packed)
    middle = _HEAD.size + name
    return Entry(packed[_HEAD.size : middle].decode(), size, crc, packed[middle : middle + token].decode())


def pack_error(error: RibbonsError) -> dict[str, Any]:
    """Return an error as JSON has it."""
    if isinstance(error, InvalidSpec):
        return {"code": error.code, "problems": [[p.field, p.kind, dict(p.params)] for p in error.problems]}
    return {"code": error.code, "params": error.params}


def unpack_error(values: dict[str, Any]) -> RibbonsError:
    """Return the error that :func:`pack_error` has written."""
    if values["code"] == InvalidSpec.code:
        problems = [
            FieldProblem.of(field, kind, **_params(params)) for field, kind, params in values["problems"]
        ]
        return InvalidSpec(problems)
    # One that a newer version has written, and this one does not know.
    kind = _KINDS.get(values["code"], InternalError)
    return kind(**_params(values["params"]))


def _params(params: dict[str, Any]) -> dict[str, Param]:
    """JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}


def _kinds(root: type[RibbonsError]) -> Iterator[type[RibbonsError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)


_KINDS = {kind.code: kind for kind in _kinds(RibbonsError) if hasattr(kind, "code")}
