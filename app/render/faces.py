"""Upright picture -> where the faces are. A face is looked for, never recognised.

YuNet does it (W. Wu, H. Peng, S. Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence
Research 20, 2023), on numpy. The same pixels have the same faces on every machine, to the last bit:
``yunet/network.py`` says how, ``yunet/boxes.py`` what is made of the network's answers. The page's script
repeats both.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

FACES_SIDE = 320
"""Pixels of the longer side of a picture in which faces are looked for."""


class Face(NamedTuple):
    """A box around a face, from brow to chin.

    Attributes:
        x: Left edge, in pixels of the picture; may lie outside it, and between two pixels.
        y: Top edge, likewise.
        width: Above 0.
        height: Above 0.
        score: How sure the network is, to 1.
    """

    x: float
    y: float
    width: float
    height: float
    score: float


def find_faces(picture: Image.Image) -> tuple[Face, ...]:
    """Return the faces in a picture, the surest first.

    Args:
        picture: RGB, upright, sRGB; of any size, best brought to :data:`FACES_SIDE`. Takes some 70 bytes of
            memory a pixel.
    """
    # OpenBLAS starts a thread for each CPU while numpy is loaded, unless the process' own environment says
    # otherwise. A worker has one CPU, and its products are too small to share.
    os.putenv("OPENBLAS_NUM_THREADS", "1")
    from app.render.yunet.boxes import boxes  # noqa: PLC0415 - numpy
    from app.render.yunet.network import answers  # noqa: PLC0415

    return tuple(Face(*box) for box in boxes(answers(picture)))
