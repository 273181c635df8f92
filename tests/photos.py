"""Photos in every format that is read, made in memory: turned, coloured, with a canary in every corner."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANARY = b"CANARY-5f1c9e27"
"""Stands for whatever a supporter would not want to publish."""

RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 180, 20), (20, 20, 220), (255, 255, 255)
MIDDLE: Mapping[str, Any] = {"x": 0.5, "y": 0.5, "zoom": 1}
"""Asks for the largest square from the middle, where a test means that one and no choice."""
QUADRANTS_HEIC = Path(__file__).parent / "data" / "quadrants.heic"

TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera stores what is seen upright, by EXIF orientation (the inverse of the reader's turn)."""


def quadrants(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return a picture whose corners all differ: red, green / blue, white."""
    width, height = size
    image = Image.new("RGB", size, WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def stored(image: Image.Image, orientation: int) -> Image.Image:
    """Return an upright picture as a camera would store it under an EXIF orientation."""
    turn = TO_STORED[orientation]
    return image if turn is None else image.transpose(turn)


def detailed(size: tuple[int, int]) -> Image.Image:
    """Return a picture with smooth shades and detail at every scale, never the same twice along a line."""
    # Not Image.effect_noise, which is different on every run.
    values = np.random.default_rng(5).normal(128, 50, (size[1], size[0], 3))
    noise = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    shades = Image.merge("RGB", [Image.linear_gradient("L").rotate(a).resize(size) for a in (0, 90, 180)])
    return Image.blend(shades, noise, 0.3)


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode with Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def display_p3() -> bytes:
    """Return an ICC profile of Display P3."""
    return rgb_profile((0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060))


def adobe_rgb() -> bytes:
    """Return an ICC profile with the primaries and the gamma of Adobe RGB (1998)."""
    return rgb_profile((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), gamma=563 / 256)


def rgb_profile(primaries: tuple[float, ...], gamma: float | None = None, text: bytes = b"") -> bytes:
    """Return an ICC profile (version 4) of three primaries and a curve (sRGB's, or a gamma)."""
    xy = np.array(primaries).reshape(4, 2)
    white, *rest = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]], axis=1)
    columns = np.array(rest).T
    rgb_to_xyz = columns * np.linalg.solve(columns, white)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.96422, 1, 0.82521])
    adapt = np.linalg.solve(bradford, np.diag((bradford @ d50) / (bradford @ white)) @ bradford)
    red, green, blue = (adapt @ rgb_to_xyz).T

    def fixed(numbers: Any) -> bytes:
        return b"".join(struct.pack(">i", round(float(n) * 65536)) for n in numbers)

    if gamma is None:
        curve = struct.pack(">4s4xHxx", b"para", 3) + fixed(
            (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        )
    else:
        curve = struct.pack(">4s4xHxx", b"para", 0) + fixed((gamma,))
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(d50)}
    tags |= {
        name: b"XYZ \0\0\0\0" + fixed(v) for name, v in ((b"rXYZ", red), (b"gXYZ", green), (b"bXYZ", blue))
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    if text:
        utf16 = text.decode().encode("utf-16-be")
        tags[b"desc"] = struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(utf16), 28) + utf16
        tags[b"cprt"] = b"text\0\0\0\0" + text + b"\0"
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + b"\0" * (-len(tag) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, kind, space, connection)
    return head + b"\0" * 12 + b"acsp" + b"\0" * 28 + white + b"\0" * 48 + table + body


def lut_profile(space: bytes, tables: Mapping[bytes, Sequence[Sequence[float]]], *, deep: bool) -> bytes:
    """Return an ICC profile (version 2) of tables, each with the Lab of every corner of the device's colours.

    Args:
        space: ``RGB `` or ``CMYK``.
        tables: By tag (A2B0, A2B1); the last channel varies fastest.
        deep: 16 bits (mft2) instead of 8 (mft1).
    """
    tags = {}
    for name, table in tables.items():
        channels = len(table).bit_length() - 1
        matrix = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
        head = struct.pack(">4s4xBBBx", b"mft2" if deep else b"mft1", channels, 3, 2) + matrix
        lab = np.add(table, (0, 128, 128))
        if deep:
            nodes = np.round(lab * (652.8, 256, 256)).astype(">u2").tobytes()
            curve = struct.pack(">HH", 0, 65535)
            tags[name] = head + struct.pack(">HH", 2, 2) + curve * channels + nodes + curve * 3
        else:
            nodes = np.round(lab * (2.55, 1, 1)).astype(np.uint8).tobytes()
            curve = bytes(range(256))
            tags[name] = head + curve * channels + nodes + curve * 3
    return _version_2(_profile(b"scnr", space, b"Lab ", tags))


