"""AvatarSpec: what is asked for. Declared once; the HTTP query, the form, the CLI and bulk all use it."""

from __future__ import annotations

import re
import unicodedata
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from app.errors import FieldProblem, FrameNotFound, InvalidSpec
from app.texts.signs import NUMBER_SIGNS, PLACEHOLDERS, code_points, signs_with
from app.words import compose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from app.errors import FieldProblemKind
    from app.frames import FrameLibrary

Switch = Literal["on", "off"]
Shape = Literal["square", "circle"]
Format = Literal["jpeg", "png", "webp", "avif"]

DEFAULT_SIZE = 1080
"""Pixels along a side of the avatar that is proposed, and of every picture of the pages."""

SLOGAN_CHARACTERS = 60
TRANSPARENT_FORMATS: tuple[Format, ...] = ("png", "webp", "avif")
# Joiners and directional marks have no picture of their own but decide how their neighbours are drawn
# (UAX #9, and ZWJ/ZWNJ of the Arabic block); every other control character is refused.
DRAWABLE_CONTROLS = frozenset(
    "\u200c\u200d\u200e\u200f\u061c\u2066\u2067\u2068\u2069\u202a\u202b\u202c\u202d\u202e"
)
# Format characters by category, but signs to the eye. The font decides.
_TAKEN = DRAWABLE_CONTROLS | NUMBER_SIGNS
# What a clipboard leaves between letters, unseen: soft hyphen, zero width space, word joiner, BOM.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
# A letter may arrive in up to four characters (NFD of ᾂ). What is longer is too long however it is spelled,
# and long rows of marks would take quadratic time to compose.
_LONGEST_SPELLING = 4 * SLOGAN_CHARACTERS

# What keyboards, phones and office programs put for minus, plus and decimal point: hyphens and dashes up
# to the en dash, the minus of mathematics, signs of full and small width; the Arabic separator and comma.
_SIGNS_OF_NUMBERS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\ufe62\uff0b", "+")
    | dict.fromkeys(",\u066b\u060c\uff0c\uff0e", ".")
)
_NUMBER = re.compile(
    r"(?P<sign>[+-]?) ?"
    # In groups of three with spaces or Arabic thousands separators between them, or in one.
    r"(?P<whole>[0-9]{1,3}(?:(?P<between>[ \u066c])[0-9]{3}(?:(?P=between)[0-9]{3})*)|[0-9]*)"
    r"(?P<fraction>\.[0-9]*)?"
    r"(?P<power>[eE][+-]?[0-9]+)?"
)

_BOOLEANS = ("true", "false")
# What forms, programs and people send for them. A checkbox without a value of its own sends "on".
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def _normalise_slogan(value: object) -> object:
    """Fold white space, presentation forms and composition (NFC); a slogan that says nothing is none."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.translate(_UNSEEN).split())
    if len(text) > _LONGEST_SPELLING:
        return text
    text = " ".join(compose(text).split())
    kinds = {character: unicodedata.category(character)[0] for character in text}
    shown = set(kinds.values()) - {"C", "Z"}
    refused = {"C", "M"} if shown == {"M"} else {"C"}  # harakat and accents need a letter to stand on
    undrawable = {character for character in kinds if kinds[character] in refused} - _TAKEN
    undrawable |= PLACEHOLDERS & kinds.keys()
    if undrawable:
        codes = code_points("".join(character for character in kinds if character in undrawable))
        seen = {"characters": signs_with(text, undrawable), "codes": codes}
        raise PydanticCustomError("not_text", "not text", seen)
    return text if shown else None


class AvatarSpec(BaseModel):
    """What one avatar should look like. Immutable, hashable, picklable.

    A spec is only ever built by :func:`parse_spec` or from values that the code itself chose; building one
    directly from a stranger's words raises pydantic's error instead of ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: Annotated[str, Field(description="Id of a frame; the library's first unless given.")]
    lang: Annotated[str, Field(description="Language of the slogan, one that the frame offers.")] = "ar"
    slogan: Annotated[
        Annotated[str, Field(max_length=SLOGAN_CHARACTERS)] | None,
        BeforeValidator(_normalise_slogan),
        Field(description="Your own text instead of the frame's slogan, where the frame allows it."),
    ] = None
    size: Annotated[int, Field(description="Side of the square, in pixels.", ge=64, le=2048)] = DEFAULT_SIZE
    shape: Annotated[Shape, Field(description="A circle is transparent outside.")] = "square"
    format: Annotated[
        Format | None,
        Field(description="Image format of the avatar; jpeg unless given, png when the shape is a circle."),
    ] = None
    x: Annotated[
        float | None,
        Field(
            description="Centre of the square: fraction of the upright photo's width. Chosen unless given.",
            ge=0,
            le=1,
        ),
    ] = None
    y: Annotated[
        float | None,
        Field(
            description="Centre of the square: fraction of the upright photo's height. Chosen unless given.",
            ge=0,
            le=1,
        ),
    ] = None
    zoom: Annotated[
        float | None,
        Field(
            description="1 is the largest square that fits; below it the photo's own blurred edge fills the "
            "rest. Chosen unless given.",
            ge=0.5,
            le=8,
        ),
    ] = None
    rotate: Annotated[float, Field(description="Degrees, clockwise.", ge=-180, le=180)] = 0.0
    flip: Annotated[bool, Field(description="Whether the photo is mirrored; the frame never is.")] = False
    faces: Annotated[
        Switch,
        Field(description="Whether faces are looked for, where the square is to be chosen."),
    ] = "on"

    @property
    def output_format(self) -> Format:
        """The format that the avatar is written in."""
        return self.format or ("png" if self.shape == "circle" else "jpeg")

    def without_faces(self) -> AvatarSpec:
        """Return the same, but that no faces are looked for."""
        return self.model_copy(update={"faces": "off"})


