"""deploy/compose.yaml and what lies beside it, as Docker Compose and Caddy read them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from sqlalchemy.pool import QueuePool

from app.bulk import engine
from app.bulk.bulk import _PHOTOS_A_WORKER
from app.bulk.ledger import Ledger
from app.bulk.table import TableLimits
from app.cli import main
from app.settings import PREFIX, Settings, load_settings
from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
CADDY = BIN / "caddy"
SITE = "ribbons.example"
OURS = ("web", "worker")
_RESERVED = 3  # of PostgreSQL's connections, for its own superuser (superuser_reserved_connections)


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as an operator has it, with secrets that its script has made."""
    copy = tmp_path_factory.mktemp("operator") / "deploy"
    shutil.copytree(root / "deploy", copy, ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run([copy / "make-secrets"], check=True, capture_output=True)
    return copy


def compose(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Docker Compose on the file, with these variables and no others of its own."""
    command = BIN / "docker-compose"
    if not command.exists():
        pytest.skip("no docker-compose beside Python; .ci/docker-compose fetches it")
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [command, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def configuration(folder: Path) -> dict[str, Any]:
    """What Docker Compose makes of the file."""
    done = compose(folder, "config", "--format", "json", SITE=SITE)
    assert done.returncode == 0, done.stderr
    # Nor is there a word of warning.
    assert done.stderr == ""
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.fixture(scope="module")
def services(configuration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services, by name."""
    read: dict[str, dict[str, Any]] = configuration["services"]
    return read


def test_the_file_has_the_whole_service(services: dict[str, Any]) -> None:
    """Six parts, and Docker Compose takes the file without a word of warning."""
    assert set(services) == {"proxy", "web", "worker", "postgres", "redis", "s3"}


def test_without_a_name_of_the_site_nothing_starts(folder: Path) -> None:
    """It is asked for in words."""
    done = compose(folder, "config")
    assert done.returncode != 0
    assert "the name of the site" in done.stderr


def test_every_part_is_shut_in(services: dict[str, Any]) -> None:
    """A read-only root, no rights but the proxy's for its ports, none to be had, no core files."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not any(service["ulimits"]["core"].values()), name
        assert not service.get("privileged"), name
        assert service["restart"] == "unless-stopped", name


def test_only_the_proxy_can_be_reached(configuration: dict[str, Any], services: dict[str, Any]) -> None:
    """No other part has a port, and those that keep something are on a network without a way out."""
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert {port["published"] for port in services["proxy"]["ports"]} == {"80", "443"}
    assert configuration["networks"]["back"]["internal"] is True
    for name in ("postgres", "redis", "s3"):
        assert set(services[name]["networks"]) == {"back"}, name
    assert set(services["proxy"]["networks"]) == {"front"}
    assert "front" not in services["worker"]["networks"]


def test_the_proxy_is_believed_and_nobody_else(
    configuration: dict[str, Any], services: dict[str, Any]
) -> None:
    """The addresses that web trusts are those of the network that it shares with the proxy alone."""
    (front,) = configuration["networks"]["front"]["ipam"]["config"]
    assert services["web"]["environment"][f"{PREFIX}TRUSTED_PROXIES"] == front["subnet"]
    assert [name for name in services if "front" in services[name]["networks"]] == ["proxy", "web"]


def test_those_who_call_webhooks_may_reach_out(
    configuration: dict[str, Any], services: dict[str, Any]
) -> None:
    """Web and worker alike do: each is on a network that leads out."""
    networks = configuration["networks"]
    for name in OURS:
        assert any(not networks[network].get("internal") for network in services[name]["networks"]), name


def test_postgresql_has_room_for_all_of_us(services: dict[str, Any], root: Path) -> None:
    """Web and three workers of four cores may hold all their connections at once, as the documents reckon."""
    settings = load_settings(jobs_url="postgresql://nobody@127.0.0.1:1/none", workers=4)
    ledger = Ledger.build(settings)
    pool = ledger._engine.pool
    assert isinstance(pool, QueuePool)
    of_ledger = pool.size() + pool._max_overflow
    ledger.close()
    own = engine._OWN_CONNECTIONS
    each = _PHOTOS_A_WORKER * settings.workers + own + of_ledger + 1  # one holds the lock of who lives
    (most,) = re.findall(r"max_connections=(\d+)", " ".join(services["postgres"]["command"]))
    assert 4 * each + _RESERVED < int(most) < 1.3 * 4 * each
    assert int(most) < services["postgres"]["pids_limit"], "each connection is a process there"
    said = f"{of_ledger + own + 1} ({of_ledger} for the list of batches, {own} for what waits, and one by"
    scale = " ".join((root / "docs" / "scale.md").read_text(encoding="utf-8").split())
    assert f"A process may hold {said}" in scale
    assert f"{each} with four of them" in scale
    deploy = " ".join((root / "docs" / "deploy.md").read_text(encoding="utf-8").split())
    assert f"On four cores that is {each}: web and three workers have {4 * each}" in deploy
    assert f"`max_connections` is {most} in that file" in deploy


def test_every_image_is_exact(services: dict[str, Any]) -> None:
    """Ours is built of this repository; each other one has a whole version."""
    for name, service in services.items():
        if name in OURS:
            assert Path(service["build"]["context"]).name != "deploy", name
        else:
            assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?", service["image"]), name


def test_every_part_is_asked_whether_it_is_well(services: dict[str, Any], root: Path) -> None:
    """By itself, or as the image says; but the worker, which listens to nobody."""
    assert "HEALTHCHECK" in (root / "Dockerfile").read_text(encoding="utf-8")
    for name in set(services) - set(OURS):
        assert services[name]["healthcheck"]["test"][0].startswith("CMD"), name
    assert "healthcheck" not in services["web"]
    assert services["worker"]["healthcheck"] == {"disable": True}
    for name in OURS:
        waited = services[name]["depends_on"]
        assert {part: how["condition"] for part, how in waited.items()} == dict.fromkeys(
            ("postgres", "redis", "s3"), "service_healthy"
        )


def test_photos_are_not_swapped_out(services: dict[str, Any]) -> None:
    """A container with as much memory as memory and swap has no swap."""
    for name in (*OURS, "redis"):
        assert services[name]["memswap_limit"] == services[name]["mem_limit"], name


def test_our_parts_have_time_to_finish(services: dict[str, Any]) -> None:
    """They are killed later than they give up by themselves."""
    for name in OURS:
        assert services[name]["stop_grace_period"] == "35s"
    assert Settings.model_fields["shutdown_timeout"].default < 35


def test_every_setting_in_the_file_exists(folder: Path, services: dict[str, Any]) -> None:
    """A variable that does not would keep the service from starting."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", (folder / "compose.yaml").read_text(encoding="utf-8")))
    assert named <= known
    for name in OURS:
        assert f"{PREFIX}STORE_URL" in services[name]["environment"], name


