"""How a framing is told: the header of the API and the lines of the command line are the same words."""

from __future__ import annotations

import re

import pytest

from app.render.framing import Choice

# RFC 9651: an item that is a token, and parameters that are decimals of up to twelve and three digits.
DECIMAL = r"(\d{1,12}\.\d{1,3})"
STRUCTURED_FIELD = re.compile(f"[a-z]+; *x={DECIMAL}; *y={DECIMAL}; *zoom={DECIMAL}")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (Choice("faces", 0.512, 0.301, 1.4), "faces; x=0.512; y=0.301; zoom=1.4"),
        (Choice("centre", 0.5, 0.5, 1), "centre; x=0.5; y=0.5; zoom=1.0"),
        (Choice("head", 0, 1, 0.625), "head; x=0.0; y=1.0; zoom=0.625"),
        (Choice("given", 1 / 3, 2 / 3, 8.0), "given; x=0.333; y=0.667; zoom=8.0"),
        (Choice("given", 1e-7, 0.9999, 0.5), "given; x=0.0; y=1.0; zoom=0.5"),
        (Choice("given", 0.1, 0.30000000000000004, 1.1), "given; x=0.1; y=0.3; zoom=1.1"),
        (Choice("given", -0.0, -1e-300, 1.0), "given; x=0.0; y=0.0; zoom=1.0"),
    ],
)
def test_a_framing_is_told_as_a_structured_field(choice: Choice, told: str) -> None:
    """At most three digits, at least one, and no exponent: every number is a decimal to every reader."""
    assert str(choice) == told
    assert STRUCTURED_FIELD.fullmatch(told)


def test_what_was_chosen_is_told_whole() -> None:
    """Chosen numbers have three digits at the most, so that whoever sends them back gets the same square."""
    for thousandth in range(1001):
        number = thousandth / 1000
        found = STRUCTURED_FIELD.fullmatch(str(Choice("faces", number, number, number)))
        assert found
        assert [float(text) for text in found.groups()] == [number] * 3
