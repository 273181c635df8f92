"""Whether the head lands in the frame's opening: ``python -m benchmarks.framing FOLDER``.

FOLDER holds ``photos/`` and ``labels.json``: of each photo, by its file's name without the ending, the
``kind``, the ``faces`` as fractions of the upright photo (left, top, width, height; brow to chin; the main
one first), those that are ``maybe`` one, and the ``short_side`` that the original had, in pixels. The photos
may be reduced: what depends on how many pixels there are is reckoned with the original's.

Each photo goes the way of every photo, up to where its square is known: decoded, brought to the side at which
faces are looked for, the faces found, the square chosen for each of our frames. Then it is seen how much of
the main face's ellipse shows on the drawn frame, the frame's own pixels counting; what lies past the avatar's
edge is not seen. In 100 photos with faces:

- whole: 98 % of the main face are seen;
- 1/4: it is whole, and the longer side of its box at least a quarter of the opening's diameter;
- cut: the ribbon covers more than 2 % of it; what else is not whole lies past the edge.

In 100 photos without any: false, those that were changed for one. Where there is but ``maybe`` a face, a
photo counts neither way. The CPU that it takes stands beside Pillow's Hamming resize of 2016 x 1512 to 1080,
timed in turns with it. Nothing here loads numpy before app/render/faces.py does, which starts it with one
thread. The exit code is 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from PIL import Image, ImageDraw
from pydantic import BaseModel, Field, TypeAdapter

from app.errors import PhotoError
from app.frames import UNITS, FrameLibrary
from app.render.colour import to_srgb
from app.render.compose import compose
from app.render.crop import crop, frame_square, scale_needed
from app.render.decode import decode, identify
from app.render.faces import find_faces
from app.render.framing import Choice, choose
from app.render.limits import Limits
from app.render.overlay import Overlays
from app.render.thumbnail import Thumbnail
from app.spec import DEFAULT_SIZE, AvatarSpec
from benchmarks.avatar import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from app.frames import Frame
    from app.render.decode import Photo
    from app.render.faces import Face

T = TypeVar("T")

WHOLE = 0.98
"""Of a face's ellipse: with so much of it seen it is whole."""
QUARTER = 0.25
"""Of the opening's diameter: what a face's longer side has at least."""
LEAST_WHOLE, AIM_WHOLE, LEAST_QUARTER, MOST_FALSE = 88, 95, 80, 2
"""In 100, on each frame: the fewest main faces whole, how many are aimed at, the fewest whole and at least a
quarter of the opening, and the most photos without a face that a false one changes."""
BUDGET = 20 / 17
"""Of finding faces, beside the resize."""
RESIZED = (2016, 1512)
GRID = 60
ELLIPSE = [
    ((column + 0.5) / GRID, (row + 0.5) / GRID)
    for row in range(GRID)
    for column in range(GRID)
    if (column + 0.5 - GRID / 2) ** 2 + (row + 0.5 - GRID / 2) ** 2 <= (GRID / 2) ** 2
]
"""Where an ellipse is looked at, as fractions of the box around it."""

Box = tuple[float, float, float, float]
"""Left, top, width, height."""


class _Label(BaseModel):
    """What ``labels.json`` says of a photo."""

    kind: str
    faces: list[Box]
    maybe: list[Box]
    short_side: Annotated[float, Field(gt=0)]


_LABELS = TypeAdapter(dict[str, _Label])


@dataclass(frozen=True)
class Labelled:
    """A photo and what is known of it.

    Attributes:
        name: Its file's, without the ending.
        path: Its file.
        kind: Such as ``portrait`` or ``none``.
        faces: Fractions of the upright photo; the main one first.
        maybe: Likewise, those nobody is sure of.
        short_side: Of the original, pixels.
    """

    name: str
    path: Path
    kind: str
    faces: Sequence[Box]
    maybe: Sequence[Box]
    short_side: float