def parse_spec(
    given: Iterable[tuple[str, str]], frames: FrameLibrary, known_problems: Iterable[FieldProblem] = ()
) -> AvatarSpec:
    """Build a spec from pairs of strings, as queries, forms and command lines give them.

    Args:
        given: Field names and values in any order. An empty value means the default, as in an HTML form. A
            field may come more than once if it says the same: programs made from our OpenAPI document send
            what they know in the query and in the form.
        frames: The library that ``frame``, ``lang`` and ``slogan`` are checked against.
        known_problems: What is wrong with fields beside the spec's own, to be named with the rest.

    Raises:
        InvalidSpec: Naming every bad field at once.
    """
    texts: dict[str, list[str]] = {}
    for name, value in given:
        if value != "":
            texts.setdefault(name, []).append(_plain(name, value))
    problems = [FieldProblem.of(name[:64], "repeated") for name in texts if _differ(name, texts[name])]
    values = {name: said[-1] for name, said in texts.items()}
    values.setdefault("frame", next(iter(frames)).id)
    if "lang" not in values:
        values["lang"] = _default_language(values["frame"], frames)
    try:
        spec = AvatarSpec.model_validate(values)
    except ValidationError as exc:
        problems += [_field_problem(error) for error in exc.errors(include_url=False)]
    else:
        problems += _contradictions(spec)
    problems += _frame_problems(values, frames, {problem.field for problem in problems})
    problems += known_problems
    if problems:
        order = list(AvatarSpec.model_fields)
        known = {name: place for place, name in enumerate(order)}
        raise InvalidSpec(sorted(dict.fromkeys(problems), key=lambda p: known.get(p.field, len(order))))
    return spec


def _default_language(frame_id: str, frames: FrameLibrary) -> str:
    """Return the campaign's own language, or what the frame was drawn for where it lacks that."""
    campaigns = str(AvatarSpec.model_fields["lang"].default)
    try:
        languages = frames.get(frame_id).languages
    except FrameNotFound:
        return campaigns  # the frame is named as wrong anyway
    return campaigns if campaigns in languages else languages[0]


def _plain(name: str, value: str) -> str:
    field = AvatarSpec.model_fields.get(name)
    if field is None:
        return value
    if takes_number(field):
        return plain_number(value, is_whole=int in _parts(field.annotation))
    words = field_choices(field)
    return plain_switch(value, *words) if words in {_BOOLEANS, get_args(Switch)} else value


def plain_switch(text: str, yes: str, no: str) -> str:
    """Say yes or no in a field's own words, whichever way people and their programs have written it.

    ``true``, ``yes``, ``on`` and ``1``, or ``false``, ``no``, ``off`` and ``0``: in letters of any case and
    digits of any script, with spaces and characters that nobody sees around them.

    Args:
        text: As it was sent.
        yes: The field's own word.
        no: The field's own word.

    Returns:
        One of the words; an empty string, which no field takes, for anything else.
    """
    seen = "".join(_seen(text)).strip().casefold()
    if seen in _YES:
        return yes
    return no if seen in _NO else ""


def _seen(text: str) -> Iterator[str]:
    """Yield the characters that somebody sees, digits of any script as ASCII's."""
    for character in text:
        if unicodedata.category(character) != "Cf":
            yield str(unicodedata.decimal(character, character))


def plain_number(text: str, *, is_whole: bool) -> str:
    """Write a number as Python does, whichever way people and their programs have written it.

    Digits may be of any script. Marks of direction and other characters that nobody sees are left out, and so
    are spaces around it, behind its sign, and between groups of three digits (as U+066C may be). A comma is a
    decimal point and never separates thousands: ``1,280`` is 1.28, and no whole number. A whole number may
    have a fraction of one or two zeros, as programs write it, but not of three: ``64.000`` is 64 to some and
    64,000 to others.

    Args:
        text: As it was sent.
        is_whole: Whether it has to be a whole number.

    Returns:
        The number; an empty string, which is no number to Python either, for anything else (``1_28``,
        ``0x10``, ``1,280.5``), and for what Python takes without a digit (``nan``, ``inf``).
    """
    seen = " ".join("".join(_seen(text.translate(_SIGNS_OF_NUMBERS))).split())
    number = _NUMBER.fullmatch(seen)
    if number is None or not any(map(str.isdecimal, seen)):
        return ""
    fraction, power = number["fraction"] or "", number["power"] or ""
    whole = number["sign"] + re.sub("[ \u066c]", "", number["whole"])
    if not is_whole:
        return f"{whole}{fraction}{power}"
    return whole if fraction in {"", ".0", ".00"} and not power else ""


