"""PQ and HLG -> sRGB: light that goes beyond paper white, brought into the range of an ordinary screen.

A photo of this kind says how bright each point is, up to 10,000 cd/m2 (PQ) or 1000 (HLG). An ordinary screen
ends at white. Each colour is multiplied by one number, the gain, and so keeps its hue; a curve for each
channel would turn a sunlit face yellow, then white. The steps, in linear light, 1 for reference white:

1. Signal to light. PQ: the EOTF of SMPTE ST 2084. HLG: the inverse OETF of ARIB STD-B67, then the OOTF on
   luminance for a nominal screen of 1000 cd/m2 (ITU-R BT.2100, table 5, gamma 1.2). Reference white is 203
   cd/m2: 0.58 of PQ's signal, 0.75 of HLG's (ITU-R BT.2408, table 1).
2. To BT.2020, so that a colour looks the same whatever primaries its file has.
3. The gain, from the largest of red, green and blue, so that none of the three leaves the range: what SMPTE
   ST 2094-50 and Chromium take. With ``m`` for the largest and ``peak`` for the photo's::

       gain(m) = exposure / (1 + (exposure - 1 / peak) * m)      and 1 / m from the peak on

   It is Reinhard's curve ("Photographic tone reproduction for digital images", 2002, equation 3), scaled to
   reach white at the peak. Its exposure falls from 1 to EXPOSURE within the first stop above white. So a
   picture that needs no more than an ordinary screen's range is not changed, and the more there is above
   white, the more room it gets. With a peak of 1000 cd/m2, reference white comes out as 180 of 255 (Chromium:
   188) and grey of 18 % as 93.
4. To sRGB's primaries. What is negative there is cut off, as for every other wide profile. What is above 1 is
   brought inside half by less light, half by moving towards the grey of its luminance: bright colours become
   paler, not another hue, and BT.2020's purest red does not turn pink.
5. The curve of sRGB (IEC 61966-2-1), which the colour engine adds.

**The peak is measured**, on the whole photo, so that a crop never changes the exposure: the largest channel
of all but the brightest thousandth of its points. It is what ``clli`` (MaxCLL, CTA-861.3) would say, and that
is absent from most files and wrong after an edit; ``mdcv`` tells of a screen, not of the photo.

**Depth.** Decoders hand over 8 bits, of 10 or 12 in the file. From one of PQ's 255 steps to the next the
result moves by at most 3 levels (4 in a photo with nothing above white). The noise of a photo hides that; a
smooth gradient, drawn or a blurred sky, shows it.
"""

from __future__ import annotations

import math
import sys
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageMath
from PIL.ImageMath import imagemath_max as at_least
from PIL.ImageMath import imagemath_min as at_most

from app.render.colourspace import BT709, BT2020, ColourSpace, light_matrix, table_profile, xyz_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

REFERENCE_WHITE = 203.0
"""Luminance of white paper in such a picture, cd/m2 (ITU-R BT.2408)."""
HLG_PEAK = 1000.0
"""Nominal luminance of HLG's largest signal, cd/m2 (ITU-R BT.2100)."""
EXPOSURE = 2 / 3
"""What is left of dark and middle tones where highlights need room.

Colourists leave 0.54 to 0.66 (measured between a film's PQ frame and its own SDR grade), Chromium 0.5.
"""
BRIGHTEST = 0.001
"""The share of a photo's points that may be brighter than its peak: sparkles, hot pixels, a lamp far away."""
SAMPLE_SIDE = 256
"""The peak is looked for in as many points each way: enough for the share, and 1 ms."""
NODES = 33
"""Points along each side of the table: as many as the colour engine keeps of any. Greys between them are off
by at most 1 level where the peak is 1000 cd/m2, by 8 at the white of a photo with nothing above it."""

LUMINANCE_2020 = (0.2627, 0.6780, 0.0593)
LUMINANCE_709 = (0.2126, 0.7152, 0.0722)
NODE_GAMMA = 2.4
"""Nodes hold the root of light, so that half way between two of them looks half way."""
CURVE_POINTS = 4096
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class HighRange:
    """Colours of a photo in PQ or HLG, and how far above white they go.

    Attributes:
        space: Its primaries and which of the two curves.
        peak: Luminance of the brightest that is to be told apart, cd/m2; at least REFERENCE_WHITE.
    """

    space: ColourSpace
    peak: float

    @classmethod
    def measured(cls, space: ColourSpace, photo: Image.Image) -> HighRange:
        """Find the peak of a photo.

        Args:
            space: Its colours, ``space.is_high_range``.
            photo: The whole of it: L, RGB or RGBA. What is transparent counts too.
        """
        side = SAMPLE_SIDE
        points = photo.resize((min(side, photo.width), min(side, photo.height)), Image.Resampling.NEAREST)
        red, green, blue = points.convert("RGB").split()
        counts = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
        left = int(BRIGHTEST * points.width * points.height)
        level = 255
        while level and counts[level] <= left:
            left -= counts[level]
            level -= 1
        return cls(space, max(REFERENCE_WHITE * _grey_light(space, level / 255), REFERENCE_WHITE))

    def profile(self) -> bytes:
        """Return all five steps as an ICC profile (version 4.3): a table of NODES nodes a side, to XYZ.

        A table is what keeps a large picture cheap, and one in a profile is read by the colour engine, which
        goes from node to node along the grey diagonal (tetrahedra). Pillow's own Color3DLUT mixes eight
        corners at a time, and greys with their coloured neighbours: 14 levels too dark.
        """
        return _profile(self)


