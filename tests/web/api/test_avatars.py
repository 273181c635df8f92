from __future__ import annotations

import io
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.settings import load_settings
from app.spec import AvatarSpec, parse_spec
from app.texts.languages import PAGE_LANGUAGES
from app.web.app import create_app
from app.web.http.uploads import MAX_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from app.frames import FrameLibrary

AVATARS = "/v1/avatars"
OVERLAY = "/v1/frames/red-ribbons/overlay.png"


def opened(response: httpx2.Response) -> Image.Image:
    """Return the picture of an answer, which must be one."""
    assert response.status_code == 200, response.headers
    image = Image.open(io.BytesIO(response.content))
    image.load()
    return image


def zipped() -> bytes:
    """Return a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", b"no photo")
    return file.getvalue()


# -- making avatars --------------------------------------------------------


def test_both_ways_of_sending_give_the_same_bytes(
    client: TestClient, photo: bytes, frames: FrameLibrary
) -> None:
    """Form and raw body give what the core gives, byte for byte."""
    settings = {"size": "320", "zoom": "1.5", "lang": "en"}
    as_form = client.post(AVATARS, files={"photo": ("a.jpg", photo)}, data=settings)
    as_body = client.post(AVATARS, content=photo, params=settings)
    expected = make_avatar(
        photo, AvatarSpec(frame="red-ribbons", size=320, zoom=1.5, lang="en"), Overlays(frames)
    )
    assert as_form.content == as_body.content == expected.content


@pytest.mark.parametrize(
    ("settings", "media_type", "extension"),
    [
        ({}, "image/jpeg", "jpg"),
        ({"format": "png"}, "image/png", "png"),
        ({"format": "webp"}, "image/webp", "webp"),
        ({"format": "avif"}, "image/avif", "avif"),
        ({"shape": "circle"}, "image/png", "png"),
    ],
)
def test_the_answer_says_what_it_is(
    client: TestClient, photo: bytes, settings: dict[str, str], media_type: str, extension: str
) -> None:
    """Type, length, a name that is ours, and not to be kept by anyone."""
    response = client.post(AVATARS, content=photo, params={"size": "128", **settings})
    assert opened(response).size == (128, 128)
    assert response.headers["content-type"] == media_type
    assert response.headers["content-disposition"] == f'attachment; filename="red-ribbons.{extension}"'
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_photos_name_comes_back_nowhere(client: TestClient, photo: bytes) -> None:
    """File names often say who is in the photo."""
    response = client.post(AVATARS, files={"photo": ("canary.jpg", photo)}, data={"size": "64"})
    assert response.status_code == 200
    assert "canary" not in repr(response.headers)


@pytest.mark.parametrize("way", ["params", "data"])
def test_a_browser_may_show_the_avatar_instead_of_saving_it(
    client: TestClient, photo: bytes, way: str
) -> None:
    """``disposition=inline``, in the query or in the form."""
    more: dict[str, Any] = {way: {"disposition": "inline", "size": "64"}}
    response = client.post(AVATARS, files={"photo": photo}, **more)
    assert response.headers["content-disposition"].startswith("inline;")


def test_settings_may_come_from_form_and_query_together(client: TestClient, photo: bytes) -> None:
    """A share sheet has its settings in the address; a form adds its own."""
    response = client.post(f"{AVATARS}?size=96", files={"photo": photo}, data={"format": "png"})
    assert opened(response).size == (96, 96)
    assert response.headers["content-type"] == "image/png"


def test_a_field_may_be_in_both_if_it_says_the_same(client: TestClient, photo: bytes) -> None:
    """Programs made from our document send what they know in the query and in the form."""
    settings = {"size": "96", "shape": "circle", "zoom": "1.0", "disposition": "inline"}
    response = client.post(AVATARS, params=settings, files={"photo": photo}, data={**settings, "zoom": "1"})
    assert opened(response).size == (96, 96)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-disposition"].startswith("inline;")


@pytest.mark.parametrize(
    ("field", "query", "form"),
    [("size", "96", "97"), ("slogan", "غزة", "القدس"), ("disposition", "inline", "attachment")],
)
def test_a_field_that_contradicts_itself_is_repeated(
    client: TestClient, photo: bytes, field: str, query: str, form: str
) -> None:
    """Which one would win is nobody's guess."""
    response = client.post(AVATARS, params={field: query}, files={"photo": photo}, data={field: form})
    problem = assert_problem(response, 422, "invalid_spec", "en")
    assert [(fault["field"], fault["code"]) for fault in problem["fields"]] == [(field, "repeated")]


