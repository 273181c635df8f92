from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from app import frames, jobs
from app.jobs import Studio
from app.render.limits import Limits
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_worker_keeps_the_overlays_of_each_studio(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of two libraries by turns load each library once."""
    shutil.copytree(root / "frames" / "ribbon-loop", tmp_path / "another")
    loaded: list[tuple[Path, ...]] = []
    build = frames.FrameLibrary

    def load(folders: tuple[Path, ...], fonts: Path) -> object:
        loaded.append(folders)
        return build(folders, fonts)

    monkeypatch.setattr(jobs, "FrameLibrary", load)
    own = Studio((tmp_path,), root / "fonts", 1_000_000, Limits())
    both = Studio((root / "frames", tmp_path), root / "fonts", 1_000_001, Limits())
    drawn = [
        studio.draw_overlay(AvatarSpec(frame="another", size=64, format="png"))
        for studio in (own, both, own, both)
    ]
    assert loaded == [(tmp_path,), (root / "frames", tmp_path)]
    assert len(set(drawn)) == 1
