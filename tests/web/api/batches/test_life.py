from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.keys import new_key
from app.settings import load_settings
from app.web.app import create_app
from app.web.http.json_bodies import MAX_JSON_BYTES
from tests.partners import PartnerProgram, new_partner_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Serve, Server

BATCHES = "/v1/batches"

# Everything that has an address, below a batch.
ADDRESSES = [
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/start"),
    ("GET", "/photos"),
    ("PUT", "/photos/a.jpg"),
    ("POST", "/photos/a.jpg/framing"),
    ("PUT", "/archive"),
    ("PUT", "/table"),
    ("GET", "/events"),
    ("GET", "/report.csv"),
    ("GET", "/avatars.zip"),
    ("GET", "/contact-sheet.webp"),
    ("GET", "/avatars/a.jpg"),
    ("GET", "/thumbnails/a.jpg"),
    ("POST", "/downloads"),
]


def fields_of(answer: httpx2.Response) -> dict[str, str]:
    """Return which fields an answer says are wrong, and how."""
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "invalid_spec"
    return {fault["field"]: fault["code"] for fault in problem["fields"]}


# -- the whole of it -------------------------------------------------------


def test_a_batch_lives(partner: PartnerProgram, photo: bytes) -> None:
    """Made, sent to, started, drawn, taken home, erased; at each step it tells where it is."""
    made = partner.post(BATCHES, json={"spec": {"size": 64, "lang": "en"}, "expected": 3, "name": "Staff"})
    assert made.status_code == 201
    shown = made.json()
    batch = made.headers["location"]
    assert batch == shown["links"]["batch"] == f"{BATCHES}/{shown['id']}"
    assert (shown["state"], shown["name"], shown["expected"]) == ("open", "Staff", 3)
    assert shown["spec"] == {"size": "64", "lang": "en"}
    assert (shown["started"], shown["finished"], shown["trouble"]) == (None, None, None)
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        assert partner.send_photo(batch, name, photo).status_code == 201
    assert partner.shown(batch)["received"] == 3
    started = partner.post(f"{batch}/start")
    assert started.status_code == 202
    assert started.json()["state"] in {"running", "done"}
    ended = partner.until_done(batch)
    assert (ended["done"], ended["failed"], ended["waiting"], ended["missing"]) == (3, 0, 0, 0)
    assert ended["created"] <= ended["started"] <= ended["finished"] < ended["expires"]
    assert shown["id"] in [each["id"] for each in partner.get(BATCHES).json()["batches"]]
    for path in ended["links"].values():
        assert path == batch or path.startswith(f"{batch}/")
    assert partner.delete(batch).status_code == 204
    assert partner.delete(batch).status_code == 404
    assert partner.get(batch).status_code == 404
    assert shown["id"] not in [each["id"] for each in partner.get(BATCHES).json()["batches"]]


def test_a_started_batch_may_be_started_again(partner: PartnerProgram, done: str) -> None:
    """Who does not know whether the first answer got lost asks once more, and nothing is drawn twice."""
    before = partner.shown(done)
    again = partner.post(f"{done}/start")
    assert again.status_code == 202
    assert again.json()["started"] == before["started"]
    assert partner.shown(done) == before


def test_an_answer_is_nobodys_to_keep(partner: PartnerProgram, batch: str) -> None:
    """What is told of a batch changes, and is a partner's own."""
    for path in (BATCHES, batch, f"{batch}/photos"):
        assert partner.get(path).headers["cache-control"] == "no-store"


def test_what_is_missing_is_named_before_the_start(partner: PartnerProgram, photo: bytes) -> None:
    """Photos that the table names, and the number that was expected; one may start without them."""
    batch = partner.new_batch(expected=4)
    partner.send_photo(batch, "here.jpg", photo)
    table = "photo\r\nhere.jpg\r\nعلي.jpg\r\n".encode()
    assert partner.put(f"{batch}/table", content=table).status_code == 200
    refused = partner.post(f"{batch}/start")
    assert (refused.status_code, refused.json()["code"]) == (409, "batch_incomplete")
    assert "علي.jpg" in refused.json()["detail"]
    assert "3" in refused.json()["detail"]
    assert partner.shown(batch)["state"] == "open"
    assert partner.post(f"{batch}/start", params={"without_missing": "true"}).status_code == 202
    ended = partner.until_done(batch)
    assert (ended["done"], ended["missing"]) == (1, 1)


