"""Batches' work on DBOS Transact: durable, shared by processes, and taken over from those that die.

A batch is drawn in chunks. A chunk is a workflow of DBOS with two arguments, the batch's id and its photos'
numbers, and without steps: :class:`Work` may do anything twice, so a chunk that was interrupted is simply
done again. Nothing else is ever told to DBOS: no byte of a photo, no name.

**Who runs what.** Every process takes chunks from one queue, as many as it can draw at once. Partners take
turns: each poll looks at those who have chunks waiting in another order. A process that has died is noticed
by its lock (``locks.py``), and whoever notices puts its chunks back into the queue, within some seconds.

**Another release.** Work that is in flight is resumed by whatever release of ours comes next: it has
:data:`VERSION` in its rows, and processes of one version take from each other. What may change without
another version: everything, but the names in this file that are written into rows (the workflow's, the
queue's), and what the two arguments are. With another version the old rows stay for processes of the old
release; whoever changes it has to let those end first, or to enqueue anew what was not done.

DBOS is known to this module alone, and loaded when an engine is opened: a library of its own runs a program
as it is imported. Two things are taken from it that are not its public interface, each in a
function of its own with a test that fails when it moves: :func:`_register_queue` and :func:`_keep_quiet`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.bulk.ledger import make_folder
from app.bulk.locks import CONNECT_OPTIONS, DatabaseLocks, FileLocks, check_connection
from app.errors import CapacityError, ShuttingDown, StorageFull, StorageUnavailable
from app.faults import Fault
from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dbos import DBOS, DBOSClient, EnqueueOptions

    from app.bulk.locks import Locks
    from app.settings import Settings

VERSION = "batches-1"
"""Written into every row; see above for what it promises."""

_APPLICATION = "red-ribbons"
_QUEUE = "photos"
_WORKFLOW = "draw_chunk"
_SCHEMA = "dbos"

# An idle service notices a batch after this long at the most, and a process that has drawn a chunk takes the
# next one. Idle it takes 1.5 % of a core so (2.5 % with PostgreSQL), of which a third is for this.
_POLL_SECONDS = 0.2
# A dead process is noticed this late at the most, once the system has given up its lock.
_ROUND_SECONDS = 5.0
_TICK_SECONDS = 5.0
# An errand that is under way when the process is told to stop is waited for so long.
_JOIN_SECONDS = 5.0
# What cannot be done now is tried again after so long, then after twice that, up to the last.
_FIRST_PAUSE_SECONDS = 0.5
_LAST_PAUSE_SECONDS = 30.0
# A chunk that meets a bug of ours gives its place to others after so many tries. It is not lost: the work
# enqueues anew what has no outcome.
_TRIES = 3
# So many rows are written or deleted in one transaction: others wait for it, with SQLite.
_PAGE = 200
# Connections beside those of chunks: DBOS's own threads hold two and use three more, and so do callers.
_OWN_CONNECTIONS = 8
# Of PostgreSQL's error codes (appendix A of its manual).
_DISK_FULL = "53100"
_NOT_ALLOWED = "42501"
# How long SQLite waits for its one writer.
_BUSY_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Work(Protocol):
    """What is done with a batch. Everything may be done twice, and by two processes at once."""

    def draw(self, batch: str, numbers: Sequence[int], is_stopping: Callable[[], bool]) -> None:
        """Draw some photos; return when each has an outcome, or is not to be drawn any more.

        Args:
            batch: Its id.
            numbers: Its photos.
            is_stopping: Asked between photos; when it says yes, return with what has been done.

        Raises:
            CapacityError: It cannot be done now, and will be tried again.
        """

    def tick(self) -> None:
        """Do what is due: called every few seconds."""


class _LeftForLater(BaseException):
    """A chunk that was not done when the process was told to stop.

    No :class:`Exception`: DBOS would record one as the chunk's outcome. So its row stays as it is, and the
    chunk goes back into the queue at the end of the process.
    """


class Engine:
    """Runs the work of batches in this process. One is open at a time: DBOS is one to a process.

    Args:
        settings: Where the jobs are kept.
        work: What is done.
        concurrency: Chunks that are drawn at once in this process.
    """

    _is_open: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, settings: Settings, work: Work, *, concurrency: int) -> None:
        self._settings = settings
        self._work = work
        self._concurrency = concurrency
        self._owner = uuid.uuid4().hex
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._running: Counter[str] = Counter()
        self._is_idle = threading.Condition()
        self._strays: set[str] = set()
        self._client: DBOSClient | None = None
        self._database: sa.Engine | None = None

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Take part in the work until the block ends; then finish what is in hand and leave the rest.

        The block may be entered and left in other threads. At its end chunks are left between two photos; the
        lock is given up last.

        Raises:
            InvalidSettings: The jobs cannot be kept where the settings say, or no database answers there.
            StorageUnavailable: The database has gone away meanwhile.
            StorageFull: There is no room for it.
        """
        if not self._is_open.acquire(blocking=False):
            raise RuntimeError("an engine is open in this process already")
        with ExitStack() as stack:
            stack.callback(self._is_open.release)
            database, locks = _prepare(self._settings, self._owner, self._concurrency + _OWN_CONNECTIONS)
            stack.callback(_close, database)
            stack.callback(locks.give_up)
            locks.keep()
            with _told():
                self._launch(database, stack)
            look_after = partial(self._look_after, locks)
            look_after()
            for seconds, errand in ((_ROUND_SECONDS, look_after), (_TICK_SECONDS, self._work.tick)):
                thread = threading.Thread(target=self._repeat, args=(seconds, errand), daemon=True)
                thread.start()
                stack.callback(thread.join, _JOIN_SECONDS)
            stack.callback(self.stop)
            yield self

    def stop(self) -> None:
        """Take no more work, and leave chunks between two photos. Returns at once; closing waits for them."""
        self._stopping.set()

    def enqueue(
        self,
        batch: str,
        partner: str,
        chunks: Sequence[Sequence[int]],
        generation: int = 0,
        *,
        is_all: bool = True,
    ) -> None:
        """Have photos drawn, by whichever process is free. Done twice it is as if it was done once.

        Args:
            batch: Its id.
            partner: Whose turn its chunks take.
            chunks: Numbers of photos, together in one chunk.
            generation: A higher one makes chunks anew, for what was not done.
            is_all: Whether what waited under lower ones is among these, and does not wait any more.

        Raises:
            StorageUnavailable: The database is out of reach; some chunks may be in the queue.
            StorageFull: There is no room for it; the same.
        """
        from dbos import WorkflowSerializationFormat  # noqa: PLC0415

        client, database = self._parts()
        named = ((_name(batch, generation, place), chunk) for place, chunk in enumerate(chunks))
        for page in _pages(named):
            with _told(), database.begin() as transaction:
                for name, numbers in page:
                    options: EnqueueOptions = {
                        "workflow_name": _WORKFLOW,
                        "queue_name": _QUEUE,
                        "workflow_id": name,
                        "app_version": VERSION,
                        "queue_partition_key": partner,
                        # Not the default, which unpickles what the database says.
                        "serialization_type": WorkflowSerializationFormat.PORTABLE,
                    }
                    client.enqueue_in_transaction(transaction, options, batch, ",".join(map(str, numbers)))
        if generation and is_all:
            # Not what has a higher one: another caller knows of more, and may have been quicker.
            self._delete(client, f"{batch}/", lambda name: _generation(name) < generation, status="ENQUEUED")

    def forget(self, batch: str) -> None:
        """Delete a batch's chunks, whatever has become of them. One that is being drawn ends by itself.

        Raises:
            StorageUnavailable: The database is out of reach; some chunks may be left.
            StorageFull: There is no room for it; the same.
        """
        client, _ = self._parts()
        self._delete(client, f"{batch}/")

    def _parts(self) -> tuple[DBOSClient, sa.Engine]:
        if self._client is None or self._database is None:
            raise ShuttingDown
        return self._client, self._database

    def _delete(
        self,
        client: DBOSClient,
        prefix: str,
        is_meant: Callable[[str], bool] = lambda _name: True,
        **which: Any,
    ) -> None:
        """Delete chunks by how their names begin, those that are meant."""
        after = 0
        with _told():
            while found := _listed(client, workflow_id_prefix=prefix, limit=_PAGE, offset=after, **which):
                names = [name for name, _ in found if is_meant(name)]
                client.delete_workflows(names)
                after += len(found) - len(names)

    def _launch(self, database: sa.Engine, stack: ExitStack) -> None:
        """Start DBOS, and leave on a stack what ends it."""
        from dbos import DBOS, DBOSClient, DBOSConfig, WorkflowSerializationFormat  # noqa: PLC0415

        _keep_quiet()
        dbos = DBOS(
            config=DBOSConfig(
                name=_APPLICATION,
                system_database_engine=database,
                dbos_system_schema=_SCHEMA,
                application_version=VERSION,
                executor_id=self._owner,
                log_level="WARNING",
                enable_otlp=False,
            )
        )
        # It would talk to nobody: no key of its vendor, no collector of traces.
        leave = stack.enter_context(ExitStack())
        leave.callback(DBOS.destroy, destroy_registry=True)

        def draw_chunk(batch: str, numbers: str) -> None:
            self._draw_chunk(DBOS.workflow_id or "", batch, numbers)

        # However often its process died, a chunk is done in the end.
        DBOS.workflow(
            name=_WORKFLOW,
            max_recovery_attempts=None,
            serialization_type=WorkflowSerializationFormat.PORTABLE,
        )(draw_chunk)
        _register_queue(dbos, self._concurrency)
        DBOS.launch()
        client = DBOSClient(
            system_database_engine=database,
            dbos_system_schema=_SCHEMA,
            application_name=_APPLICATION,
            # DBOS itself waits for its database for ever; who calls us is told.
            retry_connection_errors=False,
        )
        self._client, self._database = client, database
        leave.pop_all()
        stack.callback(self._hand_back)
        stack.callback(DBOS.destroy, destroy_registry=True)
        stack.callback(self._finish)

    def _finish(self) -> None:
        """Wait until the chunks in hand are put down, and let go of those that nobody draws."""
        with self._is_idle:
            is_idle = self._is_idle.wait_for(lambda: not self._running, self._settings.shutdown_timeout)
            if not is_idle:
                _log.warning("chunks_abandoned", chunks=len(self._running))
        self._closing.set()

    def _hand_back(self) -> None:
        """Put what this process did not finish back into the queue, for others to take at once."""
        client, self._client = self._client, None
        if client is None:
            return
        # Where the database is out of reach, whoever takes our lock does it later.
        with suppress(CapacityError), _told():
            _put_back(client, [name for name, _ in _pending(client, self._owner)])
        client.destroy()

    def _draw_chunk(self, name: str, batch: str, numbers: str) -> None:
        with self._is_idle:
            self._running[name] += 1
        try:
            is_over = self._draw(batch, [int(number) for number in numbers.split(",")])
        finally:
            with self._is_idle:
                self._running[name] -= 1
                self._running += Counter()  # which drops what is zero
                self._is_idle.notify_all()
        if not is_over:
            # It keeps its place to the end: DBOS would take another chunk for it, which nobody draws here.
            self._closing.wait()
            raise _LeftForLater

    def _draw(self, batch: str, numbers: Sequence[int]) -> bool:
        """Draw a chunk to its end, however long the store or the database is away meanwhile.

        A bug of ours ends it after some tries, so that other chunks are drawn: it may be one photo's. The
        work enqueues anew what has no outcome then.

        Returns:
            Whether it is over; if not, the process is stopping, and it is left for later.
        """
        was_told = False
        failures = 0
        pause = _FIRST_PAUSE_SECONDS

        def is_stopping() -> bool:
            nonlocal was_told
            was_told = self._stopping.is_set()
            return was_told

        while not self._stopping.is_set():
            try:
                self._work.draw(batch, numbers, is_stopping)
            except CapacityError as error:
                if pause == _FIRST_PAUSE_SECONDS:
                    _log.warning("chunk_put_off", reason=error.code)
            except Exception as exc:  # noqa: BLE001 - told, whatever it is
                failures += 1
                fault = Fault.of(exc)
                _log.error("chunk_failed", kind=fault.kind, place=fault.place, tries=failures)
                if failures == _TRIES:
                    return True
            else:
                return not was_told
            self._stopping.wait(pause)
            pause = min(2 * pause, _LAST_PAUSE_SECONDS)
        return False

    def _look_after(self, locks: Locks) -> None:
        """Put chunks of dead processes, and those that got lost in this one, back into the queue."""
        client, _ = self._parts()
        with _told():
            locks.keep()
            pending = _pending(client)
            for owner in {owner for _, owner in pending} - {self._owner}:
                with locks.taken_from(owner) as is_dead:
                    if is_dead:
                        left = [name for name, _ in _pending(client, owner)]
                        _put_back(client, left)
                        _log.warning("chunks_taken_over", chunks=len(left))
            # Ours, and nobody draws them: the database failed when one was begun, or when its end was to be
            # written. One that was begun a moment ago looks the same, but not for two rounds.
            strays = {name for name, owner in pending if owner == self._owner} - set(self._running)
            _put_back(client, sorted(strays & self._strays))
            self._strays = strays

    def _repeat(self, seconds: float, errand: Callable[[], object]) -> None:
        """Run an errand again and again, whatever becomes of it, until the process is told to stop."""
        is_well = True
        while not self._stopping.wait(seconds):
            try:
                errand()
            except CapacityError as error:
                if is_well:
                    _log.warning("errand_put_off", reason=error.code)
                is_well = False
            except Exception as exc:  # noqa: BLE001 - told, whatever it is
                fault = Fault.of(exc)
                _log.error("errand_failed", kind=fault.kind, place=fault.place)
                is_well = False
            else:
                is_well = True


