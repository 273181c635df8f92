"""The editor sends little, tells how it goes, and leaves nobody without a way on."""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests import photos
from tests.browser.editing import Difference, Editor, jpeg, scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Request, Route

    from tests.browser.conftest import Complaints, OpenPage

SENDING = "**/made"
MOVES = ["+", "+", "+", "ArrowLeft", "]", "]"]


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A photo that opens at once."""
    return jpeg(scene((900, 700)))


def framed(page: Page, photo: bytes, language: str = "en") -> Editor:
    """Open the editor with a photo that has been zoomed, moved and turned."""
    editor = Editor(page).open(language).choose(photo)
    for key in MOVES:
        page.keyboard.press(key)
    editor.settle()
    return editor


def sent_by(editor: Editor) -> bytes:
    """Press the button and return what is sent. A body of blobs is only seen by who stops the request."""
    sent: list[bytes] = []

    def note(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(body_of(route.request))
        route.continue_()

    editor.page.route(SENDING, note)
    editor.make.click()
    editor.page.wait_for_url("**/made/*")
    (body,) = sent
    return body


def body_of(request: Request) -> bytes:
    """Return what a request sent."""
    body = request.post_data_buffer
    assert body is not None
    return body


def photo_in(body: bytes) -> Image.Image:
    """Return the JPEG that a form holds."""
    return Image.open(io.BytesIO(body[body.index(b"\xff\xd8\xff") :]))


# -- little data, no metadata ------------------------------------------------


def test_five_megabytes_become_less_than_half_a_megabyte(phone: Page) -> None:
    """Of a large photo with a place in it, one square of pixels is sent, under 500 KB, and nothing else."""
    noise = np.random.default_rng(3).normal(0, 22, (3024, 4032, 3))
    image = Image.fromarray((np.asarray(scene((4032, 3024))) + noise).clip(0, 255).astype(np.uint8))
    secret = photos.CANARY
    large = photos.save(image, "JPEG", quality=88, exif=photos.exif(canary=secret), comment=secret)
    assert len(large) > 5_000_000
    assert large.count(secret) > 3
    editor = Editor(phone).open().choose(large, f"{secret.decode()}.jpg")
    body = sent_by(editor)
    assert len(body) < 500_000
    assert secret not in body
    assert b"Exif" not in body
    assert photo_in(body).size == (1080, 1080)


def test_the_square_that_is_sent_is_the_one_to_draw(desktop: Page, photo: bytes) -> None:
    """Whatever was chosen, it is cut here: the server is told to take all of it, and looks for no face."""
    body = sent_by(framed(desktop, photo))
    said = dict(re.findall(rb'name="([a-z]+)"\r\n\r\n([^\r]*)\r\n', body))
    assert said == {
        b"frame": b"red-ribbons",
        b"lang": b"en",
        b"slogan": b"",
        b"x": b"0.5",
        b"y": b"0.5",
        b"zoom": b"1",
    }


def test_pure_noise_is_small_enough_too(desktop: Page) -> None:
    """A photo that no JPEG can compress gives up quality until it fits."""
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 256, (1600, 1600, 3), dtype=np.uint8))
    editor = Editor(desktop).open("en").choose(photos.save(noise, "PNG", compress_level=0), kind="image/png")
    assert 100_000 < len(sent_by(editor)) < 500_000


@pytest.mark.parametrize(("size", "sent_side"), [((900, 700), 700), ((40, 30), 64), ((3000, 2000), 1080)])
def test_no_more_pixels_than_the_photo_has(desktop: Page, size: tuple[int, int], sent_side: int) -> None:
    """The square has the photo's own resolution, from the server's smallest to the result's."""
    editor = Editor(desktop).open("en").choose(jpeg(scene(size)))
    assert photo_in(sent_by(editor)).size == (sent_side, sent_side)


