"""How a request came: from whose address, over which of ours, and whether its connection is encrypted."""

from __future__ import annotations

import re
import secrets
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    from starlette.requests import HTTPConnection

    Address = IPv4Address | IPv6Address

# An address as proxies write it: with a port, where they tell one.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")

_NETWORK_BYTES = 8
"""Of an IPv6 address, those that name its network. The others each device makes up itself, and anew each day
(RFC 8981)."""

_HOST = re.compile(r"[a-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?", re.IGNORECASE)


def is_secure(request: HTTPConnection) -> bool:
    """Whether the reader's own connection is encrypted, up to here or up to a proxy in front."""
    # Each of several proxies may have added how it was reached itself; the first one met the reader.
    first, _, _ = request.headers.get("x-forwarded-proto", "").partition(",")
    return "https" in {request.url.scheme, first.strip().lower()}


def own_address(request: HTTPConnection) -> str:
    """Return the address, ``https://host``, by which a request came to this service.

    A proxy that ends TLS says so in ``X-Forwarded-Proto``. Whoever lies there or in ``Host`` is told their
    own lie, and nobody else is: pages are not kept by shared caches.
    """
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = "localhost"
    return f"{'https' if is_secure(request) else 'http'}://{host.lower()}"


class Parties:
    """Tells requests of one address from those of others, and tells nobody which address it is.

    A party is a hash of the address under a key that is made anew by each process and never leaves it: the
    four thousand million addresses of IPv4 could all be tried on one without a key. Nothing is kept here; it
    lasts for as long as somebody's request does.

    uvicorn's own reading of ``X-Forwarded-For`` is not used: it keeps the last 4,096 addresses, puts them
    where logs take them from, and takes a part that is no address for one.

    Args:
        trusted_proxies: Where a request may come from whose ``X-Forwarded-For`` is believed.
    """

    def __init__(self, trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._trusted = tuple(trusted_proxies)
        self._key = secrets.token_bytes(32)

    def of(self, request: HTTPConnection) -> bytes:
        """Return the party of a request: whoever has an IPv4 address, or a network of 64 bits of IPv6."""
        peer = request.client.host if request.client else ""
        return self.named(peer, request.headers.getlist("x-forwarded-for"))

    def named(self, peer: str, forwarded_for: Sequence[str] = ()) -> bytes:
        """Return the party of a connection, or of a request on it.

        The header is read from its end, where the proxy nearest to us has added whom it met: proxies that are
        trusted are passed over, and the first other address is the one. What stands before it, anyone may
        have written. Where a trusted proxy has written what is no address, the requests that it passes on so
        are one party, its own.

        Args:
            peer: The connection's other end, as the system writes it; empty if it has no address.
            forwarded_for: The header, each time that it is there.
        """
        address = _read(peer)
        if address is not None and self._trusts(address):
            for claim in reversed(",".join(forwarded_for).split(",")):
                if (claimed := _read(claim)) is None:
                    break
                address = claimed
                if not self._trusts(address):
                    break
        return blake2b(_network(address), key=self._key, digest_size=16).digest()

    def believes(self, peer: str) -> bool:
        """Tell whether a connection's other end is a trusted proxy."""
        # Asked of each connection, and to read an address takes a fifth of what it takes to let one in.
        address = _read(peer) if self._trusted else None
        return address is not None and self._trusts(address)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _read(written: str) -> Address | None:
    """Return the address that a proxy or the system has written, or None where it is none."""
    text = written.strip()
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port[1] or with_port[2] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # What listens on :: as well is told of IPv4 in this form.
        return address.ipv4_mapped or address
    return address


def _network(address: Address | None) -> bytes:
    """Return what all have in common who are taken for one; nothing for those of no address."""
    if address is None:
        return b""
    return address.packed[:_NETWORK_BYTES]