def _pq(signal: float) -> float:
    """SMPTE ST 2084: signal to light, 1 for reference white."""
    power = signal ** (1 / 78.84375)
    base = max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return float(10_000 * base ** (1 / 0.1593017578125)) / REFERENCE_WHITE


def _hlg(signal: float) -> float:
    """ARIB STD-B67: signal to the light of the scene, 1 for the largest signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return signal**2 / 3 if signal <= 0.5 else (math.exp((signal - c) / a) + b) / 12


def _hlg_shown(scene: float) -> float:
    """Return HLG's light on its nominal screen, 1 for reference white, of a grey of the scene."""
    return float(scene**1.2) * HLG_PEAK / REFERENCE_WHITE


def _grey_light(space: ColourSpace, signal: float) -> float:
    return _pq(signal) if space.transfer == "pq" else _hlg_shown(_hlg(signal))


def _curve(peak: float) -> tuple[float, float]:
    """Return exposure and bend of the gain for a peak, 1 for reference white: exposure / (1 + bend * m)."""
    exposure = 1 - (1 - EXPOSURE) * min(math.log2(peak), 1)
    return exposure, exposure - 1 / peak


@lru_cache(maxsize=4)
def _profile(colours: HighRange) -> bytes:
    # 34 ms of CPU. Worked out on small pictures of floats, a point for each node, and not node by node.
    to_light = _pq if colours.space.transfer == "pq" else _hlg
    light = _mixed(light_matrix(colours.space.primaries, BT2020), _nodes(to_light))
    if colours.space.transfer == "hlg":
        light = _scaled(light, lambda y: y**0.2 * (HLG_PEAK / REFERENCE_WHITE), _sum(LUMINANCE_2020, light))
    exposure, bend = _curve(colours.peak / REFERENCE_WHITE)
    light = _scaled(light, lambda m: at_most(exposure / (m * bend + 1), m**-1.0), _largest(light))
    light = _inside(_mixed(light_matrix(BT2020, BT709), light))
    xyz = _mixed(xyz_matrix(BT709), light)
    nodes = [_calculated(lambda v: at_most(v ** (1 / NODE_GAMMA), 1) * 65535 + 0.5, v=plane) for plane in xyz]
    planes = [array("f", plane.tobytes()) for plane in nodes]
    table = array("H", (int(value) for node in zip(*planes, strict=True) for value in node))
    if sys.byteorder == "little":
        table.byteswap()
    return table_profile(NODES, table.tobytes(), _to_linear())


def _to_linear() -> list[int]:
    """Return the curve from a node's value to XYZ, of which 32768 is 1 (ICC.1, 6.3.4.2)."""
    return [round(32768 * (i / (CURVE_POINTS - 1)) ** NODE_GAMMA) for i in range(CURVE_POINTS)]


# -- arithmetic on pictures of floats, a point for each node ------------------

Planes = list[Image.Image]
"""Red, green and blue of all nodes, as pictures of floats. Blue runs along x, green and then red along y: in
a profile's table the first channel varies least."""


def _nodes(to_light: Callable[[float], float]) -> Planes:
    points = [to_light(i / (NODES - 1)) for i in range(NODES)]
    return [
        _floats((p for p in points for _ in range(NODES)), (1, NODES**2)),
        _floats(points * NODES, (1, NODES**2)),
        _floats(points, (NODES, 1)),
    ]


def _floats(numbers: Iterable[float], size: tuple[int, int]) -> Image.Image:
    row = Image.frombytes("F", size, array("f", numbers).tobytes())
    return row.resize((NODES, NODES**2), Image.Resampling.NEAREST)


def _calculated(expression: Callable[..., Any], **pictures: Image.Image) -> Image.Image:
    """Evaluate an expression of pictures, point by point, in floats."""

    def named(found: dict[str, Any]) -> Any:
        return expression(**{name: found[name] for name in pictures})

    result: Image.Image = ImageMath.lambda_eval(named, **pictures)
    return result


def _sum(weights: Sequence[float], planes: Planes) -> Image.Image:
    """Return the weighted sum, nothing of it below TINY."""
    red, green, blue = planes
    x, y, z = weights
    return _calculated(lambda r, g, b: at_least(r * x + g * y + b * z, TINY), r=red, g=green, b=blue)


def _mixed(matrix: Sequence[Sequence[float]], planes: Planes) -> Planes:
    """Return light under other primaries, what is negative cut off."""
    return [_sum(row, planes) for row in matrix]


def _largest(planes: Planes) -> Image.Image:
    red, green, blue = planes
    return _calculated(lambda r, g, b: at_least(at_least(r, g), b), r=red, g=green, b=blue)


def _scaled(planes: Planes, gain: Callable[[Any], Any], by: Image.Image) -> Planes:
    return [_calculated(lambda v, m: v * gain(m), v=plane, m=by) for plane in planes]


def _inside(planes: Planes) -> Planes:
    """Bring what is above 1 inside: half way between less light and less colour, the hue kept by both."""
    grey, top = _sum(LUMINANCE_709, planes), _largest(planes)

    def inside(v: Any, y: Any, m: Any) -> Any:
        paler = y + (v - y) * at_most((1 - y) / at_least(m - y, TINY), 1)
        return (paler + v / at_least(m, 1)) / 2

    return [_calculated(inside, v=plane, y=grey, m=top) for plane in planes]
