from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from app.errors import InvalidFrame
from app.frames import Frame, FrameLibrary
from app.render.artwork import (
    check_artwork,
    draw_circle,
    draw_ground,
    draw_words,
    kept_ground,
)
from app.spec import DEFAULT_SIZE

SHELL = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1000">{}</svg>'


def frame_with(artwork: str, tmp_path: Path, root: Path) -> Frame:
    """Return a frame of ours with other artwork."""
    folder = Path(shutil.copytree(root / "frames" / "red-ribbons", tmp_path / "changed"))
    (folder / "artwork.svg").write_text(artwork, encoding="utf-8")
    return Frame(folder, root / "fonts")


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ("<text>الحرية</text>", "<text>"),
        ('<image href="data:image/png;base64,AAAA"/>', "<image>"),
        ("<style>path{fill:red}</style>", "<style>"),
        ("<foreignObject/>", "<foreignObject>"),
        ('<filter id="f"/>', "<filter>"),
        ('<path onload="x()" d="M0 0"/>', "onload"),
        ('<path style="fill:url(http://x)" d="M0 0"/>', "style"),
        ('<use href="https://example.org/a.svg#b"/>', "outside"),
        ('<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="file:///a#b"/>', "outside"),
        ('<path fill="url(https://example.org/#g)" d="M0 0"/>', "outside"),
        ('<path fill="URL( \'other.svg#g\')" d="M0 0"/>', "outside"),
    ],
)
def test_artwork_that_reaches_outside_itself_is_refused(
    inside: str, named: str, tmp_path: Path, root: Path
) -> None:
    """Script, text, images, styles and references elsewhere are refused, and named."""
    with pytest.raises(InvalidFrame, match=named):
        check_artwork(frame_with(SHELL.format(inside), tmp_path, root))


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('<g>\n<path\n onLoad="x()"/></g>', "line 2: <path> may not have the attribute onLoad"),
        ("\r\n\r\n<text>x</text>", "line 3: <text> is not allowed"),
        ('<!-- \n --><use href="a.svg#b"/>', "line 2: <use href> may not refer outside the artwork"),
        ("\n<g></path>", "line 2: not well-formed XML: mismatched tag"),
        ("\n\n<!DOCTYPE svg>", "line 3: a document type is not allowed"),
        ('\n<x:g xmlns:x="urn:x"/>', "line 2: <g> is not allowed"),
    ],
)
def test_what_is_wrong_with_artwork_is_told_with_its_line(
    inside: str, said: str, tmp_path: Path, root: Path
) -> None:
    """An author finds it without a search, in the words that they wrote."""
    with pytest.raises(InvalidFrame) as caught:
        check_artwork(frame_with(SHELL.format(inside), tmp_path, root))
    assert caught.value.params["reason"] == f"artwork.svg: {said}"


@pytest.mark.parametrize(
    ("artwork", "named"),
    [
        ("", "not well-formed"),
        ("<svg", "not well-formed"),
        ('<!DOCTYPE svg [<!ENTITY a "aaa">]>' + SHELL.format(""), "document type"),
        ('<svg viewBox="0 0 1000 1000"/>', "must be an svg"),
        (SHELL.format("").replace("1000 1000", "100 100"), "viewBox"),
    ],
)
def test_artwork_that_is_no_svg_is_refused(artwork: str, named: str, tmp_path: Path, root: Path) -> None:
    """A file that is not an SVG of 1000 x 1000 units, or that defines entities, is refused."""
    with pytest.raises(InvalidFrame, match=named):
        check_artwork(frame_with(artwork, tmp_path, root))


def test_gradients_and_references_inside_are_taken(tmp_path: Path, root: Path) -> None:
    """A gradient of the artwork's own is no reference outside."""
    inside = '<defs><linearGradient id="g"/></defs><path fill="url(#g)" d="M0 0h9v9z"/>'
    check_artwork(frame_with(SHELL.format(inside), tmp_path, root))


def test_every_language_changes_the_picture(frames: FrameLibrary) -> None:
    """No two languages of a frame draw the same, so none falls back to another unseen."""
    for frame in frames:
        pictures = {draw_words(frame, language, None, 200).tobytes() for language in frame.languages}
        assert len(pictures) == len(frame.languages)


def test_a_custom_slogan_takes_the_place_of_the_frames(frames: FrameLibrary) -> None:
    """The same words give the same picture, whether the frame or the supporter said them."""
    frame = frames.get("red-ribbons")
    own = draw_words(frame, "ar", None, 300)
    assert draw_words(frame, "ar", "الحرية للأسرى", 300) == own
    assert draw_words(frame, "ar", "الحرية لهم", 300) != own


def test_words_are_drawn_in_their_fill_and_nothing_else(frames: FrameLibrary) -> None:
    """White letters, in the lower part of the picture, on nothing."""
    words = np.asarray(draw_words(frames.get("red-ribbons"), "ar", None, 500))
    inked = words[..., 3] == 255
    assert (words[inked][:, :3] == 255).all()
    assert inked.sum() > 2500
    assert not words[:250, :, 3].any()


