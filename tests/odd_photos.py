"""Photos that break a rule or use a rare one, made in memory; `tests/browser` asks Chromium how they look."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests import photos
from tests.photos import png_chunk, webp_chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCREEN, SMALL, PLACE = (80, 60), (50, 40), (10, 12)
"""A canvas, a first frame that is smaller, and where it lies."""
FULL_FRAME, SMALL_FRAME = photos.quadrants(SCREEN), photos.quadrants(SMALL)
DEFAULT_IMAGE = FULL_FRAME.rotate(180)
PNG_END = png_chunk(b"IEND", b"")


def on_canvas(frame: Image.Image, place: tuple[int, int] = PLACE) -> Image.Image:
    """Return what is to be seen of a small first frame: white around it."""
    canvas = Image.new("RGB", SCREEN, "white")
    canvas.paste(frame, place)
    return canvas


# -- EXIF ------------------------------------------------------------------


def tiff(*tags: tuple[int, int, int], order: str = "<", number: int = 0x0112) -> bytes:
    """Return an EXIF block of orientations, each as (kind, how many values, value)."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(
        struct.pack(order + "HHI", number, kind, count)
        + struct.pack(order + {1: "B3x", 3: "H2x", 4: "I", 8: "h2x", 9: "i"}[kind], value)
        for kind, count, value in tags
    )
    return mark + struct.pack(order + "IH", 8, len(tags)) + entries + b"\0\0\0\0"


def jpeg_with_exif(*segments: bytes) -> bytes:
    """Return ``photos.PICTURE`` with APP1 segments."""
    plain = photos.READABLE["baseline JPEG"]
    return photos.with_jpeg_segments(plain, *(photos.jpeg_segment(0xE1, body) for body in segments))


def png_with_exif(before: Sequence[bytes] = (), after: Sequence[bytes] = ()) -> bytes:
    """Return ``photos.PICTURE`` with eXIf chunks before and after its data."""
    plain = photos.READABLE["PNG"]
    at = plain.index(b"IDAT") - 4
    return b"".join(
        (
            plain[:at],
            *(png_chunk(b"eXIf", body) for body in before),
            plain[at:-12],
            *(png_chunk(b"eXIf", body) for body in after),
            plain[-12:],
        )
    )


def webp_with_exif(body: bytes) -> bytes:
    """Return ``photos.PICTURE`` as WebP with EXIF."""
    return photos.save(photos.PICTURE, "WEBP", lossless=True, exif=body)


SIDEWAYS = tiff((3, 1, 6))
"""Orientation 6, as EXIF defines it."""
ORIENTATIONS: dict[str, tuple[bytes, int]] = {
    "JPEG": (jpeg_with_exif(b"Exif\0\0" + SIDEWAYS), 6),
    "JPEG, big end first": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 1, 6), order=">")), 6),
    "JPEG, another byte behind the name": (jpeg_with_exif(b"Exif\0\xff" + SIDEWAYS), 6),
    "JPEG, a LONG": (jpeg_with_exif(b"Exif\0\0" + tiff((4, 1, 6))), 1),
    "JPEG, a BYTE": (jpeg_with_exif(b"Exif\0\0" + tiff((1, 1, 6))), 1),
    "JPEG, two values": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 2, 6))), 1),
    "JPEG, no value": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 0, 6))), 1),
    "JPEG, 0": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 1, 0))), 1),
    "JPEG, 9": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 1, 9))), 1),
    "JPEG, twice": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 1, 6), (3, 1, 3))), 6),
    "JPEG, 9 and then 6": (jpeg_with_exif(b"Exif\0\0" + tiff((3, 1, 9), (3, 1, 6))), 6),
    "JPEG, a LONG and then a SHORT": (jpeg_with_exif(b"Exif\0\0" + tiff((4, 1, 3), (3, 1, 6))), 6),
    "JPEG, more tags promised": (
        jpeg_with_exif(b"Exif\0\0" + SIDEWAYS[:8] + b"\5\0" + SIDEWAYS[10:]),
        6,
    ),
    "JPEG, cut in the tag": (jpeg_with_exif(b"Exif\0\0" + SIDEWAYS[:20]), 1),
    "JPEG, no TIFF": (jpeg_with_exif(b"Exif\0\0II+\0" + SIDEWAYS[4:]), 1),
    "JPEG, two segments": (jpeg_with_exif(b"Exif\0\0" + SIDEWAYS, b"Exif\0\0" + tiff((3, 1, 3))), 6),
    "JPEG, a silent segment first": (
        jpeg_with_exif(b"Exif\0\0" + tiff((3, 1, 1), number=0x0213), b"Exif\0\0" + SIDEWAYS),
        1,
    ),
    "JPEG, a broken segment first": (jpeg_with_exif(b"Exif\0\0II", b"Exif\0\0" + SIDEWAYS), 1),
    "JPEG, an empty segment first": (jpeg_with_exif(b"Exif\0\0", b"Exif\0\0" + SIDEWAYS), 6),
    "JPEG, XMP first": (
        jpeg_with_exif(b"http://ns.adobe.com/xap/1.0/\0<x/>", b"Exif\0\0" + SIDEWAYS),
        6,
    ),
    "PNG": (png_with_exif([SIDEWAYS]), 6),
    "PNG, a LONG": (png_with_exif([tiff((4, 1, 6))]), 1),
    "PNG, 9": (png_with_exif([tiff((3, 1, 9))]), 1),
    "PNG, behind the picture": (png_with_exif((), [SIDEWAYS]), 1),
    "PNG, before and behind": (png_with_exif([SIDEWAYS], [tiff((3, 1, 3))]), 6),
    "PNG, two": (png_with_exif([SIDEWAYS, tiff((3, 1, 3))]), 6),
    "PNG, as in JPEG": (png_with_exif([b"Exif\0\0" + SIDEWAYS]), 1),
    "PNG, wrong checksum": (
        png_with_exif([SIDEWAYS]).replace(png_chunk(b"eXIf", SIDEWAYS)[-4:], b"abcd"),
        1,
    ),
    "WebP": (webp_with_exif(SIDEWAYS), 1),
    "WebP, as in JPEG": (webp_with_exif(b"Exif\0\0" + SIDEWAYS), 1),
}
"""``photos.PICTURE``, and how it is to be turned."""


