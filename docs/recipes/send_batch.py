"""Send a folder of photos, wait, and fetch their avatars. Run again after a break, it goes on.

    pip install httpx
    SERVICE=https://ribbons.example KEY=rrk_… python send_batch.py FOLDER AVATARS.zip [people.csv]

Writes AVATARS.zip, AVATARS.csv (the report) and AVATARS.batch, which remembers the batch: run again after you
have framed photos anew, it fetches the others. The batch is erased when its time is over.
"""
# ruff: noqa: INP001, T201 (a program that people run, no package)

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SPEC = {"size": 800}  # everything that an avatar may have: frame, lang, slogan, shape, format, …
AT_ONCE = 8
PATIENCE = 600  # seconds for which a break of the line, or of the service, is waited out
# What systems lay beside photos, in lower case; the service refuses the same.
SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
SYSTEM_FOLDERS = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}

client = httpx.Client(
    base_url=os.environ.get("SERVICE", "http://localhost:8000"),
    headers={"Authorization": f"Bearer {os.environ['KEY']}", "Accept-Language": "en"},
    timeout=120,
)


class Refused(Exception):
    """What the service does not take, however often it is asked; ``code`` says why."""

    def __init__(self, answer: httpx.Response) -> None:
        problem = answer.json() if "problem+json" in answer.headers.get("Content-Type", "") else {}
        self.code = problem.get("code", str(answer.status_code))
        super().__init__(f"{self.code}: {problem.get('detail', answer.reason_phrase)}")


def pause(answer: httpx.Response, tried: int) -> float:
    """Return how long to wait before the same is asked again; raise Refused where that is of no use."""
    wait = float(answer.headers.get("Retry-After", min(2**tried, 30)))
    if answer.status_code not in {408, 429, 500, 502, 503, 504, 507} or wait > PATIENCE:
        raise Refused(answer)
    return wait


def ask(method: str, path: str, **request: Any) -> httpx.Response:
    """Ask until there is an answer. Whatever is asked here may be asked twice."""
    begun, tried = time.monotonic(), 0
    while True:
        tried += 1
        try:
            answer = client.request(method, path, **request)
        except httpx.TransportError:
            wait = min(2.0**tried, 30)
            if time.monotonic() - begun > PATIENCE:
                raise
        else:
            if answer.is_success:
                return answer
            wait = pause(answer, tried)
            if time.monotonic() - begun > PATIENCE:
                raise Refused(answer)
        time.sleep(wait)


def is_photo_name(name: str) -> bool:
    """Whether a name is neither hidden nor one that systems lay beside photos for themselves."""
    *folders, file = name.split("/")
    is_hidden = any(len(part) > 1 and part[0] == "." != part[1] for part in (*folders, file))
    is_systems = any(folder.casefold() in SYSTEM_FOLDERS for folder in folders)
    return not (is_hidden or is_systems or file.casefold() in SYSTEM_FILES)


