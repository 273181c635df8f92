"""A partner hands over photos in a browser, looks through what was made of them, and takes it home."""

from __future__ import annotations

import io
import json
import re
import shutil
import unicodedata
import zipfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from app.errors import KeyNotKnown, PhotoDamaged, PhotoTooSmall
from app.render.decode import decode, identify
from app.render.limits import Limits
from tests import photos
from tests.browser.partnering import PartnerPage, listen_to_sending, watch_tasks
from tests.browser.test_site import SCROLLS_SIDEWAYS
from tests.conftest import ROOT
from tests.partners import PartnerProgram, new_partner_key
from tests.photos import CANARY, QUADRANTS_HEIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Dialog, Page, Route

    from tests.browser.conftest import Complaints, OpenPage
    from tests.servers import Server

LONGEST_TASK = 200
"""Milliseconds: what takes longer is felt."""

ARABIC = "صورة هدى.jpg"


@pytest.fixture
def key(server_data: Path) -> str:
    """A new partner's key."""
    return new_partner_key(server_data)


@pytest.fixture
def program(server: Server, key: str) -> Iterator[PartnerProgram]:
    """The partner's program, which brings about what a test needs to begin with."""
    with PartnerProgram(server.url, key) as program:
        yield program


@pytest.fixture
def partner(open_page: OpenPage, key: str) -> Callable[..., PartnerPage]:
    """Open the page as a device, in a language."""

    def start(device: str = "desktop", language: str = "en") -> PartnerPage:
        page = open_page(device, language)
        listen_to_sending(page)
        return PartnerPage(page, key).open(language)

    return start


def face(side: int = 400) -> bytes:
    """Return a photo of one person."""
    image = Image.open(ROOT / "frames" / "portrait.png").convert("RGB")
    return photos.save(image.resize((side, side)), "JPEG", quality=90)


def drawn(photo: bytes) -> bytes:
    """Return what is seen of a photo that browsers cannot read."""
    return decode(identify(photo, Limits()), 1, Limits()).image.tobytes()


def faceless(size: tuple[int, int] = (320, 240), orientation: int = 1, **options: object) -> bytes:
    """Return a photo of nobody that knows where it was taken."""
    image = photos.stored(photos.quadrants(size), orientation)
    return photos.save(image, "JPEG", exif=photos.exif(orientation, CANARY), **options)


