"""``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header-07): the same request, sent again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.errors import MalformedIdempotencyKey

if TYPE_CHECKING:
    from starlette.requests import Request

HEADER = "Idempotency-Key"

# A string of structured fields (RFC 9651, 3.3.3); and a key as most programs send it, without the marks: what
# neither is a string nor could be part of one. Either way it is the same key.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_BARE = re.compile(r"[!#-+\--\[\]-~]{1,255}")


def idempotency_key(request: Request) -> str | None:
    """Return the key that a request brings, if it brings one.

    The draft lets a service demand it (400 where there is none). Here it may be left out: whoever sends none
    gets another batch for each request, and can see and delete them.

    Raises:
        MalformedIdempotencyKey: It cannot be read, or there are several.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) == 1:
        text = given[0].strip()
        if quoted := _QUOTED.fullmatch(text):
            return re.sub(r"\\(.)", r"\1", quoted[1])
        if _BARE.fullmatch(text):
            return text
    raise MalformedIdempotencyKey
