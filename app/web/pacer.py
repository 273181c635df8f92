"""Whose piece of work begins in a pass of the event loop."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from app.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.turns import Party

    _Work = tuple[Party, Callable[[], None]]


class Pacer:
    """Lets one piece of work begin in each pass of the event loop. Parties take turns at it.

    A loop does all that is ready before it looks at its sockets again: two hundred who ask for a page at once
    held everybody else up for as long as two hundred pages take. With one beginning at a time the loop looks
    around after each, and the pages are done in the same time.

    Whoever has hundreds of connections has one turn all the same, not one for each of them.

    Whoever has come is let in first: libuv takes one new connection in a pass, and the thousandth would wait
    for the requests of all before it until it is so much as heard.
    """

    _MOST_LET_IN = 128
    """Connections that may be let in before the next piece of work; ten take as long as that."""

    def __init__(self) -> None:
        self._waiting: Turns[_Work] = Turns()
        self._urgent: Turns[_Work] = Turns()
        self._was_urgent = False
        self._is_busy = False
        self._has_come = False
        self._let_in = 0

    def let_in(self) -> None:
        """Note that somebody has come."""
        self._has_come = True

    def begin(self, work: Callable[[], None], party: Party, *, is_urgent: bool = False) -> bool:
        """Do a piece of work now or in a later pass, and tell whether it is done.

        What is urgent goes first, but not twice on end while others wait: anyone may say that it is.
        """
        if self._is_busy:
            # A partial is equal to itself alone, so that the same work may wait twice.
            (self._urgent if is_urgent else self._waiting).join(party, (party, partial(work)))
            return False
        self._is_busy = True
        asyncio.get_running_loop().call_soon(self._go_on)
        work()
        return True

    def _go_on(self) -> None:
        is_urgent = bool(self._urgent.waiting and not (self._was_urgent and self._waiting.waiting))
        queue = self._urgent if is_urgent else self._waiting
        if not queue.waiting:
            self._is_busy = self._was_urgent = False
            return
        asyncio.get_running_loop().call_soon(self._go_on)
        lets_in = self._has_come and not is_urgent and self._let_in < self._MOST_LET_IN
        self._has_come = False
        if lets_in:
            self._let_in += 1
            return
        self._let_in = 0
        self._was_urgent = is_urgent
        party, work = queue.next()
        queue.end(party)
        work()
