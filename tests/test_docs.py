from __future__ import annotations

import io
import re
import shlex
import socket
import subprocess
import time
import tomllib
import urllib.request
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import app
from app.render import framing
from app.render.formats import FORMAT_NAMES
from app.settings import PREFIX, Settings, allowed
from app.spec import AvatarSpec
from app.texts.translations import translations_of
from benchmarks import framing as measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic.fields import FieldInfo

pytestmark = pytest.mark.xdist_group("docs")  # one server for the file

ROOT = Path(__file__).parent.parent
SERVES = "make run"
NESTED = "make test"  # the suite that runs this test is that command


def _commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def _picture(command: str) -> str | None:
    match = re.search(r"-o (\S+\.(?:jpg|png|webp))", command)
    return match[1] if match else None


COMMANDS = [command for command in dict.fromkeys(_commands()) if command not in {SERVES, NESTED}]
DRAWING = [command for command in COMMANDS if _picture(command)]


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[int]:
    """Yield the port of the service, started as README says."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([*shlex.split(SERVES), f"PORT={port}"], cwd=root)
    try:
        _wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "make run ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the service was not ready in a minute")


@pytest.fixture(scope="module")
def run(root: Path, server: int, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Return what runs a command as a newcomer types it, once, and returns the picture that it makes."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / ".venv").symlink_to(root / ".venv")
    with Image.open(root / "frames" / "portrait.png") as portrait:
        portrait.convert("RGB").save(folder / "photo.jpg", quality=95)
        portrait.save(folder / "another.png")
        (folder / "photos" / "staff").mkdir(parents=True)
        for name in ("abu-ali.jpg", "staff/huda.png"):
            portrait.convert("RGB").save(folder / "photos" / name)

    @cache
    def run_once(command: str) -> bytes:
        here = command.replace("localhost:8000", f"127.0.0.1:{server}")
        done = subprocess.run(
            ["bash", "-euc", here], cwd=folder, capture_output=True, timeout=90, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
        name = _picture(command)
        if name is None:
            return b""
        content = (folder / name).read_bytes()
        # What another command of that name has not made is not taken for its picture.
        (folder / name).unlink()
        return content

    return run_once


# Each has the time of a test for itself: on a busy machine all of them take longer than one may.
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_readme_runs(command: str, run: Callable[[str], bytes]) -> None:
    """What README tells a newcomer to type works as written, and makes the picture that it says."""
    picture = run(command)
    if _picture(command):
        with Image.open(io.BytesIO(picture)) as image:
            assert image.width >= 512


def test_a_group_of_tests_stays_in_one_process(request: pytest.FixtureRequest) -> None:
    """Else each process would start a server of its own, and a command find nothing of the one above it."""
    assert request.node.nodeid.endswith("@docs") == bool(request.config.getoption("loadgroup", default=False))


def test_readmes_commands_make_what_it_says(run: Callable[[str], bytes]) -> None:
    """The command line, a form and a body give the same bytes; every other command a picture of its own."""
    assert {SERVES, NESTED} < set(_commands())
    assert len(COMMANDS) > 10
    # Not the sheet, which takes longest and is no avatar.
    made = [run(command) for command in DRAWING if "sheet" not in command]
    assert made[0] == made[1] == made[2], "the three ways give the same bytes"
    assert len(set(made)) == len(made) - 2, "every other command makes a picture of its own"


def test_a_refused_setting_answers_in_arabic(root: Path, server: int, tmp_path: Path) -> None:
    """README's example of an error shows a problem in the reader's language."""
    (command,) = [line for line in _commands() if "Accept-Language" in line]
    (tmp_path / "photo.jpg").write_bytes((root / "frames" / "portrait.png").read_bytes())
    here = command.replace("localhost:8000", f"127.0.0.1:{server}")
    answer = subprocess.run(["bash", "-euc", here], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert "بعض الإعدادات غير صحيحة: \u2068size\u2069" in answer.stdout.decode()


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _default(name: str, field: FieldInfo, root: Path) -> str:
    special = {
        "workers": "the CPUs there are",
        "data_folder": "`~/.local/state/red-ribbons`",
        "format": "`jpeg`, or `png` for a circle",
        "slogan": "none",
        **dict.fromkeys(("x", "y", "zoom"), "chosen"),
        "frame": "the library's first",
    }
    if name in special:
        return special[name]
    match field.default:
        case None | ():
            return "none"
        case bool():
            return f"`{str(field.default).lower()}`"
        case float():
            return f"`{field.default:g}`"
        case _:
            return f"`{str(field.default).removeprefix(f'{root}/')}`"


def _settings_table(root: Path) -> str:
    rows = [_row("variable", "what it is", "may be", "default"), "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        what = str(field.description).partition(" Default:")[0]
        rows.append(_row(f"`{PREFIX}{name.upper()}`", what, allowed(field), _default(name, field, root)))
    return "\n".join(rows)


def _spec_table(root: Path) -> str:
    properties = AvatarSpec.model_json_schema()["properties"]
    rows = [_row("field", "what it is", "values", "default"), "|---|---|---|---|"]
    for name, field in AvatarSpec.model_fields.items():
        rows.append(
            _row(f"`{name}`", str(field.description), _values(properties[name]), _default(name, field, root))
        )
    return "\n".join(rows)


def _values(schema: dict[str, object]) -> str:
    options = [schema, *(option for option in schema.get("anyOf", []) if isinstance(option, dict))]  # type: ignore[attr-defined]
    for option in options:
        if option.get("type") == "boolean":
            return "true, false"
        if "enum" in option:
            return ", ".join(str(value) for value in option["enum"])
        if "minimum" in option:
            return f"{option['minimum']:g} to {option['maximum']:g}"
        if "maxLength" in option:
            return f"up to {option['maxLength']} characters"
    return "`ribbons frames list` shows them"


@pytest.mark.parametrize(("name", "write"), [("settings", _settings_table), ("spec", _spec_table)])
def test_readmes_tables_say_what_the_code_says(
    name: str, write: object, root: Path, request: pytest.FixtureRequest
) -> None:
    """The tables of settings and spec are the declarations themselves; --regenerate-goldens writes them."""
    assert callable(write)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    wanted = pattern.sub(lambda match: f"{match[1]}\n{write(root)}\n\n{match[2]}", text)
    if request.config.getoption("--regenerate-goldens"):
        readme.write_text(wanted, encoding="utf-8")
        return
    assert text == wanted


def test_readme_names_the_formats_that_are_read(root: Path) -> None:
    """All of them, in the order in which people are told of them."""
    assert translations_of("en").either(FORMAT_NAMES) in (root / "README.md").read_text()


def test_how_a_square_is_chosen_is_told_as_it_is(root: Path) -> None:
    """The numbers in docs/framing.md are those of the rules, and its table meets the aims."""
    text = " ".join((root / "docs" / "framing.md").read_text(encoding="utf-8").split())
    assert (framing.ENLARGED, framing.GROUP) == (1.5, 0.25)
    for words in (
        f"fills {framing.SHARE:g} of it",
        "more than one and a half of the avatar's",
        "less than a quarter of the largest one's area",
        f"to zoom {framing.LEAST_ZOOM:g}.",
        f"a tall photo shows {framing.HEAD:.2f} of its height",
        f"{measure.WHOLE:.0%}".replace("%", " %") + " of its ellipse",
    ):
        assert words in text
    row = next(line for line in text.split("| by faces |")[1:])
    whole, quarter = ([float(n) for n in cell.split("/")] for cell in row.split("|")[:2])
    assert min(whole) >= measure.LEAST_WHOLE
    assert min(quarter) >= measure.LEAST_QUARTER


def _anchors(document: Path) -> set[str]:
    """Return what a link may name in a document: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_in_the_documents_lead_somewhere(root: Path) -> None:
    """No document points to a file or a heading that is not there."""
    documents = [*root.glob("*.md"), *root.glob("docs/*.md")]
    assert len(documents) >= 5
    for document in documents:
        text = document.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", text):
            file = document.parent / target if target else document
            assert file.exists(), f"{document.name}: {target}"
            if anchor:
                assert anchor in _anchors(file), f"{document.name}: {target}#{anchor}"


def test_the_version_is_the_changelogs(root: Path) -> None:
    """The code's version is the newest that the changelog tells of."""
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert versions[0] == app.__version__


def test_the_lock_holds_what_the_project_asks_for(root: Path) -> None:
    """Every dependency is pinned with hashes, and no package host is named."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (root / "requirements.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    asked = {re.split(r"[<>=\[]", requirement)[0] for requirement in project["project"]["dependencies"]}
    assert asked <= pinned
    assert "://" not in lock
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        if not entry.startswith("#"):
            assert "--hash=sha256:" in entry, entry.splitlines()[0]
