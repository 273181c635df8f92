"""The page that a supporter leaves with their picture."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx2
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.render.derived.platforms import PLATFORMS
from app.texts.languages import PAGE_LANGUAGES
from tests.browser.conftest import SAMPLED_LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page, Route

    from tests.browser.conftest import Complaints, OpenPage
    from tests.servers import Serve, Server

FRAMES = {"phone": "red-ribbons", "small": "ribbon-loop", "desktop": "january-31"}
LIFETIME = 900


def make(server: Server, photo: bytes, language: str = "ar", frame: str = "red-ribbons") -> str:
    """Make a picture as the page's script does, and return its page's path."""
    answer = httpx2.post(
        f"{server.url}/{language}/made",
        files={"photo": ("a.png", photo)},
        data={"frame": frame},
        headers={"Accept": "application/json"},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    path: str = answer.json()["address"]
    return path


class MadePage(Protocol):
    """Makes a picture and returns its page's path."""

    def __call__(self, language: str = "ar", frame: str = "red-ribbons") -> str:
        """Make it."""


@pytest.fixture
def made_page(server: Server, portrait: bytes) -> MadePage:
    """Make pictures that a test may delete."""
    return partial(make, server, portrait)


@pytest.fixture(scope="module")
def path(server: Server, portrait: bytes) -> str:
    """The page of one picture that nobody deletes."""
    return make(server, portrait)


@pytest.fixture(scope="module")
def avatar(server: Server, path: str) -> bytes:
    """The picture's bytes."""
    return fetch(server, path, "avatar.jpg")


@pytest.fixture(scope="module")
def hurried(serve: Serve) -> Iterator[Server]:
    """A server that keeps pictures for eight seconds."""
    with serve(deadline=60, result_lifetime=8) as server:
        yield server


@pytest.fixture
def short_lived(hurried: Server, portrait: bytes, complaints: Complaints) -> str:
    """The address of a page whose time is over in eight seconds."""
    complaints.origin = hurried.url
    complaints.expect("status of 404")
    return hurried.url + make(hurried, portrait)


def fetch(server: Server, path: str, name: str) -> bytes:
    """Return one of a picture's files."""
    answer = httpx2.get(f"{server.url}{path[3:]}/{name}", timeout=60)
    assert answer.status_code == 200
    return answer.content


def download(page: Page, press: Callable[[], None]) -> tuple[str, bytes]:
    """Press what downloads, and return the file's name and content."""
    with page.expect_download() as found:
        press()
    return found.value.suggested_filename, Path(found.value.path()).read_bytes()


# -- the picture -----------------------------------------------------------


