"""The figures of all tests here, as a table behind their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.figures import TABLE, Figures

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def note(pytestconfig: pytest.Config) -> Callable[[Figures], None]:
    """Put a line into the table."""
    table = pytestconfig.stash.setdefault(TABLE, [])
    return table.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    if table := config.stash.get(TABLE, []):
        terminalreporter.section("beside an attack")
        terminalreporter.write_line(Figures.HEAD)
        for figures in table:
            terminalreporter.write_line(str(figures))
