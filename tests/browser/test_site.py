"""What holds for every page, in every language."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from app.texts.languages import PAGE_LANGUAGES
from tests import photos
from tests.browser.conftest import SAMPLED_LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import CDPSession, Page

    from tests.browser.conftest import Complaints, OpenPage
    from tests.servers import Server

FIRST_VIEW_BYTES = 100_000

NAMES = ("editor", "made", "ios", "partners", "offline", "error")

# What stands outside of the window, if anything makes the page wider than it.
SCROLLS_SIDEWAYS = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  return [...document.body.querySelectorAll("*")].filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    return left < 0 || right > clientWidth + 0.5;
  }).map((element) => element.outerHTML.slice(0, 80));
}"""

# What moves, and for how long: getAnimations() knows what runs, the styles what would run.
_MOTION = """() => [...document.querySelectorAll("*")].flatMap((element) => {
  const { transitionDuration, animationDuration, animationName } = getComputedStyle(element);
  const longest = (list) => Math.max(...list.split(",").map((part) => parseFloat(part)));
  const isAnimated = animationName !== "none" && longest(animationDuration) > 0.05;
  return isAnimated || longest(transitionDuration) > 0.05 ? [element.outerHTML.slice(0, 80)] : [];
})"""

# Writes a page anew, in a single piece or bit by bit, and tells the typefaces that it asked for. Each bit is
# laid out as if the network had stopped there: layout is what asks for a typeface. The class is base.js's,
# which runs but once. Stand-ins are the device's own.
_TYPEFACES_NEEDED = """async ([html, isBitByBit]) => {
  const [head, body] = html.split(/(?=<body>)/);
  document.open();
  document.write(head);
  document.documentElement.classList.add("has-script");
  const sheets = [...document.querySelectorAll("link[rel=stylesheet]")];
  await Promise.all(sheets.map((sheet) => sheet.sheet || new Promise((resolve, reject) => {
    sheet.onload = resolve;
    sheet.onerror = reject;
  })));
  for (const bit of isBitByBit ? body.split(/(?=<)/) : [body]) {
    document.write(bit);
    document.documentElement.getBoundingClientRect();
  }
  document.close();
  return [...document.fonts]
    .filter(({ family, status }) => status !== "unloaded" && !family.includes("stand-in"))
    .map(({ family, weight }) => `${family} ${weight}`);
}"""


@pytest.fixture(scope="session")
def token(server: Server) -> str:
    """A finished picture's name on the server."""
    photo = photos.save(photos.quadrants((400, 400)), "JPEG")
    answer = httpx2.post(
        f"{server.url}/en/made", files={"photo": photo}, headers={"Accept": "application/json"}
    )
    address: str = answer.json()["address"]
    return address.rpartition("/")[2]


@pytest.fixture
def addresses(token: str, language: str) -> dict[str, str]:
    """The pages that there are, in a language."""
    return addresses_in(language, token)


def addresses_in(language: str, token: str) -> dict[str, str]:
    """Return the pages' addresses by name."""
    return {
        "editor": f"/{language}",
        "made": f"/{language}/made/{token}",
        "ios": f"/{language}/ios",
        "partners": f"/{language}/partners",
        "offline": f"/{language}/offline",
        "error": f"/{language}/made/gone",
    }


# -- for everybody ---------------------------------------------------------


def test_axe_finds_nothing(  # noqa: PLR0917 - fixtures
    open_page: OpenPage,
    complaints: Complaints,
    axe: Callable[[Page], None],
    language: str,
    addresses: dict[str, str],
    screenshot: Callable[..., None],
) -> None:
    """No page has an accessibility problem that axe-core knows; each says its language and direction."""
    complaints.expect("status of 404")  # the page that says so
    page = open_page("phone", language)
    for name, address in addresses.items():
        page.goto(address)
        html = page.locator("html")
        assert html.get_attribute("lang") == language
        assert html.get_attribute("dir") == PAGE_LANGUAGES[language].direction
        axe(page)
        screenshot(page, name, full_page=True)


