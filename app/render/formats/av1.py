"""AV1: the frame size that a bitstream really has (AV1 bitstream specification, 5.3 and 5.5).

An AVIF names its size in a box as well, and libavif scales whatever it finds to that. A box that says 64 x 64
over a stream of 14,000 x 14,000 would therefore pass for a small picture and take seconds to decode.
"""

from __future__ import annotations

from app.render.formats import MAX_PARTS, BrokenContainer

SEQUENCE_HEADER = 1
HIGH, PROFESSIONAL = 1, 2
"""Profiles: in the one there is no monochrome, in the other there are 12 bits."""
MAX_LEADING = 8
"""Units that are passed on the way to a stream's first sequence header: it is the first, or the second."""


class Streams:
    """Measures streams: so many of their parts in all, and no more."""

    def __init__(self) -> None:
        self._parts_left = MAX_PARTS

    def largest_frame(self, stream: bytes) -> tuple[int, int]:
        """Return the largest (width, height) that a stream's sequence headers announce; (0, 0) without any.

        Raises:
            BrokenContainer: Cut short, or with more parts than any picture.
        """
        largest = (0, 0)
        at = 0
        while at < len(stream):
            self._parts_left -= 1
            if self._parts_left < 0:
                raise BrokenContainer
            kind, body, at = _read_unit(stream, at)
            if kind == SEQUENCE_HEADER:
                found = _Header(stream[body : min(at, body + 256)])
                largest = max(largest, (found.width, found.height), key=lambda s: s[0] * s[1])
        return largest


def colours(stream: bytes) -> tuple[int, int] | None:
    """Return primaries and transfer by number (ITU-T H.273), as a stream names them at its beginning.

    None where it does not name them, or does so further back than a picture's stream would.
    """
    at = 0
    for _ in range(MAX_LEADING):
        if at >= len(stream):
            break
        kind, body, at = _read_unit(stream, at)
        if kind == SEQUENCE_HEADER:
            try:
                return _Header(stream[body : min(at, body + 256)]).colours()
            except BrokenContainer:
                break
    return None


def _read_unit(stream: bytes, at: int) -> tuple[int, int, int]:
    """Return (kind, where its body starts, where it ends) of the unit at ``at``."""
    header = stream[at]
    body = at + (2 if header & 4 else 1)
    if not header & 2:  # no size: to the end
        return header >> 3 & 15, body, len(stream)
    size = 0
    for shift in range(0, 56, 7):  # leb128
        if body >= len(stream):
            break
        byte = stream[body]
        body += 1
        size |= (byte & 127) << shift
        if not byte & 128 and body + size <= len(stream):
            return header >> 3 & 15, body, body + size
        if not byte & 128:
            break
    raise BrokenContainer


class _Header:
    """A sequence header, read as far as its frame size and on demand as far as its colours."""

    def __init__(self, data: bytes) -> None:
        self._bits = bits = _Bits(data)
        self._profile = bits.read(3)
        bits.read(1)  # still picture
        self._reduced = bits.read(1)  # as pictures have it
        if self._reduced:
            bits.read(5)
        else:
            _skip_timing(bits)
        width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
        self.width, self.height = bits.read(width_bits) + 1, bits.read(height_bits) + 1

    def colours(self) -> tuple[int, int] | None:
        """Return primaries and transfer, or None where there are none; to be called once."""
        bits = self._bits
        if not self._reduced and bits.read(1):  # frame ids
            bits.read(4 + 3)
        bits.read(3)  # superblocks, two kinds of intra
        if not self._reduced:
            _skip_tools(bits)
        bits.read(3)  # superres, cdef, restoration
        deep = bits.read(1)
        if self._profile == PROFESSIONAL and deep:
            bits.read(1)
        if self._profile != HIGH:
            bits.read(1)  # monochrome
        return (bits.read(8), bits.read(8)) if bits.read(1) else None


def _skip_timing(bits: _Bits) -> None:
    """Skip what a full header says of time and of operating points."""
    delay_bits = 0
    if bits.read(1):  # timing info
        bits.read(64)
        if bits.read(1):
            bits.read_uvlc()
        if bits.read(1):  # decoder model
            delay_bits = bits.read(5) + 1
            bits.read(32 + 5 + 5)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


def _skip_tools(bits: _Bits) -> None:
    """Skip what a full header says of tools for films."""
    bits.read(4)
    ordered = bits.read(1)
    if ordered:
        bits.read(2)
    forced = bits.read(1) or bits.read(1)  # screen content: chosen, or on
    if forced and not bits.read(1):
        bits.read(1)
    if ordered:
        bits.read(3)


class _Bits:
    """Reads numbers of any width, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self.value = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def read(self, count: int) -> int:
        if count > self.left:
            raise BrokenContainer
        self.left -= count
        return self.value >> self.left & ((1 << count) - 1)

    def read_uvlc(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return self.read(zeros) + (1 << zeros) - 1
