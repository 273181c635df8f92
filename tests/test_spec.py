from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from app.errors import InvalidSpec
from app.frames import FrameLibrary
from app.spec import AvatarSpec, field_choices, field_range, parse_spec, plain_number, takes_number

if TYPE_CHECKING:
    from pathlib import Path


def problems(frames: FrameLibrary, **values: str) -> dict[str, str]:
    """Return what is wrong with each bad field of a spec that is refused."""
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(values.items(), frames)
    return {problem.field: problem.kind for problem in caught.value.problems}


def test_nothing_given_is_the_campaigns_picture(frames: FrameLibrary) -> None:
    """The defaults are those of the design: 1080 px, square, JPEG, the Arabic slogan, a chosen square."""
    spec = parse_spec([], frames)
    assert spec == AvatarSpec(frame="red-ribbons")
    assert (spec.frame, spec.lang, spec.slogan, spec.size) == ("red-ribbons", "ar", None, 1080)
    assert (spec.shape, spec.output_format) == ("square", "jpeg")
    assert (spec.x, spec.y, spec.zoom) == (None, None, None)
    assert (spec.rotate, spec.flip, spec.faces) == (0, False, "on")


def test_a_circle_is_a_png_unless_told(frames: FrameLibrary) -> None:
    """A circle needs transparency, so its default format has it."""
    assert parse_spec([("shape", "circle")], frames).output_format == "png"
    assert parse_spec([("shape", "circle"), ("format", "webp")], frames).output_format == "webp"


def test_a_circle_as_jpeg_is_refused(frames: FrameLibrary) -> None:
    """JPEG cannot be transparent outside the circle."""
    assert problems(frames, shape="circle", format="jpeg") == {"format": "needs_transparency"}


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("size", "63", "out_of_range"),
        ("size", "2049", "out_of_range"),
        ("size", "big", "not_an_integer"),
        ("size", "100.5", "not_an_integer"),
        ("size", "9" * 5000, "not_an_integer"),
        ("x", "-0.01", "out_of_range"),
        ("x", "1.01", "out_of_range"),
        ("y", "nan", "not_a_number"),
        ("y", "left", "not_a_number"),
        ("zoom", "0.49", "out_of_range"),
        ("zoom", "8.01", "out_of_range"),
        ("zoom", "inf", "not_a_number"),
        ("rotate", "181", "out_of_range"),
        ("rotate", "-180.5", "out_of_range"),
        ("flip", "left", "not_one_of"),
        ("flip", "2", "not_one_of"),
        ("flip", "t", "not_one_of"),
        ("flip", "truefalse", "not_one_of"),
        ("flip", "1.0", "not_one_of"),
        ("flip", " ", "not_one_of"),
        ("faces", "some", "not_one_of"),
        ("faces", "auto", "not_one_of"),
        ("shape", "star", "not_one_of"),
        ("shape", "Circle", "not_one_of"),
        ("format", "bmp", "not_one_of"),
        ("frame", "no-such-frame", "not_one_of"),
        ("frame", "../red-ribbons", "not_one_of"),
        ("lang", "xx", "not_one_of"),
        ("slogan", "س" * 61, "too_long"),
        ("slogan", "حر\x00ية", "not_text"),
        ("slogan", "حر\ud800ية", "not_text"),
        ("slogan", "\ue000", "not_text"),
        ("slogan", "\u064e\u064f", "not_text"),
        ("colour", "green", "unknown"),
    ],
)
def test_a_bad_value_is_named(frames: FrameLibrary, field: str, value: str, kind: str) -> None:
    """Every field outside its range or type is refused with the field's name and what is wrong."""
    assert problems(frames, **{field: value}) == {field: kind}


@pytest.mark.parametrize("field", ["size", "x", "y", "zoom", "rotate"])
def test_both_ends_of_a_range_are_inside_it(frames: FrameLibrary, field: str) -> None:
    """The smallest and the largest value are taken."""
    for bound in field_range(field):
        assert getattr(parse_spec([(field, str(bound))], frames), field) == bound


