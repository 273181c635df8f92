"""The command line: ``ribbons make``, ``bulk``, ``table``, ``frames``, ``keys``, ``serve`` and ``worker``.

Exit codes: 0 done; 1 a photo could not be made into an avatar, or a frame is not sound; 2 bad usage.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import nullcontext
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import __version__
from app.cli.bulk import bulk_command, table_command
from app.cli.keys import keys
from app.cli.options import (
    EXIT_FAILED,
    fail,
    folder_options,
    once,
    open_library,
    read_settings,
    reader_language,
    spec_options,
)
from app.disk import read_file, read_photo
from app.errors import InvalidFrame, RibbonsError, told
from app.files import (
    format_by_name,
    is_folder,
    name_avatars,
    open_photo,
    opened_folder,
    shown,
    write,
)
from app.frames import Frame, frames_below
from app.settings import PORTRAIT
from app.spec import parse_spec
from app.texts.languages import PROGRAM_LANGUAGE
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.frames import FrameLibrary
    from app.making import Outcome
    from app.render.avatar import Avatar
    from app.settings import Settings
    from app.spec import AvatarSpec

_SUMMARY = mark("Pictures made: {made} of {all}.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ribbons")
def main() -> None:
    """Red Ribbons: put the campaign's frame around a photo."""


main.add_command(bulk_command)
main.add_command(table_command)
main.add_command(keys)


@main.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path())
@click.option(
    "-o",
    "--out",
    "--output",
    "output",
    required=True,
    type=click.Path(),
    multiple=True,
    callback=once,
    help="Where the avatar goes. A name that ends in .jpg, .png, .webp or .avif is a file of that format. A "
    "folder, a name that ends in / and one without an ending are a folder, made where there is none. Several "
    "photos need a folder. - is standard output.",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Say of each avatar which square of its photo was chosen."
)
@folder_options
@spec_options
def make(
    photos: tuple[str, ...],
    output: str,
    more_frames_folders: tuple[str, ...],
    more_fonts_folders: tuple[str, ...],
    *,
    verbose: bool,
    **options: str | None,
) -> None:
    """Make an avatar of each PHOTO (- is standard input).

    In a folder each avatar has its photo's name (the second of two photos a.jpg and a.heic becomes a-2.jpg)
    and replaces an earlier avatar of that name. Photos themselves are never written over. Of several photos
    those that cannot be made are named, and the others are made.
    """
    settings = read_settings(more_frames_folders=more_frames_folders, more_fonts_folders=more_fonts_folders)
    given = {name: value for name, value in options.items() if value is not None}
    to_folder = is_folder(output, len(photos))
    if not to_folder and (ending := format_by_name(Path(output))):
        given.setdefault("format", ending)
        if given["format"] != ending:
            raise click.UsageError(f"--format {given['format']} contradicts the name {Path(output).name}.")
    library = open_library(settings)
    try:
        spec = parse_spec(given.items(), library)
    except RibbonsError as error:
        fail(error)
    if not settings.faces:
        spec = spec.without_faces()
    targets = [Path(output)]
    if to_folder:
        targets = name_avatars(photos, Path(output), _extension(spec))
    deliver = partial(_deliver, is_verbose=verbose)
    with opened_folder(Path(output)) if to_folder else nullcontext():
        if len(photos) == 1:
            deliver(photos[0], targets[0], _make_one(photos[0], spec, library, settings))
        else:
            _make_several(photos, targets, spec, settings, deliver)


def _deliver(photo: str, target: Path, avatar: Avatar, *, is_verbose: bool) -> None:
    """Write an avatar, and say, where that is asked for, which square of its photo it shows."""
    write(target, avatar.content)
    if is_verbose:
        click.echo(f"{shown(photo)} -> {shown(str(target))}: {avatar.framing}", err=True)


def _extension(spec: AvatarSpec) -> str:
    from app.render.encode import EXTENSIONS  # noqa: PLC0415

    return EXTENSIONS[spec.output_format]


def _make_one(photo: str, spec: AvatarSpec, library: FrameLibrary, settings: Settings) -> Avatar:
    from app.render.avatar import make_avatar  # noqa: PLC0415
    from app.render.overlay import Overlays  # noqa: PLC0415

    overlays = Overlays(library, settings.overlay_cache_bytes)
    try:
        content = _read_one(photo, settings.max_photo_bytes)
        return make_avatar(content, spec, overlays, settings.limits)
    except RibbonsError as error:
        fail(error)


def _read_one(photo: str, max_bytes: int) -> bytes:
    try:
        with open_photo(photo) as file:
            return read_photo(file, max_bytes)
    except OSError as exc:
        raise click.BadParameter(f"'{shown(photo)}': {exc.strerror}", param_hint="PHOTO") from exc


def _make_several(
    photos: Sequence[str],
    targets: Sequence[Path],
    spec: AvatarSpec,
    settings: Settings,
    deliver: Callable[[str, Path, Avatar], None],
) -> None:
    from app.logs import configure_logging  # noqa: PLC0415
    from app.making import Order, make_avatars  # noqa: PLC0415

    # What became of each photo is told here; of the workers' own log only what is a fault of ours.
    configure_logging(settings.model_copy(update={"log_level": "error"}))
    language = reader_language()
    made = tried = 0

    def take(index: int, outcome: Outcome) -> None:
        nonlocal made, tried
        tried += 1
        if isinstance(outcome, RibbonsError):
            click.echo(f"{shown(photos[index])}: {outcome.text(language)}", err=True)
        elif isinstance(outcome, OSError):
            click.echo(f"{shown(photos[index])}: {outcome.strerror}", err=True)
        else:
            deliver(photos[index], targets[index], outcome)
            made += 1

    try:
        orders = [Order(partial(read_file, photo, settings.max_photo_bytes), spec) for photo in photos]
        make_avatars(orders, spec, settings, take)
    except RibbonsError as error:
        fail(error)
    finally:
        if tried:
            click.echo(told(_SUMMARY, {"made": made, "all": len(photos)}, language))
    sys.exit(0 if made == len(photos) else EXIT_FAILED)


