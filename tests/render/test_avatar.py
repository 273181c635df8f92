from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app.errors import RibbonsError
from app.render import avatar as making
from app.render.avatar import make_avatar
from app.render.crop import frame_square
from app.render.overlay import Overlays
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.frames import FrameLibrary

STEPS = ["decode", "overlay", "framing", "crop", "colour", "compose", "encode"]


def test_a_photo_becomes_an_avatar(frames: FrameLibrary, portrait: bytes) -> None:
    """The whole way with the real frame: the face is the photo's, the ring is the ribbon's red."""
    avatar = make_avatar(portrait, AvatarSpec(frame="red-ribbons", **photos.MIDDLE), Overlays(frames))
    assert (avatar.media_type, avatar.extension) == ("image/jpeg", ".jpg")
    assert list(avatar.seconds) == STEPS
    with Image.open(io.BytesIO(avatar.content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (1080, 1080))
        found = np.asarray(image.resize((108, 108))).astype(int)
    with Image.open(io.BytesIO(portrait)) as image:
        expected = np.asarray(image.convert("RGB").resize((108, 108))).astype(int)
    assert np.abs(found - expected)[40:70, 40:70].mean() < 4
    bottom = found[97:100, 48:60].reshape(-1, 3).mean(0)
    assert bottom[0] > bottom[1] + 60


@pytest.mark.parametrize("size", [64, 1080, 2048])
@pytest.mark.parametrize("rotate", [0, 12])
def test_every_size_is_exact(clear_overlays: Overlays, size: int, rotate: float) -> None:
    """An avatar has the size that was asked for, from a photo smaller or larger than it."""
    for side in (50, 2500):
        photo = photos.save(Image.new("RGB", (side, side), (10, 200, 30)), "JPEG")
        avatar = make_avatar(photo, AvatarSpec(frame="red-ribbons", size=size, rotate=rotate), clear_overlays)
        with Image.open(io.BytesIO(avatar.content)) as image:
            assert image.size == (size, size)
            found = np.asarray(image).astype(int)
        assert np.abs(found - (10, 200, 30)).max() <= 3


def test_the_same_photo_and_spec_give_the_same_bytes(clear_overlays: Overlays) -> None:
    """Nothing of time, chance or what was drawn before is in an avatar."""
    photo = photos.save(photos.detailed((90, 70)), "JPEG")
    first = make_avatar(photo, AvatarSpec(frame="red-ribbons", size=64), clear_overlays).content
    make_avatar(photos.heic(), AvatarSpec(frame="red-ribbons", size=64), clear_overlays)
    assert make_avatar(photo, AvatarSpec(frame="red-ribbons", size=64), clear_overlays).content == first


def test_a_bad_photo_is_refused_before_the_frame_is_drawn(frames: FrameLibrary) -> None:
    """A stranger's junk costs no drawing."""
    overlays = Overlays(frames)
    with pytest.raises(RibbonsError):
        make_avatar(b"junk", AvatarSpec(frame="red-ribbons"), overlays)
    assert overlays.nbytes == 0


# -- which square is seen --------------------------------------------------------


def crowd(portrait: Image.Image, size: tuple[int, int], *places: tuple[int, int, int]) -> Image.Image:
    """Return a photo with the portrait at each place: its left, its top and its side."""
    picture = Image.new("RGB", size, (120, 130, 140))
    for left, top, side in places:
        picture.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return picture


@pytest.fixture(scope="module")
def overlays(frames: FrameLibrary) -> Overlays:
    """The frames' overlays, each drawn once."""
    return Overlays(frames)


@pytest.fixture(scope="module")
def astronaut(portrait: bytes) -> Image.Image:
    """The portrait, decoded: 512 px, the face's middle at about (222, 115), 80 px wide."""
    with Image.open(io.BytesIO(portrait)) as image:
        return image.convert("RGB")


PHOTOS: dict[str, tuple[tuple[int, int], list[tuple[int, int, int]], str]] = {
    "a small face in 12 MP": ((4000, 3000), [(2600, 300, 1100)], "JPEG"),
    "a face that fills the photo": ((200, 220), [(-250, -60, 1100)], "JPEG"),
    "a head at the top": ((600, 1200), [(0, -60, 600)], "PNG"),
    "two": ((1600, 900), [(100, 200, 512), (700, 150, 600)], "WEBP"),
    "no face, tall": ((300, 500), [], "PNG"),
    "no face, wide": ((500, 300), [], "JPEG"),
}


def photo_of(name: str, astronaut: Image.Image) -> bytes:
    """Return one of PHOTOS as a file."""
    size, places, kind = PHOTOS[name]
    return photos.save(crowd(astronaut, size, *places), kind, quality=90)


@pytest.mark.parametrize("wishes", [{}, {"rotate": 30.0}, {"flip": True}, {"zoom": 1.7}, {"x": 0.3}], ids=str)
@pytest.mark.parametrize("name", PHOTOS)
def test_what_was_chosen_can_be_asked_for(
    overlays: Overlays, astronaut: Image.Image, name: str, wishes: dict[str, Any]
) -> None:
    """Sent back as it was told, the choice gives the same bytes, whatever scale the photo was decoded at."""
    photo = photo_of(name, astronaut)
    spec = AvatarSpec(frame="red-ribbons", size=360, **wishes)
    chosen = make_avatar(photo, spec, overlays)
    kind, x, y, zoom = chosen.framing
    again = make_avatar(photo, spec.model_copy(update={"x": x, "y": y, "zoom": zoom}), overlays)
    if "rotate" not in wishes:
        assert kind == ("faces" if PHOTOS[name][1] else "head" if "tall" in name else "centre")
    assert again.framing == ("given", x, y, zoom)
    assert again.content == chosen.content


def test_a_small_face_is_as_sharp_as_the_photo_has_it(overlays: Overlays, astronaut: Image.Image) -> None:
    """A JPEG is decoded anew where what is seen of it is small: not enlarged from an eighth of its scale."""
    size, places, _ = PHOTOS["a small face in 12 MP"]
    picture = crowd(astronaut, size, *places)
    spec = AvatarSpec(frame="red-ribbons", size=360, format="png")
    jpeg = make_avatar(photos.save(picture, "JPEG", quality=95), spec, overlays)
    _, x, y, zoom = jpeg.framing
    assert zoom > 2
    whole = spec.model_copy(update={"x": x, "y": y, "zoom": zoom})
    png = make_avatar(photos.save(picture, "PNG", compress_level=1), whole, overlays)
    found, expected = (np.asarray(Image.open(io.BytesIO(a.content))).astype(int) for a in (jpeg, png))
    assert np.abs(found - expected).mean() < 1


@pytest.mark.parametrize("size", [64, 96, 1080])
def test_a_small_avatar_is_framed_as_a_large_one(
    overlays: Overlays, astronaut: Image.Image, size: int
) -> None:
    """Faces are looked for in as many pixels, though few are drawn: in an eighth of them nobody is found."""
    photo = photos.save(crowd(astronaut, (900, 600), (350, 60, 300)), "JPEG", quality=90)
    spec = AvatarSpec(frame="red-ribbons", size=size, zoom=1)
    found, expected = (
        make_avatar(photo, one, overlays).framing for one in (spec, spec.model_copy(update={"size": 900}))
    )
    assert found == expected
    assert found.kind == "faces"


@pytest.mark.parametrize("spec", [{"faces": "off"}, {"x": 0.2, "y": 0.3, "zoom": 2}], ids=str)
def test_nobody_looks_for_faces_where_it_is_of_no_use(
    overlays: Overlays, portrait: bytes, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]
) -> None:
    """Neither where it was forbidden nor where the square was given."""
    monkeypatch.setattr(making, "find_faces", lambda picture: pytest.fail(f"looked at {picture}"))
    avatar = make_avatar(portrait, AvatarSpec(frame="red-ribbons", **spec), overlays)
    assert avatar.framing.kind == ("centre" if "faces" in spec else "given")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_face_is_found_however_the_photo_is_stored(
    overlays: Overlays, astronaut: Image.Image, orientation: int
) -> None:
    """What the camera says of its hold is heeded before anybody looks."""
    picture = crowd(astronaut, (900, 600), (350, 60, 420))
    upright, stored = (
        make_avatar(
            photos.save(photos.stored(picture, turn), "PNG", exif=photos.exif(turn)),
            AvatarSpec(frame="ribbon-loop", size=128, format="png"),
            overlays,
        ).framing
        for turn in (1, orientation)
    )
    assert stored.kind == "faces"
    assert stored[1:] == pytest.approx(upright[1:], abs=0.004)


