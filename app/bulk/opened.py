"""A partner's batch and its photos: here the ledger's columns are opened and sealed.

Each is sealed for its own place (the context), so that none can be read as another one's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from app.bulk import outcomes
from app.bulk.doubt import is_doubtful
from app.bulk.names import fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Row

    from app.bulk.ledger import PhotoState
    from app.bulk.outcomes import Entry, Outcome
    from app.bulk.sealing import BatchKey
    from app.bulk.table import TableRow
    from app.errors import RibbonsError
    from app.render.framing import Choice

Pairs = tuple[tuple[str, str], ...]
State = Literal["open", "running", "done"]


@dataclass(frozen=True, slots=True)
class Partner:
    """Who has a key.

    Attributes:
        id: ``p_…``; says nothing of who it is.
        name: As whoever runs the service wrote it.
        photos_a_day: What the key allows; None for what the settings say.
        created: When the key was made.
        revoked: When it was taken back.
        batches: How many it has now; known of those that are listed.
    """

    id: str
    name: str
    photos_a_day: int | None
    created: datetime
    revoked: datetime | None = None
    batches: int = 0


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a partner asks for.

    Attributes:
        spec: Of every photo, as far as the table says nothing else.
        expected: How many photos will be sent, if that is known.
        webhook: The address that is told when the batch is done.
        name: Of the result, for files.
    """

    spec: Pairs = ()
    expected: int | None = None
    webhook: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as its partner sees it. Counts are of photos.

    Attributes:
        missing: Named in the table, or expected, and not sent.
        waiting: Sent and not drawn yet.
        rate: Photos a second, of the last ones; None while nothing is drawn.
        seconds_left: Until all are drawn at that rate.
        expires: When it is erased, however far it is.
        trouble: The code of the error for which it does not go on just now.
        revision: Grows with every outcome.
    """

    id: str
    partner: str
    state: State
    request: BatchRequest
    received: int
    done: int
    failed: int
    missing: int
    waiting: int
    rate: float | None
    seconds_left: float | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    expires: datetime
    trouble: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class BatchPhoto:
    """A photo of a batch, and what became of it.

    Attributes:
        number: In the order in which they came.
        name: As it was sent, or as the table names it.
        state: See :data:`app.bulk.ledger.PhotoState`.
        error: Why there is no avatar.
        framing: Which square of it is seen.
        doubtful: Whether a person should look at that.
        seconds: That drawing took.
        avatar: The avatar's name, where there is one.
        event: The number of the outcome in the batch; 0 while there is none.
        version: Grows whenever it is sent or framed anew.
        cells: Its row of the table, whole.
    """

    number: int
    name: str
    state: PhotoState
    error: RibbonsError | None
    framing: Choice | None
    doubtful: bool
    seconds: float | None
    avatar: str | None
    event: int
    version: int
    cells: tuple[str, ...]


class SaidRow(NamedTuple):
    """What a table says of a photo.

    Attributes:
        fields: Of the spec.
        cells: The whole row.
        problem: What is wrong with it, for which the photo is not drawn.
    """

    fields: dict[str, str]
    cells: tuple[str, ...]
    problem: RibbonsError | None


class Opened:
    """A batch's row with its key: what opens and seals the rest."""

    def __init__(self, row: Row[Any], key: BatchKey) -> None:
        self.row = row
        self.key = key
        self.id: str = row.id

    def request(self) -> BatchRequest:
        """Return what was asked for."""
        values = json.loads(self.key.open(self.row.request, f"{self.id}/request"))
        spec = tuple((field, value) for field, value in values.pop("spec"))
        return BatchRequest(spec=spec, **values)

    def columns(self) -> tuple[str, ...]:
        """Return the table's columns; none where there is no table."""
        return tuple(self._table()[0])

    def left_rows(self) -> str | None:
        """Return the token of what is kept of rows that are no photo's; None where there are none."""
        token: str | None = self._table()[1]
        return token

    def seal_table(self, columns: Sequence[str], left_rows: str | None) -> bytes:
        """Seal a table's columns, and the token of the rows that are no photo's."""
        said = json.dumps([columns, left_rows], ensure_ascii=False).encode()
        return self.key.seal(said, f"{self.id}/columns")

    def _table(self) -> tuple[list[str], str | None]:
        if self.row.table_columns is None:
            return [], None
        columns, left = json.loads(self.key.open(self.row.table_columns, f"{self.id}/columns"))
        return columns, left

    def folded(self, name: str) -> bytes:
        """Return what a photo of some name is found by."""
        return self.key.digest(fold(name))

    def seal_name(self, name: str, folded: bytes) -> bytes:
        """Seal a photo's name."""
        return self.key.seal(name.encode(), f"{self.id}/name/{folded.hex()}")

    def name(self, photo: Row[Any]) -> str:
        """Return a photo's name."""
        return self.key.open(photo.name, f"{self.id}/name/{photo.folded.hex()}").decode()

    def seal_row(self, row: TableRow, folded: bytes) -> bytes:
        """Seal a table's row."""
        problem = outcomes.pack_error(row.problem) if row.problem else None
        said = json.dumps([row.fields, row.cells, problem], ensure_ascii=False).encode()
        return self.key.seal(said, f"{self.id}/row/{folded.hex()}")

    def seal_row_anew(self, row: Row[Any], photo: Row[Any]) -> bytes:
        """Seal a row that was one photo's for another one."""
        said = self.key.open(row.row, f"{self.id}/row/{row.folded.hex()}")
        return self.key.seal(said, f"{self.id}/row/{photo.folded.hex()}")

    def table_row(self, photo: Row[Any]) -> SaidRow:
        """Return what the table says of a photo; nothing where it does not name it."""
        if photo.row is None:
            return SaidRow({}, (), None)
        fields, cells, problem = json.loads(self.key.open(photo.row, f"{self.id}/row/{photo.folded.hex()}"))
        return SaidRow(dict(fields), tuple(cells), outcomes.unpack_error(problem) if problem else None)

    def seal_refusal(self, error: RibbonsError, folded: bytes) -> bytes:
        """Seal why a photo cannot be taken."""
        said = json.dumps(outcomes.pack_error(error), ensure_ascii=False).encode()
        return self.key.seal(said, f"{self.id}/refusal/{folded.hex()}")

    def problem(self, photo: Row[Any]) -> RibbonsError | None:
        """Return why a photo is not drawn, where it is known: it could not be taken, or its row is wrong."""
        if photo.refusal is None:
            return self.table_row(photo).problem
        said = self.key.open(photo.refusal, f"{self.id}/refusal/{photo.folded.hex()}")
        return outcomes.unpack_error(json.loads(said))

    def seal_of(self, kind: str, number: int, content: bytes) -> bytes:
        """Seal what a column of a photo holds."""
        return self.key.seal(content, f"{self.id}/{kind}/{number}")

    def open_of(self, kind: str, photo: Row[Any]) -> bytes:
        """Return what a column of a photo holds."""
        return self.key.open(getattr(photo, kind), f"{self.id}/{kind}/{photo.number}")

    def outcome(self, photo: Row[Any]) -> Outcome | None:
        """Return what became of a photo; None while nothing has."""
        # What is left of an outcome while the photo is drawn anew is none.
        if photo.outcome is None or photo.state not in {"done", "failed"}:
            return None
        return outcomes.unpack(self.open_of("outcome", photo))

    def entry(self, number: int, sealed: bytes) -> Entry:
        """Return an avatar as a file in a ZIP, of the outcome that a photo has."""
        return outcomes.unpack_entry(self.key.open(sealed, f"{self.id}/outcome/{number}"))

    def target(self, photo: Row[Any]) -> str | None:
        """Return the name of a photo's avatar; None before the batch was started."""
        return self.open_of("target", photo).decode() if photo.target is not None else None

    def given(self, photo: Row[Any], request: BatchRequest) -> dict[str, str]:
        """Return the fields of a photo's spec: the batch's, then its row's, then how it is to be framed."""
        fields = self.table_row(photo).fields
        wishes = json.loads(self.open_of("wishes", photo)) if photo.wishes is not None else {}
        return {**dict(request.spec), **{name: said for name, said in fields.items() if said}, **wishes}

    def photo(self, row: Row[Any]) -> BatchPhoto:
        """Return a photo as its partner sees it."""
        outcome = self.outcome(row)
        framing = outcome.framing if outcome else None
        return BatchPhoto(
            number=row.number,
            name=self.name(row),
            state=row.state,
            error=outcome.error if outcome else None,
            framing=framing,
            doubtful=is_doubtful(framing),
            seconds=outcome.seconds if outcome else None,
            avatar=self.target(row) if row.state == "done" else None,
            event=row.event,
            version=row.version,
            cells=self.table_row(row).cells,
        )
