from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import pytest

from app.errors import InvalidFrame
from app.faults import Fault
from app.frames import FrameLibrary


def test_it_names_the_innermost_line_of_ours() -> None:
    """An exception that passed our code is placed there, by a path without the machine's folders."""
    with pytest.raises(InvalidFrame) as caught:
        FrameLibrary([Path("/no/such/folder")], Path("/no/such/folder"))
    fault = Fault.of(caught.value)
    assert fault.kind == "app.errors.InvalidFrame"
    assert fault.place.startswith("app/frames.py:")
    assert fault.place.endswith(" in frames_below")


def test_it_names_the_library_where_no_line_is_ours() -> None:
    """An exception from elsewhere is placed by its file's name alone."""
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("a supporter's words")
    fault = Fault.of(caught.value)
    assert fault.kind == "json.decoder.JSONDecodeError"
    assert fault.place.startswith("decoder.py:")


def test_it_says_nothing_of_what_the_exception_says() -> None:
    """The text of an exception, which may quote a photo or a slogan, is in no part of the fault."""
    try:
        raise ExceptionGroup("canary", [ValueError("canary")])  # noqa: TRY301 - a traceback is needed
    except ExceptionGroup as group:
        fault = Fault.of(group)
    assert fault.kind == "builtins.ValueError"
    assert "canary" not in repr(astuple(fault))