def put(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files to a folder below one, and return it."""
    for name, content in files.items():
        path = folder / "members" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "members"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as partners have them: photos of many kinds, some of no use, and what systems leave."""
    image = photos.quadrants((500, 400))
    return put(
        tmp_path,
        {
            "staff/face.jpg": face(),
            "staff/large.jpg": photos.save(
                photos.stored(photos.detailed((1800, 2400)), 6),
                "JPEG",
                exif=photos.exif(6, CANARY),
                quality=92,
            ),
            "staff/phone.heic": photos.heic(exif=photos.exif(1, CANARY), xmp=CANARY),
            ARABIC: faceless(),
            "turned.jpg": photos.save(
                photos.detailed((640, 480)), "JPEG", exif=photos.exif(3, CANARY), quality=30
            ),
            "picture.png": photos.save(image, "PNG", exif=photos.exif(1, CANARY)),
            "picture.webp": photos.save(image, "WEBP", exif=photos.exif(1, CANARY)),
            "same.jpg": face(300),
            "broken.jpg": b"\xff\xd8\xff\xe0 not a photo",
            "tiny.png": photos.save(photos.quadrants((8, 8)), "PNG"),
            "empty.jpg": b"",
            "Thumbs.db": b"of a system",
            ".hidden.jpg": b"of a system",
            "notes.txt": b"no photo",
            "more.zip": b"PK",
            "people.csv": f"photo,slogan,id\nsame.jpg,Freedom,17\n{ARABIC},,18\n".encode("utf-8-sig"),
        },
    )


PHOTOS_IN_FOLDER = 11


# -- the whole way -----------------------------------------------------------


@pytest.mark.parametrize(("screen", "language"), [("desktop", "en"), ("phone", "ar"), ("phone", "en")])
def test_a_folder_becomes_a_zip(  # noqa: PLR0917 - fixtures
    partner: Callable[..., PartnerPage],
    axe: Callable[[Page], None],
    complaints: Complaints,
    screenshot: Callable[..., None],
    folder: Path,
    screen: str,
    language: str,
) -> None:
    """From a folder to a ZIP: what was sent knows nothing, what was not made says why, axe finds nothing."""
    complaints.expect("status of 409")  # photos are missing: those that could not be sent
    it = partner(screen, language)
    axe(it.page)
    screenshot(it.page, "partners-key", full_page=True)
    it.enter()
    it.page.locator("#folder").set_input_files(folder)
    expect(it.page.locator("#left-out details")).to_have_count(3)
    axe(it.page)
    screenshot(it.page, "partners-order", full_page=True)
    it.choose_small(256).start()
    axe(it.page)
    it.until_done()
    expect(it.page.locator("#doubtful img[src^=blob]").first).to_be_visible()
    it.page.evaluate("scrollTo(0, 0)")
    axe(it.page)
    screenshot(it.page, "partners-done", full_page=True)

    told = it.photos()
    assert told["staff/face.jpg"]["framing"]["kind"] == "faces"
    assert told["staff/phone.heic"]["state"] == told["same.jpg"]["state"] == "done"
    assert it.reasons() == {
        "broken.jpg": PhotoDamaged().text(language),
        "tiny.png": PhotoTooSmall(width=8, height=8, minimum=Limits().min_side).text(language),
        "empty.jpg": it.reasons()["empty.jpg"],
    }
    assert {"broken.jpg", "tiny.png"} == {name for name, photo in told.items() if photo["state"] == "failed"}

    sent = it.sent()
    assert sorted(sent) == sorted(told)
    for name, content in sent.items():
        assert CANARY not in content, name
    with it.page.expect_download() as download:
        it.page.locator("#get-zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == sorted(
            filter(None, (photo["avatar"] for photo in told.values()))
        )
        with Image.open(io.BytesIO(archive.read("staff/face.jpg"))) as avatar:
            assert avatar.size == (256, 256)
    with it.page.expect_download() as download:
        it.page.locator("#get-report").click()
    report = download.value.path().read_text("utf-8-sig")
    assert "same.jpg,Freedom,17" in report
    assert re.search(f"^{ARABIC},.*,18,", report, re.MULTILINE)
    expect(it.page.locator("#batch-step")).to_be_visible()  # nobody was led away


def test_photos_are_made_small_upright_and_without_words(
    partner: Callable[..., PartnerPage], complaints: Complaints, folder: Path
) -> None:
    """A large photo is sent in few pixels, turned; a small JPEG keeps its own, and only how it is turned."""
    complaints.expect("status of 409")
    it = partner().enter()
    it.page.locator("#folder").set_input_files(folder)
    it.start().until_done(90)
    sent = it.sent()
    with Image.open(io.BytesIO(sent["staff/large.jpg"])) as large:
        assert large.size == (1215, 1620)
        assert large.getexif() == {}
    with Image.open(io.BytesIO(sent["turned.jpg"])) as turned:
        assert turned.getexif() == {0x0112: 3}
        original = Image.open(folder / "turned.jpg")
        assert turned.tobytes() == original.tobytes()
    for name in ("picture.png", "picture.webp"):
        assert Image.open(io.BytesIO(sent[name])).format == "JPEG"
    phones = (folder / "staff/phone.heic").read_bytes()
    assert len(sent["staff/phone.heic"]) == len(phones)
    assert drawn(sent["staff/phone.heic"]) == drawn(phones)
    assert sent["broken.jpg"] == (folder / "broken.jpg").read_bytes()


def test_a_canvas_that_lies_is_not_used(open_page: OpenPage, key: str, tmp_path: Path) -> None:
    """Where a browser hands out noise for what was drawn, photos keep their pixels, and the page says so."""
    page = open_page("desktop", "en")

    def lie(route: Route) -> None:
        answer = route.fetch()
        noise = """{
          const { prototype } = OffscreenCanvasRenderingContext2D;
          const { getImageData } = prototype;
          prototype.getImageData = function (...args) {
            const image = getImageData.apply(this, args);
            image.data.forEach((_, n) => { image.data[n] = (n * 89) % 251; });
            return image;
          };
        }\n"""
        route.fulfill(response=answer, body=noise + answer.text())

    page.route(re.compile(r"/partners-shrink\.\w+\.js$"), lie)
    listen_to_sending(page)
    it = PartnerPage(page, key).open().enter()
    large = photos.save(photos.detailed((2000, 1500)), "JPEG")
    picture = photos.save(photos.quadrants((400, 300)), "PNG")
    it.choose_folder(put(tmp_path, {"large.jpg": large, "picture.png": picture}), 2)
    held: list[Route] = []
    page.route("**/photos/*.jpg", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    it.choose_small().start()
    expect(page.locator("#progress-note")).to_contain_text("hides what it draws")
    held[0].continue_()
    it.until_done()
    sent = it.sent()
    assert sent["picture.png"] == picture
    assert Image.open(io.BytesIO(sent["large.jpg"])).tobytes() == Image.open(io.BytesIO(large)).tobytes()


# -- the key -------------------------------------------------------------------


def test_the_key_is_nowhere_but_in_memory(
    partner: Callable[..., PartnerPage], complaints: Complaints, key: str
) -> None:
    """Once taken it is in no field, address, cookie or store; and it can be forgotten."""
    complaints.expect("status of 401")  # to who asks with another
    it = partner()
    assert it.page.locator("#key").evaluate("field => getComputedStyle(field).webkitTextSecurity") == "disc"
    it.page.locator("#show-key").click()
    assert it.page.locator("#key").evaluate("field => getComputedStyle(field).webkitTextSecurity") == "none"
    it.enter()
    values: list[str] = it.page.evaluate(
        """() => [
        document.documentElement.outerHTML, location.href, document.cookie, JSON.stringify(history.state),
        JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }),
        ...[...document.querySelectorAll("input")].map(({ value }) => value)]"""
    )
    assert not [value for value in values if key in value]
    it.page.locator("#forget-key").click()
    expect(it.page.locator("#key")).to_be_visible()
    asked: list[str] = []
    it.page.on("request", lambda request: asked.append(request.headers.get("authorization", "")))
    it.page.locator("#key").fill("anything")
    it.page.locator("#key-form [type=submit]").click()
    expect(it.page.locator("#key-problem")).to_be_visible()
    assert key not in "".join(asked)


@pytest.mark.parametrize("typed", ["rrk_no", "مفتاح", "rrk_" + "0" * 38])
def test_a_wrong_key_is_told(partner: Callable[..., PartnerPage], complaints: Complaints, typed: str) -> None:
    """What is no key says so in the reader's language, whatever letters it has; nothing else happens."""
    complaints.expect("status of 401")
    it = partner("phone", "ar")
    it.page.locator("#key").fill(typed)
    it.page.locator("#key-form [type=submit]").click()
    expect(it.page.locator("#key-problem")).to_have_text(KeyNotKnown().text("ar"))
    expect(it.page.locator("#order-step")).to_be_hidden()


# -- lines that break ------------------------------------------------------------


def test_a_broken_line_loses_nothing(partner: Callable[..., PartnerPage], complaints: Complaints) -> None:
    """A line that breaks while photos are sent is told; when it is back the page goes on by itself."""
    complaints.expect("ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED")
    it = partner().enter().choose_small(64).drop_many(60).start()
    expect(it.page.locator("#progress-said")).to_contain_text(re.compile(r"Sending: [1-9]\d* of 60"))
    it.page.context.set_offline(True)
    expect(it.trouble).to_contain_text("Nothing is lost")
    expect(it.page.locator("#go-on")).to_be_visible()
    it.page.context.set_offline(False)
    it.until_done(90)
    expect(it.trouble).to_be_hidden()
    told = it.photos()
    assert len(told) == 60
    assert {photo["state"] for photo in told.values()} == {"done"}


def test_a_server_that_is_busy_is_asked_again(
    partner: Callable[..., PartnerPage], complaints: Complaints
) -> None:
    """Where the server cannot take a photo now, the page waits as long as it says, or until a press."""
    complaints.expect("status of 503")
    it = partner().enter().choose_small(64).drop_many(8)
    refusals = iter(range(3))

    def refuse(route: Route) -> None:
        if next(refusals, None) is None:
            route.continue_()
        else:
            route.fulfill(
                status=503,
                headers={"Retry-After": "30"},
                content_type="application/problem+json",
                body='{"code": "busy", "detail": "Many are here."}',
            )

    it.page.route("**/photos/photo-*", refuse)
    it.start()
    expect(it.trouble).to_contain_text("Many are here. We go on by ourselves in a moment.")
    while it.page.locator("#go-on").is_visible():
        it.page.locator("#go-on").click()
        it.page.wait_for_timeout(200)
    it.until_done()
    assert len(it.photos()) == 8


def test_a_reload_in_the_middle_loses_nothing(
    partner: Callable[..., PartnerPage], axe: Callable[[Page], None], tmp_path: Path
) -> None:
    """After a reload the batch is still there: with its folder chosen again, what was not sent is."""
    files = {f"{n}.jpg": face(200 + n) for n in range(8)}
    chosen = put(tmp_path, files)
    it = partner().enter().choose_small().choose_folder(chosen, 8)
    sent = 0

    def stop_at_the_third(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent <= 3:
            route.continue_()  # of the others no answer ever comes

    it.page.route("**/photos/*.jpg", stop_at_the_third)
    it.start()
    expect(it.page.locator("#progress-said")).to_contain_text("Sending: 3 of 8")
    it.page.on("dialog", lambda dialog: dialog.accept())  # photos are still being sent
    it.open().enter()
    it.page.unroute_all(behavior="ignoreErrors")
    axe(it.page)
    it.page.locator("#batches button").click()
    expect(it.page.locator("#progress-said")).to_have_text("Sent: 3 of 8")
    axe(it.page)
    before = len(it.sent())
    it.page.locator("#rest-folder").set_input_files(chosen)
    it.until_done()
    assert len(it.sent()) - before == 5
    assert {photo["state"] for photo in it.photos().values()} == {"done"}


def test_a_key_that_is_revoked_ends_it(
    partner: Callable[..., PartnerPage], complaints: Complaints, tmp_path: Path
) -> None:
    """Where the key is no longer known, the page lets go of all that it had, and says why."""
    complaints.expect("status of 401")
    it = partner().enter().choose_small().choose_folder(put(tmp_path, {"a.jpg": face()}), 1)
    refusal = {"code": KeyNotKnown.code, "detail": "This key is over."}
    it.page.route("**/photos/a.jpg", lambda route: route.fulfill(status=401, json=refusal))
    it.page.locator("#start").click()
    expect(it.page.locator("#key-problem")).to_have_text("This key is over.")
    expect(it.page.locator("#batch-step")).to_be_hidden()


def test_a_proxy_that_holds_events_back_is_no_hindrance(
    partner: Callable[..., PartnerPage], tmp_path: Path
) -> None:
    """Where no event gets through, the page asks what there is, and shows it."""
    it = partner().enter().choose_small().choose_folder(put(tmp_path, {"a.jpg": face()}), 1)
    nothing = {"content_type": "text/event-stream", "body": ""}
    it.page.route("**/events", lambda route: route.fulfill(**nothing))
    it.start().until_done()
    expect(it.result("a.jpg")).to_be_visible()


# -- what was made ---------------------------------------------------------------


def test_a_doubtful_photo_is_moved(
    partner: Callable[..., PartnerPage],
    tmp_path: Path,
    screenshot: Callable[..., None],
    axe: Callable[[Page], None],
) -> None:
    """A photo without a face comes first; moved in its frame by keys and buttons it is drawn like that."""
    it = partner().enter().choose_small()
    it.choose_folder(put(tmp_path, {"nobody.jpg": faceless(), "face.jpg": face()}), 2).start().until_done()
    assert (it.count("doubtful"), it.count("others"), it.count("failures")) == (1, 1, 0)
    before = it.photos()["nobody.jpg"]["framing"]
    expect(it.page.locator("#doubtful img[src^=blob]")).to_be_visible()
    picture = it.page.locator("#doubtful img").get_attribute("src")
    it.open_result("nobody.jpg")
    axe(it.page)
    screenshot(it.page, "partners-framing")
    it.page.keyboard.press("+")
    it.page.keyboard.press("Shift+ArrowRight")
    it.page.locator("#framing [data-y='1']").click()
    it.page.locator("#reframe").click()
    expect(it.dialog).to_be_hidden()
    expect(it.page.locator("#doubtful img")).not_to_have_attribute("src", picture or "")
    expect(it.page.locator("#doubtful li")).to_have_class("is-placed")
    expect(it.result("nobody.jpg")).to_have_accessible_name("nobody.jpg (Placed by hand)")
    after = it.photos()["nobody.jpg"]["framing"]
    assert after["kind"] == "given"
    assert after["zoom"] == pytest.approx(before["zoom"] * 1.1, abs=0.002)
    assert after["x"] < before["x"]  # what moves to the right shows what is on the left


def test_long_names_can_be_told_apart(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """A long name is cut in its middle, and its end is seen; it is said whole."""
    name = "photograph-of-staff-2026-nr-000017.jpg"
    it = partner("phone").enter().choose_small()
    it.choose_folder(put(tmp_path, {name: face()}), 1).start().until_done()
    shown = it.result("000017.jpg")
    expect(shown).to_have_accessible_name(name)
    lines = """label => {
      const range = document.createRange();
      range.selectNodeContents(label);
      return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
    }"""
    assert shown.locator(".result-name").evaluate(lines) == 2


def test_photos_are_moved_one_after_the_other(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """Who does not wait for one photo to be drawn before the next is moved has both drawn."""
    it = partner().enter().choose_small()
    files = {f"{n}.jpg": faceless((300 + n, 200)) for n in range(3)}
    it.choose_folder(put(tmp_path, files), 3).start().until_done()
    for name in files:
        it.open_result(name)
        it.page.keyboard.press("+")
        it.page.locator("#reframe").click()
    expect(it.page.locator(".is-placed")).to_have_count(3)
    expect(it.page.locator(".is-drawn-anew")).to_have_count(0)
    assert {photo["framing"]["kind"] for photo in it.photos().values()} == {"given"}


def test_a_photo_that_is_not_at_hand_is_moved_by_buttons(
    partner: Callable[..., PartnerPage], program: PartnerProgram
) -> None:
    """In a batch of another day each press draws the photo anew, and the dialog shows what came of it."""
    batch = program.new_batch()
    program.send_photo(batch, "nobody.jpg", faceless())
    program.start(batch)
    it = partner("phone").enter()
    it.page.locator("#batches button").click()
    it.until_done().open_result("nobody.jpg", has_file=False)
    expect(it.page.locator("#framing-said")).to_contain_text("not at hand")
    expect(it.page.locator("#reframe")).to_be_hidden()
    before = it.photos()["nobody.jpg"]["framing"]
    with it.page.expect_response("**/avatars/nobody.jpg"):
        it.page.locator("#framing [data-times='1.1']").click()
    after = it.photos()["nobody.jpg"]["framing"]
    assert (after["kind"], after["zoom"]) == ("given", pytest.approx(before["zoom"] * 1.1, abs=0.002))


def test_a_heic_is_moved_too(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """A photo that this browser cannot open is opened by the server, to be moved."""
    it = partner().enter().choose_small()
    it.choose_folder(put(tmp_path, {"a.heic": QUADRANTS_HEIC.read_bytes()}), 1).start().until_done()
    it.open_result("a.heic")
    assert it.page.locator("#framing canvas").evaluate("canvas => canvas.width") > 0


def test_a_batch_is_erased(
    partner: Callable[..., PartnerPage], program: PartnerProgram, tmp_path: Path
) -> None:
    """Erasing asks first, and then nothing is left of it."""
    it = partner().enter().choose_small()
    it.choose_folder(put(tmp_path, {"face.jpg": face()}), 1).start().until_done()
    address = it.batch()
    it.page.locator("#erase").click()
    it.page.locator("#asking [value='']").click()
    assert program.get(address).status_code == 200
    it.page.locator("#erase").click()
    it.page.locator("#asking-yes").click()
    expect(it.page.locator("#order-step")).to_be_visible()
    assert program.get(address).status_code == 404
    expect(it.page.locator("#batches-step")).to_be_hidden()


# -- tables ----------------------------------------------------------------------


def test_a_table_with_faults_is_shown_before_anything_is_sent(
    partner: Callable[..., PartnerPage], axe: Callable[[Page], None], tmp_path: Path
) -> None:
    """What is wrong with a table is told by row; another is taken in its place, and photos follow."""
    wrong = f"photo,slogan\na.jpg,{'x' * 70}\n".encode()
    chosen = put(tmp_path, {"a.jpg": face(), "people.csv": wrong})
    it = partner().enter().choose_small().choose_folder(chosen, 1).start()
    expect(it.page.locator("#table-problems li")).to_contain_text("Row 2 a.jpg")
    axe(it.page)
    assert it.sent() == {}
    right = tmp_path / "right.csv"
    right.write_bytes(b"photo,slogan\na.jpg,Freedom\n")
    it.page.locator("#other-table").set_input_files(right)
    it.until_done()
    assert it.count("failures") == 0


def test_of_very_many_faults_the_first_are_drawn(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """And beside the heading stands how many there are: nobody reads on, and all of them would be slow."""
    rows = "".join(f"{number}.jpg,huge\n" for number in range(1_200))
    chosen = put(tmp_path, {"a.jpg": face(), "people.csv": f"photo,size\n{rows}".encode()})
    it = partner().enter().choose_small().choose_folder(chosen, 1).start()
    expect(it.page.locator("#table-problems h3 .count")).to_have_text("1,200")
    expect(it.page.locator("#table-problems li")).to_have_count(100)


def test_a_table_may_have_other_headings(
    partner: Callable[..., PartnerPage], complaints: Complaints, tmp_path: Path
) -> None:
    """Where a table calls its columns otherwise, the partner says how, and it is read again."""
    complaints.expect("status of 422")
    chosen = put(tmp_path, {"a.jpg": face(), "people.csv": "porträtdatei;spruch\na.jpg;Freiheit\n".encode()})
    it = partner().enter().choose_small().choose_folder(chosen, 1).start()
    expect(it.page.locator("#table-problems li")).to_have_count(1)
    it.page.locator("#headings summary").click()
    it.page.locator("#photo-heading").fill("porträtdatei")
    it.page.locator("#slogan-heading").fill("spruch")
    it.page.locator("#same-table").click()
    it.until_done()
    report = it.asked(f"{it.batch()}/report.csv").body().decode("utf-8-sig")
    assert "a.jpg,Freiheit" in report


def test_photos_that_the_table_names_are_asked_for(
    partner: Callable[..., PartnerPage], complaints: Complaints, tmp_path: Path
) -> None:
    """A photo that only the table has holds the start up until the partner says to go on without it."""
    complaints.expect("status of 409")
    chosen = put(tmp_path, {"a.jpg": face(), "people.csv": b"photo\na.jpg\nlost.jpg\n"})
    it = partner().enter().choose_small().choose_folder(chosen, 1).start()
    expect(it.trouble).to_contain_text("lost.jpg")
    it.page.locator("#start-without").click()
    it.until_done()
    assert it.photos()["lost.jpg"]["state"] == "missing"
    expect(it.page.locator("#progress-note")).to_contain_text(
        re.compile("have not been sent. Missing: 1. .?lost.jpg")
    )


def test_photos_that_were_never_sent_are_told_in_the_end(
    partner: Callable[..., PartnerPage], program: PartnerProgram
) -> None:
    """A batch that was started without some of its photos says so as long as it is there, and aloud."""
    batch = program.new_batch(expected=3)
    program.send_photo(batch, "nobody.jpg", faceless())
    it = partner().enter()
    it.page.locator("#batches button").click()
    it.page.locator("#start-without").click()
    it.until_done()
    told = "Some photos of this batch have not been sent. Missing: 2."
    expect(it.page.locator("#progress-note")).to_contain_text(told)
    expect(it.page.locator("#announcements")).to_have_text(f"Done. Pictures: 1 {told}")


# -- what is chosen --------------------------------------------------------------


def test_what_is_left_out_is_named(partner: Callable[..., PartnerPage], folder: Path) -> None:
    """Files of systems, other files and archives are counted by kind, and told by name."""
    it = partner().enter().choose_folder(folder, PHOTOS_IN_FOLDER)
    left_out = it.page.locator("#left-out details")
    assert [summary.inner_text().rpartition(" ")[2] for summary in left_out.locator("summary").all()] == [
        "1",
        "1",
        "2",
    ]
    left_out.last.locator("summary").click()
    assert sorted(left_out.last.locator("li").all_inner_texts()) == [
        "members/.hidden.jpg",
        "members/Thumbs.db",
    ]
    expect(it.page.locator("#counts")).to_contain_text("people.csv")


def test_one_name_in_two_spellings_is_told(partner: Callable[..., PartnerPage]) -> None:
    """Names that differ in how an accent is written are one name: the second file is left out, and said."""
    it = partner().enter()
    names = [unicodedata.normalize(form, "Zoé.jpg") for form in ("NFC", "NFD")]
    files = [
        {"name": name, "mimeType": "image/jpeg", "buffer": face(100 + n)} for n, name in enumerate(names)
    ]
    it.page.locator("#photos").set_input_files(files)  # type: ignore[arg-type]  # payloads as dictionaries
    expect(it.page.locator("#counts dd").first).to_have_text("1")
    expect(it.page.locator("#left-out summary")).to_contain_text("occur twice")
    # The same files once more are the same files.
    it.page.locator("#photos").set_input_files(files[:1])  # type: ignore[arg-type]
    expect(it.page.locator("#counts dd").first).to_have_text("1")


def test_without_photos_nothing_starts(partner: Callable[..., PartnerPage]) -> None:
    """An empty choice says what is missing."""
    it = partner().enter()
    it.page.locator("#start").click()
    expect(it.page.locator("#order-problem")).to_have_text("Choose photos first.")


def test_a_circle_is_no_jpeg(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """Who chooses a circle is offered transparent formats only, and gets one."""
    it = partner().enter().choose_small().choose_folder(put(tmp_path, {"a.jpg": face()}), 1)
    it.page.locator("#shape").select_option("circle")
    assert it.page.locator("#format").input_value() == "png"
    assert it.page.locator("#format option[value=jpeg]").is_disabled()
    it.start().until_done()
    assert it.photos()["a.jpg"]["avatar"] == "a.png"


def test_words_that_cannot_be_drawn_are_told(
    partner: Callable[..., PartnerPage], complaints: Complaints
) -> None:
    """Own words are tried in the frame as they are typed."""
    complaints.expect("status of 422")
    it = partner().enter()
    it.page.locator("#slogan").fill("☃")
    expect(it.page.locator("#slogan-problem")).to_be_visible()
    with it.page.expect_response(re.compile("overlay.*slogan=Freedom")):
        it.page.locator("#slogan").fill("Freedom")
    expect(it.page.locator("#slogan-problem")).to_be_hidden()


# -- what is said, and where the keyboard goes on --------------------------------


def test_the_end_is_said_where_photos_failed(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """Who listens hears that it is done, also where the share that was made stands as the last one did."""
    it = partner().enter().choose_small()
    it.choose_folder(put(tmp_path, {f"{n}.jpg": face(200 + n) for n in range(10)}), 10)

    def tell(route: Route) -> None:
        batch = it.asked(it.batch()).json()
        running = {**batch, "state": "running", "waiting": 1, "done": 8, "failed": 1}
        done = {**batch, "state": "done", "waiting": 0, "done": 9, "failed": 1}
        told = "".join(f"event: state\ndata: {json.dumps(state)}\n\n" for state in (running, done))
        route.fulfill(content_type="text/event-stream", body=told)

    it.page.route("**/events", tell)
    it.start().until_done()
    expect(it.page.locator("#announcements")).to_have_text("Done. Pictures: 9")


def test_a_wrong_size_is_told_where_it_is_folded_away(
    partner: Callable[..., PartnerPage], tmp_path: Path, axe: Callable[[Page], None]
) -> None:
    """Start unfolds the field that is wrong, says what it may be, and leads there."""
    it = partner().enter().choose_small(9000).choose_folder(put(tmp_path, {"a.jpg": face()}), 1)
    it.page.locator(".settings .more summary").click()
    expect(it.page.locator("#size")).to_be_hidden()
    it.page.locator("#start").click()
    expect(it.page.locator("#size")).to_be_focused()
    expect(it.page.locator("#size-problem")).to_have_text("This must be from 64 to 2,048.")
    axe(it.page)
    it.page.locator("#size").fill("128")
    expect(it.page.locator("#size-problem")).to_be_hidden()
    it.start().until_done()


def test_the_keyboard_goes_on_where_a_button_was(
    partner: Callable[..., PartnerPage], complaints: Complaints, tmp_path: Path
) -> None:
    """Who says to go on in spite of something finds the focus at the batch's title, not lost."""
    complaints.expect("status of 409")
    table = f"photo,slogan\na.jpg,{'x' * 70}\nlost.jpg,\n".encode()
    chosen = put(tmp_path, {"a.jpg": face(), "people.csv": table})
    it = partner().enter().choose_small().choose_folder(chosen, 1).start()
    expect(it.page.locator("#table-problems h3")).to_be_focused()
    it.page.locator("#in-spite").press("Enter")
    expect(it.page.locator("#table-problems")).to_be_hidden()
    expect(it.page.locator("#start-without")).to_be_focused()
    it.page.keyboard.press("Enter")
    expect(it.page.locator("#batch-title")).to_be_focused()
    it.until_done()
    assert it.count("failures") == 1
    expect(it.page.locator("#other-photos")).to_be_hidden()  # it is the table's fault


def test_words_that_are_refused_have_the_focus(
    partner: Callable[..., PartnerPage], complaints: Complaints, tmp_path: Path
) -> None:
    """A start that is refused for the partner's own words leads to them."""
    complaints.expect("status of 422")
    it = partner().enter().choose_small().choose_folder(put(tmp_path, {"a.jpg": face()}), 1)
    it.page.locator("#slogan").fill("☃")
    it.page.locator("#start").press("Enter")
    expect(it.page.locator("#order-problem")).to_be_visible()
    expect(it.page.locator("#slogan")).to_be_focused()


def test_what_cannot_be_undone_takes_more_than_enter(
    partner: Callable[..., PartnerPage], program: PartnerProgram, tmp_path: Path
) -> None:
    """Who is asked whether to erase a batch has the focus on the way back."""
    it = partner().enter().choose_small()
    it.choose_folder(put(tmp_path, {"face.jpg": face()}), 1).start().until_done()
    address = it.batch()
    it.page.locator("#erase").press("Enter")
    expect(it.page.locator("#asking-no")).to_be_focused()
    it.page.keyboard.press("Enter")
    expect(it.page.locator("#asking")).to_be_hidden()
    expect(it.page.locator("#erase")).to_be_focused()
    assert program.get(address).status_code == 200


def test_nothing_is_taken_home_while_a_photo_is_drawn_anew(
    partner: Callable[..., PartnerPage], tmp_path: Path
) -> None:
    """The ZIP waits for the photo that was moved: the server would refuse it."""
    it = partner().enter().choose_small()
    it.choose_folder(put(tmp_path, {"nobody.jpg": faceless()}), 1).start().until_done()
    held: list[Route] = []
    it.page.route("**/framing", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    it.open_result("nobody.jpg")
    it.page.keyboard.press("+")
    it.page.locator("#reframe").click()
    expect(it.page.locator(".is-drawn-anew")).to_have_count(1)
    expect(it.page.locator("#get-zip")).to_be_disabled()
    expect(it.page.locator("#get-report")).to_be_disabled()
    held[0].continue_()
    expect(it.page.locator("#get-zip")).to_be_enabled()
    expect(it.page.locator(".is-placed")).to_have_count(1)
    expect(it.trouble).to_be_hidden()


# -- for everybody ---------------------------------------------------------------


@pytest.mark.parametrize("language", ["ar", "de"])
def test_no_step_scrolls_sideways(
    partner: Callable[..., PartnerPage], complaints: Complaints, folder: Path, language: str
) -> None:
    """On 320 px, and at 200% with letters twice as large, each step of the page scrolls only down."""
    complaints.expect("status of 409")
    it = partner("small", language).enter()

    def is_narrow() -> None:
        for width, letters in ((320, "100%"), (640, "200%")):
            it.page.set_viewport_size({"width": width, "height": 640})
            it.page.evaluate("size => { document.documentElement.style.fontSize = size }", letters)
            assert it.page.evaluate(SCROLLS_SIDEWAYS) == [], (width, letters)
        it.page.evaluate("document.documentElement.style.fontSize = ''")

    it.page.locator("#folder").set_input_files(folder)
    expect(it.page.locator("#left-out details")).to_have_count(3)
    it.choose_small()
    is_narrow()
    it.start().until_done()
    is_narrow()
    it.open_result("turned.jpg")
    is_narrow()


def test_the_keyboard_is_enough(partner: Callable[..., PartnerPage], tmp_path: Path) -> None:
    """Key, start, results, another crop and the way home, without a mouse."""
    it = partner()
    page = it.page
    page.locator("#key").focus()
    page.keyboard.type(it.key)
    page.keyboard.press("Enter")
    expect(page.locator("#order-title")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#folder")).to_be_focused()
    it.choose_folder(put(tmp_path, {"nobody.jpg": faceless()}), 1)  # the system's own dialog
    while page.evaluate("document.activeElement.id") != "start":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#batch-title")).to_be_focused()
    it.until_done()
    while not page.evaluate("document.activeElement.matches('.result')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#framing-stage")).to_be_focused()
    page.keyboard.press("ArrowDown")
    while page.evaluate("document.activeElement.id") != "reframe":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(it.dialog).to_be_hidden()
    expect(page.locator(".result")).to_be_focused()


@pytest.mark.parametrize(
    "count", [300, pytest.param(3000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_many_photos_do_not_freeze_the_page(open_page: OpenPage, key: str, count: int) -> None:
    """While many photos are chosen, sent, drawn and looked through, no task is longer than 200 ms."""
    page = open_page("desktop", "en")
    watch_tasks(page)  # and nothing else: what is sent would be told in the same thread
    it = PartnerPage(page, key).open().enter().choose_small(64).drop_many(count).start()
    it.until_done(count / 5)
    more = it.page.locator(".results > button:visible")
    while more.count():
        more.first.click()
    expect(it.page.locator(".result")).to_have_count(count)
    for _ in range(count // 50):
        it.page.mouse.wheel(0, 2000)
        it.page.wait_for_timeout(50)
    assert it.page.locator(".result img[src]").count() < 150  # what is out of sight is let go
    assert [task for task in it.long_tasks() if task.milliseconds >= LONGEST_TASK] == []
    assert len(it.photos()) == min(count, 1000)


def test_who_leaves_while_photos_are_sent_is_asked(
    partner: Callable[..., PartnerPage], tmp_path: Path
) -> None:
    """The browser asks before a page is closed that still sends, and not afterwards."""
    asked: list[str] = []
    it = partner().enter().choose_small().choose_folder(put(tmp_path, {"a.jpg": face()}), 1)

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    it.page.on("dialog", agree)
    held: list[Route] = []
    it.page.route("**/photos/a.jpg", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    it.start()
    expect(it.page.locator("#progress-said")).to_contain_text("Sending")
    it.page.reload()
    assert asked == ["beforeunload"]
    it.page.unroute_all(behavior="ignoreErrors")
    it.open().enter().choose_small().choose_folder(tmp_path / "members", 1).start().until_done()
    shutil.rmtree(tmp_path / "members")
    it.page.reload()
    assert asked == ["beforeunload"]