@dataclass(frozen=True)
class Framed:
    """What became of one photo in one frame.

    Attributes:
        labelled: The photo.
        frame: The frame's id.
        spec: With the square that was chosen.
        choice: The square, and how it came about.
        seen: Share of the main face's ellipse that shows; None without a face.
        covered: Share of it under the ribbon.
        extent: The longer side of its box, in diameters of the opening.
    """

    labelled: Labelled
    frame: str
    spec: AvatarSpec
    choice: Choice
    seen: float | None = None
    covered: float = 0.0
    extent: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether the main face is seen."""
        return self.seen is not None and self.seen >= WHOLE

    @property
    def is_false(self) -> bool:
        """Whether a photo without any face was changed for one."""
        nobody = not self.labelled.faces and not self.labelled.maybe
        return nobody and self.choice.kind == "faces"


@dataclass
class Timing:
    """CPU seconds of each photo: of the small picture, its faces, a frame's square, the resize."""

    thumbnail: list[float] = field(default_factory=list)
    faces: list[float] = field(default_factory=list)
    choice: list[float] = field(default_factory=list)
    resize: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Finding faces, beside the resize."""
        return statistics.median(f / r for f, r in zip(self.faces, self.resize, strict=True))


def load(folder: Path) -> list[Labelled]:
    """Read what is known of a folder's photos.

    Raises:
        OSError: There is no ``labels.json``, or it names a photo that is not there.
        ValueError: It is no such table.
    """
    files = {path.stem: path for path in sorted((folder / "photos").iterdir())}
    labels = _LABELS.validate_json((folder / "labels.json").read_bytes())
    missing = sorted(labels.keys() - files.keys())
    if missing:
        raise FileNotFoundError(f"labels.json names photos that are not there: {', '.join(missing)}")
    return [
        Labelled(name, files[name], label.kind, label.faces, label.maybe, label.short_side)
        for name, label in labels.items()
    ]


def shown(alpha: bytes, square: tuple[float, float, float], face: Box) -> tuple[float, float]:
    """Return which share of a face's ellipse is seen, and which share the frame covers.

    Args:
        alpha: The drawn frame's opacity, row by row, 0 to 255.
        square: Left, top and side of the avatar's square, in any unit.
        face: In the same unit.
    """
    size = math.isqrt(len(alpha))
    left, top, side = square
    seen = covered = 0
    for across, down in ELLIPSE:
        x = math.floor((face[0] + across * face[2] - left) / side * size)
        y = math.floor((face[1] + down * face[3] - top) / side * size)
        if 0 <= x < size and 0 <= y < size:
            opacity = alpha[y * size + x]
            covered += opacity
            seen += 255 - opacity
    return seen / 255 / len(ELLIPSE), covered / 255 / len(ELLIPSE)


class Bench:
    """Frames photos, and measures how well.

    Args:
        faces: ``off`` finds none, to see what they are worth.
    """

    def __init__(self, *, faces: bool = True) -> None:
        self.frames = FrameLibrary([ROOT / "frames"], ROOT / "fonts")
        self.timing = Timing()
        self._overlays = Overlays(self.frames)
        self._looks = faces
        self._alpha = {
            frame.id: self._overlays.get(AvatarSpec(frame=frame.id)).alpha.tobytes() for frame in self.frames
        }
        self._large = Image.effect_noise(RESIZED, 60).convert("RGB")

    def measure(self, labelled: Labelled) -> list[Framed]:
        """Return what becomes of a photo in each frame."""
        photo = _decoded(labelled)
        _, resize = _timed(self._resize)
        faces, times = self._faces(photo)
        start = time.process_time()
        choices = [
            (frame, choose(photo.upright_size, faces, frame.face, _spec(labelled, photo, frame.id)))
            for frame in self.frames
        ]
        if self._looks:
            self.timing.choice.append((time.process_time() - start) / len(choices))
            self.timing.thumbnail.append(times[0])
            self.timing.faces.append(times[1])
            self.timing.resize.append(resize)
        return [self._framed(labelled, photo, frame, choice) for frame, choice in choices]

    def draw(self, framed: Framed) -> Image.Image:
        """Return the avatar, with the ellipses of its faces: the main one green, others yellow."""
        photo = _decoded(framed.labelled)
        overlay = self._overlays.get(framed.spec)
        square = to_srgb(crop(photo, framed.spec, overlay.hidden_margin), photo.profile)
        avatar = compose(square, overlay)
        pen = ImageDraw.Draw(avatar)
        width, height = photo.upright_size
        left, top, side = _square(photo, framed.spec)
        scale = framed.spec.size / side
        for number, face in enumerate(framed.labelled.faces):
            x, y = (face[0] * width - left) * scale, (face[1] * height - top) * scale
            box = (x, y, x + face[2] * width * scale, y + face[3] * height * scale)
            pen.ellipse(box, outline="yellow" if number else "lime", width=3)
        return avatar

    def _faces(self, photo: Photo) -> tuple[list[Face], tuple[float, float]]:
        if not self._looks:
            return [], (0, 0)
        thumbnail, reduced = _timed(lambda: Thumbnail.of(photo, 0))
        found, looked = _timed(lambda: find_faces(thumbnail.image))
        return [thumbnail.in_photo(face) for face in found], (reduced, looked)

    def _framed(self, labelled: Labelled, photo: Photo, frame: Frame, choice: Choice) -> Framed:
        spec = AvatarSpec(frame=frame.id, x=choice.x, y=choice.y, zoom=choice.zoom)
        if not labelled.faces:
            return Framed(labelled, frame.id, spec, choice)
        width, height = photo.upright_size
        x, y, across, down = labelled.faces[0]
        face = (x * width, y * height, across * width, down * height)
        square = _square(photo, spec)
        seen, covered = shown(self._alpha[frame.id], square, face)
        diameter = 2 * frame.face.radius / UNITS * square[2]
        return Framed(labelled, frame.id, spec, choice, seen, covered, max(face[2:]) / diameter)

    def _resize(self) -> None:
        self._large.resize((DEFAULT_SIZE, DEFAULT_SIZE), Image.Resampling.HAMMING)


def _decoded(labelled: Labelled) -> Photo:
    limits = Limits()
    container = identify(labelled.path.read_bytes(), limits)
    scale = scale_needed((container.width, container.height), AvatarSpec(frame="", zoom=1))
    return decode(container, scale, limits)


def _spec(labelled: Labelled, photo: Photo, frame: str) -> AvatarSpec:
    """Return what is asked for, with the avatar as much smaller as the photo is smaller than its original."""
    size = DEFAULT_SIZE * min(photo.upright_size) / labelled.short_side
    return AvatarSpec(frame=frame).model_copy(update={"size": size})


def _square(photo: Photo, spec: AvatarSpec) -> tuple[float, float, float]:
    framing = frame_square(*photo.upright_size, spec)
    return framing.cx - framing.side / 2, framing.cy - framing.side / 2, framing.side


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _percent(part: Iterable[bool]) -> float:
    """Return how many in 100; NaN of none."""
    values = list(part)
    return 100 * sum(values) / len(values) if values else math.nan


def figures(framed: Iterable[Framed]) -> tuple[float, float, float]:
    """Return whole, whole and a quarter, and cut, in 100 photos with faces."""
    known = [one for one in framed if one.seen is not None]
    return (
        _percent(one.is_whole for one in known),
        _percent(one.is_whole and one.extent >= QUARTER for one in known),
        _percent(one.covered > 1 - WHOLE for one in known),
    )


def false(framed: Iterable[Framed]) -> float:
    """Return how many in 100 photos without a face were changed for a false one."""
    nobody = [one for one in framed if not one.labelled.faces and not one.labelled.maybe]
    return _percent(one.is_false for one in nobody)


def by_frame(framed: Sequence[Framed]) -> Mapping[str, list[Framed]]:
    """Return what became of the photos, by the frame's id."""
    return {
        frame: [one for one in framed if one.frame == frame]
        for frame in dict.fromkeys(o.frame for o in framed)
    }


