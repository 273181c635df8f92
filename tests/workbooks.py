"""Workbooks, part by part, so that each may be hostile; openpyxl writes those that are as Excel's."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import TYPE_CHECKING

import openpyxl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Value = str | float | bool | dt.datetime | dt.date | dt.time | None

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"

PARTS = {
    "rels": "_rels/.rels",
    "book": "xl/workbook.xml",
    "book_rels": "xl/_rels/workbook.xml.rels",
    "sheet": "xl/worksheets/sheet1.xml",
    "texts": "xl/sharedStrings.xml",
    "styles": "xl/styles.xml",
}
"""What the parts of a workbook are called in its package."""
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
ROWS = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>photo</t></is></c></row>'
    '<row r="2"><c r="A2" t="s"><v>0</v></c></row>'
)


def written(*rows: Sequence[Value]) -> bytes:
    """Return a workbook of one sheet, as openpyxl writes it."""
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet()
    for row in rows:
        page.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """Return a workbook's file."""
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def sheet(rows: str = ROWS, *, head: str = HEAD, before: str = "") -> str:
    """Return a sheet's part."""
    return f'{head}<worksheet xmlns="{MAIN}">{before}<sheetData>{rows}</sheetData></worksheet>'


def texts(*shared: str, head: str = HEAD) -> str:
    """Return the part of the texts that sheets share."""
    return f'{head}<sst xmlns="{MAIN}">{"".join(f"<si><t>{text}</t></si>" for text in shared)}</sst>'


def parts(**changed: str) -> dict[str, str]:
    """Return a small workbook's parts by their names; some of :data:`PARTS` may be given."""
    usual = {
        "rels": relations(rId1=("officeDocument", "xl/workbook.xml")),
        "book": f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>'
        '<sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "book_rels": relations(
            rId1=("worksheet", "worksheets/sheet1.xml"),
            rId2=("sharedStrings", "sharedStrings.xml"),
            rId3=("styles", "/xl/styles.xml"),
        ),
        "sheet": sheet(),
        "texts": texts("a.jpg"),
        "styles": f'{HEAD}<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/></cellXfs></styleSheet>',
    }
    return {PARTS[part]: text for part, text in (usual | changed).items()}


def relations(**related: tuple[str, str]) -> str:
    """Return a part of relations: by id, the kind and the target of each."""
    items = "".join(
        f'<Relationship Id="{key}" Type="{DOCUMENT}/{kind}" Target="{target}"/>'
        for key, (kind, target) in related.items()
    )
    return f'{HEAD}<Relationships xmlns="{PACKAGE}">{items}</Relationships>'


def packed(contents: Mapping[str, str | bytes]) -> bytes:
    """Return the package of parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in contents.items():
            package.writestr(name, content)
    return file.getvalue()


def workbook(**changed: str) -> bytes:
    """Return a small workbook, of which parts are others (see :func:`parts`)."""
    return packed(parts(**changed))
