r"""Partners' API keys: what they look like, and what is kept of them.

A key is ``rrk_``, 32 random letters and digits, and 6 of checksum, as GitHub's tokens are made. Scanners for
leaked secrets find it by its prefix, and by the checksum tell it from what only looks like one::

    \brrk_[0-9A-Za-z]{38}\b

The checksum is CRC-32 of what stands before it (the prefix included), written in base 62 with the digits
``0-9A-Za-z``, and with leading zeros. It keeps mistyped keys from the database, and is no secret.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "rrk_"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_DIGITS = 32
_CHECKSUM_DIGITS = 6  # 62**6 is more than 2**32

_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECKSUM_DIGITS}}}")


def new_key() -> str:
    """Return a key that nobody has: 190 bits from the system's own source of chance."""
    body = PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM_DIGITS))
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Tell whether a text can be a key at all. Says nothing of whether it is one of ours."""
    return bool(_FORM.fullmatch(text)) and _checksum(text[:-_CHECKSUM_DIGITS]) == text[-_CHECKSUM_DIGITS:]


def key_digest(text: str) -> bytes:
    """Return what is kept of a key: its SHA-256, 32 bytes.

    A plain hash is enough. Slow ones (scrypt, Argon2) protect what people think of, which can be guessed; a
    key has 190 bits of chance, and nobody tries 2**190 of them. For the same reason no salt is needed: no two
    keys are alike. And a look-up by digest tells nothing by its time: nobody can choose the digest of a key,
    so that one that is half right leads to no other.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
