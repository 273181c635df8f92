"""A photo opens in the editor with the head in the frame's opening, where a face is found in time."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING

import httpx2
import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import expect

from app.render.faces import find_faces
from app.web.pages.assets import STATIC_FOLDER, Assets
from tests.browser.editing import Difference, Editor, jpeg, scene
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    from tests.browser.conftest import Complaints, OpenPage
    from tests.servers import Serve, Server

ASSETS = Assets(STATIC_FOLDER)

# What a photo costs more for the sake of faces, over the wire: the network and its weights.
NETWORK_BYTES = 54_000

FACES = re.compile(r"/faces\.\w+\.js$|\.int8$")


@cache
def portrait(side: int) -> Image.Image:
    """Return the picture of a person, with one face."""
    image = Image.open(ROOT / "frames" / "portrait.png").convert("RGB")
    return image.resize((side, side), Image.Resampling.LANCZOS)


@cache
def tall() -> Image.Image:
    """Return a tall photo with a face below its middle, where nobody looks for one who has not found it."""
    image = Image.linear_gradient("L").convert("RGB").resize((900, 1600))
    image.paste(portrait(400), (480, 1000))
    return image


def is_in_opening(editor: Editor) -> bool:
    """Whether the one face that is seen on the stage lies in the opening of the chosen frame."""
    stage = Image.fromarray(editor.photo_pixels().astype(np.uint8)).resize((320, 320))
    faces = find_faces(stage)
    if not faces:
        return False
    x, y, width, height = (length / 320 for length in faces[0][:4])
    opening = editor.page.locator("input[name=frame]:checked").get_attribute("data-opening") or ""
    u, v, r = map(float, opening.split())
    angles = np.linspace(0, 2 * np.pi, 24)
    across = x + width / 2 * (1 + np.cos(angles)) - u
    down = y + height / 2 * (1 + np.sin(angles)) - v
    return bool((np.hypot(across, down) < r * 1.06).all())


def wait_for_no_worker(page: Page) -> None:
    """Wait until no search goes on: one that never ends would take the phone's battery."""
    for _ in range(50):
        if not page.workers:
            return
        page.wait_for_timeout(100)
    pytest.fail("a worker goes on")


# -- the same faces as the server's ----------------------------------------------


