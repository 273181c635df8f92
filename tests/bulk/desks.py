"""A desk for tests: batches that rest in a folder and are drawn in this process, when a test says so."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from PIL import Image

from app.bulk.batches import Batches, Holdings
from app.bulk.ledger import Ledger
from app.bulk.partners import add_partner
from app.bulk.sealing import open_vault
from app.bulk.store import Store
from app.bulk.work import Drawer, Upkeep
from app.drawing import Drawing
from app.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from app.bulk.opened import Partner
    from app.settings import Settings


def small_photo(colour: str = "teal", size: tuple[int, int] = (96, 128)) -> bytes:
    """A JPEG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


@dataclass
class Queue:
    """Remembers what was to be drawn."""

    chunks: list[tuple[str, str, list[list[int]], int]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def enqueue(
        self,
        batch: str,
        partner: str,
        chunks: Sequence[Sequence[int]],
        generation: int = 0,
        *,
        is_all: bool = True,  # noqa: ARG002 - it forgets nothing
    ) -> None:
        """Remember what is to be drawn."""
        self.chunks.append((batch, partner, [list(chunk) for chunk in chunks], generation))

    def forget(self, batch: str) -> None:
        """Remember what is not to be drawn any more."""
        self.forgotten.append(batch)


class Portal:
    """Stands for the way from the engine's threads to the pool: runs a job where it is asked for."""

    def call(self, run: Callable[[], Any]) -> Any:
        """Run it."""
        return run()


class Pool:
    """Stands for the workers. ``before`` is called before each job, and may raise what a pool raises."""

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None

    def run(self, job: Callable[[], Any], _lane: object, _party: object) -> Any:
        """Run a job in this process."""
        self.before()
        return job()


class Desk:
    """Everything that a batch needs, without an engine.

    Args:
        settings: Where it rests.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.holdings = Holdings(Ledger.build(settings), Store.build(settings), open_vault(settings))
        self.holdings.ledger.migrate()
        self.queue = Queue()
        drawing = Drawing.build(settings)
        self.frames = drawing.frames
        self.batches = Batches(self.holdings, drawing.frames, self.queue, settings)
        self.pool = Pool()
        self.drawer = Drawer(self.batches, self.holdings, cast("Any", _Drawing(drawing, self.pool)))
        self.drawer.portal = cast("Any", Portal())
        self.upkeep = Upkeep(self.batches, self.holdings)

    def partner(self, name: str = "Solidarity") -> Partner:
        """Add somebody with a key."""
        return add_partner(self.holdings.ledger, self.holdings.vault, name, None)[0]

    def draw(self) -> None:
        """Draw all that was enqueued."""
        while self.queue.chunks:
            batch, _, chunks, _ = self.queue.chunks.pop(0)
            for chunk in chunks:
                self.drawer.draw(batch, chunk, lambda: False)


class _Drawing:
    def __init__(self, drawing: Drawing, pool: Pool) -> None:
        self.frames = drawing.frames
        self.studio = drawing.studio
        self.pool = pool


@contextmanager
def opened_desk(folder: Path, **given: Any) -> Iterator[Desk]:
    """Open a desk in a folder, for one test."""
    desk = Desk(load_settings(data_folder=folder / "data", workers=1, **given))
    try:
        yield desk
    finally:
        desk.holdings.ledger.close()
