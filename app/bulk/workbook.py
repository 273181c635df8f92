"""XLSX -> rows of cells: of the first sheet that is shown; formulas as the values that Excel kept of them.

Of a workbook five or six parts are read, and of these what makes a cell's text (ECMA-376, part 1, 18.3, 18.4
and 18.8). Each is streamed through expat, so that it is known what is held at once: a row, and the texts that
sheets share. openpyxl holds elements, of a hostile part gigabytes of them, and takes twice the time, four
times with a guard before it; the tests compare with it.

XML that declares entities, inside or outside, is refused at its document type.
"""

from __future__ import annotations

import datetime as dt
import io
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from app.bulk.directory import DEFLATED, ENCRYPTED_FLAGS, STORED, read_directory, unpack
from app.errors import ArchiveDamaged, ArchiveNotSupported, ArchiveTooLarge, TableNotReadable, TableTooLarge
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.bulk.directory import Record

    Attributes = Mapping[str, str]

ZIP_MAGIC = b"PK\x03\x04"
OLD_EXCEL_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Of OLE, in which old workbooks are, and new ones with a password."""

LAST_ROW = 1 << 20
"""More rows no program of tables has."""
_LAST_COLUMN = 1 << 14

_PARTS = 10_000
_PART_BYTES = 256_000_000
_SHARED_BYTES = 64_000_000
_SMALL_PART_BYTES = 16_000_000
_ELEMENTS = 8_000_000
"""Of all parts that are read, two for a cell: some 2 µs for both."""
_DEPTH = 100
_QUIET_PIECES = 16
"""Pieces of 64 KiB within which an element or a text has to end or go on. No tag is longer than that."""
_NAMES = 10_000
"""Of elements, attributes and namespaces: a part has tens."""
_CELL_CHARACTERS = 100_000
"""Excel has room for 32,767."""

_CELL_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,400}")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NOT_IN_CELLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

# What does not belong to the codes of a number's format: quoted, escaped, in brackets (colour, country),
# padding.
_NO_CODES = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_DATE_CODES = re.compile("[dmyhs]")
_ELAPSED = re.compile(r"\[[hms]+\]")
_ZEROS = re.compile("0{2,20}")
# Built in, without a code of their own (18.8.30), some of them only in East Asia.
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)})
_LAST_SERIAL = 2_958_466

LOCKED = mark(
    "This is an old Excel file (.xls), or one with a password. Save it as XLSX, without a password."
)
_NO_WORKBOOK = mark(
    "This file is no Excel workbook that can be read. Save the table as XLSX or as CSV (UTF-8)."
)
_NO_SHEET = mark("This workbook has no sheet that is shown.")


def read_workbook(content: bytes, most_rows: int, most_columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a workbook's first visible sheet that have anything in them, with their numbers.

    Args:
        content: Of the file.
        most_rows: Told where it is too large.
        most_columns: That a row may have something in.

    Raises:
        TableNotReadable: It is no workbook, a broken one, or one built to do harm.
        TableTooLarge: It has more in it than is read.
    """
    try:
        yield from _Workbook(content).rows(most_columns)
    except (ArchiveTooLarge, _TooMuch):
        raise TableTooLarge(limit=most_rows) from None
    except (ArchiveDamaged, ArchiveNotSupported, _Broken):
        raise TableNotReadable(reason=_NO_WORKBOOK) from None


class _TooMuch(Exception):
    """More than is read."""


class _Broken(Exception):
    """No workbook, or not a right one."""


class _Sheet(NamedTuple):
    """A sheet, as the workbook lists it: is it shown, and by which id its part is named."""

    is_shown: bool
    part_id: str


class _Relation(NamedTuple):
    """What a part says of another one: what kind it is of, and its name."""

    kind: str
    part: str


