"""What docs/bulk.md tells: every command and program of it is run, and its tables are the code's own."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from PIL import Image
from standardwebhooks import Webhook

from app import errors, keys
from app.bulk.archive import ArchiveLimits
from app.bulk.cells import as_it_was
from app.bulk.names import NAME_BYTES, PART_BYTES, SYSTEM_FILES, SYSTEM_FOLDERS, is_photo_name
from app.bulk.table import FIELDS, TableLimits
from app.settings import PREFIX, Settings, load_settings
from app.web.api.batches.sending import MOST_TOLD
from app.web.app import create_app
from app.web.batch_desk import ARCHIVES_EACH, DOWNLOADS_EACH
from app.web.http.problems import STATUSES, status_of
from app.web.state.watches import MOST_EACH
from tests.partners import PartnerProgram, new_partner_key
from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.servers import Serve, Server

pytestmark = pytest.mark.xdist_group("bulk docs")  # one server for the file

IN_THE_DOCUMENT = "http://localhost:8000"
USERS = {"abu-ali.jpg": "u1", "staff/huda.jpg": "huda@example.org", "staff/هدى.png": "=u3"}
"""Photos of the organisation, and whose they are."""
TOKEN = "of-a-directory"


@pytest.fixture(scope="module")
def document(root: Path) -> str:
    """The document that is tested."""
    return (root / "docs" / "bulk.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps batches."""
    return tmp_path_factory.mktemp("bulk-docs") / "data"


@pytest.fixture(scope="module")
def server(serve: Serve, data: Path) -> Iterator[Server]:
    """A service that takes batches."""
    with serve(batches="true", data_folder=str(data), workers=2) as server:
        yield server


@pytest.fixture
def folder(root: Path, tmp_path: Path, portrait: bytes) -> Path:
    """Where an organisation has what the document names."""
    photos = tmp_path / "photos"
    (photos / "staff").mkdir(parents=True)
    with Image.open(io.BytesIO(portrait)) as image:
        for name in USERS:
            image.convert("RGB").save(photos / name)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in USERS:
            archive.write(photos / name, name)
    rows = [f"{name},Free them,{user}" for name, user in USERS.items()]
    (tmp_path / "people.csv").write_text("\n".join(["photo,slogan,user_id", *rows]), encoding="utf-8")
    rows = [f"{name}\tأنقذوا الأسرى\tXL" for name in USERS]
    (tmp_path / "export.tsv").write_text("\n".join(["File\tشعار\tsize", *rows]), encoding="utf-16")
    for name in (".venv", "docs"):
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


class Directory:
    """Stands for both directories: keeps the pictures that are set, and is in a hurry at first."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}
        self.refusals: list[tuple[int, bytes]] = [(429, b""), (403, b'{"reason": "userRateLimitExceeded"}')]
        """What it answers before it takes anything."""
        self.tokens: set[str] = set()

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        """Answer a request as the directories' documents say."""
        self.tokens.add(request.headers["Authorization"])
        if self.refusals:
            return self.refusals.pop(0)
        if google := re.fullmatch(r"/admin/directory/v1/users/([^/]+)/photos/thumbnail", request.path):
            sent = json.loads(body)["photoData"]
            assert not {"+", "/"} & set(sent)
            self.pictures[google[1]] = base64.urlsafe_b64decode(sent)
            return 200, b"{}"
        microsoft = re.fullmatch(r"/v1\.0/users/([^/]+)/photo/\$value", request.path)
        if microsoft and request.headers["Content-Type"] == "image/jpeg":
            self.pictures[microsoft[1]] = body
            return 200, b""
        return 400, b"no such address"


