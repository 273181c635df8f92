"""deploy/compose.yaml without an engine: its own commands and variables, on this machine."""

from __future__ import annotations

import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
import psutil
import pytest

from tests import s3
from tests.databases import connected, private_cluster
from tests.partners import PartnerProgram
from tests.photos import detailed
from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BIN = Path(sys.executable).parent
PATIENCE = 120.0


class Stack(NamedTuple):
    """All parts, running.

    Attributes:
        url: Where the proxy listens.
        tls: What trusts its certificate.
        command: Runs one of our commands as a container of ``web`` would.
        worker: The worker's process.
        printed: Of each part, the file that it prints to.
    """

    url: str
    tls: ssl.SSLContext
    command: Any
    worker: psutil.Popen
    printed: Mapping[str, Path]


class _Places(NamedTuple):
    """What is elsewhere than in containers.

    Attributes:
        folder: The operator's, with the secrets.
        ports: Of each part.
        store: The bucket.
    """

    folder: Path
    ports: Mapping[str, int]
    store: str

    def here(self, text: str) -> str:
        """Return a text of the file with its places on this machine."""
        for name, inside in (("postgres", 5432), ("redis", 6379), ("s3", 3900)):
            text = text.replace(f"{name}:{inside}", f"127.0.0.1:{self.ports[name]}")
        return text.replace("/run/secrets", str(self.folder / "secrets")).replace("s3://ribbons", self.store)

    def started(
        self, service: Mapping[str, Any], words: Sequence[str], log: Path, **more: str
    ) -> psutil.Popen:
        """Start one of our parts: its entrypoint, some words, and its variables."""
        entrypoint = [self.here(word) for word in service["entrypoint"]]
        variables = {name: self.here(value) for name, value in service["environment"].items()}
        variables |= {"RIBBONS_WORKERS": "1", "RIBBONS_LOG_FORMAT": "json", **more}
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", **variables}
        with log.open("wb") as output:
            return psutil.Popen(
                [*entrypoint, *words], env=environment, stdout=output, stderr=subprocess.STDOUT
            )


