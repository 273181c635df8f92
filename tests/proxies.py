"""The nginx of docs/deploy.md, as operators are told to run it, where anybody may run it."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "ribbons.example"

_DOCUMENT = Path(__file__).parent.parent / "docs" / "deploy.md"


def documented_configuration() -> str:
    """Return the configuration that operators are told to use."""
    (block,) = re.findall(r"```nginx\n(.*?)```", _DOCUMENT.read_text(), re.DOTALL)
    return str(block)


def find_nginx() -> str:
    """Return the program's path. Without one the test is skipped."""
    # Debian keeps it where only root looks.
    command = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if command is None:
        pytest.skip("no nginx here, so its configuration in docs/deploy.md is not tried; install nginx-light")
    return command


def make_certificate(folder: Path) -> None:
    """Put a certificate and its key into a folder, under the documented names; skipped without openssl."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={HOST}"]
    command += ["-addext", f"subjectAltName=DNS:{HOST}", "-out", str(folder / "ribbons.pem")]
    if shutil.which(command[0]) is None:
        pytest.skip("no openssl here, so TLS as in docs/deploy.md is not tried; install openssl")
    subprocess.run([*command, "-keyout", folder / "ribbons-key.pem"], check=True, capture_output=True)


def placed(certificates: Path, port: int) -> dict[str, str]:
    """Return the changes without which only root, and only one at a time, could start it."""
    return {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "/etc/ssl/ribbons.pem;": f"{certificates}/ribbons.pem;",
        "/etc/ssl/ribbons-key.pem;": f"{certificates}/ribbons-key.pem;",
    }


def write(configuration: str, folder: Path, changes: Mapping[str, str]) -> list[str]:
    """Write a configuration that keeps to a folder, and return nginx' options for it.

    Args:
        configuration: The documented one.
        folder: For all that nginx writes.
        changes: What each part of it, which is there once, becomes.
    """
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in names)
    for part, instead in {**changes, "http {": f"http {{ {temporary}"}.items():
        assert configuration.count(part) == 1, part
        configuration = configuration.replace(part, instead)
    path = folder / "nginx.conf"
    path.write_text(configuration)
    return ["-e", "stderr", "-c", str(path), "-p", str(folder), "-g", f"daemon off; pid {folder}/pid;"]


@dataclass(frozen=True)
class Proxy:
    """A running nginx.

    Attributes:
        process: Its own; the workers are its children.
        port: Where it listens.
        tls: What trusts its certificate.
    """

    process: psutil.Process
    port: int
    tls: ssl.SSLContext

    def connect(
        self, protocol: str = "http/1.1", window: int | None = None, source: str = "127.0.0.1"
    ) -> ssl.SSLSocket:
        """Open a connection on which a protocol is agreed, and through a narrow window if one is given."""
        plain = socket.socket()
        plain.bind((source, 0))
        if window is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        plain.settimeout(30)
        plain.connect(("127.0.0.1", self.port))
        self.tls.set_alpn_protocols([protocol])
        connection = self.tls.wrap_socket(plain, server_hostname=HOST)
        assert connection.selected_alpn_protocol() == protocol
        return connection

    def clients(self) -> int:
        """Return how many connections it holds for those who ask."""
        workers = self.process.children()
        held = [connection for worker in workers for connection in worker.net_connections("tcp")]
        return sum(each.laddr.port == self.port and each.status == psutil.CONN_ESTABLISHED for each in held)


@contextmanager
def documented_proxy(
    folder: Path, certificates: Path, service_port: int, changes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Proxy]:
    """Run nginx as documented, in front of a service, until the block ends.

    Args:
        folder: For all that it writes.
        certificates: What :func:`make_certificate` has made.
        service_port: Where the service listens, which is both of the documented ones.
        changes: More of them, as for :func:`write`.
    """
    port = free_port()
    services = {f"127.0.0.1:{each};": f"127.0.0.1:{service_port};" for each in (8001, 8002)}
    changes = {**placed(certificates, port), **services, **changes}
    tls = ssl.create_default_context(cafile=certificates / "ribbons.pem")
    with subprocess.Popen([find_nginx(), *write(documented_configuration(), folder, changes)]) as process:
        try:
            wait_until_listening(port)
            yield Proxy(psutil.Process(process.pid), port, tls)
        finally:
            process.terminate()
