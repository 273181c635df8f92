from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each layer may import itself and what stands above it in this list; see "Where things are" in CONTRIBUTING.
LAYERS = (
    ("app", "app.faults", "app.texts"),
    ("app.errors", "app.turns"),
    ("app.disk",),
    ("app.frames",),
    ("app.words",),
    ("app.spec",),
    ("app.render",),
    ("app.settings", "app.jobs", "app.lanes"),
    ("app.lifetime", "app.logs", "app.workers"),
    ("app.drawing",),
    ("app.making",),
    ("app.bulk",),
    ("app.worker",),
    ("app.web",),
    ("app.files",),
    ("app.cli",),
    ("app.__main__",),
)

# A module, and the only one that may import it.
SOLE_IMPORTERS = {
    "dbos": "app/bulk/engine.py",
    "httpcore2": "app/bulk/webhooks.py",
    "limits": "app/web/state/quotas.py",
    "obstore": "app/bulk/store.py",
    "openpyxl": "app/bulk/workbook.py",
    "resvg_py": "app/render/artwork.py",
    "pydantic_settings": "app/settings.py",
    "redis": "app/web/state/redis.py",
    "standardwebhooks": "app/bulk/webhooks.py",
    "uvicorn": "app/web/server.py",
}

MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "app").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, those for type checking included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(name: str) -> int:
    """Return the place of a module, or of a name in one, in the order of layers."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        for place, modules in enumerate(LAYERS):
            if prefix in modules:
                return place
    pytest.fail(f"{name} is in no layer; give it a place in LAYERS")


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_one_way(path: Path) -> None:
    """A module imports only from its own layer and the ones below it."""
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    wrong = {name for name in imported(path) if name.split(".")[0] == "app" and layer(name) > layer(module)}
    assert not wrong


@pytest.mark.parametrize(("library", "importer"), SOLE_IMPORTERS.items())
def test_a_library_has_one_importer(library: str, importer: str) -> None:
    """A library that may have to be exchanged is known to one file."""
    importers = {
        str(path) for path in MODULES if any(name.split(".")[0] == library for name in imported(path))
    }
    assert importers <= {importer}


def test_only_the_settings_read_the_environment() -> None:
    """Nothing but app/settings.py looks at os.environ (the command line looks for the reader's language)."""
    readers = {
        str(path)
        for path in MODULES
        if any(word in (ROOT / path).read_text() for word in ("os.environ", "os.getenv", "getenv("))
    }
    assert readers <= {"app/settings.py", "app/cli/options.py"}


def test_only_who_looks_for_faces_pays_for_numpy() -> None:
    """It stays in the face detector's folder, of which nothing is loaded before a face is looked for."""
    detector = {path for path in MODULES if path.parent == Path("app/render/yunet")}
    users = {
        path
        for path in MODULES
        if any(re.match(r"numpy|app\.render\.yunet\.", name) for name in imported(path))
    }
    assert users <= detector | {Path("app/render/faces.py")}
    script = "import sys, app.web.app, app.jobs, app.render.faces; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_api_and_the_pages_never_import_each_other(path: Path) -> None:
    """What both need stands beside them, or in ``web/http`` and ``web/state``."""
    sides = {"app/web/api": "app.web.pages", "app/web/pages": "app.web.api"}
    other = next((far for near, far in sides.items() if path.is_relative_to(near)), None)
    assert other is None or not {name for name in imported(path) if f"{name}.".startswith(f"{other}.")}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_takes_anothers_private_name(path: Path) -> None:
    """What begins with an underscore is its own module's to change."""
    assert not [name for name in imported(path) if re.match(r"app\..*\._[^_]", name)]


def test_importing_does_nothing() -> None:
    """Importing every module starts nothing, writes nothing and says nothing."""
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
    names.remove("app.__main__")
    names.remove("app.bulk.migrations.env")  # a script of Alembic's, which runs it
    script = f"""
import sys
def watch(event, args):
    if event in ("socket.bind", "subprocess.Popen", "os.fork", "os.mkdir", "os.remove", "os.rename"):
        raise SystemExit(f"importing did {{event}}")
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        raise SystemExit(f"importing wrote {{args[0]}}")
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import importlib, threading
for name in {names!r}:
    importlib.import_module(name)
assert threading.active_count() == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_settings_load_no_decoder() -> None:
    """Who only reads the settings does not pay for a library of pictures."""
    script = "import sys, app.settings; print([name for name in ('PIL', 'pi_heif') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
