"""What draws: frame library, studio and worker pool, built from the settings for whoever draws.

The web service does today. Each has its own: nothing here is shared by processes but the folders.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Self

from app import __version__, render
from app.frames import FrameLibrary
from app.jobs import Studio
from app.spec import AvatarSpec
from app.workers import WorkerPool

if TYPE_CHECKING:
    from app.settings import Settings

# Whatever else decides which bytes a picture has: each of them may draw differently in its next version.
_LIBRARIES = ("arabic-reshaper", "cykooz-resizer", "pillow", "resvg-py", "uharfbuzz")
# Our code, and the face detector's weights: they move the crop. (Any version of numpy finds the same faces.)
_DRAWING_FILES = {".py", ".int8"}


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that a process needs to draw.

    Attributes:
        frames: The library that specs refer to.
        studio: What a worker draws with.
        pool: The workers, to be opened by whoever holds this.
        revision: Changes with the code that draws, ours and others'.
        specimen: What workers warm up with, and probes draw.
    """

    frames: FrameLibrary
    studio: Studio
    pool: WorkerPool
    revision: str
    specimen: AvatarSpec

    @classmethod
    def build(cls, settings: Settings, specimen: AvatarSpec | None = None, spare: int = 0) -> Self:
        """Put the parts together as the settings say. Nothing is started.

        Args:
            settings: How to draw.
            specimen: The library's first frame in its first language unless given.
            spare: Workers beside those of the settings, for others than bulk.

        Raises:
            InvalidFrame: A frame is wrong, or there is none.
        """
        frames = FrameLibrary(settings.frames_folders, settings.fonts)
        studio = Studio(
            settings.frames_folders,
            settings.fonts,
            settings.overlay_cache_bytes,
            settings.limits,
            settings.faces,
        )
        frame = next(iter(frames))
        specimen = specimen or AvatarSpec(frame=frame.id, lang=frame.languages[0])
        pool = WorkerPool(
            workers=settings.workers,
            queue=settings.queue,
            deadline=settings.deadline,
            memory_bytes=settings.worker_memory_bytes,
            warm_up=partial(studio.draw_specimen, specimen),
            spare=spare,
        )
        return cls(frames, studio, pool, drawing_revision(), specimen)


def drawing_revision() -> str:
    """Return a digest of our code that draws and of the versions of the libraries that it draws with."""
    digest = hashlib.sha256(__version__.encode())
    for library in _LIBRARIES:
        digest.update(f"\0{library} {_version(library)}".encode())
    for folder in map(Path, render.__path__):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _DRAWING_FILES):
            digest.update(f"\0{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # there is not one of everything for every machine
        return "none"
