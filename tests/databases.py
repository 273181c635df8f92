"""A PostgreSQL database of one's own, where a server runs on this machine that lets us make one."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "postgresql://postgres@127.0.0.1:5432"
"""Where PostgreSQL listens unless told otherwise, as its superuser is called."""


@contextmanager
def new_database() -> Iterator[str]:
    """Make a database and drop it at the end, whoever is still connected; yield its address.

    A test without a server is skipped.
    """
    name = f"ribbons_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432 that lets postgres in")
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{SERVER}/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
