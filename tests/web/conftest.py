"""A client for the application in this process, and photos for it."""

from __future__ import annotations

import io
import os
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from PIL import Image
from redis import Redis
from starlette.testclient import TestClient

from app.settings import load_settings
from app.web.app import create_app

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
def redis_url() -> str:
    """A Redis that may be written to: RIBBONS_TEST_REDIS_URL, or the last database of one on this machine."""
    url = os.environ.get("RIBBONS_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=2):
            return url
    except OSError:
        pytest.skip("there is no Redis; start one, or name one in RIBBONS_TEST_REDIS_URL")


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """What the names of one test begin with; what it leaves is removed."""
    prefix = f"test-{secrets.token_hex(8)}:"
    yield prefix
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)
