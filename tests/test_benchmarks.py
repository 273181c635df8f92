"""What is measured beside peers: that it is the same work, counted rightly, and told as it was measured."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil
import pytest
from PIL import Image

from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec
from benchmarks.peers import __main__ as command
from benchmarks.peers.installing import PYTHON, SHARP, NotInstalled, _run, install_npm, versions
from benchmarks.peers.load import Failed, ask_for, request_bytes
from benchmarks.peers.measuring import CONCURRENCY, HEADLINE, LARGE, MEGAPIXELS, SIZES, SMALL, Effort, _Bench
from benchmarks.peers.pictures import FRAME, NotTheAvatar, exact_avatar, fidelity, overlay_file
from benchmarks.peers.plot import draw
from benchmarks.peers.report import BUSY, MADE_OF, missed, sections, summary, write_between
from benchmarks.peers.results import MEASURED, Figure, Machine, Missing, Picture, Results
from benchmarks.peers.serving import FACES, TITLES, Server, request_for
from tests.photos import MIDDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from app.frames import FrameLibrary


def results(*, without: str = "", pace: float = 1.0) -> Results:
    """Return what a run could have measured: ours made 100 avatars a second, all others 25 times the pace."""
    names = [name for name in TITLES if name != without]
    points = dict.fromkeys((*HEADLINE, *MEGAPIXELS, *SIZES, *CONCURRENCY))
    machine = Machine(date="2026-11-27", processor="a processor", cores=2, load=0, python="3.11", node="20")
    return Results(
        machine=machine,
        floors=(),
        pictures=tuple(
            Picture(server=name, photo=point.photo, fidelity=42, nbytes=250_000)
            for name in names
            for point in HEADLINE
        ),
        figures=tuple(
            Figure(server=name, point=point, cpu=0.02, rate=100 if name == "ours" else 25 * pace, wait=0.04)
            for name in names
            for point in points
        ),
        missing=(Missing(server=without, point=None, reason="no npm"),) if without else (),
    )


def flowing(text: str) -> str:
    """Return a text without its breaks of lines."""
    return " ".join(text.split())


# -- the documents ------------------------------------------------------------


def test_the_documents_tell_what_was_measured() -> None:
    """Tables, plot and README's sentences are what the measured figures give; nobody wrote them by hand."""
    measured = Results.model_validate_json(MEASURED.read_text(encoding="utf-8"))
    for path, content in command.documents(measured).items():
        assert path.read_text(encoding="utf-8") == content, path.name
    assert "make bench-docs" in sections(measured)["machine"]


def test_what_stands_between_the_markers_alone_is_written() -> None:
    """A section that somebody else keeps in the document stays as it is."""
    text = "a\n<!-- one: written by x -->\nold\n<!-- /one -->\n## What was tried\nb\n"
    new = "a\n<!-- one: written by x -->\n\nnew\n\n<!-- /one -->\n## What was tried\nb\n"
    assert write_between(text, "one", "new") == new
    assert write_between(new, "one", "new") == new
    with pytest.raises(ValueError, match="0 places for two"):
        write_between(text, "two", "new")


def test_a_peer_that_is_missing_is_named_with_the_reason() -> None:
    """Its row stays, empty, the reason is told, and the other figures are there."""
    told = sections(results(without="sharp"))
    assert "- Left out: sharp: no npm." in told["machine"].splitlines()
    assert "| 12 MP | sharp | – | – | – | – | – | – | – |" in told["peers"].splitlines()
    assert "| 12 MP | thumbor | 20 | 1.0 | 25.0 | 4.0 × | 40 | 42.0 | 250 |" in told["peers"].splitlines()
    assert "sharp" not in told["growth"]
    assert "| 1 MP | 20 | 20 | 20 |" in told["growth"].splitlines()
    assert "4.0 × sharp in two steps, 4.0 × pyvips and 4.0 × thumbor" in flowing(
        summary(results(without="sharp"))
    )


def test_a_busy_machine_is_told() -> None:
    """Figures that are worth little say so themselves, wherever they stand."""
    quiet = results()
    busy = quiet.model_copy(update={"machine": quiet.machine.model_copy(update={"load": 4.2})})
    for tell in (summary, lambda run: sections(run)["machine"]):
        assert flowing(BUSY) not in flowing(tell(quiet))
        assert flowing(BUSY) in flowing(tell(busy))


