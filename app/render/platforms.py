"""A finished avatar -> the profile picture that each platform asks for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import Image

from app.render.decode import Limits, decode, identify, in_plain_mode
from app.render.encode import OPTIONS, encode_jpeg

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARPEST = Image.Resampling.LANCZOS
"""Side by side at 400 px it keeps the slogan a shade crisper than bicubic, and its ringing is not seen.
Platforms shrink the picture further, and soften it each time."""

FEWER_BYTES = (85, 80, 75, 70, 60, 50, 40, 30, 20)
"""Qualities that are tried in turn where an avatar's own gives too many bytes."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a platform wants for a profile picture.

    Attributes:
        name: As it writes itself.
        size: Side of the square, in pixels; an avatar's 1080 at most.
        max_bytes: The most that it takes.
    """

    name: str
    size: int
    max_bytes: int


PLATFORMS: Mapping[str, Platform] = MappingProxyType(
    {
        "facebook": Platform("Facebook", 1080, 4_000_000),
        "instagram": Platform("Instagram", 1080, 8_000_000),
        "x": Platform("X", 400, 700_000),
        "linkedin": Platform("LinkedIn", 800, 8_000_000),
        "whatsapp": Platform("WhatsApp", 640, 5_000_000),
        "telegram": Platform("Telegram", 640, 10_000_000),
        "youtube": Platform("YouTube", 800, 4_000_000),
        "tiktok": Platform("TikTok", 720, 2_000_000),
    }
)
"""Platforms document little, and change it. Looked up in November 2026; a size is what the platform shows at
most, where it says so, and otherwise the largest that is commonly recommended:

- Facebook: shows 176-196 px, asks for 320 or more, and opens the picture large at a tap, for which guides
  recommend a larger upload. Its Graph API asks for photos under 4 MB.
- Instagram: guides recommend 1080 px. Its API takes JPEG up to 8 MB.
- X: 400 px; what is wider is scaled down, and 700 KB is the limit (POST account/update_profile_image). The
  website takes 2 MB.
- LinkedIn: its help asks for 400 px or more, up to 8 MB; guides find 800 px the sharpest.
- WhatsApp: 640 px and 5 MB, by guides; it publishes nothing.
- Telegram: 640 px (ChatPhoto, Bot API), 10 MB for a photo.
- YouTube: its help asks for 800 px and 4 MB at most.
- TikTok: at least 20 px, by its help; guides say 200-800 px and 2 MB or more.
"""


def draw_for(avatar: bytes, platform: Platform) -> bytes:
    """Fit an avatar to a platform. One that fits already comes back as it is.

    Args:
        avatar: One of ours, a square JPEG; met as warily as any photo, for it may have come damaged.
        platform: One of :data:`PLATFORMS`.

    Returns:
        A JPEG, 4:4:4, no larger than the avatar in any way.

    Raises:
        PhotoError: It is not whole.
    """
    picture = open_avatar(avatar)
    size = min(platform.size, picture.width)
    if size == picture.width and len(avatar) <= platform.max_bytes:
        return avatar
    picture = picture.resize((size, size), SHARPEST)
    for quality in (OPTIONS["jpeg"]["quality"], *FEWER_BYTES):
        content = encode_jpeg(picture, quality)
        if len(content) <= platform.max_bytes:
            break
    return content


def open_avatar(avatar: bytes) -> Image.Image:
    """Return a finished avatar's pixels, RGB.

    Raises:
        PhotoError: It is not whole.
    """
    limits = Limits()
    picture = decode(identify(avatar, limits), 1, limits).image
    # A canvas of its own: no file's metadata hangs on it.
    canvas = Image.new("RGB", picture.size)
    canvas.paste(in_plain_mode(picture).convert("RGB"))
    return canvas