@pytest.mark.parametrize("screen", ["phone", "small", "desktop"])
def test_it_is_calm_and_whole_on_every_screen(
    open_page: OpenPage,
    made_page: MadePage,
    direction_language: str,
    screen: str,
    screenshot: Callable[..., None],
) -> None:
    """Large picture, both buttons in the first view of a phone, and nothing beyond the screen's sides."""
    page = open_page(screen, direction_language)
    page.goto(made_page(direction_language, FRAMES[screen]))
    picture = page.locator(".picture > img")
    picture.evaluate("image => image.decode()")
    screenshot(page, "made")
    screenshot(page, "made-whole", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    viewport, box = page.viewport_size, picture.bounding_box()
    assert viewport
    assert box
    assert box["width"] == box["height"] >= min(viewport["width"] * 0.9, 500)
    if screen != "small":
        for button in page.locator(".take .button").all():
            expect(button).to_be_in_viewport(ratio=1)


def test_a_long_press_saves_the_picture_itself(phone: Page, server: Server, path: str, avatar: bytes) -> None:
    """Under the finger is a plain image, and its real address gives the JPEG as it was made."""
    phone.goto(path)
    touched = phone.locator(".picture > img").evaluate(
        """async image => {
          await image.decode();
          const box = image.getBoundingClientRect();
          const place = (x, y) => document.elementFromPoint(box.x + box.width * x, box.y + box.height * y);
          return [[0.5, 0.5], [0.02, 0.02], [0.98, 0.98]].map(([x, y]) => place(x, y) === image && image.src);
        }"""
    )
    assert len(set(touched)) == 1
    assert touched[0].startswith(f"{server.url}/made/")
    answer = httpx2.get(touched[0])
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == avatar
    assert phone.locator(".picture > img").evaluate("image => image.naturalWidth") == 1080
    expect(phone.locator(".press")).to_be_visible()


def test_a_mouse_is_not_told_to_press_and_hold(desktop: Page, path: str) -> None:
    """The line is for fingers."""
    desktop.goto(path)
    expect(desktop.locator(".press")).to_be_hidden()


def test_the_round_previews_cost_nothing_more(phone: Page, path: str) -> None:
    """The picture is asked for once, shown thrice, and not asked for again where nothing can share it."""
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    phone.goto(path)
    phone.wait_for_timeout(1000)
    assert len([url for url in asked if "/avatar.jpg" in url]) == 1
    assert not [url for url in asked if "/story.jpg" in url]


def test_it_downloads_as_it_was_made(phone: Page, path: str, avatar: bytes) -> None:
    """The first button saves the JPEG, byte for byte, under a name that is ours."""
    phone.goto(path)
    assert download(phone, phone.locator(".take a.button").click) == ("red-ribbons.jpg", avatar)


def test_every_platform_has_its_file(phone: Page, path: str) -> None:
    """Each link saves a JPEG of the size that it says, under the platform's limit."""
    phone.goto(path.replace("/ar/", "/en/"))
    for key, platform in PLATFORMS.items():
        link = phone.locator(".platforms li a", has_text=re.compile(rf"^\s*{platform.name}\b"))
        expect(link).to_contain_text(f"{platform.size} × {platform.size}")
        name, content = download(phone, link.click)
        assert name == f"red-ribbons-{key}.jpg"
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("JPEG", (platform.size, platform.size))
        assert len(content) <= platform.max_bytes


def test_all_of_them_come_in_one_file(phone: Page, path: str) -> None:
    """The ZIP opens, and holds every platform's picture and the card."""
    phone.goto(path)
    name, content = download(phone, phone.locator(".platforms > a").click)
    assert name == "red-ribbons.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = " ".join(archive.namelist())
    for key in [*PLATFORMS, "story"]:
        assert f"{key}.jpg" in names


def test_the_story_card_is_drawn_for_whoever_looks(
    phone: Page, path: str, screenshot: Callable[..., None]
) -> None:
    """Who does not open the card does not pay for it; who does sees the real one, to press or download."""
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    phone.goto(path)
    phone.locator(".story").scroll_into_view_if_needed()
    phone.wait_for_timeout(500)
    assert not [url for url in asked if "story" in url]
    phone.locator(".story summary").click()
    card = phone.locator(".story img")
    expect(card).to_be_visible()
    assert card.evaluate(
        "async image => (await image.decode(), [image.naturalWidth, image.naturalHeight])"
    ) == [
        1080,
        1920,
    ]
    card.scroll_into_view_if_needed()
    screenshot(phone, "made-story")
    name, content = download(phone, phone.locator(".story a.button").click)
    assert name == "red-ribbons-story.jpg"
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (1080, 1920))


# -- sharing ---------------------------------------------------------------

# Chromium on Linux has no share sheet: this one keeps what it is given, and fails as it is told to.
SHARE_SHEET = """
window.shared = [];
const failures = %s;
navigator.canShare = ({ files = [] }) => !files.length || %s;
navigator.share = async (data) => {
  shared.push({
    keys: Object.keys(data).sort(),
    text: data.text,
    url: data.url,
    files: await Promise.all((data.files ?? []).map(async (file) => [file.name, file.type, file.size])),
  });
  const failure = failures.shift();
  if (failure) throw new DOMException("the sheet", failure);
};
"""
REFUSE_CLIPBOARD = """
navigator.clipboard.writeText = async () => { throw new DOMException("no", "NotAllowedError"); };
document.execCommand = () => false;
"""


def with_sheet(page: Page, *failures: str, takes_files: bool = True) -> None:
    """Give a page a share sheet."""
    page.add_init_script(SHARE_SHEET % (json.dumps(failures), json.dumps(takes_files)))


def until_prepared(page: Page, path: str) -> None:
    """Open a page and wait for the picture to be fetched for sharing."""
    with page.expect_response(lambda response: response.url.endswith("/avatar.jpg")) as found:
        page.goto(path)
    found.value.finished()
    page.wait_for_timeout(200)


def press_share(page: Page) -> list[dict[str, Any]]:
    """Press Share and return all that the sheet has been given."""
    page.locator("#share").click()
    page.wait_for_timeout(300)
    given: list[dict[str, Any]] = page.evaluate("window.shared ?? []")
    return given


