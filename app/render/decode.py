"""Hostile bytes -> a photo, at a reduced scale where that is enough.

The only file that meets the exceptions of image libraries: whatever they raise on a stranger's bytes leaves
here as one of ours.
"""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pi_heif  # type: ignore[import-untyped]  # comes without types
from PIL import Image, ImageChops
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
from app.render.formats.gif import lend_end, read_gif
from app.render.formats.jpeg import cut_to_picture, read_jpeg
from app.render.formats.png import read_png, rows_alone
from app.render.formats.webp import read_webp
from app.render.tone import HighRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from PIL.ImageFile import ImageFile

    from app.render.limits import Limits

STRIP = 256
"""Rows of a picture that are copied at once, where a copy of all of it would take too much memory."""
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

_MENDERS: Mapping[Codec, Callable[[Container], Container]] = {"jpeg": cut_to_picture, "gif": lend_end}
"""What gives a file an end over which its decoder stumbled, and a probe to see how much it had."""


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
    if container.probe is None:
        try:
            return _decode_file(container, enough, limits)
        except OSError:
            if container.codec not in _MENDERS:
                raise
            container = _MENDERS[container.codec](container)
    return _decode_without_end(container, enough, limits)


def _decode_without_end(container: Container, enough: float, limits: Limits) -> Photo:
    """Decode a file that lacks its end, and see whether the rows that it has to have are in it.

    That is seen at one scale, whatever the avatar's size: what a photo lacks must not depend on it. The
    decodings follow one another, so that no more memory is taken than for any file.
    """
    probe = container.probe
    if probe is None:
        raise PhotoDamaged
    _check_twice(container, limits)
    noisy = replace(container, data=probe.data)
    expected = _checksum(_decode_file(noisy, probe.scale, limits), probe.rows)
    photo = _decode_file(container, probe.scale, limits)
    if _checksum(photo, probe.rows) != expected:
        raise PhotoDamaged
    if probe.scale >= min(enough, 1):
        return photo
    del photo
    return _decode_file(container, enough, limits)


def _check_twice(container: Container, limits: Limits) -> None:
    """See that a broken file, which is decoded more than once, has half the pixels of a whole one at most.

    So it costs no more time and memory than a whole one may: whoever sends it chose that it is broken.

    Raises:
        PhotoDamaged: It has more.
    """
    pixels = max(container.width * container.height, container.decoded_pixels)
    if not container.streams and 2 * pixels > limits.max_decoded_pixels:
        raise PhotoDamaged


def _checksum(photo: Photo, rows: int) -> int:
    """Return a checksum of the first rows, which are counted at full scale."""
    image = photo.image
    sum_, end = 0, rows * image.height // photo.height
    for top in range(0, end, STRIP):
        sum_ = zlib.crc32(image.crop((0, top, image.width, min(top + STRIP, end))).tobytes(), sum_)
    return sum_


