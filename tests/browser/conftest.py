"""Pages in a real browser: phones and a desktop, watched for every complaint, photographed for whoever looks.

These tests run in a process of their own (see the Makefile): Playwright leaves an event loop running in its
thread, under which nothing else can start one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from app.texts.languages import PAGE_LANGUAGES
from tests.conftest import ARTIFACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request
    from pytest_playwright import CreateContextCallback

    from tests.servers import Serve, Server

PAGES = ARTIFACTS / "pages"

# The first is the same engine without a browser's own windows: these tests take half the time in it.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

# Nothing but the pages' own requests: the browser's updates and reports stay off.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The headless shell would move letters to whole pixels, which no phone does.
    "--font-render-hinting=none",
)

DEVICES: dict[str, dict[str, Any]] = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 3,
        "has_touch": True,
        "is_mobile": True,
    },
    "small": {
        "viewport": {"width": 320, "height": 640},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
    "desktop": {"viewport": {"width": 1280, "height": 900}},
}


# -- the browser -----------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Take the system's own Chromium, or the one that ``CHROMIUM`` names: nothing is downloaded."""
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else _NAMES
    paths = [path for name in names if (path := shutil.which(name))]
    if not paths:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium-headless-shell")
    return {"executable_path": paths[0], "args": [*_FLAGS]}


@pytest.fixture(scope="session")
def server_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that server has the batches of partners."""
    return tmp_path_factory.mktemp("batches") / "data"


@pytest.fixture(scope="session")
def server(serve: Serve, server_data: Path) -> Iterator[Server]:
    """One server for every test that changes nothing in it that another would see."""
    with serve(deadline=60, batches="true", data_folder=str(server_data)) as server:
        yield server


@pytest.fixture(scope="session")
def base_url(server: Server) -> str:
    """Where Playwright takes relative addresses from; its own fixture is one that pytest deprecates."""
    return server.url


# For tests that differ between languages by the length of words: the two directions and the longest words in
# every run, the others in `make soak`. What axe says of every page is asked in all of them.
MOST_DIFFERENT = {"ar", "en", "de"}
SAMPLED_LANGUAGES = [
    pytest.param(code, marks=() if code in MOST_DIFFERENT else pytest.mark.soak) for code in PAGE_LANGUAGES
]


@pytest.fixture(params=list(PAGE_LANGUAGES))
def language(request: pytest.FixtureRequest) -> str:
    """Each language of the pages."""
    code: str = request.param
    return code


@pytest.fixture(params=["ar", "en"])
def direction_language(request: pytest.FixtureRequest) -> str:
    """One language of each direction, for tests that are too slow for all eight."""
    code: str = request.param
    return code


# -- pages -----------------------------------------------------------------


@dataclass
class Complaints:
    """What a browser complained about, and where else than to our server it turned.

    Attributes:
        origin: Where pages come from; asking anybody else is a complaint.
        expected: What a test brings about on purpose, as patterns of which each must have been met.
        heard: What was heard.
    """

    origin: str
    expected: list[re.Pattern[str]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Let a test bring about a complaint: a 503 that it provokes is written to the console too."""
        self.expected.append(re.compile(pattern))

    def watch(self, context: BrowserContext) -> None:
        """Listen to every page of a context, the ones to come as well."""
        context.on("console", self._hear_message)
        context.on("weberror", lambda error: self.heard.append(f"uncaught: {error.error}"))
        context.on("request", self._hear_request)

    def unexpected(self) -> list[str]:
        """Return what nobody expected, and what was expected in vain."""
        surprises = [
            text for text in self.heard if not any(pattern.search(text) for pattern in self.expected)
        ]
        in_vain = [
            f"never heard: {pattern.pattern}"
            for pattern in self.expected
            if not any(pattern.search(text) for text in self.heard)
        ]
        return surprises + in_vain

    def _hear_message(self, message: ConsoleMessage) -> None:
        # Violations of the Content-Security-Policy are errors of the console too. Playwright itself warns
        # where a test keeps service workers out.
        if message.type in {"error", "warning"} and "blocked by Playwright" not in message.text:
            self.heard.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _hear_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.heard.append(f"request to another origin: {parts.scheme}://{parts.netloc}")


@pytest.fixture
def complaints(server: Server) -> Iterator[Complaints]:
    """Whatever a browser complains about fails the test, unless the test said that it would."""
    complaints = Complaints(server.url)
    yield complaints
    assert not complaints.unexpected()


class OpenPage(Protocol):
    """Opens a page as a device; keywords are options of Playwright's ``Browser.new_context``."""

    def __call__(self, device: str = "phone", language: str = "ar", **options: Any) -> Page:
        """Open it, blank, in a context of its own: relative addresses are the server's."""


@pytest.fixture
def open_page(new_context: CreateContextCallback, complaints: Complaints) -> OpenPage:
    """Open pages whose complaints are heard.

    Service workers stay out unless a test asks for them (``service_workers="allow"``): requests that one
    answers are not seen by ``page.route``.
    """

    def start(device: str = "phone", language: str = "ar", **options: Any) -> Page:
        context = new_context(
            **{
                "locale": language,
                "service_workers": "block",
                **DEVICES[device],
                **options,
            }
        )
        context.set_default_timeout(15_000)
        complaints.watch(context)
        return context.new_page()

    return start


@pytest.fixture
def phone(open_page: OpenPage) -> Page:
    """A page on a phone of 390 x 844 points."""
    return open_page("phone")


@pytest.fixture
def small(open_page: OpenPage) -> Page:
    """A page on the narrowest phone, 320 points wide."""
    return open_page("small")


@pytest.fixture
def desktop(open_page: OpenPage) -> Page:
    """A page on a desktop of 1280 x 900 points."""
    return open_page("desktop")


# -- looking at them -------------------------------------------------------


@pytest.fixture
def screenshot() -> Callable[..., None]:
    """Keep a picture of a page in ``test-artifacts/pages``, for eyes: ``<name>.<language>.<width>.png``.

    One pixel for each point: a phone's nine would cost five times as long.
    """
    taken: Counter[str] = Counter()

    def take(page: Page, name: str, *, full_page: bool = False) -> None:
        width = page.viewport_size["width"] if page.viewport_size else 0
        file = f"{name}.{page.locator('html').get_attribute('lang')}.{width}"
        taken[file] += 1
        assert taken[file] == 1, f"this test takes {file} twice"
        page.screenshot(
            path=PAGES / f"{file}.png",
            full_page=full_page,
            scale="css",
            animations="disabled",
        )

    return take


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """Assert that axe-core finds nothing wrong with a page as it is now.

    It goes in through the debugger, which no Content-Security-Policy binds.
    """
    checker = Axe()

    def check(page: Page) -> None:
        # All rules; what passed is not told, which is most of the work.
        results = checker.run(page, options={"resultTypes": ["violations"]})
        assert results.violations_count == 0, results.generate_report()

    return check


@pytest.fixture
def slow_down() -> Callable[[Page], None]:
    """Give a page a slow network: 400 ms there and back, 400 kbit/s either way (Chromium's "slow 3G")."""

    def throttle(page: Page) -> None:
        page.context.new_cdp_session(page).send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000},
        )

    return throttle
