"""A partner's table -> what is asked for of each photo: CSV, TSV or XLSX, as office programs write them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.bulk.cells import BOM, as_it_was, csv_line, harmless
from app.bulk.names import clean_name, fold, shown_name
from app.bulk.text_table import read_text
from app.bulk.workbook import LOCKED, OLD_EXCEL_MAGIC, ZIP_MAGIC, read_workbook
from app.errors import (
    FieldProblem,
    InvalidName,
    InvalidRow,
    InvalidSpec,
    NameRepeated,
    RibbonsError,
    TableNotReadable,
    TableTooLarge,
)
from app.spec import AvatarSpec, parse_spec
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from app.frames import FrameLibrary

PHOTO = "photo"
"""The column of photos' names."""

FIELDS = tuple(AvatarSpec.model_fields)
"""What else a column may give: a field of the spec."""

# What else people call the column of photos' names.
_PHOTO_HEADINGS = (
    "file",
    "filename",
    "file name",
    "photo name",
    "image",
    "picture",
    "صورة",
    "الصورة",
    "اسم الصورة",
    "الملف",
    "ملف",
    "اسم الملف",
    "عکس",
    "تصویر",
    "fichier",
    "foto",
    "fotoğraf",
    "archivo",
    "datei",
    "dosya",
)