@pytest.mark.parametrize("name", OURS)
def test_our_parts_run_commands_that_there_are(services: dict[str, Any], name: str) -> None:
    """What follows the image's own program is one of its commands."""
    assert services[name]["command"][0] in main.commands


def test_each_part_sees_its_own_secrets_alone(configuration: dict[str, Any], folder: Path) -> None:
    """What opens batches is seen by web and worker alone; the script makes each file."""
    given = {
        name: {secret["source"] for secret in service.get("secrets", [])}
        for name, service in configuration["services"].items()
    }
    assert given["web"] == given["worker"] == {"ribbons", "postgres", "redis", "s3"}
    assert (given["proxy"], given["postgres"], given["redis"], given["s3"]) == (
        set(),
        {"postgres"},
        {"redis"},
        {"garage"},
    )
    made = {path.name for path in (folder / "secrets").iterdir()}
    assert made == {Path(secret["file"]).name for secret in configuration["secrets"].values()}


def test_no_secret_stands_in_what_others_can_ask_for(folder: Path, services: dict[str, Any]) -> None:
    """Engines show environments to whoever may ask them: only the store's own default key is there."""
    kept = {
        path.name: re.findall(r"[0-9a-f]{24,}", path.read_text()) for path in (folder / "secrets").iterdir()
    }
    assert all(kept.values())
    for name, service in services.items():
        told = json.dumps({key: value for key, value in service.items() if key != "secrets"})
        seen = {file for file, words in kept.items() if any(word in told for word in words)}
        assert seen == ({"s3"} if name == "s3" else set()), name


def test_secrets_are_made_once(folder: Path) -> None:
    """Made again they stay as they are; their folder is closed; no two are alike."""
    before = {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()}
    done = subprocess.run([folder / "make-secrets"], check=True, capture_output=True)
    assert done.stdout == b""
    assert {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()} == before
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (folder / "secrets").iterdir()} == {0o444}
    assert len(set(before.values())) == len(before)
    key = rb"GARAGE_DEFAULT_ACCESS_KEY=GK[0-9a-f]{24}\nGARAGE_DEFAULT_SECRET_KEY=[0-9a-f]{64}\n"
    assert re.fullmatch(key, before["s3"])


