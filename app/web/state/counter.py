"""The number of avatars made, and since when: all that is remembered of anybody.

Counting touches nothing but a number in memory; a task adds it once a second to what is kept elsewhere, and
keeps what it could not add.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Self

import anyio
import structlog
from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import StoreUnavailable
from app.faults import Fault
from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import NoReturn

    from app.web.state.redis import RedisClient

_SECONDS = 1.0

_KEY = "counter"

_log = structlog.get_logger(__name__)


class Tally(BaseModel):
    """A number and the day it was counted from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    avatars: Annotated[int, Field(description="Avatars made.", ge=0, examples=[1234])]
    since: Annotated[date, Field(description="The day from which they are counted (UTC).")]


@dataclass(frozen=True, slots=True)
class CounterFile:
    """A tally in a file of its own: a line of JSON. For one process at a time."""

    path: Path

    def open(self) -> Tally:
        """Return what the file says, or begin it; and prove that it can be written.

        Raises:
            InvalidSettings: It can't be read or written, or holds something else.
        """
        try:
            tally = self._read()
            self.write(tally)
        except OSError as exc:
            self._refuse(f"cannot be read and written: {exc.strerror}")
        except ValidationError:
            self._refuse("holds something else than a count. Name another file, or remove this one")
        return tally

    def _read(self) -> Tally:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return Tally(avatars=0, since=_today())
        return Tally.model_validate_json(text)

    def _refuse(self, reason: str) -> NoReturn:
        raise InvalidSettings(f"{PREFIX}COUNTER_FILE: “{self.path}” {reason}")

    def write(self, tally: Tally) -> None:
        """Write a tally whole, or leave the file as it was.

        Raises:
            OSError: It cannot be written.
        """
        part = self.path.with_name(f".{self.path.name}.part")
        with part.open("w", encoding="ascii") as file:
            file.write(tally.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)


class AvatarCounter:
    """Counts avatars. What it counts is lost with the process unless it is given a file or Redis.

    It is a number to be glad of, not accounts: a process that is killed loses its last second, and what Redis
    added without its answer being heard is added once more; what one replica adds while another tells a
    forgetful Redis the number may be lost.

    Args:
        file: Where the number outlives the process.
        store: Where replicas add up their numbers.

    Raises:
        InvalidSettings: The file cannot be used.
    """

    def __init__(self, file: CounterFile | None = None, store: RedisClient | None = None) -> None:
        self._file = file
        self._store = store
        self._known = file.open() if file else Tally(avatars=0, since=_today())
        self._written = self._known
        self._is_written = True
        self._fresh = 0

    def count(self) -> None:
        """Count one avatar."""
        self._fresh += 1

    @property
    def total(self) -> int:
        """The number of avatars made; with Redis, what other replicas made a second ago included."""
        return self._known.avatars + self._fresh

    @property
    def since(self) -> date:
        """The day from which they are counted (UTC)."""
        return self._known.since

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Bring the number to where it is kept, once a second and at the end of the block."""
        await self._keep()  # also reads what other replicas have counted
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_on)
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()
        await self._keep()

    async def _keep_on(self) -> None:
        while True:
            await anyio.sleep(_SECONDS)
            await self._keep()

    async def _keep(self) -> None:
        """Add what was counted to what is kept. Nothing that fails here may end the service or an avatar."""
        try:
            await self._add()
            await self._write()
        except Exception as exc:  # noqa: BLE001 - logged, whatever it is
            fault = Fault.of(exc)
            _log.error("counter_failed", kind=fault.kind, place=fault.place)

    async def _add(self) -> None:
        avatars, since, fresh = self._known.avatars, self._known.since, self._fresh
        if self._store is None:
            avatars += fresh
        else:
            try:
                # Asked first: a Redis that hangs does not answer this, and has been told to add nothing.
                kept = await self._store.fields(_KEY)
                # It may have forgotten all in a restart, since it keeps nothing on a disk. So each replica
                # brings what it knows, and the largest number and the earliest day count.
                avatars = max(avatars, int(kept.get("avatars", 0)))
                since = min(since, date.fromisoformat(kept.get("since", since.isoformat())))
                known = {"avatars": str(avatars), "since": since.isoformat()}
                if kept != known:
                    await self._store.set_fields(_KEY, known)
                if fresh:
                    avatars = await self._store.add(_KEY, "avatars", fresh)
            except StoreUnavailable:
                return  # noted by the store; what is fresh goes again
        self._known = Tally(avatars=avatars, since=since)
        self._fresh -= fresh  # and not to zero: more may have been counted while Redis was asked

    async def _write(self) -> None:
        if self._file is None:
            return
        tally = Tally(avatars=self.total, since=self.since)
        if tally == self._written:
            return
        try:
            await to_thread.run_sync(self._file.write, tally)
        except OSError as exc:
            if self._is_written:
                _log.error("counter_not_written", reason=exc.strerror)
            self._is_written = False
        else:
            self._written, self._is_written = tally, True


def _today() -> date:
    return datetime.now(UTC).date()
