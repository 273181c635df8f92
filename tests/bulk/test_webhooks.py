from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from app.bulk import webhooks
from app.bulk.webhooks import Delivery, check_url, deliver, is_on_the_internet, next_try
from app.errors import InvalidSpec
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"id":"b_1","name":"أسرى"}'.encode()
HOST = "hooks.example.org"
FAILED = Delivery("failed")
DELIVERED = Delivery("delivered")


def certificate(
    host: str, ca: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None, **wrong: bool
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate of a host and its key; without a CA, of one that is its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    ends = now - timedelta(days=1) if wrong.get("is_expired") else now + timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca[0].subject if ca else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca:
        names = [x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca[1] if ca else key, hashes.SHA256()), key


class Certificates:
    """A certificate authority of our own, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = certificate("an authority", None)
        self.trusting = ssl.create_default_context(
            cadata=self._ca[0].public_bytes(serialization.Encoding.PEM).decode()
        )

    def of(self, host: str, **wrong: bool) -> ssl.SSLContext:
        """Return what a server of a host needs."""
        signed, key = certificate(host, None if wrong.get("is_its_own") else self._ca, **wrong)
        file = self._folder / f"{host}-{len(wrong)}.pem"
        file.write_bytes(
            signed.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority that the tests trust."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Server:
    """A TLS server on the loopback, which notes what it was asked and answers as it is told."""

    def __init__(self, answer: Callable[[ssl.SSLSocket], None], context: ssl.SSLContext) -> None:
        self.requests: list[tuple[bytes, dict[str, str], bytes]] = []
        self.names: list[str | None] = []
        self.connections = 0
        self._answer = answer
        self._context = context
        self._context.sni_callback = self._note_name
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def _note_name(self, _socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.names.append(name)

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve, one connection after the other."""
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            thread.join(20)
            assert not thread.is_alive()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                connection.settimeout(15)
                with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as secure:
                    self.requests.append(_request(secure))
                    self._answer(secure)


def _request(secure: ssl.SSLSocket) -> tuple[bytes, dict[str, str], bytes]:
    with secure.makefile("rb") as file:
        line = file.readline().rstrip()
        headers = {}
        while header := file.readline().rstrip():
            name, _, value = header.decode().partition(": ")
            headers[name.lower()] = value
        return line, headers, file.read(int(headers["content-length"]))


def says(answer: str) -> Callable[[ssl.SSLSocket], None]:
    """Answer with a status and headers."""
    return lambda secure: secure.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.fixture
def ok(certificates: Certificates) -> Iterator[Server]:
    """A server that is content with whatever it is sent."""
    with Server(says("204 No Content"), certificates.of(HOST)).running() as server:
        yield server


def any_address(_: object) -> bool:
    """Allow every address: the tests' server is on the loopback."""
    return True


def loopback(_host: str, _port: int) -> Sequence[str]:
    """Find every host on the loopback."""
    return ("127.0.0.1",)


@dataclass
class Sender:
    """Sends messages, trusting the tests' authority, and finding every host on the loopback."""

    certificates: Certificates
    resolve: webhooks.Resolve = lambda *_: ("127.0.0.1",)
    is_allowed: Callable[[webhooks.Address], bool] = lambda _: True

    def send(self, url: str, now: datetime | None = None, message_id: str = "msg_1") -> Delivery:
        """Send a message to an address."""
        return deliver(
            url,
            message_id,
            BODY,
            SECRET,
            now or datetime.now(UTC),
            resolve=self.resolve,
            is_allowed=self.is_allowed,
            context=self.certificates.trusting,
        )


def send(server: Server, certificates: Certificates, **how: Any) -> Delivery:
    """Send a message to a server by its name."""
    return Sender(certificates, **how).send(f"https://{HOST}:{server.port}/hook?a=%2F")


def test_a_message_arrives_signed(ok: Server, certificates: Certificates) -> None:
    """What arrives is a POST of the very bytes, which the library's own check finds signed by the secret."""
    assert send(ok, certificates) == DELIVERED
    [(line, headers, body)] = ok.requests
    assert line == b"POST /hook?a=%2F HTTP/1.1"
    assert body == BODY
    assert headers["host"] == f"{HOST}:{ok.port}"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "msg_1"
    assert Webhook(SECRET).verify(body, headers)["id"] == "b_1"
    assert ok.names == [HOST]
    assert not {"cookie", "authorization"} & set(headers)


def test_a_moment_of_any_zone(ok: Server, certificates: Certificates) -> None:
    """A moment in another zone is signed as the moment that it is."""
    now = datetime.now(UTC).astimezone(timezone(timedelta(hours=9)))
    Sender(certificates).send(f"https://{HOST}:{ok.port}/", now)
    assert Webhook(SECRET).verify(ok.requests[0][2], ok.requests[0][1])


def test_an_id_with_a_full_stop_is_not_signed(certificates: Certificates) -> None:
    """A full stop in an id would let one signature stand for two messages."""
    with pytest.raises(ValueError, match="full stop"):
        Sender(certificates).send("https://example.org/", message_id="a.b")


@pytest.mark.parametrize(
    ("answer", "became"),
    [
        ("200 OK", DELIVERED),
        ("299 Whatever", DELIVERED),
        ("404 Not Found", FAILED),
        ("500 Oh", FAILED),
        ("410 Gone", Delivery("gone")),
        ("503 Later\r\nRetry-After: 120", Delivery("failed", 120.0)),
        ("503 Later\r\nRetry-After: tomorrow", FAILED),
        ("301 Moved\r\nLocation: https://127.0.0.1:1/", FAILED),
        ("307 Moved\r\nLocation: /hook", FAILED),
        ("100 Continue\r\n\r\nHTTP/1.1 200 OK", DELIVERED),
    ],
)
def test_what_an_answer_means(certificates: Certificates, answer: str, became: Delivery) -> None:
    """Any 2xx is success, 410 the end, everything else a failure; a redirect is not followed."""
    with Server(says(answer), certificates.of(HOST)).running() as server:
        assert send(server, certificates) == became
        assert server.connections == 1


def test_a_redirect_leads_nowhere(ok: Server, certificates: Certificates) -> None:
    """A redirect to a place on the loopback is a failure, and that place hears nothing."""
    answer = says(f"302 Found\r\nLocation: https://127.0.0.1:{ok.port}/secret")
    with Server(answer, certificates.of(HOST)).running() as server:
        assert send(server, certificates) == FAILED
    assert ok.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("93.184.215.14", "127.0.0.1"),
        ("127.0.0.1", "93.184.215.14"),
        ("::1",),
        ("::ffff:127.0.0.1",),
        ("fe80::1%lo",),
        ("nonsense",),
        (),
    ],
)
def test_one_private_address_is_enough(
    ok: Server, certificates: Certificates, addresses: tuple[str, ...]
) -> None:
    """A host with any address that is not public gets nothing, whichever comes first; nor one with none."""
    became = send(ok, certificates, resolve=lambda *_: addresses, is_allowed=is_on_the_internet)
    assert became == FAILED
    assert ok.connections == 0


