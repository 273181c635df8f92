from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from app.bulk.locks import DatabaseLocks, FileLocks
from app.errors import StorageUnavailable
from tests.databases import break_connections, new_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from app.bulk.locks import Locks


@pytest.fixture(params=["files", "database"])
def locks_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Locks]]:
    """Make locks of processes, by their names."""
    if request.param == "files":
        yield lambda owner: FileLocks(tmp_path / "locks", owner)
    else:
        with new_database() as url:
            yield lambda owner: DatabaseLocks(url, owner)


def test_who_is_alive_is_known(locks_of: Callable[[str], Locks]) -> None:
    """A lock that its owner holds cannot be taken; one that was given up, or never was, can."""
    ours, theirs = locks_of("ours"), locks_of("theirs")
    ours.keep()
    theirs.keep()
    with ours.taken_from("theirs") as is_dead:
        assert not is_dead
    theirs.give_up()
    while not _is_dead(ours, "theirs"):  # PostgreSQL takes a moment to notice
        pass
    assert _is_dead(ours, "nobody")
    ours.give_up()


def _is_dead(locks: Locks, other: str) -> bool:
    with locks.taken_from(other) as is_dead:
        return is_dead


def test_a_dead_ones_lock_is_taken_by_one_at_a_time(locks_of: Callable[[str], Locks], tmp_path: Path) -> None:
    """While one takes over from the dead, another finds the lock held."""
    first, second, dead = locks_of("first"), locks_of("second"), locks_of("dead")
    first.keep()
    second.keep()
    if isinstance(dead, FileLocks):
        (tmp_path / "locks" / "dead").touch()  # as a killed process leaves it
    with first.taken_from("dead") as first_has_it, second.taken_from("dead") as second_has_it:
        assert (first_has_it, second_has_it) == (True, False)
    with second.taken_from("dead") as second_has_it:
        assert second_has_it
    first.give_up()
    second.give_up()


def test_to_keep_it_again_is_nothing(locks_of: Callable[[str], Locks]) -> None:
    """A lock that is held is held on."""
    ours, theirs = locks_of("ours"), locks_of("theirs")
    theirs.keep()
    for _ in range(2):
        ours.keep()
        with theirs.taken_from("ours") as is_dead:
            assert not is_dead
    ours.give_up()
    theirs.give_up()


def test_no_file_is_left(tmp_path: Path) -> None:
    """Who gives a lock up deletes its file, and who takes a dead one's does, too."""
    ours = FileLocks(tmp_path / "locks", "ours")
    ours.keep()
    (tmp_path / "locks" / "dead").touch()
    with ours.taken_from("dead"):
        pass
    assert os.listdir(tmp_path / "locks") == ["ours"]  # noqa: PTH208
    ours.give_up()
    assert not list((tmp_path / "locks").iterdir())


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    """Somebody who tidies up takes our lock from us only until we look at it again."""
    ours, theirs = FileLocks(tmp_path / "locks", "ours"), FileLocks(tmp_path / "locks", "theirs")
    ours.keep()
    theirs.keep()
    (tmp_path / "locks" / "ours").unlink()
    with theirs.taken_from("ours") as is_dead:
        assert is_dead
    ours.keep()
    with theirs.taken_from("ours") as is_dead:
        assert not is_dead
    ours.give_up()
    theirs.give_up()


def test_a_file_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """Where there can be no folder, or another holds our own lock for a moment, that is told as ours."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable):
        FileLocks(tmp_path / "file", "ours").keep()
    (tmp_path / "locks").mkdir()
    with (tmp_path / "locks" / "ours").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ours = FileLocks(tmp_path / "locks", "ours")
        with pytest.raises(StorageUnavailable):
            ours.keep()
    ours.keep()
    ours.give_up()


def test_a_lost_connection_is_told_and_made_again() -> None:
    """With its connection a lock is lost; that is told at the next look, and the one after has a new one."""
    with new_database() as url:
        ours, theirs = DatabaseLocks(url, "ours"), DatabaseLocks(url, "theirs")
        with pytest.raises(StorageUnavailable), theirs.taken_from("ours"):
            pass
        ours.keep()
        break_connections(url)
        theirs.keep()
        with theirs.taken_from("ours") as is_dead:
            assert is_dead
        with pytest.raises(StorageUnavailable):
            ours.keep()
        with theirs.taken_from("ours"), pytest.raises(StorageUnavailable):
            ours.keep()  # for the moment in which somebody else has it
        ours.keep()
        with theirs.taken_from("ours") as is_dead:
            assert not is_dead
        ours.give_up()
        theirs.give_up()


def test_a_machine_that_is_gone_is_noticed() -> None:
    """Both ends of the connection ask for each other after seconds, not after the system's two hours."""
    with new_database() as url:
        ours = DatabaseLocks(url, "ours")
        ours.keep()
        assert ours._connection is not None
        for setting, value in (("idle", "10"), ("interval", "5"), ("count", "3")):
            shown = ours._connection.execute(f"SHOW tcp_keepalives_{setting}".encode()).fetchone()
            assert shown == (value,)
            assert ours._connection.info.get_parameters()[f"keepalives_{setting}"] == value
        ours.give_up()
