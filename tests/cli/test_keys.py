"""``ribbons keys``, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from app.bulk.ledger import Ledger
from app.cli import main
from app.keys import is_well_formed, key_digest
from app.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Keys = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("put_back")

NAME = "نقابة الصحفيين"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings of a service that has no partners yet."""
    made = {"RIBBONS_DATA_FOLDER": str(tmp_path / "data")}
    if request.param == "postgresql":
        made["RIBBONS_JOBS_URL"] = request.getfixturevalue("database")
    return made


@pytest.fixture
def keys(place: dict[str, str]) -> Keys:
    """Run ``ribbons keys`` with those settings, for a reader of English unless told otherwise."""

    def run(*words: str, **environment: str) -> Result:
        env = {"LC_ALL": "C", **place, **environment}
        return CliRunner().invoke(main, ["keys", *words], env=env)

    return run


@pytest.fixture
def ledger(place: dict[str, str]) -> Iterator[Ledger]:
    """The tables behind it."""
    given = {name.removeprefix("RIBBONS_").lower(): value for name, value in place.items()}
    made = Ledger.build(load_settings(**given))
    yield made
    made.close()


def listed(keys: Keys) -> list[dict[str, str]]:
    """What ``ribbons keys list`` says, by columns."""
    result = keys("list")
    assert result.exit_code == 0
    head, *rows = (line.split("\t") for line in result.stdout.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_a_key_is_printed_once_and_alone(keys: Keys, ledger: Ledger) -> None:
    """A program takes it from standard output; a person reads beside it what it is. Nobody gets it again."""
    result = keys("add", NAME)
    assert result.exit_code == 0
    key = result.stdout.removesuffix("\n")
    assert is_well_formed(key)
    (row,) = listed(keys)
    assert f"This is the key of \N{FIRST STRONG ISOLATE}{NAME}" in result.stderr
    assert "shown this once" in result.stderr
    assert f"ribbons keys webhook-secret {row['id']}" in result.stderr
    assert key not in result.stderr + keys("list").output
    found = ledger.partner_by_digest(key_digest(key))
    assert found is not None
    assert found.id == row["id"]
    assert NAME.encode() not in found.name


def test_keys_are_listed_in_the_order_in_which_they_came(keys: Keys) -> None:
    """With when they were made, what they allow, and how many batches they have now."""
    for name, more in (("First", []), ("Second", ["--photos-a-day", "7"]), ("Third", [])):
        assert keys("add", name, *more).exit_code == 0
    rows = listed(keys)
    assert [row["name"] for row in rows] == ["First", "Second", "Third"]
    assert [row["photos_a_day"] for row in rows] == ["100000", "7", "100000"]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert all((row["created"], row["revoked"], row["batches"]) == (today, "-", "0") for row in rows)
    assert len({row["id"] for row in rows}) == 3
    assert all(re.fullmatch("p_[0-9a-f]{12}", row["id"]) for row in rows)


def test_no_key_is_listed_where_there_is_none(keys: Keys) -> None:
    """The list of a new service is empty, and no error."""
    assert listed(keys) == []


def test_a_partner_s_batches_are_counted(keys: Keys, ledger: Ledger) -> None:
    """Those that are erased are not."""
    keys("add", NAME)
    (row,) = listed(keys)
    for state in ("open", "running", "done", "erased"):
        values = {"id": state, "partner": row["id"], "state": state, "wrapped_key": b"", "request": b""}
        ledger.add_batch({**values, "expires": 0.0}, 9, None)
    assert [row["batches"] for row in listed(keys)] == ["3"]


def test_a_revoked_key_opens_nothing(keys: Keys, ledger: Ledger) -> None:
    """At once and for good; that it was there stays to be seen, and others are not touched."""
    key = keys("add", "Gone").stdout.strip()
    other = keys("add", "Stays").stdout.strip()
    gone = listed(keys)[0]["id"]
    result = keys("revoke", gone)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"The key of Gone ({gone}) opens nothing any more" in result.stderr
    again = keys("revoke", gone)
    assert again.exit_code == 0
    assert "was revoked already" in again.stderr
    assert ledger.partner_by_digest(key_digest(key)) is None
    assert ledger.partner_by_digest(key_digest(other)) is not None
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert [row["revoked"] for row in listed(keys)] == [today, "-"]


def test_a_webhook_secret_can_be_shown_again(keys: Keys) -> None:
    """It is derived, the same each time, and what the standard's libraries take."""
    keys("add", "One")
    keys("add", "Two")
    one, two = (row["id"] for row in listed(keys))
    result = keys("webhook-secret", one)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == keys("webhook-secret", one).stdout != keys("webhook-secret", two).stdout
    assert Webhook(result.stdout.strip()).sign("msg_1", datetime.now(UTC), "{}").startswith("v1,")


@pytest.mark.parametrize("command", ["revoke", "webhook-secret"])
def test_an_id_that_is_none_is_told(keys: Keys, command: str) -> None:
    """A typo takes back nobody's key."""
    keys("add", NAME)
    for wrong in ("p_000000000000", NAME, "", "%"):
        result = keys(command, wrong)
        assert result.exit_code == 2
        assert "No key has this id. `ribbons keys list` has those there are." in result.stderr
    assert [row["revoked"] for row in listed(keys)] == ["-"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" padded ", "padded"),
        ("Union — №1 🎗️", "Union — №1 🎗️"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("cafe\u0301", "café"),
        ("ن" * 100, "ن" * 100),
        ("{name} %s \\n", "{name} %s \\n"),
    ],
)
def test_a_name_may_be_in_any_script(tmp_path: Path, given: str, kept: str) -> None:
    """And comes back as it was, but for the way its accents are written."""
    env = {"RIBBONS_DATA_FOLDER": str(tmp_path), "LC_ALL": "C"}
    result = CliRunner().invoke(main, ["keys", "add", given], env=env)
    assert result.exit_code == 0
    assert kept in result.stderr
    assert CliRunner().invoke(main, ["keys", "list"], env=env).stdout.endswith(f"\t{kept}\n")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "x" * 101,
        "a\tb",
        "a\nb",
        "a\x1b[31mb",
        "a\x00b",
        "a\u202eb",
        "a\u2066b",
        "a\u2028b",
        "a\x85b",
        "a\udcffb",
    ],
)
def test_a_name_that_would_break_a_list_is_refused(tmp_path: Path, name: str) -> None:
    """Empty, too long, or with what a terminal obeys; nothing is made then."""
    result = CliRunner().invoke(
        main, ["keys", "add", name], env={"RIBBONS_DATA_FOLDER": str(tmp_path / "data")}
    )
    assert result.exit_code == 2
    assert "It must be 1 to 100 characters, without control characters." in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("number", ["0", "-1", "many", "100000001", "1.5"])
