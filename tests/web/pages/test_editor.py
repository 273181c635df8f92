from __future__ import annotations

import io
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.errors import Busy
from app.render.avatar import make_avatar
from app.render.derived.platforms import PLATFORMS
from app.render.overlay import Overlays
from app.settings import load_settings
from app.spec import AvatarSpec
from app.texts.languages import PAGE_LANGUAGES
from app.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from app.frames import FrameLibrary

TOKEN = re.compile(r"/(?P<lang>[a-z]{2})/made/(?P<token>[A-Za-z0-9_-]{32})")
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = {"Accept": "application/json"}
FILES = ["avatar.jpg", *(f"{name}.jpg" for name in PLATFORMS), "story.jpg", "all.zip"]


def made(client: TestClient, photo: bytes, page_language: str = "ar", **fields: str) -> str:
    """Make an avatar as the page's script does, and return its page's address."""
    files = {"photo": ("canary.jpg", photo)}
    answer = client.post(f"/{page_language}/made", files=files, data=fields, headers=SCRIPT)
    assert answer.status_code == 201, answer.text
    address: str = answer.json()["address"]
    return address


@pytest.fixture(scope="session")
def address(client: TestClient, photo: bytes) -> str:
    """The page of one picture that nobody deletes."""
    return made(client, photo)


@pytest.fixture(scope="session")
def picture(address: str) -> str:
    """What the addresses of that picture's files begin with."""
    return address.removeprefix("/ar") + "/"


def opened(response: httpx2.Response) -> Image.Image:
    """Return the picture of an answer, which must be a JPEG."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(response.content))
    assert image.format == "JPEG"
    image.load()
    return image


# -- sending a form --------------------------------------------------------


@pytest.mark.parametrize("way", ["made", "share"])
@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_a_form_leads_to_the_picture(client: TestClient, photo: bytes, lang: str, way: str) -> None:
    """Without a script, and from a share sheet without a service worker, a form is answered with the page."""
    answer = client.post(
        f"/{lang}/{way}", files={"photo": ("a.jpg", photo)}, headers=BROWSER, follow_redirects=False
    )
    assert answer.status_code == 303
    place = TOKEN.fullmatch(answer.headers["location"])
    assert place
    assert place["lang"] == lang
    assert answer.headers["cache-control"] == "no-store"
    page = client.get(answer.headers["location"], headers=BROWSER)
    assert page.status_code == 200
    assert f'<html lang="{lang}" dir="{PAGE_LANGUAGES[lang].direction}">' in page.text
    assert f"/made/{place['token']}/avatar.jpg?disposition=inline" in page.text


def test_a_script_is_told_the_address(client: TestClient, photo: bytes) -> None:
    """With Accept: application/json the answer is 201 and the page's address."""
    answer = client.post("/en/made", files={"photo": ("a.jpg", photo)}, headers=SCRIPT)
    assert answer.status_code == 201
    assert answer.headers["location"] == answer.json()["address"]
    assert TOKEN.fullmatch(answer.json()["address"])
    assert answer.headers["cache-control"] == "no-store"


def test_every_picture_has_an_address_of_its_own(client: TestClient, photo: bytes) -> None:
    """The same photo sent twice is kept twice: nobody learns that another sent it too."""
    assert made(client, photo) != made(client, photo)


def test_the_picture_is_what_the_core_makes(client: TestClient, photo: bytes, frames: FrameLibrary) -> None:
    """The form's choices reach the picture, byte for byte."""
    choices = {"frame": "ribbon-loop", "lang": "en", "x": "0.4", "y": "0.6", "zoom": "1.5", "rotate": "30"}
    page = made(client, photo, **choices)
    answer = client.get(page.removeprefix("/ar") + "/avatar.jpg")
    spec = AvatarSpec(frame="ribbon-loop", lang="en", x=0.4, y=0.6, zoom=1.5, rotate=30)
    assert answer.content == make_avatar(photo, spec, Overlays(frames)).content


