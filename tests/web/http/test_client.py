"""Who is taken for whom, by the address of the connection and by what proxies say."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from app.web.http.client import Parties

PROXY = "127.0.0.1"
BELIEVING = Parties([ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("2001:db8:aaaa::/48")])
NOT_BELIEVING = Parties()


def request_from(address: str | None, *forwarded: str) -> Request:
    """Return a request over a connection from an address, with these ``X-Forwarded-For``."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    client = (address, 50_000) if address is not None else None
    return Request({"type": "http", "headers": headers, "client": client})


def is_taken_for(address: str, *forwarded: str, peer: str = PROXY) -> bool:
    """Tell whether what comes over a proxy counts as coming from an address."""
    return BELIEVING.of(request_from(peer, *forwarded)) == BELIEVING.of(request_from(address))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "::FFFF:C000:0201"),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
        ("2001:db8::1", "2001:0DB8:0:0:8000::"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_these_are_one_party(one: str, other: str) -> None:
    """An address however it is written, and a network of IPv6."""
    assert NOT_BELIEVING.of(request_from(one)) == NOT_BELIEVING.of(request_from(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("192.0.2.1", "::192.0.2.1"),
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("::1", "127.0.0.1"),
    ],
)
def test_these_are_two_parties(one: str, other: str) -> None:
    """Neighbours are strangers."""
    assert NOT_BELIEVING.of(request_from(one)) != NOT_BELIEVING.of(request_from(other))


@pytest.mark.parametrize("peer", [None, "", "testclient", "/run/ribbons.sock"])
def test_a_connection_without_an_address_is_of_one_party(peer: str | None) -> None:
    """A Unix socket has none, and what it claims is believed no more than from anybody else."""
    for parties in (BELIEVING, NOT_BELIEVING):
        assert parties.of(request_from(peer)) == parties.of(request_from(None, "192.0.2.1"))
        assert parties.of(request_from(peer)) != parties.of(request_from("192.0.2.1"))


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "::1", "2001:db8::1"])
def test_without_the_setting_nobody_is_believed(peer: str) -> None:
    """Not even this machine."""
    claimed = NOT_BELIEVING.of(request_from(peer, "198.51.100.7"))
    assert claimed == NOT_BELIEVING.of(request_from(peer))


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.2", "::1", "2001:db8:aaab::1", "11.0.0.1"])
def test_who_is_not_in_the_setting_is_not_believed(peer: str) -> None:
    """Whatever they claim, in one header or in many."""
    assert is_taken_for(peer, "198.51.100.7", "127.0.0.1", peer=peer)


@pytest.mark.parametrize(
    ("claim", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        (" 198.51.100.7\t", "198.51.100.7"),
        ("198.51.100.7:443", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("[::ffff:198.51.100.7]:80", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:DB8:0::7%eth0", "2001:db8::7"),
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, garbage, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("198.51.100.7, 10.1.2.3:80, 2001:db8:aaaa:1::5, 127.0.0.1", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3, 10.9.9.9", "10.1.2.3"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has_is_who_came(claim: str, address: str) -> None:
    """Over one proxy or several; where all are trusted, the farthest of them has come itself."""
    assert is_taken_for(address, claim)


@pytest.mark.parametrize(
    "claim",
    [
        "",
        " ",
        ",",
        "unknown",
        "_hidden",
        "6.6.6.6, unknown",
        "6.6.6.6,",
        "6.6.6.6 7.7.7.7",
        '"6.6.6.6"',
        "for=6.6.6.6",
        "6.6.6",
        "06.6.6.6",
        "6.6.6.6.6",
        "6.6.6.999",
        "6.6.6.0/24",
        "6.6.6.6:",
        "6.6.6.6:x",
        ":80",
        "[6.6.6.6",
        "[]",
        "[]:80",
        "[[::1]]",
        "2001:db8::7]:443",
        "2001:db8:::7",
        "%eth0",
        "::%",
        "1e3",
        "１.1.1.1",
        "\xff\x00",
        "6.6.6.6\n127.0.0.1",
        "x" * 30_000,
        "6.6.6.6;" * 3000,
    ],
)
def test_what_is_no_address_counts_as_the_proxy_that_wrote_it(claim: str) -> None:
    """Nobody chooses a party by nonsense, before it or with it, and nothing breaks."""
    written = claim.encode("utf-8").decode("latin-1")
    assert is_taken_for(PROXY, written)
    assert is_taken_for("10.1.2.3", f"{written}, 10.1.2.3")


def test_many_headers_are_one_list() -> None:
    """A proxy may add a line of its own instead of lengthening another's."""
    assert is_taken_for("198.51.100.7", "6.6.6.6, 198.51.100.7", "10.1.2.3, 10.1.2.4")
    assert is_taken_for("198.51.100.7", "6.6.6.6", "198.51.100.7")
    assert is_taken_for("10.1.2.3", "6.6.6.6", "unknown", "10.1.2.3")


@pytest.mark.parametrize("peer", ["::ffff:127.0.0.1", "10.200.0.1", "2001:db8:aaaa:ffff::1"])
def test_a_proxy_is_known_however_it_is_written(peer: str) -> None:
    """What listens on :: is told of IPv4 in the form of IPv6."""
    assert is_taken_for("198.51.100.7", "198.51.100.7", peer=peer)


def test_a_long_header_takes_no_time() -> None:
    """It is read from its end, and no further than to the first address that is not trusted."""
    request = request_from(PROXY, "6.6.6.6," * 3700 + "198.51.100.7")
    start = time.perf_counter()
    for _ in range(10):
        BELIEVING.of(request)
    assert time.perf_counter() - start < 0.1


def test_a_party_tells_no_address() -> None:
    """Another process has another key; the same address has another hash there, of one length always."""
    request = request_from("192.0.2.1")
    assert NOT_BELIEVING.of(request) == NOT_BELIEVING.of(request)
    assert NOT_BELIEVING.of(request) != Parties().of(request)
    assert {len(NOT_BELIEVING.of(request_from(peer))) for peer in ("192.0.2.1", "::1", None)} == {16}
    assert "192" not in repr(NOT_BELIEVING)