def test_photos_a_day_are_a_whole_number(tmp_path: Path, number: str) -> None:
    """Within what the setting of that name allows."""
    words = ["keys", "add", "Name", "--photos-a-day", number]
    result = CliRunner().invoke(main, words, env={"RIBBONS_DATA_FOLDER": str(tmp_path / "data")})
    assert result.exit_code == 2
    assert "Invalid value for '--photos-a-day'" in result.stderr
    assert not (tmp_path / "data").exists()


def test_it_speaks_the_reader_s_language(keys: Keys) -> None:
    """In what is said beside the key, where the catalogue has the sentence; never on standard output."""
    result = keys("add", NAME, LC_ALL="ar_PS.UTF-8")
    assert is_well_formed(result.stdout.strip())
    assert NAME in result.stderr


def test_another_secret_is_told(keys: Keys) -> None:
    """A second machine with a secret of its own makes no key that opens nothing, and shows no rubbish."""
    keys("add", NAME)
    for words in (["add", "Other"], ["list"], ["revoke", "p_1"], ["webhook-secret", "p_1"]):
        result = keys(*words, RIBBONS_SECRET="x" * 40)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "RIBBONS_SECRET: what is kept here is sealed with another secret" in result.stderr
    assert [row["name"] for row in listed(keys)] == [NAME]


def test_a_secret_is_made_with_the_first_key(tmp_path: Path) -> None:
    """And whoever makes that key is told what the file means, in a sentence where a person reads it."""
    env = {"RIBBONS_DATA_FOLDER": str(tmp_path), "RIBBONS_LOG_FORMAT": "console"}
    first = CliRunner().invoke(main, ["keys", "add", "One"], env=env)
    second = CliRunner().invoke(main, ["keys", "add", "Two"], env=env)
    said = "Whoever has this file can read the batches; without it none can be read."
    assert f"A secret was made in {tmp_path / 'secret'}. {said}" in first.stderr
    assert said not in second.stderr
    assert (tmp_path / "secret").read_text().strip() not in first.output


def test_a_database_out_of_reach_is_told(tmp_path: Path) -> None:
    """Soon, in words, with the exit code of what is no fault of the command's."""
    env = {
        "RIBBONS_DATA_FOLDER": str(tmp_path),
        "RIBBONS_JOBS_URL": "postgresql://somebody:guess-me@127.0.0.1:9/none",
        "LC_ALL": "C",
    }
    result = CliRunner().invoke(main, ["keys", "add", "Name"], env=env)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "What keeps the batches cannot be reached right now." in result.stderr
    assert "guess-me" not in result.output


def test_it_works_as_people_call_it(tmp_path: Path, root: Path) -> None:
    """In a process of its own: the key may be caught by a shell."""
    environment = {**os.environ, "RIBBONS_DATA_FOLDER": str(tmp_path), "LC_ALL": "C.UTF-8"}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "app", "keys", *words]
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert is_well_formed(run("add", NAME).strip())
    row = run("list").splitlines()[1].split("\t")
    assert row[-1] == NAME
    assert run("webhook-secret", row[0]).startswith("whsec_")
    assert run("revoke", row[0]) == ""
