"""Set the profile pictures of an organisation from a report: in Google Workspace or in Microsoft 365.

    TOKEN=… python set_pictures.py google REPORT.csv AVATARS --user COLUMN
    TOKEN=… python set_pictures.py microsoft REPORT.csv AVATARS --user COLUMN

AVATARS is the folder, or the ZIP, that the report tells of. COLUMN is the column of your own table that has
each user's id or address. Whose picture is set stands in REPORT.csv.set: run again, it goes on.
"""
# ruff: noqa: INP001, T201 (a program that people run, no package)

from __future__ import annotations

import argparse
import base64
import csv
import json
import os
import re
import sys
import time
import zipfile
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOGLE = os.environ.get("GOOGLE", "https://admin.googleapis.com")
MICROSOFT = os.environ.get("MICROSOFT", "https://graph.microsoft.com")
TRIES = 6
MOST_BYTES = 4_000_000  # Microsoft's limit for a picture

# What report.csv puts a ' before, so that no spreadsheet runs it as a formula.
UNSEEN = r"[\s';\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
FORMULA = "[-=+@＝＋－＠﹦﹢﹣﹫]"
AT_THE_START = re.compile(rf"'(?={UNSEEN}*{FORMULA}|'*[\t\r\n])")
BEHIND_A_DIVIDER = re.compile(rf"([;\t\r\n](?:{UNSEEN})*)'(?={FORMULA})")


class Refused(Exception):
    """What the directory does not take."""


def as_it_was(cell: str) -> str:
    """Return a cell of the report without those marks."""
    if AT_THE_START.match(cell):
        cell = cell[1:]
    return BEHIND_A_DIVIDER.sub(r"\1", cell)


def made(report: Path, column: str) -> Iterator[tuple[str, str]]:
    """Yield the user and the avatar's name of each photo that was made."""
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if column not in (rows.fieldnames or ()):
            sys.exit(f"{report} has no column {column}. It has: {', '.join(rows.fieldnames or ())}")
        # A column of yours that is called as one of ours makes ours ribbons_…
        avatar, outcome = (
            name if f"ribbons_{name}" not in (rows.fieldnames or ()) else f"ribbons_{name}"
            for name in ("avatar", "outcome")
        )
        for row in rows:
            user = as_it_was(row[column]).strip()
            if row[outcome] == "made" and user:
                yield user, as_it_was(row[avatar])


def reader(avatars: Path) -> Callable[[str], bytes]:
    """Return what reads an avatar by its name, in a folder or a ZIP."""
    if avatars.is_dir():
        return lambda name: (avatars / name).read_bytes()
    return zipfile.ZipFile(avatars).read


def checked(picture: bytes) -> bytes:
    """Return a picture that both directories take."""
    if not picture.startswith(b"\xff\xd8"):
        raise Refused("the picture is no JPEG")
    if len(picture) > MOST_BYTES:
        raise Refused("the picture has more than 4 MB")
    return picture


def google(user: str, picture: bytes) -> Request:
    """Return the request of the Directory API: users.photos.update."""
    # Google keeps 96 pixels of it, and takes the alphabet of Base64 that is safe in addresses.
    body = json.dumps({"photoData": base64.urlsafe_b64encode(picture).decode()}).encode()
    url = f"{GOOGLE}/admin/directory/v1/users/{quote(user, safe='@')}/photos/thumbnail"
    return Request(url, body, {"Content-Type": "application/json"}, method="PUT")  # noqa: S310 - ours


def microsoft(user: str, picture: bytes) -> Request:
    """Return the request of Microsoft Graph: update profilePhoto."""
    url = f"{MICROSOFT}/v1.0/users/{quote(user, safe='@')}/photo/$value"
    return Request(url, picture, {"Content-Type": "image/jpeg"}, method="PUT")  # noqa: S310 - ours


def send(request: Request) -> None:
    """Send a request; wait and send it again where the directory asks for that."""
    request.add_header("Authorization", f"Bearer {os.environ['TOKEN']}")
    for tried in range(1, TRIES + 1):
        try:
            with urlopen(request, timeout=60):  # noqa: S310 - ours
                return
        except HTTPError as error:
            words = error.read(2000).decode(errors="replace")
            if error.code == HTTPStatus.UNAUTHORIZED:
                sys.exit("The token is not valid, or not any more. Get another one and run this again.")
            is_hurried = error.code == HTTPStatus.TOO_MANY_REQUESTS or re.search(
                "rateLimitExceeded|userRateLimitExceeded|quotaExceeded", words
            )
            if tried == TRIES or not (is_hurried or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR):
                raise Refused(f"{error.code} {' '.join(words.split())[:300]}") from None
            wait = error.headers.get("Retry-After") or ""
            time.sleep(int(wait) if wait.isdigit() else 2**tried)
        except OSError:  # the line is broken
            if tried == TRIES:
                raise
            time.sleep(2**tried)


def main() -> int:
    """Set every picture that is not set yet; return 1 where one was refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", choices=["google", "microsoft"])
    parser.add_argument("report", type=Path)
    parser.add_argument("avatars", type=Path)
    parser.add_argument("--user", required=True, metavar="COLUMN")
    given = parser.parse_args()
    make = {"google": google, "microsoft": microsoft}[given.directory]
    read = reader(given.avatars)
    note = given.report.with_name(f"{given.report.name}.set")
    before = set(note.read_text(encoding="utf-8").splitlines()) if note.exists() else set()
    failed = 0
    with note.open("a", encoding="utf-8") as done:
        for user, avatar in made(given.report, given.user):
            if user in before:
                continue
            try:
                send(make(user, checked(read(avatar))))
            except (Refused, KeyError, OSError) as error:
                failed += 1
                print(f"{user}: {error}", file=sys.stderr)
            else:
                print(user, file=done, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
