from __future__ import annotations

import pytest
from babel import Locale

from app.texts.languages import PAGE_LANGUAGES


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_each_language_is_written_as_its_locale_says(code: str) -> None:
    """Direction and digits are CLDR's, and the browser is told the same digits."""
    language = PAGE_LANGUAGES[code]
    locale = Locale.parse(language.locale)
    assert language.direction == locale.text_direction
    assert language.tag.endswith(f"-u-nu-{locale.default_numbering_system}")
