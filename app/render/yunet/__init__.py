"""YuNet: its weights, the network on numpy, and what the network's answers mean.

Nothing is loaded here: only who looks for faces pays for numpy.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights.int8")
LICENCE = Path(__file__).with_name("LICENSE.txt")
"""Goes wherever the weights go."""
