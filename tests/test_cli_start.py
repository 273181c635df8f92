"""What the command line loads before it does anything: each library is time that somebody waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# What only the service, or an error, needs. `ribbons make` did load some of it once: 0.3 s of its 1.7.
SERVICE = {
    "anyio",
    "babel",
    "fastapi",
    "jinja2",
    "prometheus_client",
    "redis",
    "starlette",
    "structlog",
    "uvicorn",
    "uvloop",
}
# What only batches on a server, and the keys to them, need.
BATCHES = {"alembic", "cryptography", "dbos", "obstore", "openpyxl", "psycopg", "sqlalchemy"}
# What no font that we ship needs; arabic_reshaper loads fontTools where it is installed.
OLD_FONTS = {"arabic_reshaper", "fontTools"}
DRAWING = {"PIL", "pi_heif", "resvg_py", "uharfbuzz"}
DETECTOR = {"numpy"}


def loaded(root: Path, *words: object, **environment: str) -> set[str]:
    """Run the command line in a process of its own, and return the packages that it has loaded."""
    program = """
import json, sys
from app.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    command = [sys.executable, "-c", program, *map(str, words)]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_one_avatar_loads_what_draws_and_no_more(root: Path, tmp_path: Path) -> None:
    """A single photo starts no worker, no event loop's libraries, no service and no catalogue of texts."""
    photo = root / "frames" / "portrait.png"
    modules = loaded(root, "make", photo, "-o", tmp_path / "avatar.jpg")
    assert modules >= DRAWING
    assert not modules & (SERVICE | BATCHES | OLD_FONTS | {"multiprocessing"})


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["make", "--help"],
        ["bulk", "--help"],
        ["table", "--help"],
        ["frames", "list"],
        ["keys", "--help"],
    ],
)
def test_what_draws_nothing_loads_nothing_that_draws(words: list[str], root: Path) -> None:
    """Help and lists come at once."""
    assert not loaded(root, *words) & (SERVICE | BATCHES | OLD_FONTS | DRAWING | DETECTOR)


def test_keys_need_nothing_that_serves(root: Path, tmp_path: Path) -> None:
    """Making a key loads the database and what seals, and no web server, no store, queue or frame."""
    modules = loaded(root, "keys", "list", RIBBONS_DATA_FOLDER=str(tmp_path))
    assert modules >= {"sqlalchemy", "cryptography", "structlog"}
    assert not modules & {"dbos", "fastapi", "obstore", "openpyxl", "resvg_py", "uvicorn"}


def test_the_first_avatar_draws_no_frame(root: Path, tmp_path: Path) -> None:
    """At the proposed size a frame is taken from its picture: the rasteriser draws words only."""
    command = ["make", str(root / "frames" / "portrait.png"), "-o", str(tmp_path / "a.jpg")]
    program = f"""
import app.render.artwork as artwork
import resvg_py
class Counting:
    __resvg_version__ = resvg_py.__resvg_version__
    drawn = []
    def svg_to_bytes(self, **given):
        self.drawn.append(given["svg_string"])
        return resvg_py.svg_to_bytes(**given)
artwork.resvg_py = Counting()
from app.cli import main
main({command!r}, standalone_mode=False)
(words,) = Counting.drawn
assert "Gradient" not in words
"""
    subprocess.run([sys.executable, "-c", program], cwd=root, timeout=60, check=True)