def photos_of(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by the names that they are sent under, without systems' own."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    named = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: file for name, file in named.items() if is_photo_name(name)}


def photos_in(batch: str) -> Iterator[dict[str, Any]]:
    """Yield each photo that the service knows of: what was sent, and what the table names."""
    page: str | None = f"{batch}/photos?limit=1000"
    while page:
        shown = ask("GET", page).json()
        yield from shown["photos"]
        page = shown["next"]


def send(batch: str, photos: dict[str, Path]) -> dict[str, Refused]:
    """Send what the service does not have, several at once; return what it refused, by name."""

    def send_one(name: str) -> Refused | None:
        try:
            ask("PUT", f"{batch}/photos/{quote(name)}", content=photos[name].read_bytes())
        except Refused as refusal:
            if refusal.code in {"key_not_known", "quota_used_up", "batch_not_open", "batch_full"}:
                raise
            return refusal
        return None

    sent_already = {photo["name"] for photo in photos_in(batch) if photo["state"] != "missing"}
    waiting = sorted(photos.keys() - sent_already)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = zip(waiting, threads.map(send_one, waiting), strict=True)
        return {name: refusal for name, refusal in answers if refusal}


def start(batch: str, refused: Collection[str]) -> None:
    """Have the batch drawn. Photos that were refused keep no others from it; others that are missing do."""
    try:
        ask("POST", f"{batch}/start")
    except Refused as refusal:
        if refusal.code != "batch_incomplete" or not is_explained(batch, refused):
            raise
        ask("POST", f"{batch}/start", params={"without_missing": "true"})


def is_explained(batch: str, refused: Collection[str]) -> bool:
    """Whether nothing is missing in a batch but photos that were refused."""
    shown = ask("GET", batch).json()
    if max(shown["missing"], shown["expected"] - shown["received"]) > len(refused):
        return False
    # macOS writes an accent as a letter of its own, and a table may name a photo without its folder.
    known = {unicodedata.normalize("NFC", name) for name in refused}
    known |= {name.rpartition("/")[2] for name in known}
    missing = (photo["name"] for photo in photos_in(batch) if photo["state"] == "missing")
    return all(unicodedata.normalize("NFC", name) in known for name in missing)


def events(batch: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what happens in a batch. After a broken line it goes on behind the last outcome that came."""
    last = "0"
    while True:
        with (
            suppress(httpx.TransportError),
            client.stream("GET", f"{batch}/events", headers={"Last-Event-ID": last}) as answer,
        ):
            if not answer.is_success:
                answer.read()
                time.sleep(pause(answer, 1))
                continue
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(":")
                if name:  # a line that begins with a colon only says that the line is whole
                    fields[name] = value.removeprefix(" ")
                elif "event" in fields and not line:
                    last = fields.get("id", last)
                    yield fields["event"], json.loads(fields["data"])
                    fields = {}
        time.sleep(1)


def wait(batch: str) -> None:
    """Wait until all is drawn, and say how far it is."""
    for event, shown in events(batch):
        if event == "state":
            left = f", {shown['seconds_left']} s left" if shown["seconds_left"] else ""
            print(f"{shown['done'] + shown['failed']} of {shown['received']} drawn{left}")
            if shown["state"] == "done":
                return


def fetch(path: str, target: Path) -> None:
    """Save a ZIP. After a broken line it goes on where that broke off."""
    part = target.with_name(f"{target.name}.part")
    tag, have = "", 0
    with part.open("wb") as file:
        while True:
            rest = {"Range": f"bytes={have}-", "If-Range": tag} if have else {}
            with suppress(httpx.TransportError), client.stream("GET", path, headers=rest) as answer:
                if not answer.is_success:
                    answer.read()
                    time.sleep(pause(answer, 1))
                    continue
                if answer.status_code != httpx.codes.PARTIAL_CONTENT:  # from its beginning
                    file.seek(0)
                    file.truncate()
                    tag, have = answer.headers["ETag"], 0
                for piece in answer.iter_raw():
                    have += file.write(piece)
                break
            time.sleep(1)
    part.replace(target)


def main(folder: Path, target: Path, table: Path | None = None) -> int:
    """Do all of it; return the exit code: 1 where a photo was refused or has no avatar."""
    photos = photos_of(folder)
    note = target.with_suffix(".batch")
    if not note.exists():
        body = {"spec": SPEC, "expected": len(photos), "name": target.stem}
        made = ask("POST", "/v1/batches", json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        note.write_text(made.json()["links"]["batch"])
    batch = note.read_text()
    refused: dict[str, Refused] = {}
    try:
        state = ask("GET", batch).json()["state"]
    except Refused as refusal:
        if refusal.code == "batch_not_found":  # its time is over: the next run makes another one
            note.unlink()
        raise
    if state == "open":
        if table:
            told = ask("PUT", f"{batch}/table", content=table.read_bytes()).json()
            for problem in told["problems"]:
                print(f"row {problem['line']}: {problem['error']['detail']}", file=sys.stderr)
            if (more := told["problems_in_all"] - len(told["problems"])) > 0:
                print(f"and {more} rows more", file=sys.stderr)
        refused = send(batch, photos)
        for name, reason in refused.items():
            print(f"{name}: {reason}", file=sys.stderr)
        start(batch, refused)
    wait(batch)
    fetch(f"{batch}/avatars.zip", target)
    target.with_suffix(".csv").write_bytes(ask("GET", f"{batch}/report.csv").content)
    shown = ask("GET", batch).json()
    print(
        f"{target}: {shown['done']} avatars; failed: {shown['failed']}. Erased at {shown['expires']}: {batch}"
    )
    return 1 if refused or shown["failed"] or shown["missing"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*map(Path, sys.argv[1:])))
    except Refused as refusal:
        sys.exit(f"{refusal}")
