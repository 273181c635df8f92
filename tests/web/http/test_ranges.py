from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from app.errors import RangeNotSatisfiable
from app.web.http.ranges import is_known, part_asked_for

TAG = '"abc"'


@given(
    length=st.integers(0, 30),
    first=st.none() | st.integers(0, 40),
    last=st.none() | st.integers(0, 40),
)
def test_a_range_is_what_python_cuts(length: int, first: int | None, last: int | None) -> None:
    """Of any whole, an empty one too: exactly those bytes, or the refusal where there are none."""
    whole = bytes(range(length))
    asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        wanted = b"" if last is None else whole[max(length - last, 0) :]
    else:
        wanted = whole[first : None if last is None else last + 1]
    is_range = not (first is None and last is None) and not (
        first is not None and last is not None and last < first
    )
    headers = Headers({"range": asked})
    if is_range and not wanted:
        with pytest.raises(RangeNotSatisfiable):
            part_asked_for(headers, length, TAG)
        return
    part = part_asked_for(headers, length, TAG)
    assert part.status == (206 if is_range else 200)
    assert whole[part.start : part.stop] == (wanted if is_range else whole)
    assert part.headers["Content-Length"] == str(part.stop - part.start)
    if is_range:
        assert part.headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/{length}"


@pytest.mark.parametrize(
    ("condition", "knows"),
    [("", False), ("*", True), (TAG, True), (f'"x", W/{TAG}', True), ('"ab"', False), ("abc", False)],
)
def test_an_etag_is_known_by_its_value(condition: str, *, knows: bool) -> None:
    """In a list, and weakly compared, as RFC 9110 has it for this header."""
    assert is_known(Headers({"if-none-match": condition}), TAG) is knows
