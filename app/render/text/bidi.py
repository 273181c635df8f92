"""The Unicode Bidirectional Algorithm (UAX #9): in which order, and which way round, text is drawn.

A typesetter needs each character's embedding level, because runs are shaped in logical order and only then
laid out in visual order. python-bidi's Rust path gives a reordered string without levels, and its Python
path knows neither isolates nor bracket pairs (14,566 of the 91,707 cases of BidiCharacterTest come out
wrong), so the algorithm is written here. Names such as N0 are the rules of UAX #9; a line of text is one
paragraph.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Direction = Literal[0, 1]
"""A paragraph's level: 0 is left to right, 1 is right to left."""

MAX_DEPTH = 125  # BD2
MAX_OPEN_BRACKETS = 63  # BD16

# Bidi_Paired_Bracket of the Unicode Character Database (BidiBrackets.txt), which `unicodedata` lacks: each
# opening bracket before its closing one, in canonical form.
BRACKETS = (
    "()[]{}༺༻༼༽᚛᚜⁅⁆⁽⁾₍₎⌈⌉⌊⌋❨❩❪❫❬❭❮❯❰❱❲❳❴❵⟅⟆⟦⟧⟨⟩⟪⟫⟬⟭⟮⟯⦃⦄⦅⦆⦇⦈⦉⦊⦋⦌"
    "⦍⦐⦏⦎⦑⦒⦓⦔⦕⦖⦗⦘⧘⧙⧚⧛⧼⧽⸢⸣⸤⸥⸦⸧⸨⸩⹕⹖⹗⹘⹙⹚⹛⹜〈〉《》「」『』【】〔〕〖〗〘〙〚〛﹙﹚﹛﹜﹝﹞（）［］｛｝｟｠｢｣"
)
_CLOSING = dict(zip(BRACKETS[::2], BRACKETS[1::2], strict=True))