class _Workbook:
    """A workbook's parts, by their names."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)
        self._elements = _ELEMENTS
        self._parts: dict[str, Record] = {}
        for record in read_directory(self._file, _PARTS, len(content)):
            name = _part_name(record.raw_name.decode("latin-1"))
            if name in self._parts:
                raise _Broken
            self._parts[name] = record

    def rows(self, most_columns: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows of the first sheet that is shown."""
        main = next((r.part for r in self._relations("").values() if r.kind == "officeDocument"), "")
        book = _Book()
        self._read(main, book, _SMALL_PART_BYTES)
        relations = self._relations(main)
        shown = (relations.get(sheet.part_id) for sheet in book.sheets if sheet.is_shown)
        sheet = next((relation for relation in shown if relation and relation.kind == "worksheet"), None)
        if sheet is None:
            raise TableNotReadable(reason=_NO_SHEET)
        texts, styles = _Texts(), _Styles()
        for relation in relations.values():
            if relation.kind == "sharedStrings":
                self._read(relation.part, texts, _SHARED_BYTES)
            elif relation.kind == "styles":
                self._read(relation.part, styles, _SMALL_PART_BYTES)
        rows = _Rows(texts.found, styles, book.first_day, most_columns)
        for _ in self._fed(sheet.part, rows, _PART_BYTES):
            yield from rows.found
            rows.found.clear()

    def _relations(self, part: str) -> dict[str, _Relation]:
        """Return what a part is related to, by id; what the whole package is, for an empty name."""
        folder, file = posixpath.split(part)
        relations = _Relations(folder)
        self._read(f"{folder}/_rels/{file}.rels".lstrip("/"), relations, _SMALL_PART_BYTES)
        return relations.found

    def _read(self, part: str, reader: _Reader, most_bytes: int) -> None:
        for _ in self._fed(part, reader, most_bytes):
            pass

    def _fed(self, part: str, reader: _Reader, most_bytes: int) -> Iterator[None]:
        """Feed a part to its reader, and yield after each piece."""
        record = self._parts.get(_part_name(part))
        if record is None or record.method not in {STORED, DEFLATED} or record.flags & ENCRYPTED_FLAGS:
            raise _Broken
        if record.size > most_bytes:
            raise _TooMuch
        feeder = _Feeder(reader, self._elements)
        for piece in unpack(self._file, record):
            feeder.feed(piece)
            yield
        feeder.end()
        self._elements = feeder.elements
        yield


def _part_name(name: str) -> str:
    """Return what spellings of a part's name have in common (ECMA-376, part 2: ASCII, without case)."""
    return name.replace("\\", "/").lstrip("/").lower()


class _Reader:
    """Takes what it needs out of a part, element by element. Names come without their namespaces."""

    def start(self, name: str, attributes: Attributes) -> None:
        """Begin an element."""

    def text(self, text: str) -> None:
        """Take text, or a part of it."""

    def end(self, name: str) -> None:
        """End an element."""


