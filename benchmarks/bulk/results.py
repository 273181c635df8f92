"""What was measured, kept beside this file, and docs/scale.md, which tells it and reckons on from it."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.avatar import ROOT
from benchmarks.bulk.memory_plot import draw
from benchmarks.peers.report import write_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Measured = Mapping[str, Any]

MEASURED = Path(__file__).parent / "measured.json"
DOCUMENT, PLOT = ROOT / "docs" / "scale.md", ROOT / "docs" / "scale.svg"

DAY = 86_400
MILLION = 1_000_000
PEAK = 5
"""How much more comes in the busiest hour than on average."""
BUSY = 1.0
"""Load average, before a run, above which figures are worth little."""

ROW_BYTES = 750
"""Of a photo in SQLite, with 60 letters of a table; tests/test_benchmark_bulk.py looks whether that is so."""
WRITES, READS = 2, 0.1
"""Transactions for a photo: as it comes, and with its outcome; the rows of ten are read at once."""
PUTS, GETS = 2, 2
"""Requests to the store: the photo, and its avatar with a small picture; the photo to be drawn, the avatar to
be taken home. What is erased goes by the thousand."""


def conditions() -> dict[str, Any]:
    """Return where and when something is measured, and how busy the machine is."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": next(names, platform.machine()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def read() -> dict[str, Any]:
    """Return what was measured last, of each kind."""
    if not MEASURED.exists():
        return {}
    measured: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return measured


def keep(name: str, values: Measured) -> None:
    """Keep a run's figures, and write the documents anew."""
    measured = {**read(), name: dict(values)}
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    for path, content in documents(measured).items():
        path.write_text(content, encoding="utf-8")


def documents(measured: Measured) -> dict[Path, str]:
    """Return what the files that hold figures should be, by path."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, (needed, tell) in SECTIONS.items():
        if needed <= measured.keys():
            text = write_between(text, name, tell(measured))
    found = {DOCUMENT: text}
    if "scale" in measured:
        found[PLOT] = draw(measured["scale"]["samples"], measured["scale"]["phases"])
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _where(run: Measured, command: str) -> str:
    told = run["conditions"]
    warning = " **The machine was busy with other things: these figures are worth little.**"
    machine = f"{told['cores']} cores of {told['processor']}, Python {told['python']}"
    told_so = f"`{command}`, {told['date']}, on {machine}; load average before {told['load']}."
    return told_so + (warning if told["load"] > BUSY else "")


def _throughput(measured: Measured) -> str:
    run = measured["bulk"]
    rows = []
    for name, kind in run["throughput"].items():
        bare = kind["bare"]["rate"]
        for text, key in (
            ("the pool of workers alone", "bare"),
            ("a batch over HTTP", "batch"),
            ("`ribbons bulk`, from its start to its end", "command"),
        ):
            rate, cpu = kind[key]["rate"], kind[key]["cpu"]
            rows.append((f"{name}: {text}", f"{rate:.1f}", f"{cpu * 1e3:.0f}", f"{rate / bare:.2f}"))
    head = ("photos", "a second", "CPU ms each", "to the pool")
    return f"{_where(run, 'make bench-bulk')}\n\n{_table(head, rows)}"


def _supporters(measured: Measured) -> str:
    run = measured["bulk"]
    rows = [
        (
            f"beside a batch of {name}",
            *(f"{kind[when][part] * 1e3:.0f}" for part in ("median", "last") for when in ("alone", "beside")),
            f"{kind['state'] * 1e3:.0f}",
        )
        for name, kind in run["supporters"].items()
    ]
    head = ("ms", "median alone", "median", "99 % alone", "99 %", "state of the batch, 99 %")
    return _table(head, rows)


def _scale(measured: Measured) -> str:
    run = measured["scale"]
    seconds, count = run["seconds"], run["photos"]
    rows = [
        (
            "sent one by one, eight at once",
            f"{seconds['send']:.0f} s",
            f"{count / seconds['send']:.0f} a second",
        ),
        ("`start`", f"{seconds['start']:.1f} s", ""),
        ("drawn", f"{seconds['draw']:.0f} s", f"{count / seconds['draw']:.0f} a second"),
        ("state of the batch meanwhile, median", f"{seconds['state, median'] * 1e3:.0f} ms", ""),
        ("state of the batch meanwhile, 99 %", f"{seconds['state, 99 %'] * 1e3:.0f} ms", ""),
        ("`avatars.zip`, first byte", f"{seconds['avatars.zip, first byte'] * 1e3:.0f} ms", ""),
        ("`avatars.zip`, all of it", f"{seconds['avatars.zip, all of it']:.0f} s", ""),
        ("`report.csv`", f"{seconds['report.csv']:.0f} s", ""),
        ("`contact-sheet.webp`", f"{seconds['contact-sheet.webp']:.0f} s", ""),
        ("erased", f"{seconds['erase']:.0f} s", ""),
    ]
    told = f"{count:,} photos of {run['photo_bytes'] / 1000:.0f} KB in one batch, avatars of 96 pixels."
    plot = (
        "![Memory of the server and of its workers while it is sent, drawn, taken home and erased](scale.svg)"
    )
    return f"{_where(run, 'make scale')} {told}\n\n{_table(('', 'takes', ''), rows)}\n\n{plot}"


def _hosts(measured: Measured) -> str:
    run = measured["hosts"]
    alone, cores = run["rates"]["one worker"], run["cores"]
    rows = [
        (name, f"{rate:.2f}", f"{rate / alone:.2f}", f"{cores[name]:.2f}")
        for name, rate in run["rates"].items()
    ]
    head = ("12 MP as WebP of 2048 px", "photos a second", "to one", "cores at work")
    allowed = run["conditions"]["cores"] / cores["one worker"]
    return (
        f"{_where(run, 'make hosts')} The database and the store had no cores of their own; with what they "
        f"and a worker's own process take, these allow {allowed:.2f} times the rate of one worker.\n\n"
        f"{_table(head, rows)}"
    )


def _million(measured: Measured) -> str:
    kinds = measured["bulk"]["throughput"]

    def row(text: str, value: Callable[[Measured], float], unit: str, digits: int = 1) -> tuple[str, ...]:
        return (text, *(f"{value(kind):,.{digits}f} {unit}" for kind in kinds.values()))

    def cores(kind: Measured) -> float:
        return float(kind["batch"]["cpu"] + kind["receive_cpu"]) * MILLION / DAY

    def kept(kind: Measured) -> float:
        return float(kind["photo_bytes"] + kind["avatar_bytes"]) * MILLION

    a_second = MILLION / DAY
    rows = [
        row("photos a second, on average", lambda _: a_second, ""),
        row("CPU to draw one, with all that belongs to it", lambda kind: kind["batch"]["cpu"] * 1e3, "ms", 0),
        row("CPU to receive one", lambda kind: kind["receive_cpu"] * 1e3, "ms", 0),
        row("cores at work, on average", cores, "", 2),
        row(f"cores at work in the busiest hour ({PEAK} ×)", lambda kind: PEAK * cores(kind), ""),
        row("received and kept: photo and avatar, for a day", lambda kind: kept(kind) / 1e12, "TB", 2),
        row("written to the store, on average", lambda kind: kept(kind) / DAY / 1e6, "MB/s"),
        row("read from it, on average", lambda kind: kept(kind) / DAY / 1e6, "MB/s"),
        row("requests to the store a second", lambda _: (PUTS + GETS) * a_second, "", 0),
        row("transactions that write a second", lambda _: WRITES * a_second, "", 0),
        row("rows in the database, for a day", lambda _: ROW_BYTES * MILLION / 1e9, "GB", 2),
    ]
    return _table(("a million photos a day", *kinds), rows)


SECTIONS: Mapping[str, tuple[set[str], Callable[[Measured], str]]] = {
    "throughput": ({"bulk"}, _throughput),
    "supporters": ({"bulk"}, _supporters),
    "scale": ({"scale"}, _scale),
    "hosts": ({"hosts"}, _hosts),
    "million": ({"bulk"}, _million),
}
"""Of the document, by their names: what each needs to be measured, and how it is told."""
