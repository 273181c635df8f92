"""What the pages' look rests on: contrast, one red, both directions; and what every page says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.texts.languages import PAGE_LANGUAGES

if TYPE_CHECKING:
    from starlette.testclient import TestClient

STATIC = Path(__file__).parents[3] / "app/web/static"
STYLES = sorted(path.name for path in STATIC.glob("*.css"))
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
COLOUR = re.compile(r"#[0-9a-f]{3,8}\b|\brgba?\([^)]*\)|\bhsla?\([^)]*\)")
PHYSICAL = re.compile(
    r"(?<![\w-])(?:(?:margin|padding|border|inset)-(?:left|right|top|bottom)[\w-]*"
    r"|left|right|top|bottom|(?:min-|max-)?(?:width|height)|float)\s*:"
)


def rules_of(name: str) -> str:
    """Return a style sheet without its comments."""
    return COMMENT.sub("", (STATIC / name).read_text(encoding="utf-8"))


def token(name: str) -> str:
    """Return the colour of a token, ``#rrggbb``, as most readers see it."""
    found = re.search(rf"--{name}: (#[0-9a-f]{{6}});", rules_of("base.css"))
    assert found, name
    return found[1]


def luminance(colour: str) -> float:
    """Return WCAG's relative luminance, 0-1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return WCAG's contrast ratio, 1-21."""
    lower, higher = sorted((luminance(one), luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


@pytest.mark.parametrize("ground", ["ground", "surface"])
@pytest.mark.parametrize(("colour", "least"), [("ink", 7), ("muted", 4.5), ("edge", 3)])
def test_every_colour_can_be_seen(colour: str, least: float, ground: str) -> None:
    """Text has 4.5:1 on either ground, the edges of controls 3:1 (WCAG 2.2, 1.4.3 and 1.4.11)."""
    assert contrast(token(colour), token(ground)) >= least


@pytest.mark.parametrize("name", STYLES)
def test_no_style_is_for_nothing(name: str) -> None:
    """Every class is on some page: who loads a style sheet pays for all of it."""
    pages = [path for kind in ("templates/*.html", "static/*.js") for path in STATIC.parent.glob(kind)]
    used = " ".join(path.read_text(encoding="utf-8") for path in pages)
    classes = set(re.findall(r"\.([a-z][a-z-]*)(?![\w.-]*\")", re.sub(r"url\([^)]*\)", "", rules_of(name))))
    # An arrow's direction is put together: is-{{ degrees }}.
    assert [one for one in sorted(classes) if one not in used and f'"{one[3:]}"' not in used] == []


@pytest.mark.parametrize("name", STYLES)
def test_no_style_is_red(name: str) -> None:
    """The red on a page is the ribbon, which is a picture: no text, control or error is."""
    for colour in COLOUR.findall(rules_of(name)):
        numbers = [int(n) for n in re.findall(r"\d+", colour)[:3]] if "(" in colour else None
        if colour.startswith("#"):
            digits = colour[1:] if len(colour) > 5 else "".join(2 * digit for digit in colour[1:])
            numbers = [int(digits[at : at + 2], 16) for at in (0, 2, 4)]
        assert numbers is not None
        red, green, blue = numbers
        assert red - max(green, blue) < 40, colour


@pytest.mark.parametrize("name", STYLES)
def test_styles_know_no_left_or_right(name: str) -> None:
    """Every length has a logical name, so that right to left and left to right are each other's mirror."""
    conditions = re.compile(r"@media[^{]*")  # a window's width has no other name
    assert PHYSICAL.findall(conditions.sub("", rules_of(name))) == []


def test_the_phones_own_bars_have_the_pages_colour(client: TestClient) -> None:
    """theme-color is --ground, and so are the icons' grounds."""
    assert f'<meta name="theme-color" content="{token("ground")}">' in client.get("/ar").text


@pytest.mark.parametrize("path", ["", "/ios"])
@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_every_page_leads_to_its_other_languages(client: TestClient, code: str, path: str) -> None:
    """Readers have links, each in its own language; search engines have whole addresses."""
    page = client.get(
        f"/{code}{path}", headers={"Host": "ribbons.example", "X-Forwarded-Proto": "https"}
    ).text
    for other in PAGE_LANGUAGES.values():
        href = f"/{other.code}{path}"
        assert f'href="{href}" lang="{other.code}" hreflang="{other.code}"' in page
        assert f'hreflang="{other.code}" href="https://ribbons.example{href}">' in page
    assert f'hreflang="x-default" href="https://ribbons.example{path or "/"}">' in page
    assert page.count('aria-current="true"') == 1


@pytest.mark.parametrize("name", ["og:image", "og:url"])
def test_links_carry_a_picture(client: TestClient, name: str) -> None:
    """Whoever posts a link shows our picture: its address is whole, and it is there."""
    page = client.get("/ar").text
    found = re.search(rf'<meta property="{name}" content="(http://testserver/[^"]+)">', page)
    assert found
    assert client.get(found[1].removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_an_error_is_no_dead_end(client: TestClient, code: str) -> None:
    """A page that is not there leads to the editor in the reader's language, and stays out of indexes."""
    answer = client.get(f"/{code}/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert f'<a class="button" href="/{code}">' in answer.text
    assert '<meta name="robots" content="noindex">' in answer.text
    assert "canonical" not in answer.text
