from __future__ import annotations

import pytest

from app.render.formats import MAX_PARTS, BrokenContainer
from app.render.formats.av1 import Streams, colours
from tests import photos
from tests.photos import PICTURE, READABLE


def unit(kind: int, body: bytes) -> bytes:
    """Return an OBU with its size in one byte."""
    return bytes([kind << 3 | 2, len(body)]) + body


def bits(text: str) -> bytes:
    """Pack zeros and ones, spaces ignored, into bytes."""
    digits = text.replace(" ", "")
    return int(digits.ljust(-(-len(digits) // 8) * 8, "0"), 2).to_bytes(-(-len(digits) // 8), "big")


SIZE = "1111 1111 0001111111111111 0000111111111111"  # 16 bits each: 8192 x 4096
REDUCED = bits(f"000 1 1 00000 {SIZE}")
PLAIN = bits(f"000 0 0 0 0 00000 000000000000 00100 {SIZE}")
WITH_TIMING = bits(
    f"000 0 0 1 {'0' * 64} 1 00101 1 00010 {'0' * 42} 1 00001"  # timing, uvlc, decoder model, 2 points
    f" 000000000000 01000 1 1 0000000 1 0000"  # tier, buffer delays of 3 bits, display delay
    f" 000000000000 00100 0 0 {SIZE}"
)


def _payload(photo: bytes) -> bytes:
    return photo[photo.rindex(b"mdat") + 4 :]


@pytest.mark.parametrize(
    "photo", [photos.avif(PICTURE), READABLE["animated AVIF"]], ids=["still", "animation"]
)
def test_it_finds_the_size_that_an_encoder_wrote(photo: bytes) -> None:
    """Both kinds of header that libaom writes are understood."""
    assert Streams().largest_frame(_payload(photo)) == PICTURE.size


@pytest.mark.parametrize("header", [REDUCED, PLAIN, WITH_TIMING], ids=["reduced", "plain", "with timing"])
def test_it_reads_every_form_of_header(header: bytes) -> None:
    """A header for pictures, for films, and with everything that can stand before the size."""
    assert Streams().largest_frame(unit(2, b"") + unit(1, header)) == (8192, 4096)


def test_the_largest_of_several_headers_counts() -> None:
    """A small header in front hides nothing."""
    small = bits("000 1 1 00000 0101 0101 001111 001111")
    assert Streams().largest_frame(unit(1, small)) == (16, 16)
    assert Streams().largest_frame(unit(1, small) + unit(1, REDUCED) + unit(1, small)) == (8192, 4096)


def test_a_unit_without_a_size_reaches_to_the_end() -> None:
    """The size may be left out of the last unit."""
    assert Streams().largest_frame(bytes([1 << 3]) + REDUCED) == (8192, 4096)


@pytest.mark.parametrize(
    "stream",
    [
        unit(1, REDUCED)[:6],
        unit(1, REDUCED[:4]),
        b"\x0a\xff\xff",
        b"\x0a" + b"\x80" * 9,
        b"\x12\0" * MAX_PARTS * 2,
    ],
)
def test_a_broken_stream_is_broken(stream: bytes) -> None:
    """Cut short, with a size beyond the end, or with units without end."""
    with pytest.raises(BrokenContainer):
        Streams().largest_frame(stream)


def test_a_stream_without_a_header_announces_nothing() -> None:
    """No header, no size."""
    assert Streams().largest_frame(unit(2, b"")) == (0, 0)


# -- colours ---------------------------------------------------------------

P3 = "00001100 00001101"
"""Primaries 12, transfer 13."""


@pytest.mark.parametrize(
    "header",
    [
        f"000 1 1 00000 {SIZE} 000 000 0 0 1 {P3}",  # as pictures have it
        f"001 1 1 00000 {SIZE} 000 000 1 1 {P3}",  # the profile without monochrome
        f"010 1 1 00000 {SIZE} 000 000 1 1 0 1 {P3}",  # 12 bits
        f"000 0 0 0 0 00000 000000000000 00100 {SIZE} 0 000 0000 0 1 1 000 0 0 1 {P3}",
        f"000 0 0 0 0 00000 000000000000 00100 {SIZE} 1 0000000 000 0000 1 11 0 0 111 000 0 0 1 {P3}",
        f"000 0 0 0 0 00000 000000000000 00100 {SIZE} 0 000 0000 1 11 0 1 0 1 111 000 0 0 1 {P3}",
    ],
    ids=["picture", "no monochrome", "12 bits", "film", "film with frame ids", "film with forced tools"],
)
def test_colours_are_read_from_every_form_of_header(header: str) -> None:
    """Whatever stands between the size and the colours."""
    assert colours(unit(2, b"") + unit(1, bits(header) + bytes(8))) == (12, 13)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        unit(2, b""),
        unit(1, REDUCED),
        unit(1, bits(f"000 1 1 00000 {SIZE} 000 000 0 0 0") + bytes(8)),
        unit(2, b"") * 100 + unit(1, bits(f"000 1 1 00000 {SIZE} 000 000 0 0 1 {P3}") + bytes(8)),
    ],
    ids=["nothing", "no header", "cut", "not named", "far back"],
)
def test_a_stream_may_name_no_colours(stream: bytes) -> None:
    """Then there are none."""
    assert colours(stream) is None
