from __future__ import annotations

import datetime as dt
import io
import random
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bulk.table import Table, TableLimits, read_table
from app.bulk.workbook import OLD_EXCEL_MAGIC
from app.errors import RibbonsError, TableNotReadable, TableTooLarge
from tests import workbooks
from tests.workbooks import PARTS, Value, packed, parts, saved, sheet, texts, workbook, written
from tests.zips import Zip, Zipped, small_zip

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent


def rows(content: bytes) -> list[list[str]]:
    """Return a table's cells, its headings first."""
    table = read_table(content)
    return [list(table.columns), *(list(row.cells) for row in table.rows)]


def cell(xml: str, **changed: str) -> str:
    """Return what a cell of a small workbook is read as."""
    heading = '<row><c t="inlineStr"><is><t>photo</t></is></c><c t="inlineStr"><is><t>x</t></is></c></row>'
    row = f'<row r="2"><c r="A2" t="inlineStr"><is><t>a</t></is></c>{xml}</row>'
    return read_table(workbook(sheet=sheet(heading + row), **changed)).rows[0].cells[1]


def refusal(content: bytes, limits: TableLimits | None = None) -> RibbonsError:
    """Return the error that a workbook comes to."""
    with pytest.raises((TableNotReadable, TableTooLarge)) as caught:
        read_table(content, {}, limits or TableLimits())
    error: RibbonsError = caught.value
    return error


def test_a_workbook_is_read() -> None:
    """As office programs write it: with Arabic, empty cells, and empty rows, which count."""
    content = written(
        ["photo", "slogan", None, "id"], [], ["أحمد.jpg", "الحرية\nللأسرى", None, 17], [None, "x"]
    )
    table = read_table(content)
    assert table.columns == ("photo", "slogan", "", "id")
    assert [(row.line, row.cells) for row in table.rows] == [
        (3, ("أحمد.jpg", "الحرية\nللأسرى", "", "17")),
        (4, ("", "x", "", "")),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345, "12345"),
        (12345.0, "12345"),
        (1e20, "100000000000000000000"),
        (1e300, "1e+300"),
        (0.5, "0.5"),
        (0.1 + 0.2, "0.3"),
        (-3, "-3"),
        ("0017", "0017"),
        ("", ""),
        (" a ", " a "),
        (True, "TRUE"),
        (False, "FALSE"),
        (dt.datetime.fromisoformat("2026-11-30"), "2026-11-30"),
        (dt.datetime.fromisoformat("2026-11-30T08:05:09"), "2026-11-30 08:05:09"),
        (dt.date(1948, 5, 15), "1948-05-15"),
        (dt.time(8, 30), "08:30:00"),
        ("=1+1", ""),
        ("a_x0041_b", "aAb"),
    ],
)
def test_values_are_read_as_they_are_seen(value: Value, text: str) -> None:
    """A user's id stays one, dates are dates; a formula that nobody computed has no value."""
    assert rows(written(["photo", "x", "end"], ["a.jpg", value, "."]))[1] == ["a.jpg", text, "."]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("<c><v>12345</v></c>", "12345"),
        ("<c><v>12345678901234567</v></c>", "12345678901234567"),
        ("<c><v>1.2345E+4</v></c>", "12345"),
        ("<c><f>1+1</f><v>2</v></c>", "2"),
        ('<c t="str"><f>A1</f><v>text</v></c>', "text"),
        ('<c t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#DIV/0!"),
        ('<c t="b"><v>1</v></c>', "TRUE"),
        ('<c t="d"><v>2026-11-30</v></c>', "2026-11-30"),
        ('<c t="s"><v>0</v></c>', "a.jpg"),
        ("<c><v>no number</v></c>", "no number"),
        ("<c><v>-0.0</v></c>", "0"),
        ("<c><v>nan</v></c>", "nan"),
        ("<c><v> 7 </v></c>", "7"),
        ("<c/>", ""),
        ("<c><v/></c>", ""),
        ('<c t="inlineStr"><is><r><t>Ah</t></r><r><t>mad</t></r><rPh><t>x</t></rPh></is></c>', "Ahmad"),
        ('<c t="inlineStr"><is><t>_xD800_a_x0000_&amp;</t></is></c>', "a&"),
        ("<c><v>1<!-- a comment -->2</v></c>", "12"),
    ],
)
def test_every_kind_of_cell_is_read(xml: str, text: str) -> None:
    """Numbers, texts, truths, failures; of a formula its value; of a text all but how it is spoken."""
    assert cell(xml) == text


