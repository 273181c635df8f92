"""Work that leaves a file for each photo, instead of drawing it; and a process that does such work.

``python -m tests.bulk.filework FOLDER [JOBS_URL]`` takes part until SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from app.bulk.engine import Engine
from app.errors import StorageFull
from app.logs import configure_logging
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class FileWork:
    """Does photos in a folder that all processes see. What to do otherwise is told by files in it.

    ``full``: as long as it is there, there is no room. ``bug-7``: photo 7 meets a bug of ours. ``slow``: how
    many seconds a photo takes, instead of none.

    Args:
        folder: Of what is done.

    Attributes:
        at_once: Most chunks that this object was busy with at the same time.
        ticks: How often it was reminded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at_once = 0
        self.ticks = 0
        self._busy = 0
        self._lock = threading.Lock()
        for name in ("done", "tries"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def draw(self, batch: str, numbers: Sequence[int], is_stopping: Callable[[], bool]) -> None:
        """Do photos, each once."""
        with self._lock:
            self._busy += 1
            self.at_once = max(self.at_once, self._busy)
        try:
            for number in numbers:
                if is_stopping():
                    return
                self._do(batch, number)
        finally:
            with self._lock:
                self._busy -= 1

    def tick(self) -> None:
        """Count the reminder; the first one fails."""
        self.ticks += 1
        if self.ticks == 1:
            raise ValueError("Layla's photo")

    def done(self, batch: str) -> list[int]:
        """Return the photos of a batch that are done, in their order."""
        return sorted(int(path.name.rpartition("-")[2]) for path in (self.folder / "done").glob(f"{batch}-*"))

    def order(self, batch: str) -> float:
        """Return when the last photo of a batch was done."""
        return max(path.stat().st_mtime_ns for path in (self.folder / "done").glob(f"{batch}-*"))

    def tries(self, batch: str) -> int:
        """Return how many photos of a batch were begun, those that were begun twice counted twice."""
        return len(list((self.folder / "tries").glob(f"{batch}-*")))

    def wait_for(self, batch: str, photos: int, seconds: float = 30) -> None:
        """Wait until so many photos of a batch are done."""
        start = time.monotonic()
        while len(self.done(batch)) < photos:
            assert time.monotonic() - start < seconds, f"{len(self.done(batch))} of {photos} were done"
            time.sleep(0.02)

    def _do(self, batch: str, number: int) -> None:
        done = self.folder / "done" / f"{batch}-{number}"
        if done.exists():
            return
        (self.folder / "tries" / f"{batch}-{number}-{uuid.uuid4().hex}").touch()
        if (self.folder / "full").exists():
            raise StorageFull
        if (self.folder / f"bug-{number}").exists():
            raise ValueError("Layla's photo")
        if (self.folder / "slow").exists():
            time.sleep(float((self.folder / "slow").read_text()))
        done.touch()


def settings_for(folder: Path, jobs_url: str | None) -> Settings:
    """Return settings under which processes share batches."""
    if jobs_url is None:
        return load_settings(data_folder=folder, shutdown_timeout=20)
    return load_settings(data_folder=folder, jobs_url=jobs_url, shutdown_timeout=20)


def _main() -> None:
    folder, jobs_url = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    settings = settings_for(folder, jobs_url)
    configure_logging(settings)
    is_over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_over.set())
    with Engine(settings, FileWork(folder), concurrency=2).opened():
        print("open", flush=True)  # noqa: T201 - whoever started this waits for it
        while not is_over.wait(0.05):
            pass
    print("closed", flush=True)  # noqa: T201


if __name__ == "__main__":
    _main()