def test_a_custom_slogan_is_drawn(client: TestClient, photo: bytes) -> None:
    """The words change the picture; empty words do not."""
    plain, empty, custom = (
        client.post(AVATARS, files={"photo": photo}, data={"size": "200", "format": "png", **words})
        for words in ({}, {"slogan": ""}, {"slogan": "غزة في القلب"})
    )
    assert plain.content == empty.content
    assert opened(custom).tobytes() != opened(plain).tobytes()


# -- which square ----------------------------------------------------------


def framing_of(response: httpx2.Response) -> tuple[str, dict[str, float]]:
    """Return by what the square was chosen, and its numbers."""
    kind, *numbers = response.headers["ribbons-framing"].split("; ")
    return kind, {name: float(number) for name, _, number in (part.partition("=") for part in numbers)}


@pytest.mark.parametrize(
    "asked", [{}, {"x": "0.25"}, {"y": "0.75", "zoom": "2"}, {"faces": "off"}, {"flip": "true", "zoom": ""}]
)
def test_the_answer_says_which_square_was_chosen(
    client: TestClient, portrait: bytes, frames: FrameLibrary, asked: dict[str, str]
) -> None:
    """What the core has chosen; what was given is kept."""
    response = client.post(AVATARS, content=portrait, params={"size": "64", **asked})
    spec = parse_spec({"size": "64", **asked}.items(), frames)
    assert response.headers["ribbons-framing"] == str(make_avatar(portrait, spec, Overlays(frames)).framing)
    kind, square = framing_of(response)
    assert kind in {"faces", "head", "centre"}
    assert square.keys() == {"x", "y", "zoom"}
    given = {name: float(value) for name, value in asked.items() if name in square and value}
    assert {**square, **given} == square


@pytest.mark.parametrize("way", ["params", "data"])
def test_a_square_that_was_given_is_said_to_be(client: TestClient, portrait: bytes, way: str) -> None:
    """As it was given, whatever keys it was typed with, and though its edge would move it."""
    given: dict[str, Any] = {way: {"size": "64", "x": "٠٫١", "y": "1", "zoom": "1,5"}}
    response = client.post(AVATARS, files={"photo": portrait}, **given)
    assert response.headers["ribbons-framing"] == "given; x=0.1; y=1.0; zoom=1.5"


def test_faces_are_looked_for_unless_that_is_off(client: TestClient, portrait: bytes) -> None:
    """By default, and in any word for yes; without them the middle of this square photo is taken."""
    kinds = {
        faces: framing_of(client.post(AVATARS, content=portrait, params={"size": "64", "faces": faces}))[0]
        for faces in ("", "on", "true", "OFF", "0")
    }
    assert kinds == {"": "faces", "on": "faces", "true": "faces", "OFF": "centre", "0": "centre"}


def test_the_operators_word_on_faces_wins(portrait: bytes) -> None:
    """With RIBBONS_FACES=false no request has its photo looked at, whatever it says; what is given stays."""
    with TestClient(create_app(load_settings(workers=1, deadline=30, faces=False))) as client:
        for asked in ({}, {"faces": "on"}):
            response = client.post(AVATARS, content=portrait, params={"size": "64", "zoom": "1.5", **asked})
            kind, square = framing_of(response)
            assert (kind, square["zoom"]) == ("centre", 1.5)
        assert 'ribbons_framings_total{kind="centre"} 2.0' in client.get("/metrics").text


def test_a_mirrored_photo_is_another_picture(client: TestClient, portrait: bytes) -> None:
    """The same square of it: where it is given, mirrored it is the same colours."""
    given = {"size": "64", "format": "png", "x": "0.4", "y": "0.6", "zoom": "1.2"}
    plain, mirrored = (
        client.post(AVATARS, content=portrait, params={**given, "flip": flip}) for flip in ("no", "yes")
    )
    assert plain.headers["ribbons-framing"] == mirrored.headers["ribbons-framing"]
    assert opened(plain).tobytes() != opened(mirrored).tobytes()


def test_what_was_chosen_can_be_asked_for(client: TestClient, portrait: bytes) -> None:
    """The numbers of the answer, sent back, give the same bytes."""
    settings = {"size": "128", "format": "png"}
    first = client.post(AVATARS, content=portrait, params=settings)
    _, square = framing_of(first)
    again = client.post(AVATARS, content=portrait, params={**settings, **square})
    assert again.headers["ribbons-framing"].startswith("given; ")
    assert again.content == first.content


