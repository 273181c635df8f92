"""Each request takes the turn of the address that it came from, whatever it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from app.settings import load_settings
from app.turns import HOUSE
from app.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.turns import Party

REQUESTS = {
    "an avatar": ("POST", "/v1/avatars?size=64"),
    "a rendition": ("POST", "/v1/renditions?side=64"),
    "a form": ("POST", "/en/made"),
    "a share sheet": ("POST", "/en/share"),
    "own words": ("GET", "/v1/frames/red-ribbons/overlay.webp?size=360&slogan=x"),
    "a file": ("GET", "/made/{token}/story.jpg"),
}


class Noted:
    """Notes for whom the pool and the places for uploads are asked."""

    def __init__(self, app: object) -> None:
        self.parties: list[tuple[str, Party]] = []
        service = app.state.service  # type: ignore[attr-defined]
        pool, places = service.drawing.pool, service.uploads.places
        pool.run = self._note("run", pool.run, 2)
        pool.refuse_if_full = self._note("refuse", pool.refuse_if_full, 1)
        places.held = self._note("held", places.held, 0)

    def _note(self, what: str, ask: Callable[..., object], place: int) -> Callable[..., object]:
        def noted(*arguments: object, **named: object) -> object:
            rest = [*arguments[place:], *([named["party"]] if "party" in named else [])]
            self.parties.append((what, rest[0] if rest else HOUSE))
            return ask(*arguments, **named)

        return noted


@pytest.fixture(scope="module")
def believing() -> Iterator[tuple[TestClient, Noted]]:
    """An application behind a proxy that it believes."""
    app = create_app(load_settings(workers=1, trusted_proxies="192.0.2.1"))
    noted = Noted(app)
    with TestClient(app, client=("192.0.2.1", 1)) as client:
        yield client, noted


@pytest.mark.parametrize("what", REQUESTS)
def test_every_request_takes_its_own_addresss_turn(
    believing: tuple[TestClient, Noted], photo: bytes, what: str
) -> None:
    """Two from one address, and one from another: two parties, none of them the house."""
    client, noted = believing
    method, path = REQUESTS[what]
    token = client.post("/en/made", content=photo, follow_redirects=False).headers["location"].split("/")[-1]
    seen: list[Party] = []
    for address in ("198.51.100.1", "6.6.6.6, 198.51.100.1", "198.51.100.2"):
        noted.parties.clear()
        content = photo if method == "POST" else None
        answer = client.request(
            method,
            path.format(token=token),
            content=content,
            headers={"X-Forwarded-For": address},
            follow_redirects=False,
        )
        assert answer.status_code in {200, 303}
        kinds = {kind for kind, _ in noted.parties}
        assert kinds == ({"refuse", "held", "run"} if content else {"refuse", "run"}), what
        parties = {party for _, party in noted.parties}
        assert len(parties) == 1
        seen += parties
    assert seen[0] == seen[1]
    assert len({*seen, HOUSE}) == 3


def test_probes_take_the_houses_turn(
    believing: tuple[TestClient, Noted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever floods the service from the orchestrator's address does not make it look dead."""
    client, noted = believing
    pool = client.app.state.service.drawing.pool  # type: ignore[attr-defined]
    monkeypatch.setattr(pool, "_last_success", float("-inf"))
    noted.parties.clear()
    assert client.get("/readyz").status_code == 200
    assert noted.parties == [("refuse", HOUSE), ("run", HOUSE)]
