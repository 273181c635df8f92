"""A finished avatar -> the profile picture that each platform asks for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import Image

from app.render.decode import decode, identify, in_plain_mode
from app.render.encode import OPTIONS, encode_jpeg
from app.render.limits import Limits
from app.render.resize import resize

if TYPE_CHECKING:
    from collections.abc import Mapping

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
"""Platforms document little, and change it. Gathered in November 2026, mostly from guides for
marketers, of which the lowest limit was taken; a size is what the platform shows at most, or the largest that
is recommended:

- Facebook: shows 176-196 px, and opens the picture large at a tap; 4 MB as for photos in its Graph API.
- Instagram: 1080 px by guides; 8 MB as in its API.
- X: 400 px, 700 KB (POST account/update_profile_image; the website takes 2 MB by guides).
- LinkedIn: 400 px or more, 800 the sharpest, 8 MB, all by guides.
- WhatsApp: 640 px and 5 MB, by guides; it publishes nothing.
- Telegram: 640 px (ChatPhoto, Bot API); 10 MB by guides.
- YouTube: 800 px and 4 MB, as guides quote its help.
- TikTok: guides contradict each other, 200-800 px and 2-10 MB.
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
    picture = resize(picture, (size, size))
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
