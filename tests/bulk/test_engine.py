from __future__ import annotations

import json
import logging
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from app.bulk import engine as engine_module
from app.bulk.engine import Engine
from app.errors import ShuttingDown, StorageUnavailable
from app.logs import configure_logging
from app.settings import InvalidSettings
from tests.bulk.filework import FileWork, settings_for
from tests.databases import break_connections, connected, new_database, private_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.databases import Cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def jobs_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where jobs are kept: in a file, or in a database of its own."""
    if request.param == "sqlite":
        yield None
    else:
        with new_database() as url:
            yield url


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that may be stopped."""
    with private_cluster() as cluster:
        yield cluster


@pytest.fixture
def work(tmp_path: Path) -> FileWork:
    """Work in a folder of its own."""
    return FileWork(tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after others, and try again, sooner than a service does."""
    monkeypatch.setattr(engine_module, "_ROUND_SECONDS", 0.2)
    monkeypatch.setattr(engine_module, "_TICK_SECONDS", 0.05)
    monkeypatch.setattr(engine_module, "_FIRST_PAUSE_SECONDS", 0.05)


@contextmanager
def opened(work: FileWork, jobs_url: str | None, concurrency: int = 2) -> Iterator[Engine]:
    """Take part in this process."""
    with Engine(settings_for(work.folder, jobs_url), work, concurrency=concurrency).opened() as engine:
        yield engine


@contextmanager
def process(work: FileWork, jobs_url: str | None) -> Iterator[subprocess.Popen[str]]:
    """Have a process of its own take part; it is killed at the end of the block, unless it has ended."""
    arguments = [str(work.folder), *([jobs_url] if jobs_url else [])]
    with (work.folder / "process.log").open("a") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.bulk.filework", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert started.stdout is not None
    try:
        assert started.stdout.readline() == "open\n", (work.folder / "process.log").read_text()
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


def rows(work: FileWork, jobs_url: str | None, table: str = "workflow_status") -> list[tuple[Any, ...]]:
    """Return names of chunks, and their states where a table has them, as they are in the database."""
    columns = "workflow_uuid, status" if table == "workflow_status" else "workflow_uuid"
    if jobs_url is None:
        file = sqlite3.connect(work.folder / "jobs.sqlite")
        try:
            return file.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
        finally:
            file.close()
    with connected(jobs_url) as connection:
        return connection.execute(f"SELECT {columns} FROM dbos.{table}").fetchall()  # noqa: S608


def chunks(photos: int, size: int = 1) -> list[list[int]]:
    """Return the numbers of so many photos in chunks of a size."""
    return [list(range(start, min(start + size, photos))) for start in range(0, photos, size)]


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is so."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(0.02)


def test_every_photo_is_drawn_once(work: FileWork, jobs_url: str | None) -> None:
    """Each photo of each chunk is drawn, and no chunk is begun twice."""
    with opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(25, 10))
        work.wait_for("b", 25)
    assert work.done("b") == list(range(25))
    assert work.tries("b") == 25


def test_a_few_photos_do_not_wait(work: FileWork, jobs_url: str | None) -> None:
    """On an idle service a batch of three photos is begun as soon as a person would notice."""
    with opened(work, jobs_url) as engine:
        time.sleep(1)
        start = time.monotonic()
        engine.enqueue("b", "p", chunks(3))
        work.wait_for("b", 3)
        assert time.monotonic() - start < 1.5


def test_to_enqueue_twice_is_to_enqueue_once(work: FileWork, jobs_url: str | None) -> None:
    """Whoever does not know whether a batch was enqueued enqueues it again, before and after it is done."""
    with opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(3))
        engine.enqueue("b", "p", chunks(3))
        work.wait_for("b", 3)
        (work.folder / "done" / "b-1").unlink()
        engine.enqueue("b", "p", chunks(3))
        engine.enqueue("other", "p", chunks(1))
        work.wait_for("other", 1)
    assert work.done("b") == [0, 2]


def test_another_generation_is_done_anew(work: FileWork, jobs_url: str | None) -> None:
    """What had no outcome is drawn under another generation, and what waited under the one before goes."""
    with opened(work, jobs_url, concurrency=1) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", chunks(4))
        until(lambda: work.tries("b"))
        engine.enqueue("b", "p", [[2, 3]], generation=1)
        waiting = {name for name, state in rows(work, jobs_url) if state == "ENQUEUED"}
        (work.folder / "full").unlink()
        work.wait_for("b", 3)
    assert waiting == {"b/1/0"}
    assert work.done("b") == [0, 2, 3]


def test_a_slow_caller_takes_nothing_from_a_later_one(work: FileWork, jobs_url: str | None) -> None:
    """What waits under a higher generation stays; and all of it does where a photo is only added."""
    with opened(work, jobs_url, concurrency=1) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", [[0]])
        until(lambda: work.tries("b"))
        engine.enqueue("b", "p", [[1]], generation=2)
        engine.enqueue("b", "p", [[2]], generation=1)
        engine.enqueue("b", "p", [[3]], generation=3, is_all=False)
        waiting = {name for name, state in rows(work, jobs_url) if state == "ENQUEUED"}
        (work.folder / "full").unlink()
        work.wait_for("b", 4)
    assert waiting == {"b/1/0", "b/2/0", "b/3/0"}


def test_a_thousand_chunks_are_enqueued_at_once(work: FileWork, jobs_url: str | None) -> None:
    """A batch of 50,000 photos is enqueued in a moment (0.2 s with SQLite and 0.7 with PostgreSQL)."""
    with opened(work, jobs_url) as engine:
        (work.folder / "full").touch()
        start = time.monotonic()
        engine.enqueue("b", "p", chunks(50_000, 50))
        engine.forget("b")
        assert time.monotonic() - start < 10


def test_a_forgotten_batch_leaves_no_row(work: FileWork, jobs_url: str | None) -> None:
    """What waits of an erased batch is not drawn, and nothing in the database knows of it; others go on."""
    with opened(work, jobs_url) as engine:
        (work.folder / "slow").write_text("0.05")
        engine.enqueue("b_1", "p", chunks(500))
        engine.enqueue("bx1", "p", chunks(3))
        work.wait_for("b_1", 1)
        engine.forget("b_1")
        until(lambda: len(work.done("bx1")) == 3)
        for table in ("workflow_status", "workflow_input", "workflow_output", "operation_outputs"):
            assert not [row for row in rows(work, jobs_url, table) if row[0].startswith("b_1/")]
        until(lambda: {state for _, state in rows(work, jobs_url)} == {"SUCCESS"})
    assert len(work.done("b_1")) < 50
    assert len(rows(work, jobs_url)) == 3


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_done_now_is_done_later(work: FileWork, jobs_url: str | None) -> None:
    """Where there is no room, chunks wait and are done when there is some; a batch loses nothing."""
    with opened(work, jobs_url) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", chunks(6, 2))
        until(lambda: work.tries("b") > 5)
        assert not work.done("b")
        (work.folder / "full").unlink()
        work.wait_for("b", 6)


def test_a_wait_ends_with_the_process(
    work: FileWork, jobs_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for room for half a minute is not waited for; the chunk is there for the next process."""
    monkeypatch.setattr(engine_module, "_FIRST_PAUSE_SECONDS", 30.0)
    with opened(work, jobs_url) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", chunks(2, 2))
        until(lambda: work.tries("b"))
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert rows(work, jobs_url) == [("b/0/0", "ENQUEUED")]


@pytest.mark.usefixtures("quick")
def test_a_bug_holds_nobody_up(work: FileWork, jobs_url: str | None) -> None:
    """A photo that meets a bug is tried three times; then others have its place, and it may be enqueued anew.

    What is logged says where, and nothing of the photo.
    """
    (work.folder / "bug-0").touch()
    with opened(work, jobs_url, concurrency=1) as engine, capture_logs() as logs:
        engine.enqueue("b", "p", [[0]])
        engine.enqueue("other", "p", [[1]])
        work.wait_for("other", 1)
        assert work.tries("b") == 3
        (work.folder / "bug-0").unlink()
        engine.enqueue("b", "p", [[0]], generation=1)
        work.wait_for("b", 1)
    failures = [line for line in logs if line["event"] == "chunk_failed"]
    assert [line["tries"] for line in failures] == [1, 2, 3]
    assert {line["kind"] for line in failures} == {"builtins.ValueError"}
    assert "Layla" not in json.dumps(logs)


@pytest.mark.usefixtures("quick")
def test_the_reminder_goes_on_after_a_fault(work: FileWork, jobs_url: str | None) -> None:
    """What falls due is seen to again and again, also after it has met a bug once."""
    with opened(work, jobs_url), capture_logs() as logs:
        until(lambda: work.ticks > 3)
    assert [line["event"] for line in logs] == ["errand_failed"]
    assert "Layla" not in json.dumps(logs)


def test_a_stop_loses_nothing_and_the_next_start_goes_on(work: FileWork, jobs_url: str | None) -> None:
    """A process that is told to stop leaves after the photo in hand; the next one goes on with the rest.

    It need not notice that another is dead: nothing is left in the name of the first.
    """
    (work.folder / "slow").write_text("0.1")
    with opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(40, 10))
        work.wait_for("b", 4)
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert len(work.done("b")) < 12
    assert {state for _, state in rows(work, jobs_url)} == {"ENQUEUED"}
    (work.folder / "slow").unlink()
    with opened(work, jobs_url):
        work.wait_for("b", 40, seconds=5)
    assert work.tries("b") == 40