@pytest.mark.parametrize(
    ("code", "number", "text"),
    [
        ("00000", "123", "00123"),
        ("dd/mm/yyyy", "46356", "2026-11-30"),
        ('"d"0', "5", "5"),
        ("[Red]0.0", "5", "5"),
        ("[h]:mm", "1.5", "1.5"),
        ("hh:mm", "0.25", "06:00:00"),
        ("yyyy", "-1", "-1"),
        ("yyyy", "99999999", "99999999"),
        ("yyyy", "1", "1900-01-01"),
        ("yyyy", "61", "1900-03-01"),
        ("\\d0", "5", "5"),
    ],
)
def test_a_formats_code_tells_dates(code: str, number: str, text: str) -> None:
    """And how many digits a number has at least; what is quoted in it tells nothing."""
    quoted = code.replace('"', "&quot;")
    styles = (
        f'<styleSheet xmlns="{workbooks.MAIN}">'
        f'<numFmts><numFmt numFmtId="164" formatCode="{quoted}"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>'
    )
    assert cell(f'<c s="1"><v>{number}</v></c>', styles=styles) == text


def test_dates_may_count_from_1904() -> None:
    """As old workbooks of macOS do."""
    book = parts()["xl/workbook.xml"].replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    styles = f'<styleSheet xmlns="{workbooks.MAIN}"><cellXfs><xf/><xf numFmtId="14"/></cellXfs></styleSheet>'
    assert cell('<c s="1"><v>1</v></c>', book=book, styles=styles) == "1904-01-02"
    assert cell('<c s="9"><v>1</v></c>', book=book, styles=styles) == "1"


VALUES = st.none() | st.integers(-(10**12), 10**12) | st.booleans() | st.text("aZ9 _x0صéñ,;'\n", max_size=8)


@settings(max_examples=60, deadline=5000)
@given(st.lists(st.lists(VALUES, max_size=6), max_size=6))
def test_openpyxl_reads_the_same(given_rows: list[list[Value]]) -> None:
    """An independent reader, of what an independent writer wrote."""
    content = written(["photo", *"bcdef"], *given_rows)
    found = {row.line: row.cells for row in read_table(content).rows}
    page = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    seen = {
        number: tuple(seen_as(value) for value in row)
        for number, row in enumerate(page.iter_rows(min_row=2, max_col=6, values_only=True), 2)
    }
    assert found == {number: row for number, row in seen.items() if "".join(row).strip()}


def seen_as(value: object) -> str:
    """Return a value as it is seen in a table."""
    if isinstance(value, bool):
        return str(value).upper()
    return "" if value is None else str(value)


def test_the_first_sheet_that_is_shown_is_read() -> None:
    """Not one that is hidden, and not a chart's."""
    book = openpyxl.Workbook()
    book.active.append(["photo", "hidden"])  # type: ignore[union-attr]
    book.active.sheet_state = "hidden"  # type: ignore[union-attr]
    book.create_sheet("deep").sheet_state = "veryHidden"
    book.create_chartsheet("chart")
    shown = book.create_sheet("people")
    shown.append(["photo", "shown"])
    shown.append(["a.jpg", 1])
    book.create_sheet("more").append(["photo"])
    book.active = 3
    assert rows(saved(book)) == [["photo", "shown"], ["a.jpg", "1"]]


def test_a_workbook_of_hidden_sheets_has_none() -> None:
    """And says so."""
    book = parts()["xl/workbook.xml"].replace("<sheet ", '<sheet state="hidden" ')
    assert "no sheet" in refusal(workbook(book=book)).text("en")


