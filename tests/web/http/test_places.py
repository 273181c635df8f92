"""Places and memory for uploads, with a clock that stands still until it is told to go on."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from app.errors import Busy, CapacityError, TooManyAtOnce
from app.web.http import places
from app.web.http.places import GRACE_SECONDS, LEAST_PACE, START_SECONDS, Arrival, Places

PLENTY = 1_000_000_000


class Clock:
    """Takes the place of the system's."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that places go by."""
    clock = Clock()
    monkeypatch.setattr(places, "time", clock)
    return clock


class Desk:
    """Arrivals that come and go in any order.

    Attributes:
        stopped: The parties of those that were told to stop.
    """

    def __init__(self, most: int = 1000, memory_bytes: int = PLENTY) -> None:
        self.places = Places(most, memory_bytes)
        self.stacks: dict[Arrival, ExitStack] = {}
        self.stopped: list[str] = []

    def come(self, party: str, held: int = 0) -> Arrival:
        """Let a photo begin to arrive, of which so much comes at once."""
        with ExitStack() as stack:
            arrival = stack.enter_context(self.places.held(party, partial(self.stopped.append, party)))
            if held:
                self.places.hold(arrival, held)
            self.stacks[arrival] = stack.pop_all()
        return arrival

    def end(self, arrival: Arrival) -> None:
        """Let a photo be drawn, or fail."""
        self.stacks.pop(arrival).close()

    def refusal(self, party: str) -> type[CapacityError] | None:
        """Return what a newcomer is told, who goes at once if it is let in."""
        try:
            self.end(self.come(party))
        except CapacityError as error:
            return type(error)
        return None

    def lost(self, *arrivals: Arrival) -> list[type[CapacityError] | None]:
        """Return what these were told who lost their places, and None for those who kept them."""
        return [type(arrival.refusal) if arrival.refusal else None for arrival in arrivals]

    def is_empty(self) -> bool:
        """End all that is left, and tell whether nothing is remembered."""
        for arrival in list(self.stacks):
            self.end(arrival)
        desk = self.places
        assert (desk.arriving, desk.held_bytes) == (0, 0)
        return not any(
            len(each)
            for each in (desk._holders, desk._by_places, desk._by_memory, desk._slow, desk._slow_and_large)
        )


# -- places ----------------------------------------------------------------


def test_while_places_are_free_nobody_is_too_slow(clock: Clock) -> None:
    """A phone that sends a byte a minute, and one that sends nothing, keep their places."""
    desk = Desk(most=3)
    slow, silent = desk.come("a", 1), desk.come("b")
    for _ in range(10):
        clock.now += 60
        desk.places.hold(slow, 1)
        desk.end(desk.come("c", 50_000))
    assert desk.lost(slow, silent) == [None, None]
    assert desk.is_empty()


def test_one_address_may_have_every_place(clock: Clock) -> None:
    """When it has them all, it is told that the house is full."""
    desk = Desk(most=4)
    arrivals = [desk.come("a") for _ in range(4)]
    assert desk.refusal("a") is Busy
    clock.now += START_SECONDS / 2
    assert desk.refusal("a") is Busy
    assert desk.lost(*arrivals) == [None] * 4
    assert desk.is_empty()


def test_the_slowest_of_who_has_most_gives_its_place_up(clock: Clock) -> None:
    """To one that has two fewer, and so on until they have as many."""
    desk = Desk(most=4)
    fast, slow, middling, fastest = [desk.come("a") for _ in range(4)]
    clock.now += 1
    for arrival, count in ((fast, 5000), (slow, 100), (middling, 300), (fastest, 9000)):
        desk.places.hold(arrival, count)
    desk.come("b")
    assert desk.lost(slow, middling, fast, fastest) == [TooManyAtOnce, None, None, None]
    assert desk.stopped == ["a"]
    assert desk.places.held_bytes == 14_300
    desk.come("b")
    assert desk.lost(middling, fast, fastest) == [TooManyAtOnce, None, None]
    assert [desk.refusal(party) for party in "ab"] == [Busy, Busy]
    desk.come("c")
    assert [desk.refusal(party) for party in "abc"] == [TooManyAtOnce, Busy, Busy]
    assert (desk.places.arriving, desk.places.given_up, desk.places.refused) == (
        4,
        {"share": 3, "slow": 0},
        1,
    )
    assert desk.is_empty()