def test_who_stops_takes_nothing_more(work: FileWork, jobs_url: str | None) -> None:
    """From the moment of the signal a process leaves what waits to others, however long it takes to end.

    It holds no more chunks than it had places, and has them given back when it closes.
    """
    (work.folder / "slow").write_text("0.1")
    with opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(60, 2))
        work.wait_for("b", 4)
        engine.stop()
        time.sleep(1.5)
        states = Counter(state for _, state in rows(work, jobs_url))
        assert states["PENDING"] == 2
        with process(work, jobs_url):
            (work.folder / "slow").unlink()
            work.wait_for("b", 56)
    with opened(work, jobs_url):
        work.wait_for("b", 60)
    assert work.tries("b") == 60


def test_work_of_a_dead_process_is_taken_over(work: FileWork, jobs_url: str | None) -> None:
    """What a process was busy with when it was killed (-9) is done by another, well within a minute."""
    (work.folder / "slow").write_text("0.1")
    with opened(work, jobs_url, concurrency=1) as engine, process(work, jobs_url) as other:
        engine.enqueue("b", "p", chunks(60, 10))
        work.wait_for("b", 12)
        other.kill()
        (work.folder / "slow").unlink()
        work.wait_for("b", 60, seconds=30)
        until(lambda: {state for _, state in rows(work, jobs_url)} == {"SUCCESS"})
    assert work.done("b") == list(range(60))


