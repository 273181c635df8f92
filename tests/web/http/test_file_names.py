from __future__ import annotations

from urllib.parse import unquote

import pytest

from app.web.http.file_names import disposition


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("Staff 2026.zip", "Staff 2026.zip", None),
        ("فريق.zip", "____.zip", "فريق.zip"),
        ("Zoé's.csv", "Zo_'s.csv", "Zoé's.csv"),
        ('a"b\\c/d:e.zip', "a-b-c-d-e.zip", None),
        ("a\r\nSet-Cookie: x.zip", "a-Set-Cookie- x.zip", None),
        ("100%.zip", "100-.zip", None),
    ],
)
def test_a_file_is_named_in_any_script(name: str, plain: str, whole: str | None) -> None:
    """Once for programs that know ASCII, once whole; with nothing in it that leads elsewhere."""
    header = disposition("attachment", name)
    first, _, encoded = header.partition("; filename*=UTF-8''")
    assert first == f'attachment; filename="{plain}"'
    assert (unquote(encoded) or None) == whole
    assert header.isascii()
    assert header.isprintable()
