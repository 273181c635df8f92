"""Frame SVG + slogan path -> RGBA raster. The only importer of the rasteriser."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

import resvg_py
from PIL import Image

from app.errors import InvalidFrame
from app.frames import UNITS
from app.render.text.slogan import set_slogan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from app.frames import Frame, Text
    from app.render.text.slogan import Outline

SVG = "http://www.w3.org/2000/svg}"
ELEMENTS = frozenset(
    (
        "svg", "g", "defs", "title", "desc", "use", "clipPath",
        "mask", "path", "circle", "ellipse", "rect", "polygon", "polyline",
        "line", "linearGradient", "radialGradient", "stop",
    )
)  # fmt: skip
"""What artwork may be made of: shapes and gradients. No text (its font would come from the host), no script,
no image, no style sheet, no filter."""


def draw_ground(frame: Frame, size: int) -> Image.Image:
    """Rasterise a frame without its words: ``size`` x ``size`` RGBA, straight alpha.

    This is nearly all of a frame's cost, and the same for every language and slogan. Where the frame comes
    with its picture of that size (:func:`kept_ground`), that is taken: 0.03 s of CPU in place of 0.8.

    Raises:
        InvalidFrame: The artwork is not safe, or cannot be drawn.
    """
    check_artwork(frame)
    return _recall_ground(frame, size) or rasterise(frame.artwork, size, frame.id)


def kept_ground(frame: Frame, size: int) -> Path:
    """Return where a frame's picture without words lies, if anywhere: a lossless WebP beside its artwork.

    The name holds what decides its pixels, the artwork and the rasteriser's version, so that a picture of
    anything else is never taken for it. ``frames/grounds.py`` makes those that we ship.
    """
    drawn_from = f"resvg {resvg_py.__resvg_version__}\0{frame.artwork}"
    digest = hashlib.sha256(drawn_from.encode()).hexdigest()
    return frame.folder / f"artwork-{size}-{digest[:12]}.webp"


def _recall_ground(frame: Frame, size: int) -> Image.Image | None:
    """Return the kept picture; None where there is none, or a damaged one."""
    try:
        with Image.open(kept_ground(frame, size), formats=["WEBP"]) as image:
            # A picture of another size is not even decoded: whoever wrote it, memory is bounded by ours.
            return image.convert("RGBA") if image.size == (size, size) else None
    except (OSError, Image.DecompressionBombError):
        return None


def draw_words(frame: Frame, language: str, slogan: str | None, size: int) -> Image.Image:
    """Rasterise a frame's words, which lie over everything else: ``size`` x ``size`` RGBA, straight alpha.

    Args:
        frame: The frame.
        language: One of ``frame.languages``.
        slogan: A supporter's own words for the frame's custom text, or None for the frame's own.
        size: Side of the square, in pixels.

    Raises:
        SloganDoesNotFit: A text is too long for its place.
        MissingGlyphs: A text holds characters that its fonts lack.
    """
    paths = (path_element(set_text(frame, text, language, slogan), text.fill) for text in frame.texts)
    return rasterise(only_paths(*paths), size, frame.id)


def set_text(frame: Frame, text: Text, language: str, slogan: str | None = None) -> Outline:
    """Set one text of a frame; ``slogan`` takes the place of its words where the text is a custom one.

    Raises:
        SloganDoesNotFit: It is too long for its place.
        MissingGlyphs: It holds characters that the fonts lack.
    """
    own = slogan if text.custom else None
    return set_slogan(own or text.languages[language].slogan, frame.style(text, language), frame.fonts_folder)


def path_element(outline: Outline, fill: str) -> str:
    """Return the outline as an SVG element."""
    return f'<path fill="{fill}" d="{outline.d}"/>'


def only_paths(*paths: str) -> str:
    """Return an SVG in the artwork's units that holds ``paths`` and nothing else."""
    side = UNITS
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}">{"".join(paths)}</svg>'


def draw_circle(size: int) -> Image.Image:
    """Return ``size`` x ``size`` L: 255 inside the square's inscribed circle, 0 outside, anti-aliased."""
    radius = UNITS / 2
    svg = only_paths(f'<circle cx="{radius}" cy="{radius}" r="{radius}"/>')
    return rasterise(svg, size, "circle").getchannel("A")


def rasterise(svg: str, size: int, name: str) -> Image.Image:
    """Draw an SVG at ``size`` x ``size``, RGBA with straight alpha. No font and no file is looked up.

    Raises:
        InvalidFrame: It cannot be drawn; ``name`` is the frame to blame.
    """
    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    except ValueError as exc:
        raise InvalidFrame(frame=name, reason=f"artwork.svg: it cannot be drawn: {exc}") from exc
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return image.convert("RGBA")


def check_artwork(frame: Frame) -> None:
    """Prove that a frame's SVG draws the same everywhere and reaches for nothing outside itself.

    Raises:
        InvalidFrame: Saying which element or attribute is not allowed, and in which line.
    """

    def refuse(line: int, reason: str) -> NoReturn:
        raise InvalidFrame(frame=frame.id, reason=f"artwork.svg: line {line}: {reason}")

    # A document type can define entities, which grow and which read files: no parser may see one.
    if found := re.search(r"<!(DOCTYPE|ENTITY)", frame.artwork, re.IGNORECASE):
        refuse(frame.artwork.count("\n", 0, found.start()) + 1, "a document type is not allowed")
    # Of Python's parsers only this one tells the line of what is well-formed. It writes namespace}name.
    parser = expat.ParserCreate(namespace_separator="}")
    is_root = True

    def take(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal is_root
        reason = _objection(name.removeprefix(SVG), attributes)
        if is_root and (name != f"{SVG}svg" or attributes.get("viewBox", "").split() != _VIEW_BOX):
            reason = f'the root must be an svg with xmlns="{SVG[:-1]}" and viewBox="{" ".join(_VIEW_BOX)}"'
        is_root = False
        if reason:
            refuse(parser.CurrentLineNumber, reason)

    parser.StartElementHandler = take
    try:
        parser.Parse(frame.artwork, True)  # noqa: FBT003 - it takes no keyword
    except expat.ExpatError as exc:
        refuse(exc.lineno, f"not well-formed XML: {expat.ErrorString(exc.code)}")


_VIEW_BOX = ["0", "0", str(UNITS), str(UNITS)]


def _objection(name: str, attributes: Mapping[str, str]) -> str | None:
    """Say why an element may not stand in artwork, or None where it may."""
    if name not in ELEMENTS:
        return f"<{name.rpartition('}')[2]}> is not allowed"
    for attribute, value in attributes.items():
        plain = attribute.rpartition("}")[2]
        lower = plain.lower()
        if lower.startswith("on") or lower == "style":
            return f"<{name}> may not have the attribute {plain}"
        outside = lower == "href" and not value.startswith("#")
        if outside or re.search(r"url\(\s*['\"]?(?!#)", value, re.IGNORECASE):
            return f"<{name} {plain}> may not refer outside the artwork"
    return None