def test_a_close_up_is_as_sharp_as_the_photo(desktop: Page) -> None:
    """What is cut small out of a large photo comes from all its pixels, not from the copy on the stage."""
    stripes = Image.fromarray(np.indices((3000, 4000))[1].astype(np.uint8) // 2 % 2 * 255)
    editor = Editor(desktop).open("en").choose(photos.save(stripes, "PNG"), kind="image/png")
    desktop.locator("#zoom").fill("2")
    square = photo_in(sent_by(editor)).convert("L")
    assert square.size == (750, 750)
    assert np.asarray(square).std() > 90  # the copy, of two thirds the size, blurs stripes of two pixels


def test_nothing_is_kept(desktop: Page, photo: bytes) -> None:
    """The editor stores nothing in the browser, and a reload starts empty."""
    framed(desktop, photo)
    desktop.locator("#slogan").fill("Free them")
    assert desktop.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    assert desktop.evaluate("async () => (await caches.keys()).length") == 0
    desktop.reload()
    expect(desktop.locator("#editor")).to_have_class("editor is-live")
    expect(desktop.locator("#slogan")).to_have_value("")
    assert desktop.locator("#photo").evaluate("input => input.files.length") == 0


def test_a_page_that_was_out_of_sight_for_long_is_empty(desktop: Page, photo: bytes) -> None:
    """An app that is never closed lets go of its photo too: the next to look may be somebody else."""
    desktop.clock.install()
    framed(desktop, photo)
    turn = """hidden => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    desktop.evaluate(turn, arg=True)
    desktop.clock.fast_forward("14:00")
    desktop.evaluate(turn, arg=False)
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    desktop.evaluate(turn, arg=True)
    desktop.clock.fast_forward("16:00")
    with desktop.expect_navigation():
        desktop.evaluate(turn, arg=False)
    expect(desktop.locator("#editor")).to_have_class("editor is-live")


def test_a_page_that_comes_back_late_is_empty(desktop: Page, photo: bytes) -> None:
    """Out of the browser's memory after a quarter of an hour, it starts empty; before, all is there."""
    desktop.clock.install()
    editor = framed(desktop, photo)
    go = "event => window.dispatchEvent(new PageTransitionEvent(event, {persisted: true}))"
    desktop.evaluate(go, "pagehide")
    desktop.clock.fast_forward("14:00")
    desktop.evaluate(go, "pageshow")
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    desktop.evaluate(go, "pagehide")
    desktop.clock.fast_forward("16:00")
    with desktop.expect_navigation():
        desktop.evaluate(go, "pageshow")
    expect(desktop.locator("#editor")).to_have_class("editor is-live")
    expect(editor.stage.locator("canvas")).to_be_hidden()


SHOW_AGAIN = """() => {
    for (const name of ["pagehide", "pageshow"])
        window.dispatchEvent(new PageTransitionEvent(name, {persisted: true}));
}"""


def made_without_leaving(editor: Editor) -> str:
    """Make the picture, and stay: the next page does not come (204). Return its address."""
    editor.page.route("**/made/*", lambda route: route.fulfill(status=204))
    editor.make.click()
    address = editor.sending.get_by_role("link").get_attribute("href")
    assert address
    return address


def test_a_deleted_picture_leaves_no_photo_behind(
    desktop: Page, complaints: Complaints, photo: bytes
) -> None:
    """Back out of the browser's memory, the editor is as it was while the picture is kept, and then empty."""
    complaints.expect("404")
    editor = framed(desktop, photo)
    address = made_without_leaving(editor)
    desktop.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    expect(editor.stage).to_be_hidden()  # and so it lies in the browser's memory
    with desktop.expect_response("**/avatar.jpg"):
        desktop.evaluate(SHOW_AGAIN)
    expect(editor.stage.locator("canvas")).to_be_visible()
    expect(editor.sending).to_be_hidden()
    expect(editor.make).to_have_attribute("aria-disabled", "false")
    assert desktop.request.post(f"{address}/delete").ok
    with desktop.expect_navigation():
        desktop.evaluate(SHOW_AGAIN)
    expect(desktop.locator("#editor")).to_have_class("editor is-live")
    expect(editor.stage.locator("canvas")).to_be_hidden()


def test_coming_back_without_a_connection_loses_nothing(
    desktop: Page, complaints: Complaints, photo: bytes
) -> None:
    """Where nobody answers whether the picture is kept, the photo stays as it was placed."""
    complaints.expect("ERR_CONNECTION_FAILED|ERR_FAILED")
    editor = framed(desktop, photo)
    made_without_leaving(editor)
    desktop.route("**/avatar.jpg", lambda route: route.abort("connectionfailed"))
    desktop.evaluate(SHOW_AGAIN)
    expect(editor.stage.locator("canvas")).to_be_visible()


# -- honest states -----------------------------------------------------------


def test_without_a_photo_there_is_nothing_to_send(desktop: Page) -> None:
    """The button says what is missing, and leads to where it is chosen."""
    editor = Editor(desktop).open("en")
    editor.make.click()
    expect(editor.sending).to_contain_text("Choose a photo first")
    expect(desktop.locator("#announcements")).to_have_text("Choose a photo first.")
    expect(desktop.locator("#photo")).to_be_focused()


def test_the_message_goes_when_the_photo_comes(desktop: Page, photo: bytes) -> None:
    """What was missing is there: nothing says that it is not."""
    editor = Editor(desktop).open("en")
    editor.make.click()
    expect(editor.sending).to_contain_text("Choose a photo first")
    editor.choose(photo)
    expect(editor.sending).to_be_hidden()


def test_a_next_page_that_does_not_come_has_a_link(
    desktop: Page, axe: Callable[[Page], None], screenshot: Callable[..., None], photo: bytes
) -> None:
    """Stopped, or without a connection just then, the page leads to the picture and is of use again."""
    desktop.clock.install()
    editor = framed(desktop, photo)
    address = made_without_leaving(editor)
    link = editor.sending.get_by_role("link", name="Your picture is ready")
    expect(link).to_be_visible()
    expect(editor.make).to_have_attribute("aria-disabled", "true")
    desktop.clock.fast_forward("00:10")
    expect(editor.make).to_have_attribute("aria-disabled", "false")
    axe(desktop)
    screenshot(desktop, "editor-ready")
    desktop.unroute("**/made/*")
    link.click()
    desktop.wait_for_url(f"**{address}")


@pytest.mark.parametrize("moment", ["prepared", "sent"])
def test_another_photo_ends_the_order_of_the_one_before(desktop: Page, photo: bytes, moment: str) -> None:
    """Chosen while the first is on its way, it takes its place without an error, and is made."""
    editor = framed(desktop, photo)
    other = jpeg(scene((900, 700)).rotate(180))
    asked: list[Request] = []

    def hold_back(route: Route) -> None:
        asked.append(route.request)  # never answered

    desktop.route(SENDING, hold_back)
    if moment == "prepared":
        # As long as a phone may take to encode.
        desktop.evaluate("""() => {
            const encode = HTMLCanvasElement.prototype.toBlob;
            HTMLCanvasElement.prototype.toBlob = function (done, ...rest) {
                encode.call(this, (blob) => setTimeout(done, 1500, blob), ...rest);
            };
        }""")
    editor.make.click()
    expect(editor.sending).to_contain_text(
        "Preparing" if moment == "prepared" else re.compile("Drawing|Sending")
    )
    before = editor.photo_pixels()
    editor.give(other)
    expect(editor.sending).to_be_hidden()
    expect(desktop.locator("#zoom-value")).to_have_text("100%")
    expect(editor.make).to_have_attribute("aria-disabled", "false")
    desktop.wait_for_timeout(1800 if moment == "prepared" else 200)
    expect(editor.sending).to_be_hidden()
    expect(editor.stage).to_be_focused()
    assert Difference.of(before, editor.photo_pixels()).mean > 20
    assert len(asked) == (moment == "sent")
    desktop.unroute(SENDING)
    editor.make.click()
    desktop.wait_for_url("**/made/*")


def test_an_order_made_while_another_photo_is_read_ends_too(desktop: Page, photo: bytes) -> None:
    """Pressed while a HEIC is on its way in, the button's order ends when that photo is there."""
    editor = framed(desktop, photo)
    waiting: list[Route] = []
    desktop.route("**/v1/renditions", lambda route: waiting.append(route))  # noqa: PLW0108 - marked by Playwright
    desktop.route(SENDING, lambda _: None)
    with desktop.expect_request("**/v1/renditions"):
        editor.give(photos.heic(), "a.heic", "")
    editor.make.click()
    expect(editor.sending).to_contain_text(re.compile("Drawing|Sending"))
    waiting[0].continue_()
    expect(editor.sending).to_be_hidden()
    expect(desktop.locator("#zoom-value")).to_have_text("100%")
    expect(editor.make).to_have_attribute("aria-disabled", "false")


def test_progress_on_a_slow_network(
    phone: Page,
    screenshot: Callable[..., None],
    axe: Callable[[Page], None],
    slow_down: Callable[[Page], None],
) -> None:
    """The bar moves with the bytes, in the reader's digits; it can be stopped, and the photo stays."""
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 256, (1200, 1200, 3), dtype=np.uint8))
    editor = Editor(phone).open("ar").choose(photos.save(noise, "PNG", compress_level=1), kind="image/png")
    slow_down(phone)
    editor.make.click()
    bar = editor.sending.locator("progress")
    seen: set[float] = set()
    start = time.monotonic()
    while not any(0.1 < share < 1 for share in seen):
        assert time.monotonic() - start < 20, seen
        seen.add(float(bar.get_attribute("value") or 0))
    expect(editor.sending.locator("p").first).to_contain_text(re.compile("[٠-٩]"))
    expect(editor.make).to_have_attribute("aria-disabled", "true")
    screenshot(phone, "editor-sending")
    axe(phone)
    editor.sending.get_by_role("button").last.click()
    expect(editor.sending).to_be_hidden()
    expect(editor.make).to_have_attribute("aria-disabled", "false")
    expect(editor.make).to_be_focused()
    expect(phone.locator("#editor")).to_have_class(re.compile("has-photo"))


