"""How cost grows, as an SVG of our own: three panels below each other, as wide as a phone.

It stands on a ground of its own, dark where the reader's system is, so that no page makes it unreadable.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.peers.measuring import CONCURRENCY, MEGAPIXELS, SIZES
from benchmarks.peers.report import plotted
from benchmarks.peers.serving import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.peers.results import Figure, Point, Results

WIDTH, PANEL, TOP = 400, 230, 62
LEFT, RIGHT, ABOVE, BOTTOM = 46, 16, 34, PANEL - 44
STYLE = """
svg { font: 12px system-ui, sans-serif; --ground: #fff; --ink: #1f2328; --faint: #d8dde3;
  --ours: #b3132b; --sharp: #0a63b0; --pyvips: #0b7a5b; --thumbor: #8a5a00; }
@media (prefers-color-scheme: dark) { svg { --ground: #14181d; --ink: #e6eaef; --faint: #39414a;
  --ours: #ff6b7d; --sharp: #6cb6ff; --pyvips: #4fd0a5; --thumbor: #e3b341; } }
.ground { fill: var(--ground); } text { fill: var(--ink); } .title { font-weight: 600; font-size: 13px; }
.grid { stroke: var(--faint); } .end { text-anchor: end; } .middle { text-anchor: middle; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .ours.line { stroke-width: 3; }
.ours { stroke: var(--ours); } .sharp { stroke: var(--sharp); } .pyvips { stroke: var(--pyvips); }
.thumbor { stroke: var(--thumbor); } .mark { fill: var(--ground); stroke-width: 1.8; }
"""
MARKS = {"ours": "circle", "sharp": "square", "pyvips": "diamond", "thumbor": "triangle"}


class Panel(NamedTuple):
    """One of the three.

    Attributes:
        title: What is shown, with its unit.
        axis: What is varied.
        points: In order.
        at: Where a point stands on the axis, in any unit.
        label: What the axis says there.
        value: What is shown of a figure.
    """

    title: str
    axis: str
    points: Sequence[Point]
    at: Callable[[Point], float]
    label: Callable[[Point], str]
    value: Callable[[Figure], float]


def _megapixels(point: Point) -> str:
    return point.photo.removesuffix(" MP")


PANELS = (
    Panel(
        "CPU for an avatar of 1080 px, ms",
        "megapixels of the photo",
        MEGAPIXELS,
        lambda point: float(_megapixels(point)),
        _megapixels,
        lambda figure: figure.cpu * 1e3,
    ),
    Panel(
        "CPU for an avatar out of 12 MP, ms",
        "side of the avatar, px",
        SIZES,
        lambda point: point.size,
        lambda point: str(point.size),
        lambda figure: figure.cpu * 1e3,
    ),
    Panel(
        "Avatars of the page's squares, per second",
        "asking at once",
        CONCURRENCY,
        lambda point: math.log2(point.clients),
        lambda point: str(point.clients),
        lambda figure: figure.rate,
    ),
)


def draw(results: Results) -> str:
    """Return the plot as SVG."""
    names = plotted(results)
    height = TOP + PANEL * len(PANELS) + 8
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="How cost grows">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="8"/>',
        *(_legend(name, place) for place, name in enumerate(names)),
    ]
    for place, panel in enumerate(PANELS):
        parts.append(f'<g transform="translate(0 {TOP + place * PANEL})">')
        parts += _panel(panel, results, names)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _legend(name: str, place: int) -> str:
    x, y = 24 + place % 2 * 180, 22 + place // 2 * 22
    line = f'<path class="line {name}" d="M{x} {y}h28"/>{_mark(name, x + 14, y)}'
    return f'{line}<text x="{x + 38}" y="{y + 4}">{TITLES[name]}</text>'


class _Scale(NamedTuple):
    """Where a panel's values stand: from first to last on its axis, and from 0 to the topmost line."""

    first: float
    last: float
    step: float
    lines: int

    def x(self, at: float) -> float:
        return LEFT + 8 + (at - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT - 16)

    def y(self, value: float) -> float:
        return BOTTOM - value / (self.step * self.lines) * (BOTTOM - ABOVE)


def _panel(panel: Panel, results: Results, names: Sequence[str]) -> list[str]:
    lines = {name: _line(panel, results, name) for name in names}
    largest = max(value for line in lines.values() for _, value in line)
    step = _step(largest)
    scale = _Scale(panel.at(panel.points[0]), panel.at(panel.points[-1]), step, math.ceil(largest / step))
    parts = [f'<text class="title" x="{LEFT}" y="20">{panel.title}</text>']
    parts += [*_grid(scale), *_axis(panel, scale)]
    # Ours is drawn last, on top.
    for name in (name for name in reversed(names) if lines[name]):
        places = [(scale.x(at), scale.y(value)) for at, value in lines[name]]
        parts.append(f'<path class="line {name}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>')
        parts += [_mark(name, x, y) for x, y in places]
    return parts


def _line(panel: Panel, results: Results, name: str) -> list[tuple[float, float]]:
    figures = ((point, results.figure(name, point)) for point in panel.points)
    return [(panel.at(point), panel.value(figure)) for point, figure in figures if figure]


def _grid(scale: _Scale) -> Iterator[str]:
    for count in range(scale.lines + 1):
        y = scale.y(count * scale.step)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{count * scale.step:g}</text>'


def _axis(panel: Panel, scale: _Scale) -> Iterator[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="middle" x="{middle:g}" y="{BOTTOM + 36}">{panel.axis}</text>'
    free = -math.inf
    for point in panel.points:
        x, label = scale.x(panel.at(point)), panel.label(point)
        # Those that would touch the one before are left out; the table has them.
        if x > free:
            yield f'<text class="middle" x="{x:.1f}" y="{BOTTOM + 18}">{label}</text>'
            free = x + 18


def _step(largest: float) -> float:
    """Return a round distance of the lines, so that there are four to eight."""
    ten: float = 10 ** math.floor(math.log10(largest / 4))
    return max(step for step in (ten, 2 * ten, 2.5 * ten, 5 * ten) if step <= largest / 4)


def _mark(name: str, x: float, y: float) -> str:
    match MARKS[name]:
        case "circle":
            return f'<circle class="mark {name}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        case "square":
            path = "m-3.5 -3.5h7v7h-7z"
        case "diamond":
            path = "m0 -5l5 5l-5 5l-5 -5z"
        case _:
            path = "m0 -5l5 8.5h-10z"
    return f'<path class="mark {name}" d="M{x:.1f} {y:.1f}{path}"/>'
