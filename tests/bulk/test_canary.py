"""A seized disk shows nothing: what went through a batch is found nowhere, before it is erased and after."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.bulk.canaries import files, patterns, search, spellings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.s3 import S3Server

ROOT = Path(__file__).parent.parent.parent
SECRET = "an entirely public secret of these tests"

Found = set[tuple[str, str]]


# -- where it rests --------------------------------------------------------


@dataclass
class OneMachine:
    """A service that rests in a folder.

    Attributes:
        folder: Holds its data folder, and its temporary files.
        environment: Its settings.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def searched(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Yield all that rests anywhere, by its place."""
        yield from files(self.folder)

    def tables(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield the rows of every table."""
        for file in (self.folder / "data").glob("*.sqlite"):
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                for (name,) in database.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                ).fetchall():
                    yield name, database.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608

    def objects(self) -> list[str]:
        """Return the names of what lies in the store."""
        store = self.folder / "data" / "store"
        return [str(path.relative_to(store)) for path in store.rglob("*")]


@dataclass
class ManyMachines(OneMachine):
    """A service that rests in PostgreSQL and S3.

    Attributes:
        database: The database's address.
        s3: The endpoint.
        bucket: The store's address. It keeps old versions.
    """

    database: str = ""
    bucket: str = ""
    s3: S3Server | None = None

    def searched(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Yield the folder all the same, PostgreSQL's files, and what S3 keeps and has in its memory."""
        yield from super().searched()
        yield from self._files_of_postgresql()
        assert self.s3 is not None
        for name, content in self.s3.objects(self.bucket).items():
            yield "the name of an object", [name.encode()]
            yield "S3's objects", [content]
        if sys.platform == "linux":
            yield from (("S3's memory", [part]) for part in self.s3.memory())

    def _files_of_postgresql(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            folder, ours = connection.execute(
                "SELECT current_setting('data_directory'), oid FROM pg_database"
                " WHERE datname = current_database()"
            ).fetchone() or ("", 0)
        if not os.access(Path(folder) / "base", os.R_OK | os.X_OK):
            pytest.skip("PostgreSQL's data folder cannot be read; run the tests as root, or as its user")

        def is_ours(path: Path) -> bool:
            parts = path.relative_to(folder).parts
            return parts[0] != "base" or parts[1] == str(ours)

        yield from ((f"PostgreSQL: {place}", chunks) for place, chunks in files(Path(folder), is_ours))

    def tables(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield the rows of every table."""
        with psycopg.connect(self.database) as connection:
            names = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('ribbons', 'dbos')"
            ).fetchall()
            for schema, name in names:
                query = psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier(schema, name))
                yield name, connection.execute(query).fetchall()

    def objects(self) -> list[str]:
        """Return the names of what is not deleted."""
        assert self.s3 is not None
        return self.s3.names(self.bucket)


@pytest.fixture(params=["one machine", "many machines"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> OneMachine:
    """Where batches may rest: each test is made of both."""
    (tmp_path / "tmp").mkdir()
    environment = {
        "RIBBONS_DATA_FOLDER": str(tmp_path / "data"),
        "RIBBONS_SECRET": SECRET,
        "RIBBONS_WORKERS": "1",
        "TMPDIR": str(tmp_path / "tmp"),
    }
    if request.param == "one machine":
        return OneMachine(tmp_path, environment)
    s3, database = request.getfixturevalue("s3_server"), request.getfixturevalue("database")
    bucket = s3.new_store(is_versioned=True)
    environment |= {"RIBBONS_JOBS_URL": database, "RIBBONS_STORE_URL": bucket, **s3.environment}
    return ManyMachines(tmp_path, environment, database, bucket, s3)


class Life:
    """A batch of canaries in a process of its own, see ``canaries.py``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.told = self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "it ended: see its log"
        told: dict[str, Any] = json.loads(line)
        return told

    def go_on(self) -> dict[str, Any]:
        """Let it do the next thing, and return what it says when that is done."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._hear()

    def needles(self) -> dict[str, list[bytes]]:
        """Return what is looked for: each may be written in many ways."""
        texts = {name: spellings(text) for name, text in self.told["texts"].items()}
        raw = {name: patterns(bytes.fromhex(digits)) for name, digits in self.told["bytes"].items()}
        return {**texts, **raw, "secret": spellings(SECRET)}


@contextmanager
def living(place: OneMachine, *, is_sealed: bool = True) -> Iterator[Life]:
    """Have a batch of canaries drawn; it rests, in a service that runs, until the block ends."""
    command = [sys.executable, "-m", "tests.bulk.canaries", "sealed" if is_sealed else "open"]
    with (place.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **place.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            try:
                yield Life(process)
            finally:
                process.kill()


# -- what is found ---------------------------------------------------------


@pytest.mark.timeout(300)
def test_a_batch_at_rest_shows_nothing(place: OneMachine) -> None:
    """Neither photo, avatar, name, cell, word nor key is found in any file or memory that holds batches.

    Nor is it once the batch is erased; then there is no object of it either, and no row.
    """
    with living(place) as life:
        told, needles = life.told, life.needles()
        # They did go through it, and came out.
        assert told["states"] == ["done", "failed", "done", "missing"]
        assert all(
            told["report"].count(word) >= 3 for word in (told["texts"]["latin"], told["texts"]["arabic"])
        )
        assert sum(told["batch"] in repr(rows) for _, rows in place.tables()) >= 3
        assert len([name for name in place.objects() if "/avatars/" in name]) == 2
        assert search(needles, place.searched()) == set()
        life.go_on()
        assert search(needles, place.searched()) == set()
        assert [name for name, rows in place.tables() if told["batch"] in repr(rows)] == []
        assert [name for name in place.objects() if told["batch"] in name] == []
    # Nor does the process leave anything behind when it ends.
    assert search(needles, files(place.folder)) == set()


def test_a_batch_s_key_is_overwritten_when_it_is_erased(tmp_path: Path) -> None:
    """On SQLite no trace of the wrapped key is left, in file or log: the secret alone opens nothing."""
    (tmp_path / "tmp").mkdir()
    environment = {"RIBBONS_DATA_FOLDER": str(tmp_path / "data"), "RIBBONS_WORKERS": "1"}
    place = OneMachine(tmp_path, environment)
    with living(place) as life:
        wrapped = {"wrapped key": [bytes.fromhex(life.told["wrapped"])]}
        assert search(wrapped, place.searched())
        life.go_on()
        assert search(wrapped, place.searched()) == set()


@pytest.mark.timeout(300)
def test_the_search_would_find_what_is_not_sealed(place: OneMachine) -> None:
    """With a cipher that does nothing, canaries are found: so the search looks where batches rest."""
    with living(place, is_sealed=False) as life:
        found = search(life.needles(), place.searched())
    names = {name for name, _ in found}
    assert names >= {"latin", "arabic", "comment", "photo", "avatar, framed anew", "thumbnail"}
    places = {where for _, where in found}
    expected = {
        OneMachine: ("data/ledger.sqlite", "data/store/"),
        ManyMachines: ("PostgreSQL: base/", "PostgreSQL: pg_wal/", "S3's objects", "S3's memory"),
    }[type(place)]
    for start in expected:
        assert any(where.startswith(start) for where in places), (start, places)


@pytest.mark.parametrize(
    "written",
    [
        str.encode,
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16"),
        lambda text: json.dumps({"name": text}).encode(),
        lambda text: text.encode().hex().encode(),
        lambda text: text.encode("utf-16-le").hex().upper().encode(),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.b64encode(b"1" + text.encode() + b"1"),
        lambda text: base64.b64encode(b"12" + text.encode() + b"12"),
        lambda text: base64.urlsafe_b64encode(text.encode("utf-16-le")),
        lambda text: b"\0" * ((1 << 13) - 7) + text.encode() + b"\0" * 9000,
    ],
)
def test_the_search_knows_a_text_however_it_is_written(written: Callable[[str], bytes]) -> None:
    """In the encodings of databases and logs, at any place of a file, and across what is read at once."""
    for text in ("abcdefghijklmnopqrst", "ابتثجحخدذرزسشصض"):
        content = written(text)
        for start in range(3):
            padded = b"x" * start + content
            chunks = [padded[at : at + (1 << 13)] for at in range(0, len(padded), 1 << 13)]
            assert search({"text": spellings(text)}, [("there", chunks)]) == {("text", "there")}
    assert (
        search({"text": spellings("abcdefghijklmnopqrst")}, [("there", [b"abcdefghijklmnopqrs" * 9])])
        == set()
    )
