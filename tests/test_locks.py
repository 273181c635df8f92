"""The locks hold all that is needed: pip takes nothing that is not pinned with its hash."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def pinned(lock: Path) -> list[Requirement]:
    """Return what a lock pins, for this Python on this machine."""
    lines = re.findall(r"^([a-z0-9].*?==.*?) *\\?$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return [one for one in found if one.marker is None or one.marker.evaluate()]


def asked_for(root: Path, groups: Iterable[str]) -> list[Requirement]:
    """Return what the project itself needs, with groups of tools."""
    file = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [file["project"]["dependencies"], *(file["dependency-groups"][group] for group in groups)]
    return [Requirement(line) for lines in lists for line in lines]


def lacking(names: Iterable[str], wanted: Iterable[Requirement]) -> set[str]:
    """Return what is needed, by whatever is needed, and is not among the names."""
    names = set(names)
    # A package is looked at once for each of its extras that somebody asks for, and once without any.
    left = [(canonicalize_name(one.name), extra) for one in wanted for extra in ("", *one.extras)]
    seen = set(left)
    missing: set[str] = set()
    while left:
        name, extra = left.pop()
        if name not in names:
            missing.add(name)
            continue
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                found = {(canonicalize_name(needed.name), one) for one in ("", *needed.extras)} - seen
                seen |= found
                left += found
    return missing


LOCKS = [("requirements.txt", ("build",)), ("requirements-dev.txt", ("build", "dev"))]


@pytest.mark.parametrize(("name", "groups"), LOCKS)
def test_a_lock_pins_whatever_is_needed(name: str, groups: tuple[str, ...], root: Path) -> None:
    """Else it installs here, where the package is there already, and nowhere else: a merge lost one once."""
    lock = pinned(root / name)
    wanted = asked_for(root, groups)
    names = {one.name for one in lock}
    assert len(names) == len(lock), "each once"
    assert lacking(names, wanted) == set()
    assert lacking(names, lock) == set()


@pytest.mark.parametrize("lost", ["httpx", "brotli", "starlette"])
def test_a_package_that_a_lock_lost_is_found(lost: str, root: Path) -> None:
    """One that only a tool needs, one that only an extra needs, and one of the service's own."""
    names = {one.name for one in pinned(root / "requirements-dev.txt")}
    assert lacking(names - {lost}, asked_for(root, ("build", "dev"))) == {lost}
