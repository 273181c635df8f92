"""One frozen Settings, read once from the environment. Nothing else in this code reads the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.render.limits import OVERLAY_CACHE_BYTES, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

PREFIX = "RIBBONS_"
MB = 1_000_000

_LIMITS = Limits()

# What a worker needs beside the photo: itself and its libraries (80 MB), and to resize, compose and encode.
_WORKER_BYTES = 150 * MB

# What WebP, the hungriest kind, takes while it is unpacked (tests/render/test_memory.py).
_BYTES_PER_DECODED_PIXEL = 16

_ROOT = Path(__file__).parent.parent

# A host, or an address, and perhaps a port. A host in another script is given as browsers ask for it (xn--…):
# the story card is drawn with a frame's own fonts, and no supporter shall be told what they lack.
_SITE = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?/?", re.IGNORECASE | re.ASCII)


class InvalidSettings(Exception):
    """One or more settings are unknown, malformed or out of range. For whoever runs the service."""


def _available_cpus() -> int:
    """Return the CPUs that this process may use, in a container often fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parse_redis_url(value: SecretStr) -> SecretStr:
    """Take what redis-py takes, less the options that would change what we rely on."""
    parts = urlsplit(value.get_secret_value())
    options = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    database = parts.path.removeprefix("/")
    match parts.scheme:
        case "redis" | "rediss":
            # Reading the port proves it; redis-py would take no port for the usual one, and a word for none.
            is_right = bool(parts.hostname) and parts.port != 0 and (not database or database.isdecimal())
        case "unix":
            is_right = bool(database)
        case _:
            is_right = False
    # What follows a #, redis-py ignores: it is the half of a password that was not percent-encoded.
    if not is_right or parts.fragment or not all(name == "db" or name.startswith("ssl_") for name in options):
        raise ValueError
    return value


def _parse_public_url(value: str) -> str:
    """Take the address of a whole site: it is put before a path, and shown to people."""
    if not _SITE.fullmatch(value) or urlsplit(value).port == 0:  # which raises ValueError for more than 65535
        raise ValueError
    return value.lower().removesuffix("/")


