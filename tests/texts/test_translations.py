from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from app.texts.languages import PAGE_LANGUAGES
from app.texts.translations import load_translations, translations_of, translations_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from babel.messages.catalog import Catalog, Message

TRANSLATED = [code for code in PAGE_LANGUAGES if code != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*(?::\w+)?\}|%[sd]")


@pytest.fixture(scope="session")
def wanted(root: Path) -> set[str | tuple[str, ...]]:
    """Every message that templates and code ask for."""
    with (root / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]  # Babel has no type for it
    found = extract_from_dir(
        root / "app",
        methods,
        options,
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "mark": None},
    )
    return {message for _, _, message, _, _ in found}


def catalogue_of(code: str) -> Catalog:
    """Read a language's file."""
    with translations_path(code).open("rb") as file:
        return read_po(file, locale=code)


def messages_of(code: str) -> Iterator[Message]:
    """Return a language's messages."""
    return (message for message in catalogue_of(code) if message.id)


def texts_of(message: Message) -> tuple[str, ...]:
    """Return a translation, or all of its plural forms."""
    forms = message.string if isinstance(message.string, list | tuple) else (message.string,)
    return tuple(form or "" for form in forms)


def test_there_are_messages(wanted: set[str | tuple[str, ...]]) -> None:
    """The extraction finds texts in templates and in code."""
    assert "Red Ribbons" in wanted
    assert "Choose a photo first." in wanted


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_message_is_translated(code: str, wanted: set[str | tuple[str, ...]]) -> None:
    """A language has all that is asked for, nothing else, and no translation is empty or fuzzy."""
    found = {message.id for message in messages_of(code)}
    assert wanted - found == set(), "run `make catalogues` and translate these"
    assert found - wanted == set(), "run `make catalogues`: nobody asks for these any more"
    assert not [message.id for message in messages_of(code) if message.fuzzy or not all(texts_of(message))]


@pytest.mark.parametrize("code", TRANSLATED)
def test_plurals_have_all_their_forms(code: str) -> None:
    """Arabic has six, Turkish two, Indonesian one."""
    forms = catalogue_of(code).num_plurals
    assert forms == {"ar": 6, "id": 1}.get(code, 2)
    for message in messages_of(code):
        if message.pluralizable:
            assert len(texts_of(message)) == forms, message.id


@pytest.mark.parametrize("code", TRANSLATED)
def test_placeholders_survive_translation(code: str) -> None:
    """A translation fills in what the English text does; a plural form may leave its number unsaid."""
    for message in messages_of(code):
        english = message.id if isinstance(message.id, str) else message.id[-1]
        expected = set(PLACEHOLDER.findall(english))
        for text in texts_of(message):
            found = set(PLACEHOLDER.findall(text))
            assert found <= expected, message.id
            assert found == expected or message.pluralizable, message.id


@pytest.mark.parametrize("code", ["ar", "ur"])
def test_texts_in_arabic_script_are_in_arabic_script(code: str) -> None:
    """No English was left standing."""
    for message in messages_of(code):
        for text in texts_of(message):
            assert re.search("[\u0600-\u06ff]", text), message.id


def test_arabic_plurals_are_in_the_order_of_gettext() -> None:
    """None, one, two, three to ten, eleven to ninety-nine, hundreds."""
    plural = load_translations()["ar"].messages.plural  # type: ignore[attr-defined]  # gettext's own
    assert [plural(number) for number in (0, 1, 2, 3, 10, 11, 99, 100, 102)] == [0, 1, 2, 3, 3, 4, 4, 5, 5]


def test_numbers_follow_the_locale() -> None:
    """Digits and separators are the language's own."""
    translations = load_translations()
    assert translations["ar"].number(1234.5) == "١٬٢٣٤٫٥"
    assert translations["en"].number(1234.5) == "1,234.5"
    assert translations["de"].number(1234.5) == "1.234,5"
    assert translations["fr"].number(1234567) == "1\u202f234\u202f567"


def test_a_number_keeps_its_sign_before_it() -> None:
    """Right to left, a minus without its mark would go behind the digits."""
    shown = {code: translations_of(code).number(-180, grouped=False) for code in ("ar", "ur", "en", "fr")}
    assert shown == {"ar": "\u061c-١٨٠", "ur": "\u200e-180", "en": "-180", "fr": "-180"}


def test_a_list_is_written_as_its_text_asks() -> None:
    """With commas, with a word before the last, or with spaces only; each word in its own direction."""
    words = ("JPEG", "PNG", "GIF")
    text = "{words} | {words:or} | {words:spaced}"
    assert translations_of("en").filled(text, {"words": words}) == (
        "JPEG, PNG, GIF | JPEG, PNG or GIF | JPEG PNG GIF"
    )
    isolated = [f"\u2068{word}\u2069" for word in words]
    assert translations_of("ur").filled(text, {"words": words}) == (
        f"{'، '.join(isolated)} | {isolated[0]}، {isolated[1]}، یا {isolated[2]} | {' '.join(isolated)}"
    )
