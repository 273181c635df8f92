"""What every test may use: the frame library, the portrait, servers, and comparison with golden pictures."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import structlog
from PIL import Image, ImageChops, ImageFilter

from app.frames import FrameLibrary
from tests import s3
from tests.databases import new_database
from tests.proxies import make_certificate
from tests.servers import starter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.s3 import S3Server
    from tests.servers import Serve

ROOT = Path(__file__).parent.parent
GOLDENS = ROOT / "tests" / "golden"
ARTIFACTS = ROOT / "test-artifacts"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Goldens change only when somebody asks for it."""
    parser.addoption("--regenerate-goldens", action="store_true", help="draw tests/golden anew")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing may be skipped: a machine that lacks what a test needs has not run the suite."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def no_batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have services take no batches unless a test asks for it, and never write to anybody's home.

    Of all services in one process, one may have them; and each one's start and end would take longer.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIBBONS_BATCHES", "false")
        patch.setenv("RIBBONS_DATA_FOLDER", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def frames() -> FrameLibrary:
    """The frames that we ship."""
    return FrameLibrary([ROOT / "frames"], ROOT / "fonts")


@pytest.fixture(scope="session")
def portrait() -> bytes:
    """A 512 x 512 PNG of a person (NASA, public domain)."""
    return (ROOT / "frames" / "portrait.png").read_bytes()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Start servers with one worker unless told otherwise."""
    return starter(tmp_path_factory.mktemp("servers"))


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a PostgreSQL database with nothing in it."""
    with new_database() as address:
        yield address


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 endpoint, for tests that make a bucket of their own (``new_store``)."""
    with s3.started(tmp_path_factory.mktemp("s3")) as server:
        yield server
        server.fail(0)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for the documented proxy, and its key."""
    folder = tmp_path_factory.mktemp("certificates")
    make_certificate(folder)
    return folder


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Image.Image, str], None]:
    """Compare a picture with ``tests/golden/<name>.png``, as an eye would.

    Both are softened by one pixel first, so that a rasteriser's other idea of anti-aliasing does not count
    while a moved, lost or reversed letter does. On failure the actual picture and the difference are left in
    ``test-artifacts``.
    """

    def compare(actual: Image.Image, name: str) -> None:
        path = GOLDENS / f"{name}.png"
        if request.config.getoption("--regenerate-goldens"):
            path.parent.mkdir(parents=True, exist_ok=True)
            actual.save(path, optimize=True)
            return
        with Image.open(path) as file:
            expected = file.convert(actual.mode)
        assert actual.size == expected.size
        softened = [image.filter(ImageFilter.GaussianBlur(1)) for image in (actual, expected)]
        difference = ImageChops.difference(*softened)
        values = np.asarray(difference, dtype=np.float64)
        if values.max() > 40 or values.mean() > 0.5:
            ARTIFACTS.mkdir(exist_ok=True)
            actual.save(ARTIFACTS / f"{name}.actual.png")
            difference.save(ARTIFACTS / f"{name}.difference.png")
            pytest.fail(
                f"{name}: largest difference {values.max():.0f}, mean {values.mean():.2f}; see {ARTIFACTS}"
            )

    return compare


@pytest.fixture
def put_back() -> Iterator[None]:
    """Let a test configure logging, in this process, with everything put back afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    libraries = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "python_multipart")
    levels = {name: logging.getLogger(name).level for name in libraries}
    yield
    root.handlers, root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()
    # What was logged meanwhile has kept a logger as it was configured then.
    for name, module in list(sys.modules.items()):
        log = vars(module).get("_log") if name.startswith("app.") else None
        if log is not None:
            vars(log).pop("bind", None)