def test_a_second_answer_changes_nothing(
    ok: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the address that was checked, though the name by then leads to another."""
    answers = [("127.0.0.1",), ("127.0.0.2",)]
    real = socket.getaddrinfo
    asked = []

    def getaddrinfo(host: str, *args: object, **kwargs: object) -> object:
        asked.append(host)
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    checked: list[str] = []

    def is_allowed(address: webhooks.Address) -> bool:
        checked.append(str(address))
        return str(address) == "127.0.0.1"

    assert send(ok, certificates, resolve=lambda *_: answers.pop(0), is_allowed=is_allowed) == DELIVERED
    assert checked == ["127.0.0.1"]
    assert answers == [("127.0.0.2",)], "the name was looked up once"
    assert set(asked) <= {"127.0.0.1"}, "and nothing beneath looked it up again"
    assert ok.names == [HOST], "while the certificate was held to the name"


def test_the_next_address_is_tried(ok: Server, certificates: Certificates) -> None:
    """A host one of whose addresses is out of order is reached at another one."""
    assert send(ok, certificates, resolve=lambda *_: ("::1", "127.0.0.1")) == DELIVERED


def test_a_proxy_of_the_environment_is_not_asked(
    ok: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would make the connection itself, to wherever it likes: none is used."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(ok, certificates) == DELIVERED


@pytest.mark.parametrize(
    ("host", "wrong"),
    [("else.example.org", {}), (HOST, {"is_expired": True}), (HOST, {"is_its_own": True})],
    ids=["another host's", "expired", "self-signed"],
)
def test_a_bad_certificate(certificates: Certificates, host: str, wrong: dict[str, bool]) -> None:
    """A certificate of another host, of the past or of nobody ends the try before a byte is sent."""
    with Server(says("200 OK"), certificates.of(host, **wrong)).running() as server:
        assert send(server, certificates) == FAILED
        assert server.connections == 1
        assert not server.requests


@pytest.mark.parametrize(("host", "became"), [("127.0.0.1", DELIVERED), ("127.0.0.2", FAILED)])
def test_a_literal_address(
    ok: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, host: str, became: Delivery
) -> None:
    """The certificate of an address is held to that address."""
    monkeypatch.setattr(webhooks, "is_on_the_internet", lambda _: True)
    assert Sender(certificates).send(f"https://{host}:{ok.port}/") == became
    assert ok.connections == 1


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:{port}/", "https://127.1:{port}/", "http://hooks.example.org:{port}/"]
)
def test_an_address_that_is_none_is_not_looked_up(ok: Server, certificates: Certificates, url: str) -> None:
    """What check_url refuses is not sent to either, though it was kept by an older version."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ("127.0.0.1",)

    assert Sender(certificates, resolve).send(url.format(port=ok.port)) == FAILED
    assert not asked
    assert ok.connections == 0


def silent(secure: ssl.SSLSocket) -> None:
    """Say nothing until the other side has gone."""
    secure.recv(1)


def drips(secure: ssl.SSLSocket) -> None:
    """Say a letter of a header now and then, without end."""
    secure.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        secure.sendall(b"x")
        time.sleep(0.05)


def waits_for_ever(_host: str, _port: int) -> Sequence[str]:
    """Take longer than any try."""
    time.sleep(2)
    return ("127.0.0.1",)


@pytest.mark.parametrize("answer", [silent, drips])
def test_a_slow_server_is_left_in_time(
    certificates: Certificates, answer: Callable[[ssl.SSLSocket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try ends by the clock, though the other side says a little all the time."""
    monkeypatch.setattr(webhooks, "_TRY_SECONDS", 0.7)
    with Server(answer, certificates.of(HOST)).running() as server:
        started = time.monotonic()
        assert send(server, certificates) == FAILED
        assert time.monotonic() - started < 1.5


def test_a_server_that_never_greets(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and says nothing to the handshake is left in time, too."""
    monkeypatch.setattr(webhooks, "_TRY_SECONDS", 0.7)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://{HOST}:{listener.getsockname()[1]}/"
        started = time.monotonic()
        assert Sender(certificates).send(url) == FAILED
        assert time.monotonic() - started < 1.5


def test_a_slow_look_up(ok: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose servers do not answer costs no more than a try."""
    monkeypatch.setattr(webhooks, "_TRY_SECONDS", 0.3)
    started = time.monotonic()
    assert send(ok, certificates, resolve=waits_for_ever) == FAILED
    assert time.monotonic() - started < 1


def test_a_name_that_is_not_there(ok: Server, certificates: Certificates) -> None:
    """A host that has no address is a failure, at once."""

    def resolve(_host: str, _port: int) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert send(ok, certificates, resolve=resolve) == FAILED


def test_a_huge_answer_is_not_read(certificates: Certificates) -> None:
    """Of an answer without end a little is read: the status is what was asked for."""
    sent = 0

    def talks(secure: ssl.SSLSocket) -> None:
        nonlocal sent
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            secure.sendall(bytes(65536))
            sent += 65536

    with Server(talks, certificates.of(HOST)).running() as server:
        started = time.monotonic()
        assert send(server, certificates) == DELIVERED
        assert time.monotonic() - started < 5
    assert sent < 50_000_000


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000,
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200",
    ],
)
def test_what_is_no_answer(certificates: Certificates, answer: bytes) -> None:
    """What is not HTTP, ends too early or has headers without end is a failure and no exception."""
    with Server(lambda secure: secure.sendall(answer), certificates.of(HOST)).running() as server:
        assert send(server, certificates) == FAILED


def test_a_body_that_breaks_off(certificates: Certificates) -> None:
    """A message was delivered when the status says so, however the rest of the answer ends."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    with Server(lambda secure: secure.sendall(answer), certificates.of(HOST)).running() as server:
        assert send(server, certificates) == DELIVERED


def test_nobody_listens(certificates: Certificates) -> None:
    """A host at which nobody listens is a failure."""
    assert Sender(certificates).send(f"https://{HOST}:{free_port()}/") == FAILED


def test_no_check_is_left_out_by_default(ok: Server) -> None:
    """Without the tests' own arguments a host on the loopback is asked nothing."""
    url = f"https://localtest.me:{ok.port}/"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", ok.port))])
        assert deliver(url, "msg_1", BODY, SECRET, datetime.now(UTC)) == FAILED
    assert ok.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTPS://Example.COM:8443/hook?a=b#c",
        "https://example.com./hook",
        "https://a_b.example.com/",
        "https://xn--mgbh0fb.xn--kgbechtv/",
        "https://مثال.إختبار/مسار",
        "https://faß.de/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443/",
        "https://example.com/" + "a" * 1980,
    ],
)
def test_a_webhook_may_be(url: str) -> None:
    """Addresses of the internet are taken, in any script."""
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http://example.com/",
        "ftp://example.com/",
        "https:example.com",
        "https://",
        "https:///hook",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://evil\\@example.com/",
        "https://example.com\\.evil.org/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://nas.home.arpa/",
        "https://intranet/",
        "https://ⓛocalhost/",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.0x1/",
        "https://127.0.0.01/",
        "https://１２７.0.0.1/",
        "https://%31%32%37.0.0.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:93.184.215.14]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fc00::1]/",
        "https://[nonsense]/",
        "https://exa mple.com/",
        "https://*.example.com/",
        "https://-a.example.com/",
        "https://a..example.com/",
        "https://.example.com/",
        "https://example.com../",
        "https://" + "a" * 64 + ".com/",
        "https://" + "a." * 130 + "com/",
        "https://example.com/\r\nX: y",
        "https://example.com/" + "a" * 1981,
        "https://\ud800.com/",
        "https://example.com/\ud800",
    ],
)
def test_a_webhook_may_not_be(url: str) -> None:
    """Anything else is refused by name, whatever it is spelled like."""
    with pytest.raises(InvalidSpec) as refused:
        check_url(url)
    [problem] = refused.value.problems
    assert (problem.field, problem.kind) == ("webhook", "not_a_webhook")
    assert "https://" in problem.text()


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "223.255.255.255", "2606:4700::1111", "2a00::1", "2001:200::1"]
)
def test_public_addresses(address: str) -> None:
    """Addresses of the internet are allowed."""
    assert is_on_the_internet(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - not to bind to
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_other_addresses(address: str) -> None:
    """Private, reserved and multicast ones are not, nor such as carry another address inside."""
    assert not is_on_the_internet(ip_address(address))


def test_tries_go_on_for_a_day() -> None:
    """Tries come later and later, not all at the same moment, and end after about a day."""
    waits = [[next_try(tries) for tries in range(1, 9)] for _ in range(50)]
    for one in waits:
        *some, last = one
        assert last is None
        assert some == sorted(some, key=float)  # type: ignore[arg-type]
        assert 0.8 < sum(filter(None, some)) / 86_400 < 1.2
    assert len({one[0] for one in waits}) > 1


def test_a_server_may_ask_for_time() -> None:
    """What a server asks for is heeded, up to an hour, where it is more than is planned."""
    assert next_try(1, 120.0) == 120.0
    assert next_try(1, 1e9) == 3600.0
    later = next_try(5, 120.0)
    assert later is not None
    assert later > 5000
    assert next_try(8, 120.0) is None