def test_a_desktop_has_the_same_pages(  # noqa: PLR0917 - fixtures
    open_page: OpenPage,
    complaints: Complaints,
    axe: Callable[[Page], None],
    direction_language: str,
    token: str,
    screenshot: Callable[..., None],
) -> None:
    """Nor has a page in a wide window; it is photographed for whoever looks."""
    complaints.expect("status of 404")
    page = open_page("desktop", direction_language)
    for name, address in addresses_in(direction_language, token).items():
        page.goto(address)
        axe(page)
        screenshot(page, name, full_page=True)


@pytest.mark.parametrize("language", SAMPLED_LANGUAGES)
def test_no_page_scrolls_sideways(
    open_page: OpenPage,
    complaints: Complaints,
    language: str,
    addresses: dict[str, str],
) -> None:
    """On a phone of 320 px, at a zoom of 200% and with letters twice as large, pages scroll only down."""
    complaints.expect("status of 404")
    page = open_page("phone", language)
    for name, address in addresses.items():
        page.goto(address)
        # 640 is what a window of 1280 has left at 200%.
        for width, text in ((320, "100%"), (640, "100%"), (640, "200%")):
            page.set_viewport_size({"width": width, "height": 640})
            page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
            assert page.evaluate(SCROLLS_SIDEWAYS) == [], (name, width, text)


def test_the_language_is_changed_without_a_script(open_page: OpenPage, token: str) -> None:
    """The switch is links: it works where no script runs, and stays on the page that is open."""
    page = open_page("phone", "ar", java_script_enabled=False)
    for path in ("", "/ios", f"/made/{token}"):
        page.goto(f"/ar{path}")
        for language in ("fr", "ur"):
            page.locator(".languages summary").click()
            page.locator(f".languages a[lang={language}]").click()
            assert page.url.endswith(f"/{language}{path}")
            assert page.locator("html").get_attribute("lang") == language


def test_the_first_address_is_in_the_readers_language(open_page: OpenPage, language: str) -> None:
    """A browser that asks for a language gets the editor in it; one that asks for none of ours, in Arabic."""
    page = open_page("phone", language)
    page.goto("/")
    assert page.locator("html").get_attribute("lang") == language


def test_who_asks_for_another_language_gets_arabic(open_page: OpenPage) -> None:
    """A browser that asks for a language that there is not gets the campaign's own."""
    page = open_page("phone", "ja")
    page.goto("/")
    assert page.locator("html").get_attribute("lang") == "ar"


def test_nothing_moves_for_who_asks_for_that(open_page: OpenPage, complaints: Complaints, token: str) -> None:
    """With reduced motion no page has a transition or an animation, and without it some have."""
    complaints.expect("status of 404")
    moving: dict[str, list[str]] = {}
    for wish in ("reduce", "no-preference"):
        page = open_page("phone", "en", reduced_motion=wish)
        moving[wish] = []
        for address in addresses_in("en", token).values():
            page.goto(address)
            moving[wish] += page.evaluate(_MOTION)
    assert moving["reduce"] == []
    assert moving["no-preference"] != []


# -- light and safe --------------------------------------------------------


@pytest.mark.parametrize("screen", ["phone", "desktop"])
def test_the_first_view_is_light(
    open_page: OpenPage, direction_language: str, screen: str, record_property: Callable[[str, object], None]
) -> None:
    """Whoever comes for the first time loads at most 100,000 bytes, headers and typefaces included.

    The service worker's own copies come after, when the page has nothing to do, and mostly out of the
    browser's cache; whoever saves data gets none (test_installing.py).
    """
    page = open_page(screen, direction_language)
    session = page.context.new_cdp_session(page)
    sizes = sizes_received(session)
    page.goto(f"/{direction_language}")
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.size)") > 0
    page.wait_for_load_state("networkidle")
    assert [address for address in sizes if address.endswith(".woff2")]
    total = sum(sizes.values())
    record_property(f"first view, {direction_language}, {screen}", total)
    assert total <= FIRST_VIEW_BYTES, sorted(sizes.items(), key=lambda item: -item[1])


def sizes_received(session: CDPSession) -> dict[str, int]:
    """Return a dictionary that fills with bytes over the wire by address, as the browser receives them."""
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def note_request(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]

    def note_size(event: dict[str, Any]) -> None:
        sizes[addresses[event["requestId"]]] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", note_request)
    session.on("Network.loadingFinished", note_size)
    session.send("Network.enable")
    return sizes


