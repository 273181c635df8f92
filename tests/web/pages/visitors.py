"""How a browser and the pages' own script ask, and the way to a picture that both take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.testclient import TestClient

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = {"Accept": "application/json"}


def made(client: TestClient, photo: bytes, page_language: str = "ar", **fields: str) -> str:
    """Make an avatar as the page's script does, and return its page's address."""
    files = {"photo": ("canary.jpg", photo)}
    answer = client.post(f"/{page_language}/made", files=files, data=fields, headers=SCRIPT)
    assert answer.status_code == 201, answer.text
    address: str = answer.json()["address"]
    return address