def test_an_aim_that_is_missed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of peers that were measured; and who makes fewer than before is told by the exit code, too."""
    assert missed(results()) == ["4.0 × thumbor at 12 MP; the aim is 5.0"]
    assert missed(results(without="thumbor")) == []
    monkeypatch.setattr(command, "_last", results)
    assert command.main(["--again"]) == 0
    assert "Missed: 4.0 × thumbor" in capsys.readouterr().out
    monkeypatch.setattr(command, "_last", lambda: results(pace=2))
    assert command.main(["--again"]) == 1
    assert "Worse than before: 2.0 × thumbor at 12 MP; it was 3.3 at least." in capsys.readouterr().out


@pytest.mark.parametrize("without", ["", "sharp", "thumbor"])
def test_the_plot_is_an_svg_of_all_who_were_measured(without: str) -> None:
    """It is well-formed, takes nothing from elsewhere, and has each server in three panels and the legend."""
    drawing = draw(results(without=without))
    ET.fromstring(drawing)  # noqa: S314 - our own
    assert not re.search(r"href|url\(|@import", drawing)
    shown = {"ours", "sharp", "pyvips", "thumbor"} - {without}
    assert {name: drawing.count(f'class="line {name}"') for name in shown} == dict.fromkeys(shown, 4)
    assert not without or f'class="line {without}"' not in drawing


# -- the versions ---------------------------------------------------------------


def test_every_version_is_exact_and_no_registry_is_named() -> None:
    """All that is fetched is pinned, here alone; which host it comes from is the reader's own setting."""
    lock = (SHARP / "package-lock.json").read_text(encoding="utf-8")
    wanted = json.loads((SHARP / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads(lock)["packages"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in package for place, package in packages.items() if place)
    assert "resolved" not in lock
    pins = (PYTHON / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", pin) for pin in pins if not pin.startswith("#"))
    assert {name for names in MADE_OF.values() for name in names} <= versions().keys()


def test_without_npm_a_peer_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Node.js is a reason, not a crash; nothing is left behind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match=r"there is no Node\.js"):
        install_npm(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_fetched_is_no_crash(tmp_path: Path) -> None:
    """Without a network, or with a lock that is wrong, the reason names who could not install it."""
    with pytest.raises(NotInstalled, match="pip could not install it"):
        _run("pip", sys.executable, "-c", "raise SystemExit(1)", cwd=tmp_path)


# -- the pictures ----------------------------------------------------------------


@pytest.fixture(scope="module")
def avatar(frames: FrameLibrary, portrait: bytes) -> tuple[Image.Image, Image.Image]:
    """Return an avatar of ours, decoded, and the exact one, both of 1080 px."""
    overlays, spec = Overlays(frames), AvatarSpec(frame=FRAME, **MIDDLE)
    with Image.open(io.BytesIO(portrait)) as file:
        photo = encoded(file.convert("RGB").resize((1300, 1100)))
    with Image.open(io.BytesIO(make_avatar(photo, spec, overlays).content)) as file:
        return file.convert("RGB"), exact_avatar(photo, overlays.png(spec))


def encoded(picture: Image.Image, kind: str = "JPEG", subsampling: str = "4:4:4") -> bytes:
    """Return a picture's file."""
    file = io.BytesIO()
    picture.save(file, kind, quality=95, subsampling=subsampling)
    return file.getvalue()


def test_our_own_avatar_is_the_avatar(avatar: tuple[Image.Image, Image.Image]) -> None:
    """It passes, and the exact one is as near as its JPEG."""
    ours, exact = avatar
    assert 38 < fidelity(encoded(ours), exact) < fidelity(encoded(exact), exact)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda ours: encoded(ours.resize((1000, 1000))), "1000 x 1000 px"),
        (lambda ours: encoded(ours, subsampling="4:2:0"), "not 4:4:4"),
        (lambda _: encoded(Image.new("RGB", (8, 8)), "PNG"), "no JPEG"),
        (lambda ours: encoded(ours.rotate(180)), "dB from the avatar"),
        (lambda ours: encoded(ours.convert("L")), "not 4:4:4"),
        (lambda _: b"", "no JPEG"),
        (lambda ours: encoded(ours)[:900], "no JPEG"),
    ],
)
def test_who_did_less_is_no_peer(
    spoil: Callable[[Image.Image], bytes], why: str, avatar: tuple[Image.Image, Image.Image]
) -> None:
    """A smaller picture, less chroma, another picture or none are refused, with the reason."""
    ours, exact = avatar
    with pytest.raises(NotTheAvatar, match=why):
        fidelity(spoil(ours), exact)


# -- the load ---------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Return what starts a server that answers everybody alike, and its port."""
    with ExitStack() as stack:

        def start(answer: bytes) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            # Whoever waits in accept() is not woken by a close.
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
            port: int = listener.getsockname()[1]
            return port

        yield start


def serve(listener: socket.socket, answer: bytes) -> None:
    """Answer one after another until the listener is shut down."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)


def test_answers_are_counted(answering: Callable[[bytes], int]) -> None:
    """Each client takes one at least, and all of them until the time is over."""
    port = answering(b"HTTP/1.1 200 OK\r\n\r\navatar")
    assert ask_for(0, port, request_bytes("GET", "/"), 3).answers == 3
    window = ask_for(0.05, port, request_bytes("POST", "/", b"photo"), 3)
    assert window.answers > 3
    assert 0.05 <= window.elapsed < 5
    assert 0 < window.wait < window.elapsed


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"HTTP/1.1 503 Busy\r\n\r\n", "503 Busy"), (b"", "no answer"), (b"nonsense", "nonsense")],
)
def test_a_refusal_is_no_avatar(answer: bytes, why: str, answering: Callable[[bytes], int]) -> None:
    """Whoever refuses is not fast: the window fails, with the reason."""
    with pytest.raises(Failed, match=why):
        ask_for(0, answering(answer), request_bytes("GET", "/"), 1)


def test_nobody_there_is_a_failure() -> None:
    """A server that has gone is told as such."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Failed, match="refused"):
            ask_for(0, free.getsockname()[1], request_bytes("GET", "/"), 2)