def test_merged_cells_have_their_text_once() -> None:
    """In the first of them, as they are in the file."""
    book = openpyxl.Workbook()
    for row in (["photo", "slogan"], ["a.jpg", "one"], ["b.jpg", "two"]):
        book.active.append(row)  # type: ignore[union-attr]
    book.active.merge_cells("B2:B3")  # type: ignore[union-attr]
    assert rows(saved(book)) == [["photo", "slogan"], ["a.jpg", "one"], ["b.jpg", ""]]


def test_other_namespaces_and_encodings_are_read() -> None:
    """Of the strict edition, with prefixes, in UTF-16, places left out, and parts named in other letters."""
    strict = "http://purl.oclc.org/ooxml/spreadsheetml/main"
    xml = (
        f'<x:worksheet xmlns:x="{strict}"><x:sheetData>'
        '<x:row><x:c t="inlineStr"><x:is><x:t>photo</x:t></x:is></x:c>'
        '</x:row><x:row><x:c t="s"><x:v>0</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    contents: dict[str, str | bytes] = {name.upper(): text for name, text in parts().items()}
    contents["XL\\WORKSHEETS\\SHEET1.XML"] = ('<?xml version="1.0" encoding="UTF-16"?>' + xml).encode(
        "utf-16"
    )
    del contents["XL/WORKSHEETS/SHEET1.XML"]
    assert rows(packed(contents)) == [["photo"], ["a.jpg"]]


def test_macros_and_links_are_not_looked_at() -> None:
    """Nor anything else beside the table."""
    contents: dict[str, str | bytes] = dict(parts())
    contents |= {
        "xl/vbaProject.bin": OLD_EXCEL_MAGIC * 10,
        "xl/externalLinks/externalLink1.xml": "<!DOCTYPE x>",
    }
    assert rows(packed(contents)) == [["photo"], ["a.jpg"]]


@pytest.mark.parametrize("magic", [OLD_EXCEL_MAGIC, OLD_EXCEL_MAGIC + bytes(10_000)])
def test_old_and_locked_workbooks_are_told(magic: bytes) -> None:
    """They are the same kind of file."""
    assert "password" in refusal(magic).text("en")


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04",
        small_zip(Zipped(b"a.jpg")),
        small_zip(
            Zipped(b"mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
            Zipped(b"content.xml", b"<x/>"),
        ),
        packed({"_rels/.rels": workbooks.relations(r=("officeDocument", "xl/workbook.bin"))}),
        packed({name: text for name, text in parts().items() if "sheet1" not in name}),
        packed({name: text for name, text in parts().items() if "workbook.xml.rels" not in name}),
        packed(parts() | {"XL/workbook.xml": "<x/>"}),
        workbook(sheet="<worksheet>"),
        workbook(sheet=""),
        workbook(sheet="no XML"),
        workbook(sheet="<?xml version='1.0' encoding='no-such'?><x/>"),
        workbook(sheet="<?xml version='1.0' encoding='shift_jis'?><x/>"),
        workbook(sheet=sheet('<row r="2"/><row r="1"/>')),
        workbook(sheet=sheet('<row r="1"/><row r="1"/>')),
        workbook(sheet=sheet('<row r="0"/>')),
        workbook(sheet=sheet('<row r="1048577"/>')),
        workbook(sheet=sheet('<row r="99999999999999999999999"/>')),
        workbook(sheet=sheet('<row r="٣"/>')),
        workbook(sheet=sheet('<row><c r="1A"/></row>')),
        workbook(sheet=sheet('<row><c r="ZZZ1"/></row>')),
        workbook(sheet=sheet('<row><c t="s"><v>1</v></c></row>')),
        workbook(sheet=sheet('<row><c t="s"><v>-1</v></c></row>')),
        workbook(book_rels=workbooks.relations(rId1=("worksheet", "../../../../etc/passwd"))),
    ],
    # Not by the bytes: a ZIP says when it was made, which is another time in each process of tests.
    ids=map(str, count()),
)
def test_what_is_no_workbook_is_told(content: bytes) -> None:
    """Another archive, another program's, a broken one, or one that contradicts itself."""
    assert isinstance(refusal(content), TableNotReadable)