def test_every_bad_field_is_named_at_once(frames: FrameLibrary) -> None:
    """A sender mends everything in one go, in the order of the spec's own fields."""
    with pytest.raises(InvalidSpec) as caught:
        parse_spec([("zoom", "9"), ("colour", "x"), ("size", "1"), ("frame", "none"), ("lang", "")], frames)
    assert [problem.field for problem in caught.value.problems] == ["frame", "size", "zoom", "colour"]


@pytest.mark.parametrize(
    ("field", "texts", "meant"),
    [
        ("size", ("500", "500"), 500),
        ("size", ("500", "٥٠٠", "۵۰۰", "500.0"), 500),
        ("x", ("0.5", "٠٫٥", ".50"), 0.5),
        ("rotate", ("0", "-0"), 0),
        ("zoom", ("0.5", "", "٫٥"), 0.5),
        ("flip", ("true", "on", "YES", "١"), True),
        ("faces", ("off", "false"), "off"),
        ("shape", ("circle", "circle"), "circle"),
        ("slogan", ("غزة في القلب", " غزة  في القلب", "غزة في القلب\ufeff"), "غزة في القلب"),
        ("lang", ("en", "", "en"), "en"),
        ("lang", ("", "en"), "en"),
        ("lang", ("en", ""), "en"),
    ],
)
def test_a_field_may_say_the_same_again(
    frames: FrameLibrary, field: str, texts: tuple[str, ...], meant: object
) -> None:
    """What is meant is compared, not how it is written; an empty value says nothing."""
    assert getattr(parse_spec([(field, text) for text in texts], frames), field) == meant


@pytest.mark.parametrize(
    ("field", "texts", "kinds"),
    [
        ("size", ("500", "600"), ["repeated"]),
        ("size", ("500", "500", "", "501"), ["repeated"]),
        ("x", ("0.5", "0.51"), ["repeated"]),
        ("flip", ("true", "false"), ["repeated"]),
        ("faces", ("on", "off"), ["repeated"]),
        ("shape", ("circle", "square"), ["repeated"]),
        ("frame", ("red-ribbons", "ribbon-loop"), ["repeated"]),
        ("slogan", ("غزة", "القدس"), ["repeated"]),
        ("slogan", ("غزة", " "), ["repeated"]),
        ("size", ("500", "big"), ["repeated", "not_an_integer"]),
        ("size", ("big", "500"), ["repeated"]),
        ("size", ("big", "big"), ["not_an_integer"]),
        ("colour", ("red", "red"), ["unknown"]),
        ("colour", ("red", "green"), ["repeated", "unknown"]),
    ],
)
def test_a_field_that_contradicts_itself_is_refused(
    frames: FrameLibrary, field: str, texts: tuple[str, ...], kinds: list[str]
) -> None:
    """Two values for a field would leave one unheard."""
    with pytest.raises(InvalidSpec) as caught:
        parse_spec([(field, text) for text in texts], frames)
    assert [(problem.field, problem.kind) for problem in caught.value.problems] == [
        (field, kind) for kind in kinds
    ]


def test_a_contradiction_names_no_more_of_a_name_than_anyone_needs(frames: FrameLibrary) -> None:
    """The answer does not grow with what was sent."""
    with pytest.raises(InvalidSpec) as caught:
        parse_spec([("a" * 4000, "1"), ("a" * 4000, "2")], frames)
    assert {problem.field for problem in caught.value.problems} == {"a" * 64}


