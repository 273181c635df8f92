"""A studio whose process dies of some photos, as one whose decoder crashes does."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.jobs import Studio

if TYPE_CHECKING:
    from app.render.avatar import Avatar
    from app.spec import AvatarSpec

DEADLY = b"deadly"
"""At the end of a photo, behind all that is decoded."""


@dataclass(frozen=True, slots=True)
class DeadlyStudio(Studio):
    """Draws as any studio, but for the photos that kill it."""

    def draw_for_batch(self, photo: bytes, spec: AvatarSpec) -> tuple[Avatar, bytes]:
        """Draw a photo, or die of it."""
        if photo.endswith(DEADLY):
            os.kill(os.getpid(), signal.SIGKILL)
        return Studio.draw_for_batch(self, photo, spec)
