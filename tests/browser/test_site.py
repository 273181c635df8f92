"""What holds for every page, in every language."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import OpenPage


def test_the_first_page_is_in_the_readers_language(
    open_page: OpenPage, language: str, screenshot: Callable[..., None]
) -> None:
    """A browser that asks for a language gets the editor in it, at the first address."""
    page = open_page("phone", language)
    page.goto("/")
    assert page.locator("html").get_attribute("lang") == language
    screenshot(page, "first")