@contextmanager
def listening(directory: Directory) -> Iterator[str]:
    """Have it listen until the block ends; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            status, answer = directory.take(self, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def section(document: str, heading: str) -> str:
    """Return what stands under a heading, without what stands under those below it."""
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def commands(text: str) -> str:
    """Return the commands of a section, one after the other."""
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks)


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a reader who has Python, and what the document asks to be installed."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": tools, "LC_ALL": "C.UTF-8", **more}


def run(text: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run commands as a reader types them; each has to do what it should."""
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def names_in(archive: Path) -> set[str]:
    """Return the names of the files of a ZIP."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return set(opened.namelist())


AVATARS = {"abu-ali.jpg", "staff/huda.jpg", "staff/هدى.jpg"}


def test_every_command_of_the_document_is_run_here(document: str) -> None:
    """No section has commands that no test below knows of."""
    headings = re.findall(r"^##+ (.*)$", document, re.MULTILINE)
    with_commands = {heading for heading in headings if commands(section(document, heading))}
    assert with_commands == {
        "On the command line",
        "Over HTTP",
        "A program",
        "Pictures in Google Workspace and Microsoft 365",
        "Keys",
    }
    programs = [heading for heading in headings if "```python" in section(document, heading)]
    assert programs == ["Told when it is done"]


def test_the_command_line(document: str, folder: Path) -> None:
    """A folder and ZIPs become avatars, by a table and by none; a table to fill in; a contact sheet."""
    run(commands(section(document, "On the command line")), folder)
    made = {str(file.relative_to(folder / "avatars")) for file in (folder / "avatars").rglob("*.jpg")}
    assert made == AVATARS
    assert names_in(folder / "avatars.zip") == {*AVATARS, "report.csv"}
    with Image.open(folder / "from-a-zip" / "abu-ali.jpg") as avatar:
        assert avatar.size == (1080, 1080), "a column for shirts is not the size of avatars"
    with (folder / "names.csv").open(encoding="utf-8-sig", newline="") as file:
        assert {row["photo"] for row in csv.DictReader(file)} == set(USERS)
    with Image.open(folder / "sheet.webp") as sheet:
        assert sheet.format == "WEBP"


def test_over_http_by_curl(document: str, server: Server, data: Path, folder: Path) -> None:
    """From the first request to the erased batch."""
    text = commands(section(document, "Over HTTP")).replace(IN_THE_DOCUMENT, server.url)
    key = new_partner_key(data)
    done = run(text, folder, KEY=key)
    assert "event: photo" in done.stdout
    assert names_in(folder / "avatars.zip") == AVATARS
    assert "abu-ali.jpg" in (folder / "report.csv").read_text(encoding="utf-8")
    with Image.open(folder / "sheet.webp") as sheet:
        assert sheet.format == "WEBP"
    with PartnerProgram(server.url, key) as partner:
        assert partner.get("/v1/batches").json() == {"batches": []}


# -- the program that sends a folder ---------------------------------------


def test_the_program_sends_a_folder(document: str, server: Server, data: Path, folder: Path) -> None:
    """As the document starts it: a ZIP and a report come of it."""
    text = commands(section(document, "A program")).replace(IN_THE_DOCUMENT, server.url)
    done = run(text, folder, KEY=new_partner_key(data))
    assert "3 of 3 drawn" in done.stdout
    assert names_in(folder / "staff.zip") == AVATARS
    assert "u3" in (folder / "staff.csv").read_text(encoding="utf-8")


@contextmanager
def breaking(port: int) -> Iterator[str]:
    """Pass connections on to a port, and break most of them off after some bytes; yield the address."""
    budgets = itertools.cycle([30_000, 400_000, 1_000, 150_000, 10_000_000])

    def pump(source: socket.socket, goal: socket.socket, budget: int) -> None:
        try:
            while budget > 0 and (piece := source.recv(min(budget, 16_384))):
                goal.sendall(piece)
                budget -= len(piece)
        except OSError:
            pass
        for side in (source, goal):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def serve_one(near: socket.socket, far: socket.socket, budget: int) -> None:
        with near, far:
            back = threading.Thread(target=pump, args=(far, near, budget), daemon=True)
            back.start()
            pump(near, far, budget)
            back.join()

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", port))
            budget = next(budgets)
            threading.Thread(target=serve_one, args=(near, far, budget), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_the_program_goes_on_after_breaks(server: Server, data: Path, folder: Path) -> None:
    """Lines break, and it is killed in the middle: started again, it ends with every avatar, in one batch."""
    for number in range(12):
        shutil.copy(folder / "photos" / "abu-ali.jpg", folder / "photos" / f"more-{number}.jpg")
    key = new_partner_key(data)
    words = ["docs/recipes/send_batch.py", "photos", "all.zip"]
    with breaking(server.port) as url:
        variables = environment(KEY=key, SERVICE=url)
        first = subprocess.Popen([sys.executable, *words], cwd=folder, env=variables)
        try:
            start = time.monotonic()
            while not (folder / "all.batch").exists() or not (folder / "all.batch").read_text():
                assert first.poll() is None
                assert time.monotonic() - start < 60
                time.sleep(0.01)
        finally:
            first.kill()
            first.wait()
        run(f"python3 {' '.join(words)}", folder, KEY=key, SERVICE=url)
    assert names_in(folder / "all.zip") == AVATARS | {f"more-{number}.jpg" for number in range(12)}
    with PartnerProgram(server.url, key) as partner:
        assert len(partner.get("/v1/batches").json()["batches"]) == 1


def test_the_program_says_what_is_refused(server: Server, folder: Path) -> None:
    """A key that is none ends it with the problem's code."""
    words = [sys.executable, "docs/recipes/send_batch.py", "photos", "all.zip"]
    variables = environment(KEY=keys.new_key(), SERVICE=server.url)
    done = subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("key_not_known: ")


