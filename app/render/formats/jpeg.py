"""JPEG: the segments before the first scan, and how many scans follow (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from app.render.formats import MAX_PARTS, BrokenContainer, Container, UnknownContainer
from app.render.formats.exif import UPRIGHT, read_orientation

MAX_SCANS = 32
"""Scans a file may have. libjpeg writes a colour photo in 10 (``jpeg_simple_progression``) and a CMYK one
in 18; mozjpeg's optimiser ends below 20. Each scan walks over every coefficient again, so their number
multiplies the cost: 32 over 60 million pixels take 2 s."""
MAX_TABLE_BYTES = 65_536
"""Bytes of tables before the first scan. A photo has at most 4 x 129 of DQT and 8 x 272 of DHT; Pillow reads
DQT in Python, so megabytes of tables would be seconds."""
MAX_GAP = 65_536
"""Bytes that may lie between a segment of the header and the next marker. A few fill bytes are allowed, and
some cameras write a segment's length too small; a search through megabytes of nothing takes a second."""

SOF_STREAMED = {0xC0, 0xC1}  # baseline and extended sequential, Huffman
SOF_BUFFERED = {0xC2, 0xC9, 0xCA}  # progressive, and arithmetic coding of either kind
SOF_OTHER = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}  # lossless and hierarchical: no decoder
TABLES = {0xC4, 0xCC, 0xDB, 0xDD}  # DHT, DAC, DQT, DRI
SOI, EOI, SOS, DNL = 0xD8, 0xD9, 0xDA, 0xDC
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
STANDALONE = {0x01, SOI, *range(0xD0, 0xD8)}  # markers without a length: TEM, SOI, RST0-7

# FF followed by FF is a fill byte and by 00 a data byte; in a scan RST0-7 belong to the data too.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
# No photo has 256 fill bytes in a row, and a search that steps over 40 million of them takes half a second.
_MARKER_AFTER_SCAN = re.compile(rb"\xff(?:([\x01-\xcf\xd8-\xfe])|\xff{255})")

ICC_TAG = b"ICC_PROFILE\0"


class _CutShort(BrokenContainer):
    """The file ends before the next segment does."""


@dataclass(slots=True)
class _Header:
    """What the walk has gathered so far."""

    frame: int = 0
    width: int = 0
    height: int = 0
    components: int = 0
    table_bytes: int = 0
    exif: bytes = b""
    icc: dict[int, bytes] = field(default_factory=dict)
    icc_count: int = 0
    kept: list[bytes] = field(default_factory=list)


def read_jpeg(photo: bytes) -> Container:
    """Read a JPEG's header. The first picture counts; an MPO's others and a gain map are never looked at.

    Raises:
        BrokenContainer: Cut short, contradictory, or with more scans or segments than any photo.
        UnknownContainer: A JPEG of a kind that no decoder here reads: lossless, hierarchical, 12 bits.
    """
    header = _Header()
    scan = _walk_to_scan(photo, header)
    if not header.frame or not header.components:
        raise BrokenContainer
    interleaved = photo[scan + 4 : scan + 5] == bytes([header.components])
    streams = header.frame in SOF_STREAMED and interleaved
    if not streams:
        _count_scans(photo, scan)
    return Container(
        codec="jpeg",
        width=header.width,
        height=header.height,
        streams=streams,
        orientation=read_orientation(header.exif) if header.exif else UPRIGHT,
        profile=_profile(header),
        space=None,
        data=b"".join((b"\xff\xd8", *header.kept, memoryview(photo)[scan:])),
    )


def _next_segment(photo: bytes, at: int, pattern: re.Pattern[bytes], reach: int) -> tuple[int, int, int]:
    """Return (marker, where it starts, where its segment ends) for the first marker in ``[at, reach)``."""
    match = pattern.search(photo, at, reach)
    if match is None:
        raise _CutShort
    if match[1] is None:
        raise BrokenContainer
    marker, start = match[1][0], match.start()
    if marker in STANDALONE or marker == EOI:
        return marker, start, start + 2
    if start + 4 > len(photo):
        raise _CutShort
    (length,) = struct.unpack_from(">H", photo, start + 2)
    end = start + 2 + length
    if length < 2:
        raise BrokenContainer
    if end > len(photo):
        raise _CutShort
    return marker, start, end


def _walk_to_scan(photo: bytes, header: _Header) -> int:
    """Sort every segment before the first scan into ``header``; return where the scan's marker is."""
    at = 2
    for _ in range(MAX_PARTS):
        marker, start, end = _next_segment(photo, at, _MARKER, at + MAX_GAP)
        if marker == EOI:
            raise BrokenContainer
        if marker == SOS:
            return start
        if marker not in STANDALONE:
            _sort(marker, photo[start:end], header)
        at = end
    raise BrokenContainer


def _sort(marker: int, segment: bytes, header: _Header) -> None:
    body = segment[4:]
    if marker in SOF_STREAMED | SOF_BUFFERED | SOF_OTHER:
        _read_frame(marker, body, header)
        header.kept.append(segment)
    elif marker in TABLES:
        header.table_bytes += len(segment)
        if header.table_bytes > MAX_TABLE_BYTES:
            raise BrokenContainer
        header.kept.append(segment)
    elif marker == APP14 and body.startswith(b"Adobe"):
        header.kept.append(segment[:2] + struct.pack(">H", 14) + body[:12])  # says CMYK, YCCK, RGB or YCbCr
    elif marker == APP1 and body.startswith(b"Exif\0\0") and not header.exif:
        header.exif = body
    elif marker == APP2 and body.startswith(ICC_TAG) and len(body) >= 14:
        header.icc.setdefault(body[12], body[14:])
        header.icc_count = body[13]
    elif marker == APP0 and body.startswith(b"JFIF\0"):
        # Its presence alone tells libjpeg that three components are YCbCr; its density is dropped.
        header.kept.append(b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0")


def _read_frame(marker: int, body: bytes, header: _Header) -> None:
    if header.frame or len(body) < 6:
        raise BrokenContainer
    precision, header.height, header.width, header.components = struct.unpack_from(">BHHB", body)
    header.frame = marker
    if marker in SOF_OTHER or precision != 8:
        raise UnknownContainer


def _profile(header: _Header) -> bytes | None:
    """Join the pieces of an ICC profile (ICC.1, annex B.4); None unless each of them came."""
    if not header.icc or sorted(header.icc) != list(range(1, header.icc_count + 1)):
        return None
    return b"".join(header.icc[number] for number in sorted(header.icc))


def _count_scans(photo: bytes, first: int) -> None:
    """Refuse a file that has too many scans or no end to them.

    Raises:
        BrokenContainer: More scans than MAX_SCANS, or nothing but fill bytes; the picture's own end
            is the last marker looked at.
    """
    at, scans = first, 0
    for _ in range(MAX_PARTS):
        try:
            marker, _, at = _next_segment(photo, at, _MARKER_AFTER_SCAN, len(photo))
        except _CutShort:
            return  # the decoder will say so where it matters
        if marker == EOI:
            return
        scans += marker == SOS
        if scans > MAX_SCANS:
            break
    raise BrokenContainer
