"""Batches rest sealed: each under a key of its own, which is wrapped by a key from the service's secret.

::

    secret (32 bytes of chance or more, RIBBONS_SECRET)
    |- wrapping key      seals the key of each batch
    |  `- batch key        32 random bytes; kept wrapped, in one place only: the list of batches
    |     |- sealing key     seals photos, avatars, names, rows
    |     `- digest key      finds a name that is not kept
    |- vault key         seals what belongs to no batch: partners' names
    |- vault digests     find what belongs to no batch and is not kept: keys of requests
    `- webhook keys      one a partner, to sign what is sent to it

Whoever destroys a wrapped key has destroyed the batch, wherever copies of its objects still lie: in backups,
in old versions of a bucket, on a disk that was taken away.

Sealed is AES-256-GCM: a byte that names the scheme, a random nonce of 96 bits, the bytes, the tag of 128. The
context (what it is the bytes of) is authenticated and not kept: bytes that were moved to another place do not
open. What tells contexts of one key apart is theirs to say; the keys are apart by HKDF (RFC 5869).

Random nonces are safe up to 2**32 messages a key (NIST SP 800-38D, 8.3). A batch of 50,000 photos seals about
2**19: photo, avatar, small picture, name and row of each, pieces of an archive; two nonces are then alike
with a chance of 2**-59. The wrapping key seals one message a batch: at a thousand batches a day for 11,000
years. None may be longer than 64 GB; the largest here is a photo.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path

    from app.settings import Settings

_log = structlog.get_logger(__name__)

MIN_SECRET_BYTES = 32
"""Shorter ones can be guessed: the secret is taken as it is, not stretched as a password would be."""

_MAX_SECRET_BYTES = 4096

# The first byte of all that is sealed. Another scheme gets another number, and both are read for a while.
_SCHEME = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32

OVERHEAD = len(_SCHEME) + _NONCE_BYTES + _TAG_BYTES
"""Bytes by which something is longer when it is sealed."""


class SealBroken(Exception):
    """Sealed with another key, or for another context, or changed since."""


class _Secretive:
    """Has keys, and shows none: neither printed nor logged, nor in a pickle or a copy."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not to be copied or written down")


