"""Take the pictures of the pages that README shows: ``make screens``, beside a running ``make run``.

Writes ``docs/pages.webp``: the editor before and after a photo was chosen and the result, in Arabic on a
phone, and the editor in English on a desktop. And, where a key is given, ``docs/partners.webp``: the
page of partners when a batch is done. Needs Chromium; the photo is the portrait beside the frames.
"""
# ruff: noqa: INP001 (a script, no package)

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
HEIGHT = 844
GAP = 32
GROUND = "#d9d0c4"
QUALITY = 88
# Without hinting, which moves letters to whole pixels in the headless shell, and on no phone.
FLAGS = ("--no-sandbox", "--disable-gpu", "--font-render-hinting=none")
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def take_pictures(url: str, key: str) -> None:
    """Open the pages at an address, and lay their pictures side by side."""
    program = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS])
        pictures = [*phone_pictures(browser, url), desktop_picture(browser, url)]
        if key:
            picture = partners_picture(browser, url, key)
            picture.save(ROOT / "docs" / "partners.webp", quality=QUALITY, method=6)
        browser.close()
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) + 1)
    sheet = Image.new("RGB", (width, HEIGHT + 2 * GAP), GROUND)
    left = GAP
    for picture in pictures:
        sheet.paste(picture, (left, GAP))
        left += picture.width + GAP
    sheet.save(ROOT / "docs" / "pages.webp", quality=QUALITY, method=6)


def phone_pictures(browser: Browser, url: str) -> list[Image.Image]:
    """Return the way of a supporter with a phone, in Arabic."""
    context = browser.new_context(
        viewport={"width": 390, "height": HEIGHT}, is_mobile=True, has_touch=True, service_workers="block"
    )
    page = context.new_page()
    page.goto(f"{url}/ar")
    pictures = [picture_of(page)]
    choose_portrait(page)
    pictures.append(picture_of(page))
    page.click("#make")
    page.wait_for_url("**/made/*")
    pictures.append(picture_of(page))
    context.close()
    return pictures


def desktop_picture(browser: Browser, url: str) -> Image.Image:
    """Return the editor with a photo in it, on a desktop, in English."""
    page = browser.new_page(viewport={"width": 1180, "height": HEIGHT}, service_workers="block")
    page.goto(f"{url}/en")
    choose_portrait(page)
    return picture_of(page)


def partners_picture(browser: Browser, url: str, key: str) -> Image.Image:
    """Return what a partner sees of a batch that is done: what to look at first, and all others."""
    page = browser.new_page(viewport={"width": 1180, "height": 930}, service_workers="block")
    page.goto(f"{url}/en/partners")
    page.fill("#key", key)
    page.click("#key-form [type=submit]")
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder))
        page.set_input_files("#folder", folder)
        page.locator("#start:enabled").click()
        page.locator("#take-home").wait_for(timeout=120_000)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_timeout(3000)  # thumbnails come one after the other; the page itself never rests
    return seen(page)


def write_photos(folder: Path) -> None:
    """Write an organisation's photos: of its one member, and two in which nobody is."""
    with Image.open(ROOT / "frames" / "portrait.png") as portrait:
        photo = portrait.convert("RGB")
    width, height = photo.size
    for number in range(8):
        left = number * width // 60
        part = photo.crop((left, number * height // 80, width - number % 3 * width // 20, height))
        (ImageOps.mirror(part) if number % 2 else part).save(folder / f"member-{number + 1:03}.jpg")
    for name, colours in {"garden": "#3b6b3a #d8e8c0", "logo": "#20304a #e7ddc8"}.items():
        ground = Image.new("L", (300, 400))
        ground.paste(Image.linear_gradient("L").resize((300, 400)))
        ImageOps.colorize(ground, *colours.split()).save(folder / f"{name}.jpg")


def choose_portrait(page: Page) -> None:
    """Choose the portrait as one's photo."""
    page.set_input_files("#photo", ROOT / "frames" / "portrait.png")
    page.locator(".has-photo").wait_for()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def picture_of(page: Page) -> Image.Image:
    """Return what is seen, once it has come to rest."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(800)
    return seen(page)


def seen(page: Page) -> Image.Image:
    """Return what is seen now."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        return picture.convert("RGB")


if __name__ == "__main__":
    address, key, *_ = [*sys.argv[1:], *["http://127.0.0.1:8000", ""][len(sys.argv) - 1 :]]
    take_pictures(address, key)