class _Feeder:
    """Parses a part, within bounds, for a reader.

    Attributes:
        elements: That may still come.
    """

    def __init__(self, reader: _Reader, elements: int) -> None:
        self.elements = elements
        self._reader = reader
        self._depth = 0
        self._quiet = 0
        self._names: dict[str, str] = {}
        self._spaces = 0
        self._known: dict[str, str] = {}
        self._parser = expat.ParserCreate(namespace_separator=" ", intern=self._known)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartNamespaceDeclHandler = self._space
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._text
        self._parser.EndElementHandler = self._end

    def feed(self, piece: bytes) -> None:
        """Parse the next piece."""
        self._quiet += 1
        self._parse(piece, is_last=False)
        # expat keeps every name that it has met.
        if self._quiet > _QUIET_PIECES or len(self._known) > _NAMES:
            raise _TooMuch

    def end(self) -> None:
        """Parse what is left."""
        self._parse(b"", is_last=True)

    def _parse(self, piece: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(piece, is_last)
        except (
            expat.ExpatError,
            ValueError,
            LookupError,
        ):  # the latter of encodings that expat asks Python for
            raise _Broken from None

    def _doctype(self, *_: object) -> None:
        raise _Broken

    def _space(self, *_: object) -> None:
        self._spaces += 1
        if self._spaces > _NAMES:
            raise _TooMuch

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._quiet = 0
        self._depth += 1
        self.elements -= 1
        if self.elements < 0 or self._depth > _DEPTH:
            raise _TooMuch
        local = self._names.get(name)
        if local is None:
            local = self._names[name] = name.rpartition(" ")[2]
        self._reader.start(local, attributes)

    def _text(self, text: str) -> None:
        self._quiet = 0
        self._reader.text(text)

    def _end(self, name: str) -> None:
        self._quiet = 0
        self._depth -= 1
        self._reader.end(self._names[name])


class _Relations(_Reader):
    """What a part is related to."""

    def __init__(self, folder: str) -> None:
        self.found: dict[str, _Relation] = {}
        self._folder = folder

    def start(self, name: str, attributes: Attributes) -> None:
        """Take a relation; its kind is the last word of an address that differs between editions."""
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            part = posixpath.normpath(posixpath.join("/", self._folder, attributes.get("Target", "")))
            kind = attributes.get("Type", "").rpartition("/")[2]
            self.found[attributes.get("Id", "")] = _Relation(kind, part)


class _Book(_Reader):
    """The list of sheets, in the order in which they are shown, and the day from which days are counted."""

    def __init__(self) -> None:
        self.sheets: list[_Sheet] = []
        self.first_day = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - tables know no time zones

    def start(self, name: str, attributes: Attributes) -> None:
        """Take a sheet, or the workbook's properties."""
        if name == "sheet":
            by_name = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
            self.sheets.append(_Sheet(by_name.get("state", "visible") == "visible", by_name.get("id", "")))
        elif name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            self.first_day = dt.datetime(1904, 1, 1)  # noqa: DTZ001


class _Format(NamedTuple):
    """How numbers are shown: as moments, or with so many digits at the least."""

    is_date: bool
    digits: int


class _Styles(_Reader):
    """How numbers are shown."""

    def __init__(self) -> None:
        self._codes: dict[str, str] = {}
        self._formats: list[str] = []
        self._is_of_cells = False
        self._known: dict[str, _Format] = {}

    def start(self, name: str, attributes: Attributes) -> None:
        """Take a format's code, or which format a style has."""
        if name == "numFmt":
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")[:300]
        elif name == "cellXfs":
            self._is_of_cells = True
        elif name == "xf" and self._is_of_cells:
            self._formats.append(attributes.get("numFmtId", "0"))

    def end(self, name: str) -> None:
        """Leave the styles of cells."""
        if name == "cellXfs":
            self._is_of_cells = False

    def of(self, style: str) -> _Format:
        """Return how a style shows numbers, by its place among the styles of cells."""
        known = self._known.get(style)
        if known is None:
            place = _whole(style) if style else 0
            if place >= len(self._formats):
                return self._format("0")  # as Excel takes a style that is not there
            known = self._known[style] = self._format(self._formats[place])
        return known

    def _format(self, number: str) -> _Format:
        code = self._codes.get(number, "").lower()
        is_built_in = number.isdecimal() and int(number[:6]) in _DATE_FORMATS
        is_date = is_built_in or (_DATE_CODES.search(_NO_CODES.sub("", code)) and not _ELAPSED.search(code))
        return _Format(bool(is_date), len(code) if _ZEROS.fullmatch(code) else 0)


class _Texts(_Reader):
    """The texts that sheets share, in their order."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._text = _Text()

    def start(self, name: str, attributes: Attributes) -> None:
        """Begin a text."""
        self._text.start(name, attributes)

    def text(self, text: str) -> None:
        """Take a part of it."""
        self._text.text(text)

    def end(self, name: str) -> None:
        """Take the whole."""
        self._text.end(name)
        if name == "si":
            self.found.append(self._text.take())


class _Text(_Reader):
    """A text of one or several runs, without what is written above it to tell how it is pronounced."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._is_inside = False
        self._is_above = False

    def start(self, name: str, attributes: Attributes) -> None:
        """Begin a run, or what is above one."""
        del attributes
        if name == "rPh":
            self._is_above = True
        self._is_inside = name == "t" and not self._is_above

    def text(self, text: str) -> None:
        """Take a part of a run."""
        if self._is_inside:
            self._length += len(text)
            if self._length > _CELL_CHARACTERS:
                raise _TooMuch
            self._pieces.append(text)

    def end(self, name: str) -> None:
        """End a run, or what is above one."""
        if name == "rPh":
            self._is_above = False
        self._is_inside = False

    def take(self) -> str:
        """Return the text, and begin another."""
        text = _unescaped("".join(self._pieces))
        self._pieces.clear()
        self._length = 0
        return text


class _Rows(_Reader):
    """A sheet's rows.

    Attributes:
        found: That are whole, to be taken away.
    """

    def __init__(self, texts: list[str], styles: _Styles, first_day: dt.datetime, most_columns: int) -> None:
        self.found: list[tuple[int, list[str]]] = []
        self._texts = texts
        self._styles = styles
        self._first_day = first_day
        self._most_columns = most_columns
        self._row = 0
        self._cells: dict[int, str] = {}
        self._column = 0
        self._kind = self._style = ""
        self._value: list[str] = []
        self._length = 0
        self._is_value = False
        self._inline = _Text()

    def start(self, name: str, attributes: Attributes) -> None:
        """Begin a row, a cell, or its value."""
        match name:
            case "row":
                self._begin_row(attributes.get("r"))
            case "c":
                self._begin_cell(attributes)
            case "v":
                self._is_value = True
            case _:
                self._inline.start(name, attributes)

    def text(self, text: str) -> None:
        """Take a part of a value."""
        if self._is_value:
            self._length += len(text)
            if self._length > _CELL_CHARACTERS:
                raise _TooMuch
            self._value.append(text)
        else:
            self._inline.text(text)

    def end(self, name: str) -> None:
        """End a row, a cell, or its value."""
        match name:
            case "row":
                self._end_row()
            case "c":
                self._end_cell()
            case "v":
                self._is_value = False
            case _:
                self._inline.end(name)

    def _begin_row(self, number: str | None) -> None:
        row = _whole(number) if number else self._row + 1
        if not self._row < row <= LAST_ROW:
            raise _Broken  # rows out of order would be lost, or come twice
        self._row = row
        self._column = -1

    def _begin_cell(self, attributes: Attributes) -> None:
        place = attributes.get("r")
        found = _CELL_PLACE.fullmatch(place) if place else None
        if place and not found:
            raise _Broken
        self._column = _column(found[1]) if found else self._column + 1
        if self._column >= _LAST_COLUMN:
            raise _Broken
        self._kind = attributes.get("t", "n")
        self._style = attributes.get("s", "")

    def _end_cell(self) -> None:
        inline = self._inline.take()
        text = inline if self._kind == "inlineStr" else self._shown("".join(self._value))
        self._value.clear()
        self._length = 0
        if text and self._column >= self._most_columns:
            raise _TooMuch
        if text:
            self._cells[self._column] = text

    def _end_row(self) -> None:
        if self._cells:
            width = max(self._cells) + 1
            self.found.append((self._row, [self._cells.get(column, "") for column in range(width)]))
            self._cells.clear()

    def _shown(self, value: str) -> str:
        """Return a value as text: what its kind makes of it (18.18.11)."""
        if not value:
            return ""
        match self._kind:
            case "s":
                place = _whole(value)
                if place >= len(self._texts):
                    raise _Broken
                return self._texts[place]
            case "b":
                return "FALSE" if value.strip() == "0" else "TRUE"
            case "n":
                return self._number(value.strip())
            case _:
                return _unescaped(value)

    def _number(self, number: str) -> str:
        """Write a number as it is shown, or nearly: as a moment, or with the zeros before it."""
        shown = self._styles.of(self._style)
        if shown.is_date:
            return _moment(number, self._first_day)
        return _plain(number).zfill(shown.digits)


def _whole(number: str) -> int:
    if not (number.isascii() and number.strip().isdecimal() and len(number) < 10):
        raise _Broken
    return int(number)


def _column(letters: str) -> int:
    """Return the place of a column: 0 for ``A``, 26 for ``AA``."""
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def _unescaped(text: str) -> str:
    """Return a text with its escapes read (22.9.2.19), without characters that no table shows."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return _NOT_IN_CELLS.sub("", text)


def _plain(number: str) -> str:
    """Write a number without a format: a user's id has no ``.0``, and no more digits than Excel shows."""
    if _WHOLE_NUMBER.fullmatch(number):
        return number
    try:
        value = float(number)
    except ValueError:
        return _NOT_IN_CELLS.sub("", number)
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return f"{value:.15g}"


def _moment(number: str, first_day: dt.datetime) -> str:
    """Write a date, a time, or both, as ISO 8601 has them, of days since a first one."""
    try:
        days = float(number)
    except ValueError:
        return _plain(number)
    if not 0 <= days < _LAST_SERIAL:
        return _plain(number)
    seconds = round(days * 86_400)
    if seconds < 86_400:
        return (first_day + dt.timedelta(seconds=seconds)).time().isoformat()
    if first_day.year < 1900 and days < 60:
        seconds += 86_400  # Excel counts a 29 February 1900, which there was not
    moment = first_day + dt.timedelta(seconds=seconds)
    return moment.date().isoformat() if not seconds % 86_400 else moment.isoformat(sep=" ")
