"""What one picture of a HEIF file is made of, and that it costs no more to decode than a picture may."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from app.render.formats import BrokenContainer, Codec, UnknownContainer
from app.render.formats.av1 import Streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.render.formats.items import Item, Items

CODECS: Mapping[bytes, Codec] = {b"hvc1": "heif", b"av01": "avif"}
"""What coded items are coded with."""
DERIVED = {b"grid", b"iovl", b"iden"}
"""Items that are made of others."""
ALPHA = {
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
}
"""What an auxiliary picture calls itself that is the transparency of another."""
UNDERSTOOD = {
    *(b"hvcC", b"av1C", b"a1op", b"a1lx", b"lsel", b"ispe", b"pixi", b"auxC", b"colr"),
    *(b"clap", b"irot", b"imir"),
    *(b"pasp", b"clli", b"mdcv", b"cclv", b"amve", b"reve", b"ndwt", b"rloc", b"udes", b"altt"),
}
"""Properties that are followed, or that change nothing of what is shown here."""

MAX_DEPTH = 4
"""Pictures that are made of pictures: a grid of coded ones is two."""
MAX_TILES = 1_024
"""Coded pictures that one is made of. Phones make tiles of 512 px: 60 million pixels are 229 of them."""
OVERHANG = Fraction(5, 4)
"""How many more pixels than the picture its tiles may have: they reach beyond its right and lower edge."""
SHARED_BYTES = 4_000_000
"""Bytes that may be read beyond what the file has, where items share bytes. Encoders store equal tiles once:
those are of flat colour, and have some hundred bytes each."""


class Load(NamedTuple):
    """What it takes to decode an item, with everything that it is made of.

    Attributes:
        tiles: Coded pictures that are decoded; one that is used twice is two.
        pixels: Of all of these, and of the canvases that they are put together on.
        largest: Pixels of the largest picture on the way.
        read: Bytes that are read.
    """

    tiles: int = 0
    pixels: int = 0
    largest: int = 0
    read: int = 0

    def and_of(self, other: Load) -> Load:
        """Return the load of both."""
        return Load(
            self.tiles + other.tiles,
            self.pixels + other.pixels,
            max(self.largest, other.largest),
            self.read + other.read,
        )

    @property
    def decoded_pixels(self) -> int:
        """What a limit on the pixels of one picture is to be compared with."""
        return max(self.largest, int(self.pixels / OVERHANG))


class Parts:
    """The items that a picture and its transparency are made of.

    Attributes:
        base: The number of the item that is the picture.
        pieces: Where the bytes of each item lie, by its number.
        alphas: Whose transparency an item is, by its number.
        codec: What all of them are coded with.
        decoded_pixels: What decoding takes, comparable with a limit on the pixels of one picture.
    """

    def __init__(self, items: Items, names: Sequence[int]) -> None:
        """Gather them.

        Args:
            items: Of the file.
            names: The items that stand for the picture; the last is the picture itself.

        Raises:
            BrokenContainer: Cut short, contradictory, or more to decode than a picture can be.
            UnknownContainer: Something that is not read.
        """
        self._items = items
        self._streams = Streams()
        self._loads: dict[int, Load] = {}
        self._bytes_left = items.file_size + SHARED_BYTES
        self.base = names[-1]
        self.pieces: dict[int, tuple[slice, ...]] = {}
        self.alphas: dict[int, int] = {}
        for number in names:
            _check_understood(items[number])
        colour = self._load(self.base)
        alpha = self._load_alphas(names)
        both = colour.and_of(alpha)
        if max(colour.tiles, alpha.tiles) > MAX_TILES or both.read > items.file_size + SHARED_BYTES:
            raise BrokenContainer
        self.decoded_pixels = max(colour.decoded_pixels, alpha.decoded_pixels)
        kinds = {items[number].kind for number in self.pieces}
        if len(kinds & CODECS.keys()) != 1 or kinds >= {b"av01", b"iovl"}:
            raise UnknownContainer  # a picture of both codecs, or an overlay that libavif does not know
        self.codec = CODECS[(kinds & CODECS.keys()).pop()]

    def first_coded(self) -> int:
        """Return the number of the first coded picture that the picture is made of."""
        return next(number for number in self.pieces if self._items[number].kind in CODECS)

    def _load_alphas(self, names: Sequence[int]) -> Load:
        """Return the load of the transparency of the picture and of its parts, and keep it: one for each."""
        load = Load()
        done: set[int] = set()
        for number in [self.base, *self.pieces, *names]:
            shown = self.base if number in names else number
            alpha = self._alpha_of(number)
            if alpha is not None and shown not in done:
                done.add(shown)
                self.alphas.setdefault(alpha, shown)
                load = load.and_of(self._load(alpha))
        return load

    def _alpha_of(self, number: int) -> int | None:
        for helper in self._items.helpers(number):
            said = self._items[helper].find(b"auxC")
            if said and said.body[4:].split(b"\0")[0] in ALPHA:
                return helper
        return None

    def _load(self, number: int, depth: int = 0) -> Load:
        """Return the load of an item, and keep it and what it is made of."""
        if number in self._loads:
            return self._loads[number]
        if depth == MAX_DEPTH:
            raise BrokenContainer
        item = self._items[number]
        if item.kind not in CODECS and item.kind not in DERIVED:
            raise UnknownContainer
        _check_understood(item)
        self.pieces[number] = pieces = self._items.pieces(item)
        read = sum(piece.stop - piece.start for piece in pieces)
        self._bytes_left -= read
        if self._bytes_left < 0 or (item.kind in CODECS and not read):
            raise BrokenContainer
        if item.kind in CODECS:
            pixels = self._coded_pixels(item, pieces)
            load = Load(1, pixels, pixels, read)
        else:
            load = self._derived_load(item, pieces, read, depth)
        self._loads[number] = load
        return load

    def _coded_pixels(self, item: Item, pieces: Sequence[slice]) -> int:
        width, height = item.size()
        if item.kind == b"av01":
            coded_width, coded_height = self._streams.largest_frame(self._items.bytes_of(pieces))
            return max(width * height, coded_width * coded_height)
        return width * height

    def _derived_load(self, item: Item, pieces: Sequence[slice], read: int, depth: int) -> Load:
        inputs = item.inputs()
        if not 0 < len(inputs) <= MAX_TILES:
            raise BrokenContainer
        width, height = item.size()
        canvas_width, canvas_height = _canvas(item.kind, self._items.bytes_of(pieces))
        canvas = max(width * height, canvas_width * canvas_height)
        # The outermost canvas is the picture, and its tiles are what is counted; each other is made as well.
        load = Load(0, canvas if depth else 0, canvas, read)
        for number in inputs:
            load = load.and_of(self._load(number, depth + 1))
        return load


def _check_understood(item: Item) -> None:
    if any(found.essential and found.kind not in UNDERSTOOD for found in item.properties):
        raise UnknownContainer


def _canvas(kind: bytes, payload: bytes) -> tuple[int, int]:
    """Return the size that a derived picture says of itself; (0, 0) where that is what it is made of.

    Raises:
        BrokenContainer: Cut short.
    """
    if kind == b"iden":
        return 0, 0
    # Version, flags; rows and columns of a grid, four colours of 16 bits of an overlay; width and height.
    at = 4 if kind == b"grid" else 10
    wide = 4 if payload[1:2] and payload[1] & 1 else 2
    width, height = payload[at : at + wide], payload[at + wide : at + 2 * wide]
    if len(height) < wide:
        raise BrokenContainer
    return int.from_bytes(width, "big"), int.from_bytes(height, "big")