def busy(times: int, seconds: str, **answer: Any) -> tuple[list[Request], Callable[[Route], None]]:
    """Return what answers the first requests as a full queue does, or with an answer, and those requests."""
    asked: list[Request] = []
    refusal = answer or {"status": 503, "json": {"code": "busy", "detail": "Busy."}}

    def refuse(route: Route) -> None:
        asked.append(route.request)
        if len(asked) > times:
            route.continue_()
        else:
            route.fulfill(headers={"Retry-After": seconds}, **refusal)

    return asked, refuse


def test_a_busy_server_is_waited_for(
    phone: Page, complaints: Complaints, screenshot: Callable[..., None], photo: bytes
) -> None:
    """For as long as Retry-After says, counted down before the reader's eyes; then the same is sent again."""
    complaints.expect("503")
    asked, answer = busy(1, "2")
    phone.route(SENDING, answer)
    editor = framed(phone, photo, "ar")
    start = time.monotonic()
    editor.make.click()
    expect(editor.sending.locator("p").first).to_contain_text(re.compile("[٠-٩]|ثانيتان|ثانيتين|ثانية"))
    screenshot(phone, "editor-busy")
    phone.wait_for_url("**/made/*")
    assert time.monotonic() - start >= 2
    first, second = (photo_in(body_of(request)).tobytes() for request in asked)
    assert first == second


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        pytest.param(
            {"status": 503, "json": {"code": "unavailable", "detail": "Away."}},
            r"The service is not available right now\. We try again in \d seconds?\.",
            id="not called a crowd where the service is away",
        ),
        pytest.param(
            {"status": 429, "body": "<html>Too Many Requests</html>"},
            r"Many people are making their picture right now\. Yours is sent again in \d seconds?\.",
            id="not in a proxy's own words",
        ),
        pytest.param(
            {"status": 429, "json": {"code": "too_many_at_once", "detail": "Too many."}},
            r"Many pictures are being made over your internet connection right now\. "
            r"Yours is sent again in \d seconds?\. Switching between Wi-Fi and mobile data may help\.",
            id="with what helps where others share the address",
        ),
    ],
)
def test_the_countdown_says_why_one_waits(
    desktop: Page, complaints: Complaints, photo: bytes, refusal: dict[str, Any], said: str
) -> None:
    """In words of the page's own; then the photo is sent again by itself."""
    complaints.expect(str(refusal["status"]))
    asked, answer = busy(1, "2", **refusal)
    desktop.route(SENDING, answer)
    editor = framed(desktop, photo, "en")
    editor.make.click()
    expect(editor.sending.locator("p").first).to_have_text(re.compile(said))
    desktop.wait_for_url("**/made/*")
    assert len(asked) == 2


