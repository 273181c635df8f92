"""Nothing but pixels goes out: a canary in every place a file has for words, against every output format."""

from __future__ import annotations

import contextlib
import io
import zlib
from typing import TYPE_CHECKING, get_args

import pytest
from PIL import Image

from app.render.avatar import make_avatar
from app.render.rendition import make_rendition
from app.spec import AvatarSpec, Format
from tests import heif_files, photos
from tests.photos import CANARY, PICTURE

if TYPE_CHECKING:
    from app.render.overlay import Overlays

XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + CANARY + b"</x:xmpmeta>"
IPTC = (
    b"Photoshop 3.0\x008BIM\x04\x04\0\0"
    + (len(CANARY) + 5).to_bytes(4, "big")
    + b"\x1c\x02\x78\0\x0f"
    + CANARY
)
PROFILE = photos.rgb_profile((0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), text=CANARY)


def _jpeg(*segments: bytes, after: bytes = b"", progressive: bool = False) -> bytes:
    plain = photos.save(PICTURE, "JPEG", quality=90, progressive=progressive)
    return photos.with_jpeg_segments(plain, *segments) + after


def _second_picture() -> bytes:
    """Return a JPEG that carries the canary, to follow another."""
    return photos.with_jpeg_segments(photos.save(PICTURE, "JPEG"), photos.jpeg_segment(0xFE, CANARY))


def _jpeg_with_everything(*, progressive: bool = False) -> bytes:
    return _jpeg(
        photos.jpeg_segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x01\x01" + CANARY),
        photos.jpeg_segment(0xE1, b"Exif\0\0" + photos.exif(6, CANARY).removeprefix(b"Exif\0\0")),
        photos.jpeg_segment(0xE1, XMP),
        photos.jpeg_segment(0xED, IPTC),
        photos.jpeg_segment(0xE2, b"ICC_PROFILE\0\x01\x01" + PROFILE),
        photos.jpeg_segment(0xE2, b"MPF\0" + CANARY),
        photos.jpeg_segment(0xEB, b"JP" + CANARY),
        photos.jpeg_segment(0xFE, CANARY),
        after=_second_picture() + CANARY,
        progressive=progressive,
    )


def _mpo() -> bytes:
    buffer = io.BytesIO()
    second = PICTURE.rotate(180)
    PICTURE.save(buffer, "MPO", save_all=True, append_images=[second], comment=CANARY)
    return buffer.getvalue()


def _png_with_everything() -> bytes:
    plain = photos.save(PICTURE, "PNG")
    return (
        photos.with_png_chunks(
            plain,
            photos.png_chunk(b"iCCP", CANARY + b"\0\0" + zlib.compress(PROFILE)),
            photos.png_chunk(b"tEXt", b"Comment\0" + CANARY),
            photos.png_chunk(b"zTXt", b"Author\0\0" + zlib.compress(CANARY)),
            photos.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + CANARY),
            photos.png_chunk(b"eXIf", photos.exif(6, CANARY).removeprefix(b"Exif\0\0")),
            photos.png_chunk(b"prVt", CANARY),
        )
        + CANARY
    )


def _webp_with_everything() -> bytes:
    exif = photos.exif(6, CANARY)
    photo = photos.save(PICTURE, "WEBP", exif=exif, xmp=CANARY, icc_profile=PROFILE)
    private = photos.webp_chunk(b"PRIV", CANARY)
    size = int.from_bytes(photo[4:8], "little") + len(private)
    return photo[:4] + size.to_bytes(4, "little") + photo[8:] + private + CANARY


def _gif_with_everything() -> bytes:
    return (
        photos.save(PICTURE, "GIF", comment=CANARY, save_all=True, append_images=[PICTURE.rotate(180)])
        + CANARY
    )


def _colour_box() -> bytes:
    return photos.box(b"colr", b"prof" + PROFILE)


