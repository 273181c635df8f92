"""JPEG: the segments before the first scan, and how many scans follow (ITU-T T.81, annex B).

**The end.** Messengers, cameras and broken transfers leave out the last marker (EOI), half of it, or a
little more, and phones put data of their own in its place. Browsers show such pictures. Here:

- Where EOI follows the scans, the file is read as it stands, whatever its decoder has to make up: a scan that
  is missing on the way costs detail, no rows, and Chromium shows it so.
- Otherwise the picture ends with the scan by which every coefficient of every colour has come to its last
  bit (a baseline photo has one scan, a progressive one about ten). What follows that scan is left out. A file
  that ends before that scan is cut in the middle: damaged, though Chromium shows it blurred.
- In that scan no more than the last row of MCUs (8 or 16 rows of pixels) may lack data: the rows above must
  come out the same with noise in place of the end. A picture of one row of MCUs may lack nothing. What the
  last row lacks is grey, as the decoder leaves it.

**Orientation** is said by the first Exif segment that is not empty: see ``exif.py``.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field, replace

from app.render.formats import MAX_PARTS, BrokenContainer, Container, Probe, UnknownContainer
from app.render.formats.exif import UPRIGHT, read_orientation

MAX_SCANS = 32
"""Scans a file may have. libjpeg writes a colour photo in 10 (``jpeg_simple_progression``) and a CMYK one
in 18; mozjpeg's optimiser ends below 20. Each scan walks over every coefficient again, so their number
multiplies the cost: 32 over 60 million pixels take 2 s."""
MAX_SCANS_WITHOUT_END = 18
"""The same where the last marker is missing, and the file is decoded twice: as many as libjpeg's CMYK has."""
MAX_TABLE_BYTES = 65_536
"""Bytes of tables before the first scan. A photo has at most 4 x 129 of DQT and 8 x 272 of DHT; Pillow reads
DQT in Python, so megabytes of tables would be seconds."""
MAX_GAP = 65_536
"""Bytes that may lie between a segment of the header and the next marker. A few fill bytes are allowed, and
some cameras write a segment's length too small; a search through megabytes of nothing takes a second."""

SOF_STREAMED = {0xC0, 0xC1}  # baseline and extended sequential, Huffman
SOF_BUFFERED = {0xC2, 0xC9, 0xCA}  # progressive, and arithmetic coding of either kind
SOF_PROGRESSIVE = {0xC2, 0xCA}
SOF_OTHER = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}  # lossless and hierarchical: no decoder
TABLES = {0xC4, 0xCC, 0xDB, 0xDD}  # DHT, DAC, DQT, DRI
SOI, EOI, SOS, DNL = 0xD8, 0xD9, 0xDA, 0xDC
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
STANDALONE = {0x01, SOI, *range(0xD0, 0xD8)}  # markers without a length: TEM, SOI, RST0-7

_SOI, _EOI = bytes([0xFF, SOI]), bytes([0xFF, EOI])
_RESTARTS = [bytes([0xFF, number]) for number in range(0xD0, 0xD8)]
# Nothing in it that could be a marker. Decoders take what is missing for bits of 0, so the first one is 1.
_NOISE = b"\xa5" + hashlib.shake_128(b"").digest(511).replace(b"\xff", b"\0")

# FF followed by FF is a fill byte and by 00 a data byte; in a scan RST0-7 belong to the data too.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
# No photo has 256 fill bytes in a row, and a search that steps over 40 million of them takes half a second.
_MARKER_AFTER_SCAN = re.compile(rb"\xff(?:([\x01-\xcf\xd8-\xfe])|\xff{255})")

ICC_TAG = b"ICC_PROFILE\0"
EXIF_TAG = b"Exif\0"
"""A byte follows that is 0, or anything."""
EXIF_START = 6
ADOBE_BYTES, JFIF_BYTES = 12, 14
"""What libjpeg asks of these segments at least; shorter ones tell it nothing."""
COEFFICIENTS = 64
COARSE = 9
"""The last of the coefficients that all count at half the size, in their order from coarse to fine."""


class _CutShort(BrokenContainer):
    """The file ends before the next segment does."""


@dataclass(slots=True)
class _Header:
    """What the walk has gathered so far."""

    frame: int = 0
    width: int = 0
    height: int = 0
    components: int = 0
    sampling: list[int] = field(default_factory=list)
    missing: dict[int, bytearray] = field(default_factory=dict)
    scan_bytes: int = 0
    first: int = 0
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
    # Behind a single scan the end is looked for only where no EOI can be it: the search takes 2 ms for 12 MP.
    searched = not streams or photo.rfind(_EOI, scan) < 0
    end = _find_end(photo, scan, header) if searched else None
    container = Container(
        codec="jpeg",
        width=header.width,
        height=header.height,
        streams=streams,
        orientation=read_orientation(header.exif) if header.exif else UPRIGHT,
        profile=_profile(header),
        space=None,
        data=b"".join((_SOI, *header.kept, memoryview(photo)[scan:end])),
    )
    return container if end is None else _without_end(container, header)