@main.group()
def frames() -> None:
    """List, prove and show the frames."""


@frames.command("list")
@folder_options
def list_frames(**folders: tuple[str, ...]) -> None:
    """Print each frame: its id, its title, its languages."""
    language = reader_language()
    for frame in open_library(read_settings(**folders)):
        title = frame.title.get(language, frame.title[PROGRAM_LANGUAGE])
        click.echo(f"{frame.id}\t{title}\t{' '.join(frame.languages)}")


@frames.command()
@click.argument("names", nargs=-1, metavar="[ID|FOLDER]...", type=click.Path())
@folder_options
def check(names: tuple[str, ...], **folders: tuple[str, ...]) -> None:
    """Prove frames before anyone wears them.

    All that are offered are proved, unless some are named: by id, by a frame's own folder, or by a folder of
    such folders.
    """
    # Imported here, as in every command: what one needs, the others need not wait for.
    from app.render.proof import check_frame  # noqa: PLC0415

    settings = read_settings(**folders)
    sound = True
    for label, frame in _to_check(names, settings):
        findings = (
            check_frame(frame) if isinstance(frame, Frame) else str(frame.params["reason"]).splitlines()
        )
        sound = sound and not findings
        count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
        click.echo(f"{label}: {count if findings else 'ok'}")
        for finding in findings:
            click.echo(f"  {finding}")
    sys.exit(0 if sound else EXIT_FAILED)


def _to_check(names: Sequence[str], settings: Settings) -> list[tuple[str, Frame | InvalidFrame]]:
    """Load what is to be checked, each frame by itself: one that is not valid hides no other."""
    try:
        offered = [folder for place in settings.frames_folders for folder in frames_below(place)]
    except RibbonsError as error:
        fail(error)
    folders = [found for name in names for found in _frames_named(name, offered)] or offered
    loaded = [(_label(folder, offered), _load(folder, offered, settings)) for folder in folders]
    if names:
        return loaded
    return sorted(loaded, key=lambda one: (getattr(one[1], "order", -inf), one[0]))


def _frames_named(name: str, offered: Sequence[Path]) -> list[Path]:
    """Return the folders of the frames that a word of the command line means.

    Raises:
        click.UsageError: It means none.
    """
    if known := [folder for folder in offered if folder.name == name]:
        return known
    path = Path(name).parent if Path(name).name == "frame.toml" else Path(name)
    if (path / "frame.toml").is_file():
        return [path]
    if path.is_dir():
        try:
            return frames_below(path)
        except InvalidFrame:
            nothing = f"{shown(name)} holds neither frame.toml nor a folder with one."
            raise click.UsageError(nothing) from None
    if os.sep in name:
        reason = os.strerror(errno.ENOTDIR if path.exists() else errno.ENOENT)
        raise click.BadParameter(f"'{shown(name)}': {reason}", param_hint="FOLDER")
    ids = ", ".join(dict.fromkeys(folder.name for folder in offered))
    raise click.UsageError(f"{shown(name)} is neither a frame nor a folder. The frames are: {ids}.")


def _load(folder: Path, offered: Sequence[Path], settings: Settings) -> Frame | InvalidFrame:
    twins = [str(other) for other in offered if other.name == folder.name]
    try:
        if folder in offered and len(twins) > 1:
            raise InvalidFrame.of_one_name(folder.name, twins)
        # A folder's name is its frame's id, and "." has none.
        return Frame(folder.resolve() if folder.name in {"", ".."} else folder, settings.fonts)
    except InvalidFrame as error:
        return error


def _label(folder: Path, offered: Sequence[Path]) -> str:
    is_known = [other.name for other in offered].count(folder.name) == 1 and folder in offered
    return folder.name if is_known else shown(str(folder))


@frames.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    callback=once,
    help="The picture: .png, .webp, .jpg or .avif.",
)
@click.option("--portrait", type=click.File("rb"), help="A photo to show them over, instead of ours.")
@folder_options
def sheet(output: Path, portrait: Any, **folders: tuple[str, ...]) -> None:
    """Draw every frame in a circle over a portrait, at the sizes that platforms show."""
    from app.render.encode import JPEG_QUALITY  # noqa: PLC0415
    from app.render.overlay import Overlays  # noqa: PLC0415
    from app.render.proof import draw_sheet  # noqa: PLC0415

    ending = format_by_name(output) or "png"
    settings = read_settings(**folders)
    photo = portrait.read() if portrait else PORTRAIT.read_bytes()
    try:
        picture = draw_sheet(Overlays(open_library(settings), settings.overlay_cache_bytes), photo)
    except RibbonsError as error:
        fail(error)
    file = io.BytesIO()
    picture.save(file, ending, quality=JPEG_QUALITY)
    write(output, file.getvalue())


@main.command()
@click.option("--host", help="Address to listen on (RIBBONS_HOST).")
@click.option("--port", help="Port to listen on (RIBBONS_PORT).")
@folder_options
def serve(**given: Any) -> None:
    """Serve the page and the API."""
    # Imported here: a command that makes one picture need not load a web server (0.3 s).
    from app.web.server import serve as run  # noqa: PLC0415

    run(read_settings(**given))


@main.command()
@folder_options
def worker(**given: Any) -> None:
    """Draw batches only: beside the service, or on more machines.

    It has the settings of the service whose batches it draws, RIBBONS_SECRET too.
    """
    from app.worker import work  # noqa: PLC0415 - as above

    work(read_settings(**given))
