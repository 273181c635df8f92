"""Numbers that a script repeats are those of the module that it repeats."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from app.render import edge, framing
from app.render.yunet import boxes, network
from app.web.pages.assets import STATIC_FOLDER

if TYPE_CHECKING:
    from types import ModuleType

CONSTANT = re.compile(r"^const \[?(?P<names>[A-Z_, ]+?)\]? = (?P<values>[-\d.e\[\],\s]+);", re.MULTILINE)
BLUR = re.compile(r"\{ sigma: ([\d.]+), reach: ([\d.]+),")


def numbers(script: str) -> dict[str, Any]:
    """Return the numbers that a script has names for at its top: one, or several in brackets."""
    found: dict[str, Any] = {}
    for constant in CONSTANT.finditer((STATIC_FOLDER / script).read_text(encoding="utf-8")):
        names = constant["names"].split(", ")
        values = json.loads(re.sub(r",\s*\]", "]", constant["values"]))
        found |= zip(names, values, strict=True) if len(names) > 1 else {names[0]: values}
    return found


@pytest.mark.parametrize(
    ("script", "modules", "its_own"),
    [
        ("choosing.js", (framing,), set()),
        ("edge.js", (edge,), {"SIDE", "PIECES"}),
        ("faces.js", (network, boxes), set()),
    ],
)
def test_a_number_has_the_same_value_in_both(
    script: str, modules: tuple[ModuleType, ...], its_own: set[str]
) -> None:
    """Under the same name. Few photos show the difference where they are not: no picture would tell."""
    ours = {name.lstrip("_"): value for module in modules for name, value in vars(module).items()}
    repeated = numbers(script)
    assert repeated.keys() - ours.keys() == its_own
    for name in repeated.keys() - its_own:
        expected = ours[name]
        assert repeated[name] == (expected if isinstance(expected, float | int) else _lists(expected)), name


def _lists(rows: tuple[tuple[float, ...], ...]) -> list[list[float]]:
    return [list(row) for row in rows]


def test_all_of_them_are_read() -> None:
    """None is written in a way that the test above does not see."""
    assert len(numbers("choosing.js")) == 18
    assert numbers("faces.js").keys() == {"TOP", "LEAST_SCORE", "MOST_SHARED", "MOST_FACES", "FARTHEST"}
    assert "ENLARGED" in numbers("edge.js")


def test_the_photos_edge_is_blurred_as_much_in_both() -> None:
    """As far from the photo; how many pixels are enough for it is each one's own."""
    script = (STATIC_FOLDER / "edge.js").read_text(encoding="utf-8")
    repeated = [(float(sigma), float(reach)) for sigma, reach in BLUR.findall(script)]
    assert repeated == [(blur.sigma, blur.reach) for blur in edge.BLURS]


def test_every_face_that_counts_is_told() -> None:
    """The detector leaves out none that the policy would heed."""
    assert min(framing.SECOND_SCORE, framing.LEAST_SCORE) >= boxes.LEAST_SCORE
