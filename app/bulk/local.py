"""A folder or a ZIP of photos -> avatars and a report of them, on one machine, without server or database.

What was begun goes on by what lies in the destination, after Ctrl-C, ``kill -9`` or a full disk, and there is
no ledger beside it. That is enough, because

- the report has a line for each photo as soon as its avatar lies there, and an avatar is written before its
  line: a line that says ``made`` is true of an avatar that is there;
- an avatar appears whole or not at all, and so does the report's beginning; only the last line may be torn,
  and one that is torn is not read;
- a line says in ``made_from``, by a digest, of what its avatar was made: the photo's name, size and time (in
  a ZIP its checksum), what was asked for, the frame, and the code that draws. Where any of these is another
  today, so is the digest, and the avatar is made anew. Lines that are true no more are gone from the report
  before the first avatar is written over;
- drawing the same anew gives the same bytes: an avatar whose line was lost is written over by itself.

What is not told apart is a photo that somebody has changed without changing its size or its time. After a
power cut, a file that was just written may be empty on some file systems: such an avatar counts as not there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from app.bulk.doubt import is_doubtful, needs_a_look
from app.bulk.names import avatar_names, fold
from app.bulk.report import ReportRow, report_lines
from app.bulk.sheet import choose_cells, draw_sheet
from app.bulk.table import RowProblem, check_table, row_spec
from app.drawing import drawing_revision
from app.errors import InvalidName, NameRepeated, PhotoUnreadable, RibbonsError, SpecError
from app.making import Order, make_avatars
from app.render.artwork import set_text
from app.render.avatar import Avatar
from app.render.encode import EXTENSIONS
from app.render.framing import Choice, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from app.bulk.destinations import Destination
    from app.bulk.sheet import Thumb
    from app.bulk.sources import Source, SourcePhoto
    from app.bulk.table import Table, TableRow
    from app.frames import FrameLibrary
    from app.making import Outcome
    from app.settings import Settings
    from app.spec import AvatarSpec

Given = tuple[tuple[str, str], ...]
"""Fields of the spec and their values, as texts."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the report to be: a photo, or a row of the table for which there is none.

    Attributes:
        name: The photo's, or what the row calls it.
        photo: The photo; None where there is none.
        spec: What is asked for; None where that is not right.
        error: Why nothing can be made, known beforehand.
        cells: The photo's row in the table.
        avatar: The avatar's name; None where none can be made.
        made_from: What the avatar is made of, as a digest.
    """

    name: str
    photo: SourcePhoto | None
    spec: AvatarSpec | None
    error: RibbonsError | None
    cells: tuple[str, ...]
    avatar: str | None = None
    made_from: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made of what.

    Attributes:
        items: The table's rows in their order, then the photos that have none.
        columns: The table's own.
        problems: What is wrong with the table's rows.
        unlisted: Names of photos that have no row, where there is a table.
        skipped: Names of files that are left out.
    """

    items: tuple[Item, ...]
    columns: tuple[str, ...]
    problems: tuple[RowProblem, ...]
    unlisted: tuple[str, ...]
    skipped: tuple[str, ...]

    @property
    def avatars(self) -> list[str]:
        """Names of all avatars that can be made."""
        return [item.avatar for item in self.items if item.avatar is not None]

    @property
    def missing(self) -> list[str]:
        """Names that are in the table alone."""
        return [item.name for item in self.items if item.photo is None and item.error is None]

    @property
    def refused(self) -> list[Item]:
        """Photos of which none can be made, whatever the table says."""
        return [item for item in self.items if item.photo and item.photo.refusal]


# -- the plan ----------------------------------------------------------------------


