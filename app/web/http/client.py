"""What a request says of how it came: whether its connection is encrypted, and by which address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

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
