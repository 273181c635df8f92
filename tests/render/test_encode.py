from __future__ import annotations

import io
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from app.render.encode import EXTENSIONS, MEDIA_TYPES, encode
from app.spec import Format
from tests import photos

FORMATS = get_args(Format)
PICTURE = photos.detailed((32, 32)).resize((200, 200), Image.Resampling.BICUBIC)


def decoded(content: bytes) -> Image.Image:
    """Read a picture back."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_has_a_media_type_and_an_extension(output_format: Format) -> None:
    """The tables are complete, and agree with what Pillow makes of the bytes."""
    image = decoded(encode(PICTURE, output_format))
    assert image.format is not None
    assert Image.MIME[image.format] == MEDIA_TYPES[output_format]
    assert Image.registered_extensions()[EXTENSIONS[output_format]] == image.format


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_same_pixels_give_the_same_bytes(output_format: Format) -> None:
    """An avatar can be compared, cached and checked by its bytes."""
    assert encode(PICTURE, output_format) == encode(PICTURE.copy(), output_format)


@pytest.mark.parametrize(("output_format", "least"), [("jpeg", 36), ("png", 99), ("webp", 33), ("avif", 36)])
def test_what_is_encoded_is_what_was_seen(output_format: Format, least: float) -> None:
    """Coding costs less than can be seen (dB of PSNR), and PNG nothing."""
    found = np.asarray(decoded(encode(PICTURE, output_format)).convert("RGB"), dtype=float)
    error = ((found - np.asarray(PICTURE)) ** 2).mean()
    assert error == 0 or 10 * np.log10(255**2 / error) > least


@pytest.mark.parametrize("output_format", ["png", "webp", "avif"])
def test_transparency_is_kept(output_format: Format) -> None:
    """The edge of a circle keeps its opacity."""
    circle = PICTURE.copy()
    circle.putalpha(Image.radial_gradient("L").resize(PICTURE.size))
    found = np.asarray(decoded(encode(circle, output_format)).getchannel("A")).astype(int)
    assert np.abs(found - np.asarray(circle.getchannel("A"))).max() <= 4


def test_red_edges_stay_sharp() -> None:
    """JPEG keeps colour at full resolution: a red line one pixel wide stays red."""
    line = Image.new("RGB", (64, 64), "white")
    line.paste((200, 0, 20), (31, 0, 32, 64))
    content = encode(line, "jpeg")
    image = decoded(content)
    assert isinstance(image, JpegImageFile)
    assert get_sampling(image) == 0
    colour = image.getpixel((31, 32))
    assert isinstance(colour, tuple)
    assert np.abs(np.array(colour) - (200, 0, 20)).max() <= 16


@pytest.mark.parametrize("output_format", FORMATS)
def test_metadata_on_the_picture_is_not_written(output_format: Format) -> None:
    """Even what Pillow would take from the picture's own info is left out."""
    marked = PICTURE.copy()
    canary = photos.CANARY
    marked.info |= {"comment": canary, "exif": photos.exif(1, canary), "icc_profile": canary, "xmp": canary}
    assert canary not in encode(marked, output_format)
