"""Finished avatars, each under an address that nobody can guess, for as long as a supporter needs one.

In the memory of this process, or in Redis where several replicas answer for each other; on no disk.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import anyio
import structlog
from cachetools import TTLCache
from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import Busy, ResultGone
from app.spec import AvatarSpec  # noqa: TC001 - pydantic reads the annotation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from app.web.state.redis import RedisClient

# 192 bits: at a thousand million guesses a second, the age of the universe is not enough to find one.
_TOKEN_BYTES = 24
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")

# What a result takes beside its picture's bytes: the spec, its slogan, and the places in the cache.
_OVERHEAD_BYTES = 1_500

# How much later than promised a picture may leave memory.
_SWEEP_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished avatar.

    Attributes:
        content: A square JPEG of :data:`app.spec.DEFAULT_SIZE`, without metadata.
        spec: What was asked for.
        made: When, in seconds since 1970; replicas' clocks agree well enough for a page to say when it ends.
    """

    content: bytes
    spec: AvatarSpec
    made: float = field(default_factory=time.time, compare=False)


class Results(Protocol):
    """Where finished avatars are kept."""

    lifetime: float
    """Seconds that each is kept."""

    def opened(self) -> AbstractAsyncContextManager[object]:
        """Keep results until the block ends."""

    async def put(self, result: Result) -> str:
        """Keep a result and return its token, which is all that leads to it.

        Raises:
            Busy: It is larger than all of the room.
            StoreUnavailable: There is no room for it, or no way to it.
        """

    async def get(self, token: str) -> Result:
        """Return the result that a token leads to.

        Raises:
            ResultGone: Its time is over, it was deleted, it never was, or this is no token.
            StoreUnavailable: There is no way to it just now.
        """

    async def delete(self, token: str) -> None:
        """Forget the result that a token leads to, if it leads to any.

        Raises:
            StoreUnavailable: There is no way to it just now.
        """


def _new_token() -> str:
    return secrets.token_urlsafe(_TOKEN_BYTES)


def _name(token: str) -> str:
    """Return the name that a result is kept under: who sees names cannot tell the addresses.

    Raises:
        ResultGone: This is no token.
    """
    if not _TOKEN.fullmatch(token):
        raise ResultGone
    return hashlib.sha256(token.encode()).hexdigest()


# -- in this process -------------------------------------------------------


class _Kept(TTLCache[str, Result]):
    """Counts what has to leave before its time."""

    evicted = 0

    def popitem(self) -> tuple[str, Result]:
        self.evicted += 1
        return super().popitem()


class MemoryResults:
    """Results in the memory of this process. When it is full, the least recently used leaves early.

    Args:
        lifetime: Seconds that each is kept.
        memory_bytes: Memory for all of them.
        timer: What tells the time, in seconds.
    """

    def __init__(
        self, lifetime: float, memory_bytes: int, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self.lifetime = lifetime
        self._kept = _Kept(memory_bytes, lifetime, timer, _nbytes)

    @property
    def held(self) -> int:
        """How many there are."""
        return len(self._kept)

    @property
    def held_bytes(self) -> int:
        """The memory that they take."""
        return int(self._kept.currsize)

    @property
    def evicted(self) -> int:
        """How many had to leave before their time, since the start."""
        return self._kept.evicted

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Let results leave memory when their time is over, also when nobody comes."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sweep)
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()
                self._kept.clear()

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(_SWEEP_SECONDS)
            self._kept.expire()

    async def put(self, result: Result) -> str:
        """Keep a result and return its token.

        Raises:
            Busy: It is larger than all of the memory.
        """
        token = _new_token()
        try:
            self._kept[_name(token)] = result
        except ValueError:
            raise Busy from None
        return token

    async def get(self, token: str) -> Result:
        """Return the result that a token leads to.

        Raises:
            ResultGone: There is none.
        """
        try:
            return self._kept[_name(token)]
        except KeyError:
            raise ResultGone from None

    async def delete(self, token: str) -> None:
        """Forget the result that a token leads to, if it leads to any."""
        with suppress(ResultGone):
            self._kept.pop(_name(token), None)


def _nbytes(result: Result) -> int:
    return len(result.content) + _OVERHEAD_BYTES


# -- in Redis --------------------------------------------------------------


class RedisResults:
    """Results that all replicas share.

    Args:
        store: The Redis.
        lifetime: Seconds that each is kept.
    """

    def __init__(self, store: RedisClient, lifetime: float) -> None:
        self.lifetime = lifetime
        self._store = store

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """There is nothing to begin or to end: Redis forgets by itself, and others may still ask it."""
        yield self

    async def put(self, result: Result) -> str:
        """Keep a result and return its token.

        Raises:
            StoreUnavailable: Redis is full or out of reach.
        """
        token = _new_token()
        name = _name(token)
        await self._store.put(_key(name), _pack(name, result), self.lifetime)
        return token

    async def get(self, token: str) -> Result:
        """Return the result that a token leads to.

        Raises:
            ResultGone: There is none.
            StoreUnavailable: Redis is out of reach.
        """
        name = _name(token)
        value = await self._store.get(_key(name))
        if value is None:
            raise ResultGone
        return _unpack(name, value)

    async def delete(self, token: str) -> None:
        """Forget the result that a token leads to, if it leads to any.

        Raises:
            StoreUnavailable: Redis is out of reach.
        """
        with suppress(ResultGone):
            await self._store.delete(_key(_name(token)))


def _key(name: str) -> str:
    return f"result:{name}"


class _Header(BaseModel):
    """What stands before a picture's bytes, in a line of JSON."""

    model_config = ConfigDict(extra="forbid")

    name: str
    spec: AvatarSpec
    made: float


def _pack(name: str, result: Result) -> bytes:
    header = _Header(name=name, spec=result.spec, made=result.made)
    return header.model_dump_json().encode() + b"\n" + result.content


def _unpack(name: str, value: bytes) -> Result:
    """Return the result in a value.

    Raises:
        ResultGone: It is another's, or was written by a version of this service that says it otherwise.
    """
    line, _, content = value.partition(b"\n")
    try:
        header = _Header.model_validate_json(line)
    except ValidationError:
        header = None
    # A client of Redis has been known to take the answer to one question for that to another (redis-py 4.5,
    # March 2023): a picture is shown under its own name only.
    if header is None or header.name != name:
        _log.error("result_unreadable")
        raise ResultGone
    return Result(content, header.spec, header.made)
