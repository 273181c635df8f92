"""PostgreSQL for tests: databases on this machine's server, and a server of our own to stop and start."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "postgresql://postgres@127.0.0.1:5432"
"""Where PostgreSQL listens unless told otherwise, as its superuser is called."""


@contextmanager
def new_database(server: str = SERVER) -> Iterator[str]:
    """Make a database and drop it at the end, whoever is still connected; yield its address.

    A test without a server is skipped.
    """
    name = f"ribbons_{uuid.uuid4().hex[:12]}"
    try:
        _administer(server, f'CREATE DATABASE "{name}"')
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432 that lets postgres in")
    try:
        yield f"{server}/{name}"
    finally:
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _administer(server: str, statement: str) -> None:
    with connected(f"{server}/postgres") as connection:
        connection.execute(statement.encode())


def connected(url: str) -> psycopg.Connection:
    """Connect to a database, for statements that are each by itself; to be used in a block."""
    return psycopg.connect(url, autocommit=True, connect_timeout=5)


def break_connections(url: str) -> None:
    """End every connection to a database at once, as a restart of its server does."""
    with connected(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL server of our own.

    Attributes:
        programs: The folder of its programs.
        data: The folder of its data.
        port: Where it listens.
        host: The address of this machine on which it listens.
    """

    programs: Path
    data: Path
    port: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """The server, without a database."""
        return f"postgresql://postgres@{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self.port} -c listen_addresses={self.host} -c unix_socket_directories= -c fsync=off"
        self._control("start", "-o", options, "-l", str(self.data / "server.log"))

    def stop(self) -> None:
        """End it at once, and with it every connection; committed work is there when it starts again."""
        self._control("stop", "-m", "immediate")

    def _control(self, action: str, *options: str) -> None:
        _run(self.programs / "pg_ctl", action, "-w", "-t", "60", "-D", str(self.data), *options)


@contextmanager
def private_cluster(host: str = "127.0.0.1") -> Iterator[Cluster]:
    """Make a server for a block, and start it.

    Args:
        host: The address of this machine on which it listens. All of that network may come in.
    """
    programs = _programs()
    # Not pytest's own folder, which is root's alone: PostgreSQL does not run as root.
    folder = Path(tempfile.mkdtemp(prefix="ribbons-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        cluster = Cluster(programs, folder / "data", free_port(), host)
        _run(programs / "initdb", "-D", str(cluster.data), "-U", "postgres", "-A", "trust", "--no-sync")
        with (cluster.data / "pg_hba.conf").open("a") as access:
            access.write(f"host all all {host}/24 trust\n")
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)


_USER = "postgres"


def _programs() -> Path:
    """Return the folder of the newest server there is; Debian leaves them out of the path."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    if found := shutil.which("initdb"):
        folders.insert(0, Path(found).parent)
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    pytest.skip("no programs of a PostgreSQL server")


def _run(program: Path, *arguments: str) -> None:
    user = _USER if os.geteuid() == 0 else None
    if user:
        try:
            pwd.getpwnam(user)
        except KeyError:
            pytest.skip("no user postgres to run a server as")
    subprocess.run(
        [program, *arguments],
        check=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=90,
    )