def grey_profile(gamma: float) -> bytes:
    """Return an ICC profile (version 2) of greys with a gamma."""
    curve = struct.pack(">4s4xIH", b"curv", 1, round(gamma * 256))
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return _version_2(_profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve}))


def _version_2(profile: bytes) -> bytes:
    return profile[:8] + b"\x02\x40\0\0" + profile[12:]


def srgb() -> bytes:
    """Return the colour engine's own sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# -- metadata --------------------------------------------------------------


def exif(orientation: int = 1, canary: bytes = b"") -> bytes:
    """Return an EXIF block, with the canary in its texts, MakerNote, UserComment, GPS and thumbnail."""
    block = Image.Exif()
    block[0x0112] = orientation
    if canary:
        block[0x010E] = canary.decode()
        details, place = block.get_ifd(0x8769), block.get_ifd(0x8825)
        details[0x927C] = canary + b"-maker"
        details[0x9286] = b"ASCII\0\0\0" + canary
        place[1], place[2] = "N", (31.0, 46.0, 12.0)
        place[0x1B] = canary + b"-gps"
    data = block.tobytes()
    return data + canary + b"-thumbnail" if canary else data


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """Return an APPn or COM segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_jpeg_segments(photo: bytes, *segments: bytes) -> bytes:
    """Put segments behind a JPEG's first two bytes."""
    return photo[:2] + b"".join(segments) + photo[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def with_png_chunks(photo: bytes, *chunks: bytes) -> bytes:
    """Put chunks behind a PNG's header."""
    return photo[:33] + b"".join(chunks) + photo[33:]


def png(width: int, height: int, colour_type: int, depth: int, rows: bytes, *chunks: bytes) -> bytes:
    """Return a PNG of raw rows (each begins with its filter byte)."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(rows))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *chunks, data, png_chunk(b"IEND", b"")))


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a WebP chunk."""
    return struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


# -- HEIF ------------------------------------------------------------------


def box(kind: bytes, body: bytes) -> bytes:
    """Return a box of the ISO base media format."""
    return struct.pack(">I4s", 8 + len(body), kind) + body


def nclx(primaries: int, transfer: int) -> bytes:
    """Return the property that names colours by numbers."""
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, 6, 0x80))


def heic(
    *properties: bytes, exif: bytes = b"", xmp: bytes = b"", size: tuple[int, int] | None = None
) -> bytes:
    """Return ``quadrants((128, 64))`` as a HEIC: its picture with more properties, and with metadata.

    Args:
        properties: Boxes (irot, imir, colr, ...) in the order in which they apply.
        exif: A TIFF header and its directories.
        xmp: Any bytes.
        size: What the size property says, instead of the truth.
    """
    sample = QUADRANTS_HEIC.read_bytes()
    at = sample.index(b"hvcC") - 4
    (length,) = struct.unpack_from(">I", sample, at)
    coded = sample[sample.index(b"mdat") + 4 :]
    return heif(
        b"heic", b"hvc1", sample[at : at + length], coded, size or (128, 64), properties, exif=exif, xmp=xmp
    )


def heif(  # noqa: PLR0917 - a file's parts, in their order
    brand: bytes,
    item: bytes,
    configuration: bytes,
    coded: bytes,
    size: tuple[int, int],
    properties: tuple[bytes, ...] = (),
    *,
    exif: bytes = b"",
    xmp: bytes = b"",
) -> bytes:
    """Return a HEIF or AVIF of one coded picture."""
    kinds = [item + b"\0"] + [b"Exif\0"] * bool(exif) + [b"mime\0application/rdf+xml\0"] * bool(xmp)
    bodies = [coded] + [b"\0\0\0\0" + exif] * bool(exif) + [xmp] * bool(xmp)
    entries = [
        box(b"infe", struct.pack(">IHH", 0x02000000, number, 0) + kind)
        for number, kind in enumerate(kinds, 1)
    ]
    described = [box(b"cdsc", struct.pack(">HHH", number, 1, 1)) for number in range(2, len(kinds) + 1)]
    container = [configuration, box(b"ispe", struct.pack(">III", 0, *size)), *properties]
    links = b"".join(bytes([0x80 | number]) for number in range(1, len(container) + 1))
    ftyp = box(b"ftyp", brand + b"\0\0\0\0" + b"mif1" + brand + b"miaf")

    def meta(offset: int) -> bytes:
        places = b""
        for number, body in enumerate(bodies, 1):
            places += struct.pack(">HHHII", number, 0, 1, offset, len(body))
            offset += len(body)
        return box(
            b"meta",
            b"\0\0\0\0"
            + box(b"hdlr", b"\0" * 8 + b"pict" + b"\0" * 13)
            + box(b"pitm", struct.pack(">IH", 0, 1))
            + box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(bodies)) + places)
            + box(b"iinf", struct.pack(">IH", 0, len(entries)) + b"".join(entries))
            + (box(b"iref", b"\0\0\0\0" + b"".join(described)) if described else b"")
            + box(
                b"iprp",
                box(b"ipco", b"".join(container))
                + box(b"ipma", struct.pack(">IIHB", 0, 1, 1, len(container)) + links),
            ),
        )

    head = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(head) + box(b"mdat", b"".join(bodies))


