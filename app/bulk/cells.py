"""A line of a CSV file that programs of tables open without running anything that is in it.

Excel, LibreOffice and Google Sheets run a cell that begins with one of ``= + - @`` (also in full width) as a
formula. As OWASP advises, such a cell gets a ``'`` before it:
https://owasp.org/www-community/attacks/CSV_Injection. So does one that begins with TAB or an end of line,
which some of them drop. Where the list separator of a country is ``;``, Excel divides a line of ours at a
``;`` or an end of line inside a cell, too, and what follows it would be a cell of its own: there a ``'`` is
put as well.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BOM = b"\xef\xbb\xbf"
"""By which Excel knows UTF-8."""

LONGEST_ROW = 1_000_000
"""Characters of a row that is read: this bounds how many cells it has, before they are made."""

_DIVIDERS = ";\t\r\n"
_TRIGGERS = frozenset("=+-@＝＋－＠﹦﹢﹣﹫")
# What may stand before a formula without anybody seeing it: spaces, control and format characters. And our
# mark.
_UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_RUN = re.compile(f"[';{_UNSEEN}]+")
_PLAIN = re.compile("[^=+@＝＋－＠﹦﹢﹣﹫;\t\r\n-]*+")
_DROPPED = re.compile(r"'*[\t\r\n]")


def harmless(cell: str) -> str:
    """Return a cell that no program runs. :func:`as_it_was` undoes it, exactly."""
    if _PLAIN.fullmatch(cell):
        return cell  # as nearly all are
    marked = _mark_inside(cell)
    return f"'{marked}" if _begins_badly(marked) else marked


def as_it_was(cell: str) -> str:
    """Return the cell that :func:`harmless` was given."""
    if cell.startswith("'") and _begins_badly(cell[1:]):
        cell = cell[1:]
    return _unmark_inside(cell)


def csv_line(cells: Sequence[str]) -> bytes:
    """Return a line of CSV, in UTF-8, that ends as RFC 4180 has it. The cells are written as they are."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode("utf-8", errors="replace")


def csv_rows(lines: Iterable[str], separator: str = ",") -> Iterator[list[str]]:
    """Yield the cells of each row of CSV, however much of it is one cell.

    Raises:
        csv.Error: A quotation mark is missing, or in the wrong place.
    """
    # The module's own limit, for all of its readers; a lower one would part what we ourselves have written.
    csv.field_size_limit(LONGEST_ROW)
    return csv.reader(lines, delimiter=separator, strict=True)


def _begins_badly(cell: str) -> bool:
    run = _RUN.match(cell)
    place = run.end() if run else 0
    return cell[place : place + 1] in _TRIGGERS or _DROPPED.match(cell) is not None


def _mark_inside(cell: str) -> str:
    pieces = []
    last = 0
    for place in _places_inside(cell):
        pieces.append(cell[last:place])
        last = place
    return "'".join([*pieces, cell[last:]])


def _unmark_inside(cell: str) -> str:
    pieces = []
    last = 0
    for place in _places_inside(cell):
        if cell[place - 1] == "'":
            pieces.append(cell[last : place - 1])
            last = place
    return "".join([*pieces, cell[last:]])


def _places_inside(cell: str) -> list[int]:
    """Return where a formula would begin if the cell were divided: behind a divider, and what nobody sees.

    Each run of these is looked at once, so that it takes linear time.
    """
    ends = (run.end() for run in _RUN.finditer(cell) if any(divider in run.group() for divider in _DIVIDERS))
    return [place for place in ends if place < len(cell) and cell[place] in _TRIGGERS]
