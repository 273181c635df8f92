from __future__ import annotations

import codecs
import csv
import io
import random
import time
import tracemalloc
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bulk.table import FIELDS, TableLimits, TableRow, check_table, read_table, write_table
from app.errors import (
    InvalidName,
    InvalidRow,
    InvalidSpec,
    NameRepeated,
    RibbonsError,
    TableNotReadable,
    TableTooLarge,
)
from app.texts.languages import PAGE_LANGUAGES
from tests.workbooks import written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.frames import FrameLibrary

ARABIC = [["photo", "slogan", "رقم"], ["أحمد.jpg", "الحرية للأسرى", "0017"], ["سلمى.png", "", "12,5; x"]]
FRENCH = [["photo", "slogan", "note"], ["Zoë.jpg", "Liberté ; à tous, été", "7"], ["b.jpg", "", '"ça"']]


def csv_of(rows: list[list[str]], separator: str = ",", ending: str = "\r\n") -> str:
    """Return a table as a program of tables writes it."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=ending).writerows(rows)
    return text.getvalue()


def read(text: str, **mapping: str) -> list[TableRow]:
    """Return the rows of a table in UTF-8."""
    return list(read_table(text.encode(), mapping).rows)


def refusal(
    content: bytes, mapping: Mapping[str, str] | None = None, limits: TableLimits | None = None
) -> RibbonsError:
    """Return the error that a table comes to, which says so in each of our languages."""
    with pytest.raises((TableNotReadable, TableTooLarge, InvalidSpec)) as caught:
        read_table(content, mapping or {}, limits or TableLimits())
    error: RibbonsError = caught.value
    assert all(error.text(language) and "{" not in error.text(language) for language in PAGE_LANGUAGES)
    return error


# -- encodings and separators ---------------------------------------------------------


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"], ids=["crlf", "lf", "cr"])
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1256"])
@pytest.mark.parametrize("names_separator", [False, True])
def test_excels_arabic_tables_are_read(
    encoding: str, separator: str, ending: str, *, names_separator: bool
) -> None:
    """In every encoding and with every separator and end of line that Excel has for them."""
    text = (f"sep={separator}{ending}" if names_separator else "") + csv_of(ARABIC, separator, ending)
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    table = read_table(mark + text.encode(encoding))
    assert [list(table.columns), *(list(row.cells) for row in table.rows)] == ARABIC
    assert [row.line for row in table.rows] == [2, 3]
    assert table.rows[0].fields == (("slogan", "الحرية للأسرى"),)
    assert table.rows[1].fields == ()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_excels_western_tables_are_read(encoding: str, separator: str) -> None:
    """Whose letters Windows-1256 has too, at the same places."""
    table = read_table(csv_of(FRENCH, separator).encode(encoding))
    assert [list(table.columns), *(list(row.cells) for row in table.rows)] == FRENCH


@pytest.mark.parametrize(
    "text",
    [
        "photo,slogan\na.jpg,«الحرية»\n",
        "photo,slogan\nع.jpg,\n",
        "photo;slogan\nahmad.jpg;لا، لن ننسى!\n",
        "photo\tslogan\na.jpg\tFree them الحرية\n",
        "photo,name\n" + "a.jpg,John\n" * 20_000 + "b.jpg,محمد\n",
    ],
)
def test_few_arabic_words_are_enough(text: str) -> None:
    """For Windows-1256: in quotation marks, a single letter, beside English, or far down."""
    assert read_table(text.encode("cp1256")) == read_table(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "photo,slogan\na.jpg,Müller\n",
        "photo,slogan\nJosé Ñandú.jpg,¡Sí!\n",
        "photo,slogan\nÅsa.jpg,Größe – 5 €\n",
    ],
)
def test_western_words_are_not_taken_for_arabic(text: str) -> None:
    """Where Windows-1256 would make Arabic letters of accents, inside of words."""
    assert read_table(text.encode("cp1252")) == read_table(text.encode())


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "rows",
    [
        [["photo"], ["a.jpg"], ["b.jpg"]],
        [["photo", "slogan"], ["a.jpg", "one, two; three\tfour"]],
        [["first,name;x", "photo"], ["a", "b.jpg"]],
        [["photo", ""], ["a.jpg", ""]],
        [["a", "b", "photo"], ["e", "e", "e.jpg"], ["ee", "ee", "eee.jpg"]],
        [["photo", "text"], ["a.jpg", "a,b,c,d\n1,2,3,4\n1;2;3;4"]],
    ],
)
def test_the_headings_tell_the_separator(rows: list[list[str]], separator: str) -> None:
    """Whatever stands in the cells: csv.Sniffer takes letters for it, or none."""
    table = read_table(csv_of(rows, separator).encode())
    assert [row.photo for row in table.rows] == [row[rows[0].index("photo")] for row in rows[1:]]


def test_a_separator_that_is_named_is_taken() -> None:
    """Also one that is not tried, in quotation marks, and of any case."""
    for first in ("sep=|\n", '"sep=|"\r\n', "SEP=|\r"):
        assert read(first + "photo|slogan\na,b;c.jpg|x\n")[0].photo == "a,b;c.jpg"


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\0",
        b"photo,slogan\na\0.jpg,x\n",
        "photo\na.jpg\n".encode("utf-16-le"),
        codecs.BOM_UTF16_LE + b"p",
        codecs.BOM_UTF16_LE + b"\x00\xd8\x00\xd8",
        codecs.BOM_UTF8 + b"photo\n\xff\n",
        codecs.BOM_UTF16_LE + "photo\n\0\n".encode("utf-16-le"),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    ],
)
def test_what_is_no_text_is_told(content: bytes) -> None:
    """NUL, half of a character, or what its mark does not say."""
    assert "CSV" in refusal(content).text("en")


@pytest.mark.parametrize(
    "text", ['photo,slogan\na.jpg,"x\nb.jpg,y\n', 'photo,slogan\na.jpg,"x"y\n', '"photo\n', '"']
)
def test_wrong_quotation_marks_are_told_with_their_row(text: str) -> None:
    """One that is not closed would swallow all the photos after it."""
    error = refusal(text.encode())
    assert "quotation mark" in error.text("en")
    assert error.params["row"] == (2 if "a.jpg" in text else 1)


def test_rows_are_counted_as_a_spreadsheet_counts() -> None:
    """With empty ones, and a text of several lines as one row; not with the line that names the separator."""
    text = 'sep=,\r\n\r\nphoto,note\r\na.jpg,"1\r\n2\r\n3"\r\n\r\n,,\r\nb.jpg,x\r\n'
    assert [(row.line, row.photo) for row in read(text)] == [(3, "a.jpg"), (6, "b.jpg")]


# -- columns --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heading",
    [
        "photo",
        " Photo ",
        "PHOTO",
        "\ufeffphoto",
        "\u200fphoto\u200e",
        "\xa0photo\xa0",
        "ｐｈｏｔｏ",
        "File_Name",
        "file  name",
    ],
)
def test_the_photos_column_is_found(heading: str) -> None:
    """With capitals, spaces, and characters that nobody sees; by another name that people give it."""
    assert read(f'"{heading}",slogan\na.jpg,x\n')[0].photo == "a.jpg"


@pytest.mark.parametrize(
    "heading", ["صورة", "الصورة", "صــورة", "صُورَة", "صوره", "اسم الملف", "إسم الملف", "عكس", "عکس"]
)
def test_arabic_headings_are_found(heading: str) -> None:
    """However they are spelled: with tatweel, vowel marks, heh for teh marbuta, another alef or kaf."""
    table = read_table(f"رقم,{heading}\n1,a.jpg\n".encode())
    assert table.columns == ("رقم", heading)
    assert table.rows[0].photo == "a.jpg"


@pytest.mark.parametrize(
    "heading", ["شعار", " شعار ", "شعــار", "\ufeffشعار", "شِعار", unicodedata.normalize("NFD", "شعار")]
)
def test_a_mapping_names_a_column(heading: str) -> None:
    """Ours by theirs, as ``slogan=شعار``; spelled in any way."""
    row = read(f'photo,"{heading}"\na.jpg,حرية\n', slogan="شعار")[0]
    assert row.fields == (("slogan", "حرية"),)


def test_a_mapping_wins_over_a_name() -> None:
    """Of photos' names, too; the column of our name is then the partner's own."""
    text = "photo,picture file,slogan,words,size\na,b.jpg,c,d,XL\n"
    row = read(text, photo="picture file", slogan="words", size="")[0]
    assert row.photo == "b.jpg"
    assert row.fields == (("slogan", "d"),)
    assert row.cells == ("a", "b.jpg", "c", "d", "XL")


def test_every_field_of_the_spec_may_be_a_column() -> None:
    """By its own name, in any case; empty cells give nothing."""
    header = ",".join(["photo", *(name.upper() for name in FIELDS)])
    row = read(f"{header}\na.jpg," + ",".join(["1"] * len(FIELDS)) + "\n")[0]
    assert dict(row.fields) == dict.fromkeys(FIELDS, "1")
    assert read(f"{header}\na.jpg, ,\u200f,\xa0\n")[0].fields == ()


@pytest.mark.parametrize(
    ("text", "mapping", "told"),
    [
        ("", {}, "The table is empty."),
        ("\ufeff", {}, "The table is empty."),
        ("\r\n , ,\r\n", {}, "The table is empty."),
        (
            "a.jpg,x\nb.jpg,y\n",
            {},
            "No column of the table has the photos’ names. Its columns are: a.jpg, x.",
        ),
        ("file,image\na,b\n", {}, "Several columns of the table could have the photos’ names: file, image."),
        ("photo,Photo \na,b\n", {}, "The table has the column “photo” more than once."),
        ("photo,slogan,SLOGAN\na,b,c\n", {}, "The table has the column “slogan” more than once."),
        ("photo,x\na,b\n", {"slogan": "شعار"}, "The table has no column “شعار”. Its columns are: photo, x."),
        ("photo,w,w\na,b,c\n", {"slogan": "w"}, "The table has the column “w” more than once."),
    ],
)
def test_a_table_that_cannot_be_used_says_why(text: str, mapping: dict[str, str], told: str) -> None:
    """Which column it lacks, or has more than once."""
    error = refusal(text.encode(), mapping)
    assert isinstance(error, TableNotReadable)
    assert told in error.text("en").replace("\u2068", "").replace("\u2069", "")


def test_a_mapping_of_no_field_is_told() -> None:
    """It is whoever gave it who is wrong, not the table."""
    error = refusal(b"photo\na\n", {"slogn": "x"})
    assert isinstance(error, InvalidSpec)
    assert error.reason("en").startswith("column: This must be one of: photo, frame, ")
    assert error.hint_text("en") is None  # of how one photo is sent, which is not at issue


def test_the_partners_columns_may_come_twice() -> None:
    """And may have no heading; empty ones at the end are not theirs."""
    table = read_table(b"id,id,,photo,,\n1,2,3,a.jpg,,\n")
    assert table.columns == ("id", "id", "", "photo")
    assert table.rows[0].cells == ("1", "2", "3", "a.jpg")


def test_a_long_header_is_told_in_short() -> None:
    """Of many long headings, a few beginnings."""
    error = refusal((",".join(f"{n}{'x' * 500}" for n in range(500)) + "\n").encode())
    assert len(error.text("en")) < 1200


# -- rows --------------------------------------------------------------------------------


def test_short_rows_are_filled_up() -> None:
    """A cell for each column, so that the report keeps its shape."""
    assert read("photo,a,b\nx.jpg\n")[0].cells == ("x.jpg", "", "")


def test_a_row_that_is_too_long_is_told() -> None:
    """A separator in a text that is not in quotation marks would give a photo half of its words."""
    row = read("photo,slogan\na.jpg,Hello, world\nb.jpg,x,,\n")[0]
    assert row.cells == ("a.jpg", "Hello")
    assert isinstance(row.problem, InvalidRow)
    assert row.problem.params["row"] == 2
    assert read("photo,slogan\na.jpg,x,,,\n")[0].problem is None


@pytest.mark.parametrize(
    ("cell", "photo"),
    [
        (" a.jpg ", "a.jpg"),
        ("\u200fأحمد.jpg\u200f", "أحمد.jpg"),
        ("team\\a.jpg", "team/a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("'=a.jpg", "=a.jpg"),
        ("=a.jpg", "=a.jpg"),
        (unicodedata.normalize("NFD", "Zoë.jpg"), unicodedata.normalize("NFD", "Zoë.jpg")),
    ],
)
def test_a_photos_name_is_cleaned(cell: str, photo: str) -> None:
    """Of what people and programs put around it; it is found by its folded form."""
    table = read_table(f'photo\n"{cell}"\n'.encode())
    assert table.rows[0].photo == photo
    assert table.by_photo()[unicodedata.normalize("NFC", photo)] is table.rows[0]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("../a.jpg", InvalidName), ("/a.jpg", InvalidName), ("\x01", InvalidName), ("", InvalidRow)],
)
def test_a_row_without_a_right_name_is_told(
    cell: str, kind: type[RibbonsError], frames: FrameLibrary
) -> None:
    """It leads elsewhere, or is none at all; the other rows are read."""
    table = read_table(f"photo,slogan\n{cell},x\nb.jpg,y\n".encode())
    assert [(p.line, type(p.error)) for p in check_table(table, [], frames)] == [(2, kind)]
    assert [row.photo for row in table.rows][1] == "b.jpg"


def test_a_failed_formula_is_no_slogan(frames: FrameLibrary) -> None:
    """It would be drawn on somebody's photo. In a column of the partner's it is their own affair."""
    table = read_table(b"photo,slogan,note\na.jpg,#N/A,\nb.jpg,y,#REF!\n")
    problems = check_table(table, [], frames)
    assert [(problem.line, problem.error.params["column"]) for problem in problems] == [(2, "slogan")]


def test_of_two_rows_of_a_photo_the_first_counts(frames: FrameLibrary) -> None:
    """Also where they spell its name in two ways; the second one is told."""
    apart = unicodedata.normalize("NFD", "Zoë.jpg")
    table = read_table(f"photo,slogan\nZoë.jpg,one\n{apart},two\nzoë.jpg,three\n".encode())
    assert [(p.line, p.photo, type(p.error)) for p in check_table(table, [], frames)] == [
        (3, apart, NameRepeated)
    ]
    assert table.by_photo()["Zoë.jpg"].fields == (("slogan", "one"),)


def test_wrong_fields_are_told_by_row(frames: FrameLibrary) -> None:
    """All that are wrong in a row, in the reader's language."""
    table = read_table('photo,size,shape,zoom\na.jpg,12,round,\nb.jpg,٥١٢,square,"1,5"\nc.jpg,,,9\n'.encode())
    problems = check_table(table, [], frames)
    assert [(p.line, p.photo) for p in problems] == [(2, "a.jpg"), (4, "c.jpg")]
    assert isinstance(problems[0].error, InvalidSpec)
    assert [fault.field for fault in problems[0].error.problems] == ["size", "shape"]
    assert problems[0].error.text("ar") != problems[0].error.text("en")