_STRONG = frozenset({"L", "R", "AL"})
_ISOLATES = frozenset({"LRI", "RLI", "FSI"})
_EMBEDDINGS = frozenset({"LRE", "RLE", "LRO", "RLO"})
_REMOVED = _EMBEDDINGS | {"PDF", "BN"}  # X9
_OVERRIDES = {"LRO": "L", "RLO": "R"}


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch ``text[start:end]`` whose characters share a level; an odd level reads right to left."""

    start: int
    end: int
    level: int


def bidi_classes(text: str) -> list[str]:
    """Return each character's Bidi_Class; ``L`` for code points that this Python's Unicode does not know."""
    return [unicodedata.bidirectional(character) or "L" for character in text]


def first_strong(classes: Sequence[str]) -> Direction | None:
    """Return the direction of the first strong character outside isolates (P2, P3), None if there is none."""
    depth = 0
    for kind in classes:
        if kind in _ISOLATES:
            depth += 1
        elif kind == "PDI":
            depth = max(0, depth - 1)
        elif kind in _STRONG and not depth:
            return 0 if kind == "L" else 1
    return None


def visual_runs(text: str, base: Direction, classes: Sequence[str] | None = None) -> list[Run]:
    """Split one line of text into runs by level and return them from left to right (L2).

    Characters that X9 removes, ZWJ and ZWNJ among them, stay with the character before them, because shaping
    still needs them.

    Args:
        text: In logical order, without paragraph separators.
        base: The paragraph's direction.
        classes: The Bidi_Class of each character, where it is not the character's own (HL2, HL3).
    """
    runs: list[Run] = []
    level: int = base
    for index, resolved in enumerate(embedding_levels(classes or bidi_classes(text), base, text)):
        level = level if resolved is None else resolved
        if runs and runs[-1].level == level:
            runs[-1] = Run(runs[-1].start, index + 1, level)
        else:
            runs.append(Run(index, index + 1, level))
    return order_runs(runs)


def order_runs(runs: list[Run]) -> list[Run]:
    """Bring runs from logical into visual order (L2)."""
    ordered = list(runs)
    for level in range(max((run.level for run in runs), default=0), 0, -1):
        stretch: list[Run] = []
        reordered: list[Run] = []
        for run in ordered:
            if run.level >= level:
                stretch.insert(0, run)
            else:
                reordered += [*stretch, run]
                stretch = []
        ordered = reordered + stretch
    return ordered


def embedding_levels(classes: Sequence[str], base: Direction, text: str = "") -> list[int | None]:
    """Return the level of each character of one line; None for those that X9 removes.

    Args:
        classes: The Bidi_Class of each character.
        base: The paragraph's direction.
        text: The characters, for bracket pairs (N0); without it there are none.
    """
    partners = _isolate_partners(classes)
    levels, kinds = _explicit_levels(classes, base, partners)
    kept = [index for index, kind in enumerate(classes) if kind not in _REMOVED]
    edges = [base, *(levels[index] for index in kept), base]
    resolved: list[int | None] = [None] * len(classes)
    for sequence in _isolating_run_sequences(kept, levels, partners):
        level = levels[sequence[0]]
        start, end = _boundaries(sequence, kept, edges, partners)
        given = [kinds[index] for index in sequence]
        weak = _resolve_weak(given, start)
        if text:
            _resolve_brackets(weak, given, [text[index] for index in sequence], level, start)
        _resolve_neutrals(weak, level, start, end)
        for index, kind in zip(sequence, weak, strict=True):
            resolved[index] = _implicit_level(kind, level)
    _reset_separators(resolved, classes, base)
    return resolved


# -- explicit levels and directions: X1-X8 ----------------------------------


def _isolate_partners(classes: Sequence[str]) -> dict[int, int]:
    """Match isolate initiators with their PDIs, both ways (BD9); an unclosed one with the end of the text."""
    partners: dict[int, int] = {}
    open_isolates: list[int] = []
    for index, kind in enumerate(classes):
        if kind in _ISOLATES:
            open_isolates.append(index)
        elif kind == "PDI" and open_isolates:
            initiator = open_isolates.pop()
            partners[initiator] = index
            partners[index] = initiator
    return partners | dict.fromkeys(open_isolates, len(classes))


@dataclass(frozen=True, slots=True)
class _Status:
    """An entry of the directional status stack (X1)."""

    level: int
    override: str | None = None
    isolate: bool = False


class _StatusStack:
    """The directional status stack with its overflow counters (X1-X7)."""

    def __init__(self, base: Direction) -> None:
        self._entries = [_Status(base)]
        self._overflow_isolates = 0
        self._overflow_embeddings = 0
        self._valid_isolates = 0

    @property
    def top(self) -> _Status:
        return self._entries[-1]

    def push(self, direction: int, override: str | None, *, isolate: bool) -> None:
        """Enter an embedding, an override or an isolate (X2-X5c)."""
        level = self.top.level + 1
        level += level % 2 != direction
        if level <= MAX_DEPTH and not self._overflow_isolates and not self._overflow_embeddings:
            self._valid_isolates += isolate
            self._entries.append(_Status(level, override, isolate))
        elif isolate:
            self._overflow_isolates += 1
        elif not self._overflow_isolates:
            self._overflow_embeddings += 1

    def pop_isolate(self) -> None:
        """Leave an isolate, and every embedding opened in it (X6a)."""
        if self._overflow_isolates:
            self._overflow_isolates -= 1
        elif self._valid_isolates:
            self._overflow_embeddings = 0
            while not self._entries.pop().isolate:
                pass
            self._valid_isolates -= 1

    def pop_embedding(self) -> None:
        """Leave an embedding or override (X7)."""
        if self._overflow_isolates:
            return
        if self._overflow_embeddings:
            self._overflow_embeddings -= 1
        elif not self.top.isolate and len(self._entries) > 1:
            self._entries.pop()


def _explicit_levels(
    classes: Sequence[str], base: Direction, partners: Mapping[int, int]
) -> tuple[list[int], list[str]]:
    """Return the explicit levels, and the classes as overrides leave them."""
    stack = _StatusStack(base)
    levels: list[int] = []
    kinds: list[str] = []
    for index, kind in enumerate(classes):
        if kind == "PDI":
            stack.pop_isolate()
        # An initiator and its PDI belong to the text around the isolate.
        status = stack.top
        levels.append(base if kind == "B" else status.level)
        kinds.append(kind if kind == "B" else status.override or kind)
        if kind in _EMBEDDINGS:
            stack.push(int(kind[0] == "R"), _OVERRIDES.get(kind), isolate=False)
        elif kind in _ISOLATES:
            inside = classes[index + 1 : partners[index]]
            direction = first_strong(inside) or 0 if kind == "FSI" else int(kind == "RLI")
            stack.push(direction, None, isolate=True)
        elif kind == "PDF":
            stack.pop_embedding()
    return levels, kinds


# -- isolating run sequences: X10 --------------------------------------------


def _isolating_run_sequences(
    kept: Sequence[int], levels: Sequence[int], partners: Mapping[int, int]
) -> list[list[int]]:
    """Chain level runs across isolates (BD13)."""
    sequences: list[list[int]] = []
    ending_in: dict[int, list[int]] = {}
    for _, group in groupby(kept, lambda index: levels[index]):
        run = list(group)
        sequence = ending_in.get(partners.get(run[0], -1))
        if sequence is None:
            sequence = []
            sequences.append(sequence)
        sequence += run
        ending_in[run[-1]] = sequence
    return sequences


def _boundaries(
    sequence: Sequence[int], kept: Sequence[int], edges: Sequence[int], partners: Mapping[int, int]
) -> tuple[str, str]:
    """Return sos and eos: the direction of the higher level on each side of a sequence (X10).

    Args:
        sequence: Indices into the text.
        kept: The indices that X9 keeps.
        edges: The paragraph's level, the levels of the kept characters, and the paragraph's level again.
        partners: See :func:`_isolate_partners`.
    """
    first = bisect_left(kept, sequence[0])
    last = bisect_left(kept, sequence[-1])
    level = edges[first + 1]
    before = edges[first]
    # A sequence that ends in an initiator is one whose isolate is never closed.
    unclosed = partners.get(sequence[-1], -1) > sequence[-1]
    after = edges[-1] if unclosed else edges[last + 2]
    return _direction(max(level, before)), _direction(max(level, after))


def _direction(level: int) -> str:
    return "R" if level % 2 else "L"


# -- weak types: W1-W7 ---------------------------------------------------------


def _resolve_weak(given: Sequence[str], start: str) -> list[str]:
    """Resolve marks, numbers and their separators; leaves L, R, EN, AN and neutrals."""
    kinds = _settle_marks_and_letters(given, start)
    _settle_separators(kinds)
    strong = start
    for index, kind in enumerate(kinds):
        if kind in {"ES", "ET", "CS"}:  # W6
            kinds[index] = "ON"
        elif kind in {"L", "R"}:
            strong = kind
        elif kind == "EN" and strong == "L":  # W7
            kinds[index] = "L"
    return kinds


def _settle_marks_and_letters(given: Sequence[str], start: str) -> list[str]:
    """Apply W1-W3."""
    kinds: list[str] = []
    previous = strong = start
    for given_kind in given:
        kind = given_kind
        if kind == "NSM":  # W1
            kind = "ON" if previous in _ISOLATES or previous == "PDI" else previous
        previous = kind
        if kind in _STRONG:
            strong = kind
        elif kind == "EN" and strong == "AL":  # W2
            kind = "AN"
        kinds.append("R" if kind == "AL" else kind)  # W3
    return kinds


def _settle_separators(kinds: list[str]) -> None:
    """Apply W4 and W5: a separator between numbers, and terminators beside one, join the number."""
    for index in range(1, len(kinds) - 1):
        before, kind, after = kinds[index - 1 : index + 2]
        if before == after and ((kind in {"ES", "CS"} and after == "EN") or (kind == "CS" and after == "AN")):
            kinds[index] = after
    for kind, start, end in _stretches(kinds):
        if kind == "ET" and "EN" in {*kinds[max(0, start - 1) : start], *kinds[end : end + 1]}:
            kinds[start:end] = ["EN"] * (end - start)


def _stretches(kinds: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return each stretch of one kind with its start and end."""
    stretches = []
    start = 0
    for kind, group in groupby(kinds):
        end = start + len(list(group))
        stretches.append((kind, start, end))
        start = end
    return stretches


