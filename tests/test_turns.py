"""Whose turn it is among parties, against a plain model; nothing waits here but names."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.turns import Ranks, Turns


def line(*parties: str, running: str = "") -> Turns[str]:
    """Return turns for which waiters have come in this order, named with its number; some have got theirs."""
    turns: Turns[str] = Turns()
    for party in running:
        turns.start(party)
    for number, party in enumerate(parties):
        turns.join(party, f"{party}{number}")
    return turns


def served(turns: Turns[str], *, at_once: int = 1) -> str:
    """Serve all who wait, each until ``at_once`` others have been; return their parties in order."""
    order = ""
    running: list[str] = []
    while turns.waiting:
        order += (party := turns.next()[0])
        running.append(party)
        if len(running) == at_once:
            turns.end(running.pop(0))
    for party in running:
        turns.end(party)
    return order


def is_empty(turns: Turns[str]) -> bool:
    """Tell whether nothing is remembered of anybody."""
    kept = (turns._waiters, turns._running, turns._holding, turns._by_running, turns._by_holding)
    return not any(len(each) for each in kept) and (turns.waiting, turns.running) == (0, 0)


@pytest.mark.parametrize(
    ("coming", "order"),
    [
        ("aaa", "aaa"),
        ("abc", "abc"),
        ("aaab", "abaa"),
        ("aaaabbc", "abcabaa"),
        ("aabbccdd", "abcdabcd"),
    ],
)
def test_parties_take_turns(coming: str, order: str) -> None:
    """However many have come of one before another came, each party has every turn of its own."""
    turns = line(*coming)
    assert served(turns) == order
    assert is_empty(turns)


def test_in_a_party_who_came_first_is_served_first() -> None:
    """No party is a lottery."""
    turns = line(*"aabab")
    assert [turns.next() for _ in range(5)] == ["a0", "b2", "a1", "b4", "a3"]


def test_who_has_least_goes_first() -> None:
    """Whoever has got two waits for those who have got one, and those for whoever has none."""
    assert [line(*"abc", running="aab").next()] == ["c2"]
    assert served(line(*"abc", running="aab"), at_once=9) == "cba"


def test_a_newcomer_waits_for_the_end_of_one_job() -> None:
    """Behind fifty of one party that has every slot: the first that is given back is the newcomer's."""
    for slots in (1, 2, 5):
        turns = line(*"a" * 50, running="a" * slots)
        turns.join("b", "b")
        turns.end("a")
        assert turns.next() == "b"


def test_newcomers_do_not_keep_a_crowd_from_its_turn() -> None:
    """Who comes anew for each turn goes behind all that wait: no crowd behind one address starves."""
    turns = line(*"aaa", running="a")
    turns.join("b", "b")
    order: list[str] = []
    for number in range(6):
        turns.end(order[-1][0] if order else "a")
        turns.join(f"{number}", f"{number}")
        order.append(turns.next())
    assert order == ["b", "a0", "0", "1", "a1", "2"]


def test_long_jobs_of_one_party_leave_the_rest_to_others() -> None:
    """With four slots and two floods each comes to have two, whatever they had."""
    turns = line(*"a" * 20, *"b" * 20, running="aaaa")
    for _ in range(2):
        turns.end("a")
        assert turns.next()[0] == "b"
    turns.end("b")
    assert turns.next()[0] == "b"
    turns.end("a")
    assert turns.next()[0] == "a"


def test_whoever_leaves_is_not_waited_for() -> None:
    """Nothing is left of them, and leaving twice does nothing."""
    turns = line(*"aab")
    assert [turns.leave("a", "a0"), turns.leave("a", "a0"), turns.leave("c", "a0")] == [True, False, False]
    assert [turns.next(), turns.next()] == ["a1", "b2"]
    with pytest.raises(LookupError):
        turns.next()
    turns.end("a")
    turns.end("b")
    assert is_empty(turns)


@pytest.mark.parametrize(
    ("waiting", "running", "newcomer", "outdone"),
    [
        ("", "", "a", False),
        ("a", "", "b", False),
        ("aa", "", "b", True),
        ("aa", "", "a", False),
        ("aab", "", "b", False),
        ("aaab", "", "b", True),
        ("a", "a", "b", True),
        ("", "aaa", "b", False),
        ("ab", "bb", "a", True),
    ],
)
def test_a_party_is_outdone_by_two_places(
    waiting: str, running: str, newcomer: str, *, outdone: bool
) -> None:
    """By one that has somebody to send away: a place that changes hands does not change hands again."""
    turns = line(*waiting, running=running)
    assert turns.outdoes(newcomer) is outdone