def test_a_photo_that_ends_its_process_twice_is_not_sent_again(
    desktop: Page, complaints: Complaints, photo: bytes
) -> None:
    """The page would go on for ever, and the service with it."""
    complaints.expect("503")
    detail = "Something went wrong while your picture was drawn."
    asked, answer = busy(2, "1", status=503, json={"code": "worker_died", "detail": detail})
    desktop.route(SENDING, answer)
    editor = framed(desktop, photo, "en")
    editor.make.click()
    expect(editor.sending).to_contain_text(detail)
    assert len(asked) == 2
    editor.make.click()  # the photo is still there
    desktop.wait_for_url("**/made/*")


def test_waiting_can_be_ended(desktop: Page, complaints: Complaints, photo: bytes) -> None:
    """Who does not want to wait is back at the button, with everything in its place."""
    complaints.expect("503")
    asked, answer = busy(9, "30")
    desktop.route(SENDING, answer)
    editor = framed(desktop, photo)
    before = editor.photo_pixels()
    editor.make.click()
    expect(editor.sending).to_contain_text("30 seconds")
    editor.sending.get_by_role("button", name="Cancel").click()
    expect(editor.make).to_be_focused()
    assert Difference.of(before, editor.photo_pixels()).mean == 0
    assert len(asked) == 1


