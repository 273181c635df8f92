"""The bytes of batches: sealed objects in a folder, or in a bucket of S3. The only importer of obstore.

What is put here is sealed with the key of its batch, for its own name. Names are ``{batch}/photos/{token}``,
``{batch}/avatars/{number}.{token}`` and the like: they say nothing of whose photo it is.

A bucket that keeps old versions keeps them after :meth:`Store.delete_batch` too. They are dead by then: the
batch's key was destroyed before, and nothing else opens them.
"""

from __future__ import annotations

import errno
import os
import random
import re
import secrets
import shutil
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import structlog
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from app.bulk.sealing import OVERHEAD
from app.errors import StorageFull, StorageUnavailable
from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from obstore import GetOptions
    from obstore.store import ObjectStore, RetryConfig

    from app.bulk.sealing import BatchKey
    from app.errors import CapacityError
    from app.settings import Settings

_log = structlog.get_logger(__name__)

_Answer = TypeVar("_Answer")

# A batch's id, and what may stand below it.
_BATCH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BATCH_OF_OURS = re.compile(r"b_[A-Za-z0-9_-]{22}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}){1,4}")

# A folder that fails one call in ten fails five in a row once in 100,000 calls; then the caller tries again.
_TRIES = 5
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

# obstore itself tries again what S3 did not answer, or answered with 408, 429 or 5xx; ours is for the rest,
# such as one object among a thousand that was not deleted. A partner's request waits for all of it.
_S3_TRIES = 2
_S3_RETRIES: RetryConfig = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}

# Trouble is logged once in this time, not for each of a thousand photos.
_QUIET_SECONDS = 60.0

# Which folders are on the disk is remembered of so many: those of thousands of batches.
_SETTLED_FOLDERS = 20_000

# How obstore's errors tell, in their texts alone, what happened: the system's numbers, and the codes of AWS,
# MinIO and Ceph. `ulimit -f` (EFBIG) is a disk that is full, too.
_FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = re.compile(
    rf"\(os error ({'|'.join(map(str, _FULL_NUMBERS))})\)"
    r"|<Code>\w*(QuotaExceeded|StorageFull|InsufficientStorage)|\b507 Insufficient"
)


class ObjectMissing(Exception):
    """There is no object of that name."""


def new_batch_id() -> str:
    """Return the id of a new batch: below it are its objects, so no two have one, ever."""
    return f"b_{secrets.token_urlsafe(16)}"


def is_batch_id(text: str) -> bool:
    """Tell whether something is called as batches are. What is not is somebody else's, and left alone."""
    return bool(_BATCH_OF_OURS.fullmatch(text))