class _Seal(_Secretive):
    """One key of AES-256-GCM."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _SCHEME + nonce + self._cipher.encrypt(nonce, content, _authenticated(context))

    def open(self, sealed: bytes | memoryview, context: str) -> bytes:
        if len(sealed) < OVERHEAD or sealed[:1] != _SCHEME:
            raise SealBroken
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], memoryview(sealed)[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, _authenticated(context))
        except InvalidTag:
            raise SealBroken from None


def _authenticated(context: str) -> bytes:
    # The scheme's byte too: nobody can have a message read by another, weaker one.
    return _SCHEME + context.encode()


def _derive(key: bytes, purpose: str) -> bytes:
    """Return a key for one purpose (HKDF-SHA256). The number is raised with whatever else changes."""
    info = f"red-ribbons/1/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(key)


class BatchKey(_Secretive):
    """The key of one batch, of :meth:`Vault.new_key` or :meth:`Vault.unwrap`. May be used in any thread.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_digests", "_key", "_seal")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ValueError("a batch's key has 32 bytes")
        self._key = key
        self._seal = _Seal(_derive(key, "batch/seal"))
        self._digests = _derive(key, "batch/digest")

    def seal(self, content: bytes, context: str) -> bytes:
        """Return the bytes sealed; they open with the same key and context alone."""
        return self._seal.seal(content, context)

    def open(self, sealed: bytes | memoryview, context: str) -> bytes:
        """Return what was sealed.

        Raises:
            SealBroken: It was sealed with another key or for another context, or was changed.
        """
        return self._seal.open(sealed, context)

    def digest(self, text: str) -> bytes:
        """Return 32 bytes that find a name which is not kept. Without the key they say nothing of it."""
        return hmac.digest(self._digests, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


class Vault(_Secretive):
    """What can be done with the service's secret. May be used in any thread.

    Args:
        secret: At least 32 bytes that cannot be guessed; the same on all machines.
    """

    __slots__ = ("_digests", "_own", "_webhooks", "_wrapping", "fingerprint")

    fingerprint: str
    """Tells one secret from another, and nothing else of it: 32 hexadecimal digits."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError("a secret has at least 32 bytes")
        self._wrapping = _Seal(_derive(secret, "wrap"))
        self._own = _Seal(_derive(secret, "vault"))
        self._digests = _derive(secret, "vault/digest")
        self._webhooks = _derive(secret, "webhook")
        self.fingerprint = _derive(secret, "fingerprint")[:16].hex()

    def new_key(self) -> BatchKey:
        """Return a key for a new batch."""
        return BatchKey(secrets.token_bytes(_KEY_BYTES))

    def wrap(self, key: BatchKey, batch: str) -> bytes:
        """Return a batch's key as it may be kept. Who destroys this has destroyed the batch."""
        return self._wrapping.seal(key._key, batch)  # noqa: SLF001  # the one place that may see it

    def unwrap(self, wrapped: bytes, batch: str) -> BatchKey:
        """Return a batch's key.

        Raises:
            SealBroken: It was wrapped with another secret or for another batch, or was changed.
        """
        return BatchKey(self._wrapping.open(wrapped, batch))

    def seal(self, content: bytes, context: str) -> bytes:
        """Return bytes that belong to no batch, sealed."""
        return self._own.seal(content, context)

    def open(self, sealed: bytes | memoryview, context: str) -> bytes:
        """Return what :meth:`seal` has sealed.

        Raises:
            SealBroken: It was sealed with another secret or for another context, or was changed.
        """
        return self._own.open(sealed, context)

    def digest(self, content: bytes) -> bytes:
        """Return 32 bytes that tell one content from another. Without the secret they say nothing of it."""
        return hmac.digest(self._digests, content, hashlib.sha256)

    def webhook_secret(self, partner: str) -> str:
        """Return what a partner's webhooks are signed with, as Standard Webhooks 1.0.0 writes it.

        It is derived, not kept: the same each time, and no list of them can be taken away.
        """
        return "whsec_" + base64.b64encode(_derive(self._webhooks, f"partner/{partner}")).decode()


# -- where the secret comes from -------------------------------------------


def open_vault(settings: Settings) -> Vault:
    """Return the vault of this service. Where no secret is given, one is made in the data folder.

    Raises:
        InvalidSettings: The secret is too short, or its file cannot be read or may be read by others.
    """
    if settings.secret is not None and settings.secret_file is not None:
        raise InvalidSettings(f"{PREFIX}SECRET and {PREFIX}SECRET_FILE are both given. Give one of them.")
    if settings.secret is not None:
        return _vault_of(settings.secret.get_secret_value().encode(), f"{PREFIX}SECRET")
    if settings.secret_file is not None:
        return _vault_of(_read(settings.secret_file), f"{PREFIX}SECRET_FILE")
    file = settings.data_folder / "secret"
    # Looked at first: whoever starts beside us makes the secret before anything is written there.
    has_rows = settings.ledger_file.exists() and settings.ledger_file.stat().st_size > 0
    if not file.exists():
        if has_rows:
            # A new one would open nothing of what is there, and stand in the way of the old one.
            raise InvalidSettings(
                f"The secret's file “{file}” is gone, and nothing of the batches here opens without it. "
                f"Put it back, or give what was in it as {PREFIX}SECRET; or delete the folder"
            )
        _make(file)
    return _vault_of(_read(file), f"{PREFIX}DATA_FOLDER")


def _vault_of(text: bytes, variable: str) -> Vault:
    """Take the secret without the line's end that editors and ``echo`` put after it."""
    secret = text.strip()
    if len(secret) < MIN_SECRET_BYTES:
        raise InvalidSettings(
            f"{variable}: the secret has {len(secret)} characters, and needs at least {MIN_SECRET_BYTES}. "
            "`openssl rand -base64 32` makes one"
        )
    return Vault(secret)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            _refuse_open_file(file, os.fstat(opened.fileno()))
            content = opened.read(_MAX_SECRET_BYTES + 1)
    except OSError as exc:
        raise InvalidSettings(f"The secret's file “{file}” cannot be read: {exc.strerror}") from None
    if len(content) > _MAX_SECRET_BYTES:
        raise InvalidSettings(f"The secret's file “{file}” is too long to be one")
    return content


def _refuse_open_file(file: Path, status: os.stat_result) -> None:
    """Refuse what ssh refuses: a file of our own that others may read.

    One of another owner is left to them: containers are handed secrets as files of root that all may read.
    """
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_mode & 0o077:
        raise InvalidSettings(
            f"The secret's file “{file}” is open to others (mode {stat.S_IMODE(status.st_mode):04o}). "
            f"`chmod 600` closes it"
        )


def _make(file: Path) -> None:
    """Make the secret's file: whole, or not at all, and once when two processes start together."""
    draft = file.with_name(f".secret-{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write(draft, secrets.token_urlsafe(_KEY_BYTES).encode() + b"\n")
            # Unlike a rename, a link never takes another's place.
            os.link(draft, file)
        finally:
            draft.unlink(missing_ok=True)
        _sync(file.parent)
    except FileExistsError:
        return  # another process was quicker: its secret is everybody's
    except OSError as exc:
        raise InvalidSettings(
            f"No secret can be made in {PREFIX}DATA_FOLDER, “{file.parent}”: {exc.strerror}. Give "
            f"{PREFIX}SECRET or {PREFIX}SECRET_FILE, or another folder"
        ) from None
    _log.warning("secret_made", file=str(file))


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a path would be opened with the wrong mode
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    """Have a folder's own list on the disk too, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
