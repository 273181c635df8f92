"""A HEIF file written anew, of nothing but the items that one picture is made of."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from app.render.formats.parts import DERIVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from app.render.formats import Codec
    from app.render.formats.items import Item, Items, Property
    from app.render.formats.parts import Parts

BRANDS: Mapping[Codec, bytes] = {"heif": b"heic\0\0\0\0mif1heic", "avif": b"avif\0\0\0\0avifmif1miaf"}
HANDLER = bytes(8) + b"pict" + bytes(13)
NEEDED = {b"hvcC", b"av1C", b"ispe", b"pixi", b"auxC", b"a1op", b"a1lx", b"lsel"}
"""Properties that a decoder is given, beside ``colr`` of numbers: a profile it would only pass on."""
TURNS = {b"clap", b"irot", b"imir"}
"""Properties that it is given of a part, but not of the picture itself: those are applied after it."""


def rewrite(items: Items, parts: Parts) -> bytes:
    """Return a file of a picture's parts, with the properties that a decoder needs.

    Items are numbered anew from 1, the picture first. Bytes that several of them share are in it once.
    """
    order = [*parts.pieces]
    numbers = {old: new for new, old in enumerate(order, 1)}
    whole = {parts.base, *(alpha for alpha, whose in parts.alphas.items() if whose == parts.base)}
    kinds, references = b"", b""
    stored: dict[tuple[bytes, bytes], int] = {}
    links = b""
    for new, old in enumerate(order, 1):  # it grows on the way
        item = items[old]
        kinds += _box(b"infe", struct.pack(">IHH4sx", 0x02000000, new, 0, item.kind))
        for kind, targets in _references(item, old, numbers, parts, order):
            references += _box(kind, struct.pack(f">HH{len(targets)}H", new, len(targets), *targets))
        needed = _needed(item, whole=old in whole)
        links += struct.pack(">HB", new, len(needed))
        for found in needed:
            index = stored.setdefault((found.kind, found.body), len(stored) + 1)
            links += struct.pack(">H", index | 0x8000 * found.essential)
    properties = b"".join(_box(kind, body) for kind, body in stored)
    described = (
        _box(b"hdlr", HANDLER)
        + _box(b"pitm", struct.pack(">IH", 0, numbers[parts.base]))
        + _box(b"iinf", struct.pack(">IH", 0, len(order)) + kinds)
        + (_box(b"iref", bytes(4) + references) if references else b"")
        + _box(
            b"iprp",
            _box(b"ipco", properties) + _box(b"ipma", struct.pack(">II", 1, len(order)) + links),
        )
    )
    brands = _box(b"ftyp", BRANDS[parts.codec])
    places, payload = _places(items, parts, order)
    # Of the same length whatever the offsets are, so that these can be counted from its end.
    start = len(brands) + 8 + 4 + len(described) + len(_locations(places, 0)) + 8
    meta = _box(b"meta", bytes(4) + described + _locations(places, start))
    return b"".join((brands, meta, struct.pack(">I4s", 8 + sum(map(len, payload)), b"mdat"), *payload))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _needed(item: Item, *, whole: bool) -> list[Property]:
    """Return the properties that a decoder needs: the first of each kind, since some refuse a second."""
    first: dict[bytes, Property] = {}
    turns = []
    for found in item.properties:
        if found.kind in NEEDED or (found.kind == b"colr" and found.body.startswith(b"nclx")):
            first.setdefault(found.kind, found)
        elif found.kind in TURNS and not whole:
            turns.append(found)
    return [*first.values(), *turns]


def _references(
    item: Item, old: int, numbers: Mapping[int, int], parts: Parts, order: list[int]
) -> Iterator[tuple[bytes, list[int]]]:
    """Find what an item names. What it is made of more than once becomes as many items of the same bytes.

    Decoders refuse to have an item named twice.
    """
    if item.kind in DERIVED:
        made_of: dict[int, None] = {}
        for part in item.inputs():
            number = numbers[part]
            if number in made_of:
                order.append(part)
                number = len(order)
            made_of[number] = None
        yield b"dimg", list(made_of)
    if old in parts.alphas:
        yield b"auxl", [numbers[parts.alphas[old]]]
    alpha = next(iter(item.references.get(b"prem", ())), None)
    if alpha is not None and parts.alphas.get(alpha) == old:
        yield b"prem", [numbers[alpha]]


def _places(
    items: Items, parts: Parts, order: Sequence[int]
) -> tuple[list[tuple[int, int]], list[memoryview]]:
    """Return offset and length of each item in the payload, and the payload in pieces."""
    payload: list[memoryview] = []
    known: dict[tuple[tuple[int, int], ...], tuple[int, int]] = {}
    places = []
    end = 0
    for number in order:
        pieces = parts.pieces[number]
        key = tuple((piece.start, piece.stop) for piece in pieces)
        if key not in known:
            length = sum(stop - start for start, stop in key)
            payload += items.views(pieces)
            known[key] = (end, length)
            end += length
        places.append(known[key])
    return places, payload


def _locations(places: list[tuple[int, int]], start: int) -> bytes:
    entries = b""
    for number, (offset, length) in enumerate(places, 1):
        entries += struct.pack(">HHH", number, 0, 1 if length else 0)
        if length:
            entries += struct.pack(">II", start + offset, length)
    return _box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(places)) + entries)