def test_the_picture_is_shared_alone(phone: Page, path: str, avatar: bytes) -> None:
    """One press hands over the file and nothing that some apps would take in its place."""
    with_sheet(phone)
    until_prepared(phone, path)
    given = press_share(phone)
    assert [sheet["keys"] for sheet in given] == [["files"]]
    assert given[0]["files"] == [["red-ribbons.jpg", "image/jpeg", len(avatar)]]
    expect(phone.locator("#share-said")).not_to_be_empty()


@pytest.mark.parametrize("failure", ["AbortError", "InvalidStateError"])
def test_a_reader_who_changes_their_mind_is_told_nothing(phone: Page, path: str, failure: str) -> None:
    """Closing the sheet, or pressing again while it opens, is no error; the next press opens it again."""
    with_sheet(phone, failure)
    until_prepared(phone, path)
    assert len(press_share(phone)) == 1
    expect(phone.locator("#share-said")).to_be_empty()
    assert [sheet["keys"] for sheet in press_share(phone)] == [["files"], ["files"]]


@pytest.mark.parametrize("failure", ["DataError", "NotAllowedError", "TypeError"])
def test_words_are_shared_where_the_picture_is_refused(phone: Page, path: str, failure: str) -> None:
    """A sheet that refuses the file is given the words and the address; the next press begins with them."""
    with_sheet(phone, failure)
    until_prepared(phone, path)
    given = press_share(phone)
    assert [sheet["keys"] for sheet in given] == [["files"], ["text", "url"]]
    assert [sheet["keys"] for sheet in press_share(phone)[2:]] == [["text", "url"]]


@pytest.mark.parametrize("language", SAMPLED_LANGUAGES)
def test_words_are_shared_where_there_is_no_way_for_files(
    phone: Page, server: Server, path: str, language: str
) -> None:
    """The sentence and the hashtags in the page’s language, and the address beside them, once."""
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    with_sheet(phone, takes_files=False)
    phone.goto(path.replace("/ar/", f"/{language}/"))
    (given,) = press_share(phone)
    assert given["url"] == server.url
    assert server.url not in given["text"]
    assert "#" in given["text"].splitlines()[-1]
    assert not [url for url in asked if url.endswith("/avatar.jpg")], "fetched for nothing"


def test_words_are_copied_where_nothing_can_be_shared(
    open_page: OpenPage, path: str, screenshot: Callable[..., None]
) -> None:
    """Without a share sheet the words and the address are on the clipboard, and the page says so."""
    page = open_page("phone", permissions=["clipboard-read", "clipboard-write"])
    page.goto(path)
    assert press_share(page) == []
    expect(page.locator("#share-said")).not_to_be_empty()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#words").input_value()
    page.locator("#share").scroll_into_view_if_needed()
    screenshot(page, "made-copied")


def test_words_are_selected_where_the_clipboard_is_refused(phone: Page, path: str) -> None:
    """What the page may not copy it selects, for the browser's own menu."""
    phone.add_init_script(REFUSE_CLIPBOARD)
    phone.goto(path)
    for button in ("#share", "#copy"):
        phone.locator(button).click()
        expect(phone.locator("#words")).to_be_focused()
        assert (
            phone.evaluate("words.value.slice(words.selectionStart, words.selectionEnd)")
            == phone.locator("#words").input_value()
        )
        expect(phone.locator(f"{button}-said")).not_to_be_empty()
        phone.evaluate("words.setSelectionRange(0, 0)")


def test_an_old_browser_copies_the_old_way(phone: Page, path: str) -> None:
    """Where there is no clipboard to write to, the selection is copied and the focus stays on the button."""
    phone.add_init_script("delete Navigator.prototype.clipboard")
    phone.goto(path)
    phone.evaluate("addEventListener('copy', () => (window.copied = String(getSelection())))")
    phone.locator("#copy").click()
    expect(phone.locator("#copy-said")).not_to_be_empty()
    expect(phone.locator("#copy")).to_be_focused()
    assert phone.evaluate("window.copied") is not None


def test_a_press_that_waited_too_long_asks_for_another(phone: Page, path: str) -> None:
    """Where data is spared the first press fetches the picture, and the second opens the sheet."""
    with_sheet(phone)
    phone.add_init_script(
        """
        Object.defineProperty(navigator, "connection", { value: { saveData: true } });
        window.pressCounts = false;
        Object.defineProperty(navigator, "userActivation", { get: () => ({ isActive: pressCounts }) });
        """
    )
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    phone.goto(path)
    phone.wait_for_timeout(1000)
    assert not [url for url in asked if url.endswith("/avatar.jpg")]
    assert press_share(phone) == []
    expect(phone.locator("#share-said")).not_to_be_empty()
    phone.evaluate("window.pressCounts = true")
    assert [sheet["keys"] for sheet in press_share(phone)] == [["files"]]
    assert len([url for url in asked if url.endswith("/avatar.jpg")]) == 1


