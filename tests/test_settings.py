from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from app.settings import InvalidSettings, Settings, allowed, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_it_starts_without_any_variable() -> None:
    """Every setting has a default that is within its own bounds."""
    settings = load_settings()
    assert settings.port == 8000
    assert settings.workers >= 1
    assert (settings.frames_folder / "portrait.png").is_file()


def test_it_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable sets its field, whatever the case it is written in."""
    monkeypatch.setenv("RIBBONS_PORT", "8123")
    monkeypatch.setenv("RIBBONS_DOCS", "false")
    monkeypatch.setenv("ribbons_deadline", "2.5")
    settings = load_settings()
    assert (settings.port, settings.docs, settings.deadline) == (8123, False, 2.5)


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given to the function is used before what the environment says."""
    monkeypatch.setenv("RIBBONS_PORT", "8123")
    assert load_settings(port=9000).port == 9000


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files write ``RIBBONS_PORT=`` for a variable that is not set."""
    monkeypatch.setenv("RIBBONS_PORT", "")
    assert load_settings().port == 8000


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("RIBBONS_PORT", "abc", "a whole number from 0 to 65535"),
        ("RIBBONS_PORT", "70000", "a whole number from 0 to 65535"),
        ("RIBBONS_WORKERS", "0", "a whole number from 1 to 256"),
        ("RIBBONS_DEADLINE", "nan", "a number above 0, at most 300"),
        ("RIBBONS_DEADLINE", "0", "a number above 0, at most 300"),
        ("RIBBONS_DOCS", "perhaps", "true or false"),
        ("RIBBONS_LOG_FORMAT", "xml", "one of json, console"),
        ("RIBBONS_FRAMES_FOLDER", "/no/such/folder", "not a folder"),
        ("RIBBONS_UPLOAD_MEMORY_BYTES", "2000", "smaller than one photo"),
        ("RIBBONS_WORKER_MEMORY_BYTES", "1000000000", "too little for the largest photo. Give 1318000000"),
        ("RIBBONS_FARMES_FOLDER", "/", "RIBBONS_FRAMES_FOLDER"),
    ],
)
def test_it_refuses_what_is_malformed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    """The message names the variable and says what it may be, in one line without a library's words."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{variable}: ")
    assert words in line
    assert "pydantic" not in line


def test_a_small_machine_takes_smaller_photos() -> None:
    """The least memory a worker may be given is enough for a service that takes 4 million pixels."""
    settings = load_settings(
        worker_memory_bytes=256_000_000,
        max_decoded_pixels=4_000_000,
        max_photo_bytes=8_000_000,
        overlay_cache_bytes=16_000_000,
    )
    assert settings.worker_memory_bytes == 256_000_000


def test_it_names_every_fault_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who mends one variable does not find the next one only then."""
    monkeypatch.setenv("RIBBONS_PORT", "x")
    monkeypatch.setenv("RIBBONS_QUEUE", "-1")
    monkeypatch.setenv("RIBBONS_NONSENSE", "1")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["RIBBONS_NONSENSE", "RIBBONS_PORT", "RIBBONS_QUEUE"]


def test_it_is_frozen() -> None:
    """Nothing changes a setting after the start."""
    settings: Any = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_every_setting_is_described() -> None:
    """README's table is made of these words."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert allowed(name)


def test_limits_follow_the_settings(tmp_path: Path) -> None:
    """What a photo may be comes from the settings."""
    settings = load_settings(max_photo_bytes=5000, max_pixels=7, max_decoded_pixels=6, frames_folder=tmp_path)
    limits = settings.limits
    assert (limits.max_bytes, limits.max_pixels, limits.max_decoded_pixels) == (5000, 7, 6)
