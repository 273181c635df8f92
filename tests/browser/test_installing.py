"""The pages as an app: without a network, from the share sheet, and when a new version comes."""

from __future__ import annotations

import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest
from playwright.sync_api import expect

from tests import photos
from tests.photos import QUADRANTS_HEIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import FilePayload, Page, Route

    from tests.browser.conftest import Complaints, OpenPage
    from tests.servers import Server

PHOTO: FilePayload = {
    "name": "photo.jpg",
    "mimeType": "image/jpeg",
    "buffer": photos.save(photos.quadrants((800, 600)), "JPEG"),
}

# {name of a cache: [[address, bytes], ...]}
_READ_CACHES = """async () => {
  const found = {};
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    found[name] = [];
    for (const request of await cache.keys()) {
      const answer = await cache.match(request, { ignoreVary: true });
      found[name].push(request.url.slice(location.origin.length));
    }
  }
  return found;
}"""

_TAKE_SHARED = """async (id) => {
  const { active } = await navigator.serviceWorker.ready;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data.file && [data.file.name, data.file.size]);
    active.postMessage({ type: "take-shared-photo", id }, [port2]);
  });
}"""

# As a share sheet does: a form with the photo is posted, and its answer shown as a page.
_SHARE = """([action, field, name, bytes]) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action });
  form.enctype = "multipart/form-data";
  const input = Object.assign(document.createElement("input"), { name: field });
  if (bytes === null) {
    input.value = "text";
  } else {
    input.type = "file";
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name, { type: "" }));
    input.files = files.files;
  }
  form.append(input);
  document.body.append(form);
  form.submit();
}"""


@pytest.fixture
def installed(open_page: OpenPage) -> Callable[..., Page]:
    """Open the editor in a language, and wait until its service worker has kept what it keeps."""

    def start(language: str = "ar", address: str | None = None, **options: Any) -> Page:
        page = open_page("phone", language, service_workers="allow", **options)
        page.goto(address or f"/{language}")
        page.evaluate("navigator.serviceWorker.ready")
        until_kept(page, "overlay.webp")
        return page

    return start


def caches_of(page: Page) -> dict[str, list[str]]:
    """Return the addresses of all that is kept, by cache."""
    return cast("dict[str, list[str]]", page.evaluate(_READ_CACHES))


def kept(page: Page) -> list[str]:
    """Return the addresses of all that is kept."""
    return [address for addresses in caches_of(page).values() for address in addresses]


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so. Playwright's own waiting takes a promise for the truth."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 20
        time.sleep(0.05)


def until_kept(page: Page, part: str) -> None:
    """Wait until something is kept under an address with these characters in it."""
    until(lambda: any(part in address for address in kept(page)))


def share(page: Page, photo: bytes | None, name: str = "photo.jpg", field: str = "photo") -> None:
    """Post a form as the share sheet does, and wait for the page that it leads to."""
    language = page.locator("html").get_attribute("lang")
    with page.expect_navigation():
        page.evaluate(_SHARE, [f"/{language}/share", field, name, None if photo is None else list(photo)])


def shows_photo(page: Page) -> None:
    """Assert that the editor holds a photo."""
    expect(page.locator(".stage-photo")).to_be_visible()


# -- without a network -----------------------------------------------------


def test_the_editor_opens_without_a_network(
    installed: Callable[..., Page],
    complaints: Complaints,
    direction_language: str,
    screenshot: Callable[..., None],
) -> None:
    """After one visit the editor opens offline in its language and frames a photo, which is made later."""
    complaints.expect(r"ERR_FAILED .*\.int8")  # no photo was chosen before
    page = installed(direction_language)
    page.context.set_offline(offline=True)
    page.reload()
    assert page.locator("html").get_attribute("lang") == direction_language
    type_and_letter = ["16px Cairo Arabic", "ا"] if direction_language == "ar" else ["16px Cairo Latin", "a"]
    ready = "([type, letter]) => document.fonts.ready.then(() => document.fonts.check(type, letter))"
    assert page.evaluate(ready, type_and_letter)
    page.locator("#photo").set_input_files(PHOTO)
    shows_photo(page)
    frame = page.locator(".stage-frame")
    expect(frame).to_have_js_property("complete", value=True)
    assert frame.evaluate("image => image.naturalWidth") > 0
    expect(page.locator("#frame-problem")).to_be_hidden()
    page.locator("#make").click()
    expect(page.locator("#sending")).to_be_visible()
    offline = page.evaluate("JSON.parse(document.getElementById('texts').textContent).offline")
    expect(page.locator("#sending")).to_contain_text(offline)
    screenshot(page, "offline-editor", full_page=True)
    page.context.set_offline(offline=False)
    page.wait_for_url(re.compile(f"/{direction_language}/made/"))