def cut_to_picture(container: Container) -> Container:
    """Leave out what follows the picture, where it is not EOI: the decoder stumbled over it.

    Raises:
        BrokenContainer: Nothing is there to be left out.
    """
    header = _Header()
    scan = _walk_to_scan(container.data, header)
    end = _find_end(container.data, scan, header)
    if end is None:
        raise BrokenContainer
    return _without_end(replace(container, data=container.data[:end]), header)


def _without_end(container: Container, header: _Header) -> Container:
    """Give a file that ends with its last scan the end that it lacks."""
    tallest = max(header.sampling) if header.components > 1 else 1
    mcu = 8 * tallest
    above = (header.height - 1) // mcu * mcu
    # Colours that are stored at half the height are spread over the row above, too.
    rows = above - (tallest > 1) if above else header.height
    # Half of a cut marker would make one of whatever follows it.
    data = container.data.rstrip(b"\xff")
    first = len(data) - header.scan_bytes
    last = max(data.rfind(marker, max(first, 0)) for marker in _RESTARTS)
    following = data[last + 1] + 1 if last >= 0 else 0
    markers = [_RESTARTS[(following + n) % 8] for n in range(8)]
    # Each interval of a photo that has restart markers waits for its own.
    noise = _NOISE + b"".join(marker + _NOISE for marker in markers)
    # A decoder that shrinks leaves out the finer coefficients; by 8 all but the first.
    scale = 1 / 8 if container.streams else 1 / 2 if header.first <= COARSE else 1
    return replace(container, data=data + _EOI, probe=Probe(data + noise + _EOI, rows, scale))


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
    elif marker == APP14 and body.startswith(b"Adobe") and len(body) >= ADOBE_BYTES:
        header.kept.append(
            segment[:2] + struct.pack(">H", 14) + body[:ADOBE_BYTES]
        )  # says CMYK, YCCK, RGB or YCbCr
    elif marker == APP1 and body.startswith(EXIF_TAG) and not header.exif:
        header.exif = body[EXIF_START:]
    elif marker == APP2 and body.startswith(ICC_TAG) and len(body) >= 14:
        header.icc.setdefault(body[12], body[14:])
        header.icc_count = body[13]
    elif marker == APP0 and body.startswith(b"JFIF\0") and len(body) >= JFIF_BYTES:
        # Its presence alone tells libjpeg that three components are YCbCr; its density is dropped.
        header.kept.append(b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0")


def _read_frame(marker: int, body: bytes, header: _Header) -> None:
    if header.frame or len(body) < 6:
        raise BrokenContainer
    precision, header.height, header.width, header.components = struct.unpack_from(">BHHB", body)
    header.frame = marker
    colours = [body[at : at + 3] for at in range(6, 6 + 3 * header.components, 3)]
    if len(body) < 6 + 3 * header.components:
        raise BrokenContainer
    header.sampling = [colour[1] & 15 for colour in colours]
    header.missing = {colour[0]: bytearray(b"\xff" * COEFFICIENTS) for colour in colours}
    if marker in SOF_OTHER or precision != 8:
        raise UnknownContainer


def _profile(header: _Header) -> bytes | None:
    """Join the pieces of an ICC profile (ICC.1, annex B.4); None unless each of them came."""
    if not header.icc or sorted(header.icc) != list(range(1, header.icc_count + 1)):
        return None
    return b"".join(header.icc[number] for number in sorted(header.icc))


def _find_end(photo: bytes, first: int, header: _Header) -> int | None:
    """Follow the scans; return where the picture ends, None where EOI says so.

    Raises:
        BrokenContainer: Cut before every coefficient has come; more scans than a photo has; or nothing but
            fill bytes. The picture's own end is the last marker looked at.
    """
    at, scans, end = first, 0, None
    for _ in range(MAX_PARTS):
        try:
            marker, start, at = _next_segment(photo, at, _MARKER_AFTER_SCAN, len(photo))
        except _CutShort:
            if end is None:
                raise
            return end
        if marker == EOI:
            return None if end in {None, start} else end
        if marker == SOI and end is not None:
            return end
        scans += marker == SOS
        if scans > MAX_SCANS:
            break
        if marker == SOS and end is None and _completes(photo[start + 4 : at], header):
            end = _scan_end(photo, at)
            header.scan_bytes = end - at
            closed = photo.startswith(_EOI, end)
            if scans == 1:
                return None if closed else end
            if scans > MAX_SCANS_WITHOUT_END and not closed:
                break
    raise BrokenContainer


def _completes(scan: bytes, header: _Header) -> bool:
    """Note what a scan brings; tell whether all coefficients have come by now, to the last bit."""
    colours = scan[0] if scan else 0
    if len(scan) != 4 + 2 * colours:
        return False
    first, last, bits = scan[-3], scan[-2], scan[-1] & 15
    if header.frame not in SOF_PROGRESSIVE:
        first, last, bits = 0, COEFFICIENTS - 1, 0
    for colour in scan[1:-3:2]:
        if colour in header.missing and first <= last < COEFFICIENTS:
            header.first = first
            header.missing[colour][first : last + 1] = bytes([bits]) * (last + 1 - first)
    return not any(map(any, header.missing.values()))


def _scan_end(photo: bytes, at: int) -> int:
    """Return where a scan's data ends: at the next marker, or with the file."""
    match = _MARKER_AFTER_SCAN.search(photo, at)
    return match.start() if match else len(photo)
