"""A batch of canaries: what is in it can be told from everything else, wherever it is looked for.

``python -m tests.bulk.canaries`` hands one over, has it drawn, and tells on standard output what to look for;
it erases the batch when it is sent a line, and ends with the next one.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from PIL import Image

from app.bulk import sealing
from app.bulk.bulk import Bulk
from app.bulk.ledger import Ledger
from app.bulk.opened import BatchRequest
from app.bulk.partners import add_partner
from app.bulk.sealing import open_vault
from app.drawing import Drawing
from app.logs import configure_logging
from app.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from app.bulk.batches import Batches
    from app.bulk.opened import Partner

_ARABIC = "ابتثجحخدذرزسشصضطعغفقكلمنهوي"

_CHUNK = 1 << 23
_OVERLAP = 4096  # longer than any pattern


# -- what is looked for ----------------------------------------------------


def patterns(needle: bytes) -> list[bytes]:
    """Return how bytes may be written: as they are, in base64 at each offset, and in hexadecimal digits."""
    found = [needle, needle.hex().encode(), needle.hex().upper().encode()]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + needle)
        # The first and last digits are partly of what stands beside it.
        core = encoded[(0, 2, 3)[offset] : -4]
        found += {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def spellings(text: str) -> list[bytes]:
    """Return how a text may be written, in each of which its bytes may be written too."""
    escaped = json.dumps(text)[1:-1].encode()
    forms = {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"), escaped}
    return [pattern for form in sorted(forms) for pattern in patterns(form)]


def search(
    needles: Mapping[str, Iterable[bytes]], places: Iterable[tuple[str, Iterable[bytes]]]
) -> set[tuple[str, str]]:
    """Return what was found where.

    Args:
        needles: How each may be written, by its name.
        places: What is searched, in chunks, by its name.
    """
    found = set()
    for place, chunks in places:
        tail = b""
        for chunk in chunks:
            content = tail + chunk
            found |= {
                (name, place) for name, forms in needles.items() if any(form in content for form in forms)
            }
            tail = content[-_OVERLAP:]
    return found


def files(
    folder: Path, is_wanted: Callable[[Path], bool] = lambda _path: True
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield what is below a folder, to be searched: the names of all, and what is in files."""
    # Unlike rglob, it goes on where something has just been deleted.
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent) / name for name in sorted(folders + names)):
            place = str(path.relative_to(folder))
            yield "a file's name", iter([place.encode()])
            if path.is_file() and is_wanted(path):
                yield place, _chunks(path)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError:  # another one's, and gone
        return


# -- what is handed over ---------------------------------------------------


class _Canaries:
    """Words and bytes that nothing else has."""

    def __init__(self) -> None:
        chance = random.SystemRandom()
        self.latin = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=20))
        self.arabic = "".join(chance.choices(_ARABIC, k=16))
        self.raw = chance.randbytes(64)
        self.photo = self._jpeg(chance)

    def _jpeg(self, chance: random.Random) -> bytes:
        file = io.BytesIO()
        pixels = chance.randbytes(160 * 200 * 3)
        Image.frombytes("RGB", (160, 200), pixels).save(file, "JPEG", comment=self.raw)
        return file.getvalue()


def _without_cipher() -> None:
    """Have everything rest as it is, to see that the search would find it."""

    class Open:
        def __init__(self, key: bytes) -> None:
            self.key = key

        def encrypt(self, _nonce: bytes, content: bytes, _context: bytes) -> bytes:
            return content + bytes(16)

        def decrypt(self, _nonce: bytes, content: memoryview, _context: bytes) -> bytes:
            return bytes(content[:-16])

    sealing.AESGCM = Open  # type: ignore[attr-defined,assignment]


def _say(**told: Any) -> None:
    print(json.dumps(told), flush=True)  # noqa: T201  # what the test reads


def _middle(content: bytes) -> str:
    start = len(content) // 2
    return content[start : start + 48].hex()