def laughs(part: str) -> str:
    """Return a part that begins with a billion laughs."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]>'
    return head + part.removeprefix(workbooks.HEAD).replace("a.jpg", "&l9;")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "doctype",
    [
        None,
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>',
        "<!DOCTYPE x>",
    ],
    ids=["billion-laughs", "file", "dtd", "parameter", "plain"],
)
def test_entities_are_refused_in_every_part(part: str, doctype: str | None) -> None:
    """Those that grow, and those that fetch."""
    usual = parts()[PARTS[part]]
    hostile = laughs(usual) if doctype is None else doctype + usual.removeprefix(workbooks.HEAD)
    assert isinstance(refusal(workbook(**{part: hostile})), TableNotReadable)


def test_a_sheet_may_say_that_it_is_huge() -> None:
    """Of a dimension nothing is believed; rows and cells are where they say."""
    heading = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
    last = '<row r="1048576"><c r="A1048576" t="s"><v>1</v></c></row>'
    xml = sheet(heading + last, before='<dimension ref="A1:XFD1048576"/>')
    table = read_table(workbook(sheet=xml, texts=texts("photo", "a.jpg")))
    assert [(row.line, row.cells) for row in table.rows] == [(1_048_576, ("a.jpg",))]


def test_a_cell_far_to_the_right_is_too_much() -> None:
    """Unless there is nothing in it."""

    def wide(xml: str) -> bytes:
        return workbook(sheet=sheet(f'<row r="1"><c t="s"><v>0</v></c>{xml}</row>'), texts=texts("photo"))

    assert read_table(wide('<c r="XFD1" s="0"/>')) == Table(("photo",), ())
    assert isinstance(refusal(wide('<c r="XFD1"><v>1</v></c>')), TableTooLarge)


def repeated(head: str, piece: str, tail: str, size: int = 30_000_000) -> bytes:
    """Return a part of so many bytes, the most of them the same."""
    return (head + piece * ((size - len(head)) // len(piece)) + tail).encode()


def numbered(head: str, piece: str, tail: str, count: int) -> bytes:
    """Return a part in which no two pieces are the same."""
    return (head + "".join(piece.replace("#", str(number)) for number in range(count)) + tail).encode()


SHEET, SHEET_END = f'<worksheet xmlns="{workbooks.MAIN}"><sheetData>', "</sheetData></worksheet>"
# By name, the part that is hostile, and how it is made; 300 MB of nothing pack into 300 KB.
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "rows": ("sheet", lambda: repeated(SHEET, "<row/>", SHEET_END)),
    "cells": ("sheet", lambda: repeated(f"{SHEET}<row>", "<c/>", f"</row>{SHEET_END}")),
    "values": ("sheet", lambda: repeated(f"{SHEET}<row><c>", "<v>1</v>", f"</c></row>{SHEET_END}")),
    "a-value": ("sheet", lambda: repeated(f"{SHEET}<row><c><v>", "1", f"</v></c></row>{SHEET_END}")),
    "depth": ("sheet", lambda: repeated(SHEET, "<a>", "")),
    "a-tag": ("sheet", lambda: repeated("<x a='", "x", "'/>")),
    "attributes": ("sheet", lambda: numbered("<x ", "a#='' ", "/>", 2_000_000)),
    "names": ("sheet", lambda: numbered("<x>", "<a#/>", "</x>", 1_500_000)),
    "namespaces": ("sheet", lambda: numbered("<x>", "<a xmlns:b#='#'/>", "</x>", 1_000_000)),
    "a-comment": ("sheet", lambda: repeated("<x><!--", "x", "--></x>")),
    "spaces": ("sheet", lambda: repeated("<x>", " ", "</x>")),
    "texts": ("texts", lambda: repeated("<sst>", "<si/>", "</sst>")),
    "a-text": ("texts", lambda: repeated("<sst><si>", "<t>xxxxxxxxxxxxxx</t>", "</si></sst>")),
    "styles": ("styles", lambda: repeated("<x><cellXfs>", "<xf/>", "</cellXfs></x>", 15_000_000)),
    "sheets": ("book", lambda: repeated("<x>", "<sheet/>", "</x>", 15_000_000)),
    "relations": ("rels", lambda: numbered("<x>", "<Relationship Id='#'/>", "</x>", 500_000)),
    "a-part": ("sheet", lambda: bytes(300_000_000)),
    "a-small-part": ("styles", lambda: bytes(20_000_000)),
}
SCRIPT = """
import resource, sys, time
from app.bulk.table import read_table
from app.errors import RibbonsError, TableNotReadable, TableTooLarge
content = open(sys.argv[1], "rb").read()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)
try:
    print(len(read_table(content).rows))
