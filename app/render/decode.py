"""Hostile bytes -> a photo, at a reduced scale where that is enough.

The only file that meets the exceptions of image libraries: whatever they raise on a stranger's bytes leaves
here as one of ours.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pi_heif  # type: ignore[import-untyped]  # comes without types
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.errors import (
    PhotoDamaged,
    PhotoMissing,
    PhotoNotSupported,
    PhotoTooManyBytes,
    PhotoTooManyPixels,
    PhotoTooSmall,
    RibbonsError,
)
from app.render.colourspace import ColourSpace
from app.render.formats import FORMAT_NAMES, READ_FORMATS, Codec, Container, UnknownContainer
from app.render.formats.bmff import read_bmff
from app.render.formats.gif import read_gif
from app.render.formats.jpeg import read_jpeg
from app.render.formats.png import read_png
from app.render.formats.webp import read_webp
from app.render.tone import HighRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from PIL.ImageFile import ImageFile

    from app.render.limits import Limits

DRAFT_SCALES = (8, 4, 2)
"""What libjpeg can divide both sides by while it decodes."""

_READERS: Mapping[Codec, Callable[[bytes], Container]] = {
    "jpeg": read_jpeg,
    "png": read_png,
    "webp": read_webp,
    "avif": read_bmff,
    "heif": read_bmff,
    "gif": read_gif,
}


@dataclass(frozen=True)
class Photo:
    """A decoded photo, still as stored: not turned, not converted.

    Attributes:
        image: In whatever mode its decoder gave: see :func:`in_plain_mode`.
        width: Pixels of the stored picture at full scale.
        height: Pixels of the stored picture at full scale.
        orientation: How it is to be turned, 1-8 as in EXIF.
        profile: Its ICC profile, as found or made of what it names by numbers, or None.
    """

    image: Image.Image
    width: int
    height: int
    orientation: int
    profile: bytes | None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height at full scale, once turned."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def identify(photo: bytes, limits: Limits) -> Container:
    """Tell what the bytes are, and that decoding them is affordable.

    Names and media types play no part. Nothing is decoded.

    Raises:
        PhotoMissing: No bytes.
        PhotoTooManyBytes: Larger than ``max_bytes``.
        PhotoNotSupported: No format of the allow-list.
        PhotoDamaged: Headers that are broken or endless.
        PhotoTooSmall: A side below ``min_side``.
        PhotoTooManyPixels: More than can be decoded, for this kind of file.
    """
    if not photo:
        raise PhotoMissing
    if len(photo) > limits.max_bytes:
        raise PhotoTooManyBytes.over(limits.max_bytes)
    with _as_photo_errors():
        container = _read_container(photo)
    _check_size(container.width, container.height, limits, streams=container.streams)
    if container.decoded_pixels > limits.max_decoded_pixels:
        raise PhotoTooManyPixels.over(limits.max_decoded_pixels)
    return container


def _read_container(photo: bytes) -> Container:
    for known in READ_FORMATS:
        # AVIF and HEIC share a signature, so the first of them is found for both; they have one reader.
        if known.may_begin(photo):
            return _READERS[known.codec](photo)
    raise UnknownContainer


def _check_size(width: int, height: int, limits: Limits, *, streams: bool) -> None:
    limit = limits.max_pixels if streams else limits.max_decoded_pixels
    if not width or not height:
        raise PhotoDamaged
    if min(width, height) < limits.min_side:
        raise PhotoTooSmall(width=width, height=height, minimum=limits.min_side)
    if width * height > limit:
        raise PhotoTooManyPixels.over(limit)


def decode(container: Container, enough: float, limits: Limits) -> Photo:
    """Decode a photo, no larger than is needed.

    Args:
        container: From :func:`identify`.
        enough: The smallest scale that loses nothing of the avatar; any from there up to 1 will do.
        limits: The same as for :func:`identify`.

    Raises:
        PhotoDamaged: The picture's data is broken or cut short.
        PhotoTooSmall: The decoder found another size than the headers gave, below ``min_side``.
        PhotoTooManyPixels: The decoder found another size than the headers gave, above the limit.
    """
    with _as_photo_errors():
        if container.codec == "heif":
            return _decode_heif(container, limits)
        return _decode_pillow(container, enough, limits)


@contextmanager
def _as_photo_errors() -> Iterator[None]:
    """Turn whatever reading a photo raises into one of our errors: PhotoDamaged, unless it is clearer.

    On hostile files Pillow and libheif raise OSError, ValueError, SyntaxError, EOFError, RuntimeError,
    MemoryError, KeyError, IndexError, TypeError, OverflowError, struct.error and zlib.error: no list is
    complete.
    """
    try:
        yield
    except RibbonsError:
        raise
    except UnknownContainer as exc:
        raise PhotoNotSupported(formats=FORMAT_NAMES) from exc
    except Exception as exc:
        raise PhotoDamaged from exc


def _decode_pillow(container: Container, enough: float, limits: Limits) -> Photo:
    with _open(container) as file:
        width, height = file.size
        _check_size(width, height, limits, streams=container.streams)
        if isinstance(file, JpegImageFile):
            divisor = _draft_divisor(width * height, enough, limits)
            file.draft(None, (-(-width // divisor), -(-height // divisor)))
        file.load()
        in_plain_mode(file.crop((0, 0, 1, 1)))  # whether it can be done, while errors are still the photo's
        image: Image.Image = file
        if container.crop:
            width, height = _check_crop(container.crop, file.size, limits)
            image = file.crop(container.crop)
        return Photo(image, width, height, container.orientation, _colours(image, container))


def _check_crop(crop: tuple[int, int, int, int], size: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """Return the size of a crop, once it is known to lie in the picture that the decoder found."""
    left, top, right, bottom = crop
    if right > size[0] or bottom > size[1]:
        raise PhotoDamaged
    _check_size(right - left, bottom - top, limits, streams=False)
    return right - left, bottom - top


def _colours(image: Image.Image, container: Container) -> bytes | None:
    """Return the profile of a decoded photo: its own, or one made of what it names by numbers.

    PQ and HLG are named inside profiles too (ICC.1:2022). What else such a profile holds is for
    programs that do not know the numbers.
    """
    profile = container.profile
    named = ColourSpace.from_profile(profile) if profile else container.space
    if named and named.is_high_range:
        return HighRange.measured(named, image).profile()
    return profile or (named.profile() if named else None)


def _open(container: Container) -> ImageFile:
    """Open with the one decoder for the format, past Pillow's registry.

    ``Image.open`` would guess again, turn an MPO into a sequence of pictures, and measure the photo by
    ``Image.MAX_IMAGE_PIXELS``, a limit for the whole process; ours is checked already.
    """
    file = io.BytesIO(container.data)
    match container.codec:
        case "jpeg":
            return JpegImageFile(file)
        case "png":
            return PngImageFile(file)
        case "gif":
            return GifImageFile(file)
        case "webp":
            return WebPImageFile(file)
        case "avif":
            return AvifImageFile(file)
        case "heif":
            raise NotImplementedError


def _draft_divisor(pixels: int, enough: float, limits: Limits) -> int:
    """Return what to divide both sides by: as much as quality allows, and as little as memory does."""
    by_quality = next((n for n in DRAFT_SCALES if 1 / n >= enough), 1)
    by_memory = next((n for n in (1, 2, 4, 8) if pixels <= limits.max_decoded_pixels * n * n), 8)
    return max(by_quality, by_memory)


def in_plain_mode(image: Image.Image) -> Image.Image:
    """Return a decoded picture, or a piece of it, as L, RGB, RGBA or CMYK: no palette, no key, no 16 bits."""
    if image.mode.startswith("I"):
        colour = image.info.get("transparency")
        image = image.point(lambda value: value / 256).convert("L")
        if colour is not None:
            image.info["transparency"] = colour
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _decode_heif(container: Container, limits: Limits) -> Photo:
    file = pi_heif.open_heif(container.data, convert_hdr_to_8bit=True)
    _check_size(file.size[0], file.size[1], limits, streams=False)
    data = file.data
    left, top, right, bottom = container.crop or (0, 0, *file.size)
    width, height = _check_crop((left, top, right, bottom), file.size, limits)
    first = top * file.stride + left * Image.getmodebands(file.mode)
    # Copied, whatever the mode: the rows are libheif's, and gone with the file.
    image = Image.frombytes(file.mode, (width, height), data[first:], "raw", file.mode, file.stride, 1)
    return Photo(image, width, height, container.orientation, _colours(image, container))
