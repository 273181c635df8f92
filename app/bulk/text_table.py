"""CSV in all the ways in which Excel and others write it -> rows of cells.

Excel writes CSV with the list separator of the country (``,`` or ``;``) in the country's old encoding
(Windows-1256 in Arabic), or as UTF-8 with a BOM; its "Unicode text" is UTF-16 with TAB. So encoding and separator
are found out: ``csv.Sniffer`` takes a letter for a separator where rows are short.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.bulk.encodings import guess_encoding
from app.errors import TableNotReadable, TableTooLarge
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile('"?sep=(.)"?\\Z', re.IGNORECASE)
_ROW_CHARACTERS = 1_000_000
"""Of one row, with all that it quotes. It also bounds how many cells it may have, before they are made."""
_LOOKED_AT = 20
"""Rows by which a separator is told, where the headings leave it open."""

# UTF-32 first: its mark begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Windows-1252 first: where both make sense, as of French, they are alike.
_OLD_ENCODINGS = ("cp1252", "cp1256")

_NO_TEXT = mark("This file is no table that can be read. Save the table as CSV (UTF-8) or XLSX.")
_QUOTES = mark("Row {row} of the table: a quotation mark is missing, or in the wrong place.")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text is divided.

    Attributes:
        separator: Between cells.
        is_told: Its first line says so and is no row: ``sep=;``.
    """

    separator: str
    is_told: bool = False


def read_text(
    content: bytes, is_header: Callable[[Sequence[str]], bool], most_rows: int
) -> Iterator[list[str]]:
    """Yield the rows of a CSV file, empty ones included, so that they count as a spreadsheet counts.

    Args:
        content: Of the file.
        is_header: Whether cells are the headings of a table that is looked for.
        most_rows: Told where a row is too long.

    Raises:
        TableNotReadable: It is no text, or its quotation marks go wrong.
        TableTooLarge: A row is longer than any row is.
    """
    encoding = _encoding(content)
    dialect = _dialect(content, encoding, is_header, most_rows)
    rows = _rows(content, encoding, dialect.separator, most_rows)
    if dialect.is_told:
        next(rows)
    yield from rows


def _encoding(content: bytes) -> str:
    for signature, encoding in _MARKS:
        if content.startswith(signature):
            return encoding
    if b"\0" in content:
        raise TableNotReadable(reason=_NO_TEXT)
    try:
        for _ in _decoded(content, "utf-8"):
            pass
    except UnicodeDecodeError:
        encoding = guess_encoding([content], _OLD_ENCODINGS)
        if encoding is None:
            raise TableNotReadable(reason=_NO_TEXT) from None
        return encoding
    return "utf-8"


def _decoded(content: bytes, encoding: str) -> Iterator[str]:
    """Yield a text's lines: of any ending (CR, LF or both), which they keep."""
    return iter(io.TextIOWrapper(io.BytesIO(content), encoding, newline=""))


def _dialect(
    content: bytes, encoding: str, is_header: Callable[[Sequence[str]], bool], most_rows: int
) -> Dialect:
    """Return how a text is divided.

    By its own word; else by the separator with which its first row has the headings that are looked for; else by
    the one that makes most columns of it, in as many rows as may be.
    """
    first = _first_line(content, encoding)
    told = _SEPARATOR_LINE.match(first.strip("\r\n"))
    if told:
        return Dialect(told[1], is_told=True)

    def fitness(separator: str) -> tuple[bool, int, int]:
        try:
            rows = _first_rows(_rows(content, encoding, separator, most_rows))
        except (TableNotReadable, TableTooLarge):
            rows = []
        if not rows:
            return False, 0, 0
        width = len(rows[0])
        return is_header(rows[0]), width, -sum(len(row) > width for row in rows)

    return Dialect(max(_SEPARATORS, key=fitness))


def _first_line(content: bytes, encoding: str) -> str:
    try:
        return next(_decoded(content, encoding), "")
    except UnicodeError:
        raise TableNotReadable(reason=_NO_TEXT) from None


def _first_rows(rows: Iterable[list[str]]) -> list[list[str]]:
    """Return the first rows that have anything in them."""
    found: list[list[str]] = []
    for row in rows:
        if any(row):
            found.append(row)
        if len(found) == _LOOKED_AT:
            break
    return found


class _Lines:
    """A text's lines, of which one row may take only so many characters.

    Attributes:
        taken: Characters since the last row was whole.
    """

    def __init__(self, lines: Iterator[str], most_rows: int) -> None:
        self._lines = lines
        self._most_rows = most_rows
        self.taken = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken += len(line)
        if self.taken > _ROW_CHARACTERS:
            raise TableTooLarge(limit=self._most_rows)
        if "\0" in line:
            raise TableNotReadable(reason=_NO_TEXT)
        return line


def _rows(content: bytes, encoding: str, separator: str, most_rows: int) -> Iterator[list[str]]:
    lines = _Lines(_decoded(content, encoding), most_rows)
    number = 0
    csv.field_size_limit(_ROW_CHARACTERS)
    try:
        for row in csv.reader(lines, delimiter=separator, strict=True):
            number += 1
            lines.taken = 0
            yield row
    except csv.Error:
        raise TableNotReadable(reason=_QUOTES, row=number + 1) from None
    except UnicodeError:
        raise TableNotReadable(reason=_NO_TEXT) from None