def _decode_file(container: Container, enough: float, limits: Limits) -> Photo:
    with _open(container) as file:
        width, height = file.size
        _check_size(width, height, limits, streams=container.streams)
        if isinstance(file, JpegImageFile):
            divisor = _draft_divisor(width * height, enough, limits)
            file.draft(None, (-(-width // divisor), -(-height // divisor)))
        if container.place is not None and file.size != (container.width, container.height):
            _check_canvas(container, width * height, limits)
        image = _load(file, container, limits)
        in_plain_mode(image.crop((0, 0, 1, 1)))  # whether it can be done, while errors are still the photo's
        profile = _colours(image, container)
        if container.crop:
            width, height = _check_crop(container.crop, file.size, limits)
            image = image.crop(container.crop)
        if container.place is not None:
            width, height = container.width, container.height
            image = _placed(image, container.place, (width, height))
        return Photo(image, width, height, container.orientation, profile)


def _check_canvas(container: Container, pixels: int, limits: Limits) -> None:
    """See that a picture and the canvas that it is to lie on fit into memory together."""
    if pixels + container.width * container.height > limits.max_decoded_pixels:
        raise PhotoTooManyPixels.over(limits.max_decoded_pixels)


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


def _load(file: ImageFile, container: Container, limits: Limits) -> Image.Image:
    """Decode all of a picture's pixels."""
    if container.codec != "png":
        file.load()
        return file
    key = container.key or ()
    if len(key) > 1:
        return _load_keyed(container, key, limits)
    image = _load_rows(container, limits)
    if key:
        image.info["transparency"] = key[0]
    return image


def _load_rows(container: Container, limits: Limits, raw_mode: str = "") -> Image.Image:
    """Decode a PNG, also one whose compressed data has no right end behind the last row.

    Args:
        container: From :func:`read_png`.
        limits: How large it may be, and be mended.
        raw_mode: How its samples are to be taken, where that is not as they are.
    """
    file = _open_as(container, raw_mode)
    try:
        file.load()
    except OSError:
        _check_twice(container, limits)
        rows = rows_alone(container.data)
        if rows is None:
            raise
        file = _open_as(replace(container, data=rows), raw_mode)
        with suppress(OSError):
            file.load()
        file.tile = []  # nothing is left to decode
    return file


def _open_as(container: Container, raw_mode: str) -> ImageFile:
    file = _open(container)
    if raw_mode:
        file.tile = [tile._replace(args=raw_mode) for tile in file.tile]
    return file


def _load_keyed(container: Container, key: Sequence[int], limits: Limits) -> Image.Image:
    """Decode an RGB picture of 16 bits, of which one colour is transparent, as RGBA.

    The decoder keeps the upper byte of each value. The lower ones are decoded apart: a reader of the other
    byte order takes them for the upper ones.
    """
    transparent = _equal(_load_rows(container, limits, "RGB;16L"), [value & 0xFF for value in key])
    image = _load_rows(container, limits)
    transparent = ImageChops.darker(transparent, _equal(image, [value >> 8 for value in key]))
    image.putalpha(ImageChops.invert(transparent))
    return image


def _equal(image: Image.Image, colour: Sequence[int]) -> Image.Image:
    """Return 255 where a picture has that colour, elsewhere 0."""
    found = Image.new("L", image.size, 255)
    for band, value in enumerate(colour):
        channel = image.getchannel(band).point([255 * (level == value) for level in range(256)])
        found = ImageChops.darker(found, channel)
    return found


def _placed(image: Image.Image, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Return a picture on its canvas, which around it is transparent; or white, where the picture is opaque.

    White is what everything transparent comes to lie on; without transparency a picture is resized faster.

    Raises:
        PhotoDamaged: It is larger than its headers said, and reaches over the canvas.
    """
    left, top = place
    if left + image.width > size[0] or top + image.height > size[1]:
        raise PhotoDamaged
    if image.size == size:
        return image
    mode, around = ("RGBA", (255, 255, 255, 0)) if image.has_transparency_data else ("RGB", (255, 255, 255))
    canvas = Image.new(mode, size, around)
    for row in range(0, image.height, STRIP):
        strip = image.crop((0, row, image.width, min(row + STRIP, image.height)))
        canvas.paste(in_plain_mode(strip).convert(mode), (left, top + row))
    return canvas


def _open(container: Container) -> ImageFile:
    """Open with the one decoder for the format, past Pillow's registry.

    ``Image.open`` would guess again, turn an MPO into a sequence of pictures, and measure the photo by
    ``Image.MAX_IMAGE_PIXELS``, a limit for the whole process; ours is checked already.
    """
    file = io.BytesIO(container.data)
    match container.codec:
        case "jpeg":
            jpeg = JpegImageFile(file)
            # All bytes at once: at the end of each block the decoder gives a row up that it has begun, and
            # begins it again with the next block. That is 3 % of 12 million pixels' time.
            jpeg.decodermaxblock = len(container.data)
            return jpeg
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


def decodes_otherwise(container: Container, enough: float, than: float, limits: Limits) -> bool:
    """Tell whether :func:`decode` gives other pixels where one scale is enough than where another is."""
    if container.codec != "jpeg":
        return False
    pixels = container.width * container.height
    return _draft_divisor(pixels, enough, limits) != _draft_divisor(pixels, than, limits)


def in_plain_mode(image: Image.Image) -> Image.Image:
    """Return a decoded picture, or a piece of it, as L, RGB, RGBA or CMYK: no palette, no key, no 16 bits."""
    if image.mode.startswith("I"):
        key = image.info.get("transparency")
        if key is not None:
            return _keyed_grey(image, key)
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _keyed_grey(image: Image.Image, key: int) -> Image.Image:
    """Return a grey picture of 16 bits, of which one shade is transparent, as RGBA."""
    # Two channels of 8 bits lie in memory as one of 16 does, the lower byte first.
    bytes_ = Image.frombytes("LA", image.size, image.convert("I;16").tobytes())
    lower, upper = bytes_.split()
    transparent = ImageChops.darker(_equal(lower, [key & 0xFF]), _equal(upper, [key >> 8]))
    grey = upper.convert("RGB")
    grey.putalpha(ImageChops.invert(transparent))
    return grey


def _decode_heif(container: Container, limits: Limits) -> Photo:
    file = pi_heif.open_heif(container.data, convert_hdr_to_8bit=True)
    _check_size(file.size[0], file.size[1], limits, streams=False)
    data = file.data
    left, top, right, bottom = container.crop or (0, 0, *file.size)
    width, height = _check_crop((left, top, right, bottom), file.size, limits)
    first = top * file.stride + left * Image.getmodebands(file.mode)
    # Copied, whatever the mode: the rows are libheif's, and gone with the file.
    rows = memoryview(data)[first:]
    image = Image.frombytes(file.mode, (width, height), rows, "raw", file.mode, file.stride, 1)
    return Photo(image, width, height, container.orientation, _colours(image, container))