@contextmanager
def ended(process: psutil.Popen) -> Iterator[psutil.Popen]:
    """End a process with the block, as an engine would."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(PATIENCE)


def read_configuration(folder: Path) -> dict[str, Any]:
    """Return what Docker Compose makes of the file, for services of this machine."""
    command = BIN / "docker-compose"
    if not command.exists():
        pytest.skip("no docker-compose beside Python; .ci/docker-compose fetches it")
    environment = {"PATH": os.environ["PATH"], "SITE": "localhost"}
    done = subprocess.run(
        [command, "config", "--format", "json"], cwd=folder, env=environment, capture_output=True, check=True
    )
    # What is told can be read again as a file: each dollar is doubled.
    read: dict[str, Any] = json.loads(done.stdout.replace(b"$$", b"$"))["services"]
    return read


@pytest.fixture(scope="module")
def stack(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that the file starts, but Garage: moto stands in for it."""
    folder = tmp_path_factory.mktemp("by-hand") / "deploy"
    shutil.copytree(root / "deploy", folder, ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run([folder / "make-secrets"], check=True, capture_output=True)
    services = read_configuration(folder)
    printed = {name: folder / f"{name}.log" for name in services}
    with ExitStack() as parts:
        cluster = parts.enter_context(private_cluster())
        settings = services["postgres"]["environment"]
        with connected(f"{cluster.url}/postgres") as connection:
            connection.execute(f"CREATE ROLE {settings['POSTGRES_USER']} LOGIN".encode())
            statement = f"CREATE DATABASE {settings['POSTGRES_DB']} OWNER {settings['POSTGRES_USER']}"
            connection.execute(statement.encode())
        endpoint = parts.enter_context(s3.started(folder))
        ports = {"postgres": cluster.port, "s3": endpoint.port, "redis": free_port(), "web": free_port()}
        places = _Places(folder, ports, endpoint.new_store())
        parts.enter_context(ended(_redis(services["redis"], places, printed["redis"])))
        wait_until_listening(ports["redis"])
        own = {"RIBBONS_PORT": str(ports["web"]), "RIBBONS_TRUSTED_PROXIES": "127.0.0.1"}
        web = services["web"]
        serving = parts.enter_context(ended(places.started(web, web["command"], printed["web"], **own)))
        worker = places.started(services["worker"], services["worker"]["command"], printed["worker"])
        parts.enter_context(ended(worker))
        port, tls = parts.enter_context(_proxy(folder, ports["web"], printed["proxy"]))
        url = f"https://localhost:{port}"
        _wait_until_ready(url, tls, serving, printed["web"])

        def command(*words: str) -> str:
            log = folder / "command.log"
            with ended(places.started(web, words, log)) as process:
                assert process.wait(PATIENCE) == 0, log.read_text()
            return log.read_text()

        yield Stack(url, tls, command, worker, printed)


def _redis(service: Mapping[str, Any], places: _Places, log: Path) -> psutil.Popen:
    words = [places.here(word) for word in service["command"]]
    if shutil.which(words[0]) is None:
        pytest.skip("no redis-server here")
    place = ["--port", str(places.ports["redis"]), "--bind", "127.0.0.1", "--dir", str(places.folder)]
    with log.open("wb") as output:
        return psutil.Popen([*words, *place], stdout=output, stderr=subprocess.STDOUT)


@contextmanager
def _proxy(folder: Path, web: int, log: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run Caddy with a certificate of its own making, which it has for every site that is no real one."""
    port = free_port()
    text = (folder / "Caddyfile").read_text(encoding="utf-8").replace(":8081", f":{free_port()}")
    # Port 80 may be taken here, and nobody's trust is to be changed.
    text = text.replace(
        "\tadmin off\n", "\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n"
    )
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    places = {name: str(folder / "caddy") for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    environment = {**os.environ, **places, "SITE": f"localhost:{port}", "WEB": f"127.0.0.1:{web}"}
    command = [str(BIN / "caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with log.open("wb") as output:
        process = psutil.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    with ended(process):
        certificate = folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        start = time.monotonic()
        while not certificate.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - start < PATIENCE
            time.sleep(0.1)
        wait_until_listening(port)
        yield port, ssl.create_default_context(cafile=certificate)


def _wait_until_ready(url: str, tls: ssl.SSLContext, web: psutil.Popen, log: Path) -> None:
    start = time.monotonic()
    with httpx2.Client(verify=tls, timeout=30) as client:
        while True:
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            assert web.poll() is None, log.read_text()
            assert time.monotonic() - start < PATIENCE, log.read_text()
            time.sleep(0.3)


def photo() -> bytes:
    """Return a small photo."""
    buffer = io.BytesIO()
    detailed((320, 240)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.timeout(420)
def test_the_whole_service_runs_as_the_file_says(stack: Stack) -> None:
    """A supporter gets an avatar, and a partner a batch, over TLS; both of our parts draw."""
    with httpx2.Client(base_url=stack.url, verify=stack.tls, timeout=60) as supporter:
        made = supporter.post("/v1/avatars", content=photo())
        assert (made.status_code, made.headers["content-type"]) == (200, "image/jpeg")
        # The site's own address is known, and browsers are told to stay with TLS.
        assert "strict-transport-security" in supporter.get("/en").headers
        assert supporter.get("/metrics").status_code == 403
    key = next(
        line for line in stack.command("keys", "add", "Partner").splitlines() if line.startswith("rrk_")
    )
    with PartnerProgram(stack.url, key, verify=stack.tls) as partner:
        batch = partner.new_batch(expected=12)
        for number in range(12):
            assert partner.send_photo(batch, f"staff/{number}.jpg", photo()).status_code == 201
        events = _events_of(partner, batch)
        assert partner.start(batch)["done"] == 12
        assert "event: photo" in next(events)
        with zipfile.ZipFile(io.BytesIO(partner.get(f"{batch}/avatars.zip").content)) as archive:
            assert len(archive.namelist()) == 12
            assert archive.testzip() is None
        assert partner.delete(batch).status_code == 204
    assert '"worker_ready"' in stack.printed["worker"].read_text()
    assert stack.worker.is_running()
    for name in ("web", "worker", "proxy"):
        said = stack.printed[name].read_text()
        assert key not in said
        assert "127.0.0.1" not in said.replace('"host": "127.0.0.1"', "") or name == "proxy"


def _events_of(partner: PartnerProgram, batch: str) -> Iterator[str]:
    """Follow a batch, and yield what is told of a photo; the proxy passes it on at once."""

    def told() -> Iterator[str]:
        with partner.stream("GET", f"{batch}/events", headers={"Last-Event-ID": "0"}) as answer:
            for text in answer.iter_text():
                if "event: photo" in text:
                    yield text

    return told()
