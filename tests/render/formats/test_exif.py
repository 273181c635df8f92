from __future__ import annotations

import pytest

from app.render.decode import identify
from app.render.limits import Limits
from tests.odd_photos import ORIENTATIONS


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_photo_is_turned_as_browsers_turn_it(name: str) -> None:
    """One SHORT from 1 to 8 counts, where a browser looks for it; whatever else there is says nothing."""
    photo, orientation = ORIENTATIONS[name]
    assert identify(photo, Limits()).orientation == orientation
