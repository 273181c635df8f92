"""A partner's page as a partner handles it: what its tests have in common."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Locator, Page

# What the page hands over to be sent, by its address: the browser's own tools do not tell a Blob's bytes.
_LISTEN = """() => {
  window.sent = [];
  const send = window.fetch;
  window.fetch = async (address, options = {}) => {
    if (options.body instanceof Blob) {
      const bytes = new Uint8Array(await options.body.arrayBuffer());
      let text = "";
      for (let at = 0; at < bytes.length; at += 8192) {
        text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      }
      window.sent.push([decodeURIComponent(String(address)), btoa(text)]);
    }
    return send(address, options);
  };
}"""

# Long tasks from here on: what a page cannot be used in.
WATCH_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      const said = document.getElementById("progress-said");
      window.longTasks.push([Math.round(startTime), Math.round(duration), said ? said.textContent : ""]);
    }
  }).observe({ type: "longtask" });
}"""

# Drops files that the page makes itself: as many as no test should write to a disk.
_DROP_MANY = """async (count) => {
  const canvas = new OffscreenCanvas(96, 72);
  const context = canvas.getContext("2d");
  const dropped = new DataTransfer();
  for (let n = 0; n < count; n++) {
    context.fillStyle = `hsl(${n % 360} 60% ${40 + (n % 7) * 5}%)`;
    context.fillRect(0, 0, 96, 72);
    const blob = await canvas.convertToBlob({ type: "image/jpeg" });
    dropped.items.add(new File([blob], `photo-${String(n).padStart(5, "0")}.jpg`, { type: "image/jpeg" }));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  if (window.longTasks) window.longTasks.length = 0; // what came before is the test's own
  const event = new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(event);
}"""


def listen_to_sending(page: Page) -> None:
    """Have a page tell what it sends; to be called before it is opened."""
    page.add_init_script(f"({_LISTEN})()")


def watch_tasks(page: Page) -> None:
    """Have a page tell how long it could not be used; to be called before it is opened."""
    page.add_init_script(f"({WATCH_TASKS})()")


class LongTask(NamedTuple):
    """What a page could not be used in.

    Attributes:
        start: Milliseconds after the page was opened.
        milliseconds: How long it took.
        progress: What the page said of the batch then.
    """

    start: int
    milliseconds: int
    progress: str


@dataclass(frozen=True)
class PartnerPage:
    """The page on an open tab.

    Attributes:
        page: The tab.
        key: The partner's.
    """

    page: Page
    key: str

    def open(self, language: str = "en") -> PartnerPage:
        """Open it."""
        self.page.goto(f"/{language}/partners")
        expect(self.page.locator("#key")).to_be_visible()
        return self

    def enter(self) -> PartnerPage:
        """Give the key."""
        self.page.locator("#key").fill(self.key)
        self.page.locator("#key-form [type=submit]").click()
        expect(self.page.locator("#order-step")).to_be_visible()
        return self

    def choose_folder(self, folder: Path, photos: int) -> PartnerPage:
        """Choose a folder, of which so many files are photos."""
        self.page.locator("#folder").set_input_files(folder)
        expect(self.page.locator("#counts dd").first).to_have_text(str(photos))
        return self

    def choose_small(self, size: int = 128) -> PartnerPage:
        """Have small pictures made: most tests are not about pixels."""
        self.page.locator(".settings .more summary").click()
        self.page.locator("#size").fill(str(size))
        return self

    def drop_many(self, count: int) -> PartnerPage:
        """Drop so many small photos."""
        self.page.evaluate(_DROP_MANY, count)
        expect(self.page.locator("#counts dd").first).to_have_text(f"{count:,}")
        return self

    def start(self) -> PartnerPage:
        """Start the batch."""
        self.page.locator("#start").click()
        expect(self.page.locator("#batch-step")).to_be_visible()
        return self

    def until_done(self, seconds: float = 60) -> PartnerPage:
        """Wait until every photo has an outcome."""
        expect(self.page.locator("#take-home")).to_be_visible(timeout=seconds * 1000)
        return self

    @property
    def trouble(self) -> Locator:
        """What keeps the batch from going on."""
        return self.page.locator("#trouble")

    @property
    def dialog(self) -> Locator:
        """Where a photo is moved in its frame."""
        return self.page.locator("#framing")

    def count(self, part: str) -> int:
        """Return how many results a part has: ``failures``, ``doubtful`` or ``others``."""
        section = self.page.locator(f"#{part}")
        return int(section.locator(".count").inner_text()) if section.is_visible() else 0

    def reasons(self) -> dict[str, str]:
        """Return why photos were not made, by their names."""
        items = self.page.locator("#failures li")
        return {item.locator(".name").inner_text(): item.locator("span").inner_text() for item in items.all()}

    def result(self, name: str) -> Locator:
        """Return a result by its file's name."""
        return self.page.locator(".result", has_text=name)

    def open_result(self, name: str, *, has_file: bool = True) -> PartnerPage:
        """Open one to be framed anew."""
        self.result(name).click()
        expect(self.dialog).to_be_visible()
        if has_file:
            expect(self.page.locator("#framing.has-file")).to_be_visible()
        return self

    def batch(self) -> str:
        """Return the address of the newest batch."""
        batches: Sequence[dict[str, Any]] = self.asked("/v1/batches").json()["batches"]
        links: dict[str, str] = batches[0]["links"]
        return links["batch"]

    def photos(self) -> dict[str, dict[str, Any]]:
        """Return the newest batch's photos as the API tells them, by their names."""
        shown = self.asked(f"{self.batch()}/photos?limit=1000").json()["photos"]
        return {photo["name"]: photo for photo in shown}

    def asked(self, address: str) -> Any:
        """Ask the API beside the page."""
        return self.page.request.get(address, headers={"Authorization": f"Bearer {self.key}"})

    def sent(self) -> dict[str, bytes]:
        """Return what was sent as a photo, by its name; see :func:`listen_to_sending`."""
        sent: list[tuple[str, str]] = self.page.evaluate("window.sent")
        return {
            address.partition("/photos/")[2]: base64.b64decode(content)
            for address, content in sent
            if "/photos/" in address
        }

    def long_tasks(self) -> list[LongTask]:
        """Return the tasks that were long ones, of 50 ms and more; see :func:`watch_tasks`."""
        return [LongTask(*task) for task in self.page.evaluate("window.longTasks")]
