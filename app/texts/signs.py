"""Signs as a reader sees them: a flag is one, though a program counts two characters."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

NUMBER_SIGNS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u0890\u0891\u08e2")
"""Arabic signs that are drawn under or around the figures that follow them, as the end of ayah is (Unicode's
Prepended_Concatenation_Mark, in that script)."""

PLACEHOLDERS = frozenset("\ufffc\ufffd")
"""What stands for something lost on the way: a picture out of an office program, a letter of an unknown
encoding. Some fonts have a box or a diamond for it, which nobody meant to write."""

_DOTTED_CIRCLE = "\u25cc"

# Nothing is drawn for these, or nothing but a gap or a box: controls, format characters but for number signs,
# what every font may ignore, what has no meaning of its own (private use, unassigned), the empty Braille
# cell, and placeholders. Emoji of later versions of Unicode than ours may be known to the reader's device.
_UNSEEN = (
    r"(?:(?![\p{Prepended_Concatenation_Mark}\p{Extended_Pictographic}])"
    r"[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{DI}\u2800\ufffc\ufffd])+"
)


def signs_with(text: str, characters: Container[str]) -> tuple[str, ...]:
    """Return the signs of a text that hold some characters, each once, in their order.

    A sign is an extended grapheme cluster (UAX #29): a flag, a keycap, a family, with all that belongs to it.
    Where only the marks of a letter are asked for, they are shown without it, on a dotted circle each.

    Args:
        text: In logical order.
        characters: Some of its characters, code points each.

    Returns:
        None of those that cannot be seen or mean nothing: the tuple may be empty.
    """
    # Imported here: only whoever wrote a sign that cannot be drawn needs it, and it takes 50 ms.
    import regex  # noqa: PLC0415

    found: dict[str, None] = {}
    for cluster in regex.findall(r"\X", text):
        for sign in _named(cluster, characters):
            if not regex.fullmatch(_UNSEEN, sign.removeprefix(_DOTTED_CIRCLE)):
                found[sign] = None
    return tuple(found)


def _named(cluster: str, characters: Container[str]) -> Iterator[str]:
    base = cluster[0]
    if _is_mark(base) or (base.isalpha() and base not in characters):
        for character in cluster:
            if character in characters and _is_mark(character):
                yield _DOTTED_CIRCLE + character
    elif any(character in characters for character in cluster):
        yield cluster


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def code_points(characters: str) -> tuple[str, ...]:
    """Return characters as programs name them, each once: ``U+20E3``."""
    return tuple(f"U+{ord(character):04X}" for character in dict.fromkeys(characters))
