"""Photo under overlay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from app.render.overlay import Overlay


def compose(square: Image.Image, overlay: Overlay) -> Image.Image:
    """Lay the overlay over the photo, which is the photo behind the overlay, wherever any of it is seen.

    Args:
        square: RGB in sRGB, of the overlay's size or smaller by its hidden margin.
        overlay: The frame, its opacity and the shape.

    Returns:
        RGB for a square; RGBA for a shape. Where a shape is fully transparent, its colours are black: nothing
        of the photo is left under there.
    """
    size = overlay.colour.size
    margin = (size[0] - square.width) // 2
    avatar = overlay.colour.copy()  # a canvas of its own: no file's metadata hangs on it
    for (left, top, right, bottom), share in overlay.openings:
        seen = square.crop((left - margin, top - margin, right - margin, bottom - margin))
        avatar.paste(seen, (left, top), share)
    if overlay.outside is None:
        return avatar
    shaped = Image.new("RGB", size)
    shaped.paste(avatar, mask=overlay.outside.point(lambda opacity: 255 if opacity else 0))
    shaped.putalpha(overlay.outside)
    return shaped