# -- brackets and neutrals: N0-N2 -----------------------------------------------


def _resolve_brackets(
    kinds: list[str], given: Sequence[str], characters: Sequence[str], level: int, start: str
) -> None:
    """Give each bracket pair one direction (N0)."""
    embedding = _direction(level)
    for opening, closing in _bracket_pairs(kinds, characters):
        inside = {_strong(kind) for kind in kinds[opening + 1 : closing]} - {None}
        if not inside:
            continue
        if embedding in inside:
            direction = embedding
        else:
            direction = next((found for kind in reversed(kinds[:opening]) if (found := _strong(kind))), start)
        for bracket in (opening, closing):
            kinds[bracket] = direction
            for mark in range(bracket + 1, len(kinds)):
                if given[mark] != "NSM":
                    break
                kinds[mark] = direction


def _bracket_pairs(kinds: Sequence[str], characters: Sequence[str]) -> list[tuple[int, int]]:
    """Find bracket pairs, in the order of their opening brackets (BD16)."""
    pairs: list[tuple[int, int]] = []
    waiting: list[tuple[str, int]] = []
    for index, kind in enumerate(kinds):
        if kind != "ON":
            continue
        # Angle brackets have two encodings, which are canonically equivalent.
        character = unicodedata.normalize("NFD", characters[index])
        if character in _CLOSING:
            if len(waiting) == MAX_OPEN_BRACKETS:
                break
            waiting.append((_CLOSING[character], index))
            continue
        for place in range(len(waiting) - 1, -1, -1):
            if waiting[place][0] == character:
                pairs.append((waiting[place][1], index))
                del waiting[place:]
                break
    return sorted(pairs)


