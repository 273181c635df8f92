"""Frame and FrameLibrary: ``frames/<id>/frame.toml`` loaded, validated, listed. A frame is data, never code.

All lengths are in the artwork's own units, in which the picture is 1000 x 1000 with the origin at its top
left and y downwards. docs/frames.md is the guide for frame authors.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.errors import FrameNotFound, InvalidFrame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNITS = 1000
"""Side of the artwork, in its own units."""

Coordinate = Annotated[float, Field(ge=0, le=UNITS)]
Point = tuple[Coordinate, Coordinate]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arc(_Table):
    """A baseline that is part of a circle; the text is centred on its top or on its bottom.

    On a ``top`` arc letters stand outwards and read clockwise; on a ``bottom`` arc they stand inwards, so
    that both are upright.
    """

    kind: Literal["arc"]
    center: Point
    radius: Annotated[float, Field(gt=0, le=UNITS)]
    side: Literal["top", "bottom"]
    span: Annotated[float, Field(gt=0, le=340, description="Degrees of the circle the text may take.")]


class Line(_Table):
    """A straight baseline from ``start`` to ``end`` (left to right); the text is centred between them."""

    kind: Literal["line"]
    start: Point
    end: Point


class Fallback(_Table):
    """A font for words that a text's own fonts cannot write.

    Attributes:
        font: File below the fonts folder.
        scale: Its size beside the text's first font, so that letters are as high in both.
    """

    font: str
    scale: Annotated[float, Field(ge=0.5, le=2)] = 1.0


class LocalisedText(_Table):
    """What a text says in one language, and how its setting differs there.

    Attributes:
        slogan: The words, in logical order.
        fonts: Overrides the text's own fonts.
        largest: Overrides the text's own largest size.
        smallest: Overrides the text's own smallest size.
        shift: Moves the baseline, in units; positive is towards the letters' feet.
    """

    slogan: Annotated[str, Field(min_length=1, max_length=120)]
    fonts: tuple[str, ...] | None = None
    largest: Annotated[float, Field(gt=0)] | None = None
    smallest: Annotated[float, Field(gt=0)] | None = None
    shift: float = 0.0


class Text(_Table):
    """A place for words on the artwork.

    Attributes:
        name: Unique in its frame.
        custom: A supporter's own slogan goes here.
        fill: ``#rrggbb``.
        fonts: Files below the fonts folder, the preferred one first.
        largest: Type size, in units per em, that short text is set at.
        smallest: Type size below which text is refused.
        above: How far ink may rise above the baseline.
        below: How far ink may fall below the baseline.
        baseline: Where the text stands.
        languages: The words by language code; the first is what the frame was drawn for.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    custom: bool = False
    fill: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
    fonts: Annotated[tuple[str, ...], Field(min_length=1)]
    largest: Annotated[float, Field(gt=0)]
    smallest: Annotated[float, Field(gt=0)]
    above: Annotated[float, Field(gt=0)]
    below: Annotated[float, Field(gt=0)]
    baseline: Annotated[Arc | Line, Field(discriminator="kind")]
    languages: Annotated[dict[str, LocalisedText], Field(min_length=1)]

    @model_validator(mode="after")
    def _ink_on_its_side_of_the_centre(self) -> Text:
        if isinstance(self.baseline, Arc):
            inwards = self.above if self.baseline.side == "bottom" else self.below
            if inwards >= self.baseline.radius:
                raise ValueError(f"{self.name}: the text would reach the centre of its arc")
        return self

    @model_validator(mode="after")
    def _sizes_in_order(self) -> Text:
        for language in self.languages:
            style = self.style(language)
            if style.smallest > style.largest:
                raise ValueError(f"{self.name}, {language}: smallest is larger than largest")
        return self

    def style(self, language: str, fallback: tuple[Fallback, ...] = ()) -> TextStyle:
        """Return how text in ``language`` is set: the text's own values under the language's overrides."""
        text = self.languages[language]
        return TextStyle(
            fonts=text.fonts or self.fonts,
            fallback=fallback,
            largest=text.largest or self.largest,
            smallest=text.smallest or self.smallest,
            above=self.above,
            below=self.below,
            shift=text.shift,
            baseline=self.baseline,
            language=language,
        )