def test_a_row_wins_over_what_is_given(frames: FrameLibrary) -> None:
    """For its own photo; what it leaves open comes from what is given, and both are checked together."""
    table = read_table(b"photo,format,size\na.jpg,png,\nb.jpg,jpeg,\nc.jpg,,64\n")
    given_fields = [("shape", "circle"), ("format", "webp"), ("size", "nonsense")]
    faults = {p.photo: [f.field for f in p.error.problems] for p in check_table(table, given_fields, frames)}  # type: ignore[attr-defined]
    assert faults == {"a.jpg": ["size"], "b.jpg": ["size"]}
    assert [p.photo for p in check_table(table, [("shape", "circle")], frames)] == ["b.jpg"]


# -- a table to fill in --------------------------------------------------------------------


def test_a_table_to_fill_in_is_read_back(frames: FrameLibrary) -> None:
    """Whatever the photos are called; nothing in it runs, and nothing is asked for yet."""
    photos = ["a.jpg", "=1+1.jpg", "team/أحمد, 2.jpg", 'x"y.png', "-.gif", "a;=b.jpg"]
    content = write_table(photos)
    assert content.startswith(codecs.BOM_UTF8)
    assert b"\n=" not in content
    table = read_table(content)
    assert table.columns == ("photo", *FIELDS)
    assert [row.photo for row in table.rows] == photos
    assert all(row.fields == () for row in table.rows)
    assert check_table(table, [], frames) == []


