"""The editor as a supporter handles it: what its tests have in common."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import expect

from tests import photos

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Pixels = np.ndarray[Any, np.dtype[np.int16]]


@cache
def scene(size: tuple[int, int]) -> Image.Image:
    """Return a picture as a camera sees one: soft shades, edges of every direction, no two parts alike."""
    width, height = size
    image = Image.merge("RGB", [Image.linear_gradient("L").rotate(a).resize(size) for a in (0, 90, 180)])
    draw = ImageDraw.Draw(image)
    chance = np.random.default_rng(31)
    for _ in range(160):
        x, y, reach = chance.uniform(0, width), chance.uniform(0, height), chance.uniform(0.01, 0.08)
        points = [
            (
                x + reach * width * math.cos(angle) * chance.uniform(0.4, 1),
                y + reach * width * math.sin(angle) * chance.uniform(0.4, 1),
            )
            for angle in np.linspace(0, 2 * math.pi, 7)
        ]
        draw.polygon(points, fill=tuple(chance.integers(0, 256, 3).tolist()))
    # No lens draws an edge within one pixel.
    return image.filter(ImageFilter.GaussianBlur(max(size) / 2000))


def jpeg(image: Image.Image, orientation: int = 1, **options: Any) -> bytes:
    """Return a JPEG as a camera stores it under an EXIF orientation."""
    return photos.save(
        photos.stored(image, orientation), "JPEG", quality=92, exif=photos.exif(orientation), **options
    )


@dataclass(frozen=True)
class Editor:
    """The editor on an open page."""

    page: Page

    @property
    def stage(self) -> Locator:
        """The circle with the photo."""
        return self.page.locator(".stage")

    @property
    def make(self) -> Locator:
        """The primary button."""
        return self.page.locator("#make")

    @property
    def reading(self) -> Locator:
        """What the page says of the photo's way in."""
        return self.page.locator("#reading")

    @property
    def sending(self) -> Locator:
        """What the page says of the picture's way out."""
        return self.page.locator("#sending")

    def open(self, language: str = "ar", site: str = "") -> Editor:
        """Open it and wait for its script."""
        self.page.goto(f"{site}/{language}")
        expect(self.page.locator("#editor")).to_have_class("editor is-live")
        return self

    def choose(self, photo: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> Editor:
        """Choose a photo, and wait until the stage shows it in its frame, laid by itself."""
        with self.page.expect_response("**/overlay.webp?*"):
            self.give(photo, name, kind)
            expect(self.page.locator("#editor")).to_have_class("editor is-live has-photo")
        self.wait_until_laid()
        self.settle()
        return self

    def wait_until_laid(self) -> None:
        """Wait until faces were looked for."""
        expect(self.stage).to_have_attribute("data-framing", re.compile("faces|head|centre"))

    def give(self, photo: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> None:
        """Choose a file, whatever comes of it."""
        self.page.locator("#photo").set_input_files({"name": name, "mimeType": kind, "buffer": photo})

    def settle(self) -> None:
        """Wait until what was changed has been drawn."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 60)))")

    def wait_until(self, condition: str) -> None:
        """Wait until something is so. Playwright's own waiting needs eval, which pages forbid."""
        is_so = self.page.evaluate(
            """async () => {
                for (let tries = 0; tries < 100; tries++) {
                    if (CONDITION) return true;
                    await new Promise((resolve) => setTimeout(resolve, 50));
                }
                return false;
            }""".replace("CONDITION", condition)
        )
        assert is_so, condition

    def zoom(self) -> str:
        """Return what the zoom slider says, in Latin digits."""
        said = self.page.locator("#zoom").get_attribute("aria-valuetext") or ""
        return "".join(str(int(sign)) for sign in said if sign.isdecimal())

    def turned(self) -> str:
        """Return what is written beside the turn slider."""
        return self.page.locator("#turn-value").inner_text()

    def photo_pixels(self) -> Pixels:
        """Return the photo on the stage, without the frame."""
        return self._pixels("canvas => canvas.toDataURL()", ".stage canvas")

    def preview_pixels(self) -> Pixels:
        """Return the stage as it is seen: the photo under its frame, in pixels of the screen."""
        return self._pixels(
            """stage => {
                const photo = stage.querySelector("canvas");
                const whole = document.createElement("canvas");
                whole.width = whole.height = photo.width;
                const context = whole.getContext("2d");
                context.imageSmoothingQuality = "high";
                context.drawImage(photo, 0, 0);
                context.drawImage(stage.querySelector("img"), 0, 0, whole.width, whole.height);
                return whole.toDataURL();
            }""",
            ".stage",
        )

    def small_preview_pixels(self, name: str) -> Pixels:
        """Return a preview as platforms show it: ``large`` or ``small``."""
        return self._pixels("canvas => canvas.toDataURL()", f".preview.is-{name}")

    def make_picture(self) -> bytes:
        """Press the button; return the finished avatar."""
        self.make.click()
        self.page.wait_for_url("**/made/*")
        token = self.page.url.rpartition("/")[2]
        answer = self.page.request.get(f"/made/{token}/avatar.jpg")
        assert answer.ok
        return answer.body()

    def _pixels(self, script: str, selector: str) -> Pixels:
        address: str = self.page.locator(selector).evaluate(script)
        return pixels(base64.b64decode(address.partition(",")[2]))


def pixels(picture: bytes, side: int | None = None) -> Pixels:
    """Return a picture's colours, brought to a size as a browser does that shows it smaller."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if side is not None:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.int16)


@dataclass(frozen=True)
class Difference:
    """How far two pictures are apart inside the circle that platforms cut out, of 255.

    Attributes:
        mean: Of all pixels and colours.
        worst: What 99 of 100 pixels stay below, in the colour that differs most.
    """

    mean: float
    worst: float

    @classmethod
    def of(cls, one: Pixels, other: Pixels) -> Difference:
        """Compare two squares of one size."""
        side = one.shape[0]
        down, across = np.mgrid[:side, :side] - (side - 1) / 2
        inside = np.hypot(down, across) < side / 2 - 2
        apart = np.abs(one - other)[inside]
        return cls(float(apart.mean()), float(np.percentile(apart.max(axis=1), 99)))

    def within(self, tolerance: Difference) -> bool:
        """Whether both are at most so much."""
        return self.mean <= tolerance.mean and self.worst <= tolerance.worst
