"""What runs inside a worker process. Imports only what drawing needs, so that a worker starts fast."""

from __future__ import annotations

import ctypes
import io
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from app.errors import PhotoDamaged, RibbonsError
from app.faults import Fault
from app.frames import FrameLibrary
from app.render.avatar import make_avatar, make_avatar_and_picture
from app.render.derived.collection import draw_collection
from app.render.derived.platforms import PLATFORMS, draw_for
from app.render.derived.small import draw_small
from app.render.derived.story import draw_story
from app.render.overlay import Overlays
from app.render.rendition import make_rendition
from app.spec import field_range

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.frames import FontsFolder
    from app.render.avatar import Avatar
    from app.render.limits import Limits
    from app.spec import AvatarSpec

T = TypeVar("T")

_PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From glibc's <malloc.h>."""
_KEPT_BYTES = 40 << 20
"""How much freed memory a process that photos pass through keeps for the next one, where the C library is
glibc. The web process saves 5 ms of 17 with photos of 3 MB. A worker keeps what a JPEG takes that its decoder
shrank as little as it may, and its square (25 and 14 MB at 1080 px). By itself glibc may give it back each
time, and the system clears it anew: 3,707 page faults and 12 ms of the system's CPU for an avatar, of 12 and
24 million pixels in turns. With 64 MiB a mixture with PNG and WebP takes a fifth fewer faults, but a worker
of small photos grew by 53 MB."""
_BLOCK_BYTES = 32 << 20
"""What is larger comes from the system and goes back to it at once. Pillow's own blocks have 16 MiB; above
32 MiB older versions of glibc refuse."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one job may use of its process.

    Attributes:
        seconds: After this long the process ends itself, even where its parent is gone and cannot kill it.
        memory_bytes: Most memory for data (``RLIMIT_DATA``: the heap and private mappings).
    """

    seconds: float
    memory_bytes: int


class JobFailed(Exception):
    """A job raised something that is not ours. Carries the fault, and nothing that the exception said."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def forbid_core_dumps() -> None:
    """Keep the system from writing this process' memory, and the photos in it, to a disk when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Linux does not ask that limit where core_pattern is a pipe, as it is under systemd-coredump.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@cache
def keep_freed_memory() -> None:
    """Have this process keep what it frees, up to :data:`_KEPT_BYTES`, where its C library can be told to."""
    with suppress(AttributeError):
        # musl and macOS have no such function.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def perform(job: Callable[[], T], allowance: Allowance) -> T:
    """Run a job in this process, which from now on does nothing else.

    Raises:
        RibbonsError: What the job itself raised.
        PhotoDamaged: The job needed more memory than it may have. A whole photo within every limit does not,
            because settings under which it would are refused at the start.
        JobFailed: The job raised anything else.
    """
    _restrain(allowance)
    try:
        return job()
    except RibbonsError:
        raise
    except MemoryError:
        raise PhotoDamaged from None
    except BaseException as exc:  # noqa: BLE001 - SystemExit too would be raised again in the parent
        raise JobFailed(Fault.of(exc)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _restrain(allowance: Allowance) -> None:
    # A terminal's Ctrl-C and some supervisors signal the whole group. The parent finishes what it accepted,
    # so its workers must live until it closes their pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # SIGALRM ends a process in the middle of C code too; no Python handler could.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, allowance.seconds)
    resource.setrlimit(resource.RLIMIT_DATA, (allowance.memory_bytes, allowance.memory_bytes))
    forbid_core_dumps()
    keep_freed_memory()


@dataclass(frozen=True, slots=True)
class Studio:
    """What a worker draws with. Small: it travels with every job.

    Attributes:
        frames_folders: As for :class:`~app.frames.FrameLibrary`.
        fonts_folder: As for :class:`~app.frames.FrameLibrary`.
        overlay_cache_bytes: Memory for overlays that are kept.
        limits: What a photo may be.
        finds_faces: Whether it may look for faces at all, whatever is asked for.
    """

    frames_folders: tuple[Path, ...]
    fonts_folder: FontsFolder
    overlay_cache_bytes: int
    limits: Limits
    finds_faces: bool = True

    @property
    def smallest_side(self) -> int:
        """Pixels along a side that is long enough for a photo, and for an avatar."""
        smallest, _ = field_range("size")
        return max(int(smallest), self.limits.min_side)

    def draw_avatar(self, photo: bytes, spec: AvatarSpec) -> Avatar:
        """Make one avatar. Raises as :func:`~app.render.avatar.make_avatar` does."""
        return make_avatar(photo, self._allowed(spec), _overlays(self), self.limits)

    def draw_for_batch(self, photo: bytes, spec: AvatarSpec) -> tuple[Avatar, bytes]:
        """Make one avatar, and a small JPEG of it. Raises as :meth:`draw_avatar` does."""
        avatar, picture = make_avatar_and_picture(photo, self._allowed(spec), _overlays(self), self.limits)
        return avatar, draw_small(picture)

    def _allowed(self, spec: AvatarSpec) -> AvatarSpec:
        return spec if self.finds_faces else spec.without_faces()

    def draw_overlay(self, spec: AvatarSpec) -> bytes:
        """Draw a frame by itself, as the spec's format says: WebP, or else PNG.

        Raises as :meth:`~app.render.overlay.Overlays.get` does.
        """
        overlays = _overlays(self)
        return overlays.webp(spec) if spec.output_format == "webp" else overlays.png(spec)

    def draw_rendition(self, photo: bytes, side: int) -> bytes:
        """Make a photo a plain JPEG. Raises as :func:`~app.render.rendition.make_rendition` does."""
        return make_rendition(photo, side, self.limits)

    def draw_platform(self, avatar: bytes, platform: str) -> bytes:
        """Fit a finished avatar to one of :data:`~app.render.derived.platforms.PLATFORMS`, by its key.

        Raises as :func:`~app.render.derived.platforms.draw_for` does.
        """
        return draw_for(avatar, PLATFORMS[platform])

    def draw_story(self, avatar: bytes, spec: AvatarSpec, address: str) -> bytes:
        """Draw a finished avatar's story card.

        Raises as :func:`~app.render.derived.story.draw_story` does.
        """
        return draw_story(avatar, spec, address, _overlays(self).frames.get(spec.frame))

    def draw_collection(self, avatar: bytes, spec: AvatarSpec, address: str) -> bytes:
        """Put all that is made of a finished avatar in a ZIP.

        Raises as :func:`~app.render.derived.collection.draw_collection` does.
        """
        return draw_collection(avatar, spec, address, _overlays(self).frames.get(spec.frame))

    def draw_specimen(self, spec: AvatarSpec) -> Avatar:
        """Make an avatar of a plain photo, to prove that this process can, or to warm it up.

        No square is given, so a face is looked for: OpenBLAS takes its memory at the first one, and ends the
        process where a large photo has left too little.
        """
        file = io.BytesIO()
        Image.new("RGB", (spec.size, spec.size), "white").save(file, "JPEG")
        return self.draw_avatar(file.getvalue(), spec)


# A worker draws with few studios: those of its service, and of what it does for partners beside it.
@lru_cache(maxsize=4)
def _overlays(studio: Studio) -> Overlays:
    """Return this process's overlays of a studio."""
    return Overlays(FrameLibrary(studio.frames_folders, studio.fonts_folder), studio.overlay_cache_bytes)
