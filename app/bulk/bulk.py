"""Bulk as one thing: ledger, store, batches and engine, built from the settings for who serves or draws."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

import anyio
from anyio.from_thread import BlockingPortal

from app.bulk.batches import Batches, Holdings
from app.bulk.engine import Engine
from app.bulk.ledger import Ledger
from app.bulk.locks import check_connection
from app.bulk.sealing import open_vault
from app.bulk.store import Store
from app.bulk.work import Drawer, Upkeep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from app.drawing import Drawing
    from app.settings import Settings

# While one photo is drawn, another one of the same worker's is fetched, opened, sealed or written.
_PHOTOS_A_WORKER = 3


class Bulk:
    """Everything that batches need in one process.

    Attributes:
        batches: What partners may do.
    """

    def __init__(self, settings: Settings, drawing: Drawing) -> None:
        holdings = Holdings(Ledger.build(settings), Store.build(settings), open_vault(settings))
        self._settings = settings
        self._ledger = holdings.ledger
        self._fingerprint = holdings.vault.fingerprint
        self._engine = Engine(settings, self, concurrency=_PHOTOS_A_WORKER * settings.workers)
        self.batches = Batches(holdings, drawing.frames, self._engine, settings)
        self._drawer = Drawer(self.batches, holdings, drawing)
        self._upkeep = Upkeep(self.batches, holdings)

    @classmethod
    def build(cls, settings: Settings, drawing: Drawing) -> Self:
        """Put the parts together. Nothing is started.

        Raises:
            InvalidSettings: The data folder, the secret or an address cannot be used.
        """
        return cls(settings, drawing)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Bring the tables up to date and draw what waits, until the block ends. Needs the pool to be open.

        Raises:
            InvalidSettings: No database answers, or what is in it was sealed with another secret.
            StorageUnavailable: The database has gone away meanwhile.
        """
        await anyio.to_thread.run_sync(self._prepare)
        async with BlockingPortal() as portal:
            self._drawer.portal = portal
            opening = self._engine.opened()
            await anyio.to_thread.run_sync(opening.__enter__)
            try:
                yield self
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(opening.__exit__, None, None, None)
                    await anyio.to_thread.run_sync(self._ledger.close)

    def stop(self) -> None:
        """Begin to stop: draw nothing more than the photos in hand. The end of the block waits for them."""
        self._engine.stop()

    def _prepare(self) -> None:
        if self._settings.jobs_url is not None:
            check_connection(self._settings.jobs_url.get_secret_value())
        self._ledger.migrate()
        # Whoever has another secret would take chunks from those who can open them.
        self._ledger.check_secret(self._fingerprint)

    def draw(self, batch: str, numbers: Sequence[int], is_stopping: Callable[[], bool]) -> None:
        """See :meth:`app.bulk.work.Drawer.draw`."""
        self._drawer.draw(batch, numbers, is_stopping)

    def tick(self) -> None:
        """See :meth:`app.bulk.work.Upkeep.tick`."""
        self._upkeep.tick()
