"""What the commands have in common: options, settings, the reader's language, and how they fail."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from app.errors import (
    OWN_WORDS,
    InvalidSpec,
    PhotoError,
    RequestError,
    RibbonsError,
    SpecError,
)
from app.frames import FrameLibrary
from app.settings import PREFIX, InvalidSettings, load_settings
from app.spec import AvatarSpec, field_choices, field_range, shown_default
from app.texts.languages import PAGE_LANGUAGES, PROGRAM_LANGUAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

    from app.settings import Settings

EXIT_FAILED = 1
EXIT_USAGE = 2


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
            # What is wrong with these is the error's own text.
            if problem.field != OWN_WORDS:
                click.echo(f"  --{problem.field}: {problem.text(language)}", err=True)
    sys.exit(EXIT_USAGE if isinstance(error, SpecError) else EXIT_FAILED)


def spec_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of the spec, as the spec itself declares them."""
    for name, field in reversed(AvatarSpec.model_fields.items()):
        # Without a value a switch says yes, as people write it, if another option or nothing follows.
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if field.annotation is bool else {}
        command = click.option(f"--{name}", metavar=_metavar(name), help=_help(field), **alone)(command)
    return command


def folder_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that add frames, and fonts for them, to the ones that are there."""
    for kind in ("fonts", "frames"):
        variable = f"more_{kind}_folders"
        command = click.option(
            f"--more-{kind}",
            variable,
            multiple=True,
            metavar="FOLDER",
            help=f"A folder of {kind} beside ours; may be repeated ({PREFIX}{variable.upper()}).",
        )(command)
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
    return f"{field.description}  [default: {shown_default(field)}]"


def once(_context: click.Context, _option: click.Parameter, given: tuple[Any, ...]) -> Any:
    """Refuse an option that was given twice: of two places to write to, none is to be dropped in silence."""
    if len(given) > 1:
        raise click.BadParameter("This was given more than once. Give it once.")
    return given[0] if given else None


def read_settings(**given: Any) -> Settings:
    """Read the settings, or say which are wrong and end. An option that was not given is None or empty."""
    try:
        return load_settings(**{name: value for name, value in given.items() if value not in {None, ()}})
    except InvalidSettings as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_USAGE)


def open_library(settings: Settings) -> FrameLibrary:
    """Load the frames, or say what is wrong with one and end."""
    try:
        return FrameLibrary(settings.frames_folders, settings.fonts)
    except RibbonsError as error:
        fail(error)
