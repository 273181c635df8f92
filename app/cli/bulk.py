"""``ribbons bulk`` and ``ribbons table``: thousands of photos in one go, with a table and a report."""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.options import (
    EXIT_FAILED,
    EXIT_USAGE,
    fail,
    folder_options,
    once,
    open_library,
    read_settings,
    reader_language,
    spec_options,
)
from app.cli.progress import Progress
from app.errors import BulkError, InvalidRow, InvalidSpec, RibbonsError, told
from app.files import STANDARD, shown, write
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.bulk.destinations import Destination
    from app.bulk.local import Plan, Standing
    from app.bulk.report import ReportRow
    from app.bulk.sources import Source
    from app.bulk.table import RowProblem, Table
    from app.errors import Param
    from app.settings import Settings

_SUMMARY = mark("Pictures made: {made} of {all}.")
_KEPT = mark("Of these, made by an earlier run: {count}.")
_NOTHING_TO_DO = mark("Nothing to do: all {count} pictures are there already.")
_FAILED = mark("Failed: {count}. {report} says why.")
_MISSING = mark("In the table, but not among the photos: {count}.")
_UNLISTED = mark("Not in the table, so made as the options say: {count}.")
_SKIPPED = mark("Left out (hidden files, files of the system, links, the table): {count}.")
_LEFT = mark("Left by an earlier run, and not part of this one: {count}.")
_TO_DRAW = mark("To be made: {count}.")
_THERE = mark("There already: {count}.")
_NOT_RIGHT = mark("Not right in the table: {count}.")
_REFUSED = mark("Cannot be made: {count}.")
_LEFT_OUT = mark("Left out, because no table can name them: {count}.")
_DRAWING_SHEET = mark("Drawing the contact sheet.")
_DOUBTFUL = mark("Doubtful, and marked on the contact sheet: {count}.")
_ROW = mark("row {row}, {name}: {problem}")
_GO_ON = mark("What was made is kept. Run the same command again to go on.")

_TOLD_NAMES = 20
"""Names of a kind that are told while it goes on; ``--dry-run`` tells all."""


@click.command("bulk")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("dest", type=click.Path(path_type=Path))
@click.option(
    "--table",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    callback=once,
    help="A table (.csv, .tsv or .xlsx) with a row for each photo: its name in the column “photo”, and in "
    "others what is asked for, by the names of the options below. Other columns are kept in the report.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="What a column is called in the table, such as slogan=شعار or photo=File; may be repeated.",
)
@click.option(
    "--contact-sheet",
    "sheet",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    callback=once,
    help="A picture (.webp) of all results, small, in the report's order; the doubtful ones are marked.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what is wrong with the table.")
@folder_options
@spec_options
def bulk_command(  # noqa: PLR0913 - a parameter for each option
    source: Path,
    dest: Path,
    table: Path | None,
    columns: tuple[str, ...],
    sheet: Path | None,
    *,
    dry_run: bool,
    **options: Any,
) -> None:
    """Make an avatar of each photo in SOURCE, a folder (with all below it) or a ZIP.

    They go to DEST, a folder, or a ZIP where the name ends in .zip, by their photos' names, with report.csv:
    a line for each photo. What was interrupted goes on when the same command is run again: what is there
    already is kept, what failed is tried again. Exit code: 0 all made, 1 some failed, 2 nothing was begun.
    """
    from app.bulk.destinations import choose_destination  # noqa: PLC0415
    from app.bulk.local import look, make_plan  # noqa: PLC0415
    from app.bulk.sources import open_source  # noqa: PLC0415

    settings = read_settings(
        **{name: options.pop(name) for name in ("more_frames_folders", "more_fonts_folders")}
    )
    given = tuple((name, value) for name, value in options.items() if value is not None)
    frames = open_library(settings)
    with _as_usage():
        photos = open_source(source, settings.max_photo_bytes, table)
        _check_photos(photos, source)
        destination = choose_destination(dest, photos.place)
        rows = _read_table(table, columns, dest)
        plan = make_plan(photos, rows, given, frames, looks_for_faces=settings.faces)
        _check_sheet(sheet, photos.place, dest, plan.avatars)
        with closing(destination):
            destination.check(plan.avatars, photos.place)
            run = _Run(look(plan, destination), reader_language())
            sys.exit(run.tell_dry() if dry_run else run.draw(destination, settings, dest, sheet))


