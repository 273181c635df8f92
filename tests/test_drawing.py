from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from app import drawing, render
from app.drawing import Drawing, drawing_revision
from app.lanes import Lane
from app.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_draws_without_the_web() -> None:
    """Whoever has settings and no server gets an avatar from a worker."""
    parts = Drawing.build(load_settings(workers=1, deadline=30))

    async def draw() -> bytes:
        async with parts.pool.opened():
            draw_specimen = partial(parts.studio.draw_specimen, parts.specimen)
            return (await parts.pool.run(draw_specimen, lane=Lane.BULK)).content

    assert anyio.run(draw).startswith(b"\xff\xd8\xff")
    assert parts.specimen.frame == next(iter(parts.frames)).id


def test_the_revision_is_that_of_every_file_that_draws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file in a folder below counts, weights too, and its place: one name may stand in two folders."""
    monkeypatch.setattr(render, "__path__", [str(tmp_path)])
    revisions = {drawing_revision()}
    (tmp_path / "text").mkdir()
    (tmp_path / "derived").mkdir()
    (tmp_path / "text" / "line.py").write_text("")
    revisions.add(drawing_revision())
    (tmp_path / "text" / "line.py").rename(tmp_path / "derived" / "line.py")
    revisions.add(drawing_revision())
    (tmp_path / "derived" / "line.py").write_text("x = 1\n")
    revisions.add(drawing_revision())
    (tmp_path / "derived" / "weights.int8").write_bytes(b"1")
    revisions.add(drawing_revision())
    monkeypatch.setattr(drawing, "version", lambda _: "another")
    revisions.add(drawing_revision())
    assert len(revisions) == 6