class Settings(BaseSettings):
    """How the service runs. Each field is the variable ``RIBBONS_<FIELD>``; empty means default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=True
    )

    host: Annotated[str, Field(description="Address to listen on.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(description="Port to listen on; 0 takes a free one.", ge=0, le=65535)] = 8000
    workers: Annotated[
        int,
        Field(
            description="Processes that draw. Default: the CPUs that are available.",
            default_factory=_available_cpus,
            ge=1,
            le=256,
        ),
    ]
    queue: Annotated[
        int,
        Field(description="Photos waiting for a worker above which no more are let in.", ge=0, le=10_000),
    ] = 32
    deadline: Annotated[
        float,
        Field(description="Seconds that drawing one avatar may take, and that it may wait.", gt=0, le=300),
    ] = 10.0
    worker_memory_bytes: Annotated[
        int, Field(description="Memory that one worker may take for its data.", ge=256 * MB, le=64_000 * MB)
    ] = 1500 * MB
    max_photo_bytes: Annotated[int, Field(description="Largest photo, in bytes.", ge=1000, le=1000 * MB)] = (
        _LIMITS.max_bytes
    )
    max_pixels: Annotated[
        int,
        Field(description="Most pixels in a photo decoded at a reduced scale.", ge=1, le=1000 * MB),
    ] = _LIMITS.max_pixels
    max_decoded_pixels: Annotated[
        int, Field(description="Most pixels in a photo decoded whole.", ge=1, le=1000 * MB)
    ] = _LIMITS.max_decoded_pixels
    min_photo_side: Annotated[
        int, Field(description="Fewest pixels on the shorter side of a photo.", ge=1, le=1024)
    ] = _LIMITS.min_side
    overlay_cache_bytes: Annotated[
        int, Field(description="Memory that each worker may keep drawn frames in.", ge=0, le=16_000 * MB)
    ] = OVERLAY_CACHE_BYTES
    max_uploads: Annotated[
        int,
        Field(description="Photos that may be arriving at once; others are refused.", ge=1, le=10_000),
    ] = 256
    upload_memory_bytes: Annotated[
        int,
        Field(description="Memory for all photos that are arriving or waiting.", ge=1000, le=64_000 * MB),
    ] = 512 * MB
    upload_timeout: Annotated[
        float, Field(description="Seconds in which a photo has to arrive.", gt=0, le=3600)
    ] = 120.0
    shutdown_timeout: Annotated[
        int, Field(description="Seconds after SIGTERM for accepted photos to be finished.", ge=1, le=600)
    ] = 25
    public_url: Annotated[
        Annotated[str, AfterValidator(_parse_public_url)] | None,
        Field(description="The address that supporters know, for links and for the story card."),
    ] = None
    result_lifetime: Annotated[
        float, Field(description="Seconds that a finished avatar's own address lives.", gt=0, le=86_400)
    ] = 900.0
    result_memory_bytes: Annotated[
        int,
        Field(description="Memory for finished avatars; not used with Redis.", ge=4 * MB, le=64_000 * MB),
    ] = 256 * MB
    redis_url: Annotated[
        Annotated[SecretStr, AfterValidator(_parse_redis_url)] | None,
        Field(description="Where several replicas share finished avatars and the count of them."),
    ] = None
    counter_file: Annotated[
        Path | None, Field(description="Keeps the number of avatars made when the service stops.")
    ] = None
    show_counter: Annotated[bool, Field(description="Show the number of avatars made on the page.")] = False
    frames_folder: Annotated[Path, Field(description="Folder with a folder per frame.")] = _ROOT / "frames"
    fonts_folder: Annotated[Path, Field(description="Folder with the frames' fonts.")] = _ROOT / "fonts"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"], Field(description="Log lines for programs or for people.")
    ] = "json"
    docs: Annotated[bool, Field(description="Serve the API's description at /docs.")] = True

    @property
    def limits(self) -> Limits:
        """What a photo may be."""
        return Limits(
            max_bytes=self.max_photo_bytes,
            max_pixels=self.max_pixels,
            max_decoded_pixels=self.max_decoded_pixels,
            min_side=self.min_photo_side,
        )


def load_settings(**given: Any) -> Settings:
    """Read the settings from the environment; what is given here (by the command line) wins.

    Raises:
        InvalidSettings: Naming every variable that is wrong, with what it may be.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    faults = [
        f"{name}: there is no such setting. There are: {', '.join(sorted(known))}"
        for name in sorted(os.environ)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        faults += [_fault(error) for error in exc.errors(include_url=False)]
    else:
        faults += [_missing_folder(name, path) for name, path in _folders(settings) if not path.is_dir()]
        faults += _contradictions(settings)
        if not faults:
            return settings
    raise InvalidSettings("\n".join(faults)) from None


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.upload_memory_bytes < settings.max_photo_bytes:
        yield f"{PREFIX}UPLOAD_MEMORY_BYTES: smaller than one photo ({PREFIX}MAX_PHOTO_BYTES)"
    if settings.show_counter and settings.counter_file is None and settings.redis_url is None:
        # A number that falls back to zero whenever the service restarts is not honest.
        yield f"{PREFIX}SHOW_COUNTER: needs {PREFIX}COUNTER_FILE or {PREFIX}REDIS_URL to remember the number"
    needed = (
        _WORKER_BYTES
        + settings.overlay_cache_bytes
        + 2 * settings.max_photo_bytes
        + _BYTES_PER_DECODED_PIXEL * settings.max_decoded_pixels
    )
    if settings.worker_memory_bytes < needed:
        yield (
            f"{PREFIX}WORKER_MEMORY_BYTES: “{settings.worker_memory_bytes}” is too little for the largest "
            f"photo. Give {needed}, or lower "
            f"{PREFIX}MAX_DECODED_PIXELS ({_BYTES_PER_DECODED_PIXEL} bytes each), "
            f"{PREFIX}MAX_PHOTO_BYTES (2 each) or {PREFIX}OVERLAY_CACHE_BYTES"
        )


_KINDS: Mapping[Any, str] = {bool: "true or false", Path: "a folder"}

# What a type and two bounds do not tell.
_IN_WORDS = {
    "public_url": "https://host or http://host in ASCII (else xn--…), perhaps with a port, without a path",
    "redis_url": "redis://, rediss:// or unix://, with no options but db and those of TLS (ssl_…)",
    "counter_file": "a file in a folder that exists",
}

# Given wrongly, they may still hold what nobody may read.
_SECRETS = frozenset({"redis_url"})


def _fault(error: ErrorDetails) -> str:
    """Say what is wrong with one variable, in a line."""
    name = str(error["loc"][0])
    given = "what is given" if name in _SECRETS else f"“{error['input']}”"
    return f"{PREFIX}{name.upper()}: {given} is not valid. It must be {allowed(name)}"


def allowed(name: str) -> str:
    """Return what a setting may be, in words: ``a whole number from 1 to 256``.

    Raises:
        KeyError: There is no such setting.
    """
    field = Settings.model_fields[name]
    if name in _IN_WORDS:
        return _IN_WORDS[name]
    if field.annotation in _KINDS:
        return _KINDS[field.annotation]
    if choices := get_args(field.annotation):
        return f"one of {', '.join(choices)}"
    bounds = {
        bound: getattr(constraint, bound)
        for constraint in field.metadata
        for bound in ("gt", "ge", "le")
        if hasattr(constraint, bound)
    }
    if field.annotation is int:
        return f"a whole number from {bounds['ge']} to {bounds['le']}"
    if field.annotation is float:
        return f"a number above {bounds['gt']}, at most {bounds['le']}"
    return "a text that is not empty"


def _folders(settings: Settings) -> tuple[tuple[str, Path], ...]:
    return ("frames_folder", settings.frames_folder), ("fonts_folder", settings.fonts_folder)


def _missing_folder(name: str, path: Path) -> str:
    return f"{PREFIX}{name.upper()}: “{path}” is not a folder"
