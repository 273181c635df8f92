from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from app.logs import configure_logging
from app.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a program's log says, with everything put back afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    libraries = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "python_multipart")
    levels = {name: logging.getLogger(name).level for name in libraries}
    configure_logging(load_settings(log_level="info"))
    stream = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers, root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def test_strangers_cannot_fill_the_log(log: io.StringIO) -> None:
    """What uvicorn and the form's parser say of malformed requests is left out; their errors are not."""
    for library in ("uvicorn.error", "python_multipart.multipart"):
        logging.getLogger(library).warning("Did not find boundary character")
        assert log.getvalue() == ""
    logging.getLogger("uvicorn.error").error("Cancelled")
    assert "Cancelled" in log.getvalue()


def test_a_librarys_line_is_reduced(log: io.StringIO) -> None:
    """Arguments, further lines and the text of exceptions stay out; type and place are told."""
    try:
        raise ValueError("canary")  # noqa: TRY301 - a traceback is needed
    except ValueError:
        logging.getLogger("library").exception("cannot read %r", "canary", stack_info=True)
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: canary")
    logging.getLogger("uvicorn.error").error("Traceback (most recent call last):\n canary")
    logging.getLogger("uvicorn.error").error("Cancel %s running task(s)", 3)
    text = log.getvalue()
    assert "canary" not in text
    assert '"kind": "builtins.ValueError"' in text
    assert "test_logs.py" in text
    assert "Task exception was never retrieved" in text
    assert "Cancel 3 running task(s)" in text
    assert len(text.splitlines()) == 4
