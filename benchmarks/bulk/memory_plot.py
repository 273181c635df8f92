"""Memory over time, as an SVG of our own, on a ground of its own: dark where the reader's system is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 56, 44
STYLE = """
svg { font: 12px system-ui, sans-serif; --ground: #fff; --ink: #1f2328; --faint: #d8dde3;
  --server: #b3132b; --workers: #0a63b0; }
@media (prefers-color-scheme: dark) { svg { --ground: #14181d; --ink: #e6eaef; --faint: #39414a;
  --server: #ff6b7d; --workers: #6cb6ff; } }
.ground { fill: var(--ground); } text { fill: var(--ink); } .title { font-weight: 600; font-size: 13px; }
.grid { stroke: var(--faint); } .phase { stroke: var(--faint); stroke-dasharray: 3 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.server { stroke: var(--server); } .workers { stroke: var(--workers); stroke-dasharray: 7 3; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
"""
_MB = 1_000_000
_LINES = 5
_LEAST_WIDTH = 40
"""Of a phase whose name is written, in pixels."""


def draw(samples: Sequence[tuple[float, int, int]], phases: Sequence[tuple[str, float]]) -> str:
    """Return the plot as SVG.

    Args:
        samples: Seconds, bytes of the server, bytes of its workers together.
        phases: What was done, and when that began.
    """
    last = samples[-1][0]
    step = _step(max(max(server, workers) for _, server, workers in samples) / _MB / _LINES)

    def x(seconds: float) -> float:
        return LEFT + seconds / last * (WIDTH - LEFT - RIGHT)

    def y(nbytes: float) -> float:
        return HEIGHT - BOTTOM - nbytes / _MB / (step * _LINES) * (HEIGHT - TOP - BOTTOM)

    title = "Memory of the server and of its workers, MB"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="title" x="{LEFT}" y="20">{title}</text>',
    ]
    for place, (name, text) in enumerate((("server", "server"), ("workers", "its workers, together"))):
        left = LEFT + place * 110
        parts.append(
            f'<path class="line {name}" d="M{left} 36h24"/><text x="{left + 30}" y="40">{text}</text>'
        )
    for count in range(_LINES + 1):
        at = y(count * step * _MB)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{at + 4:.1f}">{count * step:g}</text>')
    ends = [start for _, start in phases[1:]] + [last]
    for (name, start), end in zip(phases, ends, strict=True):
        parts.append(f'<path class="phase" d="M{x(start):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        if x(end) - x(start) >= _LEAST_WIDTH:
            middle = (x(start) + x(end)) / 2
            parts.append(f'<text class="middle" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 18}">{name}</text>')
    parts.append(f'<text class="end" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}">{last:.0f} s</text>')
    for name, column in (("server", 1), ("workers", 2)):
        path = "L".join(f"{x(sample[0]):.1f} {y(sample[column]):.1f}" for sample in samples)
        parts.append(f'<path class="line {name}" d="M{path}"/>')
    return "\n".join([*parts, "</svg>", ""])


def _step(least: float) -> float:
    """Return a round number that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