@pytest.mark.parametrize(
    ("fields", "lang"),
    [
        ({}, "de"),
        ({"lang": ""}, "de"),
        ({"lang": "ar"}, "ar"),
        ({"frame": "", "lang": "", "slogan": "", "zoom": ""}, "de"),
    ],
)
def test_a_slogan_speaks_the_pages_language_unless_another_was_chosen(
    client: TestClient, photo: bytes, frames: FrameLibrary, fields: dict[str, str], lang: str
) -> None:
    """A field that is empty, as forms send what was not chosen, is as good as none."""
    page = made(client, photo, "de", **fields)
    answer = client.get(page.removeprefix("/de") + "/avatar.jpg")
    assert (
        answer.content
        == make_avatar(photo, AvatarSpec(frame="red-ribbons", lang=lang), Overlays(frames)).content
    )


@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_a_refused_form_shows_the_editor_again(client: TestClient, lang: str) -> None:
    """What is no photo is told on the editor's own page, which can be sent again."""
    answer = client.post(
        f"/{lang}/made",
        files={"photo": ("a.jpg", b"no photo")},
        data={"frame": "ribbon-loop"},
        headers=BROWSER,
        follow_redirects=False,
    )
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<html lang="{lang}"' in answer.text
    assert f'action="/{lang}/made"' in answer.text
    assert 'role="alert"' in answer.text
    assert re.search(r'value="ribbon-loop"[^>]* checked', answer.text)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"zoom": "0"}, 422, "invalid_spec"),
        ({"zoom": "<script>canary</script>"}, 422, "invalid_spec"),
        ({"canary": "1"}, 422, "invalid_spec"),
        ({"size": "64"}, 422, "invalid_spec"),
        ({"format": "png"}, 422, "invalid_spec"),
        ({"shape": "circle"}, 422, "invalid_spec"),
        ({"lang": "xx"}, 422, "invalid_spec"),
        ({"slogan": "ش" * 61}, 422, "invalid_spec"),
        ({"frame": "canary"}, 404, "frame_not_found"),
        ({"frame": "canary", "lang": "ar"}, 404, "frame_not_found"),
        ({"frame": "../../etc"}, 404, "frame_not_found"),
    ],
)
def test_a_bad_choice_is_refused(
    client: TestClient, photo: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    """A script is told the problem, a reader sees the editor; nothing is kept, and no markup comes back."""
    files = {"photo": ("a.jpg", photo)}
    problem = client.post("/en/made", files=files, data=fields, headers=SCRIPT)
    assert problem.status_code == status
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["code"] == code
    page = client.post("/en/made", files=files, data=fields, headers=BROWSER, follow_redirects=False)
    assert page.status_code == status
    assert 'action="/en/made"' in page.text
    assert "<script>canary" not in page.text


def test_the_query_chooses_no_other_format(client: TestClient, photo: bytes) -> None:
    """What the pages keep is always the JPEG that their addresses promise."""
    answer = client.post("/en/made?format=png", files={"photo": ("a.jpg", photo)}, headers=SCRIPT)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({}, 400),
        ({"files": {"frame": (None, "red-ribbons")}}, 400),
        ({"files": {"photo": ("a.jpg", b"")}}, 400),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"files": {"photo": ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(100))}}, 422),
        ({"files": {"photo": ("a.jpg", bytes(6_000_001))}}, 413),
    ],
    ids=["nothing", "no photo", "empty photo", "no form", "damaged", "too large"],
)
def test_a_form_without_a_photo_that_can_be_read_is_a_page_again(
    client: TestClient, send: dict[str, Any], status: int
) -> None:
    """Every error of a form has a page with the form on it, never a bare line."""
    answer = client.post("/en/made", **{**send, "headers": {**BROWSER, **send.get("headers", {})}})
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"  # with the supporter's own words on it
    assert 'action="/en/made"' in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_a_script_gets_the_problem_in_the_pages_language(client: TestClient, lang: str) -> None:
    """The detail is what the page would say, whatever the browser's own language is."""
    answer = client.post(
        f"/{lang}/made", files={"photo": ("a", b"x")}, headers={**SCRIPT, "Accept-Language": "fr"}
    )
    assert answer.headers["content-language"] == lang
    assert answer.json()["code"] == "photo_not_supported"
    page = client.post(f"/{lang}/made", files={"photo": ("a", b"x")}, headers=BROWSER)
    assert answer.json()["detail"] in page.text