@pytest.mark.parametrize("value", ["", "   ", "\u200f", "\n\t"])
def test_an_empty_slogan_is_none(frames: FrameLibrary, value: str) -> None:
    """An HTML form sends an empty field for a slogan that nobody wrote."""
    assert parse_spec([("slogan", value)], frames).slogan is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ﺍﻟﺤﺮﻳﺔ ﻟﻸﺳﺮﻯ", "الحرية للأسرى"),
        ("\ufeffالحر\u200bية\u00ad", "الحرية"),
        ("ﷺ", "ﷺ"),
        ("آية ۝", "آية ۝"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ﻛﹷﺘﹷﺐ", "ك\u064eت\u064eب"),
        ("ﻛﹷﺘﹷﺐ  ﹶ ﺐ", "ك\u064eت\u064eب \u064e ب"),
        ("ﹶﻛﺘﺐ", "\u064eكتب"),
        ("i̇stanbul i̇çin İSTANBUL ışık", "istanbul için İSTANBUL ışık"),
    ],
)
def test_a_pasted_slogan_is_what_it_looks_like(frames: FrameLibrary, given: str, kept: str) -> None:
    """Presentation forms out of a PDF become letters, and what a clipboard hides between them goes."""
    assert parse_spec([("slogan", given)], frames).slogan == kept


ENDLESS_MARKS = "e" + "\u0301\u0316" * 30_000


@pytest.mark.parametrize("slogan", ["ﻻ" * 45, "ﻻ" * 31, "ﷲ" * 16, "e\u0301" * 61, ENDLESS_MARKS])
def test_the_length_is_that_of_the_letters(frames: FrameLibrary, slogan: str) -> None:
    """A form counts as the letters that it stands for; endless marks are refused unsorted."""
    start = time.process_time()
    assert problems(frames, slogan=slogan) == {"slogan": "too_long"}
    assert time.process_time() - start < 0.5


def test_sixty_letters_in_any_spelling_are_not_too_long(frames: FrameLibrary) -> None:
    """Accents, spaces and what a clipboard hides do not count."""
    spelled = "\ufeff".join(["  ", *["a\u0323\u0302"] * 60, "\n\n" * 300])
    assert parse_spec([("slogan", spelled)], frames).slogan == "ậ" * 60


def test_what_cannot_be_drawn_is_named(frames: FrameLibrary) -> None:
    """Who reads is shown the sign itself, or told that it cannot be seen; who programs gets code points."""
    for slogan, codes, sign in (
        ("حر\x07ية", "U+0007", ""),
        ("حر\U0001fadeية", "U+1FADE", "\U0001fade"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "U+E0067", "\U0001f3f4\U000e0067\U000e0062\U000e007f"),
        ("\u064e\u064f", "U+064E, U+064F", "\u25cc\u064e\u2069 \u2068\u25cc\u064f"),
    ):
        with pytest.raises(InvalidSpec) as caught:
            parse_spec([("slogan", slogan)], frames)
        assert codes in str(caught.value.hint_text("en"))
        for language in ("en", "ar"):
            assert "U+" not in caught.value.text(language)
            assert sign in caught.value.text(language)


@pytest.mark.parametrize(
    "character",
    [
        *("\ufffc", "\ufffd"),
        *("\ufff9", "\ufffa", "\ufffb", "\ufff0", "\ufffe"),
        *("\ue000", "\uf8ff", "\uf6be", "\U000f0000", "\U0010fffd"),
        *("\u0378", "\u2fe0", "\U000e0080"),
        *("\x07", "\u2061", "\u206a"),
    ],
)
def test_placeholders_and_what_has_no_meaning_are_not_drawn(frames: FrameLibrary, character: str) -> None:
    """Some fonts have a box or a picture for them; nobody has typed them, so that is what is advised."""
    for slogan in (character, f"حر{character}ة", f"حرة {character}"):
        with pytest.raises(InvalidSpec) as caught:
            parse_spec([("slogan", slogan)], frames)
        assert [problem.kind for problem in caught.value.problems] == ["not_text"]
        assert "instead of pasting" in caught.value.text("en")
        assert f"U+{ord(character):04X}" in str(caught.value.hint_text("en"))