def test_a_picture_that_cannot_be_fetched_leaves_the_words(
    phone: Page, path: str, complaints: Complaints
) -> None:
    """A network that fails at the press leaves the words to share; the next press tries it again."""
    complaints.expect("Failed to load resource")
    with_sheet(phone)
    phone.route(re.compile(r"/avatar\.jpg$"), lambda route: route.abort())
    phone.goto(path)
    phone.wait_for_timeout(500)
    assert [sheet["keys"] for sheet in press_share(phone)] == [["text", "url"]]
    phone.unroute(re.compile(r"/avatar\.jpg$"))
    assert [sheet["keys"] for sheet in press_share(phone)[1:]] == [["files"]]


@pytest.mark.parametrize("language", SAMPLED_LANGUAGES)
def test_the_words_can_be_copied(open_page: OpenPage, server: Server, path: str, language: str) -> None:
    """They end with the site's address, and a button copies them as they stand, and says so."""
    page = open_page("phone", language, permissions=["clipboard-read", "clipboard-write"])
    page.goto(path.replace("/ar/", f"/{language}/"))
    words = page.locator("#words").input_value()
    assert words.splitlines()[-1] == server.url
    assert words.splitlines()[-2].startswith("#")
    page.locator("#copy").click()
    expect(page.locator("#copy-said")).not_to_be_empty()
    assert page.evaluate("navigator.clipboard.readText()") == words


