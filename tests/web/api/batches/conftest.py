"""A service that takes batches, and two partners of it."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.partners import PartnerProgram, new_partner_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve, Server

MAX_PHOTO_BYTES = 200_000
MAX_ARCHIVE_BYTES = 3_000_000
MAX_BATCH_PHOTOS = 150


@pytest.fixture(scope="session")
def batch_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service has its data."""
    return tmp_path_factory.mktemp("batches") / "data"


@pytest.fixture(scope="session")
def batch_server(serve: Serve, batch_data: Path) -> Iterator[Server]:
    """The service."""
    settings: dict[str, Any] = {
        "batches": "true",
        "data_folder": str(batch_data),
        "max_photo_bytes": MAX_PHOTO_BYTES,
        "max_archive_bytes": MAX_ARCHIVE_BYTES,
        "max_batch_photos": MAX_BATCH_PHOTOS,
        "batches_at_once": 200,
        "deadline": 60,
    }
    with serve(**settings) as server:
        yield server


@pytest.fixture(scope="session")
def partner(batch_server: Server, batch_data: Path) -> Iterator[PartnerProgram]:
    """A partner's program."""
    with PartnerProgram(batch_server.url, new_partner_key(batch_data)) as program:
        yield program


@pytest.fixture(scope="session")
def other(batch_server: Server, batch_data: Path) -> Iterator[PartnerProgram]:
    """Another partner's."""
    with PartnerProgram(batch_server.url, new_partner_key(batch_data)) as program:
        yield program


@pytest.fixture
def batch(partner: PartnerProgram) -> str:
    """The address of a batch that nothing was sent for yet."""
    return partner.new_batch()


@pytest.fixture(scope="session")
def done(partner: PartnerProgram, photo: bytes) -> str:
    """The address of a batch that is done: five avatars, in two folders, and a photo that is none."""
    batch = partner.new_batch(name="فريق 2026")
    for name in ("a.jpg", "staff/Abu Ali.jpg", "staff/هدى.jpg", "b.jpg", "c.jpg"):
        assert partner.send_photo(batch, name, photo).status_code == 201
    assert partner.send_photo(batch, "notes.txt", b"no photo").status_code == 201
    partner.start(batch)
    return batch


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a ZIP."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()
