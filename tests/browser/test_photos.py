"""Odd photos in a browser: what the docstrings of `app/render/formats/` say of Chromium is asked of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import odd_photos
from tests.render.conftest import on_white

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PIXELS = """async ([photo, type]) => {
    const bytes = Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0));
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([bytes], { type }));
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0);
    URL.revokeObjectURL(image.src);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.width, canvas.height, btoa(Array.from(data, (n) => String.fromCharCode(n)).join(""))];
}"""
TYPES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"GI": "image/gif", b"RI": "image/webp"}
LOSSY = 3
"""Levels of 255 by which two decoders of a lossy picture may differ."""

PHOTOS: dict[str, bytes] = {
    **{f"turned: {name}": photo for name, (photo, _) in odd_photos.ORIENTATIONS.items()},
    **{f"first frame: {name}": photo for name, (photo, _) in odd_photos.FIRST_FRAMES.items()},
    **{f"transparent: {name}": photo for name, (photo, _) in odd_photos.TRANSPARENT.items()},
    **{f"PNG: {name}": photo for name, photo in odd_photos.ENDLESS_PNGS.items()},
    **{f"GIF: {name}": photo for name, photo in odd_photos.ENDLESS_GIFS.items()},
}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """A blank page for all of these."""
    return browser.new_page()


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_read_as_the_browser_shows_it(page: Page, name: str) -> None:
    """The avatar is made of what its owner sees: turned as there, and white where that is."""
    photo = PHOTOS[name]
    width, height, data = page.evaluate(PIXELS, [base64.b64encode(photo).decode(), TYPES[photo[:2]]])
    shown = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]
    found = on_white(photo)
    assert found.shape == shown.shape
    assert np.abs(found.astype(int) - shown).max() <= LOSSY
