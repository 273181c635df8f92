"""Workers on two hosts, which are namespaces of networks here, with PostgreSQL and S3 on a third."""

from __future__ import annotations

import io
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests import s3
from tests.bulk.batchwork import Office
from tests.databases import connected, private_cluster
from tests.servers import working

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Worker

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

_BRIDGE = "ribbons0"
_NETWORK = "10.91.7"
_HERE = f"{_NETWORK}.1"


@dataclass(frozen=True)
class Host:
    """A host beside this one, with a network of its own."""

    name: str

    @property
    def within(self) -> tuple[str, ...]:
        """What runs a command there."""
        return "ip", "netns", "exec", self.name

    def unplug(self) -> None:
        """Have nothing come in or go out any more, without a word to anybody."""
        _run(f"ip link set {self.name} down")

    def plug_in(self) -> None:
        """Undo that."""
        _run(f"ip link set {self.name} up")


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts, which this one has at a bridge."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make namespaces of networks")
    made = Host("ribbonsa"), Host("ribbonsb")
    with ExitStack() as stack:
        _run(f"ip link add {_BRIDGE} type bridge")
        stack.callback(_run, f"ip link del {_BRIDGE}")
        _run(f"ip addr add {_HERE}/24 dev {_BRIDGE}")
        _run(f"ip link set {_BRIDGE} up")
        for number, host in enumerate(made, 2):
            _run(f"ip netns add {host.name}")
            stack.callback(_run, f"ip netns del {host.name}")
            _run(f"ip link add {host.name} type veth peer name eth0 netns {host.name}")
            _run(f"ip link set {host.name} master {_BRIDGE} up")
            _run(f"ip -n {host.name} addr add {_NETWORK}.{number}/24 dev eth0")
            _run(f"ip -n {host.name} link set eth0 up")
        yield made


@pytest.fixture
def office(hosts: tuple[Host, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Batches in PostgreSQL and S3 on this host."""
    assert hosts
    with s3.started(tmp_path, _HERE) as s3_server, private_cluster(_HERE) as cluster:
        s3_server.use(monkeypatch)
        with Office(tmp_path, server=cluster.url, s3=s3_server) as opened:
            yield opened


def ready(stack: ExitStack, host: Host, office: Office, folder: Path) -> Worker:
    """Have a host draw with one process."""
    environment = {**office.environment, "RIBBONS_DATA_FOLDER": str(folder / host.name)}
    worker = stack.enter_context(working(folder, environment, within=host.within))
    worker.until_says("worker_ready")
    return worker


def drawers(office: Office, batch: str) -> set[str]:
    """Return which processes have drawn chunks of a batch."""
    assert office.settings.jobs_url is not None
    with connected(office.settings.jobs_url.get_secret_value()) as database:
        query = "SELECT DISTINCT executor_id FROM dbos.workflow_status WHERE workflow_uuid LIKE %s"
        return {row[0] for row in database.execute(query, [f"{batch}/%"])}


def test_two_hosts_share_a_batch(hosts: tuple[Host, Host], office: Office, tmp_path: Path) -> None:
    """Two hosts draw one batch together, at up to twice the rate of one, as far as this machine has cores.

    The rate is told, not tested: PostgreSQL and S3 take their part of the same cores here.
    """
    photos, rates = 200, []
    file = io.BytesIO()
    Image.effect_noise((2016, 1512), 40).convert("RGB").save(file, "JPEG", quality=60)
    with ExitStack() as stack:
        for host in hosts:
            ready(stack, host, office, tmp_path)
            # The ticks of all workers go on; one of them enqueues it.
            batch = office.start(photos, spec=(("faces", "off"),), photo=file.getvalue())
            office.until_taken(batch)
            start = time.monotonic()
            office.wait(batch, photos, seconds=300)
            rates.append(photos / (time.monotonic() - start))
    assert len(drawers(office, batch)) == 2
    one, two = rates
    print(
        f"\none host {one:.1f} photos/s, two hosts {two:.1f}: {two / one:.2f} times; {os.cpu_count()} cores"
    )


def test_a_host_that_is_lost_is_noticed(hosts: tuple[Host, Host], office: Office, tmp_path: Path) -> None:
    """What a host was drawing when its network went, without a word, is drawn by another within a minute.

    When the network is back, it takes part again by itself.
    """
    lost, other = hosts
    with ExitStack() as stack:
        worker = ready(stack, lost, office, tmp_path)
        batch = office.start(400)
        office.wait(batch, 20)
        lost.unplug()
        stack.callback(lost.plug_in)
        start = time.monotonic()
        ready(stack, other, office, tmp_path)
        office.wait(batch, 400, seconds=200)
        office.until_chunks_are(batch, {"SUCCESS"}, seconds=60)
        print(f"\nall was drawn {time.monotonic() - start:.0f} s after the host was lost")
        office.check(batch)
        lost.plug_in()
        time.sleep(60)  # until it has noticed that its connections lead nowhere
        again = office.start(300)
        office.wait(again, 300, seconds=200)
        office.check(again)
        assert worker.process.is_running()
        assert len(drawers(office, again)) == 2


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)
