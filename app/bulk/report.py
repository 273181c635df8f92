"""What became of each photo, as a table: the partner's own columns as they were, and ours behind them."""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.bulk.cells import BOM, as_it_was, csv_line, csv_rows, harmless
from app.bulk.text_table import read_text
from app.errors import PHOTO_FIELD, TableNotReadable, TableTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from app.errors import RibbonsError
    from app.render.framing import Choice

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""As office programs write. Nobody is killed over one of these half written."""

_MOST_ROWS = 1_000_000
"""Of a report: as many as a program of tables has."""

Outcome = Literal["made", "failed", "missing", "waiting"]
"""Of a photo. ``missing``: the table or the batch names it, and it was never handed over."""

OUR_COLUMNS = (
    PHOTO_FIELD,
    "avatar",
    "outcome",
    "error",
    "error_text",
    "framing",
    "x",
    "y",
    "zoom",
    "seconds",
)
MADE_FROM = "made_from"
"""A column more, behind those, in a report by which work goes on."""
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
        cells: Its row of the partner's table, a cell for each column; none where it has no row.
        made_from: By which it can be told whether the avatar would be the same today; for :data:`MADE_FROM`.
    """

    photo: str
    avatar: str | None
    outcome: Outcome
    error: RibbonsError | None = None
    framing: Choice | None = None
    seconds: float | None = None
    cells: tuple[str, ...] = ()
    made_from: str = ""


def report_lines(
    columns: Sequence[str], rows: Iterable[ReportRow], language: str, *, goes_on: bool = False
) -> Iterator[bytes]:
    """Yield a report as CSV (UTF-8 with BOM, CRLF), a row at a time.

    The partner's columns are as they were, ours are the last ones. Where the partner's table has a column of
    a name of ours, ours is called ``ribbons_…``; only ``photo`` is left out, because it would say the same.

    Args:
        columns: Of the partner's table, as they came; none without a table.
        rows: In the order in which they are told.
        language: Of the errors' texts.
        goes_on: Whether work goes on by it: its last column is :data:`MADE_FROM`.
    """
    own = _place_of_photo(columns)
    ours = OUR_COLUMNS if own is None else OUR_COLUMNS[1:]
    if goes_on:
        ours = (*ours, MADE_FROM)
    yield BOM + csv_line([*map(harmless, columns), *_names_beside(columns, ours)])
    for row in rows:
        cells = [*row.cells[: len(columns)], *[""] * (len(columns) - len(row.cells))]
        if own is not None and not row.cells:
            cells[own] = row.photo
        told = _ours(row, language)
        yield csv_line([*map(harmless, cells), *(told[name] for name in ours)])


def read_report(content: bytes) -> list[dict[str, str]]:
    """Read a report's own columns back, so that work can go on where it stopped.

    The end of a report may be missing, if whoever wrote it was killed: what is whole is returned. An office
    program may have saved it meanwhile, with the separator and the encoding of its country.

    Returns:
        For each photo :data:`OUR_COLUMNS` by these names, whatever they had to be called, and
        :data:`MADE_FROM` where it is there; nothing of what is no report.
    """
    whole = content if content.startswith(_UTF_16) else content[: content.rfind(b"\n") + 1]
    rows = _rows(whole)
    header = next(rows, [])
    places = _places(header)
    return [
        {name: as_it_was(row[place]) for name, place in places.items()}
        for row in rows
        if places and len(row) == len(header)
    ]


def is_to_go_on(content: bytes) -> bool:
    """Tell whether a file is a report by which work goes on, however much of it is there."""
    return MADE_FROM in _places(next(_rows(content), []))


def _rows(content: bytes) -> Iterator[list[str]]:
    """Yield the rows of a report, up to where it is cut off, or is none."""
    own = csv_rows(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""))
    with suppress(csv.Error):  # it ends inside a cell, or is no CSV
        header = next(own, [])
        if _places(header):
            yield header
            with suppress(csv.Error):
                yield from own
            return
    with suppress(TableNotReadable, TableTooLarge):
        for _, row in read_text(content, lambda header: bool(_places(header)), _MOST_ROWS):
            yield row


def _place_of_photo(columns: Sequence[str]) -> int | None:
    folded = [_folded(column) for column in columns]
    return folded.index(PHOTO_FIELD) if PHOTO_FIELD in folded else None


def _names_beside(columns: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Return what our columns are called beside the partner's: programs of tables tell no capitals apart."""
    taken = {_folded(column) for column in columns}
    names = []
    for name in ours:
        free = name
        while free in taken:
            free = _PREFIX + free
        names.append(free)
    return names


def _folded(column: str) -> str:
    return column.strip().casefold()


def _ours(row: ReportRow, language: str) -> dict[str, str]:
    framing = row.framing
    return {
        PHOTO_FIELD: harmless(row.photo),
        "avatar": harmless(row.avatar or ""),
        "outcome": row.outcome,
        "error": row.error.code if row.error else "",
        "error_text": harmless(row.error.reason(language)) if row.error else "",
        "framing": framing.kind if framing else "",
        "x": f"{framing.x:z.3f}" if framing else "",
        "y": f"{framing.y:z.3f}" if framing else "",
        "zoom": f"{framing.zoom:z.3f}" if framing else "",
        "seconds": "" if row.seconds is None else f"{row.seconds:z.3f}",
        MADE_FROM: row.made_from,
    }


def _places(header: Sequence[str]) -> dict[str, int]:
    """Return where our columns are in a report; none where it is not one."""
    goes_on = (*OUR_COLUMNS, MADE_FROM)
    for ours in (goes_on, goes_on[1:], OUR_COLUMNS, OUR_COLUMNS[1:]):
        first = len(header) - len(ours)
        columns = header[: max(0, first)]
        photo = _place_of_photo(columns)
        if list(header[max(0, first) :]) == _names_beside(columns, ours) and (photo is None) == (
            PHOTO_FIELD in ours
        ):
            places = {name: first + place for place, name in enumerate(ours)}
            return {PHOTO_FIELD: places.get(PHOTO_FIELD, photo or 0)} | places
    return {}