# -- bounds ------------------------------------------------------------------------------------


def test_a_million_rows_are_refused() -> None:
    """When there are too many, not when all were read; and as many as may be are read."""
    limits = TableLimits(rows=1000)
    assert len(read_table(b"photo\n" + b"a.jpg\n" * 1000, limits=limits).rows) == 1000
    tracemalloc.start()
    for content in (b"photo\n" + b"a.jpg\n" * 1_000_000, written(["photo"], *[["a.jpg"]] * 5000)):
        assert refusal(content, limits=limits).params == {"limit": 1000}
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()


HUGE = {
    "a-cell": lambda: b'photo,x\na.jpg,"' + b"x" * 60_000_000 + b'"\n',
    "a-line": lambda: b"x" * 60_000_000,
    "a-heading": lambda: b"photo," + b"x" * 2_000_000 + b"\n",
    "cells": lambda: b"photo\n" + b"," * 60_000_000,
    "headings": lambda: b"photo" + b",x" * 5000,
    "cells-of-many-lines": lambda: b"photo\n" + b',,,,"\n",' * 7_000_000,
    "empty-lines": lambda: b"photo\n" + b"\n" * 60_000_000,
    "only-empty-lines": lambda: b"\r" * 60_000_000,
    "wide-rows": lambda: b"photo" + b",x" * 900 + b"\n" + b"a\n" * 50_000,
    "bytes": lambda: b"photo\n" + bytes(70_000_000),
    "utf-16": lambda: codecs.BOM_UTF16_LE + b"x\0" * 30_000_000,
    "quotes": lambda: b"photo\n" + b'"' * 60_000_000,
    "old-letters": lambda: b"photo\n" + b"\xd8\xc7" * 30_000_000,
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_tables_take_little_memory_and_time(kind: str) -> None:
    """A cell of megabytes, a row of millions of cells, lines without an end: refused before they are made."""
    content = HUGE[kind]()
    started = time.process_time()
    tracemalloc.start()
    refusal(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 130_000_000
    assert time.process_time() - started < 60


@settings(max_examples=300, deadline=2000)
@given(
    st.binary(max_size=200)
    | st.text('photo,;\t"\r\n صab=sep', max_size=80).map(str.encode)
    | st.text('photo,;\t"\r\n صab', max_size=80).map(lambda text: b"photo;slogan\n" + text.encode("cp1256"))
)
def test_any_bytes_come_to_a_table_or_an_error_of_ours(content: bytes) -> None:
    """And of a table, each row has a cell for each column."""
    try:
        table = read_table(content)
    except (TableNotReadable, TableTooLarge):
        return
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
    assert [row.line for row in table.rows] == sorted({row.line for row in table.rows})


def test_fifty_thousand_rows_are_read_and_checked_in_seconds(frames: FrameLibrary) -> None:
    """Each with words of its own."""
    chance = random.Random(5)  # noqa: S311 - words, no secret
    rows = [[f"{number}.jpg", "الحرية " + str(chance.random()), str(number)] for number in range(50_000)]
    content = csv_of([["photo", "slogan", "id"], *rows]).encode("cp1256")
    started = time.process_time()
    table = read_table(content)
    problems = check_table(table, [("size", "512")], frames)
    assert time.process_time() - started < 60
    assert (len(table.rows), problems) == (50_000, [])
