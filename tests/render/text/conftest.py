"""What the tests of text share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def fonts(root: Path) -> Path:
    """The fonts that we ship."""
    return root / "fonts"
