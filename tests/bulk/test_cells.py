from __future__ import annotations

import csv
import io
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.bulk.cells import as_it_was, csv_line, csv_rows, harmless

TRIGGERS = "=+-@＝＋－＠"
UNSEEN = [
    "",
    " ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\xa0",
    "\u3000",
    "\ufeff",
    "\u200b",
    "\u200f",
    "\u2066",
    "\x00",
    "\x1f",
    "'",
]
CELLS = st.lists(
    st.sampled_from([*TRIGGERS, *UNSEEN, ";", ",", '"', "a", "1", "HYPERLINK(1)"]), max_size=8
).map("".join) | st.text(max_size=20)


def runs(cell: str) -> bool:
    """Whether programs of tables may take a cell for a formula: its first sign that is seen begins one."""
    seen = re.sub(r"^[\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+", "", cell)
    return seen[:1] in set(TRIGGERS)


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("before", UNSEEN)
def test_no_cell_begins_a_formula(trigger: str, before: str) -> None:
    """Whatever stands before it that nobody sees; it is marked at its very beginning, as OWASP advises."""
    cell = f"{before}{trigger}cmd|'/C calc'!A0"
    assert harmless(cell).startswith("'")
    assert not runs(harmless(cell))
    assert as_it_was(harmless(cell)) == cell


@pytest.mark.parametrize("cell", ["\tx", "\rx", "\nx", "'\tx", "\t"])
def test_no_cell_begins_with_what_programs_drop(cell: str) -> None:
    """TAB and ends of lines."""
    assert harmless(cell) == f"'{cell}"
    assert as_it_was(harmless(cell)) == cell


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "a",
        "12345",
        "0.5",
        "a=b",
        "a-b",
        "user@example.org",
        "'s-Hertogenbosch",
        "'a'",
        " a",
        "الحرية",
        "a, -b",
        "'",
    ],
)
def test_what_is_harmless_stays_as_it_is(cell: str) -> None:
    """Signs inside a text, addresses, quotation marks."""
    assert harmless(cell) == cell
    assert as_it_was(cell) == cell


@pytest.mark.parametrize(
    ("cell", "marked"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a\n-1", "a\n'-1"),
        ("a;\t ＝1;b", "a;\t '＝1;b"),
        ("=1;=2", "'=1;'=2"),
        ("; =1", "'; '=1"),
    ],
)
def test_no_formula_begins_inside_a_cell(cell: str, marked: str) -> None:
    """Where the list separator is ``;``, a cell of ours is divided there, and at its ends of lines."""
    assert harmless(cell) == marked
    assert as_it_was(marked) == cell
    assert not any(runs(part) for part in re.split(r"[;\r\n]", marked))


@given(CELLS)
@example("'=")
@example("''=")
@example("';'=")
@example("a;''=")
@example(" '")
def test_marking_is_undone_exactly(cell: str) -> None:
    """Whatever the cell was, with marks like ours in it, too; and marked again it is still harmless."""
    assert as_it_was(harmless(cell)) == cell
    assert as_it_was(as_it_was(harmless(harmless(cell)))) == cell


@given(CELLS)
def test_nothing_runs(cell: str) -> None:
    """Neither the cell, nor what it is divided into where the list separator is ``;``."""
    marked = harmless(cell)
    assert not runs(marked)
    assert not any(runs(part) for part in re.split(r"[;\r\n]", marked))


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_a_line_is_read_back(cells: list[str]) -> None:
    """By Python's reader and by ours, whatever is in its cells; it ends as RFC 4180 has it."""
    line = csv_line(cells)
    assert line.endswith(b"\r\n")
    text = line.decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [cells]
    assert list(csv_rows(io.StringIO(text, newline=""))) == [cells]


def test_a_half_of_a_surrogate_pair_is_no_fault_of_ours() -> None:
    """What is no Unicode becomes a question mark."""
    assert csv_line(["a\ud800"]) == b"a?\r\n"


@pytest.mark.parametrize("piece", ["\t", ";", " ", "'", "=", ";=", "\n-", "a;"])
def test_long_cells_take_linear_time(piece: str) -> None:
    """Of whatever they are made."""
    cell = piece * (1_000_000 // len(piece))
    started = time.process_time()
    assert as_it_was(harmless(cell)) == cell
    assert time.process_time() - started < 10
