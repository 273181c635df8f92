"""What a run has measured, as ``measured.json`` keeps it: the home of every figure in docs/performance.md."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

MEASURED = Path(__file__).parent / "measured.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(_Record):
    """What is asked of every server alike.

    Attributes:
        photo: Its name.
        size: Side of the avatar, pixels.
        clients: How many ask at once.
    """

    photo: str
    size: int
    clients: int


class Figure(_Record):
    """What one server takes at one point; medians of the rounds.

    Attributes:
        server: Its name.
        point: What was asked.
        cpu: Seconds of CPU of the server's whole process tree, for each avatar.
        rate: Avatars per second.
        wait: Seconds until a client had its avatar, median.
    """

    server: str
    point: Point
    cpu: float
    rate: float
    wait: float


class Picture(_Record):
    """How good a server's avatar is.

    Attributes:
        server: Its name.
        photo: The photo's name.
        fidelity: Decibels against the photo decoded whole, reduced by Lanczos and composed exactly.
        nbytes: Of the file.
    """

    server: str
    photo: str
    fidelity: float
    nbytes: int


class Floor(_Record):
    """An avatar without HTTP, beside the codec alone; seconds of CPU, and the median of the pairs' ratios."""

    photo: str
    nbytes: int
    avatar: float
    codec: float
    ratio: float


class Machine(_Record):
    """Where and when it was measured; ``load`` is the load average before the run."""

    date: str
    processor: str
    cores: int
    load: float
    python: str
    node: str


class Missing(_Record):
    """What was not measured, and why: a server at a point, or in the whole run where there is no point."""

    server: str
    point: Point | None
    reason: str


class Results(_Record):
    """A whole run.

    Attributes:
        machine: Where it was.
        floors: Without HTTP; measured for the documents only.
        pictures: What the servers' avatars are like.
        figures: What they took.
        missing: What is not in it, and why.
    """

    machine: Machine
    floors: tuple[Floor, ...]
    pictures: tuple[Picture, ...]
    figures: tuple[Figure, ...]
    missing: tuple[Missing, ...]

    def figure(self, server: str, point: Point) -> Figure | None:
        """Return what a server took, if it was measured there."""
        found = (one for one in self.figures if (one.server, one.point) == (server, point))
        return next(found, None)

    def picture(self, server: str, photo: str) -> Picture | None:
        """Return how good its avatar was, if it was looked at."""
        found = (one for one in self.pictures if (one.server, one.photo) == (server, photo))
        return next(found, None)

    def times_faster(self, server: str, point: Point) -> float | None:
        """Return how many times as many avatars ours makes in a second as a peer."""
        ours, peer = self.figure("ours", point), self.figure(server, point)
        return ours.rate / peer.rate if ours and peer else None