@pytest.mark.parametrize(("given", "size"), [("٦٤٠", 640), ("۶۴۰", 640)])
def test_digits_of_an_arabic_keyboard_are_digits(frames: FrameLibrary, given: str, size: int) -> None:
    """Whoever types Arabic or Persian digits means the number."""
    spec = parse_spec([("size", given), ("zoom", "١٫٥")], frames)
    assert (spec.size, spec.zoom) == (size, 1.5)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        *[(f"{minus}90", -90) for minus in "-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"],
        *[(f"{plus}90", 90) for plus in ("+", "\ufe62", "\uff0b", " ", "")],
        *[(f"{mark}-90{mark}", -90) for mark in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e"],
        *[(f"-{mark}9{mark}0", -90) for mark in "\u2066\u2067\u2068\u2069\u200b\u200c\u2060\ufeff\u00ad"],
        *[(f"{space}-{space}90{space}", -90) for space in " \t\u00a0\u202f\u2009\u3000"],
        ("\u200f−٩٠\u200f", -90),
        ("1,5", 1.5),
        ("−1,5", -1.5),
        ("١٫٥", 1.5),
        ("۱٫۵", 1.5),
        ("١،٥", 1.5),
        ("१.५", 1.5),
        ("１．５", 1.5),
        ("1,280", 1.28),
        (".5", 0.5),
        ("1.", 1),
        ("15e-1", 1.5),
        ("1E2", 100),
        ("1e-07", 1e-7),
        ("0001", 1),
    ],
)
def test_a_number_is_read_as_people_and_programs_write_it(
    frames: FrameLibrary, given: str, number: float
) -> None:
    """Signs of any width, digits of any script, a decimal comma, and marks that nobody sees."""
    assert parse_spec([("rotate", given)], frames).rotate == number


@pytest.mark.parametrize(
    "given",
    [
        "1080",
        "1080.0",
        "1080.00",
        "1080,0",
        "+1080",
        "1٬080",
        "١٬٠٨٠",
        "1 080",
        "1\u00a0080",
        "1\u202f080",
        "१०८०",
    ],
)
def test_a_whole_number_may_have_its_thousands_apart(frames: FrameLibrary, given: str) -> None:
    """With a space or the Arabic separator; a program may write it as a fraction."""
    assert parse_spec([("size", given)], frames).size == 1080


@pytest.mark.parametrize(
    "given",
    [
        "1_28",
        "1e3",
        "0x100",
        "0b1",
        "1,080",
        "1.080",
        "64.000",
        "64,000",
        "1.280,5",
        "1,280.5",
        "1'080",
        "1 28",
        "12 80",
        "1 0 8 0",
        "1080 080 ",
        "1٬08",
        "300px",
        "50%",
        "90°",
        "--300",
        "+-300",
        "—300",
        "300-",
        "²00",
        "Ⅷ",
        "-",
        ".",
        "true",
    ],
)
def test_what_is_no_whole_number_is_refused(frames: FrameLibrary, given: str) -> None:
    """Nothing is guessed: thousands behind a comma or a point are a fraction to others."""
    assert problems(frames, size=given) == {"size": "not_an_integer"}


@pytest.mark.parametrize(
    "given",
    ["1_5", "1e", "e1", "1e1e1", "0x1p0", "1.5.5", "1,5,5", "1.280,5", "1,280.5", "1 5", "1/2", "½", "1f"],
)
def test_what_is_no_number_is_refused(frames: FrameLibrary, given: str) -> None:
    """Python's own liberties are not taken, nor are anybody's."""
    assert problems(frames, zoom=given) == {"zoom": "not_a_number"}


@pytest.mark.parametrize("given", ["inf", "-inf", "+inf", "nan", "-nan", "NaN", "Infinity", "∞"])
@pytest.mark.parametrize("field", ["x", "y", "zoom", "rotate"])
def test_what_has_no_digit_is_no_number(frames: FrameLibrary, field: str, given: str) -> None:
    """Python has names for what is not finite; supporters do not."""
    assert problems(frames, **{field: given}) == {field: "not_a_number"}