def table(framed: Sequence[Framed]) -> str:
    """Return the figures by kind and frame."""
    frames = by_frame(framed)
    lines = [" " * 18 + "".join(f"{frame:>24}" for frame in frames)]
    lines.append(f"{'kind':<12}{'n':>6}" + f"{'whole':>10}{'1/4':>7}{'cut':>7}" * len(frames))
    with_faces = [one for one in framed if one.labelled.faces]
    for kind in ("", *sorted({one.labelled.kind for one in with_faces})):
        rows = [[one for one in these if kind in {"", one.labelled.kind}] for these in frames.values()]
        count = sum(1 for one in rows[0] if one.labelled.faces)
        cells = "".join("{:>10.1f}{:>7.1f}{:>7.1f}".format(*figures(row)) for row in rows)
        lines.append(f"{kind or 'all':<12}{count:>6}{cells}")
    count = sum(1 for one in next(iter(frames.values())) if not one.labelled.faces and not one.labelled.maybe)
    cells = "".join(f"{false(these):>10.1f}{'':>14}" for these in frames.values())
    lines.append(f"{'false':<12}{count:>6}{cells}".rstrip())
    return "\n".join(lines)


def missed(framed: Sequence[Framed], timing: Timing) -> list[str]:
    """Return the aims that are missed, each as a sentence without its end."""
    told = []
    for frame, these in by_frame(framed).items():
        whole, quarter, _ = figures(these)
        if whole < LEAST_WHOLE:
            told.append(f"{frame}: {whole:.1f} whole; at least {LEAST_WHOLE}")
        if quarter < LEAST_QUARTER:
            told.append(
                f"{frame}: {quarter:.1f} whole and a quarter of the opening; at least {LEAST_QUARTER}"
            )
        if false(these) > MOST_FALSE:
            told.append(f"{frame}: {false(these):.1f} changed by a false face; at most {MOST_FALSE}")
    if timing.faces and timing.ratio > BUDGET:
        told.append(f"faces take {timing.ratio:.2f} times as long as the resize; at most {BUDGET:.2f}")
    return told


