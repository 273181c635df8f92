"""How processes that share batches know of each other who is alive.

Each holds a lock named after itself. The system gives it up when the process ends, however it ends: whoever
can take it knows that its owner is dead. Beside SQLite it is a lock on a file (flock); with PostgreSQL it
is an advisory lock of a connection.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from app.errors import StorageUnavailable
from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

# A machine that is gone sends nothing, not even an end: the server asks for it, and ends its connection
# after about 25 s; so does the client. The system's own patience is two hours.
_KEEPALIVE = {"idle": 10, "interval": 5, "count": 3}

CONNECT_OPTIONS: Mapping[str, Any] = {
    "connect_timeout": 10,
    "application_name": "ribbons",
    "options": " ".join(
        (
            *(f"-c tcp_keepalives_{name}={value}" for name, value in _KEEPALIVE.items()),
            # Nobody waits for what a machine that hangs has begun.
            "-c idle_in_transaction_session_timeout=60s",
        )
    ),
    **{f"keepalives_{name}": value for name, value in _KEEPALIVE.items()},
    "tcp_user_timeout": 30_000,  # milliseconds, for what was sent and not acknowledged
}
"""How to connect to PostgreSQL so that either end notices when the other is gone."""


class Locks(Protocol):
    """A process's own lock, and a try at those of others. Used by one thread at a time."""

    def keep(self) -> None:
        """Take our own lock, or take it again where it was lost.

        Raises:
            StorageUnavailable: What keeps the locks is out of reach.
        """

    def taken_from(self, other: str) -> AbstractContextManager[bool]:
        """Try another's lock for a block, which is told whether its owner is dead.

        Raises:
            StorageUnavailable: As above.
        """

    def give_up(self) -> None:
        """Give up our own lock. Whoever takes it then finds nothing left behind, or goes on with it."""


class FileLocks:
    """Locks on files of a folder that all processes of one machine see.

    Args:
        folder: Made where there is none.
        owner: Our own name, which no other process ever had.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._path = folder / owner
        self._file: int | None = None

    def keep(self) -> None:
        """Take our own lock, or take it again where somebody has deleted the file."""
        if self._file is not None and self._is_there(self._file):
            return
        self._close()
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:  # also where another holds it for a moment: the next time it will be free
            self._close()
            raise StorageUnavailable from exc

    @contextmanager
    def taken_from(self, other: str) -> Iterator[bool]:
        """Try another's lock. Where it is taken its file is deleted: its owner does not come back."""
        path = self._folder / other
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # it ended in order, or somebody was here before
            yield True
            return
        except OSError as exc:
            raise StorageUnavailable from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
            path.unlink(missing_ok=True)
        finally:
            os.close(file)

    def give_up(self) -> None:
        """Delete our file, and close it."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._close()

    def _is_there(self, file: int) -> bool:
        with suppress(OSError):
            return os.path.samestat(os.fstat(file), self._path.stat())
        return False

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class DatabaseLocks:
    """Advisory locks of PostgreSQL, on a connection of their own.

    With the connection our own lock is lost, and another process may take over what we are busy with. That
    does no harm, because all work may be done twice; :meth:`keep` takes the lock again.

    Args:
        url: The database, as libpq takes it.
        owner: Our own name, which no other process ever had.
    """

    def __init__(self, url: str, owner: str) -> None:
        self._url = url
        self._owner = owner
        self._connection: psycopg.Connection | None = None

    def keep(self) -> None:
        """Take our own lock, or take it again where the connection was lost."""
        with self._told():
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return
            self._connection = connect(self._url)
            if not _try_lock(self._connection, self._owner):  # somebody holds it for a moment
                self.give_up()
                raise StorageUnavailable

    @contextmanager
    def taken_from(self, other: str) -> Iterator[bool]:
        """Try another's lock."""
        with self._told():
            if self._connection is None:
                raise StorageUnavailable
            is_taken = _try_lock(self._connection, other)
        try:
            yield is_taken
        finally:
            if is_taken and self._connection is not None:
                with self._told():
                    self._connection.execute("SELECT pg_advisory_unlock(%s)", [_number(other)])

    def give_up(self) -> None:
        """Close the connection, and with it our own lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell in our own words that the database is out of reach; the connection is of no use then."""
        try:
            yield
        except psycopg.Error as exc:
            self.give_up()
            raise StorageUnavailable from exc


def check_connection(url: str) -> None:
    """See that there is a PostgreSQL that lets us in.

    Raises:
        InvalidSettings: There is none, or it does not.
    """
    try:
        connect(url).close()
    except psycopg.Error as exc:
        # What PostgreSQL says is told; what the client says of an address can hold a piece of a password.
        _, is_refused, reason = str(exc).partition("FATAL: ")
        told = f"PostgreSQL refuses: {reason.strip()}" if is_refused else "no PostgreSQL answers there"
        raise InvalidSettings(f"{PREFIX}JOBS_URL: {told}") from None


def connect(url: str) -> psycopg.Connection:
    """Connect to PostgreSQL, for statements that are each by itself.

    Raises:
        psycopg.OperationalError: There was no connecting.
    """
    return psycopg.connect(url, autocommit=True, **CONNECT_OPTIONS)


def _try_lock(connection: psycopg.Connection, owner: str) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_number(owner)]).fetchone()
    return row is not None and bool(row[0])


def _number(owner: str) -> int:
    """Return the number that a lock has in PostgreSQL: 64 bits, so that no other program's is the same."""
    return int.from_bytes(hashlib.sha256(f"red-ribbons {owner}".encode()).digest()[:8], "big", signed=True)
