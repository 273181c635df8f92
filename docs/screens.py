"""Take the pictures of the pages that README shows: ``make screens``, beside a running ``make run``.

Writes ``docs/pages.webp``: the editor before and after a photo was chosen and the result, in Arabic on a
phone, and the editor in English on a desktop. Needs Chromium; the photo is the portrait beside the frames.
"""
# ruff: noqa: INP001 (a script, no package)

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
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


def take_pictures(url: str) -> None:
    """Open the pages at an address, and lay their pictures side by side."""
    program = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS])
        pictures = [*phone_pictures(browser, url), desktop_picture(browser, url)]
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


def choose_portrait(page: Page) -> None:
    """Choose the portrait as one's photo."""
    page.set_input_files("#photo", ROOT / "frames" / "portrait.png")
    page.locator(".has-photo").wait_for()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def picture_of(page: Page) -> Image.Image:
    """Return what is seen, once it has come to rest."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(800)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        return picture.convert("RGB")


if __name__ == "__main__":
    take_pictures(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
