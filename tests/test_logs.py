from __future__ import annotations

import io
import json
import logging
import os
import re
from datetime import datetime

import pytest
import structlog

from app.logs import PatientStream, configure_logging
from app.settings import load_settings


class Terminal(io.StringIO):
    """What a person sits at."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def configured(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, **settings: str) -> io.StringIO:
    """Send the log to a stream that stands for standard error."""
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(load_settings(log_level="info", **settings))
    return stream


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, put_back: None) -> io.StringIO:  # noqa: ARG001
    """What a program's log says, piped."""
    return configured(io.StringIO(), monkeypatch)


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


def test_programs_read_json(log: io.StringIO) -> None:
    """What is piped is a line of JSON for each event, with every value of it."""
    structlog.get_logger("test").info("ready", url="http://localhost:8000/", code=None)
    (line,) = log.getvalue().splitlines()
    event = json.loads(line)
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo
    assert event == {"event": "ready", "level": "info", "url": "http://localhost:8000/", "code": None}


@pytest.mark.usefixtures("put_back")
def test_people_read_sentences_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is short: the time, what happened in words, and the values that the words leave out."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = configured(Terminal(), monkeypatch)
    log = structlog.get_logger("test")
    log.info("starting", host="127.0.0.1", port=8124, workers=2)
    log.info("ready", url="http://localhost:8000/")
    url, command = "http://localhost:8000/partners", ".venv/bin/ribbons keys add NAME"
    log.info("partners_ready", url=url, command=command)
    log.info("request", method="GET", route="/v1/frames", status=200, milliseconds=1.5, code=None, bytes_in=0)
    log.warning("worker_lost", reason="deadline")
    logging.getLogger("library").error("{braces} and %s", "canary")
    times, lines = zip(*(line.split(" ", 1) for line in stream.getvalue().splitlines()), strict=True)
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", time) for time in times)
    assert lines == (
        "[info] Starting on 127.0.0.1, port 8124; workers: 2.",
        "[info] Ready. Open http://localhost:8000/ in a browser; Ctrl-C stops it.",
        f"[info] Organisations bring many photos to {url}. Their key is made by {command}",
        "[info] GET /v1/frames 200 in 1.5 ms bytes_in=0",
        "[warning] worker_lost reason=deadline",
        "[error] {braces} and %s library=library",
    )


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    ("environment", "colours"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_is_coloured_unless_somebody_minds(
    environment: dict[str, str], colours: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR (no-color.org) and a terminal that cannot are respected."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = configured(Terminal(), monkeypatch)
    structlog.get_logger("test").info("stopped")
    assert ("\x1b[" in stream.getvalue()) is colours


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(("log_format", "kind"), [("json", Terminal), ("console", io.StringIO)])
def test_a_format_can_be_asked_for(
    log_format: str, kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON on a terminal, as in a container that has one; sentences in a file, without colours."""
    stream = configured(kind(), monkeypatch, log_format=log_format)
    structlog.get_logger("test").info("stopped")
    assert stream.getvalue().startswith("{") is (log_format == "json")
    assert "\x1b" not in stream.getvalue()


def test_nobody_waits_for_a_reader_of_the_log() -> None:
    """What a pipe does not take waits, in order; what is too much is counted, and told when it goes on."""
    reading, writing = os.pipe()
    log = PatientStream(writing)
    sent = [f"{number} {'x' * 300}\n" for number in range(4000)]
    for line in sent:
        log.write(line)
    came = os.read(reading, 65_536)
    long_line = "y" * 10_000 + "\n"
    log.write(long_line)
    while log._waiting:
        came += os.read(reading, 65_536)
        log.flush()
    os.close(writing)
    with os.fdopen(reading, "rb") as rest:
        lines = (came + rest.read()).decode().splitlines(keepends=True)
    kept = [line for line in lines if "x" in line]
    assert kept == sent[: len(kept)]
    assert 500 < len(kept) < 3000
    told, *rest_of_lines = lines[len(kept) :]
    assert json.loads(told) == {"event": "log_lines_lost", "lines": len(sent) - len(kept)}
    assert rest_of_lines == [long_line]


def test_a_reader_of_the_log_that_is_gone_ends_nothing() -> None:
    """Lines for nobody are lost, as any handler loses them."""
    reading, writing = os.pipe()
    os.close(reading)
    log = PatientStream(writing)
    log.write("line\n")
    log.finish()
    os.close(writing)
