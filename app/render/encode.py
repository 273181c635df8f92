"""Image -> bytes, with nothing in them but pixels."""

from __future__ import annotations

import io
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PIL import AvifImagePlugin as _  # noqa: F401 - registers its encoder; Pillow would load every plugin to find it

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from app.spec import Format

MEDIA_TYPES: Mapping[Format, str] = MappingProxyType(
    {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"}
)
EXTENSIONS: Mapping[Format, str] = MappingProxyType(
    {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif"}
)

OPTIONS: Mapping[Format, Mapping[str, Any]] = MappingProxyType(
    {
        "jpeg": {"quality": 90, "subsampling": "4:4:4"},
        "png": {"compress_level": 6},
        "webp": {"quality": 90, "method": 4},
        "avif": {"quality": 80, "speed": 8, "subsampling": "4:4:4"},
    }
)
NO_METADATA: Mapping[str, Any] = MappingProxyType(
    {"exif": b"", "icc_profile": None, "xmp": b"", "comment": b""}
)


def encode(avatar: Image.Image, output_format: Format) -> bytes:
    """Encode the avatar. The same pixels give the same bytes.

    Args:
        avatar: RGB, or RGBA where the format has transparency.
        output_format: What to write.
    """
    buffer = io.BytesIO()
    avatar.save(buffer, output_format, **OPTIONS[output_format], **NO_METADATA)
    return buffer.getvalue()
