"""The command line: ``ribbons make``, ``ribbons frames`` and ``ribbons serve``.

Exit codes: 0 done; 1 a photo could not be made into an avatar, or a frame is not sound; 2 bad usage.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from app import __version__
from app.errors import InvalidSpec, PhotoError, PhotoTooManyBytes, RequestError, RibbonsError, SpecError
from app.frames import FrameLibrary
from app.render.avatar import make_avatar
from app.render.encode import EXTENSIONS, JPEG_QUALITY
from app.render.overlay import Overlays
from app.render.proof import check_frame, draw_sheet
from app.settings import InvalidSettings, load_settings
from app.spec import AvatarSpec, Format, field_choices, field_range, parse_spec
from app.texts.languages import PAGE_LANGUAGES, PROGRAM_LANGUAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic.fields import FieldInfo

    from app.frames import Frame
    from app.settings import Settings

EXIT_FAILED = 1
EXIT_USAGE = 2

_FORMATS: Mapping[str, Format] = {
    **{extension: name for name, extension in EXTENSIONS.items()},
    ".jpeg": "jpeg",
}


def reader_language() -> str:
    """Return the language to speak to the person at the terminal, by POSIX's own variables.

    Read here and not through ``locale``, which answers only for locales that the machine has installed.
    """
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            code = re.split("[_.@-]", value.lower())[0]
            return code if code in PAGE_LANGUAGES else PROGRAM_LANGUAGE
    return PROGRAM_LANGUAGE


def fail(error: RibbonsError) -> NoReturn:
    """Say what was wrong in the reader's language; end with the exit code that says whose fault it was."""
    language = reader_language()
    click.echo(error.text(language), err=True)
    # The hints of these speak of requests, and of code points.
    if error.hint and not isinstance(error, RequestError | PhotoError | SpecError):
        click.echo(error.hint_text(language), err=True)
    if isinstance(error, InvalidSpec):
        for problem in error.problems:
            click.echo(f"  --{problem.field}: {problem.text(language)}", err=True)
    sys.exit(EXIT_USAGE if isinstance(error, SpecError) else EXIT_FAILED)


def spec_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of the spec, as the spec itself declares them."""
    for name, field in reversed(AvatarSpec.model_fields.items()):
        command = click.option(f"--{name}", metavar=_metavar(name), help=_help(field))(command)
    return command


def _metavar(name: str) -> str:
    if choices := field_choices(AvatarSpec.model_fields[name]):
        return "|".join(choices)
    try:
        minimum, maximum = field_range(name)
    except KeyError:
        return "TEXT"
    return f"{minimum:g}..{maximum:g}"


def _help(field: FieldInfo) -> str:
    if field.is_required() or field.default is None:
        return str(field.description)
    default = f"{field.default:g}" if isinstance(field.default, float) else field.default
    return f"{field.description}  [default: {default}]"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ribbons")
def main() -> None:
    """Red Ribbons: put the campaign's frame around a photo."""


@main.command()
@click.argument("photo", type=click.File("rb"))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Where the avatar goes; - is standard output. The name's ending chooses the format.",
)
@spec_options
def make(photo: Any, output: Path, **options: str | None) -> None:
    """Make an avatar of PHOTO (- is standard input)."""
    settings = read_settings()
    given = {name: value for name, value in options.items() if value is not None}
    if ending := format_by_name(output):
        given.setdefault("format", ending)
        if given["format"] != ending:
            raise click.UsageError(f"--format {given['format']} contradicts the name {output.name}.")
    try:
        overlays = open_overlays(settings)
        spec = parse_spec(given.items(), overlays.frames)
        avatar = make_avatar(read_photo(photo, settings.max_photo_bytes), spec, overlays, settings.limits)
    except RibbonsError as error:
        fail(error)
    else:
        write(output, avatar.content)


@main.group()
def frames() -> None:
    """List, prove and show the frames."""


@frames.command("list")
def list_frames() -> None:
    """Print each frame: its id, its title, its languages."""
    language = reader_language()
    for frame in _library(read_settings()):
        title = frame.title.get(language, frame.title[PROGRAM_LANGUAGE])
        click.echo(f"{frame.id}\t{title}\t{' '.join(frame.languages)}")