def test_cpu_is_that_of_the_whole_tree() -> None:
    """What a child takes counts while it lives, and when it is gone."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\n"
    run = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
    script = f"{run}print(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # The system counts in ticks of 10 ms, and may miss some.
        assert Server(psutil.Process(process.pid), 0).cpu_seconds() > 0.1
        process.communicate(b"\n")


@pytest.mark.parametrize("server", TITLES)
def test_every_server_is_asked_for_the_same(server: str) -> None:
    """The size is asked for, and the photo sent; thumbor alone has it from a file."""
    request = request_for(server, LARGE.photo, b"the photo", 333)
    assert b"333" in request.partition(b"\r\n")[0]
    assert request.endswith(b"the photo") is (server != "thumbor")
    assert (b"/12-MP.jpg HTTP/1.1" in request) is (server == "thumbor")


def test_ours_looks_for_faces_in_a_line_of_its_own() -> None:
    """Beside peers, which look for none, the middle is given; what faces cost is compared with nobody."""
    ours, faces = (request_for(name, LARGE.photo, b"", 64).partition(b"\r")[0] for name in ("ours", FACES))
    assert b"&x=0.5&y=0.5&zoom=1 " in ours
    assert ours.replace(b"&x=0.5&y=0.5&zoom=1", b"") == faces
    table = sections(results())["peers"].splitlines()
    assert f"| 12 MP | {TITLES[FACES]} | 20 |  | 25.0 |  | 40 | 42.0 | 250 |" in table
    assert TITLES[FACES] not in sections(results(without=FACES))["peers"]
    assert TITLES[FACES] not in flowing(summary(results()))
    assert TITLES[FACES] not in sections(results())["growth"]


def test_faces_are_looked_for_in_large_photos_alone(
    answering: Callable[[bytes], int], tmp_path: Path, frames: FrameLibrary, portrait: bytes
) -> None:
    """The page's square has been chosen; and what shows another square is not held against the exact one."""
    servers = {FACES: Server(psutil.Process(), answering(b"HTTP/1.1 200 OK\r\n\r\navatar"))}
    missing: list[Missing] = []
    bench = _Bench(servers, {"12 MP": b"", SMALL.photo: b""}, missing)
    figures = [figure for point in (*HEADLINE, *SIZES) for figure in bench.measure(point, Effort(1, 0))]
    assert {(figure.server, figure.point) for figure in figures} == {(FACES, LARGE)}
    (tmp_path / overlay_file(LARGE.size)).write_bytes(Overlays(frames).png(AvatarSpec(frame=FRAME)))
    assert list(_Bench(servers, {"12 MP": portrait}, missing).look(LARGE, tmp_path)) == []
    assert missing == []


def test_nobody_else_can_be_asked() -> None:
    """A name that is not of those is refused."""
    with pytest.raises(ValueError, match="imgproxy"):
        request_for("imgproxy", LARGE.photo, b"", 64)


def test_who_fails_at_a_point_is_left_out_there(answering: Callable[[bytes], int]) -> None:
    """The others are measured, the reason is told, and at another point it is asked again."""
    here = psutil.Process()
    servers = {
        "ours": Server(here, answering(b"HTTP/1.1 200 OK\r\n\r\navatar")),
        "sharp": Server(here, answering(b"HTTP/1.1 500 No\r\n\r\n")),
    }
    missing: list[Missing] = []
    bench = _Bench(servers, {"12 MP": b"", SMALL.photo: b""}, missing)
    figures = [figure for point in HEADLINE for figure in bench.measure(point, Effort(1, 0))]
    assert [(figure.server, figure.point) for figure in figures] == [("ours", point) for point in HEADLINE]
    assert [(one.server, one.point) for one in missing] == [("sharp", point) for point in HEADLINE]
    assert "- Left out: sharp with 12 MP, 1080 px, 4 at once: HTTP/1.1 500 No." in _told(missing)


def test_whose_picture_is_another_is_not_measured(
    answering: Callable[[bytes], int], frames: FrameLibrary, portrait: bytes, tmp_path: Path
) -> None:
    """Who does less would be the faster: it is left out everywhere, with the reason."""
    overlay = Overlays(frames).png(AvatarSpec(frame=FRAME))
    (tmp_path / overlay_file(LARGE.size)).write_bytes(overlay)
    missing: list[Missing] = []
    servers = {"thumbor": Server(psutil.Process(), answering(b"HTTP/1.1 200 OK\r\n\r\n" + portrait))}
    bench = _Bench(servers, {"12 MP": portrait}, missing)
    assert list(bench.look(LARGE, tmp_path)) == []
    assert bench.measure(LARGE, Effort(1, 0)) == []
    assert "- Left out: thumbor: its answer is no JPEG." in _told(missing)


def _told(missing: list[Missing]) -> list[str]:
    run = results().model_copy(update={"missing": tuple(missing)})
    return sections(run)["machine"].splitlines()