def make_plan(
    source: Source, table: Table | None, given: Given, frames: FrameLibrary, *, looks_for_faces: bool
) -> Plan:
    """Say what is to be made of each photo, and what is wrong with the table, before anything is drawn.

    Args:
        source: The photos.
        table: What is asked for of some of them.
        given: What is asked for of all. A row of the table wins.
        frames: The library that specs refer to.
        looks_for_faces: Whether a face may be looked for at all.

    Raises:
        InvalidSpec: What is asked for of all is not right.
        SpecError: Its words cannot be drawn.
    """
    specs = _Specs(given, frames, looks_for_faces=looks_for_faces)
    specs.of(())
    rows = table.rows if table else ()
    problems = check_table(table, given, frames) if table else []
    problems += _unfit_words(rows, specs, {problem.line for problem in problems})
    first = {problem.line: problem.error for problem in reversed(problems)}
    photos = _match(rows, source.photos, {line for line, e in first.items() if isinstance(e, NameRepeated)})
    items = [_row_item(row, photos.get(row.line), first.get(row.line), specs) for row in rows]
    listed = {id(photo) for photo in photos.values()}
    alone = [photo for photo in source.photos if id(photo) not in listed]
    items += [Item(photo.name, photo, specs.of(()), photo.refusal, ()) for photo in alone]
    return Plan(
        items=tuple(_named(items, frames, specs.of(()))),
        columns=table.columns if table else (),
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        unlisted=tuple(photo.name for photo in alone) if table else (),
        skipped=source.skipped,
    )


class _Specs:
    """What is asked for of a photo, by what its row says: most rows say the same."""

    def __init__(self, given: Given, frames: FrameLibrary, *, looks_for_faces: bool) -> None:
        self._given = given
        self._frames = frames
        self._looks_for_faces = looks_for_faces
        self._known: dict[Given, AvatarSpec] = {}
        self._proved: dict[tuple[str, str, str], SpecError | None] = {}

    def of(self, fields: Given) -> AvatarSpec:
        """Return it. Raises SpecError."""
        if fields not in self._known:
            spec = row_spec(self._given, fields, self._frames)
            self._known[fields] = spec if self._looks_for_faces else spec.without_faces()
        spec = self._known[fields]
        if error := self._wrong_words(spec):
            raise error
        return spec

    def _wrong_words(self, spec: AvatarSpec) -> SpecError | None:
        """Return why somebody's own words cannot be drawn: each is set once, and nothing is drawn."""
        if not spec.slogan:
            return None
        key = (spec.frame, spec.lang, spec.slogan)
        if key not in self._proved:
            frame = self._frames.get(spec.frame)
            self._proved[key] = None
            try:
                for text in frame.texts:
                    set_text(frame, text, spec.lang, spec.slogan)
            except SpecError as error:
                self._proved[key] = error
        return self._proved[key]


def _unfit_words(rows: Sequence[TableRow], specs: _Specs, bad: set[int]) -> Iterator[RowProblem]:
    """Yield the rows, of those that are right otherwise, whose words cannot be drawn."""
    for row in rows:
        if row.line not in bad:
            try:
                specs.of(row.fields)
            except SpecError as error:
                yield RowProblem(row.line, row.photo, error)


def _match(
    rows: Iterable[TableRow], photos: Sequence[SourcePhoto], repeated: set[int]
) -> dict[int, SourcePhoto]:
    """Return the photo of each row, by the row's line.

    A row names a photo with its folders, however its accents are composed. Where nothing has such a name, one
    without folders is taken for the only photo of that file name, in whichever folder: that is how people
    write tables, and how most programs pack a folder.
    """
    exact: dict[str, SourcePhoto] = {}
    folded: dict[str, list[SourcePhoto]] = {}
    files: dict[str, list[SourcePhoto]] = {}
    for photo in sorted(photos, key=lambda photo: photo.refusal is not None):
        exact.setdefault(photo.name, photo)
        folded.setdefault(fold(photo.name), []).append(photo)
        files.setdefault(fold(photo.name.rpartition("/")[2]), []).append(photo)
    found: dict[int, SourcePhoto] = {}
    left = []
    for row in rows:
        candidates = folded.get(fold(row.photo), [])
        if row.line in repeated:
            continue
        if row.photo in exact or candidates:
            found[row.line] = exact.get(row.photo) or candidates[0]
        elif "/" not in row.photo:
            left.append(row)
    taken = {id(photo) for photo in found.values()}
    for row in left:
        candidates = files.get(fold(row.photo), [])
        if len(candidates) == 1 and id(candidates[0]) not in taken:
            found[row.line] = candidates[0]
    return found