def test_what_was_chosen_beside_a_finer_number_can_be_asked_for_with_it(
    client: TestClient, portrait: bytes
) -> None:
    """The header has three decimals: what is chosen has no more, what was given is sent as it was."""
    settings = {"size": "128", "format": "png", "zoom": "1.23456"}
    first = client.post(AVATARS, content=portrait, params=settings)
    _, square = framing_of(first)
    assert square["zoom"] == 1.235
    again = client.post(AVATARS, content=portrait, params={**square, **settings})
    assert again.content == first.content
    told = client.post(AVATARS, content=portrait, params={**settings, **square})
    assert told.content != first.content


def test_no_other_answer_says_anything_of_a_square(client: TestClient, photo: bytes) -> None:
    """Neither a refusal, nor another picture, nor what the page makes."""
    answers = [
        client.post(AVATARS, content=photo[:-500]),
        client.post(AVATARS, content=photo, params={"size": "1"}),
        client.post("/v1/renditions", content=photo),
        client.get("/v1/frames/red-ribbons/overlay.webp"),
        client.post("/en/made", files={"photo": photo}, headers={"accept": "application/json"}),
        client.post("/en/made", files={"photo": photo}),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 200, 200, 201, 200]
    for answer in answers:
        assert "framing" not in repr([*answer.headers.items(), *answer.history]).lower()
        assert b"framing" not in answer.content.lower().replace(b"/static/framing", b"")


# -- refusing --------------------------------------------------------------

Send = dict[str, Any]
JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"

