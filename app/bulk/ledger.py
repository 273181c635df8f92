"""Our own tables: partners' keys, their batches, and what became of each photo. No plain text of theirs.

What would tell who is on a photo (names, a table's cells, own words) comes here sealed and leaves sealed; the
numbers beside it are what a partner is shown while a batch is drawn, and what a ZIP's length is made of. So
the rules of a batch's life are here too, each in one transaction:

- Every outcome has a number of its own in its batch, in the order in which they were written: a reader who
  has seen number 7 misses nothing by asking for what comes after it. (A power cut may take the last ones from
  SQLite: those are drawn and numbered anew.)
- An outcome counts once: for the version of the photo that it was drawn of, while it still waits.
- Nothing is added to a batch that was started, and nothing is written of one that is being erased.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import sqlalchemy as sa
import structlog
from sqlalchemy import event, exc

from app.bulk import migrations
from app.bulk.locks import CONNECT_OPTIONS
from app.errors import StorageFull, StorageUnavailable
from app.faults import Fault
from app.settings import PREFIX, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql.dml import ReturningUpdate

    from app.settings import Settings

BatchState = Literal["open", "running", "done", "erased"]
PhotoState = Literal["missing", "waiting", "done", "failed"]
"""Named but not sent; sent or to be drawn anew; drawn; cannot be drawn."""

SCHEMA = "ribbons"
"""Of our tables in PostgreSQL; DBOS has one of its own beside it."""

_BUSY_SECONDS = 30
"""How long a writer waits for another one of SQLite's. Each has the file for a few milliseconds."""

# Any number: whoever changes the tables holds it, of all that start at once (a PostgreSQL advisory lock).
_MIGRATION_LOCK = 7_205_759_403

_LOG_SECONDS = 60.0

_log = structlog.get_logger(__name__)

metadata = sa.MetaData()

