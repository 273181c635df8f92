"""The items of a HEIF file (ISO/IEC 14496-12, 8.11, and 23008-12): what there is, and where it lies."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from app.render.formats import BrokenContainer, UnknownContainer
from app.render.formats.boxes import Box, Boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_FILE, IN_IDAT = 0, 1
"""Ways to say where an item lies: from the file's first byte, or in the box ``idat``. A third, inside of
another item, is used by nothing that is known, and no decoder reads it."""
MAX_PROPERTIES = 255
"""Of one item: as many as one entry can name, and an item has one."""


@dataclass(frozen=True, slots=True)
class Property:
    """What is said of an item.

    Attributes:
        kind: Of its box, such as ``ispe``.
        body: Its box's content.
        essential: Who does not understand it is not to show the item.
    """

    kind: bytes
    body: bytes
    essential: bool


@dataclass(frozen=True, slots=True)
class Location:
    """Where an item lies.

    Attributes:
        method: IN_FILE, IN_IDAT or another, that is not read.
        elsewhere: It lies in another file.
        extents: Offset and length of its pieces; a length of 0 reaches to the end.
    """

    method: int = IN_FILE
    elsewhere: bool = False
    extents: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Item:
    """One item.

    Attributes:
        kind: Such as ``hvc1`` or ``grid``.
        protected: It is encrypted.
        properties: In the order in which they apply.
        location: Where its bytes are.
        references: The items that it names, by the kind of the reference.
    """

    kind: bytes
    protected: bool
    properties: list[Property] = field(default_factory=list)
    location: Location = Location()
    references: dict[bytes, list[int]] = field(default_factory=dict)

    def find(self, kind: bytes) -> Property | None:
        """Return its first property of a kind."""
        return next((found for found in self.properties if found.kind == kind), None)

    def size(self) -> tuple[int, int]:
        """Return the width and height that the file says it has; (0, 0) where it says nothing."""
        size = self.find(b"ispe")
        if size is None or len(size.body) < 12:
            return 0, 0
        return int.from_bytes(size.body[4:8], "big"), int.from_bytes(size.body[8:12], "big")

    def inputs(self) -> Sequence[int]:
        """Return the items that it is derived from."""
        return self.references.get(b"dimg", ())


class Items:
    """The items of a file, by number.

    Attributes:
        primary: The number of the item that the file is meant to be shown by.
        alternatives: Groups of items of which any will do, the better first.
        file_size: Bytes of the file.
    """

    def __init__(self, photo: bytes) -> None:
        """Read them.

        Raises:
            BrokenContainer: Cut short, contradictory, or with more parts than any photo.
            UnknownContainer: There are none, or none of them is to be shown.
        """
        self.file_size = len(photo)
        self._view = memoryview(photo)
        self._boxes = Boxes(photo)
        meta = next((box for box in self._boxes.top() if box.kind == b"meta"), None)
        if meta is None:
            raise UnknownContainer
        parts: dict[bytes, Box] = {}
        for box in self._boxes.inside(meta, 4):
            parts.setdefault(box.kind, box)
        if b"pitm" not in parts or b"iinf" not in parts:
            raise UnknownContainer
        version, _, numbers = self._boxes.full(parts[b"pitm"])
        self.primary = numbers.read(4 if version else 2)
        self._idat = parts.get(b"idat")
        self._items = self._read_kinds(parts[b"iinf"])
        if b"iloc" in parts:
            self._read_locations(parts[b"iloc"])
        if b"iref" in parts:
            self._read_references(parts[b"iref"])
        if b"iprp" in parts:
            self._read_properties(parts[b"iprp"])
        self.alternatives = self._read_groups(parts[b"grpl"]) if b"grpl" in parts else []

    def __contains__(self, number: int) -> bool:
        """Whether there is such an item."""
        return number in self._items

    def __getitem__(self, number: int) -> Item:
        """Return an item.

        Raises:
            BrokenContainer: There is no such item.
        """
        try:
            return self._items[number]
        except KeyError as exc:
            raise BrokenContainer from exc

    def helpers(self, number: int) -> Sequence[int]:
        """Return the items that help to show an item: its transparency, its depth, its gain map."""
        return self._helpers.get(number, ())

    @cached_property
    def _helpers(self) -> dict[int, list[int]]:
        helpers: dict[int, list[int]] = {}
        for number, item in self._items.items():
            for helped in item.references.get(b"auxl", ()):
                helpers.setdefault(helped, []).append(number)
        return helpers

    # -- what there is ------------------------------------------------------

    def _read_kinds(self, iinf: Box) -> dict[int, Item]:
        version, _, numbers = self._boxes.full(iinf)
        numbers.read(4 if version else 2)
        items = {}
        for box in self._boxes.inside(iinf, numbers.at - iinf.body):
            if box.kind != b"infe":
                continue
            version, _, numbers = self._boxes.full(box)
            if version < 2:
                continue  # the older form has no kind: it is of no picture
            number = numbers.read(4 if version > 2 else 2)
            protected = numbers.read(2) != 0
            items[number] = Item(numbers.text(4), protected)
        return items

    def _read_locations(self, iloc: Box) -> None:
        version, _, numbers = self._boxes.full(iloc)
        sizes = numbers.read(2)
        offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        wide = 4 if version > 1 else 2
        for _ in range(numbers.read(wide)):
            item = self._items.get(numbers.read(wide))
            method = numbers.read(2) & 15 if version else IN_FILE
            elsewhere = numbers.read(2) != 0
            base = numbers.read(base_size)
            extents = []
            for _ in range(numbers.read(2)):
                if version:
                    numbers.read(index_size)
                extents.append((base + numbers.read(offset_size), numbers.read(length_size)))
            if item:
                item.location = Location(method, elsewhere, tuple(extents))

    def _read_references(self, iref: Box) -> None:
        version, _, _ = self._boxes.full(iref)
        wide = 4 if version else 2
        for box in self._boxes.inside(iref, 4):
            numbers = self._boxes.numbers(box)
            item = self._items.get(numbers.read(wide))
            named = [numbers.read(wide) for _ in range(numbers.read(2))]
            if item:
                item.references.setdefault(box.kind, []).extend(named)

    def _read_properties(self, iprp: Box) -> None:
        boxes = list(self._boxes.inside(iprp))
        stored = [
            (box.kind, self._boxes.content(box))
            for container in boxes
            if container.kind == b"ipco"
            for box in self._boxes.inside(container)
        ]
        for box in boxes:
            if box.kind == b"ipma":
                self._link_properties(box, stored)

    def _link_properties(self, ipma: Box, stored: list[tuple[bytes, bytes]]) -> None:
        version, flags, numbers = self._boxes.full(ipma)
        wide, essential = (2, 0x8000) if flags & 1 else (1, 0x80)
        for _ in range(numbers.read(4)):
            item = self._items.get(numbers.read(4 if version else 2))
            for _ in range(numbers.read(1)):
                link = numbers.read(wide)
                index = link & (essential - 1)
                if item and 0 < index <= len(stored):
                    item.properties.append(Property(*stored[index - 1], bool(link & essential)))
            if item and len(item.properties) > MAX_PROPERTIES:
                raise BrokenContainer

    def _read_groups(self, grpl: Box) -> list[list[int]]:
        groups = []
        for box in self._boxes.inside(grpl):
            if box.kind == b"altr":
                _, _, numbers = self._boxes.full(box)
                numbers.read(4)
                groups.append([numbers.read(4) for _ in range(numbers.read(4))])
        return groups

    # -- where it lies ------------------------------------------------------

    def pieces(self, item: Item) -> tuple[slice, ...]:
        """Return where in the file the pieces of an item are.

        Raises:
            BrokenContainer: They are not in the file, or are more than it.
            UnknownContainer: They are in another file or item, or encrypted.
        """
        location = item.location
        if item.protected or location.elsewhere or location.method not in {IN_FILE, IN_IDAT}:
            raise UnknownContainer
        photo = self._boxes.photo
        start, end = 0, len(photo)
        if location.method == IN_IDAT:
            if self._idat is None:
                raise BrokenContainer
            start, end = self._idat.body, self._idat.end
        pieces = []
        for offset, length in location.extents:
            first = start + offset
            last = first + length if length else self._end_of_rest(first, end)
            if not first <= last <= end:
                raise BrokenContainer
            pieces.append(slice(first, last))
        if sum(piece.stop - piece.start for piece in pieces) > len(photo):
            raise BrokenContainer
        return tuple(pieces)

    def _end_of_rest(self, first: int, end: int) -> int:
        """Return where an extent without a length ends: with the box it is in, not with what follows that."""
        following = bisect_right(self._outer_ends, first)
        return min(end, self._outer_ends[following]) if following < len(self._outer_ends) else end

    @cached_property
    def _outer_ends(self) -> list[int]:
        return [box.end for box in Boxes(self._boxes.photo).top()]

    def views(self, pieces: Sequence[slice]) -> list[memoryview]:
        """Return an item's bytes, not copied."""
        return [self._view[piece] for piece in pieces]

    def bytes_of(self, pieces: Sequence[slice]) -> bytes:
        """Return an item's bytes, whole."""
        return b"".join(self.views(pieces))
