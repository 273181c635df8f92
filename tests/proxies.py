"""The nginx of docs/deploy.md, as operators are told to run it, where anybody may run it."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def in_front_of(port: int) -> dict[str, str]:
    """Return the changes that make a server on this port both of the documented ones."""
    return {"127.0.0.1:8001;": f"127.0.0.1:{port};", "127.0.0.1:8002;": f"127.0.0.1:{port};"}


def write(configuration: str, folder: Path, changes: dict[str, str]) -> list[str]:
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


@contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run nginx, which listens on this port, until the block ends."""
    with subprocess.Popen(command) as process:
        try:
            wait_until_listening(port)
            yield process
        finally:
            process.terminate()


@contextmanager
def documented_proxy(folder: Path, service_port: int) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run nginx as documented, all of it in a folder, in front of a service.

    Gives the port, and what trusts its certificate.
    """
    port = free_port()
    make_certificate(folder)
    changes = placed(folder, port) | in_front_of(service_port)
    tls = ssl.create_default_context(cafile=folder / "ribbons.pem")
    with running([find_nginx(), *write(documented_configuration(), folder, changes)], port):
        yield port, tls