def pictures() -> dict[str, Image.Image]:
    """Return pictures with a face, with several, with a part of one, and with none, at any size."""
    noise = np.random.default_rng(5).integers(0, 256, (170, 256, 3), dtype=np.uint8)
    two, group = Image.new("RGB", (256, 140), "grey"), Image.new("RGB", (256, 256), "navy")
    for left in (0, 130):
        two.paste(portrait(126), (left, 7))
    for n in range(9):
        group.paste(portrait(84), (n % 3 * 86, n // 3 * 86))
    edge = Image.new("RGB", (200, 256), "white")
    edge.paste(portrait(256), (-95, 20))
    sizes = {f"{side} px": portrait(side) for side in (16, 31, 64, 97, 256)}
    return {
        **sizes,
        "mirrored": ImageOps.mirror(portrait(256)),
        "upside down": portrait(256).rotate(180),
        "wide": portrait(256).resize((256, 97)),
        "two": two,
        "a group": group,
        "at the edge": edge,
        "a pixel": portrait(1),
        "flat": Image.new("RGB", (256, 192), (250, 250, 250)),
        "noise": Image.fromarray(noise),
        "a scene": scene((256, 192)),
    }


def test_the_faces_are_the_servers(desktop: Page) -> None:
    """From the same pixels the worker finds what app/render/faces.py does, to the last bit."""
    desktop.goto("/en")
    given = pictures()
    found = desktop.evaluate(
        """async ([script, weights, pictures]) => {
            const content = await (await fetch(weights)).arrayBuffer();
            const worker = new Worker(script);
            const all = [];
            for (const [width, height, pixels] of pictures) {
                const data = Uint8ClampedArray.from(atob(pixels), (letter) => letter.charCodeAt(0));
                worker.postMessage({weights: content, picture: new ImageData(data, width, height)});
                all.push(await new Promise((resolve) => { worker.onmessage = ({data}) => resolve(data); }));
            }
            worker.terminate();
            return all;
        }""",
        [
            ASSETS.address("faces.js"),
            ASSETS.address("yunet.int8"),
            [(*image.size, b64encode(image.convert("RGBA").tobytes()).decode()) for image in given.values()],
        ],
    )
    counts = {}
    for (name, image), faces in zip(given.items(), found, strict=True):
        expected = [face._asdict() for face in find_faces(image)]
        assert faces == expected, name
        counts[name] = len(faces)
    assert counts["256 px"] == counts["mirrored"] == 1
    assert counts["two"] == 2
    assert counts["a group"] > 5
    assert counts["flat"] == counts["noise"] == 0


# -- a photo opens ----------------------------------------------------------------


@pytest.mark.parametrize("screen", ["phone", "desktop"])
def test_a_photo_opens_with_the_head_in_the_opening(
    open_page: OpenPage, screenshot: Callable[..., None], direction_language: str, screen: str
) -> None:
    """Wherever the face is in the photo, it is seen whole in the frame, in each of them."""
    page = open_page(screen, direction_language)
    editor = Editor(page).open(direction_language).choose(jpeg(tall()))
    expect(editor.stage).to_have_attribute("data-framing", "faces")
    assert is_in_opening(editor)
    page.wait_for_timeout(400)  # the pictures of the frames follow when the photo has come to rest
    screenshot(page, f"editor-faces-{screen}")
    for frame in page.locator("input[name=frame]").all():
        frame.check(force=True)
        editor.settle()
        assert is_in_opening(editor)


def test_each_frame_is_shown_as_it_would_be(desktop: Page) -> None:
    """Until the photo is moved, each frame's picture shows it as it is laid there; then, as it was moved."""
    editor = Editor(desktop).open("en").choose(jpeg(tall()))
    thumbs = desktop.locator(".frame-list canvas")
    desktop.wait_for_timeout(400)
    read = "all => all.map(canvas => canvas.toDataURL())"
    assert len(set(thumbs.evaluate_all(read))) == 3
    desktop.keyboard.press("ArrowLeft")
    editor.settle()
    desktop.wait_for_timeout(400)
    assert len(set(thumbs.evaluate_all(read))) == 1


def test_nothing_is_fetched_before_a_photo_is_chosen(desktop: Page, server: Server) -> None:
    """Who only looks at the page pays nothing for it; who chooses a photo, at most so much, and once."""
    asked: list[str] = []
    desktop.on("request", lambda request: asked.append(request.url))
    editor = Editor(desktop).open("en")
    desktop.wait_for_load_state("networkidle")
    lazy = ("choosing", "edge", "finding", "faces", "yunet")
    assert not [url for url in asked if any(f"/static/{name}." in url for name in lazy)]
    editor.choose(jpeg(tall()))
    for name in lazy:
        assert len([url for url in asked if f"/static/{name}." in url]) == 1, name
    packed = 0
    for name in ("faces.js", "yunet.int8"):
        with httpx2.stream(
            "GET", server.url + ASSETS.address(name), headers={"Accept-Encoding": "br"}
        ) as answer:
            packed += len(b"".join(answer.iter_raw()))
            assert answer.headers["content-encoding"] == "br"
    assert packed <= NETWORK_BYTES
    licence = httpx2.get(server.url + ASSETS.address("yunet.txt")).text
    assert "Redistribution" in licence
    assert (
        ASSETS.address("yunet.txt").removeprefix("/static/")
        in httpx2.get(server.url + ASSETS.address("faces.js")).text
    )


# -- where no face is found in time -----------------------------------------------

NO_WORKER = "delete window.Worker;"
NO_PERMISSION = "window.Worker = class { constructor() { throw new DOMException('no', 'SecurityError'); } };"


@pytest.mark.parametrize("script", [NO_WORKER, NO_PERMISSION])
def test_a_browser_without_workers(desktop: Page, script: str) -> None:
    """It looks for no face, and the photo is laid as a tall one is."""
    desktop.add_init_script(script)
    editor = Editor(desktop).open("en").choose(jpeg(tall()))
    expect(editor.stage).to_have_attribute("data-framing", "head")
    assert not is_in_opening(editor)


@pytest.mark.parametrize(
    ("address", "status", "body", "complaint"),
    [
        ("**/yunet.*.int8", 404, b"", "404"),
        ("**/yunet.*.int8", 200, b"", None),
        ("**/yunet.*.int8", 200, b"<html>Please log in</html>" * 20, None),
        ("**/faces.*.js", 404, b"", None),
        ("**/faces.*.js", 200, b"<html>", None),
        ("**/faces.*.js", 200, b"onmessage = () => { throw new Error('broken'); };", None),
        ("**/faces.*.js", 200, b"onmessage = () => { for (;;); };", None),
        ("**/faces.*.js", 200, b"", None),
        ("**/finding.*.js", 404, b"", "404"),
    ],
)
def test_what_fails_costs_no_more_than_the_face(  # noqa: PLR0917 - cases
    desktop: Page, complaints: Complaints, address: str, status: int, body: bytes, complaint: str | None
) -> None:
    """Without weights, with broken ones, without the worker, with one that fails or never ends: no face."""
    if complaint:
        complaints.expect(complaint)
    desktop.route(
        address, lambda route: route.fulfill(status=status, body=body, content_type="text/javascript")
    )
    editor = Editor(desktop).open("en").choose(jpeg(tall()))
    kind = "centre" if "finding" in address else "head"
    expect(editor.stage).to_have_attribute("data-framing", kind)
    wait_for_no_worker(desktop)
    desktop.keyboard.press("-")
    assert int(editor.zoom()) < 100 if kind == "head" else editor.zoom() == "100"
    assert len(editor.make_picture()) > 10_000


def test_a_slow_phone_is_not_waited_for(desktop: Page) -> None:
    """What takes longer than a second and a half is ended; the photo has been there since long before."""
    desktop.route("**/faces.*.js", lambda route: route.fulfill(body="onmessage = () => { for (;;); };"))
    desktop.add_init_script("""
        const { postMessage, terminate } = Worker.prototype;
        Worker.prototype.postMessage = function (...given) {
            window.asked = performance.now();
            postMessage.apply(this, given);
        };
        Worker.prototype.terminate = function () {
            window.ended ??= performance.now();
            terminate.apply(this);
        };
    """)
    editor = Editor(desktop).open("en")
    editor.give(jpeg(tall()))
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    assert editor.stage.get_attribute("data-framing") is None
    expect(editor.stage).to_have_attribute("data-framing", "head")
    took = desktop.evaluate("window.ended - window.asked")
    assert 1_450 < took < 2_500


def test_who_forbids_it_is_obeyed(serve: Serve, open_page: OpenPage, complaints: Complaints) -> None:
    """An operator's page loads no network, and lays a tall photo as a tall one is."""
    with serve(faces=False) as server:
        complaints.origin = server.url
        page = open_page("desktop", "en")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        editor = Editor(page).open("en", server.url).choose(jpeg(tall()))
        expect(editor.stage).to_have_attribute("data-framing", "head")
        assert not [url for url in asked if FACES.search(url) or "finding" in url]


# -- whose hand it is -------------------------------------------------------------


def hold_back(page: Page) -> Callable[[], None]:
    """Hold the weights back; return what lets them go."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/yunet.*.int8", hold, times=1)

    def let_go() -> None:
        held.pop().continue_()

    return let_go


def test_faces_that_are_found_late_lay_the_photo_anew(desktop: Page) -> None:
    """The photo is shown without them after a moment, and laid by them once when they are there."""
    let_go = hold_back(desktop)
    editor = Editor(desktop).open("en")
    editor.give(jpeg(tall()))
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    editor.settle()
    assert not is_in_opening(editor)
    let_go()
    editor.wait_until_laid()
    editor.settle()
    assert is_in_opening(editor)


@pytest.mark.parametrize("hand", ["key", "finger"])
def test_nothing_is_pulled_from_under_a_hand(desktop: Page, hand: str) -> None:
    """Who has begun to move the photo, or has a finger on it, keeps it when the faces come late."""
    let_go = hold_back(desktop)
    editor = Editor(desktop).open("en")
    editor.give(jpeg(tall()))
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    if hand == "key":
        desktop.keyboard.press("ArrowDown")
    else:
        editor.stage.hover()
        desktop.mouse.down()
    editor.settle()
    before = editor.photo_pixels()
    let_go()
    editor.wait_until_laid()
    editor.settle()
    assert Difference.of(before, editor.photo_pixels()).mean == 0
    desktop.mouse.up()
    # What starts over starts with the face.
    desktop.get_by_role("button", name="Start over").click()
    editor.settle()
    assert is_in_opening(editor)


def test_another_photo_ends_the_search_in_the_first(desktop: Page) -> None:
    """Faces of a photo that was replaced lay nothing."""
    let_go = hold_back(desktop)
    editor = Editor(desktop).open("en")
    editor.give(jpeg(tall()))
    expect(desktop.locator("#editor")).to_have_class(re.compile("has-photo"))
    editor.give(jpeg(scene((900, 700))))
    expect(editor.stage).to_have_attribute("data-framing", "centre")
    editor.settle()
    before = editor.photo_pixels()
    let_go()
    desktop.wait_for_timeout(600)
    assert Difference.of(before, editor.photo_pixels()).mean == 0
    wait_for_no_worker(desktop)


@pytest.mark.parametrize("reset", ["Home", "0", "button"])
def test_starting_over_is_as_the_photo_opened(desktop: Page, reset: str) -> None:
    """The keys and the button lay it by the face again, and then it follows the frames."""
    editor = Editor(desktop).open("en").choose(jpeg(tall()))
    before = editor.photo_pixels()
    for key in ("+", "]", "Shift+ArrowRight"):
        desktop.keyboard.press(key)
    editor.settle()
    assert Difference.of(before, editor.photo_pixels()).mean > 5
    if reset == "button":
        desktop.get_by_role("button", name="Start over").click()
    else:
        desktop.keyboard.press(reset)
    editor.settle()
    assert Difference.of(before, editor.photo_pixels()).mean < 1
    desktop.get_by_role("radio", name="31 January").check()
    editor.settle()
    assert is_in_opening(editor)


def test_who_has_moved_the_photo_keeps_it_in_any_frame(desktop: Page) -> None:
    """Only a photo that lies where it was laid is laid anew when another frame is chosen."""
    editor = Editor(desktop).open("en").choose(jpeg(tall()))
    as_laid = editor.photo_pixels()
    desktop.get_by_role("radio", name="31 January").check()
    editor.settle()
    as_laid_there = editor.photo_pixels()
    assert Difference.of(as_laid, as_laid_there).mean > 2
    desktop.get_by_role("button", name="Move left").click()
    editor.settle()
    moved = editor.photo_pixels()
    desktop.get_by_role("radio", name="The Ribbon").check()
    editor.settle()
    assert Difference.of(moved, editor.photo_pixels()).mean == 0
    desktop.get_by_role("radio", name="31 January").check()
    desktop.get_by_role("button", name="Start over").click()
    editor.settle()
    assert Difference.of(as_laid_there, editor.photo_pixels()).mean < 1


# -- a square larger than the photo -----------------------------------------------


@pytest.mark.parametrize(("language_code", "said"), [("ar", "٥٠٪"), ("en", "50%")])
def test_the_zoom_goes_below_the_photo(open_page: OpenPage, language_code: str, said: str) -> None:
    """By the keys and by the slider, down to half of it, in the reader's digits."""
    page = open_page("desktop", language_code)
    editor = Editor(page).open(language_code).choose(jpeg(scene((900, 700))))
    for _ in range(12):
        page.keyboard.press("-")
    shown = page.locator("#zoom-value")
    assert said in (shown.inner_text().replace("\u061c", ""))
    assert editor.zoom() == "50"
    expect(page.locator("#zoom")).to_have_value("-1")
    page.locator("#zoom").fill("-0.5")
    assert editor.zoom() == "71"
    page.keyboard.press("Home")