@frames.command()
@click.argument("ids", nargs=-1)
def check(ids: tuple[str, ...]) -> None:
    """Prove frames (all of them unless IDS are given) before anyone wears them."""
    library = _library(read_settings())
    sound = True
    for frame in _chosen(library, ids):
        findings = check_frame(frame)
        sound = sound and not findings
        click.echo(f"{frame.id}: {'ok' if not findings else f'{len(findings)} findings'}")
        for finding in findings:
            click.echo(f"  {finding}")
    sys.exit(0 if sound else EXIT_FAILED)


@frames.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="The picture: .png, .webp, .jpg or .avif.",
)
@click.option("--portrait", type=click.File("rb"), help="A photo to show them over, instead of ours.")
def sheet(output: Path, portrait: Any) -> None:
    """Draw every frame in a circle over a portrait, at the sizes that platforms show."""
    ending = format_by_name(output) or "png"
    settings = read_settings()
    photo = portrait.read() if portrait else (settings.frames_folder / "portrait.png").read_bytes()
    try:
        picture = draw_sheet(open_overlays(settings), photo)
    except RibbonsError as error:
        fail(error)
    file = io.BytesIO()
    picture.save(file, ending, quality=JPEG_QUALITY)
    write(output, file.getvalue())


@main.command()
@click.option("--host", help="Address to listen on (RIBBONS_HOST).")
@click.option("--port", help="Port to listen on (RIBBONS_PORT).")
def serve(**given: str | None) -> None:
    """Serve the API."""
    # Imported here: a command that makes one picture need not load a web server (0.3 s).
    from app.web.server import serve as run  # noqa: PLC0415

    run(read_settings(**{name: value for name, value in given.items() if value is not None}))


def read_settings(**given: str) -> Settings:
    """Read the settings, or say which are wrong and end."""
    try:
        return load_settings(**given)
    except InvalidSettings as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_USAGE)


def open_overlays(settings: Settings) -> Overlays:
    """Return the overlays of the frame library that the settings name; end where a frame is not valid."""
    return Overlays(_library(settings), settings.overlay_cache_bytes)


def _library(settings: Settings) -> FrameLibrary:
    try:
        return FrameLibrary(settings.frames_folders, settings.fonts_folder)
    except RibbonsError as error:
        fail(error)


def _chosen(library: FrameLibrary, ids: Iterable[str]) -> list[Frame]:
    try:
        return [library.get(frame_id) for frame_id in ids] or list(library)
    except RibbonsError as error:
        fail(error)


def read_photo(file: Any, max_bytes: int) -> bytes:
    """Read a photo, but never more of it than one byte past the limit.

    Raises:
        PhotoTooManyBytes: It has more than ``max_bytes`` bytes.
    """
    photo: bytes = file.read(max_bytes + 1)
    if len(photo) > max_bytes:
        raise PhotoTooManyBytes.over(max_bytes)
    return photo


def format_by_name(output: Path) -> Format | None:
    """Return the format that a file's name asks for; None for standard output, pipes and devices.

    Raises:
        click.UsageError: The name's ending is no format that is written.
    """
    if output == Path("-") or (output.exists() and not output.is_file()):
        return None
    try:
        return _FORMATS[output.suffix.lower()]
    except KeyError:
        endings = ", ".join(_FORMATS)
        raise click.UsageError(f"The name {output.name} must end in one of: {endings}.") from None


def write(output: Path, content: bytes) -> None:
    """Write all of ``content`` or nothing: an avatar that is half there replaces no good one.

    A link is followed, and what is no file (a pipe, a device) is written to, never replaced.
    """
    try:
        if output == Path("-"):
            _write_to_stdout(content)
        elif output.exists() and not output.is_file():
            output.write_bytes(content)
        else:
            _replace(output.resolve(), content)
    except OSError as exc:
        raise click.FileError(str(output), hint=exc.strerror) from exc


def _write_to_stdout(content: bytes) -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would be flushed once more at exit, fail again, and hide our exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _replace(output: Path, content: bytes) -> None:
    mode = 0o666 & ~_umask()
    if output.exists():
        if not os.access(output, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mode = output.stat().st_mode
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            file.write(content)
            file.flush()
            part.chmod(mode)
            part.replace(output)
        except OSError:
            part.unlink()
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
