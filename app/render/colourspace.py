"""Colours that a file names by numbers, as an ICC profile that the colour engine understands."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Transfer = Literal["srgb", "gamma", "pq", "hlg"]
Vector = Sequence[float]
Matrix = Sequence[Vector]

D65 = (0.3127, 0.3290)
BT709 = (*D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
BT2020 = (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
CICP_PRIMARIES = {
    1: BT709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 M
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.470 BG
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # BT.601, 525 lines
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE 240M
    9: BT2020,
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU 3213
}
"""White, red, green and blue as xy pairs, by number (ITU-T H.273, table 2)."""
CICP_TRANSFERS: dict[int, tuple[Transfer, float]] = {
    4: ("gamma", 2.2),
    5: ("gamma", 2.8),
    8: ("gamma", 1.0),
    16: ("pq", 0.0),
    18: ("hlg", 0.0),
}
"""By number (H.273, table 3). All others, the camera curves of BT.601, 709 and 2020 among them, are shown on
screens as sRGB is, and taken for it, as browsers do."""

MAX_TAGS = 100
"""Tags of an ICC profile that are looked at. Profiles have ten to thirty."""
D50: Vector = (0.96422, 1.0, 0.82521)
BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """Three primaries, a white and a curve.

    Attributes:
        primaries: White, red, green, blue as xy pairs.
        transfer: Kind of curve from code value to light.
        gamma: Exponent of the curve, for ``gamma`` only.
    """

    primaries: tuple[float, ...]
    transfer: Transfer
    gamma: float

    @classmethod
    def from_cicp(cls, primaries: int, transfer: int) -> ColourSpace | None:
        """Return the space of two code points of ITU-T H.273; None where that is sRGB or unknown."""
        curve, gamma = CICP_TRANSFERS.get(transfer, ("srgb", 0.0))
        space = cls(CICP_PRIMARIES.get(primaries, BT709), curve, gamma)
        return None if space == cls(BT709, "srgb", 0.0) else space

    @classmethod
    def from_profile(cls, profile: bytes) -> ColourSpace | None:
        """Return the PQ or HLG that an ICC profile names by numbers (tag ``cicp``); None for all others."""
        tags = int.from_bytes(profile[128:132])
        for at in range(132, 132 + 12 * min(tags, MAX_TAGS), 12):
            if profile[at : at + 4] == b"cicp":
                start = int.from_bytes(profile[at + 4 : at + 8])
                tag = profile[start : start + 12]
                space = cls.from_cicp(tag[8], tag[9]) if len(tag) == 12 and tag[:4] == b"cicp" else None
                return space if space and space.is_high_range else None
        return None

    @classmethod
    def from_png(cls, gamma: float | None, chromaticities: Sequence[float] | None) -> ColourSpace | None:
        """Return the space of PNG's gAMA and cHRM; None where that is sRGB, absent or absurd.

        cHRM without gAMA names no colours and is ignored, as browsers do.

        Args:
            gamma: The encoding exponent, 0.45455 for most files.
            chromaticities: White, red, green, blue as xy pairs.
        """
        if gamma is None or not 0.1 <= gamma <= 4:
            return None
        primaries = tuple(chromaticities) if chromaticities and _plausible(chromaticities) else BT709
        usual_gamma = math.isclose(gamma, 1 / 2.2, rel_tol=0.02)
        if max(abs(a - b) for a, b in zip(primaries, BT709, strict=True)) < 0.005:
            primaries = BT709
        if primaries == BT709 and usual_gamma:
            return None
        return cls(primaries, "gamma", 1 / gamma)

    @property
    def is_high_range(self) -> bool:
        """Whether its light goes beyond paper white, which no curve for each channel can bring into range."""
        return self.transfer in {"pq", "hlg"}

    def profile(self) -> bytes:
        """Return the space as an ICC profile (version 4.3, a matrix and one curve for all three channels).

        Raises:
            ValueError: The space is of high range: :mod:`app.render.tone` converts those.
        """
        red, green, blue = _transposed(xyz_matrix(self.primaries))
        curve = self._curve()
        tags = {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
        return _profile(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))

    def _curve(self) -> bytes:
        match self.transfer:
            case "srgb":  # IEC 61966-2-1
                numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
                return struct.pack(">4s4xHxx5i", b"para", 3, *_fixed(numbers))
            case "gamma":
                return struct.pack(">4s4xHxxi", b"para", 0, *_fixed((self.gamma,)))
            case "pq" | "hlg":
                raise ValueError(self.transfer)


def table_profile(nodes: int, table: bytes, curve: Sequence[int]) -> bytes:
    """Return an ICC profile (version 4.3) of a table from RGB to XYZ under D50, for every intent.

    Args:
        nodes: How many a side.
        table: For each node X, Y and Z as big-endian 16 bits; blue varies fastest (ICC.1, 10.10).
        curve: From those to the XYZ that is meant, 32768 for 1; 2 to 4096 points.
    """
    unit = struct.pack(">9i", *_fixed((1, 0, 0, 0, 1, 0, 0, 0, 1)))
    head = struct.pack(">4s4x4B", b"mft2", 3, 3, nodes, 0) + unit + struct.pack(">2H", 2, len(curve))
    after = struct.pack(f">{len(curve)}H", *curve)
    return _profile({b"A2B0": head + struct.pack(">2H", 0, 65535) * 3 + table + after * 3})


def _profile(tags: dict[bytes, bytes]) -> bytes:
    tags = {b"wtpt": _xyz(D50), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, tag in tags.items():
        table += struct.pack(">4sII", signature, start + len(body), len(tag))
        body += tag + b"\0" * (-len(tag) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        start + len(body),
        0x04300000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        *_fixed(D50),
    )
    return header + table + body


def _plausible(chromaticities: Sequence[float]) -> bool:
    """Tell whether eight numbers can be a white and primaries: in the diagram, a triangle with an area."""
    if any(not 0 <= n <= 1 for n in chromaticities) or min(chromaticities[1::2]) < 0.01:
        return False
    if not all(0.2 <= n <= 0.5 for n in chromaticities[:2]):
        return False
    (rx, ry), (gx, gy), (bx, by) = (chromaticities[at : at + 2] for at in (2, 4, 6))
    return abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) > 0.01


def xyz_matrix(primaries: Sequence[float]) -> Matrix:
    """Return the matrix from linear RGB to XYZ, its white adapted to D50 (ICC.1, annex E; Bradford)."""
    white, *rest = (
        (x / y, 1.0, (1 - x - y) / y) for x, y in zip(primaries[::2], primaries[1::2], strict=True)
    )
    columns = _transposed(rest)
    amounts = _apply(_inverse(columns), white)
    rgb_to_xyz = [[n * a for n, a in zip(row, amounts, strict=True)] for row in columns]
    here, there = _apply(BRADFORD, white), _apply(BRADFORD, D50)
    scaled = [[n * there[i] / here[i] for n in BRADFORD[i]] for i in range(3)]
    return _product(_product(_inverse(BRADFORD), scaled), rgb_to_xyz)


def light_matrix(source: Sequence[float], target: Sequence[float]) -> Matrix:
    """Return the matrix from linear RGB of some primaries to that of others, white to white."""
    return _product(_inverse(xyz_matrix(target)), xyz_matrix(source))


def _transposed(m: Matrix) -> Matrix:
    return list(zip(*m, strict=True))


def _apply(m: Matrix, v: Vector) -> Vector:
    return [sum(a * b for a, b in zip(row, v, strict=True)) for row in m]


def _product(a: Matrix, b: Matrix) -> Matrix:
    return _transposed([_apply(a, column) for column in _transposed(b)])


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return [[n / determinant for n in row] for row in cofactors]


def _fixed(numbers: Sequence[float]) -> list[int]:
    """Return numbers as ICC's s15Fixed16."""
    return [round(n * 65536) for n in numbers]


def _xyz(v: Vector) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *_fixed(v))
