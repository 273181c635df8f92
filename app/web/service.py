"""What the routes share: built once by ``create_app``, found at ``request.app.state.service``."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from anyio import Lock

from app.drawing import Drawing
from app.web.batch_desk import BatchDesk
from app.web.http.client import Parties
from app.web.http.uploads import UploadDesk
from app.web.metrics import Metrics
from app.web.state.counter import AvatarCounter, CounterFile
from app.web.state.kept_bytes import KeptBytes
from app.web.state.limiter import DerivedLimiter, OverlayLimiter
from app.web.state.redis import RedisClient
from app.web.state.results import MemoryResults, RedisResults, Results

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from app.settings import Settings


_PAGES_BYTES = 10_000_000
"""For frames' pictures. All that the pages ask for fits a third of it: three frames in eight languages and
four sizes, 35 KB each as a WebP of 540 px."""

_OTHERS_BYTES = 6_000_000
"""For other sizes and for PNGs. Whoever asks for thousands of those pushes out what nobody has asked for
longest, and nothing that a page shows."""


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one running service."""

    drawing: Drawing
    batch_desk: BatchDesk | None
    """Where partners bring their batches; None where there are none."""
    parties: Parties
    uploads: UploadDesk
    store: RedisClient | None
    """The Redis that replicas share, where there are several."""
    results: Results
    counter: AvatarCounter
    metrics: Metrics
    probing: Lock
    """Held while a probe draws, so that many probes draw once."""
    overlay_cache: KeptBytes
    """The frames' own pictures that the pages show, encoded."""
    other_overlays: KeptBytes
    """The frames' own pictures in other sizes and formats."""
    overlay_limiter: OverlayLimiter
    """At drawing frames' pictures that no page shows by itself."""
    derived_limiter: DerivedLimiter
    """At drawing what is made of finished avatars."""

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Put the parts together as the settings say.

        Raises:
            InvalidFrame: A frame is wrong, or there is none.
            InvalidSettings: The counter's file, the address of Redis, or what keeps batches cannot be used.
        """
        # However many workers there are, one more is enough: of many, some job of bulk's is about to end.
        drawing = Drawing.build(settings, spare=1 if settings.batches else 0)
        uploads = UploadDesk(
            max_photo_bytes=settings.max_photo_bytes,
            max_uploads=settings.max_uploads,
            memory_bytes=settings.upload_memory_bytes,
            timeout=settings.upload_timeout,
        )
        store = RedisClient(settings.redis_url.get_secret_value()) if settings.redis_url else None
        results: MemoryResults | RedisResults
        if store is None:
            results = MemoryResults(settings.result_lifetime, settings.result_memory_bytes)
        else:
            results = RedisResults(store, settings.result_lifetime)
        # A short request for 0.7 s of work.
        overlays = OverlayLimiter(max(1, settings.workers // 4), settings.queue, settings.deadline)
        counter_file = CounterFile(settings.counter_file) if settings.counter_file else None
        return cls(
            drawing=drawing,
            batch_desk=BatchDesk.build(settings, drawing, store) if settings.batches else None,
            parties=Parties(settings.trusted_proxies),
            uploads=uploads,
            store=store,
            results=results,
            counter=AvatarCounter(counter_file, store),
            metrics=Metrics(
                pool=drawing.pool, uploads=uploads, overlays=overlays, results=results, store=store
            ),
            probing=Lock(),
            overlay_cache=KeptBytes(_PAGES_BYTES),
            other_overlays=KeptBytes(_OTHERS_BYTES),
            overlay_limiter=overlays,
            # At least half of the workers are left to those who have no picture yet.
            derived_limiter=DerivedLimiter(max(1, settings.workers // 2), settings.deadline),
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Run every part that has to be started and ended.

        Raises:
            ExceptionGroup: As :meth:`app.workers.WorkerPool.opened`.
            StorageUnavailable: The database of batches does not answer.
        """
        async with AsyncExitStack() as stack:
            # The pool behind these, so that it closes before them: no avatar is made that nobody counts. What
            # has batches drawn comes last, and puts its work down while there is a pool.
            if self.store:
                await stack.enter_async_context(self.store.opened())
            await stack.enter_async_context(self.counter.opened())
            await stack.enter_async_context(self.results.opened())
            await stack.enter_async_context(self.drawing.pool.opened())
            if self.batch_desk:
                await stack.enter_async_context(self.batch_desk.opened())
            yield self

    def begin_to_stop(self) -> None:
        """End the answers that have no end of their own, and draw nothing more that nobody waits for."""
        if self.batch_desk:
            self.batch_desk.begin_to_stop()


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service
