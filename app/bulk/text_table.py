"""CSV, in all the ways in which Excel and others write it -> rows of cells.

Excel takes the list separator of the country (``,`` or ``;``) and its old encoding (Windows-1256 in Arabic),
or UTF-8 with a BOM; its "Unicode text" is UTF-16 with TAB. So encoding and separator are found out.
``csv.Sniffer`` finds letters for separators where rows are short.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from app.bulk.cells import LONGEST_ROW, csv_rows
from app.bulk.encodings import guess_encoding
from app.errors import TableNotReadable, TableTooLarge
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile('"?sep=([^"\\w\\s]|\t)"?', re.IGNORECASE)
_SAMPLE = 20
"""Rows by which a separator is told where the headings leave it open."""
_SAMPLE_LINES = 1000
"""Likewise, empty ones included."""
_MOST_LINES = 1 << 20
"""Rows, empty ones included: more no program of tables has."""
_PIECE = 1 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Windows-1252 first: where both make sense, as of French words, they are alike.
_OLD_ENCODINGS = ("cp1252", "cp1256")

_NO_TEXT = mark("This file is no table that can be read. Save the table as CSV (UTF-8) or XLSX.")
_QUOTES = mark("Row {row} of the table: a quotation mark is missing, or in the wrong place.")


class _Source(NamedTuple):
    """A table's text.

    Attributes:
        content: Of the file.
        encoding: By Python's name.
        names_separator: Whether its first line only names the separator (``sep=;``), as Excel reads it.
        most_rows: Told where it is too large.
    """

    content: bytes
    encoding: str
    names_separator: bool
    most_rows: int


def read_text(
    content: bytes, is_header: Callable[[Sequence[str]], bool], most_rows: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not empty, with their numbers as a spreadsheet counts.

    Args:
        content: Of the file.
        is_header: Whether these are the headings of a table that is looked for.
        most_rows: Told where it is too large.

    Raises:
        TableNotReadable: It is no text, or its quotation marks go wrong.
        TableTooLarge: It has more lines than any table, or a row is longer than any is.
    """
    encoding = _encoding(content)
    first = next(_Lines(content, encoding, most_rows), "")
    named = _SEPARATOR_LINE.fullmatch(first.rstrip("\r\n"))
    source = _Source(content, encoding, named is not None, most_rows)
    yield from _rows(source, named[1] if named else _separator(source, is_header))


def _encoding(content: bytes) -> str:
    """Return the encoding: by its mark; else UTF-8 where it is that; else one of old programs."""
    for signature, encoding in _MARKS:
        if content.startswith(signature):
            return encoding
    if b"\0" in content:
        raise TableNotReadable(reason=_NO_TEXT)
    if _is_utf8(content):
        return "utf-8"
    guess = guess_encoding([content], _OLD_ENCODINGS)
    if guess is None:
        raise TableNotReadable(reason=_NO_TEXT)
    return guess


def _is_utf8(content: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(content), _PIECE):
            decoder.decode(content[place : place + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _separator(source: _Source, is_header: Callable[[Sequence[str]], bool]) -> str:
    """Return the separator with which the first row has the headings that are looked for.

    Where several do, or none: the one that makes most columns of it, in as many rows as may be.
    """

    def fitness(separator: str) -> tuple[bool, int, int]:
        rows = _first_rows(source, separator)
        if not rows:
            return False, 0, 0
        width = len(rows[0])
        return is_header(rows[0]), width, -sum(len(row) > width for row in rows)

    return max(_SEPARATORS, key=fitness)


def _first_rows(source: _Source, separator: str) -> list[list[str]]:
    """Return the first rows, up to where anything goes wrong."""
    found: list[list[str]] = []
    try:
        for _, row in _rows(source, separator, _SAMPLE_LINES):
            found.append(row)
            if len(found) == _SAMPLE:
                break
    except (TableNotReadable, TableTooLarge):
        pass
    return found


def _rows(source: _Source, separator: str, most_lines: int = _MOST_LINES) -> Iterator[tuple[int, list[str]]]:
    lines = _Lines(source.content, source.encoding, source.most_rows)
    if source.names_separator:
        next(lines)
    number = 0
    try:
        for row in csv_rows(lines, separator):
            number += 1
            if number > most_lines:
                raise TableTooLarge(limit=source.most_rows)
            lines.begin_row()
            if any(row):
                yield number, row
    except csv.Error:
        raise TableNotReadable(reason=_QUOTES, row=number + 1) from None


class _Lines:
    """A text's lines, with their endings (CR, LF or both). A row is bounded before its cells are made."""

    def __init__(self, content: bytes, encoding: str, most_rows: int) -> None:
        self._text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
        self._most_rows = most_rows
        self._left = LONGEST_ROW

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        try:
            line = self._text.readline(self._left + 1)
        except UnicodeError:
            raise TableNotReadable(reason=_NO_TEXT) from None
        if not line:
            raise StopIteration
        if "\0" in line:
            raise TableNotReadable(reason=_NO_TEXT)
        self._left -= len(line)
        if self._left < 0:
            raise TableTooLarge(limit=self._most_rows)
        return line

    def begin_row(self) -> None:
        """Begin to count anew."""
        self._left = LONGEST_ROW