# -- the proxy -----------------------------------------------------------------


def caddy(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Caddy on the file, with everything that it writes in a folder."""
    environment = {**os.environ, "SITE": SITE, "HOME": str(folder), **variables}
    environment |= {name: str(folder) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return subprocess.run(
        [CADDY, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_caddy_takes_the_file(folder: Path, tmp_path: Path) -> None:
    """It is valid, laid out as Caddy lays it out, and nothing in it is warned of."""
    file = str(folder / "Caddyfile")
    done = caddy(tmp_path, "validate", "--adapter", "caddyfile", "--config", file)
    assert done.returncode == 0, done.stderr
    assert '"level":"warn"' not in done.stderr
    formatted = caddy(tmp_path, "fmt", file)
    assert formatted.stdout == Path(file).read_text(encoding="utf-8")


def test_the_proxy_lets_through_what_the_service_takes(folder: Path) -> None:
    """Its limits are a little above the service's, which alone say what is wrong in the reader's words."""
    sizes = re.findall(r"max_size (\d+)MB", (folder / "Caddyfile").read_text(encoding="utf-8"))
    archive, table, other = (int(size) * 1_000_000 for size in sizes)
    taken = {name: field.default for name, field in Settings.model_fields.items()}
    assert TableLimits().bytes < table < 1.05 * TableLimits().bytes
    assert taken["max_archive_bytes"] < archive < 1.01 * taken["max_archive_bytes"]
    assert taken["max_photo_bytes"] < other < 1.05 * taken["max_photo_bytes"]


@contextmanager
def running_proxy(folder: Path, tmp_path: Path, web: int) -> Iterator[tuple[int, Path]]:
    """Run Caddy before a port until the block ends; yield its own port, and the file that it logs to."""
    port, log = free_port(), tmp_path / "log"
    changed = (folder / "Caddyfile").read_text(encoding="utf-8").replace(":8081", f":{free_port()}")
    (tmp_path / "Caddyfile").write_text(changed, encoding="utf-8")
    environment = {**os.environ, "SITE": f"http://127.0.0.1:{port}", "WEB": f"127.0.0.1:{web}"}
    environment |= {name: str(tmp_path) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    command = [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as process:
        try:
            wait_until_listening(port)
            yield port, log
        finally:
            process.terminate()


@pytest.fixture
def lonely_proxy(folder: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Caddy with nobody behind it, and the file that it logs to."""
    with running_proxy(folder, tmp_path, free_port()) as proxy:
        yield proxy


class _Taker(BaseHTTPRequestHandler):
    """Reads what is sent, and says that it came."""

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
        self.send_response(400 if left else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_proxy_lets_the_largest_table_through(folder: Path, tmp_path: Path) -> None:
    """As a table alone: as a photo so much is refused, also as one that is called like a table."""
    largest = bytes(TableLimits().bytes)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taker) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        try:
            with running_proxy(folder, tmp_path, service.server_port) as (port, _):
                batch = f"http://127.0.0.1:{port}/v1/batches/b_1"
                answers = {
                    path: httpx2.put(f"{batch}/{path}", content=largest, timeout=30).status_code
                    for path in ("table", "photos/a.jpg", "photos/table")
                }
        finally:
            service.shutdown()
    assert answers == {"table": 204, "photos/a.jpg": 413, "photos/table": 413}


def test_the_proxy_tells_nobody_who_came(lonely_proxy: tuple[int, Path]) -> None:
    """Not even where the service is away, which Caddy logs with the address and all headers otherwise."""
    port, log = lonely_proxy
    answer = httpx2.get(f"http://127.0.0.1:{port}/made/secret-picture", headers={"User-Agent": "canary"})
    assert answer.status_code == 502
    assert httpx2.get(f"http://127.0.0.1:{port}/metrics").status_code == 403
    said = log.read_text()
    assert "serving initial configuration" in said
    assert not re.search(r"secret-picture|canary|remote_ip", said)


def test_the_proxy_is_well_by_itself(folder: Path, services: dict[str, Any]) -> None:
    """What its health check asks for is what the file answers, to the container alone."""
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", str(services["proxy"]["healthcheck"]["test"]))
    text = (folder / "Caddyfile").read_text(encoding="utf-8")
    assert f"http://:{address.rstrip('/').rpartition(':')[2]} {{\n\tbind 127.0.0.1\n\trespond 204\n}}" in text
