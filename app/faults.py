"""What may be said of an unexpected exception: its type and its place, never its text.

The text of an exception that a library raises can hold the bytes of a photo or the words of a supporter.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Fault:
    """A bug, described without a word of what it was busy with.

    Attributes:
        kind: The exception's type: ``builtins.KeyError``.
        place: The innermost line of our own code it passed: ``app/render/crop.py:41 in crop``; or, where it
            passed none, the innermost line of all, by the file's name.
    """

    kind: str
    place: str

    @classmethod
    def of(cls, exc: BaseException) -> Self:
        """Describe an exception; of a group, its first one."""
        while isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        kind = f"{type(exc).__module__}.{type(exc).__qualname__}"
        frames = traceback.extract_tb(exc.__traceback__)
        if not frames:
            return cls(kind, "unknown")
        ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_ROOT / "app")]
        frame = ours[-1] if ours else frames[-1]
        path = Path(frame.filename)
        name = path.relative_to(_ROOT) if ours else path.name
        return cls(kind, f"{name}:{frame.lineno} in {frame.name}")