@click.command("table")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    multiple=True,
    callback=once,
    help="The table, a file that ends in .csv. - is standard output.",
)
@click.option("--force", is_flag=True, help="Replace a table that is there already.")
def table_command(source: Path, output: Path, *, force: bool) -> None:
    """Write a table to fill in: a row for each photo in SOURCE, a column for each field.

    SOURCE is a folder (with all below it) or a ZIP. What is filled in, `ribbons bulk --table` takes.
    """
    from app.bulk.sources import open_source  # noqa: PLC0415
    from app.bulk.table import write_table  # noqa: PLC0415

    settings = read_settings()
    if output != Path(STANDARD):
        if output.suffix.lower() != ".csv":
            raise click.UsageError(f"The name {shown(output.name)} must end in .csv.")
        if os.path.lexists(output) and not force:
            raise click.UsageError(
                f"{shown(str(output))} is there already. Choose another name, or replace it with --force."
            )
    with _as_usage():
        photos = open_source(source, settings.max_photo_bytes, output)
        _check_photos(photos, source)
        if output.exists() and output.samefile(photos.place):
            raise click.UsageError(f"{shown(str(output))} is what the photos are in.")
        names = [photo.name for photo in photos.photos if photo.refusal is None]
        write(output, write_table(names))
        if refused := len(photos.photos) - len(names):
            click.echo(told(_LEFT_OUT, {"count": refused}, reader_language()), err=True)


@contextmanager
def _as_usage() -> Iterator[None]:
    """Tell of what cannot be used as it was given, and end with the exit code of bad usage.

    An archive or a table that cannot be read is told in the reader's language, as the spec is.
    """
    from app.bulk.sources import UnusablePlace  # noqa: PLC0415

    try:
        yield
    except UnusablePlace as exc:
        raise click.UsageError(shown(str(exc))) from exc
    except BulkError as error:
        click.echo(error.text(reader_language()), err=True)
        sys.exit(EXIT_USAGE)
    except RibbonsError as error:
        fail(error)


def _check_photos(photos: Source, source: Path) -> None:
    if not photos.photos:
        nothing = f"There is no photo in {shown(str(source))}."
        raise click.UsageError(
            f"{nothing} What lies there was left out: {_names(photos.skipped)}."
            if photos.skipped
            else nothing
        )


def _names(names: Sequence[str]) -> str:
    more = f" (and {len(names) - _TOLD_NAMES} more)" if len(names) > _TOLD_NAMES else ""
    return ", ".join(map(shown, names[:_TOLD_NAMES])) + more


def _check_sheet(sheet: Path | None, source: Path, dest: Path, avatars: Sequence[str]) -> None:
    """Prove before hours of drawing that the contact sheet can be written, and writes nothing over."""
    if sheet is None:
        return
    if sheet.suffix.lower() != ".webp":
        raise click.UsageError(f"The name of the contact sheet, {shown(sheet.name)}, must end in .webp.")
    real = sheet.resolve()
    if real == source or real.is_relative_to(source):
        raise click.UsageError("The contact sheet may not lie in the folder of the photos.")
    if real in {dest.resolve() / avatar for avatar in avatars}:
        raise click.UsageError("The contact sheet would be written over an avatar. Choose another name.")
    folder = real.parent
    if not folder.is_dir() and folder != dest.resolve():
        raise click.UsageError(f"There is no folder {shown(str(folder))} for the contact sheet.")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise click.UsageError(f"The folder {shown(str(folder))} for the contact sheet cannot be written to.")


def _read_table(table: Path | None, columns: Sequence[str], dest: Path) -> Table | None:
    from app.bulk.destinations import REPORT  # noqa: PLC0415
    from app.bulk.table import TableLimits, read_table  # noqa: PLC0415

    mapping = dict(map(_column, columns))
    if len(mapping) != len(columns):
        raise click.UsageError("--column names one of our columns twice.")
    if table is None:
        if columns:
            raise click.UsageError("--column is for a --table.")
        return None
    if table.resolve() == (dest / REPORT).resolve():
        raise click.UsageError("The table would be replaced by the report. Copy it to another place first.")
    limits = TableLimits()
    try:
        with table.open("rb") as file:
            content = file.read(limits.bytes + 1)
    except OSError as exc:
        raise click.BadParameter(f"'{shown(str(table))}': {exc.strerror}", param_hint="--table") from exc
    return read_table(content, mapping, limits)


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise click.UsageError(f"--column {shown(text)}: write it as OURS=THEIRS, such as slogan=شعار.")
    return ours.strip(), theirs.strip()


