from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import pytest

from app.errors import Busy, TooManyAtOnce
from app.web.batch_desk import Places


@dataclass(frozen=True)
class Partner:
    """Who takes a place."""

    id: str


ONE, ANOTHER = (cast("Any", Partner(name)) for name in ("p_1", "p_2"))


def test_places_are_counted_for_each_and_for_all() -> None:
    """So many of one partner, and so many of all; who is refused takes none, and who leaves makes room."""
    places = Places(2, 3)
    for _ in range(2):  # as often as one likes
        with ExitStack() as held:
            held.enter_context(places.held(ONE))
            held.enter_context(places.held(ONE))
            with pytest.raises(TooManyAtOnce), places.held(ONE):
                pass
            with places.held(ANOTHER), pytest.raises(Busy), places.held(ANOTHER):
                pass
            held.enter_context(places.held(ANOTHER))


def test_what_fails_gives_its_place_back() -> None:
    """However it ends."""
    places = Places(1, 1)
    for _ in range(3):
        with pytest.raises(KeyError), places.held(ONE):
            raise KeyError