@pytest.mark.parametrize("given", ["1e999", "-1e999"])
def test_a_number_that_python_cannot_hold_is_out_of_range(frames: FrameLibrary, given: str) -> None:
    """It is a number all the same."""
    assert problems(frames, rotate=given) == {"rotate": "out_of_range"}


@given(text=st.text(max_size=40), is_whole=st.booleans())
def test_a_plain_number_is_stable(text: str, *, is_whole: bool) -> None:
    """What was read once is read as the same again, and is ASCII wherever it holds a digit."""
    plain = plain_number(text, is_whole=is_whole)
    assert plain_number(plain, is_whole=is_whole) == plain
    assert plain.isascii() or not any(map(str.isdecimal, plain))


@pytest.mark.parametrize("piece", ["9", "1 000", " 000", "٬", "\u200f", "1,", "e1", "- "])
def test_a_long_number_is_read_at_once(piece: str) -> None:
    """Whatever a stranger repeats in it."""
    start = time.monotonic()
    plain_number("1" + piece * 20_000, is_whole=False)
    assert time.monotonic() - start < 1  # a few milliseconds, on a machine that does nothing else


@pytest.mark.parametrize("field", ["x", "y", "zoom"])
def test_each_part_of_a_square_may_be_absent_by_itself(frames: FrameLibrary, field: str) -> None:
    """An empty value is none, as for every field; what is given stays as it was given."""
    given = {"x": "0.123456", "y": "٠٫٢", "zoom": "0,75"}
    spec = parse_spec({**given, field: ""}.items(), frames)
    numbers = {"x": 0.123456, "y": 0.2, "zoom": 0.75, field: None}
    assert {name: getattr(spec, name) for name in given} == numbers


def test_a_zero_is_not_absent(frames: FrameLibrary) -> None:
    """The left upper corner is a place."""
    spec = parse_spec([("x", "0"), ("y", "٠")], frames)
    assert (spec.x, spec.y) == (0, 0)


YES = [
    "true",
    "True",
    "TRUE",
    "on",
    "On",
    "yes",
    "YES",
    "1",
    "١",
    "۱",
    "१",
    " true\t",
    "\u200fon\u200f",
    "١\ufeff",
]
NO = ["false", "False", "FALSE", "off", "oFF", "no", "NO", "0", "٠", "۰", "０", " no\u00a0", "\u200eoff"]


@pytest.mark.parametrize("given", [*YES, *NO])
def test_yes_and_no_are_read_as_forms_programs_and_people_write_them(
    frames: FrameLibrary, given: str
) -> None:
    """A checkbox sends on, Python True, a telephone capitals and an Arabic keyboard its digits."""
    spec = parse_spec([("flip", given), ("faces", given)], frames)
    assert (spec.flip, spec.faces) == ((True, "on") if given in YES else (False, "off"))


@pytest.mark.parametrize("language", ["ar", "en"])
@pytest.mark.parametrize(("field", "words"), [("flip", ("true", "false")), ("faces", ("on", "off"))])
def test_what_is_neither_yes_nor_no_is_told_the_words(
    frames: FrameLibrary, field: str, words: tuple[str, str], language: str
) -> None:
    """The reader learns in their own language which words there are."""
    with pytest.raises(InvalidSpec) as caught:
        parse_spec([(field, "perhaps")], frames)
    (problem,) = caught.value.problems
    assert problem.choices == words
    assert all(word in problem.text(language) for word in words)


def test_without_faces_all_else_stays(frames: FrameLibrary) -> None:
    """What the operator forbids changes nothing else of what was asked for."""
    spec = parse_spec([("x", "0.3"), ("flip", "on"), ("size", "64")], frames)
    assert spec.without_faces() == parse_spec(
        [("x", "0.3"), ("flip", "on"), ("size", "64"), ("faces", "off")], frames
    )
    assert spec.faces == "on"


