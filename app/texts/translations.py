"""The texts in every language, from gettext catalogues: ``locale/<language>/LC_MESSAGES/messages.po``.

Message ids are the English texts. Catalogues are read from their .po files when the service starts, so that
what a translator saved is what is shown: there is no compiled file that could be older.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING

from babel import Locale
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_minus_sign_symbol

from app.texts.languages import PAGE_LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.texts.languages import PageLanguage

_DIGITS = {"arab": str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")}

LOCALE_FOLDER = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Translations:
    """One language's texts, and how it writes numbers."""

    language: PageLanguage
    messages: NullTranslations

    def gettext(self, message: str) -> str:
        """Translate a text."""
        return self.messages.gettext(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Translate a text that depends on a number: Arabic has six forms."""
        return self.messages.ngettext(singular, plural, number)

    def number(self, value: float, *, grouped: bool = True) -> str:
        """Write a number; its thousands are not grouped where it is a size in pixels."""
        locale = self.language.locale
        text = format_decimal(value, locale=locale, group_separator=grouped, numbering_system="default")
        # Babel chooses the separators of a numbering system, and leaves its digits and its sign to us. Right
        # to left, that sign has a mark which keeps it before the digits.
        digits = _DIGITS.get(Locale.parse(locale).default_numbering_system)
        sign = get_minus_sign_symbol(locale, numbering_system="default")
        text = text.replace("-", sign)
        return text.translate(digits) if digits else text

    def either(self, words: Iterable[str]) -> str:
        """Write a list of which one is meant: a, b or c."""
        return format_list(tuple(map(self._isolated, words)), style="or", locale=self.language.locale)

    def filled(self, message: str, values: Mapping[str, str | float | tuple[str, ...]]) -> str:
        """Translate a text and fill in its ``{names}``: words, numbers, or lists of words.

        A list is written with the language's commas; ``{name:or}`` with a word before the last, and
        ``{name:spaced}`` with spaces only: a comma between signs would be read as one of them.
        """
        shown = {name: self._shown(value) for name, value in values.items()}
        return self.gettext(message).format(**shown)

    def _shown(self, value: str | float | tuple[str, ...]) -> str | _List:
        if isinstance(value, str | tuple):
            return _List((value,) if isinstance(value, str) else value, self)
        return self.number(value, grouped=False)

    def _isolated(self, word: str) -> str:
        # First strong isolate: a word of another script keeps its direction, and so does the sentence.
        return word if self.language.direction == "ltr" and word.isascii() else f"\u2068{word}\u2069"


@dataclass(frozen=True, slots=True)
class _List:
    """Words, to be written as a text asks for."""

    words: tuple[str, ...]
    translations: Translations

    def __format__(self, style: str) -> str:
        if style == "or":
            return self.translations.either(self.words)
        comma = "، " if self.translations.language.direction == "rtl" else ", "
        separator = " " if style == "spaced" else comma
        return separator.join(map(self.translations._isolated, self.words))  # noqa: SLF001 - of this module


@cache
def translations_of(code: str) -> Translations:
    """Read a language's catalogue, once.

    Raises:
        KeyError: It is no language of :data:`~app.texts.languages.PAGE_LANGUAGES`.
        OSError: The catalogue is missing. It belongs to the code, so this is a broken installation.
    """
    language = PAGE_LANGUAGES[code]
    return Translations(language, _messages(language))


def load_translations() -> dict[str, Translations]:
    """Read every language's catalogue. The order is that of :data:`~app.texts.languages.PAGE_LANGUAGES`."""
    return {code: translations_of(code) for code in PAGE_LANGUAGES}


def translations_path(code: str) -> Path:
    """Return the file of a language's texts."""
    return LOCALE_FOLDER / code / "LC_MESSAGES" / "messages.po"


def _messages(language: PageLanguage) -> NullTranslations:
    if language.code == "en":
        return NullTranslations()
    compiled = io.BytesIO()
    with translations_path(language.code).open("rb") as file:
        write_mo(compiled, read_po(file, locale=language.code))
    compiled.seek(0)
    return GNUTranslations(compiled)