@pytest.mark.parametrize("accept", [BROWSER, SCRIPT])
def test_thousands_of_fields_in_the_query_are_one_short_answer(
    client: TestClient, photo: bytes, accept: dict[str, str]
) -> None:
    """Naming each of them would keep everybody else waiting for seconds."""
    query = "&".join(f"f{number}=" for number in range(1000))
    answer = client.post(f"/en/made?{query}", files={"photo": ("a.jpg", photo)}, headers=accept)
    assert answer.status_code == 400
    assert len(answer.content) < 30_000


@pytest.mark.parametrize("accept", [BROWSER, SCRIPT])
def test_a_busy_service_says_when_to_come_again(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch, accept: dict[str, str]
) -> None:
    """503 with Retry-After, as a page or as a problem."""

    def refuse() -> None:
        raise Busy

    monkeypatch.setattr(client.app.state.service.drawing.pool, "refuse_if_full", refuse)  # type: ignore[attr-defined]
    answer = client.post("/en/made", files={"photo": ("a.jpg", photo)}, headers=accept)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/xx/made", "/made/made", "/EN/made", "/xx/share"])
def test_a_form_in_no_language_of_ours_is_not_found(client: TestClient, photo: bytes, path: str) -> None:
    """The first part of the address is a language, or there is nothing there."""
    assert client.post(path, files={"photo": ("a.jpg", photo)}).status_code == 404


@pytest.mark.parametrize("way", ["made", "share"])
def test_reopening_a_forms_address_leads_to_the_editor(client: TestClient, way: str) -> None:
    """A browser that opens anew what a refused form left in its address bar does not meet a dead end."""
    answer = client.get(f"/fr/{way}", headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr")
    assert client.get(f"/xx/{way}", headers=BROWSER, follow_redirects=False).status_code == 404


# -- how people type -------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("typed", "location"),
    [
        ("/ar/", "/ar"),
        ("/AR", "/ar"),
        ("/Tr/", "/tr"),
        ("/en-US", "/en"),
        ("/ur/?deleted", "/ur?deleted"),
        ("/EN?a=%2F%2Fx.example&b=%0D%0Aa", "/en?a=%2F%2Fx.example&b=%0D%0Aa"),
    ],
)
def test_a_language_typed_otherwise_leads_to_its_page(
    client: TestClient, method: str, typed: str, location: str
) -> None:
    """Capitals, which phones set by themselves, and one slash more are no dead end."""
    answer = client.request(method, typed, headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, location)


@pytest.mark.parametrize(
    "path",
    [
        "/xx/",
        "/XX",
        "/ar//",
        "//ar",
        "//ar/",
        "//evil.example",
        "//evil.example/",
        "/%2Fevil.example/",
        "/\\evil.example/",
        "/evil.example/",
        "/ar%2F",
        "/ar%00",
        "/\u0130d/",
    ],
)
def test_nobody_is_led_to_another_site(client: TestClient, path: str) -> None:
    """What is no language of ours is not found, however its slashes stand."""
    # As an address of its own, since the client would take what stands after two slashes for a host.
    answer = client.get(f"http://testserver{path}", headers=BROWSER, follow_redirects=False)
    if path == "/ar%2F":  # a slash as well as any other
        assert (answer.status_code, answer.headers["location"]) == (308, "/ar")
    else:
        assert answer.status_code == 404
        assert "location" not in answer.headers


# -- the page --------------------------------------------------------------