def _differ(name: str, texts: Iterable[str]) -> bool:
    """Whether a field was given values that do not mean the same; ``1`` and ``1.0`` do."""
    distinct = set(texts)
    return len(distinct) > 1 and len({_meaning(name, text) for text in distinct}) > 1


def _meaning(name: str, text: str) -> object:
    """Return what a field's text is read as; the text itself where it cannot be."""
    try:
        return getattr(AvatarSpec.model_validate({"frame": "", name: text}), name)
    except ValidationError:
        return text


def _contradictions(spec: AvatarSpec) -> list[FieldProblem]:
    if spec.shape == "circle" and spec.output_format not in TRANSPARENT_FORMATS:
        return [FieldProblem.of("format", "needs_transparency", choices=TRANSPARENT_FORMATS)]
    return []


def _frame_problems(values: Mapping[str, str], frames: FrameLibrary, bad: set[str]) -> list[FieldProblem]:
    """Check what only the library can know, even when other fields are wrong already."""
    if "frame" in bad:
        return []
    try:
        frame = frames.get(values["frame"])
    except FrameNotFound as error:
        return [FieldProblem.of("frame", "not_one_of", **error.params)]
    problems = []
    if "lang" not in bad and values["lang"] not in frame.languages:
        problems.append(FieldProblem.of("lang", "not_one_of", choices=frame.languages))
    if "slogan" not in bad and values.get("slogan") and not frame.takes_custom_slogan:
        problems.append(FieldProblem.of("slogan", "not_offered"))
    return problems


_NUMBER_KINDS: Mapping[str, FieldProblemKind] = {
    "int_parsing": "not_an_integer",
    "int_parsing_size": "not_an_integer",
    "int_from_float": "not_an_integer",
    "float_parsing": "not_a_number",
    "finite_number": "not_a_number",
}


def _field_problem(error: ErrorDetails) -> FieldProblem:
    """Turn one of pydantic's findings into ours, which speaks the reader's language."""
    name, kind = str(error["loc"][0]), error["type"]
    if kind in _NUMBER_KINDS:
        return FieldProblem.of(name, _NUMBER_KINDS[kind])
    match kind:
        case "extra_forbidden":
            return FieldProblem.of(name[:64], "unknown", choices=tuple(AvatarSpec.model_fields))
        case "literal_error" | "bool_parsing":
            return FieldProblem.of(name, "not_one_of", choices=field_choices(AvatarSpec.model_fields[name]))
        case "greater_than_equal" | "less_than_equal":
            minimum, maximum = field_range(name)
            return FieldProblem.of(name, "out_of_range", minimum=minimum, maximum=maximum)
        case "string_too_long":
            return FieldProblem.of(name, "too_long", maximum=error["ctx"]["max_length"])
        case _:
            return FieldProblem.of(name, "not_text", **error["ctx"])


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types and the constraints in an annotation, without ``Annotated``, ``|`` and None."""
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        for part in get_args(annotation):
            yield from _parts(part)
    elif isinstance(annotation, FieldInfo):
        yield from annotation.metadata
    elif annotation is not NoneType:
        yield annotation


def takes_number(field: FieldInfo) -> bool:
    """Whether it is a number, which :func:`plain_number` reads."""
    return any(part in {int, float} for part in _parts(field.annotation))


def field_choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the words that a field of a few words may hold; none for any other field."""
    kinds = list(_parts(field.annotation))
    if bool in kinds:
        return _BOOLEANS
    return tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))


def shown_default(field: FieldInfo) -> str:
    """Return a field's default as whoever gives another value would write it."""
    match field.default:
        case bool():
            return _BOOLEANS[not field.default]
        case float():
            return f"{field.default:g}"
        case _:
            return str(field.default)


def field_range(name: str, fields: Mapping[str, FieldInfo] = AvatarSpec.model_fields) -> tuple[float, float]:
    """Return the smallest and largest value that a numeric field takes.

    Raises:
        KeyError: The field has no range.
    """
    bounds: dict[str, float] = {}
    for constraint in (*fields[name].metadata, *_parts(fields[name].annotation)):
        bounds |= {bound: getattr(constraint, bound) for bound in ("ge", "le") if hasattr(constraint, bound)}
    return bounds["ge"], bounds["le"]
