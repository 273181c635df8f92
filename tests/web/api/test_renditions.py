from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from app.errors import Busy
from app.lanes import Lane
from app.render.rendition import make_rendition
from app.texts.languages import PAGE_LANGUAGES
from tests import photos
from tests.web.api.test_avatars import BAD_PHOTOS, assert_problem, opened

if TYPE_CHECKING:
    from starlette.testclient import TestClient

RENDITIONS = "/v1/renditions"


def test_both_ways_of_sending_give_the_same_bytes(client: TestClient, photo: bytes) -> None:
    """Form and raw body give what the core gives, byte for byte; the side is in the form or in the query."""
    as_form = client.post(RENDITIONS, files={"photo": ("a.jpg", photo)}, data={"side": "100"})
    as_body = client.post(RENDITIONS, content=photo, params={"side": "100"})
    in_arabic = client.post(RENDITIONS, content=photo, params={"side": "١٠٠"})
    expected = make_rendition(photo, 100)
    assert as_form.content == as_body.content == in_arabic.content == expected


def test_a_heic_becomes_a_jpeg(client: TestClient) -> None:
    """What no browser but Safari shows, every browser can."""
    response = client.post(RENDITIONS, files={"photo": ("canary.HEIC", photos.heic())})
    image = opened(response)
    assert (image.format, response.headers["content-type"]) == ("JPEG", "image/jpeg")
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["content-disposition"] == 'inline; filename="photo.jpg"'
    assert response.headers["cache-control"] == "no-store"
    assert "canary" not in repr(response.headers)


def test_a_photo_is_whole_and_as_large_as_it_was(client: TestClient) -> None:
    """Without a wish, what is smaller than the default stays as it is; an empty wish is none."""
    photo = photos.save(photos.quadrants((300, 200)), "PNG")
    for fields in ({}, {"side": ""}, {"side": "4096"}):
        assert opened(client.post(RENDITIONS, files={"photo": photo}, data=fields)).size == (300, 200)
    assert opened(client.post(RENDITIONS, content=photo, params={"side": "64"})).size == (64, 43)


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("way", ["form", "query"])
@pytest.mark.parametrize(
    "case",
    [
        ({"side": "63"}, "side", "out_of_range"),
        ({"side": "4097"}, "side", "out_of_range"),
        ({"side": "-1"}, "side", "out_of_range"),
        ({"side": "9" * 1000}, "side", "out_of_range"),
        ({"side": "large"}, "side", "not_an_integer"),
        ({"side": "300.5"}, "side", "not_an_integer"),
        ({"side": "nan"}, "side", "not_an_integer"),
        ({"side": "1_28"}, "side", "not_an_integer"),
        ({"side": "1,280"}, "side", "not_an_integer"),
        ({"side": "\x00"}, "side", "not_an_integer"),
        ({"size": "300"}, "size", "unknown"),
        ({"x" * 1000: "1"}, "x" * 64, "unknown"),
    ],
)
def test_a_bad_side_is_named(
    client: TestClient, photo: bytes, case: tuple[dict[str, str], str, str], way: str, language: str
) -> None:
    """With a stable code, in the reader's language, whichever way it came."""
    fields, field, code = case
    how: dict[str, Any] = (
        {"files": {"photo": photo}, "data": fields} if way == "form" else {"content": photo, "params": fields}
    )
    response = client.post(RENDITIONS, headers={"accept-language": language}, **how)
    problem = assert_problem(response, 422, "invalid_spec", language)
    assert [(fault["field"], fault["code"]) for fault in problem["fields"]] == [(field, code)]


@pytest.mark.parametrize("form", ["96", "٩٦", ""])
def test_a_side_may_come_again_if_it_says_the_same(client: TestClient, photo: bytes, form: str) -> None:
    """In the query and in the form, in whichever digits."""
    response = client.post(f"{RENDITIONS}?side=96", files={"photo": photo}, data={"side": form})
    assert response.status_code == 200


def test_a_side_that_contradicts_itself_is_repeated(client: TestClient, photo: bytes) -> None:
    """Which one would win is nobody's guess."""
    response = client.post(f"{RENDITIONS}?side=96", files={"photo": photo}, data={"side": "97"})
    problem = assert_problem(response, 422, "invalid_spec", "en")
    assert [(fault["field"], fault["code"]) for fault in problem["fields"]] == [("side", "repeated")]


def test_thousands_of_fields_are_one_short_answer(client: TestClient, photo: bytes) -> None:
    """An answer never grows with what was wrong."""
    query = "&".join(f"f{number}=" for number in range(1000))
    assert_problem(client.post(f"{RENDITIONS}?{query}", content=photo), 400, "malformed_request", "en")


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("case", BAD_PHOTOS)
def test_a_bad_photo_is_a_clean_answer(client: TestClient, photo: bytes, case: str, language: str) -> None:
    """The same status, code and text as for an avatar."""
    send, status, code = BAD_PHOTOS[case]
    request = send(photo)
    headers = {"accept-language": language, **request.pop("headers", {})}
    assert_problem(client.post(RENDITIONS, headers=headers, **request), status, code, language)


def test_a_full_queue_refuses_before_the_photo_is_taken_in(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Retry-After, as for an avatar."""

    def full(lane: Lane, _party: bytes) -> None:
        assert lane is Lane.PHOTO
        raise Busy

    monkeypatch.setattr(client.app.state.service.drawing.pool, "refuse_if_full", full)  # type: ignore[attr-defined]
    response = client.post(RENDITIONS, content=photo)
    assert_problem(response, 503, "busy", "en")
    assert response.headers["retry-after"] == "2"
