"""What several replicas share: a Redis, asked in bounded time. The only importer of its client.

Whatever goes wrong with it is :class:`app.errors.StoreUnavailable` to who asked, and never a word of what
was asked.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from app.errors import StoreUnavailable
from app.faults import Fault
from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping

# A Redis that is near answers in a millisecond. These are for one that hangs or is gone: nobody waits for it
# longer than for a photo to be drawn.
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_CALL_SECONDS = 4.0

# Each holds one picture while it is sent or read.
_CONNECTIONS = 64

# Strangers cannot fill the log with what fails on their behalf.
_LOG_SECONDS = 60.0

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)


class RedisClient:
    """A Redis under names of our own.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``. Shown to nobody: it may hold a password.
        prefix: What all names begin with.

    Attributes:
        has_answered: Whether it has ever done what it was asked.
        failures: Calls that failed since the start.
        prefix: As given.
        pool: Its connections, for a library that brings its own commands: to be called by :meth:`within`.

    Raises:
        InvalidSettings: The address has options that its kind of connection does not take.
    """

    def __init__(self, url: str, prefix: str = "ribbons:") -> None:
        self.has_answered = False
        self.failures = 0
        self.prefix = prefix
        self._logged = float("-inf")
        self.pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            # Once more at once: a connection that has rested may be dead without looking it.
            retry=Retry(NoBackoff(), 1, supported_errors=(NoConnection,)),
            # The old protocol: each version and each fork of Redis speaks it, and it announces nothing.
            protocol=2,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        try:
            # Opens nothing, but reads the options.
            self.pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py types its commands only
        except TypeError:
            raise InvalidSettings(f"{PREFIX}REDIS_URL: has options that do not go with its scheme") from None
        self._redis = Redis.from_pool(self.pool)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Connect when first asked, and disconnect at the end of the block."""
        try:
            yield self
        finally:
            await self._redis.aclose()

    async def put(self, name: str, value: bytes, lifetime: float) -> None:
        """Keep a value for so many seconds.

        Raises:
            StoreUnavailable: Redis is full or out of reach.
        """
        # One command: there is no moment in which a value has no end.
        await self._call("SET", self.prefix + name, value, "PX", max(1, round(lifetime * 1000)))

    async def get(self, name: str) -> bytes | None:
        """Return a value, or None where there is none.

        Raises:
            StoreUnavailable: Redis is out of reach.
        """
        value: bytes | None = await self._call("GET", self.prefix + name)
        return value

    async def delete(self, name: str) -> None:
        """Forget a value, if there is one.

        Raises:
            StoreUnavailable: Redis is out of reach.
        """
        await self._call("DEL", self.prefix + name)

    async def fields(self, name: str) -> dict[str, str]:
        """Return the fields of a name; none where there is no such name.

        Raises:
            StoreUnavailable: Redis is out of reach.
        """
        answer = await self._call("HGETALL", self.prefix + name)
        return {key.decode(): value.decode() for key, value in answer.items()}

    async def set_fields(self, name: str, fields: Mapping[str, str]) -> None:
        """Keep fields under a name, for ever.

        Raises:
            StoreUnavailable: Redis is full or out of reach.
        """
        await self._call("HSET", self.prefix + name, *(word for pair in fields.items() for word in pair))

    async def add(self, name: str, field: str, number: int) -> int:
        """Add to a number in a field, and return the sum.

        Raises:
            StoreUnavailable: Redis is full or out of reach.
        """
        total: int = await self._call("HINCRBY", self.prefix + name, field, number)
        return total

    async def ping(self) -> None:
        """Ask whether it is there.

        Raises:
            StoreUnavailable: It is not.
        """
        await self._call("PING")

    async def _call(self, *words: bytes | str | int) -> Any:
        return await self.within(self._redis.execute_command(*words))  # type: ignore[no-untyped-call]

    async def within(self, call: Awaitable[Answer]) -> Answer:
        """Wait for what a call of Redis says, for as long as anybody should.

        Raises:
            StoreUnavailable: Redis is full or out of reach.
        """
        try:
            with anyio.fail_after(_CALL_SECONDS):
                answer = await call
        except (RedisError, OSError) as exc:  # TimeoutError is an OSError
            self._note(exc)
            raise StoreUnavailable from None
        self.has_answered = True
        return answer

    def _note(self, exc: RedisError | OSError) -> None:
        self.failures += 1
        now = time.monotonic()
        if now - self._logged < _LOG_SECONDS:
            return
        self._logged = now
        # Its type says why (out of memory, authentication, time-out); its text may quote what was sent.
        _log.warning("redis_failed", kind=Fault.of(exc).kind, failures=self.failures)