def _row_item(row: TableRow, photo: SourcePhoto | None, error: RibbonsError | None, specs: _Specs) -> Item:
    if photo is None:
        # What is asked for of a photo that is not there matters to nobody.
        return Item(row.photo, None, None, None if isinstance(error, SpecError) else error, row.cells)
    spec = None if error else specs.of(row.fields)
    return Item(photo.name, photo, spec, photo.refusal or error, row.cells)


def _named(items: Sequence[Item], frames: FrameLibrary, usual: AvatarSpec) -> Iterator[Item]:
    """Name the avatars, and say what they are made from.

    Photos of which none can be made keep their avatars' names free: what is wrong with them may be mended,
    and no other photo's avatar is called otherwise then.
    """
    names: dict[str, set[str]] = {}
    for item in items:
        if item.photo is not None and not isinstance(item.photo.refusal, InvalidName):
            names.setdefault(_extension(item.spec or usual), set()).add(item.name)
    avatars = {
        (photo, extension): avatar
        for extension, photos in names.items()
        for photo, avatar in avatar_names(photos, extension).items()
    }
    revision = drawing_revision()
    for item in items:
        if not _can_be_made(item):
            yield item
            continue
        avatar = avatars[item.name, _extension(item.spec or usual)]
        yield _with_avatar(item, avatar, revision, frames)


def _can_be_made(item: Item) -> bool:
    return item.photo is not None and item.error is None


def _extension(spec: AvatarSpec) -> str:
    return EXTENSIONS[spec.output_format].removeprefix(".")


def _with_avatar(item: Item, avatar: str, revision: str, frames: FrameLibrary) -> Item:
    spec, photo = cast("AvatarSpec", item.spec), cast("SourcePhoto", item.photo)
    parts = [
        photo.name,
        photo.stamp,
        avatar,
        spec.model_dump_json(),
        revision,
        frames.get(spec.frame).revision,
    ]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    return Item(item.name, photo, spec, None, item.cells, avatar, digest)