def test_white_space_in_a_slogan_is_folded(frames: FrameLibrary) -> None:
    """A slogan pasted with line breaks is one line."""
    assert parse_spec([("slogan", "  الحرية\n\t لهم ")], frames).slogan == "الحرية لهم"


def test_a_slogan_is_composed(frames: FrameLibrary) -> None:
    """Alef and a combining hamza are one letter, as the fonts have it."""
    assert parse_spec([("slogan", "ا\u0654سرى")], frames).slogan == "أسرى"


def test_a_frame_without_custom_text_refuses_a_slogan(frames: FrameLibrary) -> None:
    """Where a frame does not take a slogan of one's own, sending one is an error, not ignored."""
    frame = next(frame for frame in frames if not frame.takes_custom_slogan)
    assert problems(frames, frame=frame.id, slogan="حرية") == {"slogan": "not_offered"}


@given(st.dictionaries(st.sampled_from([*AvatarSpec.model_fields, "other"]), st.text(max_size=80)))
def test_no_words_of_a_stranger_get_past_the_spec(frames: FrameLibrary, values: dict[str, str]) -> None:
    """Any strings at all give a spec inside its ranges, or InvalidSpec that names fields given."""
    named: set[str] = set()
    spec = AvatarSpec(frame="red-ribbons")
    try:
        spec = parse_spec(values.items(), frames)
    except InvalidSpec as error:
        named = {problem.field for problem in error.problems}
    assert 64 <= spec.size <= 2048
    assert spec.zoom is None or 0.5 <= spec.zoom <= 8
    assert spec.slogan is None or 1 <= len(spec.slogan) <= 60
    assert named <= {*values, "format"}


def test_a_spec_cannot_be_changed() -> None:
    """A spec is a key of the overlay cache: it hashes, and stays what it is."""
    spec: Any = AvatarSpec(frame="red-ribbons")
    with pytest.raises(ValueError, match="frozen"):
        spec.size = 500
    assert hash(spec) == hash(AvatarSpec(frame="red-ribbons"))


def test_the_librarys_first_frame_is_the_default(root: Path, tmp_path: Path) -> None:
    """A library without ``red-ribbons`` serves, in a language that its frame has."""
    shutil.copytree(root / "frames" / "ribbon-loop", tmp_path / "another")
    file = tmp_path / "another" / "frame.toml"
    file.write_text(re.sub(r"(?m)^ar = \{ slogan.*\n", "", file.read_text()))
    library = FrameLibrary([tmp_path], root / "fonts")
    spec = parse_spec([], library)
    assert (spec.frame, spec.lang) == ("another", library.get("another").languages[0])


class WithOptional(BaseModel):
    """Fields of a kind to come: chosen by the service where they are absent."""

    x: Annotated[float, Field(ge=0, le=1)] | None = None
    y: Annotated[float | None, Field(ge=0, le=1)] = None
    side: int | None = None
    fit: Literal["cover", "contain"] | None = None
    words: str | None = None
    is_round: bool | None = None


def test_a_number_that_may_be_absent_is_a_number() -> None:
    """Its digits may be an Arabic keyboard's, and its kind is seen through ``None``."""
    fields = WithOptional.model_fields
    assert [name for name, field in fields.items() if takes_number(field)] == ["x", "y", "side"]
    assert field_range("x", fields) == field_range("y", fields) == (0, 1)


def test_words_to_choose_from_may_be_absent_too() -> None:
    """The choices of ``Literal[...] | None`` are those of the ``Literal``; a boolean has two."""
    fields = WithOptional.model_fields
    assert field_choices(fields["is_round"]) == ("true", "false")
    assert field_choices(fields["fit"]) == ("cover", "contain")
    assert field_choices(fields["words"]) == ()
    assert field_choices(AvatarSpec.model_fields["format"]) == ("jpeg", "png", "webp", "avif")