@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_the_page_can_be_read_in_every_language(client: TestClient, address: str, lang: str) -> None:
    """The switch leads to the same picture; the files' addresses say the language that errors are told in."""
    page = client.get(f"/{lang}{address.removeprefix('/ar')}", headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["content-language"] == lang
    for other in PAGE_LANGUAGES:
        assert f'href="/{other}{address.removeprefix("/ar")}"' in page.text
    for name in FILES:
        assert f"{address.removeprefix('/ar')}/{name}?lang={lang}" in page.text


def test_the_page_keeps_itself_to_its_maker(client: TestClient, address: str) -> None:
    """Not stored, not indexed, not told to others by a Referer, shown in nobody's frame."""
    page = client.get(address, headers=BROWSER)
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "set-cookie" not in page.headers
    assert '<meta name="robots" content="noindex' in page.text
    # Nothing says where it is but what leads from it to itself.
    head = page.text.partition("</head>")[0]
    assert address.rpartition("/")[2] not in head


def test_the_photos_name_comes_back_nowhere(client: TestClient, address: str) -> None:
    """File names often say who is in the photo."""
    answers = [client.get(address), client.get(f"{address.removeprefix('/ar')}/avatar.jpg")]
    assert "canary" not in repr([(answer.content, answer.headers) for answer in answers])


def test_the_page_names_the_address_that_supporters_know(photo: bytes) -> None:
    """What is shared leads to the configured address, whatever the Host header says."""
    settings = load_settings(workers=1, deadline=30, public_url="https://ribbons.example")
    with TestClient(create_app(settings)) as client:
        page = client.get(made(client, photo), headers={"Host": "canary.example"})
    assert "https://ribbons.example</textarea>" in page.text
    assert "canary.example" not in page.text


@pytest.mark.parametrize(
    "path", ["/ar/made/{0}", "/ar/made/a", "/xx/made/{token}", "/ar/made/{token}/", "/made/{token}"]
)
def test_no_other_address_leads_to_it(client: TestClient, address: str, path: str) -> None:
    """Wrong tokens and unknown languages are a page that says so, with a way on."""
    path = path.format("A" * 32, token=address.rpartition("/")[2])
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert re.search(r'<a [^>]*href="/[a-z]{2}"', answer.text)


# -- its files -------------------------------------------------------------


@pytest.mark.parametrize("name", PLATFORMS)
def test_each_platform_gets_its_size(client: TestClient, picture: str, name: str) -> None:
    """A JPEG of the size that the platform asks for, under its limit, under a name that says which it is."""
    answer = client.get(f"{picture}{name}.jpg")
    size = PLATFORMS[name].size
    assert opened(answer).size == (size, size)
    assert len(answer.content) <= PLATFORMS[name].max_bytes
    assert answer.headers["content-disposition"] == f'attachment; filename="red-ribbons-{name}.jpg"'


def test_the_story_card_is_as_tall_as_a_phone(client: TestClient, picture: str) -> None:
    """A JPEG of 1080 x 1920."""
    answer = client.get(f"{picture}story.jpg")
    assert opened(answer).size == (1080, 1920)
    assert answer.headers["content-disposition"] == 'attachment; filename="red-ribbons-story.jpg"'


def test_the_zip_holds_all_of_them(client: TestClient, picture: str) -> None:
    """The avatar's versions and the card, the same bytes that their own addresses give."""
    answer = client.get(f"{picture}all.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="red-ribbons.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        kept = {name.rpartition("red-ribbons")[2]: archive.read(name) for name in archive.namelist()}
    for name in [*PLATFORMS, "story"]:
        assert kept[f"-{name}.jpg"] == client.get(f"{picture}{name}.jpg").content


@pytest.mark.parametrize("name", FILES)
def test_files_are_kept_by_no_cache(client: TestClient, picture: str, name: str) -> None:
    """The next person on the same phone does not get them out of its cache; a search engine keeps none."""
    for method in ("GET", "HEAD"):
        answer = client.request(method, picture + name)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment; ")


def test_a_picture_may_be_shown_instead_of_saved(client: TestClient, picture: str) -> None:
    """?disposition=inline is what the page itself shows; anything else there is a download."""
    shown = client.get(f"{picture}avatar.jpg?disposition=inline")
    assert shown.headers["content-disposition"] == 'inline; filename="red-ribbons.jpg"'
    assert shown.content == client.get(f"{picture}avatar.jpg").content
    odd = client.get(f"{picture}avatar.jpg?disposition=canary")
    assert odd.headers["content-disposition"] == 'attachment; filename="red-ribbons.jpg"'


@pytest.mark.parametrize(
    "name", ["avatar.png", "avatar", "myspace.jpg", "facebook.png", "all.jpg", "story.zip", ".jpg", "X.jpg"]
)
def test_other_files_there_are_none(client: TestClient, picture: str, name: str) -> None:
    """404, as a page to a browser and as a problem to a program."""
    assert client.get(picture + name).json()["code"] == "not_found"
    page = client.get(picture + name, headers=BROWSER)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


def test_a_file_that_could_not_be_drawn_leads_back(
    client: TestClient, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain link of a busy service opens a page in the link's language, and the way back to the picture."""

    async def refuse(*_: object, **__: object) -> None:
        raise Busy

    monkeypatch.setattr(client.app.state.service.drawing.pool, "run", refuse)  # type: ignore[attr-defined]
    answer = client.get(f"{picture}facebook.jpg?lang=tr", headers={**BROWSER, "Accept-Language": "fr"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-language"] == "tr"
    assert f'href="/tr{picture.rstrip("/")}"' in answer.text


@pytest.fixture
def lone(photo: bytes) -> Iterator[tuple[TestClient, list[str]]]:
    """An application of its own with two workers, and what the addresses of two pictures begin with."""
    settings = load_settings(workers=2, deadline=30)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client, [made(client, photo).removeprefix("/ar") for _ in range(2)]


def test_one_picture_takes_one_worker_however_often_it_is_asked_for(
    lone: tuple[TestClient, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of a hundred bytes must not keep every worker from those who have no picture yet."""
    client, pictures = lone
    pool = client.app.state.service.drawing.pool  # type: ignore[attr-defined]
    running = most = 0
    run = pool.run

    async def count(job: object, **options: bool) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            drawn: bytes = await run(job, **options)
        finally:
            running -= 1
        return drawn

    monkeypatch.setattr(pool, "run", count)
    addresses = [f"{picture}/{name}" for picture in pictures for name in ("story.jpg", "x.jpg", "all.zip")]
    with ThreadPoolExecutor(len(addresses)) as threads:
        answers = list(threads.map(client.get, addresses))
    assert [answer.status_code for answer in answers] == [200] * len(addresses)
    assert most == 1, "one of two workers is left to photos"


@pytest.mark.parametrize("name", FILES)
def test_what_has_to_be_drawn_waits_behind_photos(
    client: TestClient, picture: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the queue is full only the picture itself is handed out, which needs no worker."""

    def refuse() -> None:
        raise Busy

    monkeypatch.setattr(client.app.state.service.drawing.pool, "refuse_if_full", refuse)  # type: ignore[attr-defined]
    answer = client.get(picture + name)
    assert answer.status_code == (200 if name == "avatar.jpg" else 503)
    assert client.get(f"{picture}nothing.jpg").status_code == 404


# -- its end ---------------------------------------------------------------


def test_deleting_forgets_it_at_once(client: TestClient, photo: bytes) -> None:
    """The page, the picture and every file are gone, the editor says so, and doing it twice harms nobody."""
    page = made(client, photo)
    for _ in range(2):
        answer = client.post(f"{page}/delete", headers=BROWSER, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ar?deleted")
    for path in (page, *(f"{page.removeprefix('/ar')}/{name}" for name in FILES)):
        assert client.get(path).json()["code"] == "result_gone"
    assert client.get("/ar?deleted", headers=BROWSER).status_code == 200


def test_only_a_form_deletes(client: TestClient, address: str) -> None:
    """Following a link, as chats do to show a preview of it, deletes nothing, and leads to the picture."""
    followed = client.get(f"{address}/delete", headers=BROWSER, follow_redirects=False)
    assert (followed.status_code, followed.headers["location"]) == (303, address)
    assert client.get(address).status_code == 200
    assert client.get("/ar/made/unknown/delete", headers=BROWSER, follow_redirects=False).status_code == 404
    assert client.post(f"/xx{address.removeprefix('/ar')}/delete").status_code == 404
    assert client.get(address).status_code == 200


@pytest.fixture
def hurried() -> Iterator[TestClient]:
    """An application that keeps pictures for four seconds."""
    settings = load_settings(workers=1, deadline=30, result_lifetime=4)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def test_its_time_is_told_and_ends(hurried: TestClient, photo: bytes) -> None:
    """The page says how many seconds are left, ever fewer; after them it is gone, and says so kindly."""
    page = made(hurried, photo, "en")
    first = _seconds_left(hurried.get(page))
    time.sleep(1.1)
    second = _seconds_left(hurried.get(page))
    assert 0 < second < first <= 4
    time.sleep(second)
    answer = hurried.get(page, headers=BROWSER)
    assert answer.status_code == 404
    assert "no longer here" in answer.text
    assert hurried.get(f"{page.removeprefix('/en')}/avatar.jpg").json()["code"] == "result_gone"


def _seconds_left(page: httpx2.Response) -> int:
    found = re.search(r'data-seconds-left="(\d+)"', page.text)
    assert found
    return int(found[1])
