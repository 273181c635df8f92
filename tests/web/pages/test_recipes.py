from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from app.texts.languages import PAGE_LANGUAGES

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_the_iphones_recipe_works(client: TestClient, code: str, photo: bytes) -> None:
    """What the recipe tells an iPhone to send, sent, answers with the picture."""
    page = client.get(f"/{code}/ios").text
    address = re.search(r'<code id="address"[^>]*>(.+?)</code>', page)
    assert address
    assert address[1].replace("<wbr>", "") == "http://testserver/v1/avatars"
    codes = re.findall(r"<dd><code>(.+?)</code></dd>", page)
    assert codes == (["photo"] if code == "ar" else ["photo", "lang", code])
    fields = {} if code == "ar" else {codes[1]: codes[2]}
    answer = client.post("/v1/avatars", files={codes[0]: ("IMG_0001.jpeg", photo, "image/jpeg")}, data=fields)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