class _Run:
    """What is told of a batch, in the reader's language, while it is made."""

    def __init__(self, standing: Standing, language: str) -> None:
        self._standing = standing
        self._plan: Plan = standing.plan
        self._language = language

    def _say(self, text: str, *, err: bool = False, **params: Param) -> None:
        click.echo(told(text, params, self._language), err=err)

    # -- before --

    def tell_dry(self) -> int:
        """Say what would be done, with every name that matters; return the exit code."""
        plan = self._plan
        self._say(_TO_DRAW, count=len(self._standing.waiting))
        self._say(_THERE, count=self._standing.kept)
        self._tell_names(_LEFT, self._standing.left, None)
        self._tell_names(_SKIPPED, plan.skipped, None)
        self._tell_problems(plan.problems, None)
        self._tell_names(_MISSING, plan.missing, None)
        self._tell_names(_UNLISTED, plan.unlisted, None)
        if plan.refused:
            self._say(_REFUSED, count=len(plan.refused))
            for item in plan.refused:
                self._tell_error(shown(item.name), item.error)
        return EXIT_FAILED if plan.problems or plan.missing or plan.refused else 0

    def _tell_before(self) -> None:
        """Say on standard error what is wrong beforehand."""
        plan = self._plan
        self._tell_names(_LEFT, self._standing.left, _TOLD_NAMES, err=True)
        self._tell_names(_SKIPPED, plan.skipped, _TOLD_NAMES, err=True)
        self._tell_problems(plan.problems, None, err=True)
        self._tell_names(_MISSING, plan.missing, _TOLD_NAMES, err=True)
        self._tell_names(_UNLISTED, plan.unlisted, 0, err=True)
        for item in plan.refused:
            self._tell_error(shown(item.name), item.error, err=True)

    def _tell_names(self, text: str, names: Sequence[str], most: int | None, *, err: bool = False) -> None:
        if not names:
            return
        self._say(text, err=err, count=len(names))
        for name in names[:most]:
            click.echo(f"  {shown(name)}", err=err)
        if most and len(names) > most:
            click.echo("  …", err=err)

    def _tell_problems(self, problems: Sequence[RowProblem], most: int | None, *, err: bool = False) -> None:
        if not problems:
            return
        self._say(_NOT_RIGHT, err=err, count=len(problems))
        for problem in problems[:most]:
            if isinstance(problem.error, InvalidRow):  # which names its row
                click.echo(f"  {problem.error.text(self._language)}", err=err)
                continue
            for text in self._reasons(problem.error):
                params: dict[str, Param] = {
                    "row": problem.line,
                    "name": shown(problem.photo),
                    "problem": text,
                }
                click.echo(f"  {told(_ROW, params, self._language)}", err=err)

    def _tell_error(self, name: str, error: RibbonsError | None, *, err: bool = False) -> None:
        if error is not None:
            for text in self._reasons(error):
                click.echo(f"{name}: {text}", err=err)

    def _reasons(self, error: RibbonsError) -> list[str]:
        if isinstance(error, InvalidSpec):
            return [f"{problem.field}: {problem.text(self._language)}" for problem in error.problems]
        return [error.text(self._language)]

    # -- while it is made, and after --

    def draw(self, destination: Destination, settings: Settings, dest: Path, sheet: Path | None) -> int:
        """Make all that is not there yet; return the exit code."""
        from app.bulk.doubt import is_doubtful  # noqa: PLC0415
        from app.bulk.local import draw_all, draw_contact_sheet  # noqa: PLC0415
        from app.logs import configure_logging  # noqa: PLC0415

        # What became of each photo is told here; of the workers' own log only what is a fault of ours.
        configure_logging(settings.model_copy(update={"log_level": "error"}))
        self._tell_before()
        progress = Progress(len(self._standing.waiting), self._language)

        def tell(row: ReportRow) -> None:
            progress.note(is_failure=row.outcome != "made")
            if row.error is not None:
                progress.clear()
                self._tell_error(shown(row.photo), row.error, err=True)
            progress.show()

        try:
            with closing(progress):
                rows = draw_all(self._standing, destination, settings, self._language, tell)
        except OSError as exc:
            click.echo(f"{shown(str(dest))}: {exc.strerror or exc}", err=True)
            self._tell_unfinished(progress)
            return EXIT_FAILED
        except KeyboardInterrupt:
            self._tell_unfinished(progress)
            raise
        code = self._tell_after(rows, dest)
        if sheet is not None:
            self._say(_DRAWING_SHEET, err=True)  # of thousands it takes a while
            write(sheet, draw_contact_sheet(rows, destination))
            self._say(_DOUBTFUL, count=sum(is_doubtful(row.framing) for row in rows))
        return code

    def _tell_unfinished(self, progress: Progress) -> None:
        if made := self._standing.kept + progress.made:
            self._say(_SUMMARY, made=made, all=len(self._plan.items))
            self._say(_GO_ON, err=True)

    def _tell_after(self, rows: Sequence[ReportRow], dest: Path) -> int:
        from app.bulk.destinations import REPORT  # noqa: PLC0415

        made = sum(row.outcome == "made" for row in rows)
        failed = sum(row.outcome == "failed" for row in rows)
        if made == len(rows) and not self._standing.waiting:
            self._say(_NOTHING_TO_DO, count=made)
            return 0
        self._say(_SUMMARY, made=made, all=len(rows))
        if self._standing.kept:
            self._say(_KEPT, count=self._standing.kept)
        if self._plan.missing:
            self._say(_MISSING, count=len(self._plan.missing))
        if failed:
            self._say(_FAILED, count=failed, report=shown(str(dest / REPORT)))
        return 0 if made == len(rows) else EXIT_FAILED
