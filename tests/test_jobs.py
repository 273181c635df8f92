from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from app import frames, jobs
from app.jobs import Studio
from app.render.limits import Limits
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_operators_word_on_faces_wins(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A studio that may not look for faces does not, whatever is asked for; any other does as it is told."""
    asked = []
    monkeypatch.setattr(jobs, "make_avatar", lambda _photo, spec, *_: asked.append(spec.faces))
    for finds_faces in (True, False):
        studio = Studio((root / "frames",), root / "fonts", 1_000_000, Limits(), finds_faces)
        for faces in ("on", "off"):
            studio.draw_avatar(b"", AvatarSpec(frame="red-ribbons", faces=faces))
    assert asked == ["on", "off", "off", "off"]


LOOK = """
import sys
from pathlib import Path
from PIL import Image
from app.jobs import Allowance, Studio, perform
from app.render.faces import find_faces
from app.render.limits import Limits
from app.spec import AvatarSpec

studio = Studio((Path("frames"),), Path("fonts"), 1_000_000, Limits(), sys.argv[1] == "looks")
studio.draw_specimen(AvatarSpec(frame="red-ribbons", size=64))
print("numpy" in sys.modules)
if studio.finds_faces:
    status = dict(line.split(":") for line in open("/proc/self/status"))
    taken = int(status["VmData"].split()[0]) << 10
    picture = Image.new("RGB", (1000, 1000))
    try:
        perform(lambda: find_faces(picture), Allowance(20, taken + (20 << 20)))
    except Exception as error:
        print(type(error).__name__)
"""
"""Warms a process up, and prints whether it can look for faces then; and what comes of it without memory."""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
@pytest.mark.parametrize(("how", "said"), [("looks", ["True", "PhotoDamaged"]), ("does not", ["False"])])
def test_a_warm_worker_has_what_looks_for_faces(how: str, said: list[str], root: Path) -> None:
    """OpenBLAS ends a process that has too little memory left for it; numpy alone raises an error."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, how], cwd=root, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == said


KEEP = """
import resource, sys
from PIL import Image
from app import jobs
if sys.argv[1] == "told":
    jobs.keep_freed_memory()
for _ in range(7):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    Image.new("RGB", (3000, 2000), 1), Image.new("RGB", (2000, 2000), 1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Prints how many pages the system cleared for the last of some large photos, each forgotten at once."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_a_worker_keeps_the_memory_of_a_large_photo(root: Path) -> None:
    """Else the system takes it away and clears it for each: 40 MB, ten thousand pages."""
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", KEEP, how], cwd=root, check=True, capture_output=True
            ).stdout
        )
        for how in ("told", "untold")
    ]
    assert faults[0] < 100
    assert faults[1] > 1000


def test_a_c_library_that_cannot_be_told_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Musl and macOS have no such function, and workers all the same."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    jobs.keep_freed_memory.__wrapped__()