# -- PNG -------------------------------------------------------------------


def filtered(samples: NDArray[np.generic]) -> bytes:
    """Return rows as a PNG packs them: each behind its filter, which is none."""
    return b"".join(b"\0" + row.tobytes() for row in samples)


def packed(image: Image.Image) -> bytes:
    """Return the compressed rows of an RGB picture."""
    return zlib.compress(filtered(np.asarray(image)))


def interlaced(image: Image.Image) -> bytes:
    """Return the compressed rows of an RGB picture in seven passes."""
    samples = np.asarray(image)
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    return zlib.compress(b"".join(filtered(samples[y::down, x::across]) for x, y, across, down in passes))


def rgb_png(
    size: tuple[int, int], data: bytes, *chunks: bytes, adam7: bool = False, step: int = 700
) -> bytes:
    """Return an RGB picture whose compressed rows are cut into chunks, without IEND."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, adam7))
    pieces = (png_chunk(b"IDAT", data[at : at + step]) for at in range(0, len(data), step))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *chunks, *pieces))


def fctl(number: int, size: tuple[int, int], place: tuple[int, int] = (0, 0)) -> bytes:
    """Return what an APNG says of a frame."""
    return png_chunk(b"fcTL", struct.pack(">5IHHBB", number, *size, *place, 1, 1, 0, 0))


def fdat(number: int, data: bytes) -> bytes:
    """Return a frame's data, or a piece of it."""
    return png_chunk(b"fdAT", struct.pack(">I", number) + data)


def actl(frames: int) -> bytes:
    """Return what makes a PNG an animation."""
    return png_chunk(b"acTL", struct.pack(">II", frames, 1))


def apng(*frames: bytes, announced: int = 1) -> bytes:
    """Return an animation that does not begin with its default image."""
    return rgb_png(SCREEN, packed(DEFAULT_IMAGE), actl(announced)) + b"".join(frames) + PNG_END


