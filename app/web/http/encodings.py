"""How a form's part may be encoded: its bytes, by Content-Transfer-Encoding, and its text, by a charset.

RFC 7578 (4.7) gives the first one up, and browsers never used it; programs that build a form with a library
for mails, and Java's old MultipartEntity, still do. A decoder takes a part in pieces and keeps little of it.
"""

from __future__ import annotations

import binascii
import re
from typing import Protocol

from app.errors import EncodingNotSupported

_LONGEST_LINE = 998
"""Of quoted-printable, without its end (RFC 5322, 2.1.1); 76 is what its own standard asks for."""

_MANY_LINES, _SHORTEST_LINE = 1_000, 40
"""Of quoted-printable that has so many lines, each has so many bytes on an average. Each costs a microsecond,
and whoever encodes a photo fills 76."""

_WHITE_SPACE = b" \t\r\n"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

# At the end of a line it was added on the way (RFC 2045, 6.7); Python would take it for the line's own. A run
# is looked at from its beginning alone, or a long one would be looked at from each of its places.
_PADDING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")

# By letters and digits of their names alone: the charsets of the pages' languages. ASCII is read as UTF-8,
# and what calls itself Latin 1 or 5 as what Windows writes for it, as browsers do (WHATWG, Encoding, 4.2).
# codecs.lookup() would remember every name that a stranger makes up.
_CODECS = {
    "utf8": "utf-8",
    "ascii": "utf-8",
    "usascii": "utf-8",
    "utf16": "utf-16",
    "utf16be": "utf-16-be",
    "utf16le": "utf-16-le",
    "iso88591": "cp1252",
    "latin1": "cp1252",
    "iso88596": "iso8859-6",
    "iso88599": "cp1254",
    "latin5": "cp1254",
    "iso885915": "iso8859-15",
    "windows1252": "cp1252",
    "cp1252": "cp1252",
    "windows1254": "cp1254",
    "cp1254": "cp1254",
    "windows1256": "cp1256",
    "cp1256": "cp1256",
}


class BrokenEncodingError(ValueError):
    """A part is not what its encoding says. Its receiver knows which one it is, and tells."""


class Decoder(Protocol):
    """Takes an encoded part in pieces."""

    def decode(self, piece: bytes) -> bytes:
        """Return what can be decoded by now.

        Raises:
            BrokenEncodingError: This is no piece of such a part.
        """

    def finish(self) -> bytes:
        """Return the rest.

        Raises:
            BrokenEncodingError: The part was cut short.
        """


def encoding_name(value: bytes) -> str:
    """Return what a Content-Transfer-Encoding names, in small letters and without its parameters."""
    return value.partition(b";")[0].strip(b' \t"').lower().decode("latin-1")


def decoder_of(encoding: bytes) -> Decoder:
    """Return a decoder for the value of a part's Content-Transfer-Encoding, empty where there is none.

    Raises:
        EncodingNotSupported: There is no such encoding, or it is not read.
    """
    match encoding_name(encoding):
        case "" | "7bit" | "8bit" | "binary":
            return _Unchanged()
        case "base64":
            return _Base64()
        case "quoted-printable":
            return _QuotedPrintable()
        case name:
            raise EncodingNotSupported.of(name)


def decode_text(raw: bytes, charset: str) -> str:
    """Return a field's text.

    Args:
        raw: Its bytes.
        charset: By any of its names; empty for UTF-8.

    Raises:
        KeyError: There is no such charset, or it is not read.
        UnicodeDecodeError: The text is not in it.
    """
    name = re.sub(r"[^a-z0-9]", "", charset.lower())
    return raw.decode(_CODECS[name or "utf8"])


class _Unchanged:
    def decode(self, piece: bytes) -> bytes:
        return piece

    def finish(self) -> bytes:
        return b""


class _Base64:
    """In lines or not, in either alphabet (RFC 4648, 4 and 5), padded or not; nothing behind the padding."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def decode(self, piece: bytes) -> bytes:
        encoded = self._rest + piece.translate(_URL_SAFE, _WHITE_SPACE)
        whole = len(encoded) - len(encoded) % 4
        self._rest = encoded[whole:]
        if self._ended and encoded:
            raise BrokenEncodingError
        self._ended = encoded[:whole].endswith(b"=")
        return _from_base64(encoded[:whole])

    def finish(self) -> bytes:
        if self._ended and self._rest:
            raise BrokenEncodingError
        return _from_base64(self._rest + b"=" * (-len(self._rest) % 4))


def _from_base64(encoded: bytes) -> bytes:
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        raise BrokenEncodingError from None


class _QuotedPrintable:
    """Line by line. What is no code stays as it is, as in every reader of mails."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines = self._taken = 0

    def decode(self, piece: bytes) -> bytes:
        encoded = self._rest + piece
        whole = encoded.rfind(b"\n") + 1
        self._rest = encoded[whole:]
        self._lines += encoded.count(b"\n")
        self._taken += whole
        is_in_crumbs = self._lines > _MANY_LINES and self._lines * _SHORTEST_LINE > self._taken
        if len(self._rest) > _LONGEST_LINE or is_in_crumbs:
            raise BrokenEncodingError
        return _unquoted(encoded[:whole])

    def finish(self) -> bytes:
        return _unquoted(self._rest)


def _unquoted(lines: bytes) -> bytes:
    return binascii.a2b_qp(_PADDING.sub(b"", lines))
