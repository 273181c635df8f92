"""What was measured, as the tables that the documents hold between markers."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from benchmarks.peers.installing import versions
from benchmarks.peers.measuring import (
    CLIENTS,
    CONCURRENCY,
    HEADLINE,
    HEADLINE_ONLY,
    LARGE,
    MEGAPIXELS,
    SIZES,
    SMALL,
)
from benchmarks.peers.serving import FACES, TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.peers.results import Figure, Point, Results

AIMS = {"sharp": 3.5, "thumbor": 5.0}
"""How many times as many avatars of 12 MP ours is to make in a second."""

LEAST = {"sharp": 2.8, "thumbor": 3.3}
"""How many times as many it made on every machine that was tried, less a twentieth."""

BUSY = " **The machine was busy with other things: the rates are worth little.**"
"""Of a run that should be made again: who has more threads then gets more of the machine."""

OURS = {"ours", FACES}
"""Who is no peer."""

MADE_OF = {
    "sharp": ("sharp", "fastify"),
    "pyvips": ("pyvips", "pyvips-binary", "starlette", "uvicorn"),
    "thumbor": ("thumbor", "pillow"),
}
"""What stands behind a peer, by the names under which it is pinned."""


def sections(results: Results) -> dict[str, str]:
    """Return the generated parts of docs/performance.md, by the names of their markers."""
    return {
        "machine": _machine(results),
        "floors": _floors(results),
        "peers": _peers(results),
        "growth": _growth(results),
    }


def summary(results: Results) -> str:
    """Return README's sentences."""
    ours, small = results.figure("ours", LARGE), results.figure("ours", SMALL)
    if ours is None or small is None:
        raise ValueError("ours was not measured")
    times = {name: results.times_faster(name, LARGE) for name in TITLES if name not in OURS}
    beside = [f"{_times(much)} {TITLES[name]}" for name, much in times.items() if much is not None]
    return textwrap.fill(
        f"On {results.machine.cores} cores it makes {_rate(ours.rate)} avatars of 1080 px in a second out of "
        f"photos of 12 MP, with {_ms(ours.cpu)} ms of CPU for each, and {_rate(small.rate)} out of the "
        f"page's squares ({_ms(small.cpu)} ms)."
        + (f" For photos of 12 MP that is {_listed(beside)}, measured beside it over HTTP." if beside else "")
        + _caution(results),
        width=118,
    )


def missed(results: Results) -> list[str]:
    """Return in words which aims were measured and missed."""
    return [f"{told}; the aim is {AIMS[name]}" for name, told in _below(results, AIMS).items()]


def worse(results: Results) -> list[str]:
    """Return in words where ours was measured to make fewer than it did."""
    return [f"{told}; it was {LEAST[name]} at least" for name, told in _below(results, LEAST).items()]


def _below(results: Results, bounds: Mapping[str, float]) -> dict[str, str]:
    return {
        name: f"{_times(much)} {TITLES[name]} at {LARGE.photo}"
        for name, bound in bounds.items()
        if (much := results.times_faster(name, LARGE)) is not None and much < bound
    }


