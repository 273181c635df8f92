"""How far a long command is, for who waits at a terminal, and for a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

import click

from app.errors import told
from app.texts.marking import mark

if TYPE_CHECKING:
    from app.errors import Param

_COUNT = mark("{done} of {all}")
_RATE = mark("{rate} a second")
_LEFT = mark("time left: {time}")
_FAILURES = mark("failed: {count}")

_LINE_SECONDS = 10
"""Between two lines of progress where they are kept, in a file or a log."""
_DRAWN_SECONDS = 0.1
"""Between two states of the line on a terminal."""
_RATE_SECONDS = 30
"""Over which the rate is taken: photos of one kind often stand together."""


class Progress:
    """How far it is: one line on a terminal; elsewhere a line every few seconds. On standard error.

    Args:
        total: Photos to be drawn.
        language: Of the reader.
    """

    def __init__(self, total: int, language: str) -> None:
        self.made = 0
        self._failed = 0
        self._total = total
        self._language = language
        self._is_terminal = sys.stderr.isatty()
        self._interval = _DRAWN_SECONDS if self._is_terminal else _LINE_SECONDS
        self._shown = time.monotonic()
        self._width = 0
        # When so many were done, from the first one on: workers take a while to start.
        self._marks: deque[tuple[float, int]] = deque()

    def note(self, *, is_failure: bool) -> None:
        """Count a photo."""
        self._failed += is_failure
        self.made += not is_failure
        now = time.monotonic()
        if not self._marks or now - self._marks[-1][0] > 1:
            self._marks.append((now, self._done))
        while len(self._marks) > 2 and now - self._marks[1][0] > _RATE_SECONDS:
            self._marks.popleft()

    def show(self) -> None:
        """Say how far it is, if it is time to."""
        now = time.monotonic()
        if now - self._shown < self._interval:
            return
        self._shown = now
        line = self._line(now)
        if not self._is_terminal:
            click.echo(line, err=True)
            return
        # A line that reaches the edge would go on in the next one, and not be written over.
        line = line[: max(shutil.get_terminal_size().columns - 1, 10)]
        click.echo(f"\r{line}{' ' * max(self._width - len(line), 0)}", err=True, nl=False)
        self._width = len(line)

    def clear(self) -> None:
        """Take the line off the terminal, for another one in its place."""
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", err=True, nl=False)
            self._width = 0

    close = clear

    @property
    def _done(self) -> int:
        return self.made + self._failed

    def _line(self, now: float) -> str:
        then, done = self._marks[0] if self._marks else (now, 0)
        rate = (self._done - done) / max(now - then, 1e-3)
        parts = [self._told(_COUNT, done=self._done, all=self._total)]
        if rate:
            parts.append(self._told(_RATE, rate=round(rate, 1)))
            parts.append(self._told(_LEFT, time=_clock((self._total - self._done) / rate)))
        if self._failed:
            parts.append(self._told(_FAILURES, count=self._failed))
        return "; ".join(parts)

    def _told(self, text: str, **params: Param) -> str:
        return told(text, params, self._language)


def _clock(seconds: float) -> str:
    """Write a time as ``1:02:03``, or ``2:03`` below an hour."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
