"""Parts of a long answer (RFC 9110, 14): which bytes are asked for, and whether of what was there before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from app.errors import RangeNotSatisfiable

if TYPE_CHECKING:
    from starlette.datastructures import Headers

# One range. Several would need an answer in parts, which nobody who goes on with a download asks for.
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})[ \t]*-[ \t]*(\d{0,18})[ \t]*", re.IGNORECASE | re.ASCII)


class Part(NamedTuple):
    """Which bytes of a whole are sent.

    Attributes:
        start: Of the first one.
        stop: Behind the last one.
        length: Of the whole.
        is_whole: Whether all of it was asked for, and not a part that is all of it.
    """

    start: int
    stop: int
    length: int
    is_whole: bool

    @property
    def status(self) -> int:
        """The answer's status."""
        return 200 if self.is_whole else 206

    @property
    def headers(self) -> dict[str, str]:
        """What says which bytes they are."""
        told = {"Accept-Ranges": "bytes", "Content-Length": str(self.stop - self.start)}
        if not self.is_whole:
            told["Content-Range"] = f"bytes {self.start}-{self.stop - 1}/{self.length}"
        return told


def part_asked_for(headers: Headers, length: int, tag: str) -> Part:
    """Return which bytes of a whole a request wants.

    What is no single range of bytes is not looked at, and neither is one of another whole (``If-Range``).

    Args:
        headers: The request's.
        length: Of the whole.
        tag: The whole's strong ETag.

    Raises:
        RangeNotSatisfiable: None of it is in the whole.
    """
    whole = Part(0, length, length, is_whole=True)
    asked = _RANGE.fullmatch(headers.get("range", ""))
    if asked is None or headers.get("if-range", tag).strip() != tag:
        return whole
    first, last = asked.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, length) if last else length
        if last and int(last) < int(first):
            return whole
    elif last:
        start, stop = max(length - int(last), 0), length
    else:
        return whole
    if start >= length:
        raise RangeNotSatisfiable(length=length)
    return Part(start, stop, length, is_whole=False)


def is_known(headers: Headers, tag: str) -> bool:
    """Tell whether whoever asks has it already (``If-None-Match``)."""
    condition = headers.get("if-none-match", "")
    return condition.strip() == "*" or tag in re.findall(r'"[^"]*"', condition)
