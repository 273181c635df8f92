"""Answers that are the same for many are compressed once, and kept so."""

from __future__ import annotations

import gzip
import re
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import brotli
from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders

from app.web.state.kept_bytes import KeptBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BROTLI_QUALITY = 6
"""Small before fast: the pages' texts are a few kilobytes each. At 6 Brotli packs the scripts and styles into
8 % less than at its usual 4, and than Zstandard, which browsers would prefer."""
BEST_BROTLI_QUALITY = 11
"""For what never changes: another 10 % less, in ten times the time."""

_GZIP_LEVEL = 6

KEPT_BYTES = 2_000_000
"""All that is the same for everybody takes 0.5 MB packed. Whoever asks for pages by thousands of hosts' names
pushes out what nobody has asked for longest."""

# Fewer are not worth a header (starlette_compress has the same).
_WORTH_BYTES = 500

# Brotli takes 3 ms for as many, and threads run beside it.
_MANY_BYTES = 65_536

_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "br": partial(brotli.compress, quality=BROTLI_QUALITY),
    "gzip": partial(gzip.compress, compresslevel=_GZIP_LEVEL, mtime=0),
}
# For what browsers keep for ever: 2 to 18 ms a file, 270 for the network's weights, once, beside the loop.
_BEST_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    **_PACKERS,
    "br": partial(brotli.compress, quality=BEST_BROTLI_QUALITY),
}

_WORTH_PACKING = re.compile(
    r"text/|image/svg|image/vnd.microsoft.icon|application/(json|manifest\+json|octet-stream)"
)
_FOR_EVER = re.compile("immutable")
_REFUSED = re.compile(r";\s*q=0(\.0*)?\s*$", re.IGNORECASE)
_PRIVATE = re.compile(r"no-store|private")


class KeepPacked:
    """Packs an answer as Brotli or gzip and keeps it, by its bytes, where any visitor may get the same.

    What is one visitor's (``no-store``, ``private``), what went wrong and what comes in pieces is left as it
    is, to be compressed each time by whoever stands outside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._kept = KeptBytes(KEPT_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        encoding = _encoding(Headers(scope=scope)) if scope["type"] == "http" else None
        if encoding is None:
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_packed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_kept(message):
                start = message
                return
            if start is not None:
                begun, start = start, None
                body: bytes = message.get("body", b"")
                if not message.get("more_body") and len(body) >= _WORTH_BYTES:
                    body = await self._pack(body, encoding, is_for_ever=_is_for_ever(begun))
                    _tell(begun, encoding, len(body))
                    message = {**message, "body": body}
                await send(begun)
            await send(message)

        await self.app(scope, receive, send_packed)

    async def _pack(self, body: bytes, encoding: str, *, is_for_ever: bool) -> bytes:
        packer = (_BEST_PACKERS if is_for_ever else _PACKERS)[encoding]

        async def pack() -> bytes:
            if len(body) < _MANY_BYTES and not is_for_ever:
                return packer(body)
            return await to_thread.run_sync(packer, body)

        # By a digest, or each would be kept plain as well. It takes 0.03 ms for a page.
        return await self._kept.get((encoding, is_for_ever, sha256(body).digest()), pack)


def _encoding(headers: Headers) -> str | None:
    """Return what a client takes that we make, or None."""
    offers = ",".join(headers.getlist("accept-encoding")).split(",")
    names = {offer.partition(";")[0].strip().lower() for offer in offers if not _REFUSED.search(offer)}
    return next((encoding for encoding in _PACKERS if encoding in names), None)


def _may_be_kept(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return bool(
        start["status"] == 200
        and _WORTH_PACKING.match(headers.get("content-type", ""))
        and not _PRIVATE.search(headers.get("cache-control", ""))
        and not {"content-encoding", "content-range"} & set(headers)
    )


def _is_for_ever(start: Message) -> bool:
    return bool(_FOR_EVER.search(Headers(raw=start["headers"]).get("cache-control", "")))


def _tell(start: Message, encoding: str, length: int) -> None:
    headers = MutableHeaders(scope=start)
    headers["Content-Encoding"] = encoding
    headers["Content-Length"] = str(length)
    headers.add_vary_header("Accept-Encoding")
