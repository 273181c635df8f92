from __future__ import annotations

import os
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import SecretStr, ValidationError

from app.render.derived.story import draw_story
from app.settings import (
    InvalidSettings,
    Settings,
    _choice,
    _declare,
    _number,
    allowed,
    load_settings,
    read_as,
)
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from pathlib import Path

    from app.frames import FrameLibrary


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
        ("RIBBONS_LOG_FORMAT", "xml", "one of auto, json, console"),
        ("RIBBONS_FRAMES_FOLDER", "/no/such/folder", "not a folder"),
        ("RIBBONS_UPLOAD_MEMORY_BYTES", "2000", "smaller than one photo"),
        ("RIBBONS_WORKER_MEMORY_BYTES", "1000000000", "too little for the largest photo. Give 1388000000"),
        ("RIBBONS_RESULT_LIFETIME", "0", "a number above 0, at most 86400"),
        ("RIBBONS_RESULT_LIFETIME", "86401", "a number above 0, at most 86400"),
        ("RIBBONS_RESULT_MEMORY_BYTES", "1000", "a whole number from 4000000 to 64000000000"),
        ("RIBBONS_SHOW_COUNTER", "perhaps", "true or false"),
        ("RIBBONS_SHOW_COUNTER", "true", "needs RIBBONS_COUNTER_FILE or RIBBONS_REDIS_URL to remember"),
        ("RIBBONS_PUBLIC_URL", "ribbons.example", "https://host or http://host"),
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


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:canary@localhost:6379/0",
        "rediss://user:can%2Fary@redis.example:6380/15?ssl_ca_certs=/etc/ca.pem",
        "redis://[::1]:6379/3",
        "unix:///run/redis.sock",
        "unix://:canary@/run/redis.sock?db=3",
    ],
)
def test_an_address_of_redis_is_kept_secret(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It is there for who asks for it, and in no other words of the settings."""
    monkeypatch.setenv("RIBBONS_REDIS_URL", url)
    settings = load_settings()
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url
    for shown in (str(settings), repr(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert url not in shown
        assert "canary" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "http://canary@localhost",
        "redis://",
        "redis:///0",
        "redis://:canary@",
        "redis://:canary@localhost:0",
        "redis://:canary@localhost:99999",
        "redis://:canary@localhost:port",
        "redis://:can#ary@localhost",
        "redis://user#canary@localhost",
        "redis://:can/ary@localhost",
        "redis://localhost/canary",
        "redis://localhost/²",
        "redis://localhost?decode_responses=true&canary",
        "redis://localhost?socket_timeout=600&canary=",
        "redis://[canary",
        "unix://canary",
    ],
)
def test_a_malformed_address_of_redis_is_not_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The password may be anywhere in what is malformed: the message repeats none of it."""
    monkeypatch.setenv("RIBBONS_REDIS_URL", url)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert str(caught.value) == (
        "RIBBONS_REDIS_URL: what is given is not valid. It must be redis://, rediss:// or unix://, "
        "with no options but db and those of TLS (ssl_…)"
    )
    assert caught.value.__cause__ is None


def test_another_settings_fault_does_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong port is told without the address of Redis beside it."""
    monkeypatch.setenv("RIBBONS_REDIS_URL", "redis://:canary@localhost")
    monkeypatch.setenv("RIBBONS_PORT", "0x")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://ribbons.example", "https://ribbons.example"),
        ("https://ribbons.example/", "https://ribbons.example"),
        ("HTTPS://Ribbons.Example:8443", "https://ribbons.example:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://xn--mgbaa4f4bya5c.example", "https://xn--mgbaa4f4bya5c.example"),
    ],
)
def test_a_public_address_is_a_whole_site(monkeypatch: pytest.MonkeyPatch, given: str, kept: str) -> None:
    """It is kept in one form, without an end that a path would double."""
    monkeypatch.setenv("RIBBONS_PUBLIC_URL", given)
    assert load_settings().public_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "ribbons.example",
        "//ribbons.example",
        "ftp://ribbons.example",
        "https://",
        "https://:443",
        "https://ribbons.example/ar",
        "https://ribbons.example//",
        "https://ribbons.example?",
        "https://ribbons.example#a",
        "https://user@ribbons.example",
        "https://ribbons.example:0",
        "https://ribbons.example:99999",
        "https://ribbons .example",
        "https://ribbons.example\n",
        "https://[::1",
        'https://ribbons.example"><script>',
        "https://الأشرطة.example",
        "https://ri\u1e03bons.example",
        "https://ribbons.example:٤٤٣",
        "httpſ://ribbons.example",
    ],
)
def test_a_public_address_that_is_more_or_less_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A path, a user or a query would go into every link."""
    monkeypatch.setenv("RIBBONS_PUBLIC_URL", url)
    with pytest.raises(InvalidSettings, match="https://host or http://host in ASCII"):
        load_settings()


@pytest.mark.parametrize(
    "url",
    [
        "https://abcdefghijklmnopqrstuvwxyz.0123456789_-.example:65535",
        f"http://{'a-long-label.' * 19}example",
        "http://[::1]:8000",
    ],
)
def test_every_frames_story_card_can_show_a_public_address(
    monkeypatch: pytest.MonkeyPatch, frames: FrameLibrary, url: str
) -> None:
    """An address that is taken at the start is no supporter's error later."""
    monkeypatch.setenv("RIBBONS_PUBLIC_URL", url)
    address = load_settings().public_url
    assert address == url
    for frame in frames:
        spec = AvatarSpec(frame=frame.id, lang=frame.languages[0])
        assert draw_story(photos.save(photos.quadrants((1080, 1080)), "JPEG"), spec, address, frame)


def test_a_counter_is_shown_where_it_is_kept() -> None:
    """In a file or in Redis; one that is not shown may be forgotten."""
    assert load_settings(show_counter=True, counter_file="counter.json").show_counter
    assert load_settings(show_counter=True, redis_url="redis://localhost").show_counter
    assert not load_settings().show_counter


def test_a_small_machine_takes_smaller_photos() -> None:
    """The least memory a worker may be given is enough for a service that takes 4 million pixels."""
    settings = load_settings(
        worker_memory_bytes=320_000_000,
        max_decoded_pixels=4_000_000,
        max_photo_bytes=8_000_000,
        overlay_cache_bytes=16_000_000,
    )
    assert settings.worker_memory_bytes == 320_000_000


def test_it_names_every_fault_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who mends one variable does not find the next one only then."""
    monkeypatch.setenv("RIBBONS_PORT", "x")
    monkeypatch.setenv("RIBBONS_QUEUE", "-1")
    monkeypatch.setenv("RIBBONS_NONSENSE", "1")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["RIBBONS_NONSENSE", "RIBBONS_PORT", "RIBBONS_QUEUE"]


class WithOptional(Settings):
    """Settings of a kind to come: some that may be absent."""

    motto: Literal["one", "two"] | None = _choice("A text.", Literal["one", "two"], default=None)
    share: float | None = _number("A number.", most=1, default=None)
    word: SecretStr | None = _declare(
        "a word of four letters", "Nobody may read it.", is_secret=True, min_length=4, default=None
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("motto", "canary", "“canary” is not valid. It must be one of one, two"),
        ("share", "canary", "“canary” is not valid. It must be a number above 0, at most 1"),
        ("word", "can", "what is given is not valid. It must be a word of four letters"),
    ],
)
def test_a_setting_that_may_be_absent_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """Its message comes from its declaration, whatever its annotation is."""
    assert getattr(read_as(WithOptional, {}), name) is None
    monkeypatch.setenv(f"RIBBONS_{name.upper()}", value)
    with pytest.raises(InvalidSettings) as caught:
        read_as(WithOptional, {})
    assert str(caught.value) == f"RIBBONS_{name.upper()}: {words}"


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
        assert allowed(field)


def test_limits_follow_the_settings(tmp_path: Path) -> None:
    """What a photo may be comes from the settings."""
    settings = load_settings(max_photo_bytes=5000, max_pixels=7, max_decoded_pixels=6, frames_folder=tmp_path)
    limits = settings.limits
    assert (limits.max_bytes, limits.max_pixels, limits.max_decoded_pixels) == (5000, 7, 6)


@pytest.mark.parametrize(("value", "is_on"), [("", True), ("true", True), ("false", False), ("0", False)])
def test_faces_are_looked_for_unless_the_operator_forbids_it(
    value: str, is_on: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One variable for the service and the command line."""
    monkeypatch.setenv("RIBBONS_FACES", value)
    assert load_settings().faces is is_on


def test_folders_are_added_as_the_system_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in PATH; an empty part is none. They come after the first folder."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    monkeypatch.setenv("RIBBONS_MORE_FRAMES_FOLDERS", f"{one}{os.pathsep}{os.pathsep}{two}{os.pathsep}")
    monkeypatch.setenv("RIBBONS_MORE_FONTS_FOLDERS", str(two))
    settings = load_settings()
    assert settings.frames_folders == (settings.frames_folder, one, two)
    assert settings.fonts.folders == (settings.fonts_folder, two)
    assert load_settings(more_frames_folders=(two,)).frames_folders == (settings.frames_folder, two)


@pytest.mark.parametrize("variable", ["RIBBONS_MORE_FRAMES_FOLDERS", "RIBBONS_MORE_FONTS_FOLDERS"])
def test_each_added_folder_has_to_be_there(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is not is named."""
    monkeypatch.setenv(variable, f"{tmp_path}{os.pathsep}/no/such/folder")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert str(caught.value) == f"{variable}: “/no/such/folder” is not a folder"


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both kinds, with spaces or without; nobody is one by default."""
    assert load_settings().trusted_proxies == ()
    monkeypatch.setenv("RIBBONS_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,::1 ,2001:db8::/32")
    expected = tuple(map(ip_network, ("127.0.0.1/32", "10.0.0.0/8", "::1/128", "2001:db8::/32")))
    assert load_settings().trusted_proxies == expected
    assert load_settings(trusted_proxies=expected[:1]).trusted_proxies == expected[:1]


@pytest.mark.parametrize(
    "value",
    [
        *("*", "localhost", "proxy.internal", "unix:", "1", "300.1.1.1", "127.0.0.1:80", "[::1]"),
        *("127.0.0.1,", ",", "127.0.0.1 ::1", "127.0.0.1;::1"),
        *("10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "0.0.0.0/0", "::/0"),
    ],
)
def test_what_is_no_proxy_refuses_to_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever believed everybody would let everybody choose whom they are taken for."""
    monkeypatch.setenv("RIBBONS_TRUSTED_PROXIES", value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert str(caught.value) == (
        f"RIBBONS_TRUSTED_PROXIES: “{value}” is not valid. It must be addresses and networks such as "
        "10.0.0.0/8, with commas between them"
    )
