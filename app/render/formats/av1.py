"""AV1: the frame size that a bitstream really has (AV1 bitstream specification, 5.3 and 5.5).

An AVIF names its size in a box as well, and libavif scales whatever it finds to that. A box that says 64 x 64
over a stream of 14,000 x 14,000 would therefore pass for a small picture and take seconds to decode.
"""

from __future__ import annotations

from app.render.formats import MAX_PARTS, BrokenContainer

SEQUENCE_HEADER = 1


def largest_frame(stream: bytes) -> tuple[int, int]:
    """Return the largest (width, height) that any sequence header of a stream announces; (0, 0) if none does.

    Raises:
        BrokenContainer: Cut short, or with more parts than any picture.
    """
    largest = (0, 0)
    at = 0
    for _ in range(MAX_PARTS):
        if at >= len(stream):
            return largest
        kind, body, at = _read_unit(stream, at)
        if kind == SEQUENCE_HEADER:
            largest = max(largest, _frame_size(stream[body : min(at, body + 256)]), key=lambda s: s[0] * s[1])
    raise BrokenContainer


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


def _frame_size(header: bytes) -> tuple[int, int]:
    bits = _Bits(header)
    bits.read(3 + 1)  # profile, still picture
    if bits.read(1):  # reduced header, as pictures have it
        bits.read(5)
    else:
        _skip_timing(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1


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
