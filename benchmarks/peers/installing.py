"""The peers' packages, at the versions that are pinned here, in a folder that is thrown away."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHARP = HERE / "sharp"
PYTHON = HERE / "python"
TIMEOUT = 300
_QUIET = ("--quiet", "--no-cache-dir", "--disable-pip-version-check")


class NotInstalled(Exception):
    """A peer could not be installed here; the text says why."""


def versions() -> dict[str, str]:
    """Return what is pinned of what a reader may ask for, by name."""
    npm = json.loads((SHARP / "package.json").read_text(encoding="utf-8"))["dependencies"]
    pins = re.findall(
        r"^(\S+)==(\S+)$", (PYTHON / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {**npm, **dict(pins)}


def node() -> str | None:
    """Return the version of Node.js, if there is one."""
    if shutil.which("node") is None:
        return None
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    return said.stdout.strip().removeprefix("v")


def install_npm(folder: Path) -> Path:
    """Install sharp and Fastify, and return where its server lies, beside them.

    Raises:
        NotInstalled: There is no npm or no network.
    """
    place = folder / "sharp"
    if not (place / "node_modules").exists():
        if shutil.which("npm") is None or node() is None:
            raise NotInstalled("there is no Node.js with npm")
        shutil.copytree(SHARP, place, dirs_exist_ok=True)
        _run("npm", "npm", "ci", "--no-audit", "--no-fund", "--cache", str(folder / "npm"), cwd=place)
    shutil.copy(SHARP / "server.js", place)
    return place / "server.js"


def install_python(folder: Path) -> Path:
    """Install thumbor and pyvips into an environment of their own, and return its folder of programs.

    Raises:
        NotInstalled: There is no network.
    """
    programs = folder / "python" / "bin"
    if not (programs / "thumbor").exists():
        _run("venv", sys.executable, "-m", "venv", str(programs.parent), cwd=folder)
        pins = str(PYTHON / "requirements.txt")
        _run("pip", str(programs / "python"), "-m", "pip", "install", *_QUIET, "-r", pins, cwd=folder)
    return programs


def _run(name: str, *command: str, cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{name} took more than {TIMEOUT} s") from None
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise NotInstalled(f"{name} could not install it")
