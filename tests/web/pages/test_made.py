from __future__ import annotations

import html
import io
import re
import time
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.errors import Busy
from app.lanes import Lane
from app.render.derived.platforms import PLATFORMS
from app.settings import load_settings
from app.texts.languages import PAGE_LANGUAGES
from app.web.app import create_app
from tests.web.pages.visitors import BROWSER, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

FILES = ["avatar.jpg", *(f"{name}.jpg" for name in PLATFORMS), "story.jpg", "all.zip"]


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


@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_the_words_hold_every_hashtag_each_line_in_one_direction(
    client: TestClient, address: str, lang: str
) -> None:
    """The language's own and the campaign's two, in order wherever they are pasted, short enough for X."""
    page = client.get(f"/{lang}{address.removeprefix('/ar')}", headers=BROWSER)
    (escaped,) = re.findall(r'data-words="([^"]*)"', page.text)
    words = html.unescape(escaped)
    sentence, *lines = words.splitlines()
    assert "#" not in sentence
    hashtags = " ".join(lines).split()
    assert len(hashtags) == 3
    assert {"#الحرية_للأسرى", "#FreePalHostages"} < set(hashtags)
    for line in lines:
        assert len({unicodedata.bidirectional(letter) for letter in line if letter.isalpha()}) == 1
    # X counts each letter of these scripts as one, an address as 23, and takes 280.
    assert len(words) + len("\n") + 23 <= 280


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

    async def count(job: object, lane: Lane, party: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            drawn: bytes = await run(job, lane, party)
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

    def refuse(lane: Lane, _party: bytes) -> None:
        assert lane is Lane.PAGE
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
