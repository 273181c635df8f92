"""A partner's table -> what is asked for of each photo: CSV, TSV or XLSX, as office programs write them.

Its headings are the fields of the spec, or are mapped to them; whatever else it has is the partner's own, and
comes back in the report. Rows are counted as a spreadsheet counts: the headings are row 1.
"""

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
    PHOTO_FIELD,
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

FIELDS = tuple(AvatarSpec.model_fields)
"""What a table may give of a photo, beside its name."""

# What else the column of photos' names is called, in the languages of our pages and around.
_PHOTO_HEADINGS = (
    *("file", "filename", "file name", "photo name", "photo file", "image", "picture"),
    *("صورة", "الصورة", "اسم الصورة", "ملف", "الملف", "اسم الملف", "ملف الصورة", "عکس", "تصویر"),
    *("foto", "fotoğraf", "dosya", "fichier", "archivo", "datei", "bild"),
)

_BLANK = " \t\r\n\xa0\u200b\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufeff"
"""What people do not see around a cell's text."""
# What they do not mean in a heading: tatweel, vowel marks, characters of format (marks of direction, BOM).
_NOT_MEANT = re.compile(
    "[\u0640\u064b-\u0652\u0670\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_SPELLINGS = str.maketrans("أإآٱىیکة", "ااااييكه")
_SPACES = re.compile(r"[\s_]+")
_HEADING_CHARACTERS = 200
_COLUMNS_TOLD = 12
# What Excel shows of a formula that has no value.
_FAILURES = frozenset(
    {"#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
)

_NO_PHOTO_COLUMN = mark(
    "No column of the table has the photos’ names. Its columns are: {columns}. Call one of them “photo”."
)
_SEVERAL_PHOTO_COLUMNS = mark(
    "Several columns of the table could have the photos’ names: {columns}. Call one of them “photo”."
)
_COLUMN_TWICE = mark("The table has the column “{column}” more than once. Rename or delete all but one.")
_NO_SUCH_COLUMN = mark("The table has no column “{column}”. Its columns are: {columns}.")
_NOTHING = mark("The table is empty. It needs a row of headings, and a row for each photo.")
_NO_PHOTO = mark("Row {row} of the table: the photo’s name is missing in the column “{column}”.")
_FAILED_FORMULA = mark("Row {row} of the table: the formula in the column “{column}” has no value.")
_TOO_MANY_CELLS = mark(
    "Row {row} of the table has more cells than the table has columns. Perhaps a text with a separator in it"
    " is not in quotation marks."
)


@dataclass(frozen=True, slots=True)
class TableLimits:
    """How much of a table is read.

    Attributes:
        rows: With something in them, without the headings.
        columns: Likewise.
        cells: Of all rows, empty ones included.
        bytes: Of the file.
    """

    rows: int = 50_000
    columns: int = 1000
    cells: int = 4_000_000
    bytes: int = 64_000_000


@dataclass(frozen=True, slots=True)
class TableRow:
    """What a table says of one photo.

    Attributes:
        line: Its row, as a spreadsheet counts.
        photo: The photo's name, cleaned where it can be.
        fields: What it gives of the spec, by the spec's names; nothing for empty cells.
        cells: All of the row, a cell for each column, as they came.
        problem: What is wrong with the row, whatever is asked for.
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
        rows: In its order.
    """

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]

    def by_photo(self) -> dict[str, TableRow]:
        """Return the row of each photo, by its folded name. Of several rows the first one counts."""
        return {fold(row.photo): row for row in reversed(self.rows)}


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
_LIMITS = TableLimits()


def read_table(
    content: bytes, mapping: Mapping[str, str] = _NO_MAPPING, limits: TableLimits = _LIMITS
) -> Table:
    """Read a table. What kind of file it is, its content says, not its name.

    Args:
        content: Of the file.
        mapping: What a column of ours (``photo``, or a field of the spec) is called in the table. With an
            empty name it has none, and one of our name is the partner's own.
        limits: How much of it is read.

    Raises:
        InvalidSpec: The mapping has a name that is none of ours.
        TableNotReadable: It cannot be read, or has no column, or not one, of photos' names.
        TableTooLarge: It has more in it than is read.
    """
    ours = (PHOTO_FIELD, *FIELDS)
    unknown = [name for name in mapping if name not in ours]
    if unknown:
        raise InvalidSpec([FieldProblem.of("column", "not_one_of", choices=ours)])
    if len(content) > limits.bytes:
        raise TableTooLarge(limit=limits.rows)
    rows = _seen(_raw_rows(content, mapping, limits))
    _, header = next(rows, (0, ()))
    if not header:
        raise TableNotReadable(reason=_NOTHING)
    if len(header) > limits.columns:
        raise TableTooLarge(limit=limits.rows)
    places = _places(header, mapping)
    found: list[TableRow] = []
    for number, cells in rows:
        if len(found) == min(limits.rows, limits.cells // len(header)):
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
    # Most tables give few different things; each is parsed once.
    parsed: dict[tuple[tuple[str, str], ...], RibbonsError | None] = {}
    for row in table.rows:
        if row.fields not in parsed:
            parsed[row.fields] = _spec_problem(given, row.fields, frames)
        repeated = NameRepeated() if row.photo and fold(row.photo) in seen else None
        seen.add(fold(row.photo))
        found = (row.problem, repeated, parsed[row.fields])
        problems += [RowProblem(row.line, row.photo, error) for error in found if error]
    return problems


def row_spec(
    given: Iterable[tuple[str, str]], fields: Sequence[tuple[str, str]], frames: FrameLibrary
) -> AvatarSpec:
    """Return what is asked for of one photo.

    Args:
        given: Of the spec, for all photos.
        fields: Of its row, which win.
        frames: The library that the fields are checked against.

    Raises:
        InvalidSpec: As :func:`~app.spec.parse_spec`.
    """
    own = {name for name, _ in fields}
    return parse_spec([*(pair for pair in given if pair[0] not in own), *fields], frames)


def write_table(names: Iterable[str]) -> bytes:
    """Return a table to fill in, as CSV (UTF-8 with BOM): a row for each photo, a column for each field."""
    blank = [""] * len(FIELDS)
    lines = [csv_line([PHOTO_FIELD, *FIELDS]), *(csv_line([harmless(name), *blank]) for name in names)]
    return BOM + b"".join(lines)


def photo_of(cell: str) -> str:
    """Return the photo's name that a cell gives, without what people and programs put around it."""
    return as_it_was(cell.strip(_BLANK)).replace("\\", "/")


def _spec_problem(
    given: Sequence[tuple[str, str]], fields: Sequence[tuple[str, str]], frames: FrameLibrary
) -> RibbonsError | None:
    try:
        row_spec(given, fields, frames)
    except InvalidSpec as error:
        return error
    return None


def _raw_rows(
    content: bytes, mapping: Mapping[str, str], limits: TableLimits
) -> Iterator[tuple[int, list[str]]]:
    if content.startswith(OLD_EXCEL_MAGIC):
        raise TableNotReadable(reason=LOCKED)
    if content.startswith(ZIP_MAGIC):
        return read_workbook(content, limits.rows, limits.columns)
    return read_text(content, lambda cells: bool(_photo_places(cells, mapping)), limits.rows)


def _seen(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the rows in which something is to be seen, without the empty cells at their end."""
    for number, row in rows:
        last = len(row)
        while last and not row[last - 1].strip(_BLANK):
            last -= 1
        if last:
            yield number, tuple(row[:last])


def _places(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Return where our columns are.

    Raises:
        TableNotReadable: One that is needed is not there, or one is there twice.
    """
    headings = [_heading(cell) for cell in header]
    places = {}
    for name in (PHOTO_FIELD, *FIELDS):
        theirs = mapping.get(name, name)
        found = _photo_places(header, mapping) if name == PHOTO_FIELD else _all_places(headings, theirs)
        if not found and mapping.get(name):
            raise TableNotReadable(reason=_NO_SUCH_COLUMN, column=shown_name(theirs), columns=_told(header))
        if len({headings[place] for place in found}) > 1:
            several = _told([header[place] for place in found])
            raise TableNotReadable(reason=_SEVERAL_PHOTO_COLUMNS, columns=several)
        if len(found) > 1:
            raise TableNotReadable(reason=_COLUMN_TWICE, column=shown_name(header[found[0]]))
        if found:
            places[name] = found[0]
    if PHOTO_FIELD not in places:
        raise TableNotReadable(reason=_NO_PHOTO_COLUMN, columns=_told(header))
    return places


def _photo_places(header: Sequence[str], mapping: Mapping[str, str]) -> list[int]:
    """Return which columns have the photos' names: as mapped; else of our name; else of one like it."""
    headings = [_heading(cell) for cell in header]
    if mapping.get(PHOTO_FIELD):
        return _all_places(headings, mapping[PHOTO_FIELD])
    return _all_places(headings, PHOTO_FIELD) or _all_places(headings, *_PHOTO_HEADINGS)


def _all_places(headings: Sequence[str], *names: str) -> list[int]:
    wanted = {_heading(name) for name in names} - {""}
    return [place for place, heading in enumerate(headings) if heading in wanted]


def _heading(cell: str) -> str:
    """Return what spellings of one heading have in common: of alef, yeh and kaf, of capitals and spaces."""
    text = unicodedata.normalize("NFKC", cell[:_HEADING_CHARACTERS])
    text = _NOT_MEANT.sub("", text).translate(_SPELLINGS)
    return _SPACES.sub(" ", text).strip().casefold()


def _told(header: Sequence[str]) -> tuple[str, ...]:
    """Return headings as they can be shown in a sentence."""
    shown = [shown_name(cell.strip(_BLANK)[:64]) for cell in header if cell.strip(_BLANK)]
    return (*shown[:_COLUMNS_TOLD], "…") if len(shown) > _COLUMNS_TOLD else tuple(shown)


def _row(number: int, cells: tuple[str, ...], header: Sequence[str], places: Mapping[str, int]) -> TableRow:
    problem: RibbonsError | None = None
    if len(cells) > len(header):
        problem = InvalidRow(reason=_TOO_MANY_CELLS, row=number)
    cells = (*cells[: len(header)], *[""] * (len(header) - len(cells)))
    failed = next((place for place in places.values() if cells[place].strip(_BLANK) in _FAILURES), None)
    if failed is not None:
        problem = InvalidRow(reason=_FAILED_FORMULA, row=number, column=shown_name(header[failed]))
    photo = photo_of(cells[places[PHOTO_FIELD]])
    if not photo:
        column = shown_name(header[places[PHOTO_FIELD]])
        problem = problem or InvalidRow(reason=_NO_PHOTO, row=number, column=column)
    else:
        try:
            photo = clean_name(photo)
        except InvalidName as error:
            photo, problem = shown_name(photo), problem or error
    values = ((name, cells[place].strip(_BLANK)) for name, place in places.items() if name != PHOTO_FIELD)
    fields = tuple((name, value) for name, value in values if value and value not in _FAILURES)
    return TableRow(number, photo, fields, cells, problem)