partners = sa.Table(
    "partners",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.LargeBinary, nullable=False),
    sa.Column("photos_a_day", sa.Integer),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("revoked", sa.Double),
)

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("partner", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("table_columns", sa.LargeBinary),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
    sa.Column("expires", sa.Double, nullable=False, index=True),
    sa.Column("numbers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("missing", sa.Integer, nullable=False, server_default="0"),
    sa.Column("received", sa.Integer, nullable=False, server_default="0"),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("events", sa.Integer, nullable=False, server_default="0"),
    sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
    sa.Column("enqueued", sa.Integer, nullable=False, server_default="0"),
    sa.Column("touched", sa.Double, nullable=False),
    sa.Column("trouble", sa.Text),
    sa.Column("notify_at", sa.Double, index=True),
    sa.Column("notify_tries", sa.Integer, nullable=False, server_default="0"),
)

photos = sa.Table(
    "photos",
    metadata,
    sa.Column("batch", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("folded", sa.LargeBinary, nullable=False),
    sa.Column("name", sa.LargeBinary, nullable=False),
    sa.Column("row", sa.LargeBinary),
    sa.Column("wishes", sa.LargeBinary),
    sa.Column("target", sa.LargeBinary),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("event", sa.Integer, nullable=False, server_default="0"),
    sa.Column("finished", sa.Double),
    sa.Column("outcome", sa.LargeBinary),
    sa.Column("refusal", sa.LargeBinary),
    sa.UniqueConstraint("batch", "folded"),
    sa.Index("photos_by_event", "batch", "event"),
    sa.Index("photos_by_state", "batch", "state", "number"),
)

vaults = sa.Table("vaults", metadata, sa.Column("fingerprint", sa.Text, primary_key=True))

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("partner", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("batch", sa.Text, nullable=False, index=True),
    sa.Column("created", sa.Double, nullable=False),
)


def _counted(counter: sa.Column[int]) -> ReturningUpdate[Any]:
    """Return a statement that counts an outcome in its batch."""
    one_more = {"events": batches.c.events + 1, counter.name: counter + 1}
    return (
        batches.update()
        .where(batches.c.id == sa.bindparam("of"), batches.c.state == "running")
        .values({**one_more, "touched": sa.bindparam("now"), "trouble": None})
        .returning(batches.c.events, batches.c.received, batches.c.done, batches.c.failed)
    )


# Both are made once: for each of a batch's photos, to make them took longer than to carry them out.
_COUNTED = {"done": _counted(batches.c.done), "failed": _counted(batches.c.failed)}
_OUTCOME = (
    photos.update()
    .where(
        photos.c.batch == sa.bindparam("of"),
        photos.c.number == sa.bindparam("which"),
        photos.c.version == sa.bindparam("drawn"),
        photos.c.state == "waiting",
    )
    .values(
        state=sa.bindparam("becomes"),
        outcome=sa.bindparam("said"),
        event=sa.bindparam("place"),
        finished=sa.bindparam("now"),
    )
)


class _InVain(Exception):
    """What a transaction began with is not to be written after all."""


class SealedRow(NamedTuple):
    """A table's row: what its photo is found by; the photo's name in it, and all that it says, sealed."""

    folded: bytes
    name: bytes
    row: bytes


class Anew(NamedTuple):
    """A photo that is to be drawn once more.

    Attributes:
        before: As it was.
        generation: Under which it is to be enqueued; nobody else does under this one.
        is_alone: Whether all else that waits is enqueued already.
    """

    before: Row[Any]
    generation: int
    is_alone: bool


class RefusedPhoto(NamedTuple):
    """A photo of which nothing is kept: what its name is found by; the name, and why, sealed."""

    folded: bytes
    name: bytes
    refusal: bytes


class JoinedRow(NamedTuple):
    """A table's row that finds its photo by the file's name alone.

    Attributes:
        missing: The number of the photo that the row named.
        photo: The number of the photo that it is of.
        row: The row, sealed for that one.
    """

    missing: int
    photo: int
    row: bytes


class Ledger:
    """The tables, in SQLite or PostgreSQL. Every method blocks, and is one transaction.

    Raises of all methods:
        StorageUnavailable: The database cannot be reached, or did not answer.
        StorageFull: It has no room.
    """

    def __init__(self, engine: sa.Engine, lock_file: Path | None = None) -> None:
        self._engine = engine
        self._writers = {
            comes_again: engine.execution_options(writes=True, comes_again=comes_again)
            for comes_again in (False, True)
        }
        self._lock_file = lock_file
        self._logged = float("-inf")

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Connect as the settings say; the tables are made by :meth:`migrate`.

        Raises:
            InvalidSettings: The data folder cannot be made.
        """
        if settings.jobs_url is not None:
            url = sa.make_url(settings.jobs_url.get_secret_value()).set(drivername="postgresql+psycopg")
            engine = sa.create_engine(
                url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=dict(CONNECT_OPTIONS)
            )
            return cls(engine.execution_options(schema_translate_map={None: SCHEMA}))
        make_folder(settings.data_folder)
        with suppress(OSError):  # SQLite will say why, and makes its other files as open as this one is
            settings.ledger_file.touch(mode=0o600)
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(settings.ledger_file)),
            connect_args={"timeout": _BUSY_SECONDS},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return cls(engine, settings.data_folder / "ledger.lock")

    @property
    def is_shared(self) -> bool:
        """Whether other machines may have part in it."""
        return self._lock_file is None

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def migrate(self) -> None:
        """Bring the tables to what this code knows. Of several that start at once, one does it."""
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with self._migrating() as connection:
            migrations.upgrade(connection)

    def check_secret(self, fingerprint: str) -> None:
        """See that what is kept here can be opened; the first one to come decides with which secret.

        Args:
            fingerprint: Of the secret; see :class:`app.bulk.sealing.Vault`.

        Raises:
            InvalidSettings: It is sealed with another secret.
        """
        with self._migrating() as connection:  # one at a time, as two may be the first
            held = connection.execute(sa.select(vaults)).scalar_one_or_none()
            if held is None:
                connection.execute(vaults.insert().values(fingerprint=fingerprint))
        if held not in {None, fingerprint}:
            raise InvalidSettings(
                f"{PREFIX}SECRET: what is kept here is sealed with another secret. Give the one that it was "
                "made with; all machines need the same"
            )

    @contextmanager
    def _migrating(self) -> Iterator[Connection]:
        with self._faults():
            if self._lock_file is not None:
                with self._lock_file.open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    with self._engine.execution_options(writes=True).begin() as connection:
                        yield connection
                return
            with self._engine.begin() as connection:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
                yield connection

    @contextmanager
    def _writing(self, *, comes_again: bool = False) -> Iterator[Connection]:
        """Write something down. A power cut takes none of it, unless it would come again by itself."""
        with self._faults(), self._writers[comes_again].begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._faults(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what a database says into ours. Its texts quote what was written."""
        try:
            yield
        # SQLAlchemy's own when no connection becomes free in time, and the driver's where it is asked itself.
        except (exc.DBAPIError, exc.TimeoutError, sqlite3.Error) as error:
            raise self._told(error) from None

    def _told(self, error: Exception) -> StorageFull | StorageUnavailable:
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        now = time.monotonic()
        if now - self._logged > _LOG_SECONDS:
            self._logged = now
            kind = Fault.of(cause).kind if cause else Fault.of(error).kind
            _log.warning("database_failed", kind=kind, code=_code_of(cause))
        return StorageFull() if _code_of(cause) in _FULL else StorageUnavailable()

    # -- partners ----------------------------------------------------------

    def add_partner(self, partner: str, digest: bytes, name: bytes, photos_a_day: int | None) -> None:
        """Keep a new key's digest."""
        values = {"id": partner, "digest": digest, "name": name, "photos_a_day": photos_a_day}
        with self._writing() as connection:
            connection.execute(partners.insert().values(**values, created=time.time()))

    def partner_by_digest(self, digest: bytes) -> Row[Any] | None:
        """Return the partner of a key, unless it was revoked."""
        query = sa.select(partners).where(partners.c.digest == digest, partners.c.revoked.is_(None))
        with self._reading() as connection:
            return connection.execute(query).one_or_none()

    def partner(self, partner: str) -> Row[Any] | None:
        """Return a partner by its id, unless its key was revoked."""
        query = sa.select(partners).where(partners.c.id == partner, partners.c.revoked.is_(None))
        with self._reading() as connection:
            return connection.execute(query).one_or_none()

    def all_partners(self) -> Sequence[Row[Any]]:
        """Return each partner and how many batches it has, in the order in which they came."""
        held = (
            sa.select(sa.func.count())
            .where(batches.c.partner == partners.c.id, batches.c.state != "erased")
            .scalar_subquery()
        )
        with self._reading() as connection:
            return connection.execute(
                sa.select(partners, held.label("batches")).order_by(partners.c.created)
            ).all()

    def revoke_partner(self, partner: str) -> bool:
        """Take a partner's key back, and tell whether there was one that had not been."""
        change = partners.update().where(partners.c.id == partner, partners.c.revoked.is_(None))
        with self._writing() as connection:
            return bool(connection.execute(change.values(revoked=time.time())).rowcount)

    # -- batches -----------------------------------------------------------

    def add_batch(
        self, values: Mapping[str, Any], most: int, idempotency: tuple[bytes, bytes] | None
    ) -> Row[Any] | None:
        """Keep a new batch, or return the one that a request with the same Idempotency-Key has made.

        Args:
            values: Its columns.
            most: Batches that the partner may have open or running.
            idempotency: Digest of the key, and of the request.

        Returns:
            The row of ``requests`` that came before, or None.

        Raises:
            TooManyBatches: The partner has as many as it may.
        """
        partner = values["partner"]
        with self._writing() as connection:
            self._one_at_a_time(connection, partner)
            if idempotency and (before := _request_before(connection, partner, idempotency[0])):
                return before
            held = sa.select(sa.func.count()).where(
                batches.c.partner == partner, batches.c.state.in_(("open", "running"))
            )
            if connection.execute(held).scalar_one() >= most:
                raise TooManyBatches
            now = time.time()
            connection.execute(batches.insert().values(**values, created=now, touched=now))
            if idempotency:
                digest, fingerprint = idempotency
                made = {"digest": digest, "fingerprint": fingerprint, "batch": values["id"]}
                connection.execute(requests.insert().values(partner=partner, created=now, **made))
        return None

    def _one_at_a_time(self, connection: Connection, partner: str) -> None:
        """Let nobody else make a batch of a partner's until this transaction ends.

        What two count or look up at the same moment, neither of them would see. SQLite has one writer anyway.
        """
        if self.is_shared:
            number = sa.func.hashtextextended(partner, _MIGRATION_LOCK)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))

    def batch(self, batch: str) -> Row[Any] | None:
        """Return a batch, unless it is erased."""
        with self._reading() as connection:
            return connection.execute(
                sa.select(batches).where(batches.c.id == batch, batches.c.state != "erased")
            ).one_or_none()

    def batches_of(self, partner: str) -> Sequence[Row[Any]]:
        """Return a partner's batches, the newest first."""
        query = sa.select(batches).where(batches.c.partner == partner, batches.c.state != "erased")
        with self._reading() as connection:
            return connection.execute(query.order_by(batches.c.created.desc())).all()

    def pace(self, batch: str, events: int, window: int = 200) -> tuple[float, int] | None:
        """Return when one of the last outcomes was written, and how many have been since; None for none."""
        query = sa.select(photos.c.finished, photos.c.event).where(
            photos.c.batch == batch, photos.c.event > max(events - window, 0)
        )
        with self._reading() as connection:
            first = connection.execute(query.order_by(photos.c.event).limit(1)).one_or_none()
        return (first.finished, events - first.event) if first else None

    # -- what arrives ------------------------------------------------------

    def put_photo(
        self, batch: str, folded: bytes, name: bytes, token: str, most: int
    ) -> tuple[Row[Any], str | None]:
        """Write down that a photo has arrived.

        Args:
            batch: Whose it is.
            folded: What its name is found by.
            name: Its name, sealed.
            token: Where its bytes are.
            most: Photos that a batch may have.

        Returns:
            The photo, and where the bytes were that came before under its name, if some did.

        Raises:
            BatchGone: There is no such batch.
            NotOpen: It was started.
            TooManyPhotos: It has as many as it may.
        """
        with self._writing() as connection:
            held = _lock_open(connection, batch)
            before = connection.execute(
                sa.select(photos).where(photos.c.batch == batch, photos.c.folded == folded)
            ).one_or_none()
            counts: dict[str, Any] = {"touched": time.time()}
            if before is None:
                if held.received + held.missing >= most:
                    raise TooManyPhotos
                number = held.numbers + 1
                counts |= {"numbers": number, "received": held.received + 1}
                row = {"batch": batch, "number": number, "folded": folded, "name": name}
                connection.execute(photos.insert().values(**row, state="waiting", token=token, version=1))
            else:
                number = before.number
                if before.state == "missing":
                    counts |= {"received": held.received + 1, "missing": held.missing - 1}
                arrived = {"state": "waiting", "name": name, "token": token, "version": before.version + 1}
                connection.execute(_one_photo(batch, number).values(**arrived, refusal=None))
            connection.execute(batches.update().where(batches.c.id == batch).values(**counts))
            return _photo(connection, batch, number), before.token if before else None

    def put_refused(self, batch: str, refused: Sequence[RefusedPhoto], most: int) -> None:
        """Write down photos that cannot be taken, but for those of whose name one has arrived.

        Args:
            batch: Whose they are.
            refused: The photos, no two of one name.
            most: Photos that a batch may have.

        Raises:
            BatchGone: There is no such batch.
            NotOpen: It was started.
            TooManyPhotos: There would be more than there may be.
        """
        with self._writing() as connection:
            held = _lock_open(connection, batch)
            query = sa.select(photos.c.folded, photos.c.number, photos.c.state)
            known = {row.folded: row for row in connection.execute(query.where(photos.c.batch == batch))}
            new = [photo for photo in refused if photo.folded not in known]
            named = [
                photo for photo in refused if photo.folded in known and known[photo.folded].state == "missing"
            ]
            if held.received + held.missing + len(new) > most:
                raise TooManyPhotos
            if new:
                rows = [
                    {"batch": batch, "number": number, "state": "waiting", "version": 1, **photo._asdict()}
                    for number, photo in enumerate(new, held.numbers + 1)
                ]
                connection.execute(photos.insert(), rows)
            for photo in named:
                change = _one_photo(batch, known[photo.folded].number)
                connection.execute(change.values(state="waiting", refusal=photo.refusal))
            connection.execute(
                batches.update()
                .where(batches.c.id == batch)
                .values(
                    numbers=held.numbers + len(new),
                    received=held.received + len(new) + len(named),
                    missing=held.missing - len(named),
                    touched=time.time(),
                )
            )

    def put_table(self, batch: str, columns: bytes, rows: Sequence[SealedRow], most: int) -> None:
        """Write a table down, in the place of the one that came before.

        Args:
            batch: Whose it is.
            columns: Its columns, sealed.
            rows: Its rows, one for each photo that it names.
            most: Photos that a batch may have.

        Raises:
            BatchGone: There is no such batch.
            NotOpen: It was started.
            TooManyPhotos: There would be more than there may be.
        """
        of_batch = photos.c.batch == batch
        with self._writing() as connection:
            held = _lock_open(connection, batch)
            connection.execute(photos.delete().where(of_batch, photos.c.state == "missing"))
            connection.execute(photos.update().where(of_batch).values(row=None))
            known = set(connection.execute(sa.select(photos.c.folded).where(of_batch)).scalars())
            new = [row for row in rows if row.folded not in known]
            if len(known) + len(new) > most:
                raise TooManyPhotos
            if old := [row._asdict() for row in rows if row.folded in known]:
                change = photos.update().where(of_batch, photos.c.folded == sa.bindparam("of"))
                said = [{"of": row["folded"], "said": row["row"]} for row in old]
                connection.execute(change.values(row=sa.bindparam("said")), said)
            if new:
                named = [
                    {"batch": batch, "number": number, "state": "missing", **row._asdict()}
                    for number, row in enumerate(new, held.numbers + 1)
                ]
                connection.execute(photos.insert(), named)
            counts = {"numbers": held.numbers + len(new), "missing": len(new), "touched": time.time()}
            connection.execute(
                batches.update().where(batches.c.id == batch).values(table_columns=columns, **counts)
            )

    def join_rows(self, batch: str, rows: Sequence[JoinedRow]) -> None:
        """Give rows of photos that are missing to photos that have come.

        Raises:
            BatchGone: There is no such batch.
            NotOpen: It was started.
            Changed: One of the photos has a row by now, or is missing no more.
        """
        of_batch = photos.c.batch == batch
        with self._writing() as connection:
            held = _lock_open(connection, batch)
            for row in rows:
                free = of_batch, photos.c.number == row.photo, photos.c.row.is_(None)
                named = of_batch, photos.c.number == row.missing, photos.c.state == "missing"
                given = connection.execute(photos.update().where(*free).values(row=row.row)).rowcount
                if not given or not connection.execute(photos.delete().where(*named)).rowcount:
                    raise Changed
            change = batches.update().where(batches.c.id == batch)
            connection.execute(change.values(missing=held.missing - len(rows), touched=time.time()))

    def start(self, batch: str, targets: Mapping[int, bytes], columns: bytes | None = None) -> bool:
        """Close a batch to what arrives, and have it drawn; tell whether it was still open.

        Args:
            batch: The batch.
            targets: The name of each photo's avatar, sealed, by the photo's number.
            columns: Of the table by which they were chosen, as they are kept; each table's differ.

        Raises:
            BatchGone: There is no such batch.
            Changed: Something arrived since the names were chosen.
        """
        with self._writing() as connection:
            held = _lock(connection, batch)
            if held.state != "open":
                return False
            if len(targets) != held.received + held.missing or columns != held.table_columns:
                raise Changed
            if targets:
                change = photos.update().where(photos.c.batch == batch, photos.c.number == sa.bindparam("of"))
                said = [{"of": number, "said": target} for number, target in targets.items()]
                connection.execute(change.values(target=sa.bindparam("said")), said)
            now = time.time()
            values: dict[str, Any] = {"state": "running", "started": now, "touched": now}
            if not held.received:
                values |= {"state": "done", "finished": now, "notify_at": now, "enqueued": 1}
            connection.execute(batches.update().where(batches.c.id == batch).values(**values))
            return True

    # -- what is drawn -----------------------------------------------------

    def waiting_numbers(self, batch: str) -> list[int]:
        """Return the numbers of the photos that wait to be drawn."""
        query = sa.select(photos.c.number).where(photos.c.batch == batch, photos.c.state == "waiting")
        with self._reading() as connection:
            return list(connection.execute(query.order_by(photos.c.number)).scalars())

    def to_enqueue(self, left_since: float, idle_since: float) -> Sequence[Row[Any]]:
        """Return the running batches that nobody has enqueued, or of which nothing was heard for long.

        Args:
            left_since: Whoever was about to enqueue one at that time has left it.
            idle_since: What was enqueued and not heard of since that time got lost.
        """
        query = sa.select(batches).where(
            batches.c.state == "running",
            sa.or_(
                sa.and_(batches.c.enqueued == 0, batches.c.touched < left_since),
                batches.c.touched < idle_since,
            ),
        )
        with self._reading() as connection:
            return connection.execute(query).all()

    def take_generation(self, batch: str) -> int | None:
        """Return a generation under which nobody else enqueues; None where the batch is not running.

        What waits is read afterwards: who takes a later one knows of all that this one knows of.
        """
        change = batches.update().where(batches.c.id == batch, batches.c.state == "running")
        change = change.values(generation=batches.c.generation + 1, touched=time.time())
        with self._writing() as connection:
            following = connection.execute(change.returning(batches.c.generation)).scalar_one_or_none()
        return None if following is None else int(following) - 1

    def note_enqueued(self, batch: str, generation: int) -> None:
        """Write down that all that waits is enqueued, unless somebody has taken a later generation."""
        change = batches.update().where(batches.c.id == batch, batches.c.generation == generation + 1)
        with self._writing() as connection:
            connection.execute(change.values(enqueued=1, touched=time.time()))

    def note_death(self, batch: str, number: int) -> int:
        """Count a process that ended over a photo, and return how many have."""
        change = _one_photo(batch, number).values(deaths=photos.c.deaths + 1).returning(photos.c.deaths)
        with self._writing(comes_again=True) as connection:
            return connection.execute(change).scalar_one_or_none() or 0

    def note_trouble(self, batch: str, trouble: str) -> None:
        """Write down why a batch does not go on."""
        change = batches.update().where(batches.c.id == batch)
        with self._writing(comes_again=True) as connection:
            connection.execute(change.values(trouble=trouble, touched=time.time()))

    def record(self, batch: str, number: int, version: int, state: PhotoState, outcome: bytes) -> bool:
        """Write an outcome down, if the photo still waits for it; tell whether it did.

        The batch is done with its last outcome, and whoever is to be told of that is told.
        """
        now = time.time()
        which = {"of": batch, "which": number, "drawn": version}
        said = {"becomes": state, "said": outcome, "now": now}
        # Lost, it is drawn once more: to the same bytes.
        with suppress(_InVain), self._writing(comes_again=True) as connection:
            held = connection.execute(_COUNTED[state], {"of": batch, "now": now}).one_or_none()
            if held is None:
                return False
            written = connection.execute(_OUTCOME, {**which, **said, "place": held.events})
            if not written.rowcount:
                raise _InVain
            if held.done + held.failed == held.received:
                connection.execute(
                    batches.update()
                    .where(batches.c.id == batch)
                    .values(
                        state="done",
                        finished=now,
                        # Once: that a photo was drawn anew is no news.
                        notify_at=sa.case((batches.c.finished.is_(None), now), else_=batches.c.notify_at),
                    )
                )
            return True
        return False

    def draw_anew(self, batch: str, number: int, wishes: bytes) -> Anew | None:
        """Have a photo drawn once more; None where it has no outcome yet.

        Args:
            batch: The batch.
            number: The photo's.
            wishes: How it is to be framed, sealed.

        Raises:
            BatchGone: There is no such batch.
        """
        with self._writing() as connection:
            held = _lock(connection, batch)
            before = _photo(connection, batch, number)
            if before.state not in {"done", "failed"}:
                return None
            change = {"state": "waiting", "version": before.version + 1, "wishes": wishes, "deaths": 0}
            connection.execute(_one_photo(batch, number).values(event=0, **change))
            counter = before.state
            counts = {counter: getattr(held, counter) - 1, "generation": held.generation + 1}
            connection.execute(
                batches.update()
                .where(batches.c.id == batch)
                .values({"state": "running", "enqueued": 0, "touched": time.time(), **counts})
            )
            return Anew(before, held.generation, bool(held.enqueued))

    # -- what is read ------------------------------------------------------

    def waiting_photos(self, batch: str, numbers: Sequence[int]) -> Sequence[Row[Any]]:
        """Return those of some photos that wait to be drawn, in the order of their numbers."""
        query = sa.select(photos).where(
            photos.c.batch == batch, photos.c.number.in_(numbers), photos.c.state == "waiting"
        )
        with self._reading() as connection:
            return connection.execute(query.order_by(photos.c.number)).all()

    def photo_by_name(self, batch: str, folded: bytes) -> Row[Any] | None:
        """Return a photo by what its name is found by."""
        with self._reading() as connection:
            return connection.execute(
                sa.select(photos).where(photos.c.batch == batch, photos.c.folded == folded)
            ).one_or_none()

    def photos_after(self, batch: str, number: int, limit: int) -> Sequence[Row[Any]]:
        """Return photos in the order of their numbers."""
        query = sa.select(photos).where(photos.c.batch == batch, photos.c.number > number)
        with self._reading() as connection:
            return connection.execute(query.order_by(photos.c.number).limit(limit)).all()

    def outcomes_after(self, batch: str, after: int, limit: int) -> Sequence[Row[Any]]:
        """Return photos in the order of their outcomes."""
        query = sa.select(photos).where(photos.c.batch == batch, photos.c.event > after)
        with self._reading() as connection:
            return connection.execute(query.order_by(photos.c.event).limit(limit)).all()

    def drawn(self, batch: str) -> Sequence[Row[int, bytes]]:
        """Return number and outcome of each photo that has an avatar, in the order of numbers.

        All at once: 50,000 of them take 20 MB, and a fifth of a second.
        """
        query = sa.select(photos.c.number, photos.c.outcome).where(
            photos.c.batch == batch, photos.c.state == "done"
        )
        with self._reading() as connection:
            return connection.execute(query.order_by(photos.c.number)).all()

    def received(self, batch: str) -> set[bytes]:
        """Return what the names of a batch's photos are found by, of those that were sent."""
        query = sa.select(photos.c.folded).where(photos.c.batch == batch, photos.c.state != "missing")
        with self._reading() as connection:
            return set(connection.execute(query).scalars())

    def missing_photos(self, batch: str, limit: int) -> Sequence[Row[Any]]:
        """Return photos that were named and not sent."""
        query = sa.select(photos).where(photos.c.batch == batch, photos.c.state == "missing")
        with self._reading() as connection:
            return connection.execute(query.order_by(photos.c.number).limit(limit)).all()

    # -- who is told -------------------------------------------------------

    def to_notify(self, now: float) -> Sequence[Row[Any]]:
        """Return the batches whose partner is to be told now: that they are done, so not while they are not.

        One of which a photo is drawn anew, before its partner could be told, is told when it is done again.
        """
        query = sa.select(batches).where(batches.c.notify_at <= now, batches.c.state == "done")
        with self._reading() as connection:
            return connection.execute(query).all()

    def claim_notice(self, batch: str, now: float, until: float) -> bool:
        """Take it on to tell a partner, before others try; tell whether it fell to us."""
        change = batches.update().where(batches.c.id == batch, batches.c.notify_at <= now)
        with self._writing(comes_again=True) as connection:
            claimed = change.values(notify_at=until, notify_tries=batches.c.notify_tries + 1)
            return bool(connection.execute(claimed).rowcount)

    def settle_notice(self, batch: str, again_at: float | None) -> None:
        """Write down when a partner is to be told again, or that it need not be."""
        with self._writing(comes_again=True) as connection:
            connection.execute(batches.update().where(batches.c.id == batch).values(notify_at=again_at))

    # -- the end -----------------------------------------------------------

    def forget_key(self, batch: str) -> bool:
        """Destroy a batch's key: from here on nobody reads what is left. Tell whether there was a batch."""
        change = batches.update().where(batches.c.id == batch)
        nothing = {"wrapped_key": b"", "request": b"", "table_columns": None, "notify_at": None}
        with self._writing() as connection:
            found = connection.execute(change.values(state="erased", expires=0.0, **nothing)).rowcount
        self._checkpoint()
        return bool(found)

    def forget_batch(self, batch: str) -> None:
        """Delete every row of a batch."""
        with self._writing() as connection:
            for table in (photos, requests):
                connection.execute(table.delete().where(table.c.batch == batch))
            connection.execute(batches.delete().where(batches.c.id == batch))
        self._checkpoint()

    def _checkpoint(self) -> None:
        """Have SQLite write what was overwritten to its file, and empty the log that still holds what was."""
        if self.is_shared:
            return
        with self._faults(), self._engine.connect() as connection:
            # By the driver: in a transaction, which SQLAlchemy would begin, it is refused.
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]

    def expired(self, now: float) -> list[str]:
        """Return the batches whose time is over, and those whose end was broken off."""
        query = sa.select(batches.c.id).where(batches.c.expires <= now)
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def all_batches(self) -> set[str]:
        """Return the ids of all batches, those too that are being erased."""
        with self._reading() as connection:
            return set(connection.execute(sa.select(batches.c.id)).scalars())

    def forget_requests(self, before: float) -> None:
        """Forget the Idempotency-Keys that came before a time."""
        with self._writing(comes_again=True) as connection:
            connection.execute(requests.delete().where(requests.c.created < before))


