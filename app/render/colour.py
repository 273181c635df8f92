"""Any profile -> sRGB."""

from __future__ import annotations

import io
from functools import cache
from hashlib import sha256
from itertools import product

from PIL import Image, ImageChops, ImageCms

WHITE = (255, 255, 255)
INDISTINCT = 1
"""Levels of 255. A profile that moves no colour of a sparse cube further than that is sRGB to the eye."""

OVERPRINTS = (
    (WHITE, (35, 31, 32)),  # paper, and with black
    ((255, 242, 0), (28, 26, 0)),  # yellow
    ((236, 0, 140), (32, 0, 8)),  # magenta
    ((237, 28, 36), (30, 0, 0)),  # magenta, yellow
    ((0, 174, 239), (0, 18, 26)),  # cyan
    ((0, 166, 81), (0, 15, 5)),  # cyan, yellow
    ((46, 49, 146), (0, 0, 5)),  # cyan, magenta
    ((54, 53, 52), (0, 0, 0)),  # cyan, magenta, yellow
)
"""What full inks and their overprints look like in sRGB on SWOP coated paper, the default of design programs
and so what most CMYK without a profile was made for. Columns: without and with black."""

Colour = tuple[int, int, int]
MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Pillow's mode for a profile's colour model (ICC.1, 7.2.6)."""
CLASSES = {b"scnr", b"mntr", b"prtr", b"spac"}
"""Profile classes that describe a device's or a picture's colours, not a link between two."""
WIDESPREAD = {
    "2b3aa1645779a9e634744faf9b01e9102b0c9b88fd6deced7934df86b949af7e",  # sRGB, Hewlett-Packard, 1998
    "e468e89239fc0493d5e8fb9b014e91b210c6caa73c81edf04c3d21a734f377cc",  # Display P3, Apple, 2017
    "20789fdbea9835251a4f0796c8bf45cbd964896044886540da21ffc7457af0ab",  # Display P3, Apple, 2022
}
"""SHA-256 of profiles that are the same bytes in everybody's photos. What is built of them is kept, which at
1080 px saves 4 of 28 ms in P3 and all of 1.5 ms in sRGB; of any other, such as that of somebody's own screen,
nothing is."""


def to_srgb(square: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the square as RGB in sRGB, what is transparent on white; it may be the picture that was given.

    With a profile: relative colorimetric, with black point compensation. A profile that is broken, or of
    another colour model than the picture, is ignored.

    Args:
        square: L, RGB, RGBA or CMYK.
        profile: An ICC profile, as found in the file.
    """
    alpha = square.getchannel("A") if square.mode == "RGBA" else None
    opaque = square.convert("RGB") if square.mode == "RGBA" else square
    colours = _converted(opaque, profile) if profile else None
    if colours is None:
        colours = _plainly(opaque)
    if alpha is None:
        return colours
    return Image.composite(colours, Image.new("RGB", square.size, WHITE), alpha)


def _plainly(image: Image.Image) -> Image.Image:
    """Return a picture without a profile as RGB: itself where it is that already."""
    match image.mode:
        case "RGB":
            return image
        case "CMYK":
            return _printed(image)
        case _:
            return image.convert("RGB")


def _printed(inks: Image.Image) -> Image.Image:
    """Return what inks without a profile look like: the overprints, mixed by how much of each ink there is.

    Each ink halves the number of pictures: mixed are first black, then yellow, magenta and cyan (the
    Neugebauer equations, in sRGB's own values, whose curve stands in for the spreading of dots on paper).
    """
    cyan, magenta, yellow, black = inks.split()
    pictures = [_mixed(bare, full, black) for bare, full in OVERPRINTS]
    for ink in (yellow, magenta, cyan):
        pictures = [_mixed(*pair, ink) for pair in zip(pictures[::2], pictures[1::2], strict=True)]
    return pictures[0]


def _mixed(bare: Image.Image | Colour, full: Image.Image | Colour, ink: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", ink.size, bare) if isinstance(bare, tuple) else bare
    canvas.paste(full, (0, 0, *ink.size), ink)
    return canvas


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    mode = MODES.get(profile[16:20])
    if profile[12:16] not in CLASSES or mode is None:
        return None
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")  # grey under an RGB profile: equal parts of each
    if image.mode != mode:
        return None
    try:
        found = _kept_way if sha256(profile).hexdigest() in WIDESPREAD else _way_to_srgb
        way = found(profile, mode)
        return image if way is None else _apply(image, way)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _way_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what converts colours of a profile; None where it is sRGB already."""
    if mode == "RGB" and _is_srgb(profile):
        return None
    return _transform(profile, mode)


_kept_way = cache(_way_to_srgb)
"""Only for :data:`WIDESPREAD`: there are three, and no stranger's bytes among them."""


def _is_srgb(profile: bytes) -> bool:
    """Tell whether a profile is sRGB by another name, as most are: 1 ms that saves 30."""
    cube = bytes(level for colour in product((0, 64, 128, 192, 255), repeat=3) for level in colour)
    probe = Image.frombytes("RGB", (5, 25), cube)
    found = _apply(probe, _transform(profile, "RGB", ImageCms.Flags.NOOPTIMIZE))
    return max(ImageChops.difference(probe, found).tobytes()) <= INDISTINCT


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    return transform.apply(image)


def _transform(profile: bytes, mode: str, flags: int = 0) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | flags,
    )