def test_work_of_all_dead_processes_is_resumed_at_the_start(work: FileWork, jobs_url: str | None) -> None:
    """Who starts after everybody was killed goes on at once with what they were busy with."""
    (work.folder / "slow").write_text("0.2")
    with opened(work, jobs_url, concurrency=1) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", chunks(20, 5))
    (work.folder / "full").unlink()
    with process(work, jobs_url) as other:
        work.wait_for("b", 3)
        other.kill()
    (work.folder / "slow").unlink()
    with opened(work, jobs_url):
        work.wait_for("b", 20, seconds=4)


@pytest.mark.usefixtures("quick")
def test_work_of_the_living_is_left_to_them(work: FileWork, jobs_url: str | None) -> None:
    """However long a process takes for a photo, nobody takes it over while the process lives."""
    (work.folder / "slow").write_text("2")
    with process(work, jobs_url), opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(4))
        work.wait_for("b", 4)
    assert work.tries("b") == 4


def test_processes_share_a_batch(work: FileWork, jobs_url: str | None) -> None:
    """Two processes that use one database at once draw different chunks of a batch."""
    (work.folder / "slow").write_text("0.02")
    with opened(work, jobs_url) as engine, process(work, jobs_url) as other:
        engine.enqueue("b", "p", chunks(200, 4))
        work.wait_for("b", 200)
        other.send_signal(signal.SIGTERM)
        assert other.wait(20) == 0
    assert work.tries("b") == 200