def test_the_ground_has_no_words(frames: FrameLibrary) -> None:
    """The frame without words has hardly a white pixel; with them it has thousands."""
    ground = np.asarray(draw_ground(frames.get("red-ribbons"), 500))
    assert (ground[..., 3] == 255).sum() > 20_000
    assert ((ground == 255).all(axis=2)).sum() < 50


def test_a_circle_is_round_and_smooth() -> None:
    """The mask has a circle's area to a tenth of a per cent, and its edge is anti-aliased."""
    mask = np.asarray(draw_circle(400)).astype(float) / 255
    assert mask.sum() == pytest.approx(np.pi * 200**2, rel=1e-3)
    distance = np.hypot(*(np.indices((400, 400)) - 199.5))
    covered = np.clip(200.5 - distance, 0, 1)  # of each pixel, to a good approximation
    # The rasteriser takes four samples down each pixel, so that single pixels are off by a fifth.
    assert np.abs(mask - covered).max() < 0.25
    assert np.abs(mask - covered).mean() < 1e-3
    assert ((mask > 0.05) & (mask < 0.95)).sum() > 500


def test_each_frame_that_we_ship_comes_with_its_picture(frames: FrameLibrary) -> None:
    """At the proposed size, and of no other; ``frames check`` compares its pixels."""
    for frame in frames:
        kept = kept_ground(frame, DEFAULT_SIZE)
        assert list(frame.folder.glob("artwork-*")) == [kept], "run `make grounds`"
        with Image.open(kept) as picture:
            assert (picture.mode, picture.size) == ("RGBA", (DEFAULT_SIZE, DEFAULT_SIZE))


@pytest.mark.parametrize("name", ["red-ribbons", "ribbon-loop", "january-31"])
def test_a_shadow_fades_out_without_an_edge(name: str, frames: FrameLibrary) -> None:
    """Neighbouring pixels of a shadow on the photo differ by less than an eye sees."""
    opacity = np.asarray(draw_ground(frames.get(name), DEFAULT_SIZE).getchannel("A"))
    # Whatever is denser than a shadow has an edge, which is smoothed over the pixels beside it.
    dense = Image.fromarray(opacity > 0.43 * 255).convert("L").filter(ImageFilter.BoxBlur(3))
    shadow = np.where(np.asarray(dense), np.nan, opacity)
    assert np.nanmax(shadow) > 0.2 * 255
    for axis in (0, 1):
        assert np.nanmax(np.abs(np.diff(shadow, axis=axis))) <= 6


@pytest.fixture
def own(tmp_path: Path, root: Path) -> Frame:
    """A frame of 64 pixels' picture: a red square, which its artwork is not."""
    frame = frame_with(SHELL.format('<rect width="1000" height="1000" fill="#00ff00"/>'), tmp_path, root)
    Image.new("RGBA", (64, 64), "#ff0000").save(kept_ground(frame, 64), lossless=True)
    return frame


RED, GREEN = (255, 0, 0, 255), (0, 255, 0, 255)


def test_a_kept_picture_is_taken_in_place_of_drawing(own: Frame) -> None:
    """At its own size only."""
    assert draw_ground(own, 64).getpixel((9, 9)) == RED
    assert draw_ground(own, 65).getpixel((9, 9)) == GREEN


def test_a_kept_picture_is_that_artworks_alone(own: Frame, root: Path) -> None:
    """Whoever changes the artwork sees the change, though the old picture is still there."""
    artwork = own.folder / "artwork.svg"
    artwork.write_text(f"{own.artwork}<!-- changed -->", encoding="utf-8")
    assert draw_ground(Frame(own.folder, root / "fonts"), 64).getpixel((9, 9)) == GREEN


def test_a_kept_picture_that_is_none_is_drawn_anew(own: Frame) -> None:
    """A picture that is cut, empty, of another size or no WebP costs time, not the avatar."""
    kept = kept_ground(own, 64)
    whole = kept.read_bytes()
    for content in (b"", whole[:-9], b"GIF89a", b"RIFF\x04\0\0\0WEBP"):
        kept.write_bytes(content)
        assert draw_ground(own, 64).getpixel((9, 9)) == GREEN
    for size in ((64, 63), (128, 128)):
        Image.new("RGBA", size, "#ff0000").save(kept, lossless=True)
        assert draw_ground(own, 64).getpixel((9, 9)) == GREEN


def test_artwork_that_is_not_safe_is_refused_with_its_picture(own: Frame) -> None:
    """A picture beside it proves nothing."""
    own.artwork = SHELL.format("<script/>")
    Image.new("RGBA", (64, 64), "#ff0000").save(kept_ground(own, 64), lossless=True)
    with pytest.raises(InvalidFrame, match="script"):
        draw_ground(own, 64)
