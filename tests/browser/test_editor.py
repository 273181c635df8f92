"""The editor: a photo comes in by every way there is, is moved by every hand, and gets its frame."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import expect

from tests import photos
from tests.browser.conftest import SAMPLED_LANGUAGES
from tests.browser.editing import Difference, Editor, jpeg, scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import CDPSession, Page, Request, Route

    from tests.browser.conftest import Complaints, OpenPage

SMALL = (900, 700)


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A photo that opens at once."""
    return jpeg(scene(SMALL))


def hand_over(editor: Editor, photo: bytes, event: str) -> None:
    """Drop or paste a file on the page, as browsers report it."""
    editor.page.evaluate(
        """([event, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "IMG_1234.JPG", {type: ""}));
            const options = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
            const Kind = event === "paste" ? ClipboardEvent : DragEvent;
            document.body.dispatchEvent(new Kind(event, options));
        }""",
        [event, base64.b64encode(photo).decode()],
    )


# -- a photo comes in --------------------------------------------------------


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted(desktop: Page, photo: bytes, event: str) -> None:
    """A file dropped anywhere on the page, or pasted, is on the stage, whatever its name and type."""
    editor = Editor(desktop).open("en")
    hand_over(editor, photo, event)
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    expect(desktop.locator(".previews")).to_be_visible()


def test_a_file_that_hovers_is_welcome(desktop: Page, photo: bytes) -> None:
    """While a file hovers over the page the stage says that it can be dropped, and no longer."""
    editor = Editor(desktop).open("en")
    hand_over(editor, photo, "dragover")
    expect(desktop.locator("#editor")).to_have_class(re.compile("is-dropping"))
    hand_over(editor, photo, "dragleave")
    expect(desktop.locator("#editor")).not_to_have_class(re.compile("is-dropping"))


def test_pasted_words_are_words(desktop: Page) -> None:
    """Text that is pasted goes where it was meant to go."""
    Editor(desktop).open("en")
    desktop.locator("#slogan").focus()
    prevented = desktop.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text/plain", "words");
            const options = {bubbles: true, cancelable: true, clipboardData: data};
            return !document.activeElement.dispatchEvent(new ClipboardEvent("paste", options));
        }"""
    )
    assert not prevented


def test_words_that_come_with_a_picture_are_words(desktop: Page, photo: bytes) -> None:
    """Office programs copy a picture beside the words: in the slogan it is the words that are meant."""
    editor = Editor(desktop).open("en").choose(photo)
    before = editor.photo_pixels()
    prevented = desktop.locator("#slogan").evaluate(
        """(field) => {
            const data = new DataTransfer();
            data.setData("text/plain", "words");
            data.items.add(new File(["picture"], "image.png", {type: "image/png"}));
            const options = {bubbles: true, cancelable: true, clipboardData: data};
            return !field.dispatchEvent(new ClipboardEvent("paste", options));
        }"""
    )
    assert not prevented
    expect(editor.reading).to_be_hidden()
    assert Difference.of(before, editor.photo_pixels()).mean == 0


def test_a_phone_takes_a_photo(phone: Page, photo: bytes) -> None:
    """The second way in asks for the camera that looks at the supporter."""
    editor = Editor(phone).open()
    camera = phone.locator("#camera")
    expect(camera).to_have_attribute("capture", "user")
    camera.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo})
    expect(phone.locator("#editor")).to_have_class(re.compile("has-photo"))
    expect(editor.stage).to_be_focused()


def test_a_stage_that_is_not_seen_is_not_drawn(desktop: Page, photo: bytes) -> None:
    """As while its page is being left; an error would fail the test. It is drawn when it is seen again."""
    editor = Editor(desktop).open("en")
    stage = desktop.locator(".stage")
    stage.evaluate("stage => { stage.style.display = 'none'; }")
    hand_over(editor, photo, "drop")
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    # More than a stage waits before it copies itself to the frames' pictures.
    desktop.wait_for_timeout(400)
    stage.evaluate("stage => { stage.style.display = ''; }")
    desktop.wait_for_function("document.querySelector('.frame-list canvas').width > 0")


def test_another_photo_takes_the_firsts_place(desktop: Page, photo: bytes) -> None:
    """A second photo starts from the beginning; the button opens the browser's own choice of files."""
    editor = Editor(desktop).open("en").choose(photo)
    desktop.keyboard.press("+")
    before = editor.photo_pixels()
    with desktop.expect_file_chooser() as chooser:
        desktop.get_by_role("button", name="Another photo").click()
    chooser.value.set_files(
        {"name": "b.jpg", "mimeType": "image/jpeg", "buffer": jpeg(scene(SMALL).rotate(180))}
    )
    expect(desktop.locator("#zoom-value")).to_have_text("100%")
    editor.settle()
    assert Difference.of(before, editor.photo_pixels()).mean > 20