def _name(batch: str, generation: int, place: int) -> str:
    return f"{batch}/{generation}/{place}"


def _generation(name: str) -> int:
    return int(name.split("/")[1])


def _pages(things: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(things)
    while page := list(islice(rest, _PAGE)):
        yield page


def _listed(client: DBOSClient, **which: Any) -> list[tuple[str, str | None]]:
    """Return names of chunks, and which process has each."""
    found = client.list_workflows(load_input=False, load_output=False, **which)
    return [(one.workflow_id, one.executor_id) for one in found]


def _pending(client: DBOSClient, owner: str | None = None) -> list[tuple[str, str]]:
    """Return the chunks of our version that processes have taken, or one process has, and which has each."""
    found = _listed(client, status="PENDING", name=_WORKFLOW, app_version=VERSION, executor_id=owner)
    return [(name, owner) for name, owner in found if owner is not None]


def _put_back(client: DBOSClient, names: Iterable[str]) -> None:
    """Put chunks back into the queue. Whoever draws one still may; its outcome is not asked for any more."""
    from dbos import error as dbos_error  # noqa: PLC0415

    for name in names:
        with suppress(dbos_error.DBOSNonExistentWorkflowError):  # its batch was erased meanwhile
            client.resume_workflow(name, queue_name=_QUEUE)


def _register_queue(dbos: DBOS, concurrency: int) -> None:
    """Have DBOS take chunks from our queue, so many at once in this process.

    Its public function keeps the number in the database, one for all processes: the smallest machine that
    starts would slow down the largest. Queues in memory are its own, for Kafka, and work all the same.
    """
    dbos._registry._register_internal_queue(  # noqa: SLF001 - see above
        _QUEUE,
        worker_concurrency=concurrency,
        # With a limit for a partition too, each poll goes through the partitions, which are partners.
        partition_worker_concurrency=concurrency,
        polling_interval_sec=_POLL_SECONDS,
    )


# What DBOS warns of when a batch is erased while it is drawn, or a chunk is drawn twice: all in order here.
_IN_ORDER = ("DBOSNonExistentWorkflowError", "ShuttingDown")
_EXPECTED = ("no longer owned by this execution", "Workflow status not found", "was cancelled during")


class _Seldom(logging.Filter):
    """Lets a line of code say the same again after a minute only: DBOS polls several times a second.

    What is in order here is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written."""
        reason = type(record.exc_info[1]).__name__ if record.exc_info else None
        if reason in _IN_ORDER or any(words in str(record.msg) for words in _EXPECTED):
            return False
        place = record.pathname, record.lineno
        now = time.monotonic()
        if now - self._last.get(place, -60.0) < 60:
            return False
        self._last[place] = now
        return True


def _keep_quiet() -> None:
    """Have what DBOS logs written as any library's lines are, from warnings up.

    It gives its logger a handler, on standard error, unless it has one. Its level comes with its settings.
    """
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.addFilter(_Seldom())
    logger.setLevel(logging.WARNING)


def _prepare(settings: Settings, owner: str, connections: int) -> tuple[sa.Engine, Locks]:
    """Return the database for jobs and what tells who is alive, once it is known that both can be had."""
    if settings.jobs_url is None:
        make_folder(settings.data_folder)
        path = settings.data_folder / "jobs.sqlite"
        try:
            _make_file(path)
        except (OSError, sqlite3.Error) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "is no database of ours"
            raise InvalidSettings(
                f"{PREFIX}DATA_FOLDER: “{settings.data_folder}”: {path.name} in it {reason}"
            ) from None
        return _sqlite(path, connections), FileLocks(settings.data_folder / "locks", owner)
    url = settings.jobs_url.get_secret_value()
    check_connection(url)
    return _postgresql(url, connections), DatabaseLocks(url, owner)


def _make_file(path: Path) -> None:
    """Make a database for ourselves alone, which is read while somebody writes (WAL).

    DBOS opens it as it is. It is left to write through at each end of a transaction (synchronous=FULL, the
    default): there are few of them, and after a power failure no chunk is missing.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != ("wal",):
                raise sqlite3.NotSupportedError("no WAL there")
        except sqlite3.OperationalError as exc:
            # Whoever starts in the same moment makes it so; SQLite does not wait for that by itself.
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()


def _sqlite(path: Path, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), pool_size=connections, max_overflow=0
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        # As DBOS does for an engine of its own: who will write waits at once, instead of failing later.
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000:.0f}")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _postgresql(url: str, connections: int) -> sa.Engine:
    return sa.create_engine(
        # DBOS would create a database that is not there; with an engine of ours it does not.
        sa.make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args=dict(CONNECT_OPTIONS),
    )


def _close(database: sa.Engine) -> None:
    """Give the connections back, and make no new one: DBOS has threads that would try for ever."""
    database.dispose()

    @event.listens_for(database, "do_connect")
    def refuse(*_: object) -> None:
        raise ShuttingDown


@contextmanager
def _told() -> Iterator[None]:
    """Tell in our own words what went wrong with the database, and never in its words, which hold values."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as exc:
        raise _meaning(exc) from exc


def _meaning(error: Exception) -> CapacityError | InvalidSettings:
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state == _DISK_FULL or getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StorageFull()
    if state == _NOT_ALLOWED:
        return InvalidSettings(f"{PREFIX}JOBS_URL: its user may not make or change the schema {_SCHEMA}")
    return StorageUnavailable()
