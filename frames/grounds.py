"""Draw every frame without its words once for all: ``python frames/grounds.py`` (``make grounds``).

Drawing a frame at the proposed size takes most of a second, which a single call of ``ribbons make`` would
wait for, and every worker that starts. A lossless picture beside the artwork holds the same pixels.
"""
# ruff: noqa: INP001, T201 (a script, no package; it prints)

from __future__ import annotations

from pathlib import Path

from app.frames import FrameLibrary
from app.render.artwork import kept_ground, rasterise
from app.spec import DEFAULT_SIZE

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write each frame's picture anew, and remove those of earlier artwork."""
    for frame in FrameLibrary([ROOT / "frames"], ROOT / "fonts"):
        path = kept_ground(frame, DEFAULT_SIZE)
        drawn = rasterise(frame.artwork, DEFAULT_SIZE, frame.id)
        # exact: the colours of clear pixels are kept too, so that every avatar's bytes stay the same.
        drawn.save(path, "WEBP", lossless=True, exact=True, quality=100, method=6)
        for old in {*frame.folder.glob("artwork-*.webp")} - {path}:
            old.unlink()
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