def avif(image: Image.Image, *properties: bytes, exif: bytes = b"", xmp: bytes = b"") -> bytes:
    """Return an AVIF whose picture has more properties, and with metadata."""
    sample = save(image, "AVIF", quality=95, subsampling="4:4:4")
    at = sample.index(b"av1C") - 4
    (length,) = struct.unpack_from(">I", sample, at)
    coded = sample[sample.index(b"mdat") + 4 :]
    return heif(b"avif", b"av01", sample[at : at + length], coded, image.size, properties, exif=exif, xmp=xmp)


def irot(quarters: int) -> bytes:
    """Return the property that turns a picture by quarters, anticlockwise."""
    return box(b"irot", bytes([quarters]))


def imir(axis: int) -> bytes:
    """Return the property that mirrors a picture: 0 swaps top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


# -- one of each ------------------------------------------------------------

PICTURE = quadrants((128, 64))
ANIMATION = [PICTURE.rotate(180)] * 3
READABLE: dict[str, bytes] = {
    "baseline JPEG": save(PICTURE, "JPEG", quality=95, subsampling=0),
    "progressive JPEG": save(PICTURE, "JPEG", quality=95, subsampling=0, progressive=True),
    "MPO": save(PICTURE, "MPO", quality=95, subsampling=0, save_all=True, append_images=ANIMATION),
    "JPEG with bytes after its end": save(PICTURE, "JPEG", quality=95, subsampling=0) + b"\xff\xd8" * 999,
    "PNG": save(PICTURE, "PNG"),
    "palette PNG": save(PICTURE.quantize(8), "PNG"),
    "APNG": save(PICTURE, "PNG", save_all=True, append_images=ANIMATION),
    "GIF": save(PICTURE, "GIF"),
    "animated GIF": save(PICTURE, "GIF", save_all=True, append_images=ANIMATION),
    "WebP": save(PICTURE, "WEBP", quality=95),
    "lossless WebP": save(PICTURE, "WEBP", lossless=True),
    "animated WebP": save(PICTURE, "WEBP", lossless=True, save_all=True, append_images=ANIMATION),
    "AVIF": avif(PICTURE),
    "animated AVIF": save(
        PICTURE, "AVIF", quality=95, subsampling="4:4:4", save_all=True, append_images=ANIMATION
    ),
    "HEIC": heic(),
}


GREY_ROWS = (b"\0" + b"\x40" * 32 + b"\xc8" * 32) * 32
TRANSPARENT: dict[str, bytes] = {
    "RGBA": png(64, 32, 6, 8, (b"\0" + b"\x10\x20\x30\0" * 32 + b"\xc8\xc8\xc8\xff" * 32) * 32),
    "grey and alpha": png(64, 32, 4, 8, (b"\0" + b"\x40\0" * 32 + b"\xc8\xff" * 32) * 32),
    "palette": png(
        64, 32, 3, 8, (b"\0" + b"\0" * 32 + b"\1" * 32) * 32,
        png_chunk(b"PLTE", b"\x10\x20\x30\xc8\xc8\xc8"), png_chunk(b"tRNS", b"\0\xff"),
    ),
    "grey with a key": png(64, 32, 0, 8, GREY_ROWS, png_chunk(b"tRNS", b"\0\x40")),
    "RGB with a key": png(
        64, 32, 2, 8, (b"\0" + b"\x10\x20\x30" * 32 + b"\xc8\xc8\xc8" * 32) * 32,
        png_chunk(b"tRNS", b"\0\x10\0\x20\0\x30"),
    ),
    "16-bit grey with a key": png(
        64, 32, 0, 16, (b"\0" + b"\x40\x01" * 32 + b"\xc8\xc8" * 32) * 32,
        png_chunk(b"tRNS", b"\x40\x01"),
    ),
    "16-bit RGB with a key": png(
        64, 32, 2, 16, (b"\0" + b"\x10\x01\x20\x02\x30\x03" * 32 + b"\xc8" * 6 * 32) * 32,
        png_chunk(b"tRNS", b"\x10\x01\x20\x02\x30\x03"),
    ),
    "16-bit RGBA": png(
        64, 32, 6, 16,
        (b"\0" + b"\x10\x10\x20\x20\x30\x30\0\0" * 32 + b"\xc8\xc8\xc8\xc8\xc8\xc8\xff\xff" * 32) * 32,
    ),
}  # fmt: skip
