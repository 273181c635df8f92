"""The boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2), and the numbers in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.render.formats import MAX_PARTS, BrokenContainer

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NUMBERS = 4 * MAX_PARTS
"""Numbers that are read before a file is called damaged. A grid of 1,024 tiles takes some 15,000 of them; a
number takes about 0.4 µs."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its content is ``[body, end)`` of the file."""

    kind: bytes
    body: int
    end: int


class Boxes:
    """Reads the boxes of a file: so many of them and of their numbers in all, and no more.

    Args:
        photo: The whole file.
    """

    def __init__(self, photo: bytes) -> None:
        self.photo = photo
        self._boxes_left = MAX_PARTS
        self.numbers_left = MAX_NUMBERS

    def top(self) -> Iterator[Box]:
        """Walk over the outermost boxes. What a phone put after the last whole one is passed over."""
        yield from self._walk(0, len(self.photo), strict=False)

    def inside(self, box: Box, skipped: int = 0) -> Iterator[Box]:
        """Walk over a box's children, which begin ``skipped`` bytes after its header.

        Raises:
            BrokenContainer: A child that leaves its parent; too many boxes.
        """
        yield from self._walk(box.body + skipped, box.end, strict=True)

    def _walk(self, at: int, end: int, *, strict: bool) -> Iterator[Box]:
        while at + 8 <= end:
            self._boxes_left -= 1
            if self._boxes_left < 0:
                raise BrokenContainer
            size, kind, body = self._number(at, 4), self.photo[at + 4 : at + 8], at + 8
            if size == 1:
                size, body = self._number(body, 8), body + 8
            elif size == 0:
                size = end - at
            if not body - at <= size <= end - at:
                if strict:
                    raise BrokenContainer
                return
            yield Box(kind, body, at + size)
            at += size

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.photo[at : at + size], "big")

    def numbers(self, box: Box) -> Numbers:
        """Return the numbers of a box, from its first byte on."""
        return Numbers(self, box.body, box.end)

    def full(self, box: Box) -> tuple[int, int, Numbers]:
        """Return version and flags of a "full" box, and the numbers after them."""
        numbers = self.numbers(box)
        return numbers.read(1), numbers.read(3), numbers

    def content(self, box: Box) -> bytes:
        """Return what is in a box."""
        return self.photo[box.body : box.end]


class Numbers:
    """Reads big-endian numbers one after another, inside a box.

    Attributes:
        at: Where in the file the next one is.
    """

    def __init__(self, boxes: Boxes, at: int, end: int) -> None:
        self._boxes = boxes
        self.at = at
        self._end = end

    def read(self, size: int) -> int:
        """Return the next number, of so many bytes; 0 bytes are a 0.

        Raises:
            BrokenContainer: The box ends before; too many numbers.
        """
        return int.from_bytes(self.text(size), "big")

    def text(self, size: int) -> bytes:
        """Return so many bytes, as they are.

        Raises:
            BrokenContainer: As :meth:`read`.
        """
        self._boxes.numbers_left -= 1
        if self.at + size > self._end or self._boxes.numbers_left < 0:
            raise BrokenContainer
        self.at += size
        return self._boxes.photo[self.at - size : self.at]
