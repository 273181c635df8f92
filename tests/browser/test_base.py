"""What every page has: the way to its other languages, its typeface, and texts that can be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import OpenPage

FONTS_OF_THE_ARABIC_PAGE = 45_000


def font_names(page: Page) -> set[str]:
    """Return which of our font files a page has loaded, without their hashes."""
    addresses: list[str] = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    return {
        address.rpartition("/")[2].partition(".")[0] for address in addresses if address.endswith(".woff2")
    }


@pytest.mark.parametrize("javascript", [True, False])
def test_the_switch_leads_to_another_language(open_page: OpenPage, *, javascript: bool) -> None:
    """The list of languages opens and leads to the same page, with and without a script."""
    page = open_page("phone", java_script_enabled=javascript)
    page.goto("/ar/ios")
    english = page.get_by_role("link", name="English", exact=True)
    expect(english).to_be_hidden()
    page.locator(".languages summary").tap()
    english.tap()
    page.wait_for_url("**/en/ios")
    expect(page.locator("html")).to_have_attribute("dir", "ltr")


def test_the_switch_works_by_keyboard(desktop: Page) -> None:
    """Enter opens it, Escape closes it and keeps the focus, and a list that is left closes by itself."""
    desktop.goto("/ar")
    summary, languages = desktop.locator(".languages summary"), desktop.locator(".languages")
    summary.focus()
    desktop.keyboard.press("Enter")
    expect(languages).to_have_attribute("open", "")
    desktop.keyboard.press("Tab")
    expect(languages.locator("li a").first).to_be_focused()
    desktop.keyboard.press("Escape")
    expect(languages).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()
    desktop.keyboard.press("Enter")
    desktop.locator("#main a, #main button, #main select, #main input").first.focus()
    expect(languages).not_to_have_attribute("open", "")


def test_the_first_stop_skips_the_header(desktop: Page) -> None:
    """The first press of Tab shows a link past the header; it moves the focus."""
    desktop.goto("/en/ios")
    desktop.keyboard.press("Tab")
    skip = desktop.locator(".skip-link")
    expect(skip).to_be_focused()
    assert skip.bounding_box() is not None
    desktop.keyboard.press("Enter")
    expect(desktop.locator("#main")).to_be_focused()


def test_the_arabic_page_loads_light_fonts(phone: Page) -> None:
    """The first view loads Arabic, and at most the regular Latin letters: no more than 45 KB together."""
    sizes: dict[str, int] = {}
    phone.on(
        "response",
        lambda answer: (
            sizes.update({answer.url: int(answer.headers["content-length"])})
            if answer.url.endswith(".woff2")
            else None
        ),
    )
    phone.goto("/ar", wait_until="networkidle")
    assert {"cairo-arabic-regular", "cairo-arabic-bold"} <= font_names(phone)
    assert 0 < sum(sizes.values()) <= FONTS_OF_THE_ARABIC_PAGE


def test_a_latin_page_loads_no_arabic(desktop: Page) -> None:
    """Digits and punctuation come with the letters of the page: only Arabic words would load Arabic fonts."""
    desktop.goto("/de/ios", wait_until="networkidle")
    assert font_names(desktop) == {"cairo-latin-regular", "cairo-latin-bold"}


def test_the_recipes_address_can_be_copied(open_page: OpenPage) -> None:
    """One press puts the address on the clipboard and says so."""
    page = open_page("phone", permissions=["clipboard-read", "clipboard-write"])
    page.goto("/en/ios")
    page.get_by_role("button", name="Copy").tap()
    expect(page.locator("#copied")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{page.evaluate('origin')}/v1/avatars"
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()


def test_where_copying_is_refused_the_address_is_selected(open_page: OpenPage) -> None:
    """A browser that has no clipboard for pages leaves it to the reader's own menu."""
    page = open_page("phone")
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))")
    page.goto("/en/ios")
    page.get_by_role("button", name="Copy").tap()
    page.wait_for_function("getSelection().toString().endsWith('/v1/avatars')")


def test_the_languages_with_letters_twice_as_large(open_page: OpenPage, direction_language: str) -> None:
    """On the narrowest phone the open switch, and the page below it, end where the screen ends."""
    page = open_page("small", direction_language)
    page.goto(f"/{direction_language}")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.locator(".languages summary").click()
    box = page.locator(".languages ul").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