# -- its end ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "pattern"), [("ar", r"[٠-٩]{1,2}:[٠-٩]{2}"), ("en", r"\d{1,2}:\d{2}\b")]
)
def test_the_end_is_told_by_the_readers_clock(
    open_page: OpenPage, made_page: MadePage, language: str, pattern: str
) -> None:
    """The hour of the phone's own place, in the page's digits."""
    path = made_page(language)
    end = time.time() + LIFETIME
    page = open_page("phone", language, timezone_id="Asia/Hebron")
    page.goto(path)
    told = page.locator("#deletion time")
    moment = page.evaluate("Date.parse(document.querySelector('#deletion time').dateTime)") / 1000
    assert moment == pytest.approx(end, abs=5)
    assert re.search(pattern, told.inner_text())
    hour = page.evaluate("new Date(document.querySelector('#deletion time').dateTime).getHours()")
    shown = told.inner_text().translate(str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789"))
    assert int(shown.partition(":")[0]) % 12 == hour % 12


def test_a_page_left_open_says_when_the_picture_is_gone(
    open_page: OpenPage,
    short_lived: str,
    direction_language: str,
    screenshot: Callable[..., None],
    axe: Callable[[Page], None],
) -> None:
    """When its time is over the picture leaves the page and memory, and what remains says so and leads on."""
    page = open_page("phone", direction_language)
    with_sheet(page)
    page.goto(short_lived.replace("/ar/", f"/{direction_language}/"))
    heading = page.locator(".gone h1")
    expect(heading).to_be_visible(timeout=20_000)
    expect(heading).to_be_focused()
    expect(page).to_have_title(re.compile(re.escape(heading.inner_text())))
    assert page.locator("img[src*='/made/']").count() == 0
    assert "/made/" not in page.locator("main").inner_html()
    screenshot(page, "made-gone")
    axe(page)
    page.locator(".gone a").click()
    expect(page).to_have_url(re.compile(f"/{direction_language}$"))


def test_a_page_that_came_back_from_memory_looks_whether_the_picture_is_kept(
    phone: Page, server: Server, portrait: bytes, complaints: Complaints
) -> None:
    """A browser may bring the whole page back; it shows nothing until the server says that it still may."""
    path = make(server, portrait)
    phone.goto(path)
    leave = "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))"
    come_back = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    phone.evaluate(leave)
    expect(phone.locator("#made")).to_be_hidden()
    phone.evaluate(come_back)
    expect(phone.locator("#made")).to_be_visible()

    phone.evaluate(leave)
    phone.context.set_offline(True)
    complaints.expect("ERR_INTERNET_DISCONNECTED")
    phone.evaluate(come_back)
    expect(phone.locator("#made")).to_be_visible()  # its time is not over
    phone.context.set_offline(False)

    complaints.expect("status of 404")
    phone.evaluate(leave)
    httpx2.post(f"{server.url}{path}/delete")
    phone.evaluate(come_back)
    expect(phone.locator(".gone")).to_be_visible()
    assert phone.locator("img[src*='/made/']").count() == 0


def test_a_page_that_came_back_to_a_dead_network_is_not_blank_for_long(phone: Page, path: str) -> None:
    """Where nobody answers, the page is shown again after some seconds, until its time is over."""
    phone.goto(path)
    phone.route(
        re.compile(r"/avatar\.jpg$"),
        lambda route: None if route.request.method == "HEAD" else route.continue_(),
    )
    phone.evaluate(
        """() => {
          dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
          dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
        }"""
    )
    expect(phone.locator("#made")).to_be_hidden()
    expect(phone.locator("#made")).to_be_visible(timeout=8000)


def test_deleting_leaves_nothing_to_come_back_to(
    phone: Page, server: Server, portrait: bytes, complaints: Complaints
) -> None:
    """One press deletes the picture; the way back does not show it to the next person."""
    complaints.expect("status of 404")
    path = make(server, portrait)
    phone.goto(path)
    phone.locator("#delete button").click()
    expect(phone).to_have_url(f"{server.url}/ar?deleted")
    assert httpx2.get(server.url + path).status_code == 404
    phone.go_back()
    expect(phone.locator("h1")).to_be_visible()
    assert phone.locator("img[src*='/made/']").count() == 0


def test_a_deletion_that_a_busy_service_refused_is_not_called_done(
    phone: Page, path: str, complaints: Complaints
) -> None:
    """A page that comes back after a refusal shows the picture, which is still there."""
    complaints.expect("status of 503")
    phone.route("**/delete", lambda route: route.fulfill(status=503, body="busy"))
    phone.goto(path)
    phone.locator("#delete button").click()
    phone.wait_for_url("**/delete")
    phone.go_back()
    expect(phone.locator(".picture > img")).to_be_visible()


def test_a_picture_that_fails_to_load_is_looked_for(
    phone: Page, server: Server, portrait: bytes, complaints: Complaints
) -> None:
    """A page whose picture was deleted while it travelled says so instead of showing a hole."""
    complaints.expect("status of 404")
    path = make(server, portrait)

    def delete_first(route: Route) -> None:
        httpx2.post(f"{server.url}{path}/delete")
        route.continue_()

    phone.route(re.compile(r"disposition=inline"), delete_first)
    phone.goto(path)
    expect(phone.locator(".gone h1")).to_be_focused()


# -- without a script ------------------------------------------------------


def test_without_a_script_the_form_leads_here(
    open_page: OpenPage, server: Server, portrait: bytes, direction_language: str
) -> None:
    """A photo is chosen, the form sent, and the answer is the page with the picture."""
    page = open_page("phone", direction_language, java_script_enabled=False)
    page.goto(f"/{direction_language}")
    page.locator("#photo").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": portrait})
    page.locator("form[action$='/made'] [type='submit']").click()
    expect(page).to_have_url(re.compile(rf"^{re.escape(server.url)}/{direction_language}/made/[\w-]{{32}}$"))
    expect(page.locator(".picture > img")).to_be_visible()
    expect(page.locator(".take a.button")).to_be_visible()
    expect(page.locator("#words")).to_have_value(re.compile(re.escape(server.url)))


def test_without_a_script_nothing_is_missing(
    open_page: OpenPage,
    server: Server,
    made_page: MadePage,
    direction_language: str,
    screenshot: Callable[..., None],
) -> None:
    """Picture, download, words, platforms and deletion work; what needs a script is not there."""
    page = open_page("phone", direction_language, java_script_enabled=False)
    path = made_page(direction_language)
    page.goto(path)
    screenshot(page, "made-no-script", full_page=True)
    for selector in ("#share", "#copy", ".gone"):
        expect(page.locator(selector)).to_be_hidden()
    expect(page.locator("#words")).to_have_value(re.compile(re.escape(server.url)))
    sentence = page.locator("#deletion").inner_text()
    assert ("١٥" if direction_language == "ar" else "15") in sentence
    content = fetch(server, path, "avatar.jpg")
    assert download(page, page.locator(".take a.button").click) == ("red-ribbons.jpg", content)
    name, _ = download(page, page.locator(".platforms li a").first.click)
    assert name == "red-ribbons-facebook.jpg"
    page.locator("#delete button").click()
    expect(page).to_have_url(f"{server.url}/{direction_language}?deleted")


def test_without_a_script_the_page_leaves_with_the_picture(open_page: OpenPage, short_lived: str) -> None:
    """When the time is over the page is asked for anew, and the answer says that it is gone."""
    page = open_page("phone", "en", java_script_enabled=False)
    page.goto(short_lived.replace("/ar/", "/en/"))
    expect(page.locator("h1")).to_contain_text("no longer here", timeout=20_000)
    expect(page.locator("img[src*='/made/']")).to_have_count(0)


# -- for everybody ---------------------------------------------------------


@pytest.mark.parametrize("language", SAMPLED_LANGUAGES)
def test_nothing_keeps_anybody_out(
    open_page: OpenPage, path: str, language: str, axe: Callable[[Page], None]
) -> None:
    """axe-core finds nothing in any language, with the card open as well."""
    page = open_page("small", language)
    page.goto(path.replace("/ar/", f"/{language}/"))
    page.locator(".story summary").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("html").get_attribute("dir") == PAGE_LANGUAGES[language].direction
    axe(page)


def test_the_keyboard_reaches_everything_in_order(
    open_page: OpenPage, path: str, direction_language: str
) -> None:
    """Tab goes from the download to deletion as the page reads, and each shows that it is focused."""
    page = open_page("desktop", direction_language)
    page.goto(path.replace("/ar/", f"/{direction_language}/"))
    page.locator("#main").focus()
    reached = []
    while True:
        page.keyboard.press("Tab")
        focused: dict[str, Any] = page.evaluate(
            """() => {
              const { tagName, id, outerHTML } = document.activeElement;
              const style = getComputedStyle(document.activeElement);
              const [file] = /[a-z]+\\.(jpg|zip)/.exec(document.activeElement.href ?? "") ?? [""];
              return { name: id || file || tagName, ring: parseFloat(style.outlineWidth), html: outerHTML,
                       isInPage: Boolean(document.activeElement.closest("#made")) };
            }"""
        )
        if not focused["isInPage"]:
            break
        assert focused["ring"] >= 2, focused["html"]
        reached.append(focused["name"])
    platforms = [f"{name}.jpg" for name in PLATFORMS]
    assert reached == [
        "avatar.jpg",
        "share",
        "words",
        "copy",
        *platforms,
        "all.zip",
        "story.jpg",
        "SUMMARY",
        "A",
        "BUTTON",
    ]


def test_the_keyboard_does_everything(open_page: OpenPage, server: Server, portrait: bytes) -> None:
    """Enter and space download, copy, open the card and delete."""
    page = open_page("desktop", "en", permissions=["clipboard-read", "clipboard-write"])
    page.goto(make(server, portrait, "en"))
    page.locator(".take a.button").focus()
    assert download(page, lambda: page.keyboard.press("Enter"))[0] == "red-ribbons.jpg"
    page.locator("#copy").focus()
    page.keyboard.press("Space")
    expect(page.locator("#copy-said")).to_have_text("Copied.")
    page.locator(".story summary").focus()
    page.keyboard.press("Enter")
    card = page.locator(".story img")
    expect(card).to_be_visible()
    # Drawn only now: where the picture is deleted before, the browser complains that it is gone.
    card.evaluate("image => image.decode()")
    page.locator("#delete button").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/en\?deleted$"))


def test_without_a_connection_nothing_leads_off_the_page(desktop: Page, made_page: MadePage) -> None:
    """A press that would end on the browser's own error page says what is wrong instead; later it works."""
    desktop.goto(made_page("ar"), wait_until="networkidle")
    here = desktop.url
    said = desktop.get_by_text("لا يوجد اتصال. حاول مرة أخرى حين يعود.")
    desktop.context.set_offline(True)
    for name in ("نزّل الصورة", re.compile("^X "), "نزّلها كلها في ملف ZIP"):
        desktop.get_by_role("link", name=name).click()
        expect(said).to_be_visible()
    desktop.get_by_role("button", name="احذفها الآن").click()
    expect(said).to_be_visible()
    assert desktop.url == here
    desktop.context.set_offline(False)
    expect(said).to_be_hidden()
    with desktop.expect_download():
        desktop.get_by_role("link", name="نزّل الصورة").click()
    desktop.get_by_role("button", name="احذفها الآن").click()
    desktop.wait_for_url("**/ar?deleted")