BAD_PHOTOS: dict[str, tuple[Callable[[bytes], Send], int, str]] = {
    "nothing": (lambda _: {"content": b""}, 400, "photo_missing"),
    "an empty file": (lambda _: {"files": {"photo": ("a.jpg", b"")}}, 400, "photo_missing"),
    "a form without a photo": (lambda _: {"files": {"size": (None, "300")}}, 400, "photo_missing"),
    "text": (lambda _: {"files": {"photo": (None, "hello")}}, 415, "photo_not_supported"),
    "HTML": (lambda _: {"content": b"<!doctype html><p>hello"}, 415, "photo_not_supported"),
    "an SVG": (
        lambda _: {"content": b'<svg xmlns="http://www.w3.org/2000/svg"/>'},
        415,
        "photo_not_supported",
    ),
    "a ZIP": (lambda _: {"content": zipped()}, 415, "photo_not_supported"),
    "a urlencoded form": (lambda _: {"data": {"photo": "x"}}, 415, "photo_not_supported"),
    "JSON": (lambda _: {"json": {"photo": "x"}}, 415, "photo_not_supported"),
    "a gzipped photo": (
        lambda _: {"content": b"\x1f\x8b\x08", "headers": {"content-encoding": "gzip"}},
        415,
        "encoding_not_supported",
    ),
    "a form whose photo is uuencoded": (
        lambda _: {
            "files": {"photo": ("a.jpg", b"x", "image/jpeg", {"content-transfer-encoding": "x-uuencode"})}
        },
        415,
        "encoding_not_supported",
    ),
    "a form whose photo is called gzipped": (
        lambda photo: {"files": {"photo": ("a.jpg", photo, "image/jpeg", {"content-encoding": "gzip"})}},
        415,
        "encoding_not_supported",
    ),
    "a form whose photo is not in base64": (
        lambda photo: {
            "files": {"photo": ("a.jpg", photo, "image/jpeg", {"content-transfer-encoding": "base64"})}
        },
        400,
        "malformed_request",
    ),
    "half a photo": (lambda photo: {"content": photo[: len(photo) // 2]}, 422, "photo_damaged"),
    "the head of a photo": (lambda _: {"content": JPEG_HEAD}, 422, "photo_damaged"),
    "too many bytes": (lambda _: {"content": b"x" * 6_000_001}, 413, "photo_too_many_bytes"),
    "far too many bytes": (lambda _: {"content": b"x" * 7_000_000}, 413, "photo_too_many_bytes"),
    "two photos": (
        lambda photo: {"files": [("photo", photo), ("photo", photo)]},
        400,
        "malformed_request",
    ),
    "another file": (
        lambda photo: {"files": [("photo", photo), ("other", photo)]},
        422,
        "invalid_spec",
    ),
    "a form without a boundary": (
        lambda photo: {"content": photo, "headers": {"content-type": "multipart/form-data"}},
        400,
        "malformed_request",
    ),
    "a form cut short": (
        lambda photo: {"content": photo, "headers": {"content-type": "multipart/form-data; boundary=x"}},
        400,
        "malformed_request",
    ),
}

BAD_SPECS: dict[str, tuple[dict[str, str], str, str]] = {
    "size too small": ({"size": "63"}, "size", "out_of_range"),
    "size too large": ({"size": "2049"}, "size", "out_of_range"),
    "size enormous": ({"size": "9" * 1000}, "size", "out_of_range"),
    "size no number": ({"size": "big"}, "size", "not_an_integer"),
    "size a fraction": ({"size": "300.5"}, "size", "not_an_integer"),
    "x no number": ({"x": "left"}, "x", "not_a_number"),
    "x too large for any number": ({"x": "1e999"}, "x", "out_of_range"),
    "x infinite": ({"x": "inf"}, "x", "not_a_number"),
    "x not a number": ({"x": "nan"}, "x", "not_a_number"),
    "zoom out of range": ({"zoom": "0"}, "zoom", "out_of_range"),
    "rotate out of range": ({"rotate": "181"}, "rotate", "out_of_range"),
    "shape unknown": ({"shape": "star"}, "shape", "not_one_of"),
    "format unknown": ({"format": "bmp"}, "format", "not_one_of"),
    "circle without transparency": ({"shape": "circle", "format": "jpeg"}, "format", "needs_transparency"),
    "frame unknown": ({"frame": "nothing"}, "frame", "not_one_of"),
    "frame a path": ({"frame": "../../etc/passwd"}, "frame", "not_one_of"),
    "language not offered": ({"lang": "tlh"}, "lang", "not_one_of"),
    "slogan too long": ({"slogan": "ا" * 61}, "slogan", "too_long"),
    "slogan no text": ({"slogan": "a\x00b"}, "slogan", "not_text"),
    "field unknown": ({"colour": "green"}, "colour", "unknown"),
    "disposition unknown": ({"disposition": "sideways"}, "disposition", "not_one_of"),
}


def assert_problem(response: httpx2.Response, status: int, code: str, language: str) -> dict[str, Any]:
    """Check that an answer is a whole problem in one language, and return it."""
    assert response.status_code == status, response.headers
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-language"] == language
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"/v1/problems/{code}"
    texts = [
        problem["title"],
        problem["detail"],
        problem.get("hint", problem["title"]),
        *(fault["detail"] for fault in problem.get("fields", ())),
    ]
    for text in texts:
        assert "Traceback" not in text
        assert any("\u0600" <= character <= "\u06ff" for character in text) == (
            PAGE_LANGUAGES[language].direction == "rtl"
        )
    return problem


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("case", BAD_PHOTOS)
def test_a_bad_photo_is_a_clean_answer(client: TestClient, photo: bytes, case: str, language: str) -> None:
    """Status, code and text for each, in every language, in well under a second."""
    send, status, code = BAD_PHOTOS[case]
    request = send(photo)
    headers = {"accept-language": language, **request.pop("headers", {})}
    start = time.monotonic()
    response = client.post(AVATARS, headers=headers, **request)
    assert time.monotonic() - start < 2  # a few milliseconds, on a machine that does nothing else
    assert_problem(response, status, code, language)


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("way", ["form", "query"])
@pytest.mark.parametrize("case", BAD_SPECS)
def test_a_bad_spec_names_the_field(
    client: TestClient, photo: bytes, case: str, way: str, language: str
) -> None:
    """Each wrong value is named with a stable code, whichever way it came."""
    settings, field, code = BAD_SPECS[case]
    headers = {"accept-language": language}
    if way == "form":
        response = client.post(AVATARS, files={"photo": photo}, data=settings, headers=headers)
    else:
        response = client.post(AVATARS, content=photo, params=settings, headers=headers)
    problem = assert_problem(response, 422, "invalid_spec", language)
    assert [(fault["field"], fault["code"]) for fault in problem["fields"]] == [(field, code)]


@pytest.mark.parametrize("name", ["file", "Photo", "image", "avatar", "photo[]", "φωτογραφία"])
@pytest.mark.parametrize("address", [AVATARS, "/v1/renditions", "/en/made", "/ar/share"])
def test_a_photo_in_another_field_is_told_the_right_one(
    client: TestClient, photo: bytes, name: str, address: str
) -> None:
    """The commonest mistake: not that it has to be text, but what the field is called."""
    headers = {"accept": "application/json"}
    answer = client.post(address, files={name: ("photo.jpg", photo, "image/jpeg")}, headers=headers)
    problem = assert_problem(answer, 422, "invalid_spec", "ar" if address.startswith("/ar") else "en")
    (fault,) = problem["fields"]
    assert (fault["field"], fault["code"]) == (name, "unknown")
    if not address.startswith("/ar"):
        assert fault["detail"].startswith("There is no such field. The fields are: photo,")
        assert problem["hint"] == "Send one photo in the field “photo”, and the settings as fields."


def test_an_unknown_setting_is_named_with_the_others_that_are_wrong(client: TestClient, photo: bytes) -> None:
    """Short text is read on behind: it is a setting that does not exist, and not a photo."""
    answer = client.post(AVATARS, data={"colour": "red", "size": "1"}, files={"photo": photo})
    problem = assert_problem(answer, 422, "invalid_spec", "en")
    assert [fault["code"] for fault in problem["fields"]] == ["out_of_range", "unknown"]


def test_every_bad_field_is_named_at_once(client: TestClient, photo: bytes) -> None:
    """Nobody mends one field to be told of the next."""
    settings = {"size": "1", "x": "2", "colour": "red", "disposition": "sideways"}
    response = client.post(AVATARS, content=photo, params=settings)
    assert [fault["field"] for fault in response.json()["fields"]] == ["size", "x", "colour", "disposition"]


@pytest.mark.parametrize(
    ("slogan", "code"), [("غ" * 60, "slogan_does_not_fit"), ("سلام \U00012000", "missing_glyphs")]
)
def test_a_slogan_that_cannot_be_drawn(client: TestClient, photo: bytes, slogan: str, code: str) -> None:
    """The frame knows whether words fit and whether it has the letters."""
    response = client.post(AVATARS, files={"photo": photo}, data={"slogan": slogan})
    assert_problem(response, 422, code, "en")


def test_signs_are_named_to_readers_and_code_points_to_programs(client: TestClient, photo: bytes) -> None:
    """A flag is one sign to whoever has to take it out, and two characters to a program."""
    data = {"slogan": "\U0001f1f5\U0001f1f8 الحرية 1\ufe0f\u20e3"}
    problem = client.post(AVATARS, files={"photo": photo}, data=data).json()
    assert "\u2068\U0001f1f5\U0001f1f8\u2069 \u20681\ufe0f\u20e3\u2069" in problem["detail"]
    assert "U+" not in problem["detail"]
    assert problem["hint"] == "Their code points: U+1F1F5, U+1F1F8, U+20E3."


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("slogan=%C7%E1%CD%D1%ED%C9", "slogan"),  # windows-1256
        ("slogan=%E9%FF", "slogan"),
        ("slogan=%D8%A", "slogan"),
        ("slogan=%D8", "slogan"),
        ("slogan=%ED%A0%80", "slogan"),  # a surrogate
        ("slogan=%C0%AF", "slogan"),  # longer than it has to be
        ("size=64&lang=ar%FF", "lang"),
        ("side=%B2", "side"),
        ("v=%FF", "v"),
        ("%E9%2F=1", "%E9/"),
        (f"{'a' * 1000}=%FF", "a" * 64),
    ],
)
def test_a_query_that_is_not_utf8_is_told_its_field(
    client: TestClient, photo: bytes, query: str, field: str
) -> None:
    """Wherever there is a query, as in a form; what would be drawn is a diamond."""
    for answer in (
        client.post(f"{AVATARS}?{query}", content=photo),
        client.post(f"{AVATARS}?{query}", files={"photo": photo}),
        client.post(f"/v1/renditions?{query}", content=photo),
        client.get(f"{OVERLAY}?{query}"),
        client.get(f"{OVERLAY.replace('png', 'webp')}?{query}"),
        client.post(f"/en/made?{query}", files={"photo": photo}, headers={"accept": "application/json"}),
    ):
        problem = assert_problem(answer, 400, "malformed_request", "en")
        assert problem["detail"] == (
            f"The field “{field}” could not be read. It has to be short text in UTF-8."
        )


@pytest.mark.parametrize("slogan", ["%D8%BA%D8%B2%D8%A9+100%", "غزة%20100%", "%D8%BA%d8%b2%D8%A9+100%25"])
def test_a_query_in_utf8_is_read_as_programs_write_it(client: TestClient, slogan: str) -> None:
    """A plus sign is a space, and a percent sign that encodes nothing is one."""
    wanted = client.get(OVERLAY, params={"slogan": "غزة 100%", "size": "64"})
    assert wanted.status_code == 200
    assert client.get(f"{OVERLAY}?slogan={slogan}&size=64&shape=").content == wanted.content


def test_thousands_of_fields_in_the_query_are_one_short_answer(client: TestClient, photo: bytes) -> None:
    """An answer never grows with what was wrong."""
    query = "&".join(f"f{number}=" for number in range(MAX_FIELDS + 1))
    response = client.post(f"{AVATARS}?{query}", content=photo)
    assert_problem(response, 400, "malformed_request", "en")
    assert_problem(client.get(f"{OVERLAY}?{query}"), 400, "malformed_request", "en")


@pytest.mark.parametrize("path", ["/v1", "/v2/avatars", "/v1/avatars/", "/static/../app.py", "/%2e/x"])
def test_an_unknown_address(client: TestClient, path: str) -> None:
    """What does not exist is a problem like any other."""
    assert_problem(client.get(path, headers={"accept-language": "ar"}), 404, "not_found", "ar")


def test_a_wrong_method_says_which_ones_are_right(client: TestClient) -> None:
    """The answer carries Allow, as HTTP asks."""
    response = client.get(AVATARS)
    assert_problem(response, 405, "method_not_allowed", "en")
    assert response.headers["allow"] == "POST"
    for path in ("/v1/frames", "/docs", "/static/docs/index.html"):
        response = client.delete(path, headers={"accept-language": "ar"})
        problem = assert_problem(response, 405, "method_not_allowed", "ar")
        assert response.headers["allow"] == "GET, HEAD"
        assert "GET" in problem["hint"]


# -- frames ----------------------------------------------------------------


def test_the_frames_are_listed_in_the_campaigns_order(client: TestClient, frames: FrameLibrary) -> None:
    """Each with its texts, its languages and the address of its picture."""
    response = client.get("/v1/frames")
    assert response.headers["cache-control"].startswith("public")
    listed = response.json()
    assert [frame["id"] for frame in listed] == [frame.id for frame in frames]
    for frame in listed:
        assert {"ar", "en"} <= frame["title"].keys()
        assert "ar" in frame["languages"]
        assert client.get(frame["overlay"], params={"size": "64"}).status_code == 200
        assert client.get(f"/v1/frames/{frame['id']}").json() == frame


@pytest.mark.parametrize("suffix", ["", "/overlay.png", "/overlay.webp"])
def test_an_unknown_frame(client: TestClient, suffix: str) -> None:
    """The answer names the frames there are."""
    problem = assert_problem(client.get(f"/v1/frames/nothing{suffix}"), 404, "frame_not_found", "en")
    assert "red-ribbons" in problem["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/frames",
        "/v1/frames/red-ribbons",
        f"{OVERLAY}?size=64",
        "/v1/frames/red-ribbons/overlay.webp?size=64",
        "/v1/problems",
        "/v1/problems/busy",
        "/healthz",
        "/readyz",
        "/metrics",
        "/",
        "/docs",
        "/openapi.json",
        "/static/docs/index.html",
    ],
)
def test_a_head_is_a_get_without_the_body(client: TestClient, path: str) -> None:
    """Status and headers agree."""
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


# -- problems, other sites -------------------------------------------------


def test_the_type_of_a_problem_leads_somewhere(client: TestClient) -> None:
    """RFC 9457 asks that a type which is an address says what it means."""
    problem = client.get("/nowhere").json()
    described = client.get(problem["type"]).json()
    assert (described["code"], described["status"]) == ("not_found", 404)
    assert described in client.get("/v1/problems").json()
    assert client.get("/v1/problems/nothing").status_code == 404


def test_any_site_may_use_the_api(client: TestClient, photo: bytes) -> None:
    """There are no cookies and no users, so no other site can act for somebody."""
    headers = {"origin": "https://partner.example"}
    asked = client.options(
        AVATARS,
        headers={**headers, "access-control-request-method": "POST"},
    )
    assert asked.headers["access-control-allow-origin"] == "*"
    response = client.post(AVATARS, content=photo, params={"size": "64"}, headers=headers)
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    exposed = response.headers["access-control-expose-headers"].lower().split(", ")
    assert {"ribbons-framing", "retry-after"} <= set(exposed)
