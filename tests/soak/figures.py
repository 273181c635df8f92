"""What a supporter gets on an idle server and beside an attack."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.crowds import Answer


@dataclass(frozen=True)
class Figures:
    """Answers to the same requests, with and without an attack in the same run.

    Attributes:
        attack: Its name.
        asks: What is asked for.
        idle: Answers while nobody else asked.
        attacked: Answers while the attack went on.
        drawing: Seconds of the longest drawing that goes on then: nobody can be served before one that has
            begun is at its end.
        attacker: Answers that the attacker had, by their status.
    """

    HEAD: ClassVar = (
        f"{'attack':31} {'a supporter asks for':20} {'served':>13} {'median (idle)':>15} {'p99 (idle)':>15} "
        f"{'one drawing':>11}  what the attacker got"
    )

    attack: str
    asks: str
    idle: Sequence[Answer]
    attacked: Sequence[Answer]
    drawing: float
    attacker: dict[int, int]

    def __str__(self) -> str:
        """Return a line of the table; times in seconds."""
        served = f"{self.served}/{len(self.attacked)}"
        beside, idle = _seconds(self.attacked), _seconds(self.idle)
        medians = f"{median(beside):.2f} ({median(idle):.2f})"
        longest = f"{_p99(beside):.2f} ({_p99(idle):.2f})"
        attacker = ", ".join(f"{count} x {status}" for status, count in sorted(self.attacker.items()))
        return (
            f"{self.attack:31} {self.asks:20} {served:>8} {self.share:4.0%} {medians:>15} {longest:>15} "
            f"{self.drawing:11.2f}  {attacker}"
        )

    @property
    def served(self) -> int:
        """How many of the requests beside the attack were served."""
        return sum(answer.status == 200 for answer in self.attacked)

    @property
    def share(self) -> float:
        """The same, of all of them."""
        return self.served / len(self.attacked)

    @property
    def longer(self) -> float:
        """Seconds by which the median grew. Who was not served waits for ever."""
        return median(_seconds(self.attacked)) - median(_seconds(self.idle))


def _seconds(answers: Sequence[Answer]) -> list[float]:
    return [answer.seconds for answer in answers if answer.status == 200] or [float("inf")]


def _p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]


TABLE = pytest.StashKey[list[Figures]]()