class Store:
    """Sealed objects by name. Each method blocks; any number of threads may use one store.

    Args:
        objects: Where they lie.
        folder: The same place as a folder, where it is one.

    Raises:
        StorageFull: By each method: there is no room.
        StorageUnavailable: By each method: the store does not answer, or does not let us in.
    """

    def __init__(self, objects: ObjectStore, folder: Path | None = None) -> None:
        self._objects = objects
        self._folder = None if folder is None else _Folder(folder)
        self._tries = _S3_TRIES if folder is None else _TRIES
        self._quiet_until: dict[str, float] = {}

    @classmethod
    def build(cls, settings: Settings) -> Store:
        """Return the store that the settings name. A folder is made where there is none; a bucket is not.

        Raises:
            InvalidSettings: The folder cannot be made, or the AWS_… variables contradict each other.
        """
        if settings.store_url is not None:
            try:
                # No options of the HTTP client: they would take the place of AWS_ALLOW_HTTP and its like. Its
                # own times are right, 5 s for a connection and 30 s for an answer.
                return cls(S3Store.from_url(settings.store_url, retry_config=_S3_RETRIES))
            except (BaseError, ValueError) as exc:
                # Its own words may quote the variables.
                raise InvalidSettings(f"{PREFIX}STORE_URL: {type(exc).__name__}; see AWS_…") from None
        folder = settings.data_folder / "store"
        try:
            settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            return cls(LocalStore(folder), folder)
        except (OSError, BaseError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else type(exc).__name__
            raise InvalidSettings(f"{PREFIX}DATA_FOLDER: “{folder}” cannot be made: {reason}") from None

    def put(self, name: str, content: bytes, key: BatchKey, beside: bytes | None = None) -> None:
        """Keep an object, whole or not at all, in place of an earlier one of that name.

        It outlives a power cut once this has returned.

        Args:
            name: The object's.
            content: What it is.
            key: Its batch's.
            beside: Something small about it, kept with it and read by itself: an object costs a flush of the
                disk, or a request to S3.
        """
        _check(name)
        sealed = key.seal(content, name)
        if beside is not None:
            sealed += key.seal(beside, _beside(name))

        def put() -> None:
            # In one piece: what a broken-off upload in parts leaves behind is seen by no list.
            self._objects.put(name, sealed, use_multipart=False)
            if self._folder:
                self._folder.settle(name)

        self._call("put", put)

    def get(self, name: str, key: BatchKey, size: int | None = None) -> bytes:
        """Return an object.

        Args:
            name: The object's.
            key: Its batch's.
            size: Its bytes; to be said of one that has something beside it.

        Raises:
            ObjectMissing: There is none of that name.
            SealBroken: It is not what was put there with this key.
        """
        sealed = self._sealed(name)
        return key.open(sealed if size is None else sealed[: size + OVERHEAD], name)

    def get_beside(self, name: str, key: BatchKey, size: int) -> bytes:
        """Return what is kept beside an object of some bytes, without reading those; see :meth:`get`."""
        return key.open(self._sealed(name, size + OVERHEAD), _beside(name))

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects. Those that are not there are no error."""
        for name in names:
            _check(name)
        if names:
            self._call("delete", lambda: self._delete(names))

    def delete_batch(self, batch: str) -> None:
        """Delete all objects of a batch, and what an upload that was broken off has left of them."""
        if not _BATCH.fullmatch(batch):
            raise ValueError("not the id of a batch")
        self._call("delete", lambda: self._delete_batch(batch))

    def batches(self) -> Iterator[str]:
        """Yield the ids of the batches that have objects, or had some a moment ago.

        A bucket may have other things in it, whose folders are among these: see :func:`is_batch_id`.
        """
        found = self._call("list", self._objects.list_with_delimiter)
        yield from (path for path in found["common_prefixes"] if _BATCH.fullmatch(path))

    def _sealed(self, name: str, start: int = 0) -> memoryview:
        """Return an object as it lies there, from some byte on."""
        _check(name)
        sealed = self._call("get", lambda: self._get(name, start))
        if sealed is None:
            raise ObjectMissing
        return sealed

    def _get(self, name: str, start: int) -> memoryview | None:
        options: GetOptions = {"range": {"offset": start}} if start else {}
        try:
            return memoryview(self._objects.get(name, options=options).bytes())
        except FileNotFoundError as exc:
            if self._folder is None and "<Code>NoSuchKey</Code>" not in str(exc):
                raise  # the bucket is missing, or whoever answers is no S3
            return None

    def _delete(self, names: Sequence[str]) -> None:
        try:
            self._objects.delete(names)
        except FileNotFoundError:
            if self._folder is None:
                raise  # S3 is content when an object is not there; this is the bucket
            for name in names:
                with suppress(FileNotFoundError):
                    self._objects.delete(name)

    def _delete_batch(self, batch: str) -> None:
        if self._folder:
            self._folder.remove(batch)
            return
        for page in self._objects.list(batch, chunk_size=1000):
            self._objects.delete([found["path"] for found in page])

    def _call(self, operation: str, call: Callable[[], _Answer]) -> _Answer:
        """Ask the store, again where that may help, and tell its errors as ours."""
        for left in reversed(range(self._tries)):
            try:
                if self._folder:
                    self._folder.check()
                answer = call()
            except (PermissionDeniedError, UnauthenticatedError) as exc:
                self._fail(operation, exc)
            except (BaseError, OSError) as exc:
                if _is_full(exc) or not left:
                    self._fail(operation, exc)
                time.sleep(_pause(self._tries - left))
            else:
                return answer
        raise AssertionError("the last try answers or fails")

    def _fail(self, operation: str, exc: Exception) -> NoReturn:
        """Raise what a caller is told. Of the store's own words, which hold paths, nothing is kept."""
        error: CapacityError = StorageFull() if _is_full(exc) else StorageUnavailable()
        now = time.monotonic()
        if now > self._quiet_until.get(error.code, 0):
            self._quiet_until[error.code] = now + _QUIET_SECONDS
            _log.error("store_failed", operation=operation, code=error.code, kind=type(exc).__name__)
        raise error from None


class _Folder:
    """What a folder needs beside obstore.

    Args:
        path: It exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._identity = self._identify()
        self._settled: set[Path] = set()

    def check(self) -> None:
        """Tell whether it is still the folder it was: obstore would make another in its place.

        Raises:
            OSError: It was taken away, or another disk is there now.
        """
        if self._identify() != self._identity:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def _identify(self) -> tuple[int, int]:
        status = os.stat(self._path)  # noqa: PTH116  # called with each object
        return status.st_dev, status.st_ino

    def settle(self, name: str) -> None:
        """Close a file to others, and have it and its place on the disk: obstore leaves both to chance.

        A folder's own place is seen to once, since each of these is a flush of the disk.
        """
        path = self._path / name
        _sync(path, mode=0o600)
        folder = path.parent
        _sync(folder)
        new = []
        while folder not in self._settled and folder != self._path:
            new.append(folder)
            folder = folder.parent
            _sync(folder)
        if len(self._settled) > _SETTLED_FOLDERS:
            self._settled.clear()
        self._settled.update(new)

    def remove(self, batch: str) -> None:
        """Remove a batch's folder, with what obstore's list does not show: its drafts, named ``1.1#1``.

        A process that was killed while it wrote one leaves it behind, and obstore deletes none of that name.
        Others may be writing there, or removing it too: what is gone already holds up nothing.
        """
        shutil.rmtree(self._path / batch, onerror=_pass_over_what_is_gone)


def _pass_over_what_is_gone(_call: object, _path: object, raised: tuple[Any, BaseException, Any]) -> None:
    if not isinstance(raised[1], FileNotFoundError):
        raise raised[1]


def _sync(path: Path, mode: int | None = None) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of an object")


def _beside(name: str) -> str:
    """Return for what something beside an object is sealed; no object is called so."""
    return f"{name}#"


def _is_full(exc: Exception) -> bool:
    return getattr(exc, "errno", None) in _FULL_NUMBERS or bool(_FULL.search(str(exc)))


def _pause(tries: int) -> float:
    """Return seconds to wait, with chance in them: threads that failed together do not come back together."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 4.0 ** (tries - 1)) * random.uniform(0.5, 1.5)  # noqa: S311