def test_a_page_that_comes_bit_by_bit_needs_no_other_typeface(
    open_page: OpenPage, complaints: Complaints, server: Server, language: str, addresses: dict[str, str]
) -> None:
    """Wherever in a page a slow network or processor stops, only the whole page's typefaces are fetched.

    What is seen until more has come is easily forgotten: the first option of a list in the place of the
    chosen one, the browser's own words in the place of a summary, what a style sheet hides.
    """
    complaints.expect("status of 404")
    page = open_page("phone", language)
    for name, address in addresses.items():
        html = httpx2.get(server.url + address, headers={"Accept": "text/html"}).text
        half_styled = re.sub(r'<link rel="stylesheet" href="/static/(?!base\.)[^>]+>', "", html)
        page.goto(address)
        whole = set(page.evaluate(_TYPEFACES_NEEDED, [html, False]))
        assert whole, name
        for text in (html, half_styled):
            assert set(page.evaluate(_TYPEFACES_NEEDED, [text, True])) <= whole, name


class Inline(HTMLParser):
    """Finds scripts and styles that are not files: the policy forbids them, lest one be slipped in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that carries a script or a style of its own."""
        given = dict(attrs)
        is_script = tag == "script" and "src" not in given and given.get("type") != "application/json"
        if is_script or tag == "style" or any(name == "style" or name.startswith("on") for name in given):
            self.found.append(str(self.get_starttag_text()))


@pytest.mark.parametrize("name", NAMES)
def test_no_page_has_a_script_or_style_in_it(server: Server, token: str, language: str, name: str) -> None:
    """Pages keep scripts and styles in files, of ours alone."""
    address = server.url + addresses_in(language, token)[name]
    parser = Inline()
    parser.feed(httpx2.get(address, headers={"Accept": "text/html"}).text)
    assert parser.found == []


def test_pages_leave_nothing_in_the_browser(open_page: OpenPage, complaints: Complaints, token: str) -> None:
    """No page sets a cookie or stores anything: nobody who takes the phone sees what was done on it."""
    complaints.expect("status of 404")
    page = open_page("phone", "ar")
    for address in addresses_in("ar", token).values():
        page.goto(address)
        assert page.context.cookies() == []
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
        assert page.evaluate("indexedDB.databases()") == []


@pytest.mark.parametrize("name", NAMES)
def test_every_page_is_bound_by_strict_headers(server: Server, token: str, name: str) -> None:
    """A page may load only from us, tells nobody where its reader comes from, and uses no sensor."""
    answer = httpx2.get(server.url + addresses_in("ar", token)[name], headers={"Accept": "text/html"})
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert not re.search(r"unsafe|https?:|\*|data:", answer.headers["content-security-policy"])
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for feature in ("camera", "microphone", "geolocation"):
        assert f"{feature}=()" in answer.headers["permissions-policy"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", NAMES)
def test_only_what_came_by_tls_is_to_stay_with_it(server: Server, token: str, name: str) -> None:
    """Strict-Transport-Security is said behind a proxy that ended TLS, and not on a plain connection."""
    address = server.url + addresses_in("ar", token)[name]
    header = "strict-transport-security"
    assert header not in httpx2.get(address).headers
    secure = httpx2.get(address, headers={"X-Forwarded-Proto": "https"}).headers[header]
    assert int(re.findall(r"max-age=(\d+)", secure)[0]) >= 31_536_000


def test_static_files_are_kept_for_ever_and_come_compressed(
    open_page: OpenPage, server: Server, token: str
) -> None:
    """What pages load has a hash in its name and may be kept for ever; text comes compressed."""
    page = open_page("phone", "ar")
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url.removeprefix(server.url)))
    for name in ("editor", "made", "ios"):
        page.goto(addresses_in("ar", token)[name], wait_until="load")
    static = {address for address in loaded if address.startswith("/static/")}
    assert {address.rpartition(".")[2] for address in static} >= {"css", "js", "woff2"}
    for address in static:
        assert re.fullmatch(r"/static/[a-z0-9-]+\.[0-9a-f]{12}\.\w+", address)
        answer = httpx2.get(server.url + address, headers={"Accept-Encoding": "gzip, br"})
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        is_text = address.endswith((".css", ".js", ".svg"))
        is_worth_it = len(answer.content) > 500
        assert ("content-encoding" in answer.headers) == (is_text and is_worth_it), address