FIRST_FRAMES: dict[str, tuple[bytes, Image.Image]] = {
    "APNG": (
        rgb_png(SCREEN, packed(FULL_FRAME), actl(2), fctl(0, SCREEN))
        + fctl(1, SCREEN)
        + fdat(2, packed(DEFAULT_IMAGE))
        + PNG_END,
        FULL_FRAME,
    ),
    "APNG, default image apart": (
        apng(fctl(0, SCREEN), fdat(1, packed(FULL_FRAME)), fctl(2, SCREEN), fdat(3, packed(DEFAULT_IMAGE)),
             announced=2),
        FULL_FRAME,
    ),
    "APNG, default image apart, smaller frame": (
        apng(fctl(0, SMALL, PLACE), fdat(1, packed(SMALL_FRAME))),
        on_canvas(SMALL_FRAME),
    ),
    "APNG, default image apart, frame in two pieces": (
        apng(fctl(0, SCREEN), fdat(1, packed(FULL_FRAME)[:30]), fdat(2, packed(FULL_FRAME)[30:])),
        FULL_FRAME,
    ),
    "APNG of no frames": (
        apng(fctl(0, SCREEN), fdat(1, packed(FULL_FRAME)), announced=0),
        DEFAULT_IMAGE,
    ),
    "APNG, announced too late": (
        rgb_png(SCREEN, packed(DEFAULT_IMAGE)) + actl(1) + fctl(0, SCREEN) + fdat(1, packed(FULL_FRAME))
        + PNG_END,
        DEFAULT_IMAGE,
    ),
}  # fmt: skip
"""Files, and what is to be seen of them."""


