"""A service with frames of somebody's own, none of which is ``red-ribbons``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from starlette.testclient import TestClient

from app.settings import load_settings
from app.web.app import create_app

if TYPE_CHECKING:
    from pathlib import Path


def test_it_serves_without_the_campaigns_first_frame(root: Path, tmp_path: Path, photo: bytes) -> None:
    """An avatar, its overlay, the editor and the recipe need no frame of a certain name."""
    shutil.copytree(root / "frames" / "ribbon-loop", tmp_path / "another")
    settings = load_settings(workers=1, deadline=30, frames_folder=tmp_path)
    with TestClient(create_app(settings)) as client:
        avatar = client.post("/v1/avatars", content=photo)
        assert avatar.status_code == 200, avatar.text
        assert 'filename="another.jpg"' in avatar.headers["content-disposition"]
        assert client.get("/v1/frames/another/overlay.png", params={"size": 64}).status_code == 200
        for page in ("/ar", "/ios"):
            assert client.get(page).status_code == 200
        assert client.get("/readyz").status_code == 200
