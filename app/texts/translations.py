"""The texts in every language, from gettext catalogues: ``locale/<language>/LC_MESSAGES/messages.po``.

Message ids are the English texts. Catalogues are read from their .po files when the service starts, so that
what a translator saved is what is shown: there is no compiled file that could be older.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from app.texts.languages import PAGE_LANGUAGES

if TYPE_CHECKING:
    from app.texts.languages import PageLanguage

_DIGITS = {"arab": str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")}

LOCALE_FOLDER = Path(__file__).parent / "locale"


def mark(message: str) -> str:
    """Mark a text for the catalogues where it stands; it is translated where it is shown."""
    return message


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
        # Babel chooses the separators of a numbering system, and leaves its digits to us.
        digits = _DIGITS.get(Locale.parse(locale).default_numbering_system)
        return text.translate(digits) if digits else text


def load_translations() -> dict[str, Translations]:
    """Read every language's catalogue. The order is that of :data:`~app.texts.languages.PAGE_LANGUAGES`.

    Raises:
        OSError: A catalogue is missing. It belongs to the code, so this is a broken installation.
    """
    return {code: Translations(language, _messages(language)) for code, language in PAGE_LANGUAGES.items()}


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