def write_between(text: str, name: str, content: str) -> str:
    """Return a document with the part between a name's markers replaced.

    Raises:
        ValueError: The document has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    written, found = pattern.subn(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)
    if found != 1:
        raise ValueError(f"the document has {found} places for {name}")
    return written


def _machine(results: Results) -> str:
    machine, pinned = results.machine, versions()
    behind = [
        f"{TITLES[peer]}: {', '.join(f'{name} {pinned[name]}' for name in names)}"
        for peer, names in MADE_OF.items()
    ]
    absent = [f"- Left out: {TITLES[one.server]}{_at(one.point)}: {one.reason}." for one in results.missing]
    where = f"on {machine.cores} cores of {machine.processor}; load average before {machine.load:.1f}"
    return "\n".join(
        [
            f"- {machine.date}, by `make bench-docs`, {where}.{_caution(results)}",
            f"- Python {machine.python}, Node.js {machine.node}.",
            *(f"- {line}." for line in behind),
            *absent,
        ]
    )


def _caution(results: Results) -> str:
    return BUSY if results.machine.load >= 1 else ""


def _at(point: Point | None) -> str:
    return f" with {point.photo}, {point.size} px, {point.clients} at once" if point else ""


def _floors(results: Results) -> str:
    return _table(
        ("photo", "MB", "avatar ms", "codec alone ms", "ratio"),
        (
            (f.photo, f"{f.nbytes / 1e6:.1f}", _ms(f.avatar), _ms(f.codec), f"{f.ratio:.2f}")
            for f in results.floors
        ),
    )


def _peers(results: Results) -> str:
    table = _table(
        ("photo", "server", "CPU ms", "CPU, ours is 1", "avatars/s", "ours makes", "wait ms", "dB", "KB"),
        (
            _peer(results, name, point)
            for point in HEADLINE
            for name in TITLES
            if name != FACES or results.figure(FACES, point)
        ),
        words=2,
    )
    aims = _listed([f"{_times(much)} {TITLES[name]}" for name, much in AIMS.items()])
    return f"{table}\n\n" + textwrap.fill(
        f"The aim with photos of {LARGE.photo} is {aims}, at least.{_bound(results)}", width=118
    )


def _bound(results: Results) -> str:
    """Say how far ours could be ahead if it did nothing beside decoding and encoding."""
    codec = next((floor.codec for floor in results.floors if floor.photo == LARGE.photo), None)
    figures = [figure for name in AIMS if (figure := results.figure(name, LARGE))]
    if codec is None or not figures:
        return ""
    ahead = [f"{_times(figure.cpu / codec)} {TITLES[figure.server]}" for figure in figures]
    return (
        f" Decoding and encoding alone, without HTTP, take {_ms(codec)} ms: nothing that reads a JPEG as "
        f"fast as libjpeg-turbo can be further ahead in CPU than {_listed(ahead)}."
    )


def _peer(results: Results, name: str, point: Point) -> Sequence[str]:
    figure, picture = results.figure(name, point), results.picture(name, point.photo)
    if figure is None or (picture is None and name != FACES):
        return point.photo, TITLES[name], *["–"] * 7
    much, ours = results.times_faster(name, point), results.figure("ours", point)
    likeness = (f"{picture.fidelity:.1f}", f"{picture.nbytes / 1e3:.0f}") if picture else ("", "")
    return (
        point.photo,
        TITLES[name],
        _ms(figure.cpu),
        "" if name in OURS or ours is None else f"{figure.cpu / ours.cpu:.1f}",
        _rate(figure.rate),
        "" if name in OURS or much is None else _times(much),
        _ms(figure.wait),
        *likeness,
    )


def _growth(results: Results) -> str:
    return "\n\n".join(
        [
            f"CPU ms for an avatar of 1080 px, by the photo's megapixels, {CLIENTS} at once:",
            _series(results, MEGAPIXELS, "photo", lambda point: point.photo, _cpu),
            f"CPU ms for an avatar of a photo of 12 MP, by the avatar's side, {CLIENTS} at once:",
            _series(results, SIZES, "px", lambda point: str(point.size), _cpu),
            "Avatars per second of the page's squares, and the median wait in ms, by how many ask at once:",
            _series(results, CONCURRENCY, "at once", lambda point: str(point.clients), _rate_and_wait),
        ]
    )


def _series(
    results: Results,
    points: Iterable[Point],
    what: str,
    label: Callable[[Point], str],
    show: Callable[[Figure], str],
) -> str:
    names = plotted(results)
    rows = []
    for point in points:
        figures = [results.figure(name, point) for name in names]
        rows.append([label(point), *("–" if figure is None else show(figure) for figure in figures)])
    return _table((what, *(TITLES[name] for name in names)), rows)


def plotted(results: Results) -> list[str]:
    """Return whose cost is shown as it grows, in the order of the tables."""
    names = [name for name in TITLES if name not in HEADLINE_ONLY]
    return [name for name in names if any(results.figure(name, point) for point in MEGAPIXELS)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Return a table whose first columns are words, and all others numbers."""
    lines = [head, ["---"] * words + ["--:"] * (len(head) - words), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cpu(figure: Figure) -> str:
    return _ms(figure.cpu)


def _rate_and_wait(figure: Figure) -> str:
    return f"{_rate(figure.rate)} ({_ms(figure.wait)})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}" if seconds < 0.01 else f"{seconds * 1e3:.0f}"


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def _times(much: float) -> str:
    return f"{much:.1f} ×"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
