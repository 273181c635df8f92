"""Tells a partner's server that a batch is done: Standard Webhooks 1.0.0.

The address is a partner's to choose, so it may be meant to reach what only this machine reaches: a database
beside it, a cloud's metadata. Therefore only https is spoken; a name is looked up once, all its addresses
have to be public ones, and the connection is made to one of those that were checked, while certificate and
``Host`` are held to the name. What httpx does on top (redirects, cookies, proxies from the environment) is
not switched off but absent: the request is made with its engine, httpcore, alone.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from random import SystemRandom
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import httpcore2
import httpx2
from standardwebhooks import Webhook

from app.errors import FieldProblem, InvalidSpec

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    Address = IPv4Address | IPv6Address
    Resolve = Callable[[str, int], Sequence[str]]

FIELD: Final = "webhook"
"""The field of a batch in which the address comes."""

MAX_URL_LENGTH: Final = 2000

_TRY_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 3.0  # to one address, where there are more
_ANSWER_BYTES: Final = 4096
_LONGEST_WAIT: Final = 3600.0

# As Standard Webhooks has it for an example, within the day that a batch lives: 23.6 hours in all.
_WAITS: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 54_000.0)
_JITTER: Final = 0.15

# A name of the internet has two labels at least, and the last one begins with a letter. No other spelling of
# an address gets by: 127.1, 0x7f.0.0.1 and 2130706433 end in a number.
_LABEL: Final = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")

# What these end in is never on the internet (RFC 6761, 6762, 7686, 8375 and ICANN's .internal).
_PRIVATE_NAMES: Final = re.compile(r"(.+\.)?(localhost|local|internal|home\.arpa|onion|test|invalid)")

_INTERNET_V6: Final = IPv6Network("2000::/3")  # all that was ever given out (RFC 4291)

# Beside what Python's is_global says no to, which knows less in older versions than in newer ones.
_NEVER: Final = tuple(
    IPv4Network(network) if "." in network else IPv6Network(network)
    for network in (
        "100.64.0.0/10",  # between a provider and its customers
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
        "192.0.0.0/24",  # protocols' own
        "192.88.99.0/24",  # relays from IPv6
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # protocols' own, with Teredo, which has an IPv4 address inside
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which has an IPv4 address inside
        "3fff::/20",  # documentation
    )
)

_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a try.

    Attributes:
        outcome: ``delivered`` (any 2xx); ``gone`` (410: the partner wants no more of them, ever); ``failed``.
        wait: Seconds after which the partner's server wants the next try (``Retry-After``), or 0.
    """

    outcome: Literal["delivered", "failed", "gone"]
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a webhook goes; ``host`` is in ASCII, without a dot at its end."""

    host: str
    port: int
    path: bytes

    @classmethod
    def of(cls, url: str) -> Self:
        """Read an address.

        Raises:
            ValueError: It is none that a webhook may have.
        """
        if len(url) > MAX_URL_LENGTH:
            raise ValueError("too long")
        try:
            parts = httpx2.URL(url)
        except httpx2.InvalidURL as exc:
            raise ValueError("no address") from exc
        host = parts.raw_host.decode("ascii").removesuffix(".")
        port = 443 if parts.port is None else parts.port
        if parts.scheme != "https" or parts.userinfo or not 0 < port < 65536 or not _is_public(host):
            raise ValueError("no address of the internet")
        return cls(host, port, parts.raw_path)

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


def check_url(url: str) -> None:
    """Look whether a webhook may have an address, without asking anybody.

    It may still lead nowhere, or to a private place: that is found out each time something is sent.

    Raises:
        InvalidSpec: It is not https, names a user, or no place on the internet.
    """
    try:
        _Target.of(url)
    except ValueError:
        raise InvalidSpec([FieldProblem.of(FIELD, "not_a_webhook")]) from None


def is_on_the_internet(address: Address) -> bool:
    """Tell whether an address is a public one, and none that leads to a private one by another way."""
    if isinstance(address, IPv6Address) and address not in _INTERNET_V6:
        return False  # with it all that maps IPv4: ::ffff:0:0/96, 64:ff9b::/96, 64:ff9b:1::/48
    return address.is_global and not any(
        address in network for network in _NEVER if network.version == address.version
    )


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as the system knows them.

    Raises:
        OSError: There are none.
    """
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))