class TooManyBatches(Exception):
    """A partner has as many batches as it may."""


class TooManyPhotos(Exception):
    """A batch has as many photos as it may."""


class BatchGone(Exception):
    """There is no such batch, or it is being erased."""


class NotOpen(Exception):
    """The batch was started."""


class Changed(Exception):
    """Something was written between what was read and what is to be written."""


def make_folder(folder: Path) -> None:
    """Make a folder that nobody else may look into, where there is none.

    Raises:
        InvalidSettings: It cannot be made, or nothing can be written to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return
        reason = os.strerror(errno.EACCES)
    raise InvalidSettings(
        f"{PREFIX}DATA_FOLDER: “{folder}” cannot be used: {reason}. Give a folder that can be written to, or "
        f"take no batches: {PREFIX}BATCHES=false"
    )


# What SQLite and PostgreSQL call a disk that is full.
_FULL = frozenset({"SQLITE_FULL", "53100"})


def _code_of(error: BaseException | None) -> str | None:
    """Return the database's own name of a fault, which quotes nothing."""
    return getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by us, see below.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        # What is deleted is overwritten with zeros.
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # Whoever is going to write says so at once: a reader that becomes a writer is turned away, if another one
    # has written meanwhile, however long it would wait.
    options = connection.get_execution_options()
    if not options.get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    # FULL has the commit on the disk before it is told of: 7 ms, beside those of the photo itself. NORMAL may
    # lose the last ones in a power cut, and never the file. A killed process costs nothing either way.
    synchronous = "NORMAL" if options.get("comes_again") else "FULL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _request_before(connection: Connection, partner: str, digest: bytes) -> Row[Any] | None:
    query = sa.select(requests).where(requests.c.partner == partner, requests.c.digest == digest)
    return connection.execute(query).one_or_none()


def _lock(connection: Connection, batch: str) -> Row[Any]:
    """Read a batch that is about to be changed."""
    query = sa.select(batches).where(batches.c.id == batch, batches.c.state != "erased")
    held = connection.execute(query.with_for_update()).one_or_none()
    if held is None:
        raise BatchGone
    return held


def _lock_open(connection: Connection, batch: str) -> Row[Any]:
    held = _lock(connection, batch)
    if held.state != "open":
        raise NotOpen
    return held


def _one_photo(batch: str, number: int) -> sa.Update:
    return photos.update().where(photos.c.batch == batch, photos.c.number == number)


def _photo(connection: Connection, batch: str, number: int) -> Row[Any]:
    query = sa.select(photos).where(photos.c.batch == batch, photos.c.number == number)
    return connection.execute(query).one()
