"""A partner's program: sends photos, follows a batch, and takes home what came of it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx2

from benchmarks.bulk.serving import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SENDERS = 8
_TRIES = 20


class Partner:
    """Somebody with a key.

    Args:
        url: Of the service.
        key: The key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.client = httpx2.Client(base_url=url, headers=self._headers, timeout=600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @classmethod
    def with_new_key(cls, url: str, environment: Mapping[str, str]) -> Partner:
        """Return a new one, whose key may send as much as it likes."""
        key = run(["keys", "add", "Benchmark", "--photos-a-day", "100000000"], environment).strip()
        return cls(url, key)

    def ask(self, method: str, path: str, **request: Any) -> Any:
        """Ask for JSON."""
        answer = self.client.request(method, path, **request)
        answer.raise_for_status()
        return answer.json()

    def make_batch(self, **spec: object) -> str:
        """Return the path of a new batch."""
        path: str = self.ask("POST", "/v1/batches", json={"spec": spec})["links"]["batch"]
        return path

    def send(self, batch: str, photos: Iterable[tuple[str, bytes]]) -> None:
        """Send photos, several at once."""
        local = threading.local()
        clients = ExitStack()

        def send_one(photo: tuple[str, bytes]) -> None:
            client = getattr(local, "client", None)
            if client is None:
                client = httpx2.Client(base_url=self._url, headers=self._headers, timeout=120)
                local.client = clients.enter_context(client)
            path = f"{batch}/photos/{quote(photo[0])}"
            for _ in range(_TRIES):
                answer = client.put(path, content=photo[1])
                if answer.status_code not in {429, 503}:
                    answer.raise_for_status()
                    return
                time.sleep(float(answer.headers.get("Retry-After", "1")))
            answer.raise_for_status()

        with clients, ThreadPoolExecutor(_SENDERS) as threads:
            for _ in threads.map(send_one, photos):
                pass

    def follow(self, batch: str, pause: float = 0.5) -> dict[str, Any]:
        """Wait until a batch is done, and return it."""
        while True:
            told: dict[str, Any] = self.ask("GET", batch)
            if told["state"] == "done":
                return told
            time.sleep(pause)

    def first_byte(self, path: str) -> tuple[float, int]:
        """Return how long the first byte of a download takes, and how many bytes it has in all."""
        start = time.perf_counter()
        with self.client.stream("GET", path) as answer:
            answer.raise_for_status()
            next(answer.iter_raw(1))
            return time.perf_counter() - start, int(answer.headers["Content-Length"])