def test_faces_are_found_without_a_network(installed: Callable[..., Page], portrait: bytes) -> None:
    """What finds faces is kept from the first photo on, not from the first visit."""
    page = installed()
    assert not [address for address in kept(page) if ".int8" in address]
    for is_offline in (False, True):
        page.context.set_offline(offline=is_offline)
        page.reload()
        page.locator("#photo").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": portrait})
        expect(page.locator(".stage")).to_have_attribute("data-framing", "faces")
        until_kept(page, ".int8")


def test_the_first_address_opens_without_a_network(installed: Callable[..., Page]) -> None:
    """Who came by the first address, which names no language, finds the editor there offline too."""
    page = installed("fr", address="/")
    page.context.set_offline(offline=True)
    page.reload()
    assert page.locator("html").get_attribute("lang") == "fr"
    page.goto("/fr/ios")
    assert page.locator("html").get_attribute("lang") == "fr"
    assert page.url.endswith("/fr/ios")


def test_a_result_is_never_kept(installed: Callable[..., Page], screenshot: Callable[..., None]) -> None:
    """A finished picture and its page are in no cache; without a network a notice stands in their place."""
    page = installed()
    page.locator("#photo").set_input_files(PHOTO)
    shows_photo(page)
    page.locator("#make").click()
    page.wait_for_url(re.compile("/ar/made/"))
    page.wait_for_load_state("load")
    address = page.url
    page.reload()
    assert not [name for name in kept(page) if "made/" in name or "renditions" in name]
    assert_no_photo_kept(page)
    page.context.set_offline(offline=True)
    page.goto(address)
    expect(page.locator("h1")).to_have_text(page.title())
    expect(page.locator("img[src*='/made/']")).to_have_count(0)
    screenshot(page, "offline-notice")
    page.context.set_offline(offline=False)
    page.locator("main a.button").click()
    expect(page.locator("main img").first).to_be_visible()
    assert page.url == address


def test_a_network_that_answers_nothing_is_not_waited_for(installed: Callable[..., Page]) -> None:
    """When the server is silent for some seconds, the kept page opens."""
    page = installed()

    def be_silent(route: Route) -> None:
        assert route.request.url.endswith("/ar")  # and is never answered

    page.context.route("**/ar", be_silent)
    page.goto("/ar", timeout=10_000)
    expect(page.locator("#editor")).to_be_visible()


@pytest.mark.parametrize("address", ["/de", "/ar?deleted"])
def test_no_other_page_stands_in_for_one_that_is_late(installed: Callable[..., Page], address: str) -> None:
    """Not one in another language, nor one without what the late one has to say."""
    page = installed("ar")

    def be_late(route: Route) -> None:
        page.wait_for_timeout(5000)
        route.continue_()

    page.context.route(lambda url: url.endswith(address), be_late, times=1)
    page.goto(address)
    if address == "/de":
        expect(page.locator("html")).to_have_attribute("lang", "de")
    else:
        expect(page.get_by_text("حُذفت صورتك")).to_be_visible()


def test_a_server_in_trouble_does_not_hide_the_kept_page(installed: Callable[..., Page]) -> None:
    """An error of the server, or of what stands before it, does not take a kept editor's place."""
    page = installed()
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=502, body="<html>Bad gateway</html>", content_type="text/html")

    page.context.route("**/ar", fail)
    page.goto("/ar")
    expect(page.locator("#editor")).to_be_visible()
    assert asked


def test_a_language_is_kept_once_it_was_opened(installed: Callable[..., Page]) -> None:
    """A page in another language is kept with its notice when somebody has opened it."""
    page = installed()
    assert "/tr/offline" not in kept(page)
    page.goto("/tr")
    until_kept(page, "/tr/offline")
    page.context.set_offline(offline=True)
    page.reload()
    assert page.locator("html").get_attribute("lang") == "tr"


def test_a_page_about_what_somebody_did_is_not_kept(installed: Callable[..., Page]) -> None:
    """The editor that says that a picture was deleted is not what opens next time."""
    page = installed()
    page.goto("/ar?deleted")
    expect(page.locator(".intro [role=status]")).to_be_visible()
    page.wait_for_timeout(300)
    page_kept = page.evaluate("caches.match('/ar', { ignoreVary: true }).then((answer) => answer.text())")
    assert 'role="status">' in page.content()
    assert page.locator(".intro [role=status]").inner_text() not in page_kept
    assert not [name for name in kept(page) if "deleted" in name]


