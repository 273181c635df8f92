from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from app import keys
from app.keys import is_well_formed, key_digest, new_key

KNOWN = "rrk_" + "0123456789ABCDEFGHIJKLMNOPQRSTUV"


def _digits(number: int) -> str:
    """Return a number in base 62, by another way than the one that is tested."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(alphabet[number // 62**place % 62] for place in reversed(range(6)))


def test_a_key_looks_as_it_is_documented() -> None:
    """Whoever scans for leaked keys finds each by the expression in the module's docstring."""
    expression = re.search(r"^    (\S+)$", keys.__doc__ or "", re.MULTILINE)
    assert expression
    for _ in range(200):
        key = new_key()
        assert re.findall(expression[1], f'curl -H "Authorization: Bearer {key}"') == [key]
        assert len(key) == 42
        assert is_well_formed(key)


def test_the_checksum_is_crc_32_in_base_62() -> None:
    """Another program can work it out from the docstring alone."""
    crc = 0xFFFFFFFF
    for byte in KNOWN.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    assert is_well_formed(KNOWN + _digits(crc ^ 0xFFFFFFFF))


def test_no_two_keys_are_alike() -> None:
    """Each is new, and all 62 signs are used."""
    made = [new_key() for _ in range(2000)]
    assert len(set(made)) == 2000
    assert len(set("".join(made))) == 62 + 1  # and the underscore


@given(place=st.integers(4, 41), sign=st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij"))
def test_a_mistyped_key_is_none(place: int, sign: str) -> None:
    """One wrong sign anywhere is noticed without asking the database."""
    key = new_key()
    mistyped = key[:place] + sign + key[place + 1 :]
    assert is_well_formed(mistyped) == (mistyped == key)


@given(place=st.integers(4, 40))
def test_two_signs_in_the_wrong_order_are_no_key(place: int) -> None:
    """So is what fingers do most often."""
    key = new_key()
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert is_well_formed(swapped) == (swapped == key)


@given(text=st.text())
def test_other_texts_are_no_keys(text: str) -> None:
    """Whatever a stranger sends in the header is no key; nor is a key with more around it."""
    assert not is_well_formed(text)
    assert not is_well_formed(f"rrk_{text}")
    key = new_key()
    assert is_well_formed(key + text) == (not text)
    assert is_well_formed(text + key) == (not text)
    assert not is_well_formed(key + "\n")


def test_digits_of_other_scripts_are_no_key() -> None:
    """Arabic digits are digits to Python, and not to the checksum."""
    assert not is_well_formed("rrk_" + "٣" * 38)


@given(text=st.text(st.characters()))
def test_a_digest_can_be_made_of_whatever_was_sent(text: str) -> None:
    """It is SHA-256, and no text breaks it, half of a surrogate pair neither."""
    assert key_digest(text) == hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def test_keys_of_one_digest_are_not_met() -> None:
    """Keys that differ in one sign have nothing in common in what is kept."""
    key = new_key()
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert key_digest(key) != key_digest(other)
    assert len(key_digest(key)) == 32
