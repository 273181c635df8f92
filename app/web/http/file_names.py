"""Names of files that are handed over: ``Content-Disposition`` (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

# What some system takes for a folder, a drive, an order to its shell, or the end of the header.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|%]+')


def disposition(kind: Literal["attachment", "inline"], name: str) -> str:
    """Return the header for a file of a name, in any script."""
    safe = _UNSAFE.sub("-", name)
    plain = safe.encode("ascii", "replace").decode().replace("?", "_")
    header = f'{kind}; filename="{plain}"'
    return header if plain == safe else f"{header}; filename*=UTF-8''{quote(safe, safe='')}"