class TextStyle(_Table):
    """How one line of text is to be set. Lengths in units; see :class:`Text` and :class:`LocalisedText`."""

    fonts: tuple[str, ...]
    fallback: tuple[Fallback, ...] = ()
    largest: float
    smallest: float
    above: float
    below: float
    shift: float
    baseline: Arc | Line
    language: str


class Face(_Table):
    """The circle that must stay free for a face."""

    center: Point
    radius: Annotated[float, Field(gt=0, le=UNITS / 2)]


class _FrameFile(_Table):
    """What ``frame.toml`` holds."""

    order: int
    title: dict[str, str]
    description: dict[str, str]
    face: Face
    fallback: tuple[Fallback, ...] = ()
    text: Annotated[tuple[Text, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _texts_agree(self) -> _FrameFile:
        if len({text.name for text in self.text}) != len(self.text):
            raise ValueError("two texts have the same name")
        if len({tuple(text.languages) for text in self.text}) != 1:
            raise ValueError("every text must offer the same languages, in the same order")
        if sum(text.custom for text in self.text) > 1:
            raise ValueError("only one text may take a custom slogan")
        for name, table in (("title", self.title), ("description", self.description)):
            if missing := {"ar", "en"} - table.keys():
                raise ValueError(f"{name} lacks {', '.join(sorted(missing))}")
        return self


class FontsFolder(Protocol):
    """Where a frame's fonts are: a folder, or several that are searched as one."""

    def __truediv__(self, name: str, /) -> Path:
        """Return the file of that name."""


@dataclass(frozen=True, slots=True)
class FontFolders:
    """Folders of fonts that are searched as one: for each name, the first that has the file gives it.

    Attributes:
        folders: At least one.
    """

    folders: tuple[Path, ...]

    def __truediv__(self, name: str, /) -> Path:
        """Return the file of that name; where no folder has it, the first one's, which is not there."""
        paths = [folder / name for folder in self.folders]
        return next((path for path in paths if path.is_file()), paths[0])


class Frame:
    """One frame of the library.

    Attributes:
        id: Its folder's name.
        folder: Where its files are.
        title: By language; at least ``ar`` and ``en``.
        description: By language, one sentence; at least ``ar`` and ``en``.
        face: The circle kept free for a face.
        fallback: Fonts for words that the texts' own cannot write, the preferred one first.
        texts: Where words go.
        artwork: The SVG, as text.
        revision: Hex digest of everything the frame's picture depends on: its files and its fonts' bytes.
    """

    def __init__(self, folder: Path, fonts_folder: FontsFolder) -> None:
        self.id = folder.name
        self.folder = folder
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", self.id):
            raise InvalidFrame(frame=self.id, reason="the folder's name may hold a-z, 0-9 and hyphens only")
        source = self._read(folder / "frame.toml")
        self.artwork = self._read(folder / "artwork.svg")
        try:
            file = _FrameFile.model_validate(tomllib.loads(source))
        except ValidationError as exc:
            raise InvalidFrame(frame=self.id, reason=_where_wrong(exc)) from exc
        except tomllib.TOMLDecodeError as exc:
            raise InvalidFrame(frame=self.id, reason=f"frame.toml: {exc}") from exc
        self.order = file.order
        self.title = file.title
        self.description = file.description
        self.face = file.face
        self.fallback = file.fallback
        self.texts = file.text
        self.fonts_folder = fonts_folder
        self.revision = self._digest(source.encode())

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages that its slogans come in; the first is what the frame was drawn for."""
        return tuple(self.texts[0].languages)

    @cached_property
    def takes_custom_slogan(self) -> bool:
        """Whether a supporter may write their own slogan."""
        return any(text.custom for text in self.texts)

    def style(self, text: Text, language: str) -> TextStyle:
        """Return how one of its texts is set in a language."""
        return text.style(language, self.fallback)

    def font_path(self, name: str) -> Path:
        """Return the file of a font that the frame names."""
        return self.fonts_folder / name

    def _read(self, path: Path) -> str:
        try:
            return path.read_bytes().decode()
        except OSError as exc:
            raise InvalidFrame(frame=self.id, reason=f"{path.name} cannot be read") from exc
        except UnicodeDecodeError as exc:
            reason = f"{path.name} is not UTF-8, from byte {exc.start + 1} on"
            raise InvalidFrame(frame=self.id, reason=reason) from exc

    def _digest(self, source: bytes) -> str:
        digest = hashlib.sha256(source)
        digest.update(self.artwork.encode())
        places = self._fonts_by_place()
        missing = [
            f"frame.toml: {_place(loc)}there is no font {font}"
            for loc, font in places.items()
            if Path(font).is_absolute() or ".." in Path(font).parts or not self.font_path(font).is_file()
        ]
        if missing:
            raise InvalidFrame(frame=self.id, reason="\n".join(missing))
        for font in sorted(set(places.values())):
            digest.update(self.font_path(font).read_bytes())
        return digest.hexdigest()

    def _fonts_by_place(self) -> dict[tuple[str | int, ...], str]:
        """Return every font that ``frame.toml`` names, by where it does."""
        lists: dict[tuple[str | int, ...], tuple[str, ...]] = {}
        for number, text in enumerate(self.texts):
            lists["text", number, "fonts"] = text.fonts
            for language, words in text.languages.items():
                lists["text", number, "languages", language, "fonts"] = words.fonts or ()
        places = {(*loc, number): font for loc, fonts in lists.items() for number, font in enumerate(fonts)}
        return places | {
            ("fallback", number, "font"): fallback.font for number, fallback in enumerate(self.fallback)
        }


# In place of pydantic's words for what an author's slip of the pen brings about most.
_SLIPS = {"missing": "is missing", "extra_forbidden": "there is no such field"}


def _where_wrong(error: ValidationError) -> str:
    """Say what is wrong in ``frame.toml``, and where: a line for each place, as its author writes it."""
    found = error.errors(include_url=False)
    places = [one["loc"] for one in found]
    return "\n".join(
        f"frame.toml: {_place(one['loc'])}{_SLIPS.get(one['type'], one['msg'].removeprefix('Value error, '))}"
        for one in found
        # A list whose only item is wrong is called empty too.
        if not any(place != one["loc"] == place[: len(one["loc"])] for place in places)
    )


def _place(loc: tuple[str | int, ...]) -> str:
    """Write a place down as in ``text[1].baseline.radius``, counted from 1; nothing for the whole file."""
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in loc)
    path = "".join(parts).removeprefix(".")
    return f"{path}: " if path else ""


def frames_below(folder: Path) -> list[Path]:
    """Return the folders of the frames in a folder, sorted by name.

    Raises:
        InvalidFrame: There is none.
    """
    if found := sorted(path.parent for path in folder.glob("*/frame.toml")):
        return found
    raise InvalidFrame(frame=folder.name, reason=f"the folder {folder} holds no frame.toml")


class FrameLibrary:
    """Every frame below some folders, loaded once. Iterates in the frames' own ``order``.

    Args:
        frames_folders: Each holds a folder per frame.
        fonts_folder: Holds the fonts that frames name, of every folder.

    Raises:
        InvalidFrame: A frame is wrong, two have one id, or a folder holds none.
    """

    def __init__(self, frames_folders: Iterable[Path], fonts_folder: FontsFolder) -> None:
        folders: dict[str, Path] = {}
        for frames_folder in frames_folders:
            for folder in frames_below(frames_folder):
                if other := folders.get(folder.name):
                    raise InvalidFrame.of_one_name(folder.name, (str(other), str(folder)))
                folders[folder.name] = folder
        loaded = (Frame(folder, fonts_folder) for folder in folders.values())
        frames = sorted(loaded, key=lambda frame: (frame.order, frame.id))
        self._frames = {frame.id: frame for frame in frames}

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames.values())

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, frame_id: str) -> Frame:
        """Return the frame of that id.

        Raises:
            FrameNotFound: There is none.
        """
        try:
            return self._frames[frame_id]
        except KeyError:
            raise FrameNotFound(choices=tuple(self._frames)) from None