def test_a_frame_in_somebodys_own_words_is_not_kept(installed: Callable[..., Page]) -> None:
    """Frames are kept, those with words of somebody's own are not, and only so many of them."""
    page = installed()
    page.goto("/ar")
    (address, *_) = [name for name in kept(page) if "overlay.webp" in name]
    picture = page.request.get(address).body()
    page.context.route(
        "**/overlay.webp?*", lambda route: route.fulfill(body=picture, content_type="image/webp")
    )
    sizes = [re.sub(r"size=\d+", f"size={size}", address) for size in range(64, 94)]
    for asked in (f"{address}&slogan=word", re.sub("&v=.*", "", address), *sizes):
        page.evaluate("address => fetch(address).then((answer) => answer.blob())", asked)
    until_kept(page, "size=93")
    overlays = caches_of(page)["overlays"]
    assert len(overlays) <= 24
    assert not [name for name in overlays if "slogan" in name or "v=" not in name]


def assert_no_photo_kept(page: Page) -> None:
    """Assert that nothing on the phone's disk that a page can write to holds a photo."""
    # All at one moment: a frame may be on its way into a cache.
    types = page.evaluate(
        """async () => {
          const types = [];
          for (const name of await caches.keys()) {
            const cache = await caches.open(name);
            for (const request of await cache.keys()) {
              const answer = await cache.match(request, { ignoreVary: true });
              types.push([request.url, answer.headers.get("Content-Type").split(";")[0]]);
            }
          }
          return types;
        }"""
    )
    assert {kind for address, kind in types if not address.endswith(".int8")} <= {  # weights of ours
        "text/html",
        "text/css",
        "text/javascript",
        "font/woff2",
        "image/svg+xml",
        "image/webp",
    }
    # The only pictures are the frames.
    assert all("/overlay.webp?" in address for address, kind in types if kind == "image/webp")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


# -- the share sheet -------------------------------------------------------


def test_a_shared_photo_opens_in_the_editor(
    installed: Callable[..., Page], direction_language: str, screenshot: Callable[..., None]
) -> None:
    """A photo from the share sheet is in the editor at once, on no disk, and is gone for the next visitor."""
    page = installed(direction_language)
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.method))
    share(page, PHOTO["buffer"])
    shows_photo(page)
    assert page.url.endswith(f"/{direction_language}"), (
        "the id is out of the address: a reload asks for nothing"
    )
    assert "photo.jpg" not in " ".join(kept(page))
    assert_no_photo_kept(page)
    screenshot(page, "shared", full_page=True)
    page.reload()
    expect(page.locator(".stage-photo")).to_be_hidden()


def test_a_shared_photo_is_handed_over_once(installed: Callable[..., Page]) -> None:
    """Whoever asks again for a photo that was handed over, or for one that there never was, gets none."""
    page = installed()
    ids: list[str] = []
    page.on("framenavigated", lambda frame: ids.extend(re.findall("#shared=(.+)", frame.url)))
    share(page, PHOTO["buffer"])
    shows_photo(page)
    (shared_id,) = set(ids)
    assert re.fullmatch("[0-9a-f-]{36}", shared_id)
    assert page.evaluate(_TAKE_SHARED, shared_id) is None
    assert page.evaluate(_TAKE_SHARED, "00000000-0000-4000-8000-000000000000") is None


def test_a_photo_that_the_worker_lost_is_asked_for_again(
    installed: Callable[..., Page], screenshot: Callable[..., None]
) -> None:
    """When the browser has ended the worker in between, the editor asks for the photo kindly."""
    page = installed("en")
    page.goto("/ar#shared=00000000-0000-4000-8000-000000000000")
    lost = page.evaluate("JSON.parse(document.getElementById('texts').textContent).sharedLost")
    expect(page.locator("#reading")).to_contain_text(lost)
    screenshot(page, "shared-lost")


def test_a_shared_heic_is_shown(installed: Callable[..., Page]) -> None:
    """A photo without a type that this browser cannot decode arrives whole, and the server reads it."""
    page = installed()
    share(page, QUADRANTS_HEIC.read_bytes(), "IMG_0001.HEIC")
    shows_photo(page)


@pytest.mark.parametrize(
    ("photo", "field", "status"),
    [(None, "title", 400), (b"", "photo", 400), (PHOTO["buffer"], "other", 422)],
)
def test_a_share_without_a_photo_goes_to_the_server(
    installed: Callable[..., Page], complaints: Complaints, photo: bytes | None, field: str, status: int
) -> None:
    """What the worker cannot use reaches the server, whose page says what is missing."""
    complaints.expect(f"status of {status}")
    page = installed()
    share(page, photo, field=field)
    expect(page.locator("[role=alert]")).to_be_visible()
    expect(page.locator("#editor")).to_be_visible()


# -- versions --------------------------------------------------------------