def _items_with_everything() -> bytes:
    """Return an AVIF with words in a property, in items, in the box idat and behind all boxes."""
    named = photos.box(b"udes", bytes(4) + b"en\0" + CANARY + b"\0\0\0")
    picture = heif_files.coded_avif(PICTURE, named)
    items = {
        1: picture,
        2: heif_files.Item(b"mime", CANARY, (), {b"cdsc": [1]}),
        3: heif_files.Item(b"uri ", CANARY, (), {b"cdsc": [1]}, in_idat=True),
        4: heif_files.Item(b"tmap", CANARY, (named,), {b"dimg": [1, 1]}),
    }
    return heif_files.build(items, 4, heif_files.Style(extents=2), after=photos.box(b"uuid", CANARY))


INPUTS = {
    "items": _items_with_everything(),
    "jpeg": _jpeg_with_everything(),
    "progressive jpeg": _jpeg_with_everything(progressive=True),
    "mpo": _mpo(),
    "png": _png_with_everything(),
    "webp": _webp_with_everything(),
    "gif": _gif_with_everything(),
    "avif": photos.avif(PICTURE, _colour_box(), exif=photos.exif(6, CANARY), xmp=CANARY) + CANARY,
    "heic": photos.heic(_colour_box(), exif=photos.exif(6, CANARY), xmp=CANARY) + photos.box(b"free", CANARY),
}
UTF16_CANARY = CANARY.decode().encode("utf-16-be")


def _leaks(data: bytes) -> bool:
    """Tell whether the canary is anywhere in a file, also inside what is packed in PNG chunks."""
    haystacks = [data]
    if data.startswith(b"\x89PNG"):
        at = 8
        while at + 8 <= len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            body = data[at + 8 : at + 8 + length]
            packed = body[body.find(b"\0") + 2 :] if data[at + 4 : at + 8] != b"IDAT" else body
            with contextlib.suppress(zlib.error):
                haystacks.append(zlib.decompressobj().decompress(packed))
            at += 12 + length
    return any(canary in haystack for haystack in haystacks for canary in (CANARY, UTF16_CANARY))


@pytest.mark.parametrize("name", INPUTS)
def test_the_canary_is_in_every_input(name: str) -> None:
    """The inputs do hold what must not come out, and the search finds it."""
    assert _leaks(INPUTS[name])


@pytest.mark.parametrize("output_format", get_args(Format))
@pytest.mark.parametrize("name", INPUTS)
def test_nothing_but_pixels_goes_out(clear_overlays: Overlays, name: str, output_format: Format) -> None:
    """No output holds the canary, nor any metadata that Pillow can find."""
    avatar = make_avatar(
        INPUTS[name], AvatarSpec(frame="red-ribbons", size=64, format=output_format), clear_overlays
    )
    assert not _leaks(avatar.content)
    with Image.open(io.BytesIO(avatar.content)) as image:
        image.load()
        kept = set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert kept <= {"loop", "background", "timestamp", "duration"}  # what WebP and AVIF decoders make up
        assert not image.getexif()


@pytest.mark.parametrize("name", INPUTS)
def test_nothing_but_pixels_comes_back_of_a_photo_that_is_only_shown(name: str) -> None:
    """A rendition holds nothing of the file's words, nor any metadata that Pillow can find."""
    content = make_rendition(INPUTS[name], 64)
    assert not _leaks(content)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not image.getexif()


@pytest.mark.parametrize("output_format", ["png", "webp", "avif"])
def test_a_circle_hides_nothing_outside_itself(clear_overlays: Overlays, output_format: Format) -> None:
    """Where a circle is transparent, the photo's colours are gone and not merely unseen."""
    photo = photos.save(Image.new("RGB", (64, 64), "white"), "PNG")
    spec = AvatarSpec(frame="red-ribbons", size=64, shape="circle", format=output_format)
    content = make_avatar(photo, spec, clear_overlays).content
    with Image.open(io.BytesIO(content)) as image:
        red, green, blue, opacity = image.convert("RGBA").getpixel((0, 0))  # type: ignore[misc]  # 4 bands
    assert opacity == 0
    assert max(red, green, blue) <= 8


def test_the_search_can_fail() -> None:
    """The search itself finds a canary that an encoder has packed."""
    assert _leaks(
        photos.with_png_chunks(
            photos.save(PICTURE, "PNG"), photos.png_chunk(b"zTXt", b"a\0\0" + zlib.compress(CANARY))
        )
    )
    assert not _leaks(photos.save(PICTURE, "PNG"))