def test_several_may_start_at_the_same_moment(work: FileWork, jobs_url: str | None) -> None:
    """Of processes that start together where nothing is yet, one makes the tables and all of them work."""
    arguments = [str(work.folder), *([jobs_url] if jobs_url else [])]
    command = [sys.executable, "-m", "tests.bulk.filework", *arguments]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "open\n"
            one.terminate()
        assert [one.wait(20) for one in started] == [0, 0, 0]
    finally:
        for one in started:
            one.kill()
            one.communicate()


def test_partners_take_turns(work: FileWork, jobs_url: str | None) -> None:
    """Who comes with three photos does not wait for another's three hundred."""
    (work.folder / "slow").write_text("0.02")
    with opened(work, jobs_url) as engine:
        engine.enqueue("large", "p_1", chunks(300))
        work.wait_for("large", 2)
        engine.enqueue("small", "p_2", chunks(3))
        work.wait_for("small", 3)
        assert len(work.done("large")) < 100


def test_each_process_has_its_own_concurrency(work: FileWork, jobs_url: str | None) -> None:
    """A process draws as many chunks at once as it was told, also where a smaller one has started since.

    DBOS keeps the number of a queue that was made by its public function in the database, for everybody.
    """
    (work.folder / "slow").write_text("0.2")
    with opened(work, jobs_url, concurrency=5) as engine, process(work, jobs_url):
        engine.enqueue("b", "p", chunks(40))
        work.wait_for("b", 40)
    assert work.at_once == 5


@pytest.mark.usefixtures("quick")
def test_a_chunk_that_got_lost_in_its_own_process_is_found(work: FileWork, jobs_url: str | None) -> None:
    """What the database has in our name and nobody draws, as after a write that failed, is drawn again."""
    (work.folder / "full").touch()
    with opened(work, jobs_url, concurrency=1) as engine:
        engine.enqueue("b", "p", chunks(2))
        until(lambda: work.tries("b"))
        ours = "UPDATE {}workflow_status SET status='PENDING', executor_id='{}' WHERE status='ENQUEUED'"
        if jobs_url is None:
            file = sqlite3.connect(work.folder / "jobs.sqlite")
            with file:
                file.execute(ours.format("", engine._owner))
            file.close()
        else:
            with connected(jobs_url) as connection:
                connection.execute(ours.format("dbos.", engine._owner).encode())
        (work.folder / "full").unlink()
        work.wait_for("b", 2)


@pytest.mark.usefixtures("quick")
def test_connections_that_break_do_no_harm(work: FileWork) -> None:
    """When every connection ends at once, and with them every lock, the work goes on by itself."""
    with new_database() as url:
        (work.folder / "slow").write_text("0.05")
        with opened(work, url) as engine, process(work, url):
            engine.enqueue("b", "p", chunks(100, 5))
            for photos in (10, 40):
                work.wait_for("b", photos)
                break_connections(url)
            work.wait_for("b", 100)
            until(lambda: {state for _, state in rows(work, url)} == {"SUCCESS"})
    assert work.done("b") == list(range(100))


