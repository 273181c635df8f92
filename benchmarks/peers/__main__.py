"""``python -m benchmarks.peers``: measure, print, and write the documents where that is asked for."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.avatar import ROOT
from benchmarks.peers.measuring import measure, measure_floors
from benchmarks.peers.plot import draw
from benchmarks.peers.report import missed, sections, summary, worse, write_between
from benchmarks.peers.results import MEASURED, Results

DOCUMENT, README = ROOT / "docs" / "performance.md", ROOT / "README.md"
PLOT = ROOT / "docs" / "performance.svg"


def documents(results: Results) -> dict[Path, str]:
    """Return what the files that hold figures should be, by path."""
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, content in sections(results).items():
        document = write_between(document, name, content)
    readme = write_between(README.read_text(encoding="utf-8"), "speed", summary(results))
    return {DOCUMENT: document, README: readme, PLOT: draw(results)}


def write(results: Results) -> None:
    """Write the documents."""
    for path, content in documents(results).items():
        path.write_text(content, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Measure and print; return 1 where ours is less far ahead than it was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Ours and its peers.")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and README's figures")
    parser.add_argument("--again", action="store_true", help="measure nothing: show what was measured last")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the usual time, for trying")
    parser.add_argument("--folder", type=Path, help="keep the packages here instead of throwing them away")
    options = parser.parse_args(arguments)
    results = _last() if options.again else _measure(options.folder, options.scale)
    if options.write and not options.again:
        results = results.model_copy(update={"floors": tuple(measure_floors())})
    told = sections(results)
    if not results.floors:
        # `make bench` has printed them by itself.
        del told["floors"]
    print(summary(results), *told.values(), sep="\n\n")
    if options.write:
        MEASURED.write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
        write(results)
    for shortfall in missed(results):
        print(f"\nMissed: {shortfall}.")
    losses = worse(results)
    for loss in losses:
        print(f"\nWorse than before: {loss}.")
    return 1 if losses else 0


def _last() -> Results:
    return Results.model_validate_json(MEASURED.read_text(encoding="utf-8"))


def _measure(folder: Path | None, scale: float) -> Results:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return measure(folder.resolve(), scale)
    with tempfile.TemporaryDirectory(prefix="red-ribbons-peers-") as thrown_away:
        return measure(Path(thrown_away), scale)


if __name__ == "__main__":
    # Whoever ends the run ends the servers, and the folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
