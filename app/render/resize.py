"""A box of a picture -> another size: the only place where a photo's pixels are resampled to a scale.

By cykooz.resizer, which takes a sixth of Pillow's time for the same filter. ``pyproject.toml`` says for which
machines there is a wheel; everywhere else Pillow takes its place with the same filters, and rounds elsewhere.

With AVX2, with SSE4.1 and with neither its bytes are the same, which a test holds. With NEON, on Apple's
processors, nobody tried: by the source (fast_image_resize 6.1) the same products of integers are added up.
It starts no thread, because it is given no pool of them.
"""

from __future__ import annotations

import math
import mmap
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image

from app.render.decode import in_plain_mode

try:
    # Comes without types, and on some machines not at all.
    import cykooz_resizer  # type: ignore[import-untyped,import-not-found,unused-ignore]
except ImportError:
    cykooz_resizer = None

if TYPE_CHECKING:
    from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of a picture."""

READY = {"L", "RGB", "CMYK"}
"""Modes that are resized from the picture itself, where nothing in it is transparent."""
BANDS = 8
"""Into how many pieces all others are cut first: every step towards such a picture's square (another mode,
transparency multiplied in) is a copy at full scale, 4 bytes a pixel, of which an eighth is enough at once."""
LOBES = 3
"""Of Lanczos: pixels of the smaller scale, on either side of a place, that its colour depends on."""
REDUCING_GAP = 3.0
"""For Pillow alone: large reductions take whole-pixel averages first, down to 3 times the size wanted. Its
documentation finds the result nearly the same as without (54 dB at a reduction by 6.2), in half the time."""
WEIGHT_BYTES = 96
"""Of the weights of a resize, for each pixel along each side, before and after: pictures with sides of 30 to
400,000 pixels took 44 to 71."""
SPARE_BYTES = 1 << 20
"""For what Python and the allocator want beside."""
NEARLY = 1e-6
"""Pixels. What is nearer to a whole one than that is one, and was moved off it by rounding."""


def resize(
    image: Image.Image, size: tuple[int, int], box: Box | None = None, *, soft: bool = False
) -> Image.Image:
    """Return a box of the picture at another size, in a plain mode.

    Reduced with Lanczos, as sharp as a reduction can be; enlarged with Catmull-Rom, whose rings are half as
    high. At its own size, pixel on pixel, nothing is resampled.

    Args:
        image: In any mode that a decoder gives: see :func:`~app.render.decode.in_plain_mode`.
        size: Width and height that are wanted, 1 or more.
        box: What is resized; the whole picture unless given. Fractions count. What reaches outside the
            picture is left out.
        soft: Reduce with a triangle instead, in a quarter of the time, for what nobody looks at closely.

    Raises:
        MemoryError: There is not enough.
    """
    box = _within(image, box or (0, 0, *image.size))
    if image.mode in READY and not image.has_transparency_data:
        return _resize_plain(image, size, box, soft=soft)
    return _resize_in_bands(image, size, box, soft=soft)


def _within(image: Image.Image, box: Sequence[float]) -> Box:
    """Return the box without the noise of its arithmetic, and without what is outside the picture."""
    left, top, right, bottom = (whole if abs(n - (whole := round(n))) < NEARLY else n for n in box)
    return max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height)


def _resize_plain(image: Image.Image, size: tuple[int, int], box: Box, *, soft: bool) -> Image.Image:
    left, top, width, height = box[0], box[1], box[2] - box[0], box[3] - box[1]
    unscaled = width == size[0] and height == size[1]
    if unscaled and left == int(left) and top == int(top):
        return image.crop((int(left), int(top), int(box[2]), int(box[3])))
    enlarged = width < size[0]
    if cykooz_resizer is None:
        reduction = Image.Resampling.BILINEAR if soft else Image.Resampling.LANCZOS
        resampling = Image.Resampling.BICUBIC if enlarged else reduction
        return image.resize(size, resampling, box=box, reducing_gap=REDUCING_GAP)
    resized = Image.new(image.mode, size)
    _expect_memory(_working_bytes(image, size, width, height))
    kinds = cykooz_resizer.FilterType
    reduction = kinds.bilinear if soft else kinds.lanczos3
    options = cykooz_resizer.ResizeOptions(
        cykooz_resizer.ResizeAlg.convolution(kinds.catmull_rom if enlarged else reduction),
        crop_box=cykooz_resizer.CropBox(left, top, width, height),
    )
    # A resizer keeps its working memory for its next picture, so each gets one of its own.
    cykooz_resizer.Resizer().resize_pil(image, resized, options)
    return resized


def _working_bytes(image: Image.Image, size: tuple[int, int], width: float, height: float) -> int:
    """Return the most memory that cykooz.resizer takes to bring a box of the picture to that size.

    By its source (fast_image_resize 6.1): the whole of a picture whose transparency is multiplied in; the
    columns of the box, and of what Lanczos reaches around it, at their new height; and the weights.
    """
    reach = LOBES * max(width / size[0], 1) + 2
    multiplied = image.width * image.height if image.mode == "RGBA" else 0
    columns = min(image.width, math.ceil(width + 2 * reach)) * size[1]
    weights = WEIGHT_BYTES * (math.ceil(width + height) + sum(size))
    return 4 * (multiplied + columns) + weights + SPARE_BYTES


def _expect_memory(nbytes: int) -> None:
    """See that so much memory is to be had: where it is not, code in Rust ends the process.

    Raises:
        MemoryError: It is not.
    """
    try:
        mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        raise MemoryError from None


def _resize_in_bands(image: Image.Image, size: tuple[int, int], box: Box, *, soft: bool) -> Image.Image:
    """Resize a box of the picture, in a plain mode, with no copy of the whole picture on the way."""
    width, height = size
    scale = (box[3] - box[1]) / height
    reach = math.ceil((LOBES + 1) * max(scale, 1))  # one more for rounding
    left, right = max(int(box[0]) - reach, 0), min(math.ceil(box[2]) + reach, image.width)
    bands = []
    for start, stop in pairwise(sorted({height * n // BANDS for n in range(BANDS + 1)})):
        top, bottom = box[1] + start * scale, box[1] + stop * scale
        upper, lower = max(int(top) - reach, 0), min(math.ceil(bottom) + reach, image.height)
        piece = in_plain_mode(image.crop((left, upper, right, lower)))
        within = _within(piece, (box[0] - left, top - upper, box[2] - left, bottom - upper))
        bands.append((_resize_plain(piece, (width, stop - start), within, soft=soft), start))
    whole = Image.new(bands[0][0].mode, size)
    for band, start in bands:
        whole.paste(band, (0, start))
    return whole
