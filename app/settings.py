"""One frozen Settings, read once from the environment. Nothing else in this code reads the environment."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO, TypeVar, get_args
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.frames import FontFolders
from app.render.limits import OVERLAY_CACHE_BYTES, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

AnySettings = TypeVar("AnySettings", bound="Settings")

PREFIX = "RIBBONS_"
MB = 1_000_000

_LIMITS = Limits()

# What a worker needs beside the photo: itself and its libraries (150 MB, half of which OpenBLAS asks for
# at the first face, and hardly touches), and to resize, compose and encode.
_WORKER_BYTES = 220 * MB

# What WebP, the hungriest kind, takes while it is unpacked (tests/render/test_memory.py).
_BYTES_PER_DECODED_PIXEL = 16

_ROOT = Path(__file__).parent.parent

PORTRAIT = _ROOT / "frames" / "portrait.png"
"""The photo to show frames over."""

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


def _parse_jobs_url(value: SecretStr) -> SecretStr:
    """Take the address of a PostgreSQL database."""
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/") or parts.fragment:
        raise ValueError
    return SecretStr(value.get_secret_value().replace(f"{parts.scheme}://", "postgresql://", 1))


def _parse_store_url(value: str) -> str:
    """Take the address of a bucket, perhaps with a folder in it."""
    parts = urlsplit(value)
    if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError
    return value.rstrip("/")


def _state_folder() -> Path:
    """Return where programs of a user keep what is theirs alone (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "red-ribbons"


def _split_folders(value: object) -> object:
    """Take folders as the system's own lists of them are written, such as PATH."""
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


_Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_folders)]


def _split_networks(value: object) -> object:
    """Take addresses and networks with commas between them. A network of all addresses is no proxy's."""
    if not isinstance(value, str):
        return value
    networks = tuple(ip_network(part.strip()) for part in value.split(","))
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError
    return networks


_Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split_networks)]


# Each of these declares a setting: its default, what it is for, and what it may be, said where it is checked.
# Messages and README's table are made of that.


def _declare(allowed: str, description: str, *, is_secret: bool = False, **rules: Any) -> Any:
    return Field(
        description=description, json_schema_extra={"allowed": allowed, "is_secret": is_secret}, **rules
    )


def _whole(description: str, *, least: int, most: int, **default: Any) -> Any:
    return _declare(f"a whole number from {least} to {most}", description, ge=least, le=most, **default)


def _number(description: str, *, most: float, **default: Any) -> Any:
    return _declare(f"a number above 0, at most {most}", description, gt=0, le=most, **default)


def _folder(description: str, **default: Any) -> Any:
    return _declare("a folder", description, **default)


def _more_folders(description: str) -> Any:
    return _declare(f"folders, with {os.pathsep} between them", description, default=())


def _switch(description: str, **default: Any) -> Any:
    return _declare("true or false", description, **default)


def _choice(description: str, choices: Any, **default: Any) -> Any:
    return _declare(f"one of {', '.join(get_args(choices))}", description, **default)


_LogLevel = Literal["debug", "info", "warning", "error"]
_LogFormat = Literal["auto", "json", "console"]


