"""The programs of docs/clients.md, and clients that are made from the OpenAPI document."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from PIL import Image

from tests.partners import new_partner_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Serve, Server

pytestmark = pytest.mark.xdist_group("clients")  # one server for the file

IN_THE_DOCUMENT = "http://localhost:8000"

PROGRAMS = {
    "curl": ("sh", ["bash", "-eu"]),
    "Python": ("python", [sys.executable]),
    "JavaScript": ("js", ["node", "--input-type=module"]),
}
"""Heading, language of its block, and what runs it from standard input."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it keeps batches."""
    return tmp_path_factory.mktemp("clients") / "data"


@pytest.fixture(scope="module")
def server(serve: Serve, data: Path) -> Iterator[Server]:
    """A service of our own."""
    with serve(batches="true", data_folder=str(data)) as server:
        yield server


@pytest.fixture(scope="module")
def document(root: Path) -> str:
    """The document that is tested."""
    return (root / "docs" / "clients.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, portrait: bytes) -> Path:
    """Where a program runs, with the photo that it reads."""
    with Image.open(io.BytesIO(portrait)) as image:
        image.convert("RGB").save(tmp_path / "photo.jpg", quality=95)
    return tmp_path


def code(document: str, heading: str, language: str, url: str) -> str:
    """Return a section's block in a language, for a service at an address."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    block: str
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return block.replace(IN_THE_DOCUMENT, url)


def run(command: list[str], text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that is given on standard input, with this environment's tools."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here; install it (Debian: nodejs)")
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        input=text,
        cwd=folder,
        env={**os.environ, "PATH": tools},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(url: str, photo: bytes, **settings: str) -> bytes:
    """Return the avatar that the API itself gives."""
    answer = httpx2.post(f"{url}/v1/avatars", params=settings, content=photo, timeout=30)
    assert answer.status_code == 200
    return answer.content


# -- programs to copy ------------------------------------------------------


@pytest.mark.parametrize("heading", PROGRAMS)
def test_a_program_makes_the_avatar(document: str, server: Server, folder: Path, heading: str) -> None:
    """Copied as it stands: a photo in, the avatar out."""
    language, command = PROGRAMS[heading]
    done = run(command, code(document, heading, language, server.url), folder)
    assert done.returncode == 0, done.stderr
    avatar = (folder / "avatar.jpg").read_bytes()
    assert avatar == asked(server.url, (folder / "photo.jpg").read_bytes(), size="640")


@pytest.mark.parametrize(
    ("heading", "language", "words"),
    [
        ("curl", "sh", "cat answer >&2"),
        ("Python", "python", "sys.exit(f"),
        ("JavaScript", "js", "console.error("),
        ("Swift", "swift", "FileHandle.standardError.write("),
        ("Kotlin", "kotlin", "System.err.println("),
        ("A generated client in Python", "python", "sys.exit(f"),
    ],
)
def test_every_program_prints_the_problem_to_standard_error(
    document: str, heading: str, language: str, words: str
) -> None:
    """Those that no test runs, too; what TypeScript has is said to be a function."""
    program = code(document, heading, language, IN_THE_DOCUMENT)
    assert words in program
    assert "print(" not in program.replace(words, "")
    assert "in TypeScript, is not a whole program but a function" in document
    assert "export async function makeAvatar" in code(document, TYPESCRIPT, "ts", IN_THE_DOCUMENT)


@pytest.mark.parametrize("heading", PROGRAMS)
def test_a_program_tells_why_a_photo_was_refused(
    document: str, server: Server, folder: Path, heading: str
) -> None:
    """The problem's code and words, a status that is not 0, and nothing that looks like an avatar."""
    (folder / "photo.jpg").write_text("no photo")
    language, command = PROGRAMS[heading]
    done = run(command, code(document, heading, language, server.url), folder)
    assert done.returncode == 1
    assert "photo_not_supported" in done.stderr
    assert "Choose a JPEG" in done.stderr
    assert not (folder / "avatar.jpg").exists()


@contextmanager
def busy_once() -> Iterator[str]:
    """Yield the address of a service that is busy when it is asked first."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            is_busy = len(asked) == 1
            self.send_response(503 if is_busy else 200)
            self.send_header("Content-Type", "application/problem+json" if is_busy else "image/jpeg")
            self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(b'{"code": "busy", "detail": "Busy."}' if is_busy else b"a picture")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{service.server_port}"
        finally:
            service.shutdown()
            thread.join()


@pytest.mark.parametrize("heading", PROGRAMS)
def test_a_program_comes_again_when_the_service_was_busy(document: str, folder: Path, heading: str) -> None:
    """It waits as long as the service asked for."""
    language, command = PROGRAMS[heading]
    with busy_once() as url:
        done = run(command, code(document, heading, language, url), folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "avatar.jpg").read_bytes() == b"a picture"


# -- openapi-python-client -------------------------------------------------

GENERATED = "A generated client in Python"
INSTALLED = "pip install "  # the tests' own environment has it


@pytest.fixture(scope="module")
def package(document: str, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the document's commands have made a client, without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    lines = code(document, GENERATED, "sh", server.url).splitlines()
    for line in lines:
        if not line.startswith(INSTALLED):
            done = run(["bash", "-eu"], f"{line} --fail-on-warning", folder)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "WARNING" not in done.stdout + done.stderr
    return folder


def test_the_generator_is_the_one_that_is_tested(document: str, root: Path) -> None:
    """The version that the document installs is the one of requirements-dev.txt."""
    first, _ = code(document, GENERATED, "sh", IN_THE_DOCUMENT).splitlines()
    pinned = (root / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    assert f"{first.removeprefix(INSTALLED)} \\" in pinned


def test_a_client_can_be_generated_again(
    document: str, package: Path, server: Server, tmp_path: Path
) -> None:
    """Over the one that is there, by the same command."""
    shutil.copytree(package / "ribbons", tmp_path / "ribbons")
    (tmp_path / "ribbons" / "client.py").unlink()
    _, command = code(document, GENERATED, "sh", server.url).splitlines()
    done = run(["bash", "-eu"], command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "ribbons" / "client.py").exists()


@pytest.fixture
def ribbons(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return what imports a module of the generated client."""
    monkeypatch.syspath_prepend(str(package))
    yield lambda name: importlib.import_module(f"ribbons.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "ribbons"]:
        del sys.modules[name]


@pytest.fixture
def client(ribbons: Any, server: Server) -> Iterator[Any]:
    """A generated client of our service, which lets no answer pass that the document does not know."""
    with ribbons("client").Client(base_url=server.url, timeout=30, raise_on_unexpected_status=True) as client:
        yield client


def test_the_documents_generated_client_makes_the_avatar(
    document: str, package: Path, server: Server, folder: Path
) -> None:
    """The program of the document, with the client that its commands have made."""
    program = code(document, GENERATED, "python", server.url)
    (folder / "ribbons").symlink_to(package / "ribbons")
    done = run([sys.executable], program, folder)
    assert done.returncode == 0, done.stderr
    avatar = (folder / "avatar.jpg").read_bytes()
    assert avatar == asked(server.url, (folder / "photo.jpg").read_bytes(), size="640")
    (folder / "photo.jpg").write_text("no photo")
    done = run([sys.executable], program, folder)
    assert done.returncode == 1
    assert "photo_not_supported: This file" in done.stderr


def test_a_generated_client_sends_nothing_by_itself(
    ribbons: Any, client: Any, server: Server, portrait: bytes
) -> None:
    """A photo alone gives the avatar that the API gives for it, in a form or by itself."""
    make, file = ribbons("api.avatars.make_avatar"), ribbons("types").File
    form = ribbons("models").AvatarForm(photo=file(io.BytesIO(portrait)))
    for body in (form, file(io.BytesIO(portrait))):
        avatar = make.sync(client=client, body=body)
        assert isinstance(avatar, file)
        assert avatar.payload.read() == asked(server.url, portrait)


def test_a_generated_client_takes_settings_in_either_place(
    ribbons: Any, client: Any, server: Server, portrait: bytes
) -> None:
    """In the form, in the query, or the same in both; each kind of value."""
    make, file, models = ribbons("api.avatars.make_avatar"), ribbons("types").File, ribbons("models")
    settings = {
        "frame": "ribbon-loop",
        "lang": "en",
        "slogan": "غزة في القلب",
        "size": 200,
        "shape": models.Shape.CIRCLE,
        "format_": models.Format.WEBP,
        "x": 0.4,
        "y": 0.6,
        "zoom": 2.0,
        "rotate": -90.0,
        "flip": True,
        "faces": models.Faces.OFF,
        "disposition": models.Disposition.INLINE,
    }
    texts = {
        name.rstrip("_"): str(getattr(value, "value", value))
        for name, value in settings.items()
        if name != "disposition"
    }
    wanted = asked(server.url, portrait, **texts)
    for in_form, in_query in ((settings, {}), ({}, settings), (settings, settings)):
        form = models.AvatarForm(photo=file(io.BytesIO(portrait)), **in_form)
        answer = make.sync_detailed(client=client, body=form, **in_query)
        assert answer.parsed.payload.read() == wanted
        assert answer.headers["content-disposition"] == 'inline; filename="ribbon-loop.webp"'


def test_a_generated_client_gets_errors_as_problems(ribbons: Any, client: Any, portrait: bytes) -> None:
    """Whatever the status, with the fields that are wrong, and the codes that the service has."""
    make, file, models = ribbons("api.avatars.make_avatar"), ribbons("types").File, ribbons("models")

    def refused(photo: bytes, **settings: object) -> Any:
        form = models.AvatarForm(photo=file(io.BytesIO(photo)), **settings)
        problem = make.sync(client=client, body=form)
        assert isinstance(problem, models.Problem)
        assert problem.detail
        return problem

    assert (refused(b"").status, refused(b"").code) == (400, "photo_missing")
    assert (refused(b"no photo").status, refused(b"no photo").code) == (415, "photo_not_supported")
    problem = refused(portrait, size=1, zoom=9.0)
    assert problem.code == "invalid_spec"
    assert all(isinstance(field, models.InvalidField) for field in problem.fields)
    assert [(field.field, field.code) for field in problem.fields] == [
        ("size", "out_of_range"),
        ("zoom", "out_of_range"),
    ]
    gone = ribbons("api.frames.show_frame").sync("nothing", client=client)
    assert isinstance(gone, models.Problem)
    assert gone.code == "frame_not_found"
    kind = ribbons("api.problems.show_problem").sync(gone.code, client=client)
    assert kind.title["ar"]
    known = ribbons("api.problems.list_problems").sync(client=client)
    assert kind in known


def test_a_generated_client_reads_frames_and_their_pictures(
    ribbons: Any, client: Any, portrait: bytes
) -> None:
    """The list, one of it, its overlay in both formats, a rendition, the count."""
    models, file = ribbons("models"), ribbons("types").File
    frames = ribbons("api.frames.list_frames").sync(client=client)
    assert all(isinstance(frame, models.Frame) for frame in frames)
    assert frames[0].title["ar"] == "الأشرطة الحمراء"
    assert ribbons("api.frames.show_frame").sync(frames[0].id, client=client) == frames[0]
    for picture_format in ("png", "webp"):
        draw = ribbons(f"api.frames.draw_overlay_{picture_format}")
        overlay = draw.sync(frames[0].id, client=client, size=128, shape=models.Shape.CIRCLE)
        with Image.open(overlay.payload) as image:
            assert (image.format, image.size, image.mode) == (picture_format.upper(), (128, 128), "RGBA")
        assert draw.sync("nothing", client=client).code == "frame_not_found"
    form = models.RenditionForm(photo=file(io.BytesIO(portrait)), side=100)
    shown = ribbons("api.avatars.make_rendition").sync(client=client, body=form)
    with Image.open(shown.payload) as image:
        assert (image.format, max(image.size)) == ("JPEG", 100)
    assert ribbons("api.stats.show_stats").sync(client=client).avatars >= 0
    assert ribbons("api.operations.is_alive").sync(client=client) == "ok\n"
    assert ribbons("api.operations.is_ready").sync(client=client) == "ok\n"
    assert "ribbons_" in ribbons("api.operations.show_metrics").sync(client=client)


def test_a_generated_client_brings_a_batch(ribbons: Any, server: Server, data: Path, portrait: bytes) -> None:
    """From its making to the last avatar; an error is a problem."""
    models, file = ribbons("models"), ribbons("types").File

    def call(name: str, *given: object, **more: object) -> Any:
        return ribbons(f"api.batches.{name}").sync(*given, client=client, **more)

    key = new_partner_key(data)
    with ribbons("client").AuthenticatedClient(
        base_url=server.url, token=key, timeout=30, raise_on_unexpected_status=True
    ) as client:
        spec = models.Spec(size=64, shape=models.Shape.CIRCLE)
        batch = call("make_batch", body=models.NewBatch(spec=spec, expected=2, name="Staff"))
        assert (batch.state, batch.spec.to_dict()) == ("open", {"size": "64", "shape": "circle"})
        for name in ("a.png", "staff/b c.png"):
            photo = call("send_photo", batch.id, name, body=file(io.BytesIO(portrait)))
            assert (photo.name, photo.state) == (name, "waiting")
        told = call("send_table", batch.id, body=file(io.BytesIO(b"photo\r\na.png\r\n")))
        assert (told.rows, told.problems) == (1, [])
        assert call("start_batch", batch.id).state in {"running", "done"}
        while call("show_batch", batch.id).state != "done":
            time.sleep(0.1)
        photos = call("list_photos", batch.id, limit=10).photos
        assert [photo.avatar for photo in photos] == ["a.png", "staff/b c.png"]
        with zipfile.ZipFile(call("download_avatars", batch.id).payload) as archive:
            assert set(archive.namelist()) == {"a.png", "staff/b c.png"}
        assert call("show_batch", "nothing").code == "batch_not_found"
        assert call("erase_batch", batch.id) is None
        assert call("show_batch", batch.id).code == "batch_not_found"


# -- openapi-typescript ----------------------------------------------------

TYPESCRIPT = "A generated client in TypeScript"
COMPILE = (
    "npx tsc --strict --target es2022 --module nodenext --moduleResolution nodenext"
    " --rewriteRelativeImportExtensions"
)

# What is right compiles; each line under @ts-expect-error must not.
USE = """
import createClient from "openapi-fetch";
import { makeAvatar } from "./avatar.ts";
import type { paths } from "./ribbons.d.ts";

export async function use(url: string, photo: Blob) {
  const client = createClient<paths>({ baseUrl: url });
  const frames = await client.GET("/v1/frames");
  const ids: string[] = (frames.data ?? []).map((frame) => frame.id);
  const overlay = await client.GET("/v1/frames/{frame_id}/overlay.png", {
    params: { path: { frame_id: ids[0] }, query: { size: 64, shape: "circle" } },
    parseAs: "blob",
  });
  const picture: Blob | undefined = overlay.data;
  const missing = await client.GET("/v1/frames/{frame_id}", { params: { path: { frame_id: "nothing" } } });
  const code: string | undefined = missing.error?.code;
  const raw = await client.POST("/v1/avatars", {
    params: { query: { size: 64, format: "png" } },
    body: photo as unknown as string,
    bodySerializer: (body) => body,
    headers: { "Content-Type": "application/octet-stream" },
    parseAs: "blob",
  });
  // @ts-expect-error
  void (() => makeAvatar(photo, { size: "large" }));
  // @ts-expect-error
  void (() => makeAvatar(photo, { shape: "star" }));
  return { ids, overlay: picture?.type, code, raw: raw.data?.type };
}
"""

RUN = """
import { readFile, writeFile } from "node:fs/promises";
import { makeAvatar, Refused } from "./avatar.js";
import { use } from "./use.js";

const photo = new Blob([await readFile("photo.jpg")]);
await writeFile("avatar.jpg", Buffer.from(await (await makeAvatar(photo, { size: 640 })).arrayBuffer()));
const refused = await makeAvatar(photo, { size: 1 }).catch((error) => error);
if (!(refused instanceof Refused)) throw refused;
console.log(JSON.stringify({ ...(await use("URL", photo)), refused: refused.problem.fields[0] }));
"""


@pytest.mark.npm
def test_a_generated_typescript_client_makes_the_avatar(document: str, server: Server, folder: Path) -> None:
    """The document's commands and program, compiled strictly and run; and other operations beside it."""
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "avatar.ts").write_text(code(document, TYPESCRIPT, "ts", server.url))
    (folder / "use.ts").write_text(USE)
    (folder / "run.js").write_text(RUN.replace("URL", server.url))
    for command in (code(document, TYPESCRIPT, "sh", server.url), f"{COMPILE} use.ts"):
        made = run(["bash", "-eu"], command, folder)
        assert made.returncode == 0, made.stdout + made.stderr
    done = run(["node", "run.js"], "", folder)
    assert done.returncode == 0, done.stderr
    avatar = (folder / "avatar.jpg").read_bytes()
    assert avatar == asked(server.url, (folder / "photo.jpg").read_bytes(), size="640")
    told = json.loads(done.stdout)
    assert "red-ribbons" in told["ids"]
    assert (told["overlay"], told["raw"], told["code"]) == ("image/png", "image/png", "frame_not_found")
    assert (told["refused"]["field"], told["refused"]["code"]) == ("size", "out_of_range")