def test_who_has_come_since_the_last_look_may_have_to_go(clock: Clock) -> None:
    """A flood within the same moment keeps nobody out."""
    desk = Desk(most=10)
    for _ in range(10):
        desk.come("a")
    for _ in range(12):
        assert desk.refusal("b") is None
        desk.come("a")
    assert desk.places.given_up == {"share": 12, "slow": 0}
    assert desk.is_empty()
    assert clock.now == 1000


@pytest.mark.parametrize("sent", [0, 1, LEAST_PACE // 2])
def test_hundreds_who_stand_still_from_as_many_addresses_keep_nobody_out(clock: Clock, sent: int) -> None:
    """They are the rest themselves, so the least pace is one that no photo can arrive at."""
    desk = Desk(most=500)
    crowd = [desk.come(f"a{number}") for number in range(500)]
    for _ in range(3):
        clock.now += 1
        for arrival in crowd:
            desk.places.hold(arrival, sent)
    supporters = [desk.come(f"b{number}", 10_000) for number in range(100)]
    assert desk.lost(*supporters) == [None] * 100
    assert desk.lost(*crowd).count(Busy) == 100
    assert desk.places.given_up == {"share": 0, "slow": 100}
    assert desk.is_empty()


def test_nobody_is_slow_at_once(clock: Clock) -> None:
    """Who has just come has had no time to send."""
    desk = Desk(most=3)
    arrivals = [desk.come(party) for party in "abc"]
    clock.now += START_SECONDS - 0.1
    assert desk.refusal("d") is Busy
    clock.now += 1.1
    assert desk.refusal("d") is None
    assert desk.lost(*arrivals).count(Busy) == 1


def test_much_slower_than_the_rest_is_slow(clock: Clock) -> None:
    """A quarter of the median; and only after a while, so that a phone may be silent between two masts."""
    desk = Desk(most=5)
    crowd = [desk.come(party) for party in "abcde"]

    def send(*paces: int) -> None:
        clock.now += 1
        for arrival, pace in zip(crowd, paces, strict=True):
            desk.places.hold(arrival, pace)

    for _ in range(4):
        send(100_000, 90_000, 80_000, 30_000, 15_000)
    assert desk.refusal("f") is Busy
    for _ in range(2):
        send(100_000, 90_000, 80_000, 30_000, 15_000)
    assert desk.refusal("f") is None
    assert desk.lost(*crowd) == [None, None, None, None, Busy]
    desk.come("f", 1)
    assert desk.refusal("g") is Busy, "what is left is not much slower"
    assert desk.is_empty()


def test_a_slow_crowd_loses_nobody(clock: Clock) -> None:
    """Where all phones are slow, none is slower than the rest."""
    desk = Desk(most=50)
    crowd = [desk.come(f"a{number}") for number in range(50)]
    for _ in range(20):
        clock.now += 1
        for number, arrival in enumerate(crowd):
            desk.places.hold(arrival, 1500 + 20 * number)
        assert desk.refusal("b") is Busy
    assert desk.is_empty()


def test_who_was_fast_and_stands_still_is_slow(clock: Clock) -> None:
    """Its pace is that of the last seconds, not of all its time."""
    desk = Desk(most=2)
    stalled, steady = desk.come("a", 10_000_000), desk.come("b")
    for _ in range(12):
        clock.now += 1
        desk.places.hold(steady, 5000)
    assert desk.refusal("c") is None
    assert desk.lost(stalled, steady) == [Busy, None]
    assert desk.places.held_bytes == steady.held


def test_nobody_slow_gives_way_to_an_address_that_has_more(clock: Clock) -> None:
    """One address with many fast uploads does not drive slow phones of others out."""
    desk = Desk(most=10)
    slow = [desk.come(party) for party in "abc"]
    fast = [desk.come("x") for _ in range(7)]
    for _ in range(10):
        clock.now += 1
        for arrival in fast:
            desk.places.hold(arrival, 100_000)
    assert desk.refusal("x") is TooManyAtOnce
    assert desk.lost(*slow) == [None] * 3
    assert desk.refusal("d") is None, "that is the greatest one's place"
    assert desk.lost(*slow) == [None] * 3


@pytest.mark.parametrize("seconds", [0.0, 0.05, 1, GRACE_SECONDS, 7, 2 * GRACE_SECONDS, 1000])
@pytest.mark.parametrize("pace", [0, 1000])
def test_a_steady_pace_is_measured_right(clock: Clock, seconds: float, pace: int) -> None:
    """Whenever it is looked at."""
    arrival = Arrival("a", lambda: None)
    for _ in range(round(seconds * 20)):
        clock.now += 0.05
        arrival.add(pace // 20)
    measured = arrival.measure(clock.now)
    assert measured == pytest.approx(pace if seconds >= 0.1 else measured, rel=0.02)
    assert measured <= pace * 1.02


# -- memory ----------------------------------------------------------------


def test_who_sends_one_photo_may_have_all_the_memory() -> None:
    """Whatever it weighs."""
    desk = Desk(memory_bytes=1000)
    arrival = desk.come("a")
    for _ in range(10):
        desk.places.hold(arrival, 100)
    with pytest.raises(Busy):
        desk.places.hold(arrival, 1)
    assert desk.is_empty()


def test_one_address_leaves_memory_for_others() -> None:
    """Eight ninths are for it alone, and when others come it gets no more until it has less."""
    desk = Desk(memory_bytes=9000)
    greedy = [desk.come("a", 1000) for _ in range(8)]
    with pytest.raises(Busy):
        desk.places.hold(greedy[0], 1)
    other = desk.come("b", 500)
    with pytest.raises(TooManyAtOnce):
        desk.come("a", 1)
    for arrival in greedy[:4]:
        desk.places.leave(arrival)
        desk.end(arrival)
    desk.places.hold(other, 3000)
    with pytest.raises(TooManyAtOnce):
        desk.places.hold(greedy[7], 1000)
    desk.places.hold(greedy[7], 100)
    assert desk.places.held_bytes == 7600
    assert desk.is_empty()


def test_whoever_stands_still_with_much_gives_its_memory_up(clock: Clock) -> None:
    """Thirteen addresses that stop before the last byte keep nobody out."""
    desk = Desk(memory_bytes=1300)
    crowd = [desk.come(f"a{number}", 100) for number in range(13)]
    with pytest.raises(Busy):
        desk.come("b", 1)
    clock.now += 3 * GRACE_SECONDS
    supporter = desk.come("b", 70)
    desk.places.hold(supporter, 70)
    assert desk.lost(*crowd).count(Busy) == 2
    assert desk.places.held_bytes == 1100 + 140
    assert supporter.refusal is None


def test_photos_that_never_end_keep_nobody_out_for_their_memory(clock: Clock) -> None:
    """Five addresses leave a fortieth of it free, send on, each as fast as the others, and come again."""
    desk = Desk(memory_bytes=512_000_000)

    def fill() -> None:
        for number in range(5):
            with suppress(CapacityError):
                while True:
                    large = desk.come(f"a{number}")
                    for _ in range(38):
                        desk.places.hold(large, 1_000_000)

    fill()
    assert desk.places.held_bytes > 400_000_000
    supporters = []
    for number in range(50):
        clock.now += 1
        for arrival in list(desk.stacks):
            if arrival.refusal is None and arrival not in supporters:
                with suppress(CapacityError):
                    desk.places.hold(arrival, 2 * LEAST_PACE)
        fill()
        supporters.append(desk.come(f"b{number}"))
        for _ in range(40):
            desk.places.hold(supporters[-1], 100_000)
    assert desk.lost(*supporters) == [None] * 50
    assert desk.places.given_up["share"] > 0
    assert desk.is_empty()


def test_memory_changes_hands_once() -> None:
    """It goes to who has less, and does not come back; nor does anybody's only photo."""
    mb = 1_000_000
    desk = Desk(memory_bytes=760 * mb)
    several, one = [desk.come("a", 200 * mb), desk.come("a", 200 * mb)], desk.come("b", 300 * mb)
    other = desk.come("c", 60 * mb)
    desk.places.hold(other, 100 * mb)
    assert desk.lost(*several).count(TooManyAtOnce) == 1
    (left,) = (arrival for arrival in several if arrival.refusal is None)
    with pytest.raises(Busy):
        desk.places.hold(left, 200 * mb)
    assert desk.lost(one, other, left) == [None] * 3
    assert desk.is_empty()


def test_who_has_little_is_not_sent_away_for_memory(clock: Clock) -> None:
    """Nothing would be won by it; nor is one of an address that has less, nor what has all arrived."""
    desk = Desk(memory_bytes=1000)
    arrived, little, other = desk.come("a", 500), desk.come("b", 5), desk.come("c", 450)
    desk.places.leave(arrived)
    clock.now += 3 * GRACE_SECONDS
    with pytest.raises(Busy):
        desk.places.hold(other, 100)
    assert desk.lost(arrived, little, other) == [None] * 3
    assert desk.is_empty()


def test_what_was_sent_away_counts_no_more_bytes(clock: Clock) -> None:
    """A chunk may come in the moment in which it loses its place."""
    desk = Desk(most=2)
    first, second = desk.come("a", 10), desk.come("a", 10)
    desk.come("b", 7)
    lost, kept = (first, second) if first.refusal else (second, first)
    with pytest.raises(TooManyAtOnce):
        desk.places.hold(lost, 10)
    assert (desk.places.held_bytes, lost.held, kept.refusal) == (17, 0, None)
    desk.places.leave(lost)
    assert desk.places.arriving == 2
    assert desk.is_empty()
    assert clock.now == 1000


# -- all of it at once -----------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_counts_are_exact(clock: Clock, seed: int) -> None:
    """Places and bytes of all, of each party and each photo are one sum, and nothing is left at the end."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    desk = Desk(most=8, memory_bytes=4000)
    counts: dict[str, int] = {}
    for _ in range(1500):
        clock.now += rng.choice((0, 0, 0.3, 3))
        what = rng.choice(("come", "come", "hold", "hold", "hold", "leave", "end"))
        try:
            if what == "come":
                desk.come(rng.choice("aaaabbc") + rng.choice(("", "", str(rng.randrange(5)))))
            elif desk.stacks:
                arrival = rng.choice(list(desk.stacks))
                if what == "hold" and arrival in desk.places._holders[arrival.party].arriving:
                    desk.places.hold(arrival, rng.choice((1, 100, 700)))
                elif what == "leave":
                    desk.places.leave(arrival)
                elif what == "end":
                    desk.end(arrival)
        except CapacityError as error:
            counts[error.code] = counts.get(error.code, 0) + 1
        check(desk)
    assert sum(counts.values()) > 50
    assert min(desk.places.given_up.values()) > 5
    assert desk.is_empty()


def check(desk: Desk) -> None:
    """Compare the sums with what they are sums of."""
    held = desk.places
    assert held.arriving <= 8
    assert held.held_bytes <= 4000
    assert held.held_bytes == sum(arrival.held for arrival in desk.stacks)
    assert set(held._holders) == {arrival.party for arrival in desk.stacks}
    with_place = 0
    for party, holder in held._holders.items():
        own = [arrival for arrival in desk.stacks if arrival.party == party]
        assert holder.photos == len(own)
        assert holder.bytes == sum(arrival.held for arrival in own)
        assert holder.arriving_bytes == sum(arrival.held for arrival in holder.arriving)
        assert all(arrival.refusal is None for arrival in holder.arriving)
        with_place += len(holder.arriving)
    assert with_place == held.arriving
    assert all(arrival.held == 0 for arrival in desk.stacks if arrival.refusal)


def test_a_look_at_two_thousand_takes_no_time() -> None:
    """It is taken once a second, in the event loop."""
    desk = Desk(most=2000)
    for number in range(2000):
        desk.come(f"a{number % 700}", number)
    times = []
    for _ in range(5):
        desk.places._looked = 0
        start = time.thread_time()
        desk.places._look()
        times.append(time.thread_time() - start)
    assert min(times) < 0.1
