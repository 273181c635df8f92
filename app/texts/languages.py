"""The languages that the pages speak, and which of them a reader gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class PageLanguage:
    """A language of the pages.

    Attributes:
        code: ISO 639-1; the first part of a page's address.
        name: What its own readers call it.
        locale: For Babel: how numbers are written.
        tag: BCP 47, for ``Intl`` in browsers, with the digits named so that both write the same ones.
        direction: ``rtl`` or ``ltr``.
    """

    code: str
    name: str
    locale: str
    tag: str
    direction: Literal["ltr", "rtl"] = "ltr"


PAGE_LANGUAGES: dict[str, PageLanguage] = {
    language.code: language
    for language in (
        # The campaign's own readers write ٠١٢; CLDR's plain "ar" would write 012.
        PageLanguage("ar", "العربية", "ar_PS", "ar-PS-u-nu-arab", "rtl"),
        PageLanguage("en", "English", "en", "en-u-nu-latn"),
        PageLanguage("fr", "Français", "fr", "fr-u-nu-latn"),
        PageLanguage("es", "Español", "es", "es-u-nu-latn"),
        PageLanguage("de", "Deutsch", "de", "de-u-nu-latn"),
        PageLanguage("tr", "Türkçe", "tr", "tr-u-nu-latn"),
        PageLanguage("id", "Bahasa Indonesia", "id", "id-u-nu-latn"),
        PageLanguage("ur", "اردو", "ur", "ur-u-nu-latn", "rtl"),
    )
}
"""By code, in the order of the switch; the first is what readers get who ask for none of them."""


def negotiate(accept_language: str | None, offered: Sequence[T], default: T) -> T:
    """Choose the language of an answer from the request's Accept-Language (RFC 9110, 12.5.4).

    A range matches with its subtags (``ar-PS`` is Arabic). Among equals the first one named wins.
    """
    best, best_quality = default, 0.0
    for tag, quality in _ranges(accept_language or ""):
        primary = tag.partition("-")[0]
        for language in offered:
            if primary == language and quality > best_quality:
                best, best_quality = language, quality
    return best


def _ranges(accept_language: str) -> Iterator[tuple[str, float]]:
    # Twenty ranges are more than any browser sends.
    for item in accept_language.lower().split(",")[:20]:
        tag, _, parameter = item.partition(";")
        name, _, value = parameter.partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            yield tag.strip(), quality
