from __future__ import annotations

import csv
import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bulk.cells import as_it_was
from app.bulk.report import OUR_COLUMNS, ReportRow, is_to_go_on, read_report, report_lines
from app.errors import FieldProblem, InvalidSpec, MissingGlyphs, PhotoDamaged, PhotoTooSmall
from app.render.framing import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MADE = ReportRow(
    "people/a.jpg", "people/a.png", "made", framing=Choice("faces", 0.5, 0.25, 1.2), seconds=0.0517
)
FAILED = ReportRow("b.jpg", None, "failed", error=PhotoTooSmall(width=8, height=9, minimum=16), seconds=0.25)
MISSING = ReportRow("c.jpg", None, "missing")

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["=1", "'=1", "a;=1", "photo", "X", ""]
)
NAMES = st.sampled_from(
    ["photo", "Photo ", "avatar", "ribbons_avatar", "x", "X", "seconds", "id", "", *OUR_COLUMNS]
)


def report(columns: Sequence[str], *rows: ReportRow, language: str = "en") -> bytes:
    """Return a whole report."""
    return b"".join(report_lines(columns, rows, language))


def cells(content: bytes) -> list[list[str]]:
    """Return a report's cells, as any program reads them."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_a_report_says_what_became_of_each_photo() -> None:
    """A row for each, with the names of our columns above; numbers as programs write them."""
    assert report([], MADE, FAILED, MISSING).decode() == (
        "\ufeffphoto,avatar,outcome,error,error_text,framing,x,y,zoom,seconds\r\n"
        "people/a.jpg,people/a.png,made,,,faces,0.500,0.250,1.200,0.052\r\n"
        "b.jpg,,failed,photo_too_small,"
        "This photo is only 8 × 9 pixels. Choose one with at least 16 on each side.,,,,,0.250\r\n"
        "c.jpg,,missing,,,,,,,\r\n"
    )


def test_errors_speak_the_readers_language() -> None:
    """Their codes stay."""
    told = {}
    for language in ("en", "ar"):
        row = dict(zip(*cells(report([], FAILED, language=language)), strict=True))
        assert row["error"] == "photo_too_small"
        told[language] = row["error_text"]
    assert told["ar"] == PhotoTooSmall(width=8, height=9, minimum=16).text("ar") != told["en"]


def test_a_row_that_is_wrong_says_what_is_wrong_with_it() -> None:
    """Field by field: nobody could put right “some settings”."""
    wrong = InvalidSpec(
        [
            FieldProblem.of("size", "out_of_range", minimum=64, maximum=2048),
            FieldProblem.of("x", "not_a_number"),
        ]
    )
    row = dict(zip(*cells(report([], ReportRow("a.jpg", None, "failed", wrong))), strict=True))
    assert row["error_text"] == "size: This must be from 64 to 2048. x: This must be a number."


def test_the_partners_columns_come_first_and_as_they_were() -> None:
    """Named twice, empty, in any script; whoever has no row has empty cells."""
    columns = ["رقم", "note", "note", "", "صورة"]
    row = ReportRow("a.jpg", "a.png", "made", cells=("007", "x\ny", 'a "b", c', " ", "A.jpg"))
    header, first, second = cells(report(columns, row, MISSING))
    assert header == [*columns, *OUR_COLUMNS]
    assert first[:6] == ["007", "x\ny", 'a "b", c', " ", "A.jpg", "a.jpg"]
    assert second[:6] == ["", "", "", "", "", "c.jpg"]


def test_the_photo_is_not_told_twice() -> None:
    """A column of this name is the partner's; a photo without a row is named there."""
    header, first, second = cells(
        report(["id", "Photo"], ReportRow("a.jpg", None, "made", cells=("1", "a.jpg")), MISSING)
    )
    assert header == ["id", "Photo", *OUR_COLUMNS[1:]]
    assert first[:2] == ["1", "a.jpg"]
    assert second[:2] == ["", "c.jpg"]


def test_our_columns_are_renamed_where_the_partner_has_their_names() -> None:
    """Also in capitals, which programs of tables do not tell apart, and also where the new name is taken."""
    header = cells(report(["X", "error", "ribbons_error"], MADE))[0]
    assert header[3:] == [
        *("photo", "avatar", "outcome", "ribbons_ribbons_error", "error_text", "framing"),
        *("ribbons_x", "y", "zoom", "seconds"),
    ]