def test_a_photo_of_the_share_sheet_that_is_gone(phone: Page) -> None:
    """Without the photo that was shared the page says so, and its address says nothing of it."""
    phone.goto("/en#shared=1234")
    expect(phone.locator("#reading")).to_contain_text("did not arrive")
    expect(phone.locator("#reading")).to_be_focused()
    assert "#" not in phone.url


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Dear diary, this is no photo at all.", "not a photo"),
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 3000, "damaged"),
        (jpeg(scene(SMALL))[:60], "damaged"),
    ],
)
def test_what_is_no_photo_is_refused(
    desktop: Page, complaints: Complaints, photo: bytes, content: bytes, says: str
) -> None:
    """A file that nobody can read is told apart, the message has the focus, and the photo before it stays."""
    if says == "damaged":
        complaints.expect("422")
    asked: list[str] = []
    desktop.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    editor = Editor(desktop).open("en").choose(photo)
    editor.give(content)
    expect(editor.reading).to_contain_text(says)
    expect(editor.reading).to_be_focused()
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    # What does not even begin like a photo never leaves the device.
    assert bool(asked) == (says == "damaged")


def test_a_photo_that_the_browser_cannot_read(desktop: Page) -> None:
    """A HEIC is shown by way of the server, edited like any other, and only its square is sent at the end."""
    asked: list[Request] = []
    desktop.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    editor = Editor(desktop).open("en").choose(photos.heic(), "IMG_0001.HEIC", "")
    expect(editor.reading).to_be_hidden()
    corners = editor.photo_pixels()
    side = len(corners)
    found = [corners[y, x] for y in (side // 4, side * 3 // 4) for x in (side // 4, side * 3 // 4)]
    for colour, expected in zip(found, [photos.RED, photos.GREEN, photos.BLUE, photos.WHITE], strict=True):
        assert np.abs(colour - np.array(expected)).max() < 40
    editor.make_picture()
    assert [urlsplit(request.url).path for request in asked] == ["/v1/renditions", "/en/made"]


@pytest.mark.parametrize(("has_photo", "focused"), [(False, "#photo"), (True, ".stage")])
def test_reading_a_photo_elsewhere_can_be_ended(
    desktop: Page, photo: bytes, *, has_photo: bool, focused: str
) -> None:
    """Who does not want to wait for the server is back where photos are chosen, or at the one before."""
    desktop.route("**/v1/renditions", lambda _: None)
    editor = Editor(desktop).open("en")
    if has_photo:
        editor.choose(photo)
    editor.give(photos.heic(), "IMG_0001.HEIC", "")
    editor.reading.get_by_role("button", name="Cancel").press("Enter")
    expect(editor.reading).to_be_hidden()
    expect(desktop.locator(focused)).to_be_focused()


def test_a_photo_that_was_replaced_is_not_sent_whole(desktop: Page, photo: bytes) -> None:
    """A HEIC that another photo follows at once, while the page still looks what it is, stays here."""
    asked: list[str] = []
    desktop.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    desktop.add_init_script("""
        const read = Response.prototype.arrayBuffer;
        Response.prototype.arrayBuffer = async function () {
            const content = await read.call(this);
            await new Promise((resolve) => { window.goOn = resolve; });
            return content;
        };
    """)
    editor = Editor(desktop).open("en")
    editor.give(photos.heic(), "a.heic", "")
    editor.wait_until("window.goOn")
    editor.choose(photo)
    desktop.evaluate("window.goOn()")
    desktop.wait_for_timeout(300)
    expect(editor.reading).to_be_hidden()
    assert asked == []


# -- it is moved -------------------------------------------------------------


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    """Put fingers on the screen, move them, or take them away."""
    session.send(
        "Input.dispatchTouchEvent",
        {"type": kind, "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]},
    )


def centre_of(editor: Editor) -> tuple[float, float, float]:
    """Return where on the screen the stage's centre is, and its side."""
    editor.stage.scroll_into_view_if_needed()
    box = editor.stage.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"]


def shift_between(before: Any, after: Any, expected: tuple[int, int]) -> float:
    """Return how far two pictures are apart when the second is moved back, away from what came in new."""
    right, down = expected
    back = np.roll(after, (-down, -right), (0, 1))
    edge = max(abs(right), abs(down)) + 4
    return float(np.abs(before - back)[edge:-edge, edge:-edge].mean())


def test_one_finger_moves(phone: Page, photo: bytes) -> None:
    """The photo follows the finger, point for point; the page stays where it is."""
    editor = Editor(phone).open().choose(photo)
    before = editor.photo_pixels()
    scale = before.shape[0] / centre_of(editor)[2]
    x, y, _ = centre_of(editor)
    session = phone.context.new_cdp_session(phone)
    top = phone.evaluate("scrollY")
    touch(session, "touchStart", (x, y))
    for step in range(1, 9):
        touch(session, "touchMove", (x + 4 * step, y + 2 * step))
    touch(session, "touchEnd")
    editor.settle()
    # 32 points to the right; the photo is wide, so it cannot go down.
    assert shift_between(before, editor.photo_pixels(), (round(32 * scale), 0)) < 4
    assert phone.evaluate("scrollY") == top


def test_two_fingers_zoom_about_their_middle(phone: Page, photo: bytes) -> None:
    """Fingers twice as far apart show the photo twice as large, and hold what is between them."""
    editor = Editor(phone).open().choose(photo)
    x, y, side = centre_of(editor)
    held = x + side / 8
    before = editor.photo_pixels()
    session = phone.context.new_cdp_session(phone)
    touch(session, "touchStart", (held - 30, y), (held + 30, y))
    for reach in range(32, 61, 2):
        touch(session, "touchMove", (held - reach, y), (held + reach, y))
    touch(session, "touchEnd")
    editor.settle()
    assert editor.zoom() == "200"
    after, size = editor.photo_pixels(), before.shape[0]
    at, reach = round(size * 5 / 8), 10
    patch = before[size // 2 - reach : size // 2 + reach, at - reach : at + reach]
    twice = after[size // 2 - 2 * reach : size // 2 + 2 * reach : 2, at - 2 * reach : at + 2 * reach : 2]
    assert np.abs(patch - twice).mean() < 12
    expect(phone.locator("#announcements")).to_contain_text("٢٠٠")


def test_fingers_scroll_the_page_until_there_is_a_photo(phone: Page, photo: bytes) -> None:
    """The stage takes the fingers only when it has something for them."""
    editor = Editor(phone).open()
    assert editor.stage.evaluate("stage => getComputedStyle(stage).touchAction") != "none"
    editor.choose(photo)
    assert editor.stage.evaluate("stage => getComputedStyle(stage).touchAction") == "none"


def test_the_mouse_drags_and_the_wheel_zooms(desktop: Page, photo: bytes) -> None:
    """The photo follows the mouse; the wheel zooms, with Ctrl as well, and does not scroll."""
    editor = Editor(desktop).open("en").choose(photo)
    before = editor.photo_pixels()
    x, y, _ = centre_of(editor)
    desktop.mouse.move(x, y)
    desktop.mouse.down()
    desktop.mouse.move(x - 20, y + 10, steps=4)
    desktop.mouse.up()
    editor.settle()
    assert shift_between(before, editor.photo_pixels(), (-20, 0)) < 4
    desktop.mouse.move(x + 40, y)
    desktop.mouse.wheel(0, -300)
    editor.settle()
    zoomed = int(editor.zoom())
    assert zoomed > 150
    assert desktop.evaluate("scrollY") == 0
    desktop.keyboard.down("Control")
    desktop.mouse.wheel(0, 30)
    desktop.keyboard.up("Control")
    editor.settle()
    assert int(editor.zoom()) < zoomed


def test_the_wheel_scrolls_where_the_zoom_ends(desktop: Page, photo: bytes) -> None:
    """At either end of the zoom the wheel scrolls the page on; a pinch there does nothing to the page."""
    editor = Editor(desktop).open("en").choose(photo)
    for _ in range(8):
        desktop.keyboard.press("-")
    turn = """([pixels, ctrlKey]) => {
        const options = {deltaY: pixels, ctrlKey, bubbles: true, cancelable: true};
        return document.querySelector(".stage").dispatchEvent(new WheelEvent("wheel", options));
    }"""
    assert desktop.evaluate(turn, [100, False])
    assert not desktop.evaluate(turn, [100, True])
    assert editor.zoom() == "50"
    assert not desktop.evaluate(turn, [-5000, False])
    assert editor.zoom() == "800"
    assert desktop.evaluate(turn, [-100, False])
    assert not desktop.evaluate(turn, [5000, False])
    desktop.set_viewport_size({"width": 1280, "height": 500})
    x, y, _ = centre_of(editor)
    top = desktop.evaluate("scrollY")
    desktop.mouse.move(x, y)
    desktop.mouse.wheel(0, 200)
    editor.wait_until(f"scrollY > {top}")


def test_the_photo_never_leaves_the_frame(desktop: Page) -> None:
    """However far it is pushed, the square stays inside the photo, and the page says that it ends."""
    editor = Editor(desktop).open("en").choose(jpeg(scene(SMALL).point(lambda value: value // 2)))
    editor.stage.focus()
    for key in [*["Shift+ArrowLeft"] * 15, *["]"] * 20, *["Shift+ArrowUp"] * 15]:
        desktop.keyboard.press(key)
    editor.settle()
    # The ground under a photo is white, and this photo is nowhere brighter than 127.
    assert editor.photo_pixels()[2:-2, 2:-2].max() < 160
    expect(desktop.locator("#announcements")).to_have_text("The photo ends here.")


def test_buttons_and_sliders_do_what_gestures_do(desktop: Page, photo: bytes) -> None:
    """Without a drag: four arrows, two quarter turns, zoom and tilt by sliders, and back to the beginning."""
    editor = Editor(desktop).open("en").choose(photo)
    start = editor.photo_pixels()
    desktop.locator("#zoom").fill("1")
    expect(desktop.locator("#zoom-value")).to_have_text("200%")
    editor.settle()
    before = editor.photo_pixels()
    side = before.shape[0]
    for name, moved in [
        ("Move left", (-1, 0)),
        ("Move down", (-1, 1)),
        ("Move right", (0, 1)),
        ("Move up", (0, 0)),
    ]:
        desktop.get_by_role("button", name=name).click()
        editor.settle()
        expected = (round(moved[0] * side / 20), round(moved[1] * side / 20))
        assert shift_between(before, editor.photo_pixels(), expected) < 6, name
    desktop.get_by_role("button", name="A quarter turn clockwise").click()
    assert editor.turned() == "90°"
    editor.settle()
    assert np.abs(np.rot90(before, -1) - editor.photo_pixels()).mean() < 4
    desktop.locator("#turn").fill("-10")
    assert editor.turned() == "80°"
    desktop.get_by_role("button", name="A quarter turn anticlockwise").click()
    assert editor.turned() == "-10°"
    desktop.get_by_role("button", name="Start over").click()
    editor.settle()
    assert editor.turned() == "0°"
    assert np.abs(start - editor.photo_pixels()).max() <= 2


def test_keys_of_an_arabic_keyboard(desktop: Page, photo: bytes) -> None:
    """The keys beside P turn the photo, although an Arabic keyboard writes letters with them."""
    editor = Editor(desktop).open("en").choose(photo)
    editor.stage.focus()
    editor.stage.dispatch_event("keydown", {"key": "د", "code": "BracketRight", "bubbles": True})
    assert editor.turned() == "1°"
    editor.stage.dispatch_event("keydown", {"key": "٠", "code": "Digit0", "bubbles": True})
    assert editor.turned() == "0°"
    editor.stage.dispatch_event("keydown", {"key": "+", "ctrlKey": True, "bubbles": True})
    assert editor.zoom() == "100"


@pytest.mark.parametrize("held", [["altKey"], ["altKey", "ctrlKey"]])
def test_brackets_that_take_another_key(desktop: Page, photo: bytes, held: list[str]) -> None:
    """German and French keyboards write a bracket with Alt, or with AltGr, which is Ctrl and Alt."""
    editor = Editor(desktop).open("en").choose(photo)
    keys = dict.fromkeys(held, True)
    editor.stage.dispatch_event("keydown", {"key": "]", "code": "Digit6", "bubbles": True, **keys})
    assert editor.turned() == "1°"


# -- its frame and its words -------------------------------------------------


def overlay_query(request: Request) -> dict[str, list[str]]:
    """Return what a page asked of a frame's picture."""
    return parse_qs(urlsplit(request.url).query)


def test_a_frame_is_chosen_from_its_picture(desktop: Page, photo: bytes) -> None:
    """Each frame's picture shows the supporter's own photo; the chosen one goes on the stage."""
    editor = Editor(desktop).open("en").choose(photo)
    thumbs = desktop.locator(".frame-list canvas")
    expect(thumbs).to_have_count(3)
    for thumb in thumbs.all():
        expect(thumb).to_be_visible()
    before = editor.preview_pixels()
    with desktop.expect_response("**/ribbon-loop/overlay.webp?*"):
        desktop.get_by_role("radio", name="The Ribbon").check()
    desktop.wait_for_timeout(300)
    assert Difference.of(before, editor.preview_pixels()).mean > 10


def test_only_words_that_the_frame_takes(desktop: Page, photo: bytes) -> None:
    """A frame with words of its own hides the field and sends nothing of it; another one brings both back."""
    editor = Editor(desktop).open("en").choose(photo)
    words = desktop.locator("#slogan")
    with desktop.expect_request(lambda request: "slogan=" in request.url):
        words.fill("Free them all")
    expect(desktop.locator("#slogan-count")).to_have_text("13 of 60")
    with desktop.expect_request("**/january-31/overlay.webp?*") as asked:
        desktop.get_by_role("radio", name="31 January").check()
    assert "slogan" not in overlay_query(asked.value)
    expect(words).to_be_hidden()
    with desktop.expect_request("**/ribbon-loop/overlay.webp?*") as asked:
        desktop.get_by_role("radio", name="The Ribbon").check()
    assert overlay_query(asked.value)["slogan"] == ["Free them all"]
    assert editor.stage.is_visible()


def test_the_slogans_language(phone: Page, photo: bytes) -> None:
    """It is the page's at first; each is named in itself, and choosing one draws it."""
    editor = Editor(phone).open("ar").choose(photo)
    expect(phone.locator("#lang")).to_have_value("ar")
    assert "Türkçe" in phone.locator("#lang option").all_inner_texts()
    before = editor.preview_pixels()
    with phone.expect_response(lambda answer: "lang=tr" in answer.url):
        phone.locator("#lang").select_option("tr")
    phone.wait_for_timeout(300)
    assert Difference.of(before, editor.preview_pixels()).mean > 1


@pytest.mark.parametrize(
    ("words", "says"),
    [("W" * 60, "do not fit"), ("Free 自由", "cannot draw"), ("ok\u0007", "cannot be drawn")],
)
def test_words_that_cannot_be_drawn(
    desktop: Page, complaints: Complaints, photo: bytes, words: str, says: str
) -> None:
    """What is wrong with the words stands at their field, in the reader's language, until it is mended."""
    complaints.expect("422")
    Editor(desktop).open("en").choose(photo)
    field, problem = desktop.locator("#slogan"), desktop.locator("#slogan-problem")
    field.fill(words)
    expect(problem).to_contain_text(says)
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("Free them")
    expect(problem).to_be_hidden()
    expect(field).to_have_attribute("aria-invalid", "false")


def test_words_are_not_longer_than_allowed(desktop: Page) -> None:
    """The field takes 60 characters, and counts them in the reader's digits."""
    Editor(desktop).open("ar")
    desktop.locator("#slogan").press_sequentially("a" * 61)
    expect(desktop.locator("#slogan")).to_have_value("a" * 60)
    expect(desktop.locator("#slogan-count")).to_contain_text("٦٠")


@pytest.fixture
def pictures_kept(desktop: Page) -> Callable[[], int]:
    """Count the addresses of files that a page still holds in memory."""
    desktop.add_init_script("""
        window.held = new Set();
        const {createObjectURL: create, revokeObjectURL: revoke} = URL;
        URL.createObjectURL = (file) => {
            const address = create.call(URL, file);
            window.held.add(address);
            return address;
        };
        URL.revokeObjectURL = (address) => {
            window.held.delete(address);
            revoke.call(URL, address);
        };
    """)

    def count() -> int:
        number: int = desktop.evaluate("window.held.size")
        return number

    return count


def test_frames_that_were_shown_are_let_go(
    desktop: Page, photo: bytes, pictures_kept: Callable[[], int]
) -> None:
    """However many frames are tried, only the photo stays in memory; a broken one is let go of as well."""
    editor = Editor(desktop).open("en").choose(photo)
    for name in ("The Ribbon", "31 January"):
        with desktop.expect_response("**/overlay.webp?*"):
            desktop.get_by_role("radio", name=name).check()
        editor.settle()
    editor.wait_until("window.held.size === 1")
    desktop.route(
        "**/ribbon-loop/overlay.webp?*",
        lambda route: route.fulfill(body=b"no picture", content_type="image/webp"),
    )
    desktop.locator("#lang").select_option("tr")
    desktop.get_by_role("radio", name="The Ribbon").check()
    expect(desktop.locator("#frame-problem")).to_contain_text("could not be shown")
    assert pictures_kept() == 1


def test_a_late_frame_is_announced_and_comes(desktop: Page, complaints: Complaints, photo: bytes) -> None:
    """While the server is busy the field says that the frame is late; it comes by itself."""
    complaints.expect("503")
    Editor(desktop).open("en").choose(photo)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, headers={"Retry-After": "2"}, json={"code": "busy"})
        else:
            route.continue_()

    desktop.route("**/ribbon-loop/overlay.webp?*", answer)
    desktop.get_by_role("radio", name="The Ribbon").check()
    expect(desktop.locator("#frame-problem")).to_contain_text("The frame follows")
    expect(desktop.locator("#frame-problem")).to_be_hidden()
    assert len(asked) == 2


def test_a_late_frame_that_is_not_wanted_any_more_is_not_waited_for(
    desktop: Page, complaints: Complaints, photo: bytes
) -> None:
    """Whoever chooses another frame in the meantime gets that one, and nobody asks for the first again."""
    complaints.expect("503")
    Editor(desktop).open("en").choose(photo)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "1"}, json={"code": "busy"})

    desktop.route("**/ribbon-loop/overlay.webp?*", refuse)
    desktop.get_by_role("radio", name="The Ribbon").check()
    expect(desktop.locator("#frame-problem")).to_contain_text("The frame follows")
    desktop.get_by_role("radio", name="31 January").check()
    expect(desktop.locator("#frame-problem")).to_be_hidden()
    desktop.wait_for_timeout(1300)
    assert len(asked) == 1


# -- by keyboard, from the top to the result -----------------------------------


@pytest.mark.parametrize("language_code", ["ar", "en"])
def test_everything_by_keyboard(open_page: OpenPage, photo: bytes, language_code: str) -> None:
    """Tab goes through the page in its order, whichever way it runs, and Enter makes the picture."""
    page = open_page("desktop", language_code)
    # Playwright takes the choice of files over when somebody listens, and not at once: a key may be faster.
    page.on("filechooser", lambda _: None)
    editor = Editor(page).open(language_code)
    reached: list[str] = []

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "document.activeElement.id || document.activeElement.className || "
                    "JSON.stringify({...document.activeElement.dataset})"
                )
            )
            if reached[-1] == name:
                return
        pytest.fail(f"Tab never came to {name}: {reached}")

    tab_to("photo")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo})
    expect(editor.stage).to_be_focused()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    tab_to("zoom")
    zoom = editor.zoom()
    page.keyboard.press("ArrowUp")
    assert int(editor.zoom()) > int(zoom)
    tab_to("turn")
    tab_to("tool")
    page.keyboard.press("Space")
    tab_to("another")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[value='ribbon-loop']")).to_be_checked()
    tab_to("lang")
    tab_to("slogan")
    tab_to("make")
    page.keyboard.press("Enter")
    page.wait_for_url("**/made/*")


# -- as it looks, and as it is heard -------------------------------------------


@pytest.mark.parametrize("screen", ["phone", pytest.param("small", marks=pytest.mark.soak), "desktop"])
def test_states_of_the_editor(  # noqa: PLR0917 - fixtures
    open_page: OpenPage,
    screenshot: Callable[..., None],
    axe: Callable[[Page], None],
    photo: bytes,
    direction_language: str,
    screen: str,
) -> None:
    """Nothing is wider than the screen and axe finds nothing: empty, with a photo, and with a refused one."""
    page = open_page(screen, direction_language)
    editor = Editor(page).open(direction_language)
    page.wait_for_load_state("networkidle")
    screenshot(page, f"editor-empty-{screen}", full_page=True)
    axe(page)
    editor.choose(photo)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)  # the pictures of the frames follow when the photo has come to rest
    screenshot(page, f"editor-photo-{screen}", full_page=True)
    axe(page)
    editor.give(b"no photo")
    expect(editor.reading).to_be_focused()
    screenshot(page, f"editor-refused-{screen}")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("language", SAMPLED_LANGUAGES)
def test_axe_finds_nothing_in_any_language(
    open_page: OpenPage, axe: Callable[[Page], None], photo: bytes, language: str
) -> None:
    """The editor with a photo in has no fault that axe knows of."""
    page = open_page("phone", language)
    Editor(page).open(language).choose(photo)
    axe(page)
