"""A service with frames of somebody's own, in place of ours or beside them."""

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


def test_it_serves_a_frame_beside_ours(root: Path, tmp_path: Path, photo: bytes) -> None:
    """An added frame with a typeface of its own is listed, drawn, cached by its own address, and offered."""
    frame, fonts = tmp_path / "frames" / "march", tmp_path / "fonts"
    shutil.copytree(root / "frames" / "ribbon-loop", frame)
    fonts.mkdir()
    typeface = fonts / "March.ttf"
    shutil.copy(root / "fonts/cairo/Cairo_700Bold.ttf", typeface)
    file = frame / "frame.toml"
    file.write_text(file.read_text("utf-8").replace("cairo/Cairo_900Black.ttf", "March.ttf"), "utf-8")
    settings = load_settings(
        workers=1, deadline=30, more_frames_folders=(frame.parent,), more_fonts_folders=(fonts,)
    )
    etags = []
    for weight in ("700Bold", "800ExtraBold"):
        shutil.copy(root / f"fonts/cairo/Cairo_{weight}.ttf", typeface)
        with TestClient(create_app(settings)) as client:
            listed = [one["id"] for one in client.get("/v1/frames").json()]
            assert sorted(listed) == ["january-31", "march", "red-ribbons", "ribbon-loop"]
            pictures = [
                client.post("/v1/avatars", content=photo, params={"frame": name, "size": 256}).content
                for name in ("march", "ribbon-loop")
            ]
            assert pictures[0] != pictures[1], "its own typeface is drawn"
            assert "march/overlay.webp" in client.get("/en").text
            etags.append(client.get("/v1/frames/march/overlay.png", params={"size": 64}).headers["etag"])
    assert etags[0] != etags[1], "an overlay's address changes with the typeface"