def test_short_and_long_rows_stay_in_their_columns() -> None:
    """A row that has more or fewer cells than the table has columns moves none of ours."""
    rows = cells(
        report(
            ["a", "b"],
            ReportRow("p", None, "made", cells=("1",)),
            ReportRow("q", None, "made", cells=("1", "2", "3")),
        )
    )
    assert [row[:3] for row in rows[1:]] == [["1", "", "p"], ["1", "2", "q"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1", "\ufeff=1", "a;=1"])
def test_nothing_in_a_report_runs(text: str) -> None:
    """Neither headings and cells of the partner's, nor names, nor what an error quotes."""
    error = MissingGlyphs(characters=text, codes="U+003D", frame="x", lang="ar")
    row = ReportRow(text, text, "failed", error=error, cells=(text,))
    for line in cells(report([text], row)):
        for cell in line:
            assert not cell.strip("\ufeff\t\r\n ").startswith(tuple("=+-@＝"))
            assert ";=" not in cell
    assert [as_it_was(cell) for cell in cells(report([text], row))[1][:3]] == [text, text, text]


def test_our_numbers_are_numbers() -> None:
    """Also one that is less than nothing, and has no sign when it is rounded to nothing."""
    row = ReportRow("a", "a", "made", framing=Choice("given", -0.0001, 1.0, 8.0), seconds=-0.5)
    assert cells(report([], row))[1][6:] == ["0.000", "1.000", "8.000", "-0.500"]


def test_a_report_is_read_back() -> None:
    """Its own columns, by their own names, whatever they had to be called."""
    columns = ["outcome", "photo", "=x"]
    rows = (
        ReportRow(
            "=a.jpg",
            "=a.png",
            "made",
            framing=Choice("head", 0.5, 0.3, 1),
            seconds=1,
            cells=("o", "=a.jpg", "=1"),
        ),
        ReportRow("b.jpg", None, "failed", error=PhotoDamaged(), cells=("", "b.jpg", "")),
    )
    first, second = read_report(report(columns, *rows))
    assert first == {
        "photo": "=a.jpg",
        "avatar": "=a.png",
        "outcome": "made",
        "error": "",
        "error_text": "",
        "framing": "head",
        "x": "0.500",
        "y": "0.300",
        "zoom": "1.000",
        "seconds": "1.000",
    }
    assert (second["outcome"], second["error"]) == ("failed", "photo_damaged")


@given(
    st.lists(TEXTS | NAMES, max_size=6),
    st.lists(st.tuples(TEXTS, TEXTS, st.lists(TEXTS, max_size=6)), max_size=4),
)
def test_any_report_is_read_back(columns: list[str], rows: list[tuple[str, str, list[str]]]) -> None:
    """Names of avatars and outcomes exactly; those of photos where the partner has no column for them."""
    given_rows = [ReportRow(photo, avatar, "made", cells=tuple(own)) for photo, avatar, own in rows]
    found = read_report(report(columns, *given_rows))
    assert [row["avatar"] for row in found] == [avatar for _, avatar, _ in rows]
    assert all(row["outcome"] == "made" and tuple(row) == OUR_COLUMNS for row in found)
    if not any(column.strip().casefold() == "photo" for column in columns):
        assert [row["photo"] for row in found] == [photo for photo, _, _ in rows]


def test_a_report_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    """Wherever its writer was killed: whole rows only, and never an error."""
    whole = report(
        ["note"], *(ReportRow(f"{n}.jpg", f"{n}.png", "made", cells=(f'a "{n}"\r\nb',)) for n in range(3))
    )
    for length in range(len(whole) + 1):
        found = read_report(whole[:length])
        assert [row["photo"] for row in found] == [f"{n}.jpg" for n in range(len(found))]
    assert len(found) == 3


@pytest.mark.parametrize(
    "content", [b"", b"\xef\xbb\xbf", b"a,b\r\n1,2\r\n", b"\xff\xfe\x00", b'"', b"\0\r\n", b"photo\r\nx\r\n"]
)
def test_what_is_no_report_has_no_rows(content: bytes) -> None:
    """Whatever it is."""
    assert read_report(content) == []


def test_a_long_report_is_written_in_little_memory() -> None:
    """A row at a time, whatever its length."""

    def many() -> Iterator[ReportRow]:
        for number in range(20_000):
            yield ReportRow(f"{number}.jpg", f"{number}.png", "made", cells=("x" * 100,))

    tracemalloc.start()
    length = sum(map(len, report_lines(["note"], many(), "en")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 2_000_000
    assert peak < 500_000


@pytest.mark.parametrize(
    ("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-16"), (",", "utf-8"), (";", "cp1256")]
)
def test_a_report_that_an_office_program_has_saved_is_still_one(separator: str, encoding: str) -> None:
    """People open a report and save it: with the separator and the encoding of their country."""
    square = Choice("centre", 0.5, 0.5, 1.0)
    row = ReportRow("أ.jpg", "أ.png", "made", None, square, 0.5, ("u1", "أ.jpg"), "made-from")
    ours = b"".join(report_lines(("id", "photo"), [row], "ar", goes_on=True))
    saved = io.StringIO(newline="")
    csv.writer(saved, delimiter=separator).writerows(csv.reader(io.StringIO(ours.decode("utf-8-sig"))))
    content = saved.getvalue().encode(encoding)
    assert is_to_go_on(content)
    assert read_report(content) == read_report(ours)