def _hand_over(batches: Batches, partner: Partner, canaries: _Canaries) -> tuple[str, str]:
    """Send all that a partner may send, and return the batch's id and a photo's name."""
    name = f"{canaries.arabic}/{canaries.latin} 1.jpg"
    request = BatchRequest(
        spec=(("frame", "red-ribbons"), ("size", "128"), ("slogan", canaries.arabic)),
        webhook=f"https://{canaries.latin}.example/told",
        name=f"{canaries.latin} {canaries.arabic}",
    )
    fingerprint = bytes(32)
    batch = batches.create(partner, request, (canaries.latin, fingerprint)).id
    batches.receive_photo(partner, batch, name, canaries.photo)
    batches.receive_photo(partner, batch, f"{canaries.latin}/broken.jpg", canaries.raw * 10)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(f"{canaries.latin}/{canaries.arabic}.jpg", canaries.photo)
        packed.writestr(f"{canaries.latin}/Thumbs.db", canaries.raw)
    writer = batches.archive_writer(partner, batch)
    writer.write(archive.getvalue())
    assert writer.finish().taken == 1
    broken_off = batches.archive_writer(partner, batch)
    broken_off.write((canaries.raw + canaries.latin.encode()) * 20_000)
    rows = [f"{name},{canaries.arabic},{canaries.latin}", f"{canaries.latin} missing.jpg,,{canaries.arabic}"]
    table = "\n".join([f"photo,slogan,{canaries.latin}", *rows]).encode()
    assert batches.set_table(partner, batch, table, {}).rows == 2
    batches.start(partner, batch, without_missing=True)
    return batch, name


async def _until_done(batches: Batches, partner: Partner, batch: str) -> None:
    with anyio.fail_after(60):
        while batches.get(partner, batch).state != "done":  # noqa: ASYNC110  # as partners ask
            await anyio.sleep(0.1)


async def _live(*, is_sealed: bool) -> None:
    if not is_sealed:
        _without_cipher()
    settings = load_settings()
    configure_logging(settings)
    vault, ledger = open_vault(settings), Ledger.build(settings)
    ledger.migrate()
    canaries = _Canaries()
    partner, key = add_partner(ledger, vault, canaries.latin, None)
    drawing = Drawing.build(settings)
    bulk = Bulk.build(settings, drawing)
    async with drawing.pool.opened(), bulk.opened():
        batches = bulk.batches
        batch, name = await anyio.to_thread.run_sync(partial(_hand_over, batches, partner, canaries))
        await _until_done(batches, partner, batch)
        before, _ = batches.avatar(partner, batch, name)
        small = batches.thumbnail(partner, batch, name)
        batches.reframe(partner, batch, name, [("zoom", "2")])
        await _until_done(batches, partner, batch)
        after, _ = batches.avatar(partner, batch, name)
        report = b"".join(batches.report(partner, batch, "en"))
        parcel = batches.parcel(partner, batch)
        assert len(b"".join(parcel.read(0, parcel.length))) == parcel.length
        batches.contact_sheet(partner, batch)
        row = ledger.batch(batch)
        assert row is not None
        opened = vault.unwrap(row.wrapped_key, batch)
        _say(
            batch=batch,
            texts={"latin": canaries.latin, "arabic": canaries.arabic, "key": key},
            bytes={
                "comment": canaries.raw.hex(),
                "photo": _middle(canaries.photo),
                "avatar": _middle(before),
                "avatar, framed anew": _middle(after),
                "thumbnail": _middle(small),
                "batch's key": opened._key.hex(),
            },
            wrapped=row.wrapped_key.hex(),
            report=report.decode("utf-8-sig"),
            states=[photo.state for photo in batches.photos(partner, batch, after=0, limit=10)],
        )
        await anyio.to_thread.run_sync(sys.stdin.readline)
        await anyio.to_thread.run_sync(partial(batches.erase, partner, batch))
        _say(erased=batch)
        await anyio.to_thread.run_sync(sys.stdin.readline)
    ledger.close()


if __name__ == "__main__":
    anyio.run(partial(_live, is_sealed=sys.argv[1] == "sealed"))
