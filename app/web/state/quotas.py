"""How many photos each key may send a day, and what is left of that: in this process, or in Redis for all.

Counted by the ``limits`` library, in a window that slides: what was sent in the day before counts less and
less as the new one goes on. So nobody has twice the quota around midnight, who has used it up gets it back
evenly in the course of the next day, and two numbers for each key are all that is kept. (A log of each
photo's moment would be exact, for a megabyte a key.)

A photo that replaces itself costs nothing. What is taken stays taken, also for a photo that is refused
afterwards: it is the work of receiving that is shared out.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import floor
from typing import TYPE_CHECKING, Final, NamedTuple

from limits.aio.storage import MemoryStorage, RedisStorage

from app.errors import QuotaUsedUp, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import TypeVar

    from app.bulk.opened import Partner
    from app.settings import Settings
    from app.web.state.redis import RedisClient

    Answer = TypeVar("Answer")

PHOTOS_A_DAY: Final = "photos-a-day"
"""What the quota is called in headers and errors."""

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class QuotaState:
    """What a key may send.

    Attributes:
        limit: Photos a day.
        left: Photos just now; None where nobody knows, because Redis is out of reach.
        seconds: How long no more than that are left; a day, while nothing is used.
    """

    limit: int
    left: int | None
    seconds: int

    @property
    def headers(self) -> Mapping[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-11 has it, whose units know no photos: none is named."""
        policy = {"RateLimit-Policy": f'"{PHOTOS_A_DAY}";q={self.limit};w={_DAY}'}
        if self.left is None:
            return policy
        return {**policy, "RateLimit": f'"{PHOTOS_A_DAY}";r={self.left};t={self.seconds}'}


class Quotas:
    """Counts the photos of each key.

    While Redis is out of reach everything passes: a quota is there that partners do not crowd each other out,
    and no member's photo shall be refused for a number that cannot be read. The client counts what failed,
    and logs it once a minute at most.

    Args:
        settings: How many a key may send that has no number of its own.
        store: Where several replicas count together.
    """

    def __init__(self, settings: Settings, store: RedisClient | None) -> None:
        self._photos_a_day = settings.photos_a_day
        self._store = store
        self._storage: MemoryStorage | RedisStorage
        if store is None:
            self._storage = MemoryStorage()
        else:
            self._storage = RedisStorage(
                "async+redis://",  # which nobody reads, where there is a pool
                implementation="redispy",
                key_prefix=f"{store.prefix}quotas",
                connection_pool=store.pool,  # type: ignore[arg-type]  # passed on to the client as it is
            )

    async def take(self, partner: Partner, photos: int = 1) -> QuotaState:
        """Count photos: all of them, or none.

        Args:
            partner: Whose key it is.
            photos: How many: 0 or more.

        Returns:
            What is left.

        Raises:
            QuotaUsedUp: Fewer are left.
        """
        if photos < 0:
            raise ValueError("photos are not given back")
        limit = self._limit(partner)
        try:
            is_taken = photos == 0 or await self._asked(
                self._storage.acquire_sliding_window_entry(_name(partner), limit, _DAY, photos)
            )
            window = await self._window(partner)
        except StoreUnavailable:
            return _unknown(limit)
        if not is_taken:
            raise QuotaUsedUp(window.seconds_until(photos, limit), quota=PHOTOS_A_DAY, limit=limit)
        return _state(window, limit)

    async def state(self, partner: Partner) -> QuotaState:
        """Return what a key may send."""
        limit = self._limit(partner)
        try:
            return _state(await self._window(partner), limit)
        except StoreUnavailable:
            return _unknown(limit)

    def _limit(self, partner: Partner) -> int:
        return self._photos_a_day if partner.photos_a_day is None else partner.photos_a_day

    async def _window(self, partner: Partner) -> _Window:
        return _Window(*await self._asked(self._storage.get_sliding_window(_name(partner), _DAY)))

    async def _asked(self, call: Awaitable[Answer]) -> Answer:
        return await (call if self._store is None else self._store.within(call))


class _Window(NamedTuple):
    """What was counted: in the window that is over, and in the one that goes on.

    Attributes:
        before: Photos of the one that is over.
        before_seconds: For how long these still count, less and less.
        now: Photos of the one that goes on.
        now_seconds: For how long these will count: until a day after it is over.
    """

    before: int
    before_seconds: float
    now: int
    now_seconds: float

    def left(self, limit: int) -> int:
        """Return how many more may be sent."""
        return max(0, limit - self.now - floor(self.before * self.before_seconds / _DAY))

    def seconds_until(self, photos: int, limit: int) -> int:
        """Return after how many seconds so many may be sent, if nothing else is.

        A day, if they never may.
        """
        least = limit - photos + 1  # what counts has to be less
        if least <= 0:
            return _DAY
        if self.now < least:
            seconds = self.before_seconds - (least - self.now) * _DAY / self.before if self.before else 0
        else:
            seconds = self.now_seconds - least * _DAY / self.now
        return max(0, floor(seconds)) + 1


def _state(window: _Window, limit: int) -> QuotaState:
    left = window.left(limit)
    return QuotaState(limit, left, _DAY if left == limit else window.seconds_until(left + 1, limit))


def _unknown(limit: int) -> QuotaState:
    return QuotaState(limit, None, 0)


def _name(partner: Partner) -> str:
    """Return what a key's count is called, which leads nobody who reads Redis to the ledger."""
    return f"{PHOTOS_A_DAY}/{sha256(partner.id.encode()).hexdigest()[:32]}"