def test_turned_upright_by_hand_a_face_is_found(overlays: Overlays, astronaut: Image.Image) -> None:
    """A photo that lies on its side without a word about it is looked at as it is asked for."""
    lying = photos.save(astronaut.transpose(Image.Transpose.ROTATE_90), "PNG")
    spec = AvatarSpec(frame="red-ribbons", size=256)
    upright = make_avatar(photos.save(astronaut, "PNG"), spec, overlays)
    turned = make_avatar(lying, spec.model_copy(update={"rotate": 90.0}), overlays)
    assert turned.framing.kind == "faces"
    # A quarter clockwise: what is at (x, y) of the upright photo lies at (y, 1 - x) of the stored one.
    assert (1 - turned.framing.y, turned.framing.x) == pytest.approx(upright.framing[1:3], abs=0.004)


NO_PORTRAITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "noise": lambda _: photos.detailed((300, 200)),
    "one colour": lambda _: Image.new("RGB", (640, 480), "navy"),
    "16 px": lambda astronaut: astronaut.resize((16, 16)),
    "16 x 4000": lambda astronaut: astronaut.resize((16, 4000)),
    "a panorama": lambda astronaut: crowd(astronaut, (6000, 200), (3000, 0, 200)),
    "grey": lambda astronaut: astronaut.convert("L"),
    "black and white": lambda astronaut: astronaut.convert("1"),
    "CMYK": lambda astronaut: astronaut.convert("CMYK"),
    "transparent": lambda astronaut: astronaut.convert("RGBA"),
    "upside down": lambda astronaut: astronaut.transpose(Image.Transpose.ROTATE_180),
    "at the edge": lambda astronaut: crowd(astronaut, (900, 600), (-190, 100, 512)),
    "at the corner": lambda astronaut: crowd(astronaut, (900, 600), (650, 480, 512)),
    "60 faces": lambda astronaut: crowd(
        astronaut, (2000, 1200), *((200 * (n % 10), 200 * (n // 10), 200) for n in range(60))
    ),
}


@pytest.mark.parametrize("wishes", [{}, {"rotate": -77.0, "flip": True}, {"zoom": 0.5}, {"y": 1.0}], ids=str)
@pytest.mark.parametrize("name", NO_PORTRAITS)
def test_every_picture_has_a_square(
    overlays: Overlays, astronaut: Image.Image, name: str, wishes: dict[str, Any]
) -> None:
    """Whatever is on it, an avatar is made; without a face of a square inside the photo."""
    picture = NO_PORTRAITS[name](astronaut)
    photo = photos.save(picture, "JPEG" if picture.mode == "CMYK" else "PNG")
    spec = AvatarSpec(frame="red-ribbons", size=96, **wishes)
    kind, x, y, zoom = make_avatar(photo, spec, overlays).framing
    assert 0.5 <= zoom <= 8
    if kind != "faces" and "zoom" not in wishes:
        assert zoom == 1
    square = frame_square(*picture.size, spec.model_copy(update={"x": x, "y": y, "zoom": zoom}))
    if not wishes.get("y"):
        assert (square.cx, square.cy) == pytest.approx(
            (x * picture.width, y * picture.height), abs=1e-6 * max(picture.size)
        )
