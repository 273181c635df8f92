"""Any profile -> sRGB."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

WHITE = (255, 255, 255)
MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Pillow's mode for a profile's colour model (ICC.1, 7.2.6)."""
CLASSES = {b"scnr", b"mntr", b"prtr", b"spac"}
"""Profile classes that describe a device's or a picture's colours, not a link between two."""


def to_srgb(square: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the square as RGB in sRGB, what is transparent on white.

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
        colours = opaque if opaque.mode == "RGB" else opaque.convert("RGB")
    if alpha is None:
        return colours
    return Image.composite(colours, Image.new("RGB", square.size, WHITE), alpha)


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    mode = MODES.get(profile[16:20])
    if profile[12:16] not in CLASSES or mode is None:
        return None
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")  # grey under an RGB profile: equal parts of each
    if image.mode != mode:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