def send_folder(server: Server, data: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the program on the photos and their table; return how it ended, and the state of its batch."""
    key = new_partner_key(data)
    done = subprocess.run(
        [sys.executable, "docs/recipes/send_batch.py", "photos", "all.zip", "people.csv"],
        cwd=folder,
        env=environment(KEY=key, SERVICE=server.url),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    with PartnerProgram(server.url, key) as partner:
        (shown,) = partner.get("/v1/batches").json()["batches"]
    return done, shown["state"]


def lay_system_files(photos: Path) -> None:
    """Put beside photos what systems put there."""
    (photos / "@eaDir").mkdir()
    for name in ("Thumbs.db", "staff/Desktop.ini", ".DS_Store", "@eaDir/abu-ali.jpg"):
        (photos / name).write_bytes(b"of a system")


def test_the_program_leaves_out_what_systems_lay_beside_photos(
    server: Server, data: Path, folder: Path
) -> None:
    """Nothing of theirs is sent, so nothing is refused."""
    lay_system_files(folder / "photos")
    done, _ = send_folder(server, data, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert names_in(folder / "all.zip") == AVATARS


def test_the_program_starts_no_batch_that_is_incomplete(server: Server, data: Path, folder: Path) -> None:
    """A photo that the table names and nobody has is waited for, also where others were refused."""
    lay_system_files(folder / "photos")
    (folder / "photos" / "empty.jpg").write_bytes(b"")
    (folder / "photos" / "staff" / "huda.jpg").unlink()
    done, state = send_folder(server, data, folder)
    assert (done.returncode, state) == (1, "open")
    assert "empty.jpg: photo_missing: " in done.stderr
    assert "batch_incomplete: " in done.stderr
    assert "staff/huda.jpg" in done.stderr


def test_a_photo_that_is_refused_keeps_no_other_from_being_drawn(
    server: Server, data: Path, folder: Path
) -> None:
    """Where nothing else is missing; the table may name it, without its folder too."""
    (folder / "photos" / "staff" / "huda.jpg").write_bytes(b"")
    table = folder / "people.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("staff/huda", "huda"), encoding="utf-8")
    done, state = send_folder(server, data, folder)
    assert (done.returncode, state) == (1, "done")
    assert "staff/huda.jpg: photo_missing: " in done.stderr
    assert names_in(folder / "all.zip") == AVATARS - {"staff/huda.jpg"}


def test_the_program_knows_the_systems_files_that_we_know(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says of each name what we ourselves say."""
    monkeypatch.setenv("KEY", "of nobody")
    namespace: dict[str, Any] = {"__name__": "recipe"}
    exec((root / "docs" / "recipes" / "send_batch.py").read_text(encoding="utf-8"), namespace)  # noqa: S102
    namespace["client"].close()
    parts = ["a.jpg", ".a", "..a", "...", "Icon\r", *SYSTEM_FILES, *SYSTEM_FOLDERS]
    for name in (*parts, *map("/".join, itertools.product([*parts, "."], [*map(str.upper, parts), "b"]))):
        assert namespace["is_photo_name"](name) is is_photo_name(name), repr(name)


# -- webhooks --------------------------------------------------------------


def test_the_webhook_is_verified(document: str, tmp_path: Path) -> None:
    """The document's server takes what we sign, and nothing else."""
    (program,) = re.findall(r"^```python\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    port, secret = free_port(), "whsec_" + base64.b64encode(bytes(32)).decode()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(PORT=str(port), WEBHOOK_SECRET=secret),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_until_listening(port)
        body = json.dumps({"id": "b_1", "state": "done", "done": 2, "failed": 1})
        now = datetime.now(UTC)
        headers = {
            "webhook-id": "m1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("m1", now, body),
        }
        url = f"http://127.0.0.1:{port}/"
        assert httpx2.post(url, content=body, headers=headers, timeout=20).status_code == 204
        assert (
            httpx2.post(url, content=body.replace("2", "3"), headers=headers, timeout=20).status_code == 400
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "b_1 done 2 1\n"
    finally:
        process.kill()
        process.communicate()


# -- pictures in directories -----------------------------------------------


@pytest.mark.parametrize("name", ["google", "microsoft"])
def test_pictures_are_set_in_a_directory(document: str, folder: Path, name: str) -> None:
    """Each user of the report gets the avatar, also one whose id a spreadsheet would run as a formula."""
    text = commands(section(document, "Pictures in Google Workspace and Microsoft 365"))
    lines = text.splitlines()
    (place,) = [number for number, line in enumerate(lines) if f"set_pictures.py {name}" in line]
    directory = Directory()
    with listening(directory) as url:
        run("\n".join(lines[place - 1 : place + 1]), folder, TOKEN=TOKEN, **{name.upper(): url})
        pictures = dict(directory.pictures)
        # Once more: nothing is left to do.
        run(lines[place], folder, TOKEN=TOKEN, **{name.upper(): url})
    (made,) = {"google": ["pictures"], "microsoft": ["portraits"]}[name]
    wanted = {
        user.replace("=", "%3D"): (folder / made / photo.replace("png", "jpg")).read_bytes()
        for photo, user in USERS.items()
    }
    assert pictures == wanted
    assert directory.tokens == {f"Bearer {TOKEN}"}
    for picture in pictures.values():
        with Image.open(io.BytesIO(picture)) as image:
            assert (image.format, image.size) == ("JPEG", (648, 648))


def test_a_token_that_has_ended_is_told(folder: Path) -> None:
    """It ends at once, and goes on with another token where it stopped."""
    run(".venv/bin/ribbons bulk photos avatars.zip --table people.csv --size 64", folder)
    with zipfile.ZipFile(folder / "avatars.zip") as archive:
        archive.extract("report.csv", folder)
    words = [sys.executable, "docs/recipes/set_pictures.py", "microsoft", "report.csv", "avatars.zip"]
    directory = Directory()
    directory.refusals = [(401, b"")]
    with listening(directory) as url:
        variables = environment(TOKEN=TOKEN, MICROSOFT=url)
        first, second = (
            subprocess.run(
                [*words, "--user", "user_id"],
                cwd=folder,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            for _ in range(2)
        )
    assert (first.returncode, second.returncode) == (1, 0)
    assert "Get another one" in first.stderr
    assert len(directory.pictures) == len(USERS)


def test_the_recipe_undoes_the_marks_of_a_report(root: Path) -> None:
    """As we ourselves do, wherever a cell has one."""
    namespace: dict[str, Any] = {"__name__": "recipe"}
    exec((root / "docs" / "recipes" / "set_pictures.py").read_text(encoding="utf-8"), namespace)  # noqa: S102
    for parts in itertools.product(
        ["", "'", "''", ";", "\t", " ", "a", "\n"], ["=", "+1", "a", "@"], ["", ";'="]
    ):
        cell = "".join(parts)
        assert namespace["as_it_was"](cell) == as_it_was(cell), repr(cell)


# -- keys ------------------------------------------------------------------


def test_the_commands_of_keys(document: str, folder: Path, data: Path, server: Server) -> None:
    """A key is made, listed and revoked; from then on the running service does not know it."""
    text = commands(section(document, "Keys"))
    before, revoke = text.rstrip().rsplit("\n", 1)
    variables = {"RIBBONS_DATA_FOLDER": str(data), "LC_ALL": "C.UTF-8"}
    told = run(before, folder, **variables).stdout
    key = (folder / "key.txt").read_text().strip()
    assert keys.is_well_formed(key)
    assert "20000\t0\tExample Union" in told
    assert "whsec_" in told
    with PartnerProgram(server.url, key) as partner:
        answer = partner.get("/v1/batches")
        assert (answer.status_code, answer.headers["ratelimit-policy"]) == (
            200,
            '"photos-a-day";q=20000;w=86400',
        )
        run(revoke, folder, **variables)
        assert partner.get("/v1/batches").json()["code"] == "key_not_known"


def test_the_expression_for_scanners_finds_keys(document: str) -> None:
    """The one that the document gives, in a file that has one among other words."""
    (expression,) = [line for line in section(document, "Keys").splitlines() if line.startswith(r"\b")]
    key = keys.new_key()
    assert re.findall(expression, f"export KEY={key}; echo rrk_short") == [key]


# -- tables ----------------------------------------------------------------


def _limits_table() -> str:
    fields = Settings.model_fields
    archive, table = ArchiveLimits(), TableLimits()

    def setting(name: str) -> str:
        return f"`{PREFIX}{name.upper()}`"

    def default(name: str) -> float:
        value: float = fields[name].default
        return value

    def size(number: float) -> str:
        return f"{number / 1_000_000_000:g} GB" if number >= 1_000_000_000 else f"{number / 1_000_000:g} MB"

    rows = [
        ("a photo", size(default("max_photo_bytes")), setting("max_photo_bytes")),
        ("photos in a batch", f"{default('max_batch_photos'):,}", setting("max_batch_photos")),
        ("a ZIP", size(default("max_archive_bytes")), setting("max_archive_bytes")),
        ("what a ZIP unpacks to", "twice that", ""),
        ("files and folders in a ZIP", f"{archive.entries:,}", ""),
        ("a table", f"{size(table.bytes)}, {table.columns:,} columns, a row for each photo of a batch", ""),
        ("rows of a table, and files of a ZIP, that an answer names", f"{MOST_TOLD:,}", ""),
        ("a photo's name", f"{NAME_BYTES:,} bytes of UTF-8, {PART_BYTES} between two `/`", ""),
        (
            "photos a day, for a key",
            f"{default('photos_a_day'):,}",
            f"{setting('photos_a_day')}, or of the key",
        ),
        ("batches at a time, for a key", f"{default('batches_at_once'):g}", setting("batches_at_once")),
        ("ZIPs at a time, for a key", f"{ARCHIVES_EACH}", ""),
        ("downloads of `avatars.zip` at a time, for a key", f"{DOWNLOADS_EACH}", ""),
        ("followers of events at a time, for a key", f"{MOST_EACH}", ""),
        ("how long a batch lives", f"{default('batch_lifetime') / 3600:g} hours", setting("batch_lifetime")),
    ]
    lines = ["| what | at most | setting |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {most} | {which} |" for what, most, which in rows)])


def _answered() -> set[str]:
    """Return the codes of all errors that an address of batches can answer with."""
    settings = load_settings(batches=True)
    paths: Mapping[str, Any] = create_app(settings).openapi()["paths"]
    operations = [
        operation
        for path, methods in paths.items()
        if path.startswith("/v1/batches")
        for operation in methods.values()
    ]
    return {
        code
        for operation in operations
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", ())
    }


_BY_PHOTO = (*errors.PhotoError.__subclasses__(), *errors.BulkError.__subclasses__(), errors.InvalidSpec)
"""What can be told of one photo, row or entry, beside what is answered."""


def _errors_table() -> str:
    answered = _answered()
    lines = ["| code | status | what it says |", "|---|---|---|"]
    for kind in STATUSES:
        if kind.code in answered or (kind in _BY_PHOTO and kind is not errors.PhotoUnreadable):
            status = str(status_of(kind)) if kind.code in answered else ""
            detail = re.sub(r"\{\w+(:\w+)?\}", "…", kind.detail)
            lines.append(f"| `{kind.code}` | {status} | {detail} |")
    return "\n".join(lines)


@pytest.mark.parametrize(("name", "write"), [("limits", _limits_table), ("errors", _errors_table)])
def test_the_tables_say_what_the_code_says(
    name: str, write: Callable[[], str], root: Path, request: pytest.FixtureRequest
) -> None:
    """Limits and errors are the declarations themselves; --regenerate-goldens writes them."""
    file = root / "docs" / "bulk.md"
    text = file.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    wanted = pattern.sub(lambda match: f"{match[1]}\n{write()}\n\n{match[2]}", text)
    if request.config.getoption("--regenerate-goldens"):
        file.write_text(wanted, encoding="utf-8")
        return
    assert text == wanted


def test_the_fields_of_a_table_are_those_of_the_spec(document: str) -> None:
    """All of them are named, in their order."""
    (listed,) = re.findall(r"<!-- fields: .*? -->(.*?)<!-- /fields -->", document, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", listed)) == FIELDS