# -- what is there -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a plan is.

    Attributes:
        plan: What is to be made.
        known: The report's lines that are known before anything is drawn, by their items' places: of avatars
            that an earlier run has made, of photos of which none can be made, of rows without a photo.
        left: Names of avatars that an earlier run has made, and that are none of the plan's: of a photo that
            was taken away or renamed since, or of another format.
    """

    plan: Plan
    known: Mapping[int, ReportRow]
    left: tuple[str, ...]

    @property
    def waiting(self) -> list[int]:
        """Places of the photos that are to be drawn."""
        return [place for place in range(len(self.plan.items)) if place not in self.known]

    @property
    def kept(self) -> int:
        """How many avatars are there already."""
        return sum(row.outcome == "made" for row in self.known.values())


def look(plan: Plan, destination: Destination) -> Standing:
    """Tell how far a plan is, by what lies in its destination."""
    earlier = destination.earlier()
    known = {}
    for place, item in enumerate(plan.items):
        if item.avatar is None:
            known[place] = _row(item, item.error)
        elif item.made_from in earlier:
            row = _row_again(item, earlier[item.made_from])
            if row is not None:
                known[place] = row
    left = {row["avatar"] for row in earlier.values()}.difference(plan.avatars)
    return Standing(plan, known, tuple(sorted(left)) if destination.leaves_others else ())


def _row(item: Item, error: RibbonsError | None) -> ReportRow:
    """Return the line of an item of which nothing was made."""
    is_missing = item.photo is None and error is None
    return ReportRow(item.name, None, "missing" if is_missing else "failed", error, cells=item.cells)


def _row_again(item: Item, earlier: Mapping[str, str]) -> ReportRow | None:
    """Return the line of an avatar that was made before; None where somebody has changed it."""
    try:
        x, y, zoom, seconds = (float(earlier[name]) for name in ("x", "y", "zoom", "seconds"))
    except ValueError:
        return None
    kind = earlier["framing"]
    if kind not in get_args(Kind) or earlier["avatar"] != item.avatar:
        return None
    framing = Choice(cast("Kind", kind), x, y, zoom)
    return ReportRow(item.name, item.avatar, "made", None, framing, seconds, item.cells, item.made_from)


# -- drawing -----------------------------------------------------------------------


def draw_all(
    standing: Standing,
    destination: Destination,
    settings: Settings,
    language: str,
    tell: Callable[[ReportRow], None],
) -> list[ReportRow]:
    """Draw what is not there yet, and write the report.

    Args:
        standing: What is to be made, and what is known of it.
        destination: Where it goes.
        settings: Limits, workers and where the frames are.
        language: Of the errors' texts in the report.
        tell: Is given the line of each photo that was drawn, or failed, as it comes to be.

    Returns:
        The report's lines, in its order.

    Raises:
        UnusablePlace: Another process writes to the destination.
        OSError: It cannot be written to. What was made before is kept.
        RibbonsError: No photo can be made: a frame is wrong, no worker starts.
        KeyboardInterrupt: Somebody pressed Ctrl-C. What was made before is kept.
    """
    plan, waiting, rows = standing.plan, standing.waiting, dict(standing.known)

    def report(rows: Iterable[ReportRow]) -> list[bytes]:
        return list(report_lines(plan.columns, rows, language, goes_on=True))

    def take(number: int, outcome: Outcome) -> None:
        item = plan.items[waiting[number]]
        row = _deliver(item, outcome, destination)
        rows[waiting[number]] = row
        destination.note(report([row])[-1])
        tell(row)

    before = b"".join(report(rows[place] for place in sorted(rows)))
    if waiting or not destination.is_final(before, _avatars(rows.values())):
        destination.begin(before, [row for row in rows.values() if row.avatar], plan.avatars)
        if waiting:
            orders = [_order(plan.items[place]) for place in waiting]
            make_avatars(orders, orders[0].spec, settings, take)  # workers warm up with what is asked anyway
        destination.finish(b"".join(report(rows[place] for place in sorted(rows))), _avatars(rows.values()))
    return [rows[place] for place in sorted(rows)]


def _avatars(rows: Iterable[ReportRow]) -> list[str]:
    return [row.avatar for row in rows if row.avatar is not None]


def _order(item: Item) -> Order:
    return Order(cast("SourcePhoto", item.photo).read, cast("AvatarSpec", item.spec))


def _deliver(item: Item, outcome: Outcome, destination: Destination) -> ReportRow:
    if isinstance(outcome, Avatar):
        avatar = cast("str", item.avatar)
        try:
            destination.put(avatar, outcome.content)
        except RibbonsError as error:
            return _row(item, error)
        seconds = sum(outcome.seconds.values())
        return ReportRow(
            item.name, avatar, "made", None, outcome.framing, seconds, item.cells, item.made_from
        )
    return _row(item, outcome if isinstance(outcome, RibbonsError) else PhotoUnreadable())


# -- the contact sheet -------------------------------------------------------------


def draw_contact_sheet(rows: Sequence[ReportRow], destination: Destination) -> bytes:
    """Draw all that became of the photos on one picture, a cell for each line of the report.

    Where there are more lines than cells, the doubtful and the failed ones come in first.
    """
    shown = choose_cells(needs_a_look(row.framing) for row in rows)
    thumbs = (_thumb(rows[place], destination) for place in sorted(shown))
    return draw_sheet(thumbs, len(shown))


def _thumb(row: ReportRow, destination: Destination) -> Thumb:
    content = None
    if row.avatar is not None:
        try:
            content = destination.read(row.avatar)
        except OSError:  # somebody has removed it meanwhile
            content = None
    return row.photo, content, is_doubtful(row.framing)