def worst(framed: Iterable[Framed], count: int) -> list[Framed]:
    """Return what went wrong most: changed by a false face, then the faces least seen, then the smallest."""
    known = [one for one in framed if one.seen is not None or one.is_false]
    return sorted(known, key=lambda one: (min(one.seen or 0, WHOLE), one.extent, one.labelled.name))[:count]


def _tell_times(timing: Timing) -> None:
    parts = {"small picture": timing.thumbnail, "faces": timing.faces, "square": timing.choice}
    print("\nCPU in ms, medians: ", end="")
    print(
        ", ".join(f"{name} {statistics.median(seconds) * 1e3:.2f}" for name, seconds in parts.items()), end=""
    )
    print(f"; resize {statistics.median(timing.resize) * 1e3:.1f}")
    print(f"faces / resize {timing.ratio:.2f}, budget {BUDGET:.2f}")


def main(arguments: list[str]) -> int:
    """Print the table; return 1 where an aim is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.framing", description="The head in the opening."
    )
    parser.add_argument("folder", type=Path, help="photos/ and labels.json")
    parser.add_argument("--no-faces", action="store_true", help="look for none, to see what they are worth")
    parser.add_argument("--worst", type=int, default=0, help="draw so many of the worst avatars")
    parser.add_argument("--output", type=Path, help="the folder to draw them into")
    options = parser.parse_args(arguments)
    if options.worst and options.output is None:
        parser.error("--worst needs --output")
    try:
        photos = load(options.folder)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    bench = Bench(faces=not options.no_faces)
    framed: list[Framed] = []
    for labelled in photos:
        try:
            framed += bench.measure(labelled)
        except PhotoError as error:
            parser.error(f"{labelled.path}: {error}")
    if not any(one.labelled.faces for one in framed):
        parser.error("labels.json names no photo with a face")
    aims = f"at least {LEAST_WHOLE} whole (aim {AIM_WHOLE}), {LEAST_QUARTER} 1/4, at most {MOST_FALSE} false"
    print(f"In 100 photos, {DEFAULT_SIZE} px; {aims}\n")
    print(table(framed))
    if bench.timing.faces:
        _tell_times(bench.timing)
    for number, one in enumerate(worst(framed, options.worst), 1):
        options.output.mkdir(parents=True, exist_ok=True)
        seen = "false face" if one.seen is None else f"{one.seen:.3f} seen, {one.extent:.2f} of the opening"
        name = f"{number:02}-{one.frame}-{one.labelled.name}.png"
        print(f"{name}: {one.labelled.kind}, {seen}, zoom {one.choice.zoom}")
        bench.draw(one).save(options.output / name)
    shortfalls = missed(framed, bench.timing)
    for shortfall in shortfalls:
        print(f"\nMissed: {shortfall}.")
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