# -- whose it is -----------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("GET", None), ("POST", None), *ADDRESSES])
def test_no_address_answers_without_a_key(
    batch_server: Server, partner: PartnerProgram, done: str, method: str, path: str | None
) -> None:
    """401, and how to ask; so for a key that is none, for one that nobody has, and for another scheme."""
    url = batch_server.url + (BATCHES if path is None else f"{done}{path}")
    key = partner.headers["authorization"].removeprefix("Bearer ")
    for authorization, code in (
        (None, "key_missing"),
        ("Bearer", "key_missing"),
        (f"Basic {key}", "key_missing"),
        ("Bearer x", "key_not_known"),
        (f"Bearer {key[:-1]}", "key_not_known"),
        (f"Bearer {new_key()}", "key_not_known"),
        ("Bearer rrk_ü".encode().decode("latin-1"), "key_not_known"),
    ):
        headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
        answer = httpx2.request(method, url, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (401, code), authorization
        assert answer.headers["www-authenticate"].startswith('Bearer realm="partners"')
        assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_a_partner_does_not_see_anothers_batch(
    other: PartnerProgram, done: str, method: str, path: str
) -> None:
    """It is not there, as one that never was."""
    body = {"json": {"file": "report.csv"}} if path == "/downloads" else {"content": b""}
    of_others = other.request(method, f"{done}{path}", **body)
    of_nobody = other.request(method, f"{BATCHES}/b_{secrets.token_urlsafe(16)}{path}", **body)
    assert of_others.status_code == of_nobody.status_code == 404
    assert of_others.json() == of_nobody.json()
    assert of_others.json()["code"] == "batch_not_found"


def test_a_list_has_the_partners_own_only(partner: PartnerProgram, other: PartnerProgram, done: str) -> None:
    """And theirs is not among others'."""
    assert done in [batch["links"]["batch"] for batch in partner.get(BATCHES).json()["batches"]]
    assert done not in [batch["links"]["batch"] for batch in other.get(BATCHES).json()["batches"]]


@pytest.mark.parametrize(
    "name", ["x", "b_", "b_%00", "b_%2e%2e", "b_" + "x" * 100, "b_ü", "%F0%9F%98%80", "b_'%20OR%201=1"]
)
def test_what_is_no_batchs_id_is_not_there(partner: PartnerProgram, name: str) -> None:
    """Whatever it is, it leads to no file and into no database."""
    assert partner.get(f"{BATCHES}/{name}").json()["code"] == "batch_not_found"


def test_a_revoked_key_is_not_known(batch_server: Server, batch_data: Path) -> None:
    """From the next request on."""
    from app.bulk.ledger import Ledger  # noqa: PLC0415

    with PartnerProgram(batch_server.url, new_partner_key(batch_data)) as program:
        assert program.get(BATCHES).status_code == 200
        ledger = Ledger.build(load_settings(data_folder=batch_data))
        last = ledger.all_partners()[-1]
        assert ledger.revoke_partner(last.id)
        ledger.close()
        assert program.get(BATCHES).json()["code"] == "key_not_known"


# -- what is asked for -----------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"spec": {"size": 5000}}, {"size": "out_of_range"}),
        ({"spec": {"size": "large", "colour": "red"}}, {"size": "not_an_integer", "colour": "unknown"}),
        ({"spec": {"size": 1.5}}, {"size": "not_an_integer"}),
        ({"spec": {"x": 1e400}}, {"x": "not_a_number"}),
        ({"spec": {"size": [64]}}, {"size": "not_a_value"}),
        ({"spec": {"slogan": {"ar": "x"}}}, {"slogan": "not_a_value"}),
        ({"spec": []}, {"spec": "not_an_object"}),
        ({"spec": "frame=red-ribbons"}, {"spec": "not_an_object"}),
        ({"expected": 0}, {"expected": "out_of_range"}),
        ({"expected": 10**30}, {"expected": "out_of_range"}),
        ({"expected": "many"}, {"expected": "not_an_integer"}),
        ({"expected": True}, {"expected": "not_an_integer"}),
        ({"expected": [3]}, {"expected": "not_a_value"}),
        ({"webhook": "http://example.org/"}, {"webhook": "not_a_webhook"}),
        ({"webhook": "https://127.0.0.1/"}, {"webhook": "not_a_webhook"}),
        ({"webhook": "\x00"}, {"webhook": "not_a_webhook"}),
        ({"name": "x" * 101}, {"name": "too_long"}),
        ({"name": "a\nb"}, {"name": "not_text"}),
        ({"name": "a\x00"}, {"name": "not_text"}),
        ({"name": ["a"]}, {"name": "not_a_value"}),
        ({"frames": 1, "size": 64}, {"frames": "unknown", "size": "unknown"}),
        (
            {"spec": {"size": 1, "shape": "round"}, "expected": 0, "webhook": "ftp://x", "name": "x" * 101},
            {
                "size": "out_of_range",
                "shape": "not_one_of",
                "expected": "out_of_range",
                "webhook": "not_a_webhook",
                "name": "too_long",
            },
        ),
    ],
)
def test_every_bad_field_is_named(
    partner: PartnerProgram, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    """At once, with what is wrong with each, and nothing is made."""
    before = len(partner.get(BATCHES).json()["batches"])
    # Python's own JSON writes Infinity; what is sent here is a number that is too large.
    content = json.dumps(body).replace("Infinity", "1e400")
    assert fields_of(partner.post(BATCHES, content=content)) == wrong
    assert len(partner.get(BATCHES).json()["batches"]) == before


def test_values_come_as_json_has_them_or_as_words(partner: PartnerProgram) -> None:
    """Numbers, yes and no, texts; null and nothing are the default. A body of no type is JSON, too."""
    spec = {"size": 64, "zoom": 1.5, "flip": True, "rotate": "٤٥", "slogan": None, "lang": ""}
    made = partner.post(BATCHES, content=json.dumps({"spec": spec, "expected": "٣", "name": 2026}))
    assert made.status_code == 201
    shown = made.json()
    assert shown["spec"] == {"size": "64", "zoom": "1.5", "flip": "true", "rotate": "٤٥"}
    assert (shown["expected"], shown["name"]) == (3, "2026")


def test_everything_may_be_left_out(partner: PartnerProgram) -> None:
    """Without a body, or with an empty one, avatars are as they are by default."""
    for content in (b"", b"{}", b" {} "):
        made = partner.post(BATCHES, content=content)
        assert (made.status_code, made.json()["spec"]) == (201, {})


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"1",
        b"null",
        b'"x"',
        b"{} {}",
        b"\xff",
        b'{"expected": NaN}',
        b'{"spec": {"x": Infinity}}',
        b'{"name": "\\ud800"}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b"[" * 30_000,
        b'{"spec":' * 8_000,
        b" " * (MAX_JSON_BYTES + 1),
    ],
    ids=repr,
)
def test_what_is_no_json_is_refused(partner: PartnerProgram, content: bytes) -> None:
    """Or is too long, or too deep, or holds what no text can be: 400, and what it has to be."""
    answer = partner.post(BATCHES, content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert "64 KB" in answer.json()["detail"]
    assert "hint" not in answer.json()


def test_a_packed_body_is_refused(partner: PartnerProgram) -> None:
    """As everywhere."""
    answer = partner.post(BATCHES, content=b"{}", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "encoding_not_supported")


def test_a_name_that_comes_twice_is_told(partner: PartnerProgram) -> None:
    """Programs take the first or the last; nobody shall find out with 3,000 avatars."""
    answer = partner.post(BATCHES, content=b'{"spec": {"size": 64, "size": 65}}')
    assert fields_of(answer) == {"size": "repeated"}


def test_own_words_that_do_not_fit_are_told_before_anything_is_sent(partner: PartnerProgram) -> None:
    """They would not fit on each of the avatars."""
    spec = {"frame": "ribbon-loop", "slogan": "W" * 60}
    answer = partner.post(BATCHES, json={"spec": spec})
    assert (answer.status_code, answer.json()["code"]) == (422, "slogan_does_not_fit")
    assert partner.post(BATCHES, json={"spec": {**spec, "slogan": "حرية"}}).status_code == 201


def test_a_partner_has_so_many_batches_at_once(serve: Serve, tmp_path: Path, photo: bytes) -> None:
    """429, and when to try again; one that is done makes room."""
    with (
        serve(batches="true", data_folder=str(tmp_path / "data"), batches_at_once=2) as server,
        PartnerProgram(server.url, new_partner_key(tmp_path / "data")) as program,
    ):
        first, _ = program.new_batch(), program.new_batch()
        refused = program.post(BATCHES, json={})
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_used_up")
        assert int(refused.headers["retry-after"]) > 0
        assert "ratelimit" in refused.headers
        program.send_photo(first, "a.jpg", photo)
        program.start(first)
        assert program.post(BATCHES, json={}).status_code == 201


# -- the same request again ------------------------------------------------


def test_the_same_request_makes_one_batch(partner: PartnerProgram) -> None:
    """By its Idempotency-Key, with and without quotation marks, however its JSON is spaced and ordered."""
    key = secrets.token_hex(8)
    body = {"spec": {"size": 64, "lang": "en"}, "expected": 2}
    turned = json.dumps({"expected": 2, "spec": {"lang": "en", "size": 64}}, indent=4)
    answers = [
        partner.post(BATCHES, json=body, headers={"Idempotency-Key": f'"{key}"'}),
        partner.post(BATCHES, content=turned, headers={"Idempotency-Key": key}),
        partner.post(BATCHES, json=body, headers={"Idempotency-Key": f'"{key}"'}),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_another_request_with_the_key_is_refused(partner: PartnerProgram, other: PartnerProgram) -> None:
    """422; another partner's key is another one."""
    key = {"Idempotency-Key": f'"{secrets.token_hex(8)}"'}
    assert partner.post(BATCHES, json={"expected": 2}, headers=key).status_code == 201
    refused = partner.post(BATCHES, json={"expected": 3}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert other.post(BATCHES, json={"expected": 3}, headers=key).status_code == 201


def test_the_same_request_at_the_same_moment_makes_one_batch(partner: PartnerProgram) -> None:
    """Each answer is that batch, or that the first one is not answered yet."""
    key = {"Idempotency-Key": secrets.token_hex(8)}

    def ask(_: int) -> httpx2.Response:
        return partner.post(BATCHES, json={"expected": 2}, headers=key)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(16)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "idempotency_key_in_use"
    }


@pytest.mark.parametrize("key", ["", '""', '"a', 'a"', '"a"b', "a b", "x" * 256, '"\x7f"', "a,b", '"a", "b"'])
def test_a_malformed_key_is_refused(partner: PartnerProgram, key: str) -> None:
    """400, before anything is made."""
    answer = partner.post(BATCHES, json={}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_idempotency_key")


# -- around it -------------------------------------------------------------


def test_other_sites_may_use_it(batch_server: Server, partner: PartnerProgram, batch: str) -> None:
    """By a key that they have to have; nothing that a browser sends by itself lets anybody in."""
    asked = {
        "Origin": "https://partner.example",
        "Access-Control-Request-Headers": "authorization,idempotency-key,content-digest,last-event-id,range",
    }
    for method in ("GET", "PUT", "POST", "DELETE"):
        headers = {**asked, "Access-Control-Request-Method": method}
        allowed = httpx2.options(f"{batch_server.url}{batch}", headers=headers)
        assert allowed.status_code == 200
        assert method in allowed.headers["access-control-allow-methods"]
        for name in asked["Access-Control-Request-Headers"].split(","):
            assert name in allowed.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in allowed.headers
    answer = partner.get(batch, headers={"Origin": "https://partner.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert exposed >= {"Location", "ETag", "Content-Range", "Accept-Ranges", "RateLimit", "RateLimit-Policy"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "GET, HEAD, DELETE"),
        ("/photos", "GET, HEAD"),
        ("/photos/a.jpg", "GET, HEAD, PUT"),
        ("/photos/a.jpg/framing", "GET, HEAD, POST, PUT"),  # a photo may have that name
        ("/start", "POST"),
    ],
)
def test_another_method_is_refused_with_those_that_there_are(
    partner: PartnerProgram, batch: str, path: str, allowed: str
) -> None:
    """405, with all that the address takes."""
    answer = partner.patch(f"{batch}{path}")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


def test_without_batches_there_are_no_such_addresses() -> None:
    """``RIBBONS_BATCHES=false``: no route, and no word of it in the description."""
    app = create_app(load_settings(batches=False))
    client = TestClient(app)
    for method, path in (("GET", BATCHES), ("POST", BATCHES), ("GET", f"{BATCHES}/b_x")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    document = client.get("/openapi.json").json()
    assert not [path for path in document["paths"] if path.startswith(BATCHES)]
    assert "NewBatch" not in document["components"]["schemas"]
    assert "batches" not in {tag["name"] for tag in document["tags"]}


def test_errors_speak_the_askers_language(partner: PartnerProgram) -> None:
    """As everywhere."""
    answer = partner.get(f"{BATCHES}/b_x", headers={"Accept-Language": "ar"})
    assert answer.headers["content-language"] == "ar"