def _strong(kind: str) -> str | None:
    """Return the direction of a kind as rules N0-N2 see it: numbers count as R."""
    if kind in {"R", "EN", "AN"}:
        return "R"
    return "L" if kind == "L" else None


def _resolve_neutrals(kinds: list[str], level: int, start: str, end: str) -> None:
    """Give neutrals the direction they stand between, or else the embedding's (N1, N2)."""
    before = start
    waiting = 0
    for index, kind in enumerate([*kinds, end]):
        strong = _strong(kind)
        if strong is None:
            waiting += 1
            continue
        if waiting:
            kinds[index - waiting : index] = [before if before == strong else _direction(level)] * waiting
        waiting = 0
        before = strong


# -- implicit levels and the ends of lines: I1, I2, L1 -----------------------------


def _implicit_level(kind: str, level: int) -> int:
    if level % 2:
        return level + (kind != "R")
    return level + {"L": 0, "R": 1}.get(kind, 2)


def _reset_separators(levels: list[int | None], classes: Sequence[str], base: Direction) -> None:
    """Return separators, and white space before them or at the end, to the paragraph's level (L1)."""
    trailing = True
    for index in range(len(classes) - 1, -1, -1):
        kind = classes[index]
        if kind in _REMOVED:
            continue
        trailing = kind in {"B", "S"} or (trailing and (kind in {"WS", "PDI"} or kind in _ISOLATES))
        if trailing:
            levels[index] = base
