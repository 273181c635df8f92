"""Answers that are kept packed: the same bytes, to whom they belong, and packed once."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import TYPE_CHECKING

import brotli
import pytest

from app.web import packing
from app.web.pages.assets import STATIC_FOLDER, Assets

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

PATHS = ["/ar", "/fr/ios", "/ur/offline", "/v1/frames", "/service-worker.js", "/openapi.json", "/docs"]


def raw(client: TestClient, path: str, encoding: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    """Return an answer's bytes as they come, and its headers."""
    with client.stream("GET", path, headers={"accept-encoding": encoding, **headers}) as answer:
        return b"".join(answer.iter_raw()), dict(answer.headers)


UNPACK: dict[str, Callable[[bytes], bytes]] = {"br": brotli.decompress, "gzip": gzip.decompress}


ASSETS = Assets(STATIC_FOLDER)
KEPT_FOR_EVER = [ASSETS.address("editor.js"), ASSETS.address("yunet.int8")]


@pytest.mark.parametrize("path", [*PATHS, *KEPT_FOR_EVER, "/static/docs/rapidoc-min.js"])
def test_packed_is_the_same(client: TestClient, path: str) -> None:
    """Whatever a client takes, first or again, it gets the same bytes and headers, but for the packing."""
    plain, plain_headers = raw(client, path, "identity")
    for encoding in ("br", "gzip"):
        for _ in range(2):
            packed, headers = raw(client, path, f"deflate, {encoding}")
            assert UNPACK[encoding](packed) == plain
            assert len(packed) < len(plain)
            assert headers.pop("content-encoding") == encoding
            assert headers.pop("content-length") == str(len(packed))
            assert "Accept-Encoding" in headers.pop("vary")
            assert headers.items() <= plain_headers.items()


@pytest.mark.parametrize("path", ["/ar", "/v1/frames", "/v1/stats"])
@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
def test_head_tells_what_get_would(client: TestClient, path: str, encoding: str) -> None:
    """Also of what is packed: its length is that of the packed bytes (RFC 9110, 8.6)."""
    headers = {"accept-encoding": encoding}
    head, got = client.head(path, headers=headers), client.get(path, headers=headers)
    assert head.headers == got.headers
    assert head.content == b""


def test_what_changes_each_time_pushes_out_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics are read four times a minute, and nobody gets the same ones again."""
    monkeypatch.setattr(packing, "_PACKERS", {"br": None, "gzip": None})
    packed, headers = raw(client, "/metrics", "gzip")
    assert b"ribbons_http_requests" in gzip.decompress(packed)
    assert headers["cache-control"] == "no-store"


def test_what_many_ask_for_is_packed_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred pages at once would hold everybody up for as long as packing two hundred takes."""
    packed: Counter[bytes] = Counter()

    def pack(body: bytes) -> bytes:
        packed[body] += 1
        return bytes(brotli.compress(body, quality=1))

    monkeypatch.setattr(packing, "_PACKERS", {"br": pack})
    for _ in range(3):
        for path in PATHS:
            # Of addresses that no other test asks for.
            raw(client, path, "br", host="packed.example")
    assert set(packed.values()) == {1}


@pytest.mark.parametrize("path", ["/ar", *KEPT_FOR_EVER])
def test_what_browsers_keep_for_ever_is_as_small_as_it_can_be(client: TestClient, path: str) -> None:
    """A page, which is packed anew for each address and after each change, is not waited for so long."""
    plain, headers = raw(client, path, "identity")
    packed, _ = raw(client, path, "br")
    is_for_ever = "immutable" in headers["cache-control"]
    assert is_for_ever is (path in KEPT_FOR_EVER)
    quality = packing.BEST_BROTLI_QUALITY if is_for_ever else packing.BROTLI_QUALITY
    assert packed == brotli.compress(plain, quality=quality)


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("BR;q=0.1, gzip", "br"),
        ("gzip;q=1.0, br;q=0", "gzip"),
        ("br; q=0.000", None),
        ("br;q=0.001", "br"),
        ("deflate", None),
        ("", None),
        (";;,,=", None),
    ],
)
def test_a_client_gets_what_it_takes(client: TestClient, accepted: str, expected: str | None) -> None:
    """Brotli before gzip, and neither where it was refused."""
    assert raw(client, "/ar", accepted)[1].get("content-encoding") == expected


def test_pages_that_are_kept_are_each_visitors_own(client: TestClient) -> None:
    """Language, address and what was said to one visitor are not shown to the next."""
    for host in ("one.example", "two.example", "one.example"):
        for lang in ("ar", "en"):
            page = client.get(f"/{lang}/ios", headers={"host": host}).text
            assert f'lang="{lang}"' in page
            assert f"http://{host}" in page
            assert ("two.example" if host == "one.example" else "one.example") not in page
    deleted = "Your picture has been deleted."
    for query, is_told in (("", False), ("?deleted", True), ("", False)):
        assert (deleted in client.get(f"/en{query}").text) == is_told


def test_the_description_keeps_its_tag(client: TestClient) -> None:
    """Whoever has the script already is told so."""
    first = client.get("/static/docs/rapidoc-min.js")
    again = client.get("/static/docs/rapidoc-min.js", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert client.get("/static/docs/nothing.js").status_code == 404