@pytest.mark.parametrize("screen", ["desktop", "phone"])
def test_the_way_out_of_waiting_is_in_the_window(
    open_page: OpenPage, complaints: Complaints, photo: bytes, screen: str
) -> None:
    """On a laptop's low screen, too, where the button that was pressed is the last thing in it."""
    complaints.expect("429")
    low = {"viewport": {"width": 1280, "height": 800}} if screen == "desktop" else {}
    page = open_page(screen, "en", **low)
    _, answer = busy(9, "30", status=429, json={"code": "too_many_at_once", "detail": "Too many."})
    page.route(SENDING, answer)
    editor = framed(page, photo)
    editor.make.click()
    expect(editor.sending).to_contain_text("30 seconds")
    expect(editor.sending.get_by_role("button", name="Cancel")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("way_on", ["a press", "the connection"])
def test_offline(
    desktop: Page, complaints: Complaints, screenshot: Callable[..., None], photo: bytes, way_on: str
) -> None:
    """Without a connection everything stays, and it is sent by a press or as soon as there is one again."""
    editor = framed(desktop, photo)
    before = editor.photo_pixels()
    if way_on == "the connection":
        desktop.context.set_offline(True)
    else:  # the browser believes in its connection, and is wrong
        complaints.expect("ERR_CONNECTION_FAILED|ERR_FAILED")
        desktop.route(SENDING, lambda route: route.abort("connectionfailed"))
    editor.make.click()
    expect(editor.sending).to_contain_text("no connection")
    expect(editor.sending).to_be_focused()
    if way_on == "the connection":
        screenshot(desktop, "editor-offline")
    assert Difference.of(before, editor.photo_pixels()).mean == 0
    if way_on == "the connection":
        desktop.context.set_offline(False)
    else:
        desktop.unroute(SENDING)
        editor.sending.get_by_role("button", name="Try again").click()
    desktop.wait_for_url("**/made/*")


def test_silence_is_a_connection_that_is_gone(desktop: Page, photo: bytes) -> None:
    """A request that is not answered at all ends in a question, not in a page that waits for ever."""
    editor = framed(desktop, photo)
    desktop.route(SENDING, lambda _: None)
    desktop.clock.install()
    editor.make.click()
    expect(editor.sending).to_contain_text(re.compile("Sending|Drawing"))
    desktop.wait_for_timeout(200)
    desktop.clock.fast_forward("01:00")
    expect(editor.sending).to_contain_text("very slow")
    editor.sending.get_by_role("button", name="Try again").press("Enter")
    expect(editor.sending).to_contain_text(re.compile("Sending|Drawing"))
    expect(editor.sending, "the button that went has taken the focus with it").to_be_focused()


# All of a small photo fits into the phone's own buffers: it is "sent" long before it has arrived.
BUFFERED = """
    window.sizes = [];
    XMLHttpRequest.prototype.send = function (body) {
        window.sizes.push(body.get("photo").size);
        setTimeout(() => this.upload.onload());
    };
"""


def test_a_slow_arrival_is_waited_for_and_then_made_lighter(desktop: Page) -> None:
    """What the phone still holds has as long as the server gives it; the next try sends a quarter of it."""
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 256, (1100, 1100, 3), dtype=np.uint8))
    desktop.add_init_script(BUFFERED)
    editor = Editor(desktop).open("en").choose(photos.save(noise, "PNG", compress_level=1), kind="image/png")
    desktop.clock.install()
    editor.make.click()
    expect(editor.sending).to_contain_text("Drawing")
    desktop.clock.fast_forward("02:00")
    expect(editor.sending).to_contain_text("Drawing")
    desktop.clock.fast_forward("01:00")
    expect(editor.sending).to_contain_text("very slow")
    editor.sending.get_by_role("button", name="Try again").click()
    expect(editor.sending).to_contain_text("Drawing")
    first, second = desktop.evaluate("window.sizes")
    assert first > 300_000
    assert second <= 120_000


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (422, '{"code": "slogan_does_not_fit", "detail": "Words of the server."}', "Words of the server."),
        (504, '{"code": "deadline_exceeded", "detail": "Took too long."}', "Took too long."),
        (502, "<html>Bad gateway</html>", "Something went wrong on our side"),
    ],
)
def test_refusals_are_told_and_retried(  # noqa: PLR0917 - fixtures and cases
    desktop: Page, complaints: Complaints, photo: bytes, status: int, body: str, says: str
) -> None:
    """What the server says is said, what something between says is not; the next press sends again."""
    complaints.expect(str(status))
    answers = iter([status])
    desktop.route(
        SENDING,
        lambda route: (
            route.fulfill(status=next(answers), body=body)
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    editor = framed(desktop, photo)
    before = editor.photo_pixels()
    editor.make.click()
    expect(editor.sending).to_contain_text(says)
    expect(editor.sending).to_be_focused()
    expect(editor.make).to_have_attribute("aria-disabled", "false")
    assert Difference.of(before, editor.photo_pixels()).mean == 0
    desktop.unroute(SENDING)
    editor.make.click()
    desktop.wait_for_url("**/made/*")


def test_words_are_refused_in_the_readers_language(
    open_page: OpenPage, complaints: Complaints, photo: bytes
) -> None:
    """Sent before the preview could tell, words that do not fit are refused in the page's own language."""
    complaints.expect("422")
    page = open_page("phone", "ar")
    editor = Editor(page).open("ar").choose(photo)
    page.locator("#slogan").fill("W" * 60)
    editor.make.click()
    expect(editor.sending).to_be_focused()
    expect(editor.sending).to_contain_text(re.compile("[\u0600-\u06ff]"))


def test_a_heic_without_a_connection(desktop: Page, complaints: Complaints) -> None:
    """Nothing was placed yet, and no message says that it was; it is read when the connection is back."""
    complaints.expect("ERR_INTERNET_DISCONNECTED")  # what lays photos is asked for, too
    editor = Editor(desktop).open("en")
    desktop.context.set_offline(True)
    editor.give(photos.heic(), "a.heic", "")
    expect(editor.reading).to_contain_text("There is no connection. We open your photo when it is back.")
    desktop.context.set_offline(False)
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    editor.wait_until_laid()
    expect(desktop.locator("#zoom")).to_have_attribute("min", "-1")  # it has come as well


def test_a_heic_on_a_busy_server(desktop: Page, complaints: Complaints) -> None:
    """The way in waits as the way out does, and says that the photo travels whole."""
    complaints.expect("503")
    _, answer = busy(1, "1")
    desktop.route("**/v1/renditions", answer)
    editor = Editor(desktop).open("en")
    editor.give(photos.heic(), "a.heic", "")
    expect(editor.reading).to_contain_text("the whole photo is sent")
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    expect(editor.reading).to_be_hidden()


# -- without a script --------------------------------------------------------


def test_the_form_works_without_a_script(
    open_page: OpenPage, screenshot: Callable[..., None], photo: bytes, direction_language: str
) -> None:
    """The form takes a file, a frame, a language and words, and leads to the picture."""
    page = open_page("phone", direction_language, java_script_enabled=False)
    page.goto(f"/{direction_language}")
    expect(page.locator(".tools")).to_be_hidden()
    screenshot(page, "editor-without-script", full_page=True)
    page.locator("#photo").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo})
    page.locator("[value='ribbon-loop']").check()
    page.locator("#slogan").fill("Free them")
    page.locator("#make").click()
    page.wait_for_url("**/made/*")


def test_a_refused_form_keeps_its_choices(
    open_page: OpenPage, complaints: Complaints, screenshot: Callable[..., None]
) -> None:
    """Without a script too, a file that is no photo is told apart, and every choice is still there."""
    complaints.expect("415")
    page = open_page("phone", "en", java_script_enabled=False)
    page.goto("/en")
    page.locator("#photo").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"no photo"})
    page.locator("[value='ribbon-loop']").check()
    page.locator("#lang").select_option("tr")
    page.locator("#slogan").fill("Free them")
    page.locator("#make").click()
    expect(page.locator("[role='alert']")).to_contain_text("not a photo")
    expect(page.locator("[value='ribbon-loop']")).to_be_checked()
    expect(page.locator("#lang")).to_have_value("tr")
    expect(page.locator("#slogan")).to_have_value("Free them")
    screenshot(page, "editor-refused-without-script")