class Settings(BaseSettings):
    """How the service runs. Each field is the variable ``RIBBONS_<FIELD>``; empty means default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=True
    )

    host: str = _declare(
        "a text that is not empty", "Address to listen on.", min_length=1, default="127.0.0.1"
    )
    port: int = _whole("Port to listen on; 0 takes a free one.", least=0, most=65535, default=8000)
    workers: int = _whole(
        "Processes that draw. Default: the CPUs that are available.",
        least=1,
        most=256,
        default_factory=_available_cpus,
    )
    queue: int = _whole(
        "Photos waiting for a worker above which no more are let in.", least=0, most=10_000, default=32
    )
    deadline: float = _number(
        "Seconds that drawing one avatar may take, and that it may wait.", most=300, default=10.0
    )
    worker_memory_bytes: int = _whole(
        "Memory that one worker may take for its data.", least=320 * MB, most=64_000 * MB, default=1500 * MB
    )
    max_photo_bytes: int = _whole(
        "Largest photo, in bytes.", least=1000, most=1000 * MB, default=_LIMITS.max_bytes
    )
    max_pixels: int = _whole(
        "Most pixels in a photo decoded at a reduced scale.",
        least=1,
        most=1000 * MB,
        default=_LIMITS.max_pixels,
    )
    max_decoded_pixels: int = _whole(
        "Most pixels in a photo decoded whole.", least=1, most=1000 * MB, default=_LIMITS.max_decoded_pixels
    )
    min_photo_side: int = _whole(
        "Fewest pixels on the shorter side of a photo.", least=1, most=1024, default=_LIMITS.min_side
    )
    faces: bool = _switch(
        "Look for faces, to choose squares by; false: in nobody's photo, whatever is asked for.", default=True
    )
    overlay_cache_bytes: int = _whole(
        "Memory that each worker may keep drawn frames in.",
        least=0,
        most=16_000 * MB,
        default=OVERLAY_CACHE_BYTES,
    )
    max_uploads: int = _whole(
        "Photos that may be arriving at once; then the slowest give way, or more are refused.",
        least=1,
        most=10_000,
        default=2000,
    )
    upload_memory_bytes: int = _whole(
        "Memory for all photos that are arriving or waiting.", least=1000, most=64_000 * MB, default=512 * MB
    )
    upload_timeout: float = _number("Seconds in which a photo has to arrive.", most=3600, default=120.0)
    shutdown_timeout: int = _whole(
        "Seconds after SIGTERM for accepted photos to be finished.", least=1, most=600, default=25
    )
    public_url: Annotated[str, AfterValidator(_parse_public_url)] | None = _declare(
        "https://host or http://host in ASCII (else xn--…), perhaps with a port, without a path",
        "The address that supporters know, for links, the story card and the API’s description.",
        default=None,
    )
    trusted_proxies: _Networks = _declare(
        "addresses and networks such as 10.0.0.0/8, with commas between them",
        "Proxies that are believed, in X-Forwarded-For, from which address a request comes.",
        default=(),
    )
    result_lifetime: float = _number(
        "Seconds that a finished avatar's own address lives.", most=86_400, default=900.0
    )
    result_memory_bytes: int = _whole(
        "Memory for finished avatars; not used with Redis.",
        least=4 * MB,
        most=64_000 * MB,
        default=256 * MB,
    )
    redis_url: Annotated[SecretStr, AfterValidator(_parse_redis_url)] | None = _declare(
        "redis://, rediss:// or unix://, with no options but db and those of TLS (ssl_…)",
        "Where several replicas share finished avatars, the count of them, and what each key may still send.",
        is_secret=True,
        default=None,
    )
    counter_file: Path | None = _declare(
        "a file in a folder that exists",
        "Keeps the number of avatars made when the service stops.",
        default=None,
    )
    show_counter: bool = _switch("Show the number of avatars made on the page.", default=False)
    data_folder: Path = _folder(
        "Folder for batches, made where there is none: their list, and their photos where no store is given.",
        default_factory=_state_folder,
    )
    jobs_url: Annotated[SecretStr, AfterValidator(_parse_jobs_url)] | None = _declare(
        "postgresql://user:password@host:port/database",
        "Where several machines share the list of batches. Default: files in the data folder.",
        is_secret=True,
        default=None,
    )
    store_url: Annotated[str, AfterValidator(_parse_store_url)] | None = _declare(
        "s3://bucket or s3://bucket/folder",
        "Where several machines share the photos of batches; keys, region and endpoint come from the usual "
        "AWS_… variables. Default: a folder in the data folder.",
        default=None,
    )
    secret: SecretStr | None = _declare(
        "a text of at least 32 characters",
        "What batches are sealed with, the same on all machines. Default: a file made in the data folder.",
        is_secret=True,
        min_length=32,
        default=None,
    )
    secret_file: Path | None = _declare(
        "a file that holds such a text", "A file with that secret, instead.", default=None
    )
    batch_lifetime: float = _number(
        "Seconds after which a batch is erased.", most=30 * 86_400, default=86_400.0
    )
    max_batch_photos: int = _whole("Most photos in a batch.", least=1, most=1_000_000, default=50_000)
    max_archive_bytes: int = _whole(
        "Largest ZIP of photos, in bytes.", least=1000, most=1_000_000 * MB, default=20_000 * MB
    )
    batches_at_once: int = _whole(
        "Batches that one key may have at a time.", least=1, most=10_000, default=20
    )
    photos_a_day: int = _whole(
        "Photos that one key may send a day, unless it has its own number.",
        least=1,
        most=100_000_000,
        default=100_000,
    )
    batches: bool = _switch("Take batches of partners who have a key.", default=True)
    frames_folder: Path = _folder("Folder with a folder per frame.", default=_ROOT / "frames")
    more_frames_folders: _Folders = _more_folders("Folders of frames that are added to those.")
    fonts_folder: Path = _folder("Folder with the frames' fonts.", default=_ROOT / "fonts")
    more_fonts_folders: _Folders = _more_folders("Folders of fonts that are searched after that one.")
    log_level: _LogLevel = _choice("The least that is logged.", _LogLevel, default="info")
    log_format: _LogFormat = _choice(
        "Log lines for programs (json) or for people (console); auto is for people on a terminal.",
        _LogFormat,
        default="auto",
    )
    docs: bool = _switch("Serve the API's description at /docs.", default=True)

    @property
    def ledger_file(self) -> Path:
        """Where the tables of batches are, unless PostgreSQL has them."""
        return self.data_folder / "ledger.sqlite"

    @property
    def frames_folders(self) -> tuple[Path, ...]:
        """Where frames are looked for."""
        return (self.frames_folder, *self.more_frames_folders)

    @property
    def fonts(self) -> FontFolders:
        """Where the frames' fonts are looked for."""
        return FontFolders((self.fonts_folder, *self.more_fonts_folders))

    @property
    def limits(self) -> Limits:
        """What a photo may be."""
        return Limits(
            max_bytes=self.max_photo_bytes,
            max_pixels=self.max_pixels,
            max_decoded_pixels=self.max_decoded_pixels,
            min_side=self.min_photo_side,
        )