@pytest.mark.usefixtures("quick")
def test_the_work_goes_on_when_postgresql_comes_back(work: FileWork, cluster: Cluster) -> None:
    """While PostgreSQL is away, whoever asks is told at once; when it is back, the work goes on by itself."""
    (work.folder / "slow").write_text("0.05")
    with new_database(cluster.url) as url, opened(work, url) as engine, process(work, url):
        engine.enqueue("b", "p", chunks(80, 5))
        work.wait_for("b", 10)
        cluster.stop()
        start = time.monotonic()
        with pytest.raises(StorageUnavailable):
            engine.enqueue("other", "p", chunks(1))
        with pytest.raises(StorageUnavailable):
            engine.forget("b")
        assert time.monotonic() - start < 5
        cluster.start()
        work.wait_for("b", 80, seconds=40)
        engine.enqueue("other", "p", chunks(1))
        work.wait_for("other", 1)
        until(lambda: {state for _, state in rows(work, url)} == {"SUCCESS"}, seconds=40)
    assert work.done("b") == list(range(80))


def test_a_process_ends_while_postgresql_is_away(work: FileWork, cluster: Cluster) -> None:
    """Who is told to stop stops, also where nothing can be written down; the next start finds it all."""
    (work.folder / "slow").write_text("0.1")
    with new_database(cluster.url) as url:
        with opened(work, url) as engine:
            engine.enqueue("b", "p", chunks(60, 10))
            work.wait_for("b", 2)
            cluster.stop()
            start = time.monotonic()
        assert time.monotonic() - start < 15
        cluster.start()
        (work.folder / "slow").unlink()
        with opened(work, url):
            work.wait_for("b", 60)
    assert work.done("b") == list(range(60))


def test_another_release_goes_on_with_the_work(work: FileWork, jobs_url: str | None) -> None:
    """What one release has enqueued the next one draws, whatever its own version is."""
    with opened(work, jobs_url) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", chunks(3))
    (work.folder / "full").unlink()
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("app.__version__", "99.0.0")
        with opened(work, jobs_url):
            work.wait_for("b", 3)


def test_work_of_another_kind_is_left_to_those_who_know_it(
    work: FileWork, jobs_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of another :data:`VERSION` are neither drawn nor lost: a process of that version draws them."""
    (work.folder / "full").touch()
    with opened(work, jobs_url) as engine:
        engine.enqueue("old", "p", chunks(3))
        until(lambda: work.tries("old"))
    (work.folder / "full").unlink()
    with monkeypatch.context() as changed:
        changed.setattr(engine_module, "VERSION", "batches-2")
        with opened(work, jobs_url) as engine:
            engine.enqueue("new", "p", chunks(3))
            work.wait_for("new", 3)
            time.sleep(0.5)
    assert not work.done("old")
    with opened(work, jobs_url):
        work.wait_for("old", 3)


def test_the_promise_to_other_releases() -> None:
    """What is written into rows stays as it is, or the version changes; see the module's own words."""
    names = engine_module.VERSION, engine_module._APPLICATION, engine_module._QUEUE, engine_module._WORKFLOW
    assert names == ("batches-1", "red-ribbons", "photos", "draw_chunk")


def test_rows_hold_no_pickle(work: FileWork, jobs_url: str | None) -> None:
    """What is told to the database is JSON of an id and numbers: to read it runs no code."""
    with opened(work, jobs_url) as engine:
        (work.folder / "full").touch()
        engine.enqueue("b", "p", [[1, 2, 5]])
        if jobs_url is None:
            file = sqlite3.connect(work.folder / "jobs.sqlite")
            found = file.execute("SELECT inputs FROM workflow_input").fetchall()
            file.close()
        else:
            with connected(jobs_url) as connection:
                found = connection.execute("SELECT inputs FROM dbos.workflow_input").fetchall()
    assert [json.loads(inputs) for (inputs,) in found] == [
        {"positionalArgs": ["b", "1,2,5"], "namedArgs": {}}
    ]


def test_files_are_our_own_and_readers_do_not_wait(work: FileWork) -> None:
    """SQLite's file is in WAL mode from the first moment, and nobody else may read it or see who is alive."""
    with opened(work, None):
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (*work.folder.glob("jobs*"), *(work.folder / "locks").glob("*"))
        }
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}
    file = sqlite3.connect(work.folder / "jobs.sqlite")
    assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
    assert not list((work.folder / "locks").iterdir())


