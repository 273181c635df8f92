"""``ribbons worker`` as a process: how it starts, stops and refuses. What it draws: tests/bulk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.bulk.batchwork import Office
from tests.databases import private_cluster
from tests.servers import working

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.databases import Cluster


_FEW = {"RIBBONS_WORKERS": "1", "RIBBONS_PORT": "0", "RIBBONS_BATCHES": "true"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that may be stopped."""
    with private_cluster() as started:
        yield started


def refusal(command: str = "worker", **settings: str) -> dict[str, Any]:
    """Start a worker, or a service, that cannot start, and return what it says of that."""
    environment = {f"RIBBONS_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "app", command],
        env={**os.environ, **_FEW, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {1, 3}
    assert done.stdout == ""
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stderr.splitlines()]
    return next(line for line in lines if line["event"] == "cannot_start")


def test_it_draws_and_stops_when_it_is_told(tmp_path: Path) -> None:
    """It says when it is there, draws what was sent, and at SIGTERM ends in order and leaves nothing."""
    with Office(tmp_path) as office, working(tmp_path, office.environment) as worker:
        batch = office.start(5)
        office.wait(batch, 5)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(20) == 0
        office.check(batch)
        events = [json.loads(line)["event"] for line in worker.output.splitlines()]
    assert events == ["worker_starting", "worker_ready", "worker_stopping", "stopped"]
    assert not list((office.settings.data_folder / "locks").iterdir())


def test_it_gives_way_to_others(tmp_path: Path) -> None:
    """All its processes are nicer than a service on the same machine is."""
    with Office(tmp_path) as office, working(tmp_path, office.environment) as worker:
        worker.until_says("worker_ready")
        here = psutil.Process().nice()
        everyone = [worker.process, *worker.process.children()]
        assert len(everyone) == 2
        assert {process.nice() for process in everyone} == {min(19, here + 5)}


def test_a_stop_in_the_middle_is_quick(tmp_path: Path) -> None:
    """It finishes the photos in hand and leaves the rest, which the next one draws."""
    with Office(tmp_path) as office:
        batch = office.start(80)
        with working(tmp_path, office.environment) as worker:
            office.wait(batch, 5)
            start = time.monotonic()
            worker.process.send_signal(signal.SIGINT)
            assert worker.process.wait(20) == 0
            assert time.monotonic() - start < 8
        left = office.batches.get(office.partner, batch).waiting
        assert left > 0
        with working(tmp_path, office.environment):
            office.wait(batch, 80)
        office.check(batch)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Somebody who presses Ctrl-C again does not wait; what a program sends twice in a moment counts once."""
    with Office(tmp_path) as office, working(tmp_path, office.environment) as worker:
        office.wait(office.start(60), 5)
        drawing = worker.process.children()
        for process in drawing:
            process.suspend()
        time.sleep(0.5)  # whoever waits for one of them waits now
        worker.process.send_signal(signal.SIGTERM)
        worker.process.send_signal(signal.SIGTERM)
        worker.until_says("worker_stopping")
        time.sleep(1)
        assert "stopped" not in worker.output.split()
        assert worker.process.is_running()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(5) == 1
        for process in drawing:
            process.resume()


def test_it_ends_while_its_database_is_away(tmp_path: Path, cluster: Cluster) -> None:
    """SIGTERM ends it also where PostgreSQL is down and nothing can be written; nothing is lost by that."""
    with Office(tmp_path, server=cluster.url) as office:
        batch = office.start(50)
        with working(tmp_path, office.environment) as worker:
            office.wait(batch, 5)
            cluster.stop()
            try:
                time.sleep(1)
                worker.process.send_signal(signal.SIGTERM)
                assert worker.process.wait(25) == 0
            finally:
                cluster.start()
        with working(tmp_path, office.environment):
            office.wait(batch, 50)
        office.check(batch)


def test_it_refuses_a_wrong_secret(tmp_path: Path) -> None:
    """A machine that has another secret is told so, and takes nothing from those who have the right one."""
    with Office(tmp_path) as office:
        folder = str(office.settings.data_folder)
        line = refusal(data_folder=folder, secret="another one, " * 4)
    assert line["reason"].startswith("RIBBONS_SECRET: what is kept here is sealed with another secret.")


def test_it_tells_why_it_cannot_start(tmp_path: Path) -> None:
    """What is wrong with a database, a folder or a frame is told in one line, with the setting's name."""
    folder = str(tmp_path / "data")
    for command in ("worker", "serve"):
        line = refusal(command, data_folder=folder, jobs_url="postgresql://postgres:geheim@127.0.0.1:1/test")
        assert line["reason"] == "RIBBONS_JOBS_URL: no PostgreSQL answers there"
    (tmp_path / "file").touch()
    line = refusal(data_folder=str(tmp_path / "file" / "data"))
    assert line["reason"].startswith("RIBBONS_DATA_FOLDER: ")
    (tmp_path / "frames").mkdir()
    line = refusal(data_folder=folder, frames_folder=str(tmp_path / "frames"))
    assert "frame" in line["reason"]
