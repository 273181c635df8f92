"""What is measured of batches: told as it was measured, and reckoned on from what is true."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from app.bulk.outcomes import Entry, Outcome, pack
from benchmarks.bulk import results
from benchmarks.bulk.__main__ import PHOTOS, Report, percentile
from benchmarks.bulk.memory_plot import draw
from benchmarks.bulk.scale import measure
from tests.bulk.desks import opened_desk

if TYPE_CHECKING:
    from pathlib import Path

CONDITIONS = {"date": "2026-11-27", "processor": "a processor", "cores": 2, "python": "3.11.7", "load": 0.1}
RATE = {"rate": 20.0, "cpu": 0.05}
KIND = {
    **dict.fromkeys(("bare", "batch", "command"), RATE),
    "receive_cpu": 0.01,
    "photo_bytes": 3_000_000,
    "avatar_bytes": 300_000,
}


def test_the_document_tells_what_was_measured() -> None:
    """Tables and plot are what the measured figures give; nobody wrote them by hand."""
    measured = results.read()
    assert set(measured) == {"bulk", "scale", "hosts"}
    assert measured["bulk"]["throughput"].keys() == measured["bulk"]["supporters"].keys() == PHOTOS.keys()
    for path, content in results.documents(measured).items():
        assert path.read_text(encoding="utf-8") == content, path.name


def test_a_million_photos_are_reckoned_rightly() -> None:
    """Cores, bytes and requests, from what one photo takes."""
    _, tell = results.SECTIONS["million"]
    told = tell({"bulk": {"throughput": {"12 MP": KIND}}}).splitlines()
    rows = {cells[1]: cells[2] for cells in (re.split(r" *\| *", line) for line in told)}
    assert rows["photos a second, on average"].strip() == "11.6"
    assert rows["cores at work, on average"] == "0.69"  # 60 ms of 86.4
    assert rows["received and kept: photo and avatar, for a day"] == "3.30 TB"
    assert rows["written to the store, on average"] == "38.2 MB/s"
    assert rows["requests to the store a second"].strip() == "46"


@pytest.mark.parametrize(("load", "is_told"), [(0.9, False), (1.1, True)])
def test_a_busy_machine_is_told(load: float, *, is_told: bool) -> None:
    """Figures that are worth little say so themselves."""
    _, tell = results.SECTIONS["hosts"]
    run = {
        "conditions": {**CONDITIONS, "load": load},
        "rates": {"one worker": 2.0, "two workers": 3.9},
        "cores": {"one worker": 1.0, "two workers": 1.96},
    }
    told = tell({"hosts": run})
    assert ("worth little" in told) == is_told
    assert "these allow 2.00 times" in told
    assert "| two workers | 3.90 | 1.95 | 1.96 |" in told


def test_the_plot_is_an_svg_that_takes_nothing_from_elsewhere() -> None:
    """It is well-formed and has a line for the server and one for its workers."""
    samples = [(float(second), 90_000_000 + second * 1000, 200_000_000) for second in range(60)]
    drawing = draw(samples, [("send", 0.0), ("start", 30.0), ("draw", 30.1)])
    ET.fromstring(drawing)  # noqa: S314 - our own
    assert not re.search(r"href|url\(|@import", drawing)
    assert (drawing.count('class="line server"'), drawing.count('class="line workers"')) == (2, 2)
    # What is too short for its name has none.
    assert ">send<" in drawing
    assert ">start<" not in drawing


def test_budgets_are_kept_or_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """One that is missed is named, and is not forgotten for those that are kept."""
    report = Report()
    kept = []
    for text, value in (("fast", 0.2), ("slow", 1.2), ("quick", 0.3)):
        report.budget(text, value, 1.0, " s")
        report.least("much", 0.95, 0.9)
        kept.append(report.is_kept)
    assert kept == [True, False, False]
    assert re.findall(r"^ +(\w+).*MISSED$", capsys.readouterr().out, re.MULTILINE) == ["slow"]


def test_a_percentile_is_one_of_the_values() -> None:
    """Of a few values the 99th percentile is the last one."""
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert percentile([1.0, 2.0, 3.0], 0.99) == 3.0
    assert percentile([float(value) for value in range(1, 201)], 0.99) == 198.0


def test_a_row_has_the_bytes_that_are_reckoned_with(tmp_path: Path) -> None:
    """A photo's row in SQLite, when it is drawn."""
    count = 400
    with opened_desk(tmp_path) as desk:
        partner = desk.partner()
        batch = desk.batches.create(partner, _request()).id
        ledger = desk.holdings.ledger
        ledger._checkpoint()
        before = (desk.settings.data_folder / "ledger.sqlite").stat().st_size
        names = [f"staff/{number % 100:02}/photo {number:06}.jpg" for number in range(count)]
        for name in names:
            desk.batches.receive_photo(partner, batch, name, b"a photo")
        rows = "".join(f"{name},member{17}@example.org,Department of Works and Roads\n" for name in names)
        desk.batches.set_table(partner, batch, f"photo,email,department\n{rows}".encode(), {})
        desk.batches.start(partner, batch)
        opened = desk.batches._open(partner, batch)
        for number, name in enumerate(names, 1):
            outcome = Outcome(seconds=0.061, entry=Entry(name, 300_000, 1))
            sealed = opened.seal_of("outcome", number, pack(outcome))
            assert ledger.record(batch, number, 1, "done", sealed)
        ledger._checkpoint()
        grown = (desk.settings.data_folder / "ledger.sqlite").stat().st_size - before
    assert grown / count == pytest.approx(results.ROW_BYTES, rel=0.2)


def _request() -> Any:
    from app.bulk.opened import BatchRequest  # noqa: PLC0415

    return BatchRequest()


@pytest.mark.timeout(300)
def test_a_small_batch_goes_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What 50,000 photos are measured by, with 60."""
    monkeypatch.setenv("RIBBONS_BATCHES", "true")
    monkeypatch.setenv("RIBBONS_WORKERS", "1")
    monkeypatch.setattr("benchmarks.bulk.scale._SAMPLE_SECONDS", 0.2)
    scale = measure(60, tmp_path, Report())
    phases = ["send", "start", "draw", "avatars.zip, all of it", "report.csv", "contact-sheet.webp", "erase"]
    assert [name for name, _ in scale.phases] == phases
    assert scale.samples
    assert scale.seconds["state, median"] <= scale.seconds["state, 99 %"]
    assert "60 photos of" in capsys.readouterr().out
