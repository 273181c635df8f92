"""What the routes share: built once by ``create_app``, found at ``request.app.state.service``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from anyio import Lock

from app.frames import FrameLibrary
from app.jobs import Studio
from app.spec import AvatarSpec
from app.web.metrics import Metrics
from app.web.uploads import UploadDesk
from app.workers import WorkerPool

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one running service."""

    frames: FrameLibrary
    studio: Studio
    pool: WorkerPool
    uploads: UploadDesk
    metrics: Metrics
    specimen: AvatarSpec
    """What workers warm up with, and probes draw."""
    probing: Lock
    """Held while a probe draws, so that many probes draw once."""

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Put the parts together as the settings say.

        Raises:
            InvalidFrame: A frame is wrong, or there is none.
        """
        frames = FrameLibrary(settings.frames_folder, settings.fonts_folder)
        studio = Studio(
            settings.frames_folder, settings.fonts_folder, settings.overlay_cache_bytes, settings.limits
        )
        frame = next(iter(frames))
        specimen = AvatarSpec(frame=frame.id, lang=frame.languages[0])
        pool = WorkerPool(
            workers=settings.workers,
            queue=settings.queue,
            deadline=settings.deadline,
            memory_bytes=settings.worker_memory_bytes,
            warm_up=partial(studio.draw_specimen, specimen),
        )
        uploads = UploadDesk(
            max_photo_bytes=settings.max_photo_bytes,
            max_uploads=settings.max_uploads,
            memory_bytes=settings.upload_memory_bytes,
            timeout=settings.upload_timeout,
        )
        return cls(frames, studio, pool, uploads, Metrics(pool, uploads), specimen, Lock())


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service
