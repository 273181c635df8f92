"""An S3 endpoint (moto) in a process of its own, which fails when it is told to.

``python -m tests.s3`` serves until it is ended; tests take the fixture ``s3_server``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import httpx2
import psutil
from werkzeug.wrappers import Request, Response

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROOT = Path(__file__).parent.parent

# Where the endpoint itself is told something. No bucket may have such a name.
_TOLD = "/-/fail"
# Whose request it is; how it is signed is not looked at.
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, Signature=0"
}
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True)
class S3Server:
    """A running endpoint."""

    process: psutil.Popen
    port: int
    host: str = "127.0.0.1"
    _client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=30, headers=_SIGNED))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs beside ``RIBBONS_STORE_URL``."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def new_store(self, *, is_versioned: bool = False) -> str:
        """Return the address (``RIBBONS_STORE_URL``) of a folder in a bucket that did not exist."""
        bucket = f"batches-{secrets.token_hex(6)}"
        self._ask("PUT", f"/{bucket}")
        if is_versioned:
            body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            self._ask("PUT", f"/{bucket}?versioning", content=body)
        return f"s3://{bucket}/kept/here"

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process's own stores ask this endpoint, for the length of a test."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def fail(self, share: float, status: int = 503, code: str = "SlowDown", method: str = "") -> None:
        """From now on refuse a share of all requests (of one method), before they do anything; 0 ends it."""
        told = {"share": share, "status": status, "code": code, "method": method}
        self._ask("POST", _TOLD, content=json.dumps(told))

    def require_known_credentials(self, *, is_required: bool) -> None:
        """Let nobody in, or again everybody: this endpoint knows no user."""
        self._ask("POST", "/moto-api/reset-auth", content="0" if is_required else "inf")

    def objects(self, store_url: str) -> dict[str, bytes]:
        """Return what is in a store's bucket: each object by its name, and its older versions."""
        bucket = store_url.split("/")[2]
        found = {}
        for name, version in self._versions(bucket):
            answer = self._ask("GET", f"/{bucket}/{name}", params={"versionId": version})
            found[f"{name}?{version}"] = answer.content
        return found

    def names(self, store_url: str) -> list[str]:
        """Return the names of the objects in a store's bucket, as they are now."""
        root = ET.fromstring(self._ask("GET", f"/{store_url.split('/')[2]}").content)  # noqa: S314
        return [key.text or "" for key in root.iter(f"{_NAMESPACE}Key")]

    def memory(self) -> Iterator[bytes]:
        """Yield what the endpoint's process has in its memory, mapping by mapping (on Linux)."""
        folder = Path(f"/proc/{self.process.pid}")
        with (folder / "mem").open("rb", buffering=0) as memory:
            for line in (folder / "maps").read_text().splitlines():
                span, rights = line.split()[:2]
                start, end = (int(part, 16) for part in span.split("-"))
                # Only what it can have written.
                if rights.startswith("rw"):
                    memory.seek(start)
                    yield memory.read(end - start)

    def _versions(self, bucket: str) -> Iterator[tuple[str, str]]:
        root = ET.fromstring(self._ask("GET", f"/{bucket}?versions").content)  # noqa: S314  # our own server's
        for version in root.iter(f"{_NAMESPACE}Version"):
            yield version.findtext(f"{_NAMESPACE}Key", ""), version.findtext(f"{_NAMESPACE}VersionId", "")

    def _ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        answer = self._client.request(method, self.url + path, **request)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer


@contextmanager
def started(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """Run an endpoint for the length of a block, whose temporary files and log are in a folder.

    Args:
        folder: For them.
        host: The address of this machine on which it listens.
    """
    port = free_port()
    with (folder / "s3.log").open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "tests.s3", "--port", str(port), "--host", host],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONWARNINGS": "ignore"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = S3Server(process, port, host)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(server: S3Server) -> None:
    start = time.monotonic()
    while True:
        try:
            server.fail(0)
        except httpx2.TransportError:
            assert server.process.poll() is None, "the S3 endpoint ended"
            assert time.monotonic() - start < 60, "the S3 endpoint did not start"
            time.sleep(0.05)
        else:
            return


class _Failing:
    """Stands before an application and refuses some of its requests."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._told: dict[str, Any] = {"share": 0}
        self._chance = random.Random(12)  # noqa: S311

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path == _TOLD:
            self._told = json.loads(request.get_data())
            return Response()(environ, start_response)
        if self._is_to_fail(request):
            # Read first: a client that is still sending would take an answer now for a broken line.
            request.get_data()
            body = f"<Error><Code>{self._told['code']}</Code></Error>"
            return Response(body, self._told["status"])(environ, start_response)
        return self._application(environ, start_response)

    def _is_to_fail(self, request: Request) -> bool:
        method = self._told.get("method") or request.method
        is_ours = not request.path.startswith("/moto-api")
        return is_ours and request.method == method and self._chance.random() < self._told["share"]


def main() -> None:
    """Serve until somebody ends this process."""
    # Slow to import, and only this process needs it.
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import run_simple  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True)
    given = parser.parse_args()
    application = _Failing(DomainDispatcherApplication(create_backend_app))
    run_simple(given.host, given.port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