def test_the_last_comer_of_the_greatest_goes() -> None:
    """Until all have as many; of equals the one that has come to it last."""
    turns = line(*"aaabbc")
    assert turns.last_of_greatest() == "a2"
    assert turns.last_of_greatest() == "a1"
    assert turns.last_of_greatest() == "b4"
    assert [turns.holds(party) for party in "abcd"] == [1, 1, 1, 0]
    while turns.waiting:
        turns.last_of_greatest()
    assert is_empty(turns)
    with pytest.raises(LookupError):
        turns.last_of_greatest()


@pytest.mark.parametrize(
    ("waiting", "running", "greedy"),
    [
        ("", "", ""),
        ("aaaa", "aa", ""),
        ("ab", "", ""),
        ("aab", "", "a"),
        ("aaab", "bb", ""),
        ("aab", "a", "a"),
        ("aaabbc", "", "a"),
        ("aaaabbbc", "", "ab"),
    ],
)
def test_a_share_is_what_all_would_have_if_they_had_the_same(waiting: str, running: str, greedy: str) -> None:
    """Nobody has more than their share of what they have alone."""
    turns = line(*waiting, running=running)
    assert [party for party in "abcd" if turns.has_more_than_its_share(party)] == list(greedy)


# -- against a model -------------------------------------------------------


@dataclass
class Model:
    """The rules, followed by looking through everything each time."""

    waiting: list[tuple[str, int]] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    rota: list[str] = field(default_factory=list)

    def next(self) -> tuple[str, int]:
        """Serve who has least, and of those who is first in the rota."""
        parties = {party for party, _ in self.waiting}
        party = min(parties, key=lambda each: (self.running.count(each), self.rota.index(each)))
        waiter = next(each for each in self.waiting if each[0] == party)
        self.waiting.remove(waiter)
        self.running.append(party)
        self.behind(party)
        return waiter

    def behind(self, party: str) -> None:
        """Put a party at the end of the rota."""
        self.rota = [each for each in self.rota if each != party] + [party]

    def holds(self, party: str) -> int:
        """Return what a party has and waits for."""
        return self.running.count(party) + sum(each == party for each, _ in self.waiting)


EVENTS = st.tuples(
    st.sampled_from(["join", "join", "next", "end", "leave", "evict"]),
    st.sampled_from("abcd"),
    st.integers(0, 99),
)


@settings(max_examples=100, deadline=None)
@given(events=st.lists(EVENTS, max_size=80))
def test_whatever_happens_the_model_agrees(events: list[tuple[str, str, int]]) -> None:
    """On who is next, who has how much, and that nothing is left at the end."""
    turns: Turns[tuple[str, int]] = Turns()
    model = Model()
    for number, (what, party, which) in enumerate(events):
        if what == "join":
            if all(each != party for each, _ in model.waiting):
                model.behind(party)
            turns.join(party, (party, number))
            model.waiting.append((party, number))
        elif what == "next" and model.waiting:
            assert turns.next() == model.next()
        elif what == "end" and model.running:
            gone = model.running.pop(which % len(model.running))
            turns.end(gone)
            model.behind(gone)
        elif what == "leave" and model.waiting:
            left = model.waiting.pop(which % len(model.waiting))
            assert turns.leave(left[0], left)
        elif what == "evict" and model.waiting:
            most = max(model.holds(each) for each, _ in model.waiting)
            waiter = turns.last_of_greatest()
            assert model.holds(waiter[0]) == most
            assert waiter == [each for each in model.waiting if each[0] == waiter[0]][-1]
            model.waiting.remove(waiter)
        assert (turns.waiting, turns.running) == (len(model.waiting), len(model.running))
        assert [turns.holds(each) for each in "abcd"] == [model.holds(each) for each in "abcd"]
    for left in model.waiting:
        turns.leave(left[0], left)
    for gone in model.running:
        turns.end(gone)
    assert not turns._waiters
    assert not turns._running
    assert not turns._holding
    assert (len(turns._by_running), len(turns._by_holding)) == (0, 0)


def test_a_step_costs_as_much_among_thousands() -> None:
    """Who waits behind ten thousand parties pays for none of them."""

    def seconds(parties: int) -> float:
        turns: Turns[int] = Turns()
        for name in range(parties):
            for each in range(1 + name % 3):
                turns.join(name, each)
        times = []
        for number in range(30):
            start = time.perf_counter()
            turns.outdoes(-1)
            turns.join(-1, number)
            turns.next()
            turns.last_of_greatest()
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(10_000) < 20 * seconds(100)


def test_ranks_keep_equals_in_order_of_coming() -> None:
    """To a number that they may have had before."""
    ranks = Ranks()
    for party in "abc":
        ranks.put(party, 1)
    ranks.put("a", 2)
    ranks.put("a", 1)
    assert (ranks.first_of_least(), ranks.last_of_most(), len(ranks)) == ("b", "a", 3)
    for party in "abcd":
        ranks.drop(party)
    assert (len(ranks), ranks._parties) == (0, {})
