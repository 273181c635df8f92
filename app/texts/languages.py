"""The languages that the service speaks: its pages, its errors, its command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"})
"""The languages that are written from right to left: the pages' own, and others of frames' words."""


@dataclass(frozen=True, slots=True)
class PageLanguage:
    """A language of the pages.

    Attributes:
        code: ISO 639-1; the first part of a page's address.
        name: What its own readers call it.
        locale: For Babel: how numbers are written.
        tag: BCP 47, for ``Intl`` in browsers, with the digits named so that both write the same ones.
    """

    code: str
    name: str
    locale: str
    tag: str

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """How it is written."""
        return "rtl" if self.code in RIGHT_TO_LEFT else "ltr"


PAGE_LANGUAGES: dict[str, PageLanguage] = {
    language.code: language
    for language in (
        # The campaign's own readers write ٠١٢; CLDR's plain "ar" would write 012.
        PageLanguage("ar", "العربية", "ar_PS", "ar-PS-u-nu-arab"),
        PageLanguage("en", "English", "en_001", "en-u-nu-latn"),
        PageLanguage("fr", "Français", "fr", "fr-u-nu-latn"),
        PageLanguage("es", "Español", "es", "es-u-nu-latn"),
        PageLanguage("de", "Deutsch", "de", "de-u-nu-latn"),
        PageLanguage("tr", "Türkçe", "tr", "tr-u-nu-latn"),
        PageLanguage("id", "Bahasa Indonesia", "id", "id-u-nu-latn"),
        PageLanguage("ur", "اردو", "ur", "ur-u-nu-latn"),
    )
}
"""By code, in the order of the switch; the first is what readers get who ask for none of them."""

PROGRAM_LANGUAGE = "en"
"""For whoever names none of them, to the API or at a terminal. Browsers always name one; programs, whose
authors read the answer, seldom do."""