def takes_colour(stream: TextIO) -> bool:
    """Tell whether to colour what goes there: a terminal that can, and nobody set NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def load_settings(**given: Any) -> Settings:
    """Read the settings from the environment; what is given here (by the command line) wins.

    Raises:
        InvalidSettings: As :func:`read_as`.
    """
    return read_as(Settings, given)


def read_as(kind: type[AnySettings], given: Mapping[str, Any]) -> AnySettings:
    """Read settings of some kind; see :func:`load_settings`.

    Raises:
        InvalidSettings: Naming every variable that is wrong, with what it may be.
    """
    known = {PREFIX + name.upper() for name in kind.model_fields}
    faults = [
        f"{name}: there is no such setting. There are: {', '.join(sorted(known))}"
        for name in sorted(os.environ)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]
    try:
        settings = kind(**given)
    except ValidationError as exc:
        faults += [_fault(error, kind.model_fields) for error in exc.errors(include_url=False)]
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


def _fault(error: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    """Say what is wrong with one variable, in a line. What may hold a secret is not repeated."""
    name = str(error["loc"][0])
    given = "what is given" if _words(fields[name])["is_secret"] else f"“{error['input']}”"
    return f"{PREFIX}{name.upper()}: {given} is not valid. It must be {allowed(fields[name])}"


def allowed(field: FieldInfo) -> str:
    """Return what a setting may be, in the words of its declaration: ``a whole number from 1 to 256``."""
    return str(_words(field)["allowed"])


def _words(field: FieldInfo) -> dict[str, Any]:
    words = field.json_schema_extra
    if not isinstance(words, dict):
        raise TypeError("a setting is declared by one of the functions above")
    return words


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "frames_folder", settings.frames_folder
    yield "fonts_folder", settings.fonts_folder
    yield from (("more_frames_folders", folder) for folder in settings.more_frames_folders)
    yield from (("more_fonts_folders", folder) for folder in settings.more_fonts_folders)


def _missing_folder(name: str, path: Path) -> str:
    return f"{PREFIX}{name.upper()}: “{path}” is not a folder"
