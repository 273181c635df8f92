"""Partners for tests: their keys, and programs that use them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx2

from app.bulk.ledger import Ledger
from app.bulk.partners import add_partner
from app.bulk.sealing import open_vault
from app.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60.0


def new_partner_key(data_folder: Path, photos_a_day: int | None = None) -> str:
    """Return the key of a new partner of the service that has its data in a folder."""
    settings = load_settings(data_folder=data_folder)
    ledger = Ledger.build(settings)
    try:
        ledger.migrate()
        _, key = add_partner(ledger, open_vault(settings), "Partner", photos_a_day)
    finally:
        ledger.close()
    return key


class PartnerProgram(httpx2.Client):
    """A partner's program, which knows a service and has a key of it."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        super().__init__(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE, **options
        )

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def new_batch(self, **wanted: Any) -> str:
        """Make a batch and return its address."""
        made = self.post("/v1/batches", json={"spec": {"size": 64}, **wanted})
        assert made.status_code == 201, made.text
        return made.headers["location"]

    def send_photo(self, batch: str, name: str, photo: bytes, **headers: str) -> httpx2.Response:
        """Send a photo."""
        return self.put(f"{batch}/photos/{quote(name)}", content=photo, headers=headers)

    def shown(self, batch: str) -> dict[str, Any]:
        """Return a batch as it is."""
        answer = self.get(batch)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until_done(self, batch: str) -> dict[str, Any]:
        """Wait until a batch is done, and return it."""
        start = time.monotonic()
        while (shown := self.shown(batch))["state"] != "done":
            assert time.monotonic() - start < PATIENCE, shown
            time.sleep(0.1)
        return shown

    def start(self, batch: str) -> dict[str, Any]:
        """Start a batch, wait until it is done, and return it."""
        assert self.post(f"{batch}/start").status_code == 202
        return self.until_done(batch)
