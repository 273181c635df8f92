"""Which avatars a person should look at: those whose square was chosen without a face."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.render.framing import Choice

_GUESSED = frozenset({"head", "centre"})


def is_doubtful(framing: Choice | None) -> bool:
    """Tell whether a square was guessed: no face was found, and nobody has given one."""
    return framing is not None and framing.kind in _GUESSED


def needs_a_look(framing: Choice | None) -> bool:
    """Tell whether a person should look at what became of a photo: nothing, or a square that was guessed."""
    return framing is None or is_doubtful(framing)
