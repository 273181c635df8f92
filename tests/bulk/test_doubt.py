from __future__ import annotations

from typing import get_args

import pytest

from app.bulk.doubt import is_doubtful
from app.render.framing import Choice, Kind


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_no_face_has_chosen_is_doubtful(kind: Kind) -> None:
    """A square by where heads mostly are, or in the middle, may show anything; one that was given may not."""
    assert is_doubtful(Choice(kind, 0.5, 0.5, 1)) == (kind in {"head", "centre"})


def test_what_was_not_made_is_not_doubtful() -> None:
    """It has no square."""
    assert not is_doubtful(None)