class Updatable(ThreadingHTTPServer):
    """Stands before a server, and can make its service worker look like that of a later version.

    Playwright does not see requests for a worker's own script.
    """

    daemon_threads = True

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.client = httpx2.Client(base_url=server.url, timeout=60)
        self.version: str | None = None


class _Relay(BaseHTTPRequestHandler):
    server: Updatable

    def do_GET(self) -> None:
        answer = self.server.client.get(self.path)
        body = answer.content
        if self.server.version and self.path == "/service-worker.js":
            body = re.sub(rb'"version": "[^"]+"', f'"version": "{self.server.version}"'.encode(), body)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in {"content-encoding", "content-length", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def updatable(server: Server) -> Iterator[Updatable]:
    """A server that can be given a later version of the worker."""
    with Updatable(server) as relay:
        Thread(target=relay.serve_forever, daemon=True).start()
        with relay.client:
            yield relay
            relay.shutdown()


def test_a_new_version_waits_for_the_pages_of_the_old_one(
    installed: Callable[..., Page], updatable: Updatable, complaints: Complaints
) -> None:
    """While somebody edits, an update changes nothing; when all pages are closed, it takes over."""
    complaints.origin = updatable.url
    page = installed(address=f"{updatable.url}/ar")
    (old,) = [name for name in caches_of(page) if name.startswith("shell-")]
    page.reload()
    page.locator("#photo").set_input_files(PHOTO)
    shows_photo(page)
    updatable.version = "new"
    page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")
    until(lambda: "shell-new" in caches_of(page))
    waiting = "navigator.serviceWorker.ready.then(({ waiting }) => Boolean(waiting))"
    until(lambda: bool(page.evaluate(waiting)))
    shows_photo(page)
    assert set(caches_of(page)) == {old, "shell-new", "overlays"}
    context = page.context

    def reopened() -> Page:
        for open_now in context.pages:
            open_now.close()
        page = context.new_page()
        page.goto(f"{updatable.url}/ar")
        return page

    # A browser may take a moment to know that a page is closed.
    until(lambda: set(caches_of(reopened())) == {"shell-new", "overlays"})
    assert "/ar" in caches_of(context.pages[0])["shell-new"]


def test_a_page_of_a_newer_server_is_not_kept_beside_older_files(installed: Callable[..., Page]) -> None:
    """A page that names files which the worker does not have would be broken offline."""
    page = installed()
    with_newer_style = '<link rel="stylesheet" href="/static/newer.0123456789ab.css"></head>'

    def renew(route: Route) -> None:
        html = route.fetch().text().replace("</head>", with_newer_style)
        route.fulfill(body=html, content_type="text/html")

    page.context.route(re.compile("/ar$"), renew)
    page.context.route("**/static/newer.*", lambda route: route.fulfill(body="", content_type="text/css"))
    page.goto("/ar")
    page.wait_for_timeout(300)
    page_kept = page.evaluate("caches.match('/ar', { ignoreVary: true }).then((answer) => answer.text())")
    assert "newer" in page.content()
    assert "newer" not in page_kept


# -- installing ------------------------------------------------------------


def test_who_saves_data_gets_no_worker(open_page: OpenPage) -> None:
    """A browser that is told to save data is not made to fetch what it may never need."""
    page = open_page("phone", service_workers="allow")
    page.add_init_script("Object.defineProperty(navigator.connection, 'saveData', { value: true })")
    page.goto("/ar", wait_until="load")
    page.wait_for_timeout(1500)
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0


def test_the_button_to_install_is_there_where_it_works(
    open_page: OpenPage, direction_language: str, screenshot: Callable[..., None]
) -> None:
    """The button appears when the browser offers to install, asks the browser once, and goes."""
    page = open_page("phone", direction_language)
    page.goto(f"/{direction_language}")
    button = page.locator("#install")
    expect(button).to_be_hidden()
    page.evaluate("""() => {
      const offer = new Event("beforeinstallprompt", { cancelable: true });
      offer.prompt = () => { window.asked = (window.asked ?? 0) + 1; };
      window.dispatchEvent(offer);
      window.prevented = offer.defaultPrevented;
    }""")
    expect(button).to_be_visible()
    button.scroll_into_view_if_needed()
    screenshot(page, "install-button")
    button.click()
    assert page.evaluate("[window.asked, window.prevented]") == [1, True]
    expect(button).to_be_hidden()


def test_a_page_whose_worker_cannot_be_registered_works(open_page: OpenPage) -> None:
    """A private window, or an app's own browser, refuses workers: the page says nothing of it."""
    page = open_page("phone", service_workers="allow")
    page.add_init_script("navigator.serviceWorker.register = () => Promise.reject(new DOMException('no'))")
    page.goto("/ar")
    page.locator("#photo").set_input_files(PHOTO)
    shows_photo(page)
