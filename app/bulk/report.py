"""What became of each photo, as a table: the partner's own columns as they were, and ours behind them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.bulk.cells import BOM, as_it_was, csv_line, harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from app.errors import RibbonsError
    from app.render.framing import Choice

Outcome = Literal["made", "failed", "missing", "waiting"]
"""Of a photo. ``missing``: the table or the batch names it, and it was never handed over."""

PHOTO = "photo"
OUR_COLUMNS = (PHOTO, "avatar", "outcome", "error", "error_text", "framing", "x", "y", "zoom", "seconds")
_PREFIX = "ribbons_"


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What became of one photo.

    Attributes:
        photo: Its name.
        avatar: The avatar's name, where one was made.
        outcome: What became of it.
        error: Why none was made.
        framing: Which square was drawn.
        seconds: That drawing took.
        cells: The photo's row of the partner's table, a cell for each of its columns; none where it has no row.
    """

    photo: str
    avatar: str | None
    outcome: Outcome
    error: RibbonsError | None = None
    framing: Choice | None = None
    seconds: float | None = None
    cells: tuple[str, ...] = ()


def report_lines(columns: Sequence[str], rows: Iterable[ReportRow], language: str) -> Iterator[bytes]:
    """Yield a report as CSV (UTF-8 with BOM, CRLF), line by line.

    Args:
        columns: Of the partner's table, as they came; none without a table.
        rows: In the order in which they are told.
        language: Of the errors' texts.
    """
    own = _partners_photo_column(columns)
    ours = OUR_COLUMNS if own is None else OUR_COLUMNS[1:]
    names = _names_beside(columns, ours)
    yield BOM + csv_line([*map(harmless, columns), *names])
    for row in rows:
        cells = list(row.cells[: len(columns)])
        cells += [""] * (len(columns) - len(cells))
        if own is not None and not row.cells:
            cells[own] = row.photo
        told = _ours(row, language)
        yield csv_line([*map(harmless, cells), *(told[name] for name in ours)])


def read_report(content: bytes) -> list[dict[str, str]]:
    """Read a report's own columns back, so that work can go on where it stopped.

    A line that is not whole, because the program was killed while it wrote it, is left out.

    Returns:
        For each photo the columns of :data:`OUR_COLUMNS`, by these names, whatever the table has; empty where a
        file is no report.
    """
    text = content.decode("utf-8-sig", errors="replace")
    rows = csv.reader(io.StringIO(text, newline=""))
    places: dict[str, int] | None = None
    width = 0
    found = []
    try:
        for row in rows:
            if places is None:
                places, width = _places(row), len(row)
                if places is None:
                    return []
            elif len(row) == width:
                found.append({name: as_it_was(row[place]) for name, place in places.items()})
    except csv.Error:  # a cell larger than any of ours, or NUL: what follows is not from us
        pass
    return found


def _partners_photo_column(columns: Sequence[str]) -> int | None:
    folded = [_folded(column) for column in columns]
    return folded.index(PHOTO) if PHOTO in folded else None


def _names_beside(columns: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Return what our columns are called beside the partner's. Programs of tables tell no capitals apart."""
    taken = {_folded(column) for column in columns}
    names = []
    for name in ours:
        prefix = ""
        while prefix + name in taken:
            prefix += _PREFIX
        names.append(prefix + name)
    return names


def _folded(column: str) -> str:
    return column.strip().casefold()


def _ours(row: ReportRow, language: str) -> dict[str, str]:
    framing = row.framing
    return {
        PHOTO: harmless(row.photo),
        "avatar": harmless(row.avatar or ""),
        "outcome": row.outcome,
        "error": row.error.code if row.error else "",
        "error_text": harmless(row.error.text(language)) if row.error else "",
        "framing": framing.kind if framing else "",
        "x": f"{framing.x:z.3f}" if framing else "",
        "y": f"{framing.y:z.3f}" if framing else "",
        "zoom": f"{framing.zoom:z.3f}" if framing else "",
        "seconds": "" if row.seconds is None else f"{row.seconds:.3f}",
    }


def _places(header: Sequence[str]) -> dict[str, int] | None:
    """Return where our columns are: the last ones, whatever they had to be called."""
    tail = [_unprefixed(name) for name in header[-len(OUR_COLUMNS) :]]
    first = len(header) - len(OUR_COLUMNS)
    if tail == list(OUR_COLUMNS) and _partners_photo_column(header[:first]) is None:
        return {name: first + place for place, name in enumerate(OUR_COLUMNS)}
    if tail[1:] != list(OUR_COLUMNS[1:]) and tail != list(OUR_COLUMNS[1:]):
        return None
    own = _partners_photo_column(header)
    if own is None:
        return None
    first = len(header) - len(OUR_COLUMNS) + 1
    return {PHOTO: own} | {name: first + place for place, name in enumerate(OUR_COLUMNS[1:])}


def _unprefixed(name: str) -> str:
    while name.startswith(_PREFIX):
        name = name.removeprefix(_PREFIX)
    return name