@pytest.mark.usefixtures("put_back")
def test_dbos_says_nothing_of_its_own(
    work: FileWork, jobs_url: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written by DBOS itself, such as its word about its vendor's service; its warnings are ours.

    A line that would come ten times a second comes once.
    """
    configure_logging(settings_for(work.folder, jobs_url))
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.filters.clear()
    with opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(1))
        work.wait_for("b", 1)
        for _ in range(3):
            logger.warning("the queue is away")
    out, err = capfd.readouterr()
    assert out == ""
    lines = [json.loads(line) for line in err.splitlines()]
    assert [(line["event"], line["library"]) for line in lines] == [("the queue is away", "dbos")]


def test_nothing_is_left_running(work: FileWork, jobs_url: str | None) -> None:
    """A closed engine leaves no thread, and takes nothing more."""
    before = threading.active_count()
    with opened(work, jobs_url) as engine:
        engine.enqueue("b", "p", chunks(1))
        work.wait_for("b", 1)
    until(lambda: threading.active_count() == before)
    with pytest.raises(ShuttingDown):
        engine.enqueue("b", "p", chunks(1))
    with pytest.raises(ShuttingDown):
        engine.forget("b")


def test_one_engine_to_a_process(work: FileWork, jobs_url: str | None) -> None:
    """DBOS is one to a process, so a second engine is refused; after the first one it may come."""
    with (
        opened(work, jobs_url),
        pytest.raises(RuntimeError, match="open in this process"),
        opened(work, jobs_url),
    ):
        pass
    with opened(work, jobs_url):
        pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://postgres@127.0.0.1:1/test", "no PostgreSQL answers there"),
        ("postgresql://postgres:geheim@nowhere.invalid/test", "no PostgreSQL answers there"),
    ],
)
def test_it_does_not_start_without_its_database(work: FileWork, url: str, reason: str) -> None:
    """Where no database answers, the reason names the setting and repeats nothing of the address."""
    with pytest.raises(InvalidSettings) as caught, opened(work, url):
        pass
    assert str(caught.value) == f"RIBBONS_JOBS_URL: {reason}"


def test_it_tells_why_a_database_refuses(work: FileWork) -> None:
    """What PostgreSQL itself says is told: the database is missing, or the user may not make its tables."""
    with new_database() as url:
        with pytest.raises(InvalidSettings, match=r'PostgreSQL refuses: database ".*_no" does not exist'):
            Engine(settings_for(work.folder, f"{url}_no"), work, concurrency=1).opened().__enter__()
        name = url.rpartition("/")[2]
        with connected(url) as connection:
            connection.execute(f'CREATE ROLE "{name}" LOGIN')
        try:
            as_stranger = url.replace("postgres@", f"{name}@")
            with pytest.raises(InvalidSettings, match="its user may not make or change the schema dbos"):
                Engine(settings_for(work.folder, as_stranger), work, concurrency=1).opened().__enter__()
        finally:
            with connected(url) as connection:
                connection.execute(f'DROP ROLE "{name}"')


def test_it_tells_when_the_data_folder_is_none(tmp_path: Path) -> None:
    """A data folder that cannot be one is named, with the system's reason."""
    (tmp_path / "file").touch()
    work = FileWork(tmp_path)
    with pytest.raises(InvalidSettings, match=r"RIBBONS_DATA_FOLDER: “.*file” cannot be used: "):
        Engine(settings_for(tmp_path / "file", None), work, concurrency=1).opened().__enter__()


def test_it_tells_when_the_file_is_no_database(work: FileWork) -> None:
    """Another program's file in the place of ours is told, and left as it is."""
    (work.folder / "jobs.sqlite").write_bytes(b"somebody's letter " * 100)
    with (
        pytest.raises(InvalidSettings, match=r"jobs\.sqlite in it is no database of ours"),
        opened(work, None),
    ):
        pass
    assert (work.folder / "jobs.sqlite").read_bytes().startswith(b"somebody's letter")
