from __future__ import annotations

import re
from typing import get_args

import pytest

from app.render import decode
from app.render.decode import identify
from app.render.formats import (
    FORMAT_NAMES,
    PHOTO_SIGNATURE,
    PICKED_FILES,
    READ_FORMATS,
    SIGNATURE_BYTES,
    Codec,
    PhotoFormat,
)
from app.render.limits import Limits
from tests.photos import READABLE


def test_every_format_is_read_and_every_reader_has_a_format() -> None:
    """A format that is only declared, or only read, is half there."""
    declared = {known.codec for known in READ_FORMATS}
    assert declared == set(get_args(Codec)) == set(decode._READERS)


@pytest.mark.parametrize("known", READ_FORMATS, ids=lambda known: known.name)
def test_each_format_is_known_by_its_signature(known: PhotoFormat) -> None:
    """There are photos of each, which begin as it says, and the two languages' way of asking agree."""
    same = [photo for photo in READABLE.values() if identify(photo, Limits()).codec == known.codec]
    assert same
    for photo in same:
        assert known.may_begin(photo)
        assert re.match(PHOTO_SIGNATURE, photo[:SIGNATURE_BYTES].decode("latin-1"))


@pytest.mark.parametrize(
    "start",
    [b"", b"<svg xmlns=", b"%PDF-1.7", b"\x00\x00\x01\x00", b"II*\x00", b"GIF88a", b"RIFF1234WAVE", b"BM"],
)
def test_other_files_begin_like_none_of_them(start: bytes) -> None:
    """What is no photo that is read is not sent to be told so."""
    assert not re.match(PHOTO_SIGNATURE, start.ljust(SIGNATURE_BYTES, b" ").decode("latin-1"))
    assert not any(known.may_begin(start) for known in READ_FORMATS)


def test_what_is_told_and_offered_follows_the_formats() -> None:
    """Names without a repetition; endings beside all that a system knows for a picture."""
    assert len(set(FORMAT_NAMES)) == len(FORMAT_NAMES)
    assert PICKED_FILES[0] == "image/*"
    assert set(PICKED_FILES[1:]) == {ending for known in READ_FORMATS for ending in known.endings}