def key(*values: int) -> bytes:
    """Return a tRNS chunk that names a colour."""
    return png_chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def packed_bits(samples: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """Return samples of less than 8 bits as they lie in a row."""
    each = 8 // depth
    out = np.zeros((samples.shape[0], samples.shape[1] // each), np.uint8)
    for n in range(each):
        out |= samples[:, n::each] << (8 - depth * (n + 1))
    return out


def _transparent() -> dict[str, tuple[bytes, Image.Image]]:
    chance = np.random.default_rng(3)
    width, height = 64, 48
    found: dict[str, tuple[bytes, Image.Image]] = {}

    def add(name: str, photo: bytes, seen: NDArray[np.generic]) -> None:
        found[name] = photo, Image.fromarray(seen.astype(np.uint8)).convert("RGB")

    for depth in (1, 2, 4, 8):
        most = (1 << depth) - 1
        shades = chance.integers(0, most + 1, (height, width)).astype(np.uint8)
        rows = filtered(packed_bits(shades, depth))
        grey = shades.astype(int) * (255 // most)
        for value in {0, 1, most - 1, most}:
            photo = photos.png(width, height, 0, depth, rows, key(value))
            add(f"grey of {depth} bits, key {value}", photo, np.where(shades == value, 255, grey))
        photo = photos.png(width, height, 0, depth, rows, key(0xFF00))
        add(f"grey of {depth} bits, key 0xff00", photo, np.where(shades == 0, 255, grey))
        if depth < 8:
            add(
                f"grey of {depth} bits, key beyond",
                photos.png(width, height, 0, depth, rows, key(most + 1)),
                grey,
            )

    deep = chance.integers(0, 0x10000, (height, width)).astype(">u2")
    deep[:, ::2], deep[0], deep[1] = 0x1234, 0x1235, 0x1334
    photo = photos.png(width, height, 0, 16, filtered(deep), key(0x1234))
    add("grey of 16 bits", photo, np.where(deep == 0x1234, 255, deep >> 8))
    deep = chance.integers(0, 0x10000, (height, width, 3)).astype(">u2")
    wanted = (0x1234, 0x5678, 0x9ABC)
    deep[:, ::2], deep[0], deep[1] = wanted, (*wanted[:2], 0x9ABD), (0x1334, *wanted[1:])
    photo = photos.png(width, height, 2, 16, filtered(deep), key(*wanted))
    add("RGB of 16 bits", photo, np.where((deep == wanted).all(2, keepdims=True), 255, deep >> 8))

    rgb = chance.integers(0, 256, (height, width, 3)).astype(np.uint8)
    rgb[:, ::2] = (10, 20, 30)
    hidden = np.where((rgb == (10, 20, 30)).all(2, keepdims=True), 255, rgb)
    rows = filtered(rgb)
    add("RGB", photos.png(width, height, 2, 8, rows, key(10, 20, 30)), hidden)
    add("RGB, upper bytes", photos.png(width, height, 2, 8, rows, key(0x10A, 0x114, 0x11E)), hidden)
    add("RGB, key too short", photos.png(width, height, 2, 8, rows, png_chunk(b"tRNS", b"\x0a\x14\x1e")), rgb)
    add("RGB, no key", photos.png(width, height, 2, 8, rows, png_chunk(b"tRNS", b"")), rgb)
    add("RGB, two keys", photos.png(width, height, 2, 8, rows, key(10, 20, 30), key(1, 2, 3)), hidden)
    add("RGB, wrong checksum", photos.png(width, height, 2, 8, rows, key(10, 20, 30)[:-4] + b"abcd"), rgb)
    plain = photos.png(width, height, 2, 8, rows)
    add("RGB, key behind the picture", plain[:-12] + key(10, 20, 30) + plain[-12:], rgb)

    indices = chance.integers(0, 4, (height, width)).astype(np.uint8)
    colours = chance.integers(0, 255, (4, 3)).astype(np.uint8)
    palette = png_chunk(b"PLTE", colours.tobytes())
    first = png_chunk(b"tRNS", b"\0")
    hidden = np.where((indices == 0)[..., None], 255, colours[indices])
    rows = filtered(indices)
    add("palette", photos.png(width, height, 3, 8, rows, palette, first), hidden)
    longer = png_chunk(b"tRNS", b"\0\xff\xff\xff\0\0")
    add("palette, more values than colours", photos.png(width, height, 3, 8, rows, palette, longer), hidden)
    add(
        "palette, in the wrong order", photos.png(width, height, 3, 8, rows, first, palette), colours[indices]
    )
    plain = photos.png(width, height, 3, 8, rows, palette)
    add("palette, behind the picture", plain[:-12] + first + plain[-12:], colours[indices])
    return found


TRANSPARENT = _transparent()
"""PNGs of which one colour is transparent, and what is to be seen of them on white."""


# -- GIF -------------------------------------------------------------------


def gif(
    screen: tuple[int, int], size: tuple[int, int], place: tuple[int, int], transparent: int | None = None
) -> tuple[bytes, Image.Image]:
    """Return a GIF of one frame in four colours, the first of them red, and its picture on white."""
    image = Image.fromarray(
        np.add.outer(np.arange(size[1]) // 8, np.arange(size[0]) // 8).astype(np.uint8) % 4
    )
    frame = image.convert("P")
    frame.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 128, 128, 128])
    options = {} if transparent is None else {"transparency": transparent}
    photo = photos.save(frame, "GIF", optimize=False, **options)
    at = photo.index(b",", 13 + 12)
    photo = b"".join(
        (
            photo[:6], struct.pack("<2H", *screen), photo[10 : at + 1],
            struct.pack("<2H", *place), photo[at + 5 :],
        )
    )  # fmt: skip
    if transparent is not None:
        frame.info["transparency"] = transparent
    shown = frame.convert("RGBA")
    across, down = (max(s, p + n) for s, p, n in zip(screen, place, size, strict=True))
    canvas = Image.new("RGB", (across, down), "white")
    canvas.paste(shown, place, shown)
    return photo, canvas


FIRST_FRAMES |= {
    "GIF": gif(SCREEN, SCREEN, (0, 0)),
    "GIF, smaller frame": gif(SCREEN, SMALL, PLACE),
    "GIF, smaller frame, red transparent": gif(SCREEN, SMALL, PLACE, 0),
    "GIF, smaller frame, blue transparent": gif(SCREEN, SMALL, PLACE, 2),
    "GIF, frame larger than the screen": gif(SMALL, SCREEN, (0, 0)),
    "GIF, frame over an edge": gif(SCREEN, SMALL, (50, 30)),
    "GIF, frame beside the screen": gif(SCREEN, SMALL, (100, 70)),
    "GIF, no screen": gif((0, 0), SCREEN, (0, 0)),
}


# -- WebP ------------------------------------------------------------------


def webp(*chunks: bytes, longer: int = 0) -> bytes:
    """Return a WebP of chunks, whose header announces so many bytes more than there are."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) + longer) + body


def animation(
    frame: Image.Image,
    place: tuple[int, int] = PLACE,
    flags: int = 0x02,
    background: bytes = bytes(4),
    disposal: int = 0,
    **options: object,
) -> bytes:
    """Return an animation of one frame on a canvas of 80 x 60."""
    still = photos.save(frame, "WEBP", **options)
    coded = still[12:] if still[12:16] != b"VP8X" else still[30:]
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in frame.size)
    at = b"".join(struct.pack("<I", n // 2)[:3] for n in place)
    canvas = b"".join(struct.pack("<I", side - 1)[:3] for side in SCREEN)
    return webp(
        webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas),
        webp_chunk(b"ANIM", background + b"\0\0"),
        webp_chunk(b"ANMF", at + sides + b"\x10\0\0" + bytes([disposal]) + coded),
    )


def _see_through() -> tuple[Image.Image, Image.Image]:
    image = SMALL_FRAME.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SMALL))
    white = Image.new("RGB", SMALL, "white")
    white.paste(image, (0, 0), image)
    return image, white


_ALPHA, _ALPHA_ON_WHITE = _see_through()
FIRST_FRAMES |= {
    "WebP, smaller frame": (animation(SMALL_FRAME, lossless=True), on_canvas(SMALL_FRAME)),
    "WebP, smaller frame, flag for alpha": (
        animation(SMALL_FRAME, flags=0x12, lossless=True), on_canvas(SMALL_FRAME),
    ),
    "WebP, smaller frame, red background": (
        animation(SMALL_FRAME, background=b"\0\0\xff\xff", lossless=True), on_canvas(SMALL_FRAME),
    ),
    "WebP, smaller frame, disposed of": (
        animation(SMALL_FRAME, disposal=3, lossless=True), on_canvas(SMALL_FRAME),
    ),
    "WebP, smaller transparent frame": (
        animation(_ALPHA, flags=0x12, lossless=True), on_canvas(_ALPHA_ON_WHITE),
    ),
    "WebP, smaller transparent frame, lossy": (
        animation(_ALPHA, flags=0x12, quality=100, exact=True), on_canvas(_ALPHA_ON_WHITE),
    ),
    "WebP, smaller frame, lossy": (animation(SMALL_FRAME, quality=100), on_canvas(SMALL_FRAME)),
}  # fmt: skip


# -- without their end -----------------------------------------------------

DETAILED = photos.detailed((96, 64))
_ROWS, _PASSES = packed(DETAILED), interlaced(DETAILED)
_GIF = photos.save(DETAILED.quantize(256), "GIF")

TRAILERS = {
    "nothing": b"",
    "half of the marker": b"\xff",
    "zeros": bytes(5_000),
    "a phone's data": b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000SEFHk\0\0\0\x01\0\0\0SEFT",
    "rubbish": np.random.default_rng(4).bytes(3_000),
    "a film": b"\0\0\0\x18ftypmp42" + np.random.default_rng(5).bytes(70_000),
    "a second picture": photos.READABLE["baseline JPEG"],
}
"""What is found in place of a JPEG's last marker."""

ENDLESS_PNGS: dict[str, bytes] = {
    "no IEND": rgb_png(DETAILED.size, _ROWS),
    "half of IEND": rgb_png(DETAILED.size, _ROWS) + PNG_END[:6],
    "IEND without its checksum": rgb_png(DETAILED.size, _ROWS) + PNG_END[:8],
    "IEND with a wrong checksum": rgb_png(DETAILED.size, _ROWS) + PNG_END[:8] + b"abcd",
    "IEND that is endless": rgb_png(DETAILED.size, _ROWS) + b"\xff\xff\xff\xffIEND",
    "no checksum of the last data": rgb_png(DETAILED.size, _ROWS)[:-4],
    "wrong checksum of the last data": rgb_png(DETAILED.size, _ROWS)[:-4] + b"abcd" + PNG_END,
    "no checksum of all data": rgb_png(DETAILED.size, _ROWS[:-4]) + PNG_END,
    "half a checksum of all data": rgb_png(DETAILED.size, _ROWS)[:-6],
    "wrong checksum of all data": rgb_png(DETAILED.size, _ROWS[:-4] + b"abcd") + PNG_END,
    "wrong checksum of all data, no IEND": rgb_png(DETAILED.size, _ROWS[:-4] + b"abcd"),
    "rubbish for IEND": rgb_png(DETAILED.size, _ROWS) + np.random.default_rng(6).bytes(500),
    "zeros for IEND": rgb_png(DETAILED.size, _ROWS) + bytes(500),
    "a text that is cut": rgb_png(DETAILED.size, _ROWS) + png_chunk(b"tEXt", b"a\0" + b"b" * 90)[:50],
    "interlaced, no IEND": rgb_png(DETAILED.size, _PASSES, adam7=True),
    "interlaced, no checksum of all data": rgb_png(DETAILED.size, _PASSES[:-4], adam7=True),
    "interlaced, wrong checksum of all data": rgb_png(
        DETAILED.size, _PASSES[:-4] + b"abcd", adam7=True
    ) + PNG_END,
}  # fmt: skip
"""PNGs of ``DETAILED`` whose rows have all come."""
ENDLESS_GIFS: dict[str, bytes] = {
    "no trailer": _GIF[:-1],
    "no last block": _GIF[:-2],
    "no code for the end": _GIF[:-3],
    "rubbish for the trailer": _GIF[:-1] + b"rubbish" * 9,
}
"""GIFs of ``DETAILED`` whose pixels have all come."""