except (TableNotReadable, TableTooLarge) as error:
    print(type(error).__name__)
assert time.process_time() < 60
"""


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_takes_little_memory_and_time(bomb: str, tmp_path: Path) -> None:
    """Of a small file that unpacks to much, in whatever way: it is refused in 300 MB, or is no bomb to us."""
    part, make = BOMBS[bomb]
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(packed({**parts(), PARTS[part]: make()}))
    assert path.stat().st_size < 12_000_000
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert done.stdout in {"TableNotReadable\n", "TableTooLarge\n", "0\n", "1\n"}


def test_a_package_may_not_lie_either() -> None:
    """What it unpacks to, by its directory, and how many parts it has."""
    contents = parts()
    entries = tuple(Zipped(name.encode(), text.encode()) for name, text in contents.items())
    assert rows(Zip(entries).build()) == [["photo"], ["a.jpg"]]
    liars = tuple(Zipped(e.name, e.content, method=8, size=10) if b"sheet1" in e.name else e for e in entries)
    assert isinstance(refusal(Zip(liars).build()), TableNotReadable)
    many = (*entries, *(Zipped(b"%d" % number, b"") for number in range(20_000)))
    assert isinstance(refusal(Zip(many).build()), TableTooLarge)
    locked = tuple(Zipped(e.name, e.content, flags=1) for e in entries)
    assert isinstance(refusal(Zip(locked).build()), TableNotReadable)


WRITTEN = written(["photo", "slogan", "n"], ["a.jpg", "الحرية", 1], ["b.jpg", None, dt.date(2026, 1, 1)])


@settings(max_examples=200, deadline=2000)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0, 1))
def test_changed_bytes_come_to_a_table_or_an_error_of_ours(
    changes: list[tuple[float, int]], cut: float
) -> None:
    """Of the package, whole or cut."""
    content = bytearray(WRITTEN)
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    for length in (len(content), int(cut * len(content))):
        try:
            table = read_table(bytes(content[:length]))
        except (TableNotReadable, TableTooLarge):
            continue
        assert all(len(row.cells) == len(table.columns) for row in table.rows)


@settings(max_examples=200, deadline=2000)
@given(st.sampled_from([*PARTS]), st.integers(0, 2**32))
def test_changed_parts_come_to_a_table_or_an_error_of_ours(part: str, seed: int) -> None:
    """Of what is in the package: pieces of XML exchanged, doubled, or cut."""
    chance = random.Random(seed)  # noqa: S311 - changes, no secret
    usual = parts()[PARTS[part]]
    first, second = sorted(chance.choices(range(len(usual)), k=2))
    other = chance.choice(
        ["", usual[first:second] * 2, '"', "<row/>", "</c>", "&lt;", "9" * 30, "ص", "<v>1</v>"]
    )
    try:
        table = read_table(workbook(**{part: usual[:first] + other + usual[second:]}))
    except (TableNotReadable, TableTooLarge):
        return
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