def deliver(  # noqa: PLR0913 - the last three are there for tests
    url: str,
    message_id: str,
    body: bytes,
    secret: str,
    now: datetime,
    *,
    resolve: Resolve = resolve,
    is_allowed: Callable[[Address], bool] = is_on_the_internet,
    context: ssl.SSLContext | None = None,
) -> Delivery:
    """Send a message once. It takes 10 seconds at most, whatever the other side does.

    Args:
        url: Where to.
        message_id: Names the message, the same at each try. It has no full stop, which parts what is signed.
        body: JSON in UTF-8.
        secret: ``whsec_…``, which the partner checks the signature with.
        now: The moment of this try.
        resolve: Looks up the addresses of a host.
        is_allowed: Tells whether an address may be connected to. All that a host has must be.
        context: Checks certificates. By default against those that the system trusts.
    """
    try:
        target = _Target.of(url)
    except ValueError:
        return Delivery("failed")
    deadline = monotonic() + _TRY_SECONDS
    addresses = _looked_up(target, resolve, _TRY_SECONDS)
    if not addresses or not all(is_allowed(address) for address in addresses):
        return Delivery("failed")
    headers = {"Host": target.authority, **_signed(message_id, body, secret, now)}
    # Whatever goes wrong in between, the network's words stay here: they can hold names and addresses.
    with suppress(*_NETWORK_ERRORS):
        return _send(target, headers, body, _CheckedBackend(addresses, deadline), context)
    return Delivery("failed")


_NETWORK_ERRORS: Final = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    OSError,
)


def next_try(tries: int, wait: float = 0.0) -> float | None:
    """Return after how many seconds to try again, or None: it is given up, about a day after the first try.

    5 seconds, 1 minute, 5 and 30 minutes, 2, 6 and 15 hours: each up to 15 % shorter or longer, so that what
    failed together does not come back together.

    Args:
        tries: How often it was tried: 1 or more.
        wait: What the last :class:`Delivery` asked for. An hour of it is heeded.
    """
    if tries > len(_WAITS):
        return None
    planned = _WAITS[tries - 1] * _random.uniform(1 - _JITTER, 1 + _JITTER)
    return max(planned, min(wait, _LONGEST_WAIT))


def _is_public(host: str) -> bool:
    """Tell whether a host can be a name of the internet, or is one of its addresses."""
    with suppress(ValueError):
        return is_on_the_internet(ip_address(host))
    return len(host) <= 253 and bool(_NAME.fullmatch(host)) and not _PRIVATE_NAMES.fullmatch(host)


def _looked_up(target: _Target, resolve: Resolve, seconds: float) -> Sequence[Address]:
    """Return all addresses of a host; none where they cannot be found in time.

    The system's own way to ask cannot be interrupted: the thread that does is left to itself.
    """
    answers: SimpleQueue[Sequence[str]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(target.host, target.port))
        except (OSError, UnicodeError):
            answers.put(())

    Thread(target=ask, name="webhook-dns", daemon=True).start()
    with suppress(Empty, ValueError):
        return [ip_address(answer) for answer in answers.get(timeout=seconds)]
    return ()


def _signed(message_id: str, body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """Return the headers of a message."""
    if "." in message_id:
        raise ValueError("a message's id may have no full stop")
    moment = now.astimezone(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "red-ribbons",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, moment, body.decode()),
    }


def _send(
    target: _Target,
    headers: dict[str, str],
    body: bytes,
    backend: httpcore2.NetworkBackend,
    context: ssl.SSLContext | None,
) -> Delivery:
    url = httpcore2.URL(scheme="https", host=target.host, port=target.port, target=target.path)
    with (
        httpcore2.ConnectionPool(
            ssl_context=context or httpcore2.default_ssl_context(), network_backend=backend
        ) as pool,
        pool.stream("POST", url, headers=list(headers.items()), content=body) as answer,
    ):
        delivery = _delivery(answer)
        # A short answer is heard to its end, so that the other side sees no broken line; a long one is not.
        # Whether it ends well changes nothing: the status is there.
        with suppress(*_NETWORK_ERRORS):
            _hear(answer.iter_stream())
        return delivery


def _hear(pieces: Iterable[bytes]) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _ANSWER_BYTES:
            return


def _delivery(answer: httpcore2.Response) -> Delivery:
    if 200 <= answer.status < 300:
        return Delivery("delivered")
    if answer.status == 410:
        return Delivery("gone")
    wait = {name.lower(): value for name, value in answer.headers}.get(b"retry-after", b"")
    return Delivery("failed", float(wait[:9]) if wait.isdigit() else 0.0)


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects to addresses that were checked, whatever name is asked for, and hurries what comes of it."""

    def __init__(self, addresses: Sequence[Address], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        """Connect to the first address that answers."""
        del host  # a second look at its name could find another address
        most = _CONNECT_SECONDS if len(self._addresses) > 1 else _TRY_SECONDS
        for address in self._addresses:
            seconds = min(most, _left(self._deadline))
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                stream = httpcore2.SyncBackend().connect_tcp(str(address), port, seconds)
                return _HurriedStream(stream, self._deadline)
        raise httpcore2.ConnectError("no address answers")


class _HurriedStream(httpcore2.NetworkStream):
    """A connection on which nothing is waited for beyond one moment: httpcore's limits are for each step."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _HurriedStream(stream, self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """Return the seconds until a moment.

    Raises:
        httpcore2.TimeoutException: There are none.
    """
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise httpcore2.TimeoutException
    return seconds
