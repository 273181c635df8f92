"""A client for the application in this process, and photos for it."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from redis import Redis
from starlette.testclient import TestClient

from app.settings import load_settings
from app.web.app import create_app
from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PHOTO_BYTES = 6_000_000


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """The application with one worker, called without a network."""
    settings = load_settings(workers=1, deadline=30, max_photo_bytes=MAX_PHOTO_BYTES, upload_timeout=10)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A small JPEG."""
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="session")
def large_photo() -> bytes:
    """A PNG of 5 MB, which Starlette's own form would put on a disk."""
    noise = Image.frombytes("RGB", (1290, 1290), os.urandom(1290 * 1290 * 3))
    file = io.BytesIO()
    noise.save(file, "PNG", compress_level=0)
    return file.getvalue()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis that may be written to: RIBBONS_TEST_REDIS_URL, or one of our own, all in memory."""
    if url := os.environ.get("RIBBONS_TEST_REDIS_URL"):
        yield url
        return
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("no Redis here; install redis-server, or name one in RIBBONS_TEST_REDIS_URL")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([command, *options], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_listening(port)
            yield f"redis://127.0.0.1:{port}/15"
        finally:
            process.kill()


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """What the names of one test begin with; what it leaves is removed."""
    prefix = f"test-{secrets.token_hex(8)}:"
    yield prefix
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)