# What nobody sees in a heading: tatweel, vowel marks, format characters (BOM, marks of direction).
_UNSEEN = re.compile("[\u0640\u064b-\u0652\u0670\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SPELLINGS = str.maketrans("أإآٱىیکة", "ااااييكه")
_SPACES = re.compile(r"[\s_]+")
_COLUMNS_TOLD = 10

_NO_PHOTO_COLUMN = mark(
    "No column of the table has the photos’ names. Its columns are: {columns}. Call one of them “photo”."
)
_SEVERAL_PHOTO_COLUMNS = mark(
    "Several columns of the table could have the photos’ names: {columns}. Call one of them “photo”."
)
_COLUMN_TWICE = mark("The table has the column “{column}” more than once. Rename or delete all but one.")
_NO_SUCH_COLUMN = mark("The table has no column “{column}”. Its columns are: {columns}.")
_EMPTY = mark("The table is empty. It needs a first row of headings, and a row for each photo.")
_NO_PHOTO = mark("Row {row} of the table: the photo’s name is missing in the column “{column}”.")
_TOO_MANY_CELLS = mark(
    "Row {row} of the table has more cells than there are columns. Perhaps a separator stands in a text that is not"
    " in quotation marks."
)


@dataclass(frozen=True, slots=True)
class TableLimits:
    """How much of a table is read.

    Attributes:
        rows: With something in them, without the headings.
        bytes: Of the file.
        columns: With a heading.
    """

    rows: int = 50_000
    bytes: int = 64_000_000
    columns: int = 1000


@dataclass(frozen=True, slots=True)
class TableRow:
    """What a table says of one photo.

    Attributes:
        line: Its row, as a spreadsheet counts: the headings' is 1.
        photo: The photo's name, cleaned where it can be.
        fields: The spec's fields that it gives, by the spec's names.
        cells: All of the row, a cell for each column, as they came.
        problem: What is wrong with the row itself.
    """

    line: int
    photo: str
    fields: tuple[tuple[str, str], ...]
    cells: tuple[str, ...]
    problem: RibbonsError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A partner's table.

    Attributes:
        columns: Its headings, as they came.
        rows: One for each photo.
    """

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one row.

    Attributes:
        line: The row, as a spreadsheet counts.
        photo: The photo's name, as far as it has one.
        error: What is wrong.
    """

    line: int
    photo: str
    error: RibbonsError


_NO_MAPPING: Mapping[str, str] = {}
_DEFAULT_LIMITS = TableLimits()


def read_table(
    content: bytes, mapping: Mapping[str, str] = _NO_MAPPING, limits: TableLimits = _DEFAULT_LIMITS
) -> Table:
    """Read a table. What kind of file it is, its content says, not its name.

    Args:
        content: Of the file.
        mapping: What a column of ours (``photo``, or a field of the spec) is called in the table; an empty name
            where the table's column of that name is not ours.
        limits: How much of it is read.

    Raises:
        InvalidSpec: The mapping has a name that is none of ours.
        TableNotReadable: It cannot be read, or has no (or no one) column of photos' names.
        TableTooLarge: It has more rows, columns or bytes than are read.
    """
    unknown = [name for name in mapping if name != PHOTO and name not in FIELDS]
    if unknown:
        choices = (PHOTO, *FIELDS)
        raise InvalidSpec(FieldProblem.of(name[:64], "unknown", choices=choices) for name in unknown)
    if len(content) > limits.bytes:
        raise TableTooLarge(limit=limits.rows)
    rows = _numbered(_raw_rows(content, mapping, limits))
    _, header = next(rows, (0, ()))
    if not header:
        raise TableNotReadable(reason=_EMPTY)
    if len(header) > limits.columns:
        raise TableTooLarge(limit=limits.rows)
    places = _places(header, mapping)
    found: list[TableRow] = []
    for number, cells in rows:
        if len(found) == limits.rows:
            raise TableTooLarge(limit=limits.rows)
        found.append(_row(number, cells, header, places))
    return Table(header, tuple(found))


def check_table(table: Table, given: Sequence[tuple[str, str]], frames: FrameLibrary) -> list[RowProblem]:
    """Return what is wrong with a table's rows, before anything is drawn.

    Args:
        table: The table.
        given: Of the spec, for all photos. What a row gives wins.
        frames: The library that the fields are checked against.
    """
    problems = []
    seen: set[str] = set()
    checked: dict[tuple[tuple[str, str], ...], RibbonsError | None] = {}
    for row in table.rows:
        errors = [row.problem] if row.problem else []
        if row.photo and fold(row.photo) in seen:
            errors.append(NameRepeated())
        seen.add(fold(row.photo))
        if row.fields not in checked:
            checked[row.fields] = _spec_error(given, row.fields, frames)
        error = checked[row.fields]
        if error:
            errors.append(error)
        problems += [RowProblem(row.line, row.photo, error) for error in errors]
    return problems


def write_table(names: Sequence[str]) -> bytes:
    """Return a table to fill in, as CSV (UTF-8 with BOM, CRLF): a row for each photo, a column for each field."""
    blank = [""] * len(FIELDS)
    lines = [csv_line([PHOTO, *FIELDS]), *(csv_line([harmless(name), *blank]) for name in names)]
    return BOM + b"".join(lines)


def photo_of(cell: str) -> str:
    """Return the photo's name that a cell gives: without what office programs put around and into it."""
    name = as_it_was(_UNSEEN_AROUND.sub("", cell)).replace("\\", "/")
    return name.removeprefix("./")


_UNSEEN_AROUND = re.compile(
    r"^[\s\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+|[\s\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+$"
)


def _spec_error(
    given: Sequence[tuple[str, str]], fields: tuple[tuple[str, str], ...], frames: FrameLibrary
) -> RibbonsError | None:
    own = {name for name, _ in fields}
    try:
        parse_spec([*(pair for pair in given if pair[0] not in own), *fields], frames)
    except InvalidSpec as error:
        return error
    return None


def _raw_rows(content: bytes, mapping: Mapping[str, str], limits: TableLimits) -> Iterator[list[str]]:
    if content.startswith(OLD_EXCEL_MAGIC):
        raise TableNotReadable(reason=LOCKED)
    if content.startswith(ZIP_MAGIC):
        return read_workbook(content, limits.rows, limits.columns)
    return read_text(content, lambda cells: bool(_photo_columns(cells, mapping)), limits.rows)


def _numbered(rows: Iterable[list[str]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the rows that have anything in them, without empty cells at the end, with their numbers."""
    for number, row in enumerate(rows, 1):
        last = len(row)
        while last and not row[last - 1].strip("\ufeff \t\xa0"):
            last -= 1
        if last:
            yield number, tuple(row[:last])


def _photo_columns(header: Sequence[str], mapping: Mapping[str, str]) -> list[int]:
    """Return which columns have the photos' names: as mapped, else of our name, else of one like it."""
    headings = [_heading(cell) for cell in header]
    if mapping.get(PHOTO):
        return _all_places(headings, {_heading(mapping[PHOTO])})
    return _all_places(headings, {PHOTO}) or _all_places(headings, set(map(_heading, _PHOTO_HEADINGS)))


def _all_places(headings: Sequence[str], wanted: set[str]) -> list[int]:
    return [place for place, heading in enumerate(headings) if heading in wanted]


def _places(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Return where our columns are.

    Raises:
        TableNotReadable: One that is needed is missing, or one is there twice.
    """
    photos = _photo_columns(header, mapping)
    headings = [_heading(cell) for cell in header]
    told = tuple(shown_name(cell) for cell in header[:_COLUMNS_TOLD])
    places = {}
    for name in (PHOTO, *FIELDS):
        theirs = mapping.get(name, name)
        found = photos if name == PHOTO else _all_places(headings, {_heading(theirs)} - {""})
        if not found and mapping.get(name):
            raise TableNotReadable(reason=_NO_SUCH_COLUMN, column=shown_name(theirs), columns=told)
        if len(found) > 1 and len({headings[place] for place in found}) > 1:
            several = tuple(shown_name(header[place]) for place in found[:_COLUMNS_TOLD])
            raise TableNotReadable(reason=_SEVERAL_PHOTO_COLUMNS, columns=several)
        if len(found) > 1:
            raise TableNotReadable(reason=_COLUMN_TWICE, column=shown_name(header[found[0]]))
        if found:
            places[name] = found[0]
    if PHOTO not in places:
        raise TableNotReadable(reason=_NO_PHOTO_COLUMN, columns=told)
    return places


def _heading(cell: str) -> str:
    """Return what spellings of one heading have in common."""
    text = unicodedata.normalize("NFKC", cell[:1000])
    text = _UNSEEN.sub("", text).translate(_SPELLINGS)
    return _SPACES.sub(" ", text).strip().casefold()


def _row(number: int, cells: tuple[str, ...], header: Sequence[str], places: Mapping[str, int]) -> TableRow:
    problem: RibbonsError | None = None
    if len(cells) > len(header):
        problem = InvalidRow(reason=_TOO_MANY_CELLS, row=number)
    cells = (*cells[: len(header)], *[""] * (len(header) - len(cells)))
    photo = photo_of(cells[places[PHOTO]])
    try:
        photo = clean_name(photo)
    except InvalidName as error:
        column = shown_name(header[places[PHOTO]])
        problem = problem or (error if photo else InvalidRow(reason=_NO_PHOTO, row=number, column=column))
    values = ((name, cells[place].strip()) for name, place in places.items() if name != PHOTO)
    return TableRow(number, photo, tuple((name, value) for name, value in values if value), cells, problem)
