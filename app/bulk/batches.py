"""A partner's batches, from the first request to the last byte: what arrives, is told, and is taken home.

A batch's key is unwrapped for one call, or for the transfer that it has begun, and kept by nobody: when the
ledger has forgotten it, nothing new can be done with the batch.

Every method blocks: it is called in a thread.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any, Literal, Protocol

from app import keys
from app.bulk import names
from app.bulk.doubt import needs_a_look
from app.bulk.incoming import Incoming
from app.bulk.ledger import (
    BatchGone,
    Changed,
    JoinedRow,
    NotOpen,
    RefusedPhoto,
    SealedRow,
    TooManyBatches,
    TooManyPhotos,
)
from app.bulk.opened import Batch, BatchPhoto, BatchRequest, Opened
from app.bulk.outcomes import pack_error, unpack_error
from app.bulk.parcel import PackedParts, Parcel, StoredPart
from app.bulk.partners import partner_in
from app.bulk.report import ReportRow, report_lines
from app.bulk.sealing import SealBroken
from app.bulk.sheet import MAX_CELLS, choose_cells, draw_sheet
from app.bulk.store import ObjectMissing, new_batch_id
from app.bulk.table import TableLimits, check_table, read_table
from app.bulk.webhooks import check_url
from app.errors import (
    BatchEmpty,
    BatchFull,
    BatchIncomplete,
    BatchNotDone,
    BatchNotFound,
    BatchNotOpen,
    BatchPhotoNotFound,
    FieldProblem,
    IdempotencyKeyReused,
    InvalidName,
    InvalidRow,
    InvalidSpec,
    KeyNotKnown,
    NameRepeated,
    PhotoTooManyBytes,
    QuotaUsedUp,
    RibbonsError,
)
from app.render.encode import EXTENSIONS, MEDIA_TYPES
from app.spec import AvatarSpec, parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Row

    from app.bulk.ledger import Ledger, PhotoState
    from app.bulk.opened import Partner
    from app.bulk.sealing import BatchKey, Vault
    from app.bulk.store import Store
    from app.bulk.table import RowProblem, Table
    from app.frames import FrameLibrary
    from app.settings import Settings

CHUNK = 50
"""Photos that one process takes on at once, at most; see app/bulk/engine.py."""

_FEW = 8
"""Photos that a chunk has at least, where that is a small part of the batch."""

_SHARES = 16
"""Chunks, at least, that what is left of a batch makes: more than are drawn at once on a few machines."""

WISHES = ("x", "y", "zoom", "rotate", "flip", "faces")
"""The fields of the spec by which one photo of a finished batch can be framed anew."""

PAGE = 1000
"""Rows that are read and opened at once."""

SHOWN_NAMES = 20
"""Of photos that are missing, in the error that says so."""

TOKEN_SECONDS = 600
"""That an address for a download lives. A download that began goes on."""


class Queue(Protocol):
    """What has photos drawn: :class:`app.bulk.engine.Engine`."""

    def enqueue(
        self,
        batch: str,
        partner: str,
        chunks: Sequence[Sequence[int]],
        generation: int = 0,
        *,
        is_all: bool = True,
    ) -> None:
        """Have each chunk drawn, durably, once. Chunks of lower generations wait on only if it is not all."""

    def forget(self, batch: str) -> None:
        """Have nothing of a batch drawn any more."""


@dataclass(frozen=True, slots=True)
class TableReceipt:
    """What a table came to.

    Attributes:
        rows: How many it has.
        problems: What is wrong with some of them. Their photos will fail, unless another table comes.
    """

    rows: int
    problems: list[RowProblem]


@dataclass(frozen=True, slots=True)
class Task:
    """A photo that is to be drawn.

    Attributes:
        batch: Its batch.
        number: Its own.
        version: Of the photo and its framing.
        photo: Where its bytes are.
        avatar: What its avatar is called.
        given: The fields of the spec.
        problem: For which it is not drawn.
    """

    batch: str
    number: int
    version: int
    photo: str
    avatar: str
    given: Mapping[str, str]
    problem: RibbonsError | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """Where batches rest.

    Attributes:
        ledger: The tables.
        store: The bytes.
        vault: What wraps keys.
    """

    ledger: Ledger
    store: Store
    vault: Vault


class Batches:
    """What partners may do. Each method looks only at the batches of the partner it is given.

    Args:
        holdings: Where they rest.
        frames: What specs refer to.
        queue: What has photos drawn.
        settings: Limits and lifetimes.
    """

    def __init__(self, holdings: Holdings, frames: FrameLibrary, queue: Queue, settings: Settings) -> None:
        self._ledger = holdings.ledger
        self._store = holdings.store
        self._vault = holdings.vault
        self._frames = frames
        self._queue = queue
        self._settings = settings

    # -- partners ----------------------------------------------------------

    def partner_of(self, key: str) -> Partner:
        """Return whose key it is.

        Raises:
            KeyNotKnown: Nobody's, or it was revoked.
        """
        if not keys.is_well_formed(key):
            raise KeyNotKnown
        # Found by its digest: how long that takes says nothing of other keys.
        row = self._ledger.partner_by_digest(keys.key_digest(key))
        if row is None:
            raise KeyNotKnown
        return partner_in(row, self._vault)

    # -- a batch's life ----------------------------------------------------

    def create(
        self, partner: Partner, request: BatchRequest, idempotency: tuple[str, bytes] | None = None
    ) -> Batch:
        """Make a batch that photos can be sent to.

        Args:
            partner: Whose it is.
            request: What is asked for.
            idempotency: The Idempotency-Key, and a digest of the request that came with it.

        Raises:
            InvalidSpec: Naming every bad field, ``webhook`` too.
            QuotaUsedUp: The partner has as many batches as it may.
            IdempotencyKeyReused: The key came before with another request.
        """
        self._check(request)
        batch = new_batch_id()
        key = self._vault.new_key()
        said = {
            "spec": request.spec,
            "expected": request.expected,
            "webhook": request.webhook,
            "name": request.name,
        }
        values = {
            "id": batch,
            "partner": partner.id,
            "state": "open",
            "wrapped_key": self._vault.wrap(key, batch),
            "request": key.seal(json.dumps(said, ensure_ascii=False).encode(), f"{batch}/request"),
            "expires": time.time() + self._settings.batch_lifetime,
        }
        # With a key of ours: who has the disk alone could find out what was asked for by trying.
        digests = None
        if idempotency:
            digests = self._vault.digest(idempotency[0].encode()), self._vault.digest(idempotency[1])
        try:
            before = self._ledger.add_batch(values, self._settings.batches_at_once, digests)
        except TooManyBatches:
            raise QuotaUsedUp(60, quota="batches-at-once", limit=self._settings.batches_at_once) from None
        if before is None:
            return self.get(partner, batch)
        if digests and before.fingerprint != digests[1]:
            raise IdempotencyKeyReused
        return self.get(partner, before.batch)

    def _check(self, request: BatchRequest) -> None:
        problems: list[FieldProblem] = []
        if request.webhook is not None:
            try:
                check_url(request.webhook)
            except InvalidSpec as error:
                problems += error.problems
        parse_spec(request.spec, self._frames, problems)

    def get(self, partner: Partner, batch: str) -> Batch:
        """Return a batch.

        Raises:
            BatchNotFound: The partner has none of that id.
        """
        return self._told(self._open(partner, batch))

    def all(self, partner: Partner) -> list[Batch]:
        """Return a partner's batches, the newest first."""
        return [self._told(self._opened(row)) for row in self._ledger.batches_of(partner.id)]

    def start(self, partner: Partner, batch: str, *, without_missing: bool = False) -> Batch:
        """Have a batch's photos drawn; nothing more is taken for it. To start it again changes nothing.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchIncomplete: Photos are missing, and it is not to be started without them.
            BatchEmpty: All are, and none is named.
        """
        opened = self._open(partner, batch)
        while opened.row.state == "open":
            try:
                with _of_batch():
                    if self._join_rows(opened):
                        opened = self._open(partner, batch)
                    if not without_missing:
                        self._refuse_incomplete(opened)
                    self._ledger.start(batch, self._targets(opened), opened.row.table_columns)
            except Changed:  # something arrived meanwhile
                opened = self._open(partner, batch)
                continue
            break
        self.enqueue(batch)
        return self.get(partner, batch)

    def _join_rows(self, opened: Opened) -> bool:
        """Give a row that names no folder to the only photo of that file name; tell whether there was one.

        So people write tables, and most programs put a folder into the ZIP that they make of it. The command
        line does the same (app/bulk/local.py).
        """
        if not opened.row.missing:
            return False
        rows: dict[str, Row[Any]] = {}
        photos: dict[str, list[Row[Any]]] = {}
        for photo in self._rows(opened.id):
            folder, _, file = names.fold(opened.name(photo)).rpartition("/")
            if photo.state != "missing":
                photos.setdefault(file, []).append(photo)
            elif not folder:
                rows[file] = photo
        joined = []
        for file, row in rows.items():
            alike = photos.get(file, [])
            if len(alike) == 1 and alike[0].row is None:
                (photo,) = alike
                joined.append(JoinedRow(row.number, photo.number, opened.seal_row_anew(row, photo)))
        if joined:
            self._ledger.join_rows(opened.id, joined)
        return bool(joined)

    def _refuse_incomplete(self, opened: Opened) -> None:
        row, request = opened.row, opened.request()
        missing = row.missing
        if request.expected is not None:
            missing = max(missing, request.expected - row.received)
        if missing > 0:
            named = [opened.name(photo) for photo in self._ledger.missing_photos(row.id, SHOWN_NAMES)]
            raise BatchIncomplete(missing=missing, names=tuple(named))
        if not row.received:
            raise BatchEmpty

    def _targets(self, opened: Opened) -> dict[int, bytes]:
        """Choose the name of each photo's avatar."""
        request = opened.request()
        usual = self._extension(request.spec) or EXTENSIONS["jpeg"]
        extensions: dict[tuple[tuple[str, str], ...], str] = {}
        numbers: dict[str, dict[str, int]] = {}
        for photo in self._rows(opened.id):
            given = tuple(sorted(opened.given(photo, request).items()))
            if given not in extensions:
                # One that will have no avatar now may have one when what is wrong with its row is mended.
                extensions[given] = self._extension(given) or usual
            numbers.setdefault(extensions[given], {})[opened.name(photo)] = photo.number
        return {
            alike[name]: opened.seal_of("target", alike[name], avatar.encode())
            for extension, alike in numbers.items()
            for name, avatar in names.avatar_names(alike, extension.removeprefix(".")).items()
        }

    def _extension(self, given: Iterable[tuple[str, str]]) -> str | None:
        try:
            return EXTENSIONS[parse_spec(given, self._frames).output_format]
        except RibbonsError:
            return None

    def enqueue(self, batch: str) -> None:
        """Have what waits in a batch drawn, if that was not seen to yet."""
        row = self._ledger.batch(batch)
        if row is None or row.state != "running" or row.enqueued:
            return
        self.enqueue_anew(row)

    def enqueue_anew(self, row: Row[Any]) -> None:
        """Have what waits in a running batch drawn, whether or not it is being seen to."""
        generation = self._ledger.take_generation(row.id)
        if generation is None:
            return
        numbers = self._ledger.waiting_numbers(row.id)
        chunks = _chunks(numbers, max(_SHARES, 8 * self._settings.workers))
        self._enqueue(row, list(chunks), generation, is_all=True)
        self._ledger.note_enqueued(row.id, generation)

    def _enqueue(
        self, row: Row[Any], chunks: Sequence[Sequence[int]], generation: int, *, is_all: bool
    ) -> None:
        self._queue.enqueue(row.id, row.partner, chunks, generation, is_all=is_all)
        if self._ledger.batch(row.id) is None:  # erased meanwhile, and nobody would look for it any more
            self._queue.forget(row.id)

    def erase(self, partner: Partner, batch: str) -> None:
        """Erase a batch, its key first. Nothing of it is drawn or written any more.

        Raises:
            BatchNotFound: The partner has none of that id.
        """
        self._open(partner, batch)
        self.erase_any(batch)

    def erase_any(self, batch: str) -> None:
        """Erase a batch, whosever it is, and go on where that was broken off."""
        self._ledger.forget_key(batch)
        self._queue.forget(batch)
        self._store.delete_batch(batch)
        self._ledger.forget_batch(batch)

    # -- what arrives ------------------------------------------------------

    def has_photo(self, partner: Partner, batch: str, name: str) -> bool:
        """Tell whether a photo of that name has been sent already, before it is received (again).

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchNotOpen: The batch was started.
            InvalidName: A photo may not have that name.
        """
        opened = self._open_to_more(partner, batch)
        row = self._ledger.photo_by_name(batch, opened.folded(_photo_name(name)))
        return row is not None and row.state != "missing"

    def receive_photo(
        self, partner: Partner, batch: str, name: str, content: bytes
    ) -> tuple[BatchPhoto, bool]:
        """Take a photo in. Sent again it replaces itself.

        Returns:
            The photo, and whether it is new in the batch.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchNotOpen: The batch was started.
            BatchFull: It has as many photos as it may.
            InvalidName: A photo may not have that name.
            PhotoTooManyBytes: It is too large.
        """
        opened = self._open(partner, batch)
        return self._receive(opened, _photo_name(name), content)

    def _receive(self, opened: Opened, name: str, content: bytes) -> tuple[BatchPhoto, bool]:
        if len(content) > self._settings.max_photo_bytes:
            raise PhotoTooManyBytes.over(self._settings.max_photo_bytes)
        if opened.row.state != "open":
            raise BatchNotOpen
        folded = opened.folded(name)
        # First the bytes, then the word that they are there. Whatever is broken off leaves bytes of no name,
        # which are erased with the batch.
        token = secrets.token_urlsafe(12)
        self._store.put(_photo_object(opened.id, token), content, opened.key)
        try:
            with _of_batch(self._settings.max_batch_photos):
                row, before = self._ledger.put_photo(
                    opened.id,
                    folded,
                    opened.seal_name(name, folded),
                    token,
                    self._settings.max_batch_photos,
                )
        except (BatchNotFound, BatchNotOpen, BatchFull):
            self._store.delete([_photo_object(opened.id, token)])
            raise  # of any other nobody knows whether it was written that the photo is there
        if before is not None:
            self._store.delete([_photo_object(opened.id, before)])
        return opened.photo(row), before is None

    def archive_writer(self, partner: Partner, batch: str) -> Incoming:
        """Return what takes a ZIP of photos in, as it comes.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchNotOpen: The batch was started.
        """
        opened = self._open_to_more(partner, batch)
        return Incoming(
            self._store,
            opened.key,
            batch,
            self._settings,
            receive=partial(self._receive, opened),
            refuse=partial(self._refuse, opened),
            count_new=partial(self._count_new, opened),
            check=partial(self._check_open, batch),
        )

    def _refuse(self, opened: Opened, refused: Iterable[tuple[str, RibbonsError]]) -> None:
        """Keep why photos cannot be taken, as far as they have a name: they fail when the batch is drawn."""
        found: dict[bytes, RefusedPhoto] = {}
        for name, error in refused:
            if not isinstance(error, InvalidName | NameRepeated):
                folded = opened.folded(name)
                sealed = opened.seal_refusal(error, folded)
                found[folded] = RefusedPhoto(folded, opened.seal_name(name, folded), sealed)
        with _of_batch(self._settings.max_batch_photos):
            self._ledger.put_refused(opened.id, list(found.values()), self._settings.max_batch_photos)

    def _count_new(self, opened: Opened, photos: Sequence[str]) -> int:
        there = self._ledger.received(opened.id)
        return len({opened.folded(name) for name in photos} - there)

    def _check_open(self, batch: str) -> None:
        row = self._ledger.batch(batch)
        if row is None:
            raise BatchNotFound
        if row.state != "open":
            raise BatchNotOpen

    def set_table(
        self, partner: Partner, batch: str, content: bytes, mapping: Mapping[str, str]
    ) -> TableReceipt:
        """Take a table in, in the place of the one that came before.

        Args:
            partner: Whose batch it is.
            batch: The batch.
            content: CSV or XLSX.
            mapping: Our names of columns, and the table's.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchNotOpen: The batch was started.
            BatchFull: It would have more photos than it may.
            TableNotReadable: It cannot be read at all.
            TableTooLarge: It has too many rows.
        """
        opened = self._open(partner, batch)
        table = read_table(content, mapping, TableLimits(rows=self._settings.max_batch_photos))
        problems = check_table(table, opened.request().spec, self._frames)
        left = _left_rows(table, problems)
        token = secrets.token_urlsafe(12) if left else None
        if token:
            content = json.dumps(left, ensure_ascii=False).encode()
            self._store.put(_left_object(batch, token), content, opened.key)
        before = opened.left_rows()
        rows = list(_sealed_rows(opened, table))
        with _of_batch(self._settings.max_batch_photos):
            columns = opened.seal_table(table.columns, token)
            self._ledger.put_table(batch, columns, rows, self._settings.max_batch_photos)
        if before:
            self._store.delete([_left_object(batch, before)])
        return TableReceipt(len(table.rows), problems)

    # -- what is told ------------------------------------------------------

    def photos(self, partner: Partner, batch: str, *, after: int, limit: int) -> list[BatchPhoto]:
        """Return photos in the order of their numbers, those above ``after``.

        Raises:
            BatchNotFound: The partner has none of that id.
        """
        opened = self._open(partner, batch)
        return [opened.photo(row) for row in self._ledger.photos_after(batch, after, limit)]

    def photo(self, partner: Partner, batch: str, name: str) -> BatchPhoto:
        """Return a photo by its name.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchPhotoNotFound: Nobody has sent or named such a photo.
            InvalidName: A photo may not have that name.
        """
        opened = self._open(partner, batch)
        return opened.photo(self._photo(opened, names.clean_name(name)))

    def events(self, partner: Partner, batch: str, *, after: int, limit: int) -> list[BatchPhoto]:
        """Return photos in the order of their outcomes, those whose event is above ``after``.

        Raises:
            BatchNotFound: The partner has none of that id.
        """
        opened = self._open(partner, batch)
        return [opened.photo(row) for row in self._ledger.outcomes_after(batch, after, limit)]

    def report(self, partner: Partner, batch: str, language: str) -> Iterator[bytes]:
        """Return the lines of a report of every photo, as CSV.

        Raises:
            BatchNotFound: The partner has none of that id.
        """
        opened = self._open(partner, batch)
        return report_lines(opened.columns(), self._report_rows(opened), language)

    def _report_rows(self, opened: Opened) -> Iterator[ReportRow]:
        for row in self._rows(opened.id):
            photo = opened.photo(row)
            yield ReportRow(
                photo=photo.name,
                avatar=photo.avatar,
                outcome=_OUTCOMES[photo.state],
                error=photo.error,
                framing=photo.framing,
                seconds=photo.seconds,
                cells=photo.cells,
            )
        if token := opened.left_rows():
            kept = json.loads(self._store.get(_left_object(opened.id, token), opened.key))
            for name, error, cells in kept:
                yield ReportRow(name, None, "failed", unpack_error(error), cells=tuple(cells))

    # -- what is taken home ------------------------------------------------

    def parcel(self, partner: Partner, batch: str) -> Parcel:
        """Return a ZIP of all avatars, to be read in any pieces.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchNotDone: Photos are still to be drawn.
        """
        opened = self._open_done(partner, batch)

        def read(place: str, size: int) -> bytes:
            return self._store.get(place, opened.key, size)

        return Parcel(PackedParts(self._parts(opened), read))

    def _parts(self, opened: Opened) -> Iterator[StoredPart]:
        for number, sealed in self._ledger.drawn(opened.id):
            entry = opened.entry(number, sealed)
            place = avatar_object(opened.id, number, entry.token)
            yield StoredPart(entry.name, entry.size, entry.crc, place)

    def avatar(self, partner: Partner, batch: str, name: str) -> tuple[bytes, str]:
        """Return a photo's avatar and its media type.

        Args:
            partner: Whose batch it is.
            batch: The batch.
            name: The photo's.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchPhotoNotFound: There is no such photo, or no avatar of it.
        """
        opened, row = self._done_photo(partner, batch, name)
        return self._drawn(self._store.get, opened, row), _media_type(opened.open_of("target", row).decode())

    def thumbnail(self, partner: Partner, batch: str, name: str) -> bytes:
        """Return a photo's avatar as a small JPEG; see :meth:`avatar`."""
        opened, row = self._done_photo(partner, batch, name)
        return self._drawn(self._store.get_beside, opened, row)

    def _drawn(self, get: Callable[[str, BatchKey, int], bytes], opened: Opened, row: Row[Any]) -> bytes:
        entry = opened.entry(row.number, row.outcome)
        try:
            return get(avatar_object(opened.id, row.number, entry.token), opened.key, entry.size)
        except ObjectMissing:  # drawn anew, or erased, since it was looked up
            raise BatchPhotoNotFound from None

    def contact_sheet(self, partner: Partner, batch: str) -> bytes:
        """Return a WebP that shows all avatars small, the doubtful ones marked.

        Where there are more than it has cells, the doubtful and the failed ones come in first.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchNotDone: Photos are still to be drawn.
        """
        opened = self._open_done(partner, batch)
        rows = self._rows(opened.id)
        if (count := opened.row.received + opened.row.missing) > MAX_CELLS:
            shown = choose_cells(needs_a_look(opened.photo(row).framing) for row in self._rows(opened.id))
            rows = compress(rows, (number in shown for number in range(count)))
        return draw_sheet(self._cells(opened, rows))

    def _cells(self, opened: Opened, rows: Iterable[Row[Any]]) -> Iterator[tuple[str, bytes | None, bool]]:
        for row in rows:
            photo = opened.photo(row)
            small = None
            if photo.state == "done":
                with suppress(BatchPhotoNotFound):  # drawn anew since: an empty cell
                    small = self._drawn(self._store.get_beside, opened, row)
            yield photo.name, small, photo.doubtful

    def reframe(
        self, partner: Partner, batch: str, name: str, fields: Iterable[tuple[str, str]]
    ) -> BatchPhoto:
        """Have one photo drawn anew with another crop.

        Args:
            partner: Whose batch it is.
            batch: The batch.
            name: The photo's.
            fields: What it is to be, of :data:`WISHES`. What is not given is as the batch and the table say.

        Raises:
            BatchNotFound: The partner has none of that id.
            BatchPhotoNotFound: There is no such photo, or nobody has sent it.
            BatchNotDone: It has not been drawn yet.
            InvalidSpec: Naming every bad field.
        """
        opened = self._open(partner, batch)
        row = self._photo(opened, name)
        if row.state == "missing":  # it will never be drawn: to ask again later is of no use
            raise BatchPhotoNotFound
        wishes = dict(fields)
        unknown = [
            FieldProblem.of(field[:64], "unknown", choices=WISHES) for field in wishes if field not in WISHES
        ]
        given = {**opened.given(row, opened.request()), **wishes}
        parse_spec(((k, v) for k, v in given.items() if k in AvatarSpec.model_fields), self._frames, unknown)
        sealed = opened.seal_of("wishes", row.number, json.dumps(wishes).encode())
        with _of_batch():
            anew = self._ledger.draw_anew(batch, row.number, sealed)
        if anew is None:
            raise BatchNotDone(waiting=self._told(opened).waiting)
        before = anew.before
        # By itself: thousands of others may be waiting, and somebody may reframe one after the other.
        self._enqueue(opened.row, [[before.number]], anew.generation, is_all=False)
        if anew.is_alone:
            self._ledger.note_enqueued(batch, anew.generation)
        if before.state == "done":
            token = opened.entry(before.number, before.outcome).token
            self._store.delete([avatar_object(batch, before.number, token)])
        return self._open(partner, batch).photo(self._photo(opened, name))

    def download_token(self, partner: Partner, batch: str, file: str, language: str) -> tuple[str, datetime]:
        """Return a word that stands for a partner's key for one file of a batch, and until when.

        A browser's own download cannot send the key.

        Args:
            partner: Whose batch it is.
            batch: The batch.
            file: The one file that it is good for.
            language: In which that is told.

        Raises:
            BatchNotFound: The partner has none of that id.
        """
        self._open(partner, batch)
        until = time.time() + TOKEN_SECONDS
        said = json.dumps([partner.id, batch, file, language, until]).encode()
        token = urlsafe_b64encode(self._vault.seal(said, "download")).decode().rstrip("=")
        return token, _time(until)

    def by_token(self, token: str, batch: str, file: str) -> tuple[Partner, str]:
        """Return who may download a file by a word of :meth:`download_token`, and in which language.

        Raises:
            KeyNotKnown: It is none, its time is over, or the partner's key was revoked.
        """
        try:
            sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            partner, *said, language, until = json.loads(self._vault.open(sealed, "download"))
        except (SealBroken, NotBase64, ValueError):
            raise KeyNotKnown from None
        row = self._ledger.partner(partner)
        if said != [batch, file] or until < time.time() or row is None:
            raise KeyNotKnown
        return partner_in(row, self._vault), language

    # -- for whoever draws -------------------------------------------------

    def told(self, batch: str) -> Batch | None:
        """Return a batch, whosever it is; None where there is none."""
        row = self._ledger.batch(batch)
        return self._told(self._opened(row)) if row else None

    def tasks(self, batch: str, numbers: Sequence[int]) -> Iterator[tuple[Task, Opened]]:
        """Yield what is to be done for those of some photos that wait to be drawn, as it is now."""
        row = self._ledger.batch(batch)
        if row is None or row.state != "running":
            return
        opened = self._opened(row)
        request = opened.request()
        for photo in self._ledger.waiting_photos(batch, numbers):
            yield (
                Task(
                    batch=batch,
                    number=photo.number,
                    version=photo.version,
                    photo=_photo_object(batch, photo.token),
                    avatar=opened.target(photo) or "",
                    given=opened.given(photo, request),
                    problem=opened.problem(photo),
                ),
                opened,
            )

    # -- inside ------------------------------------------------------------

    def _open(self, partner: Partner, batch: str) -> Opened:
        row = self._ledger.batch(batch)
        if row is None or row.partner != partner.id:
            raise BatchNotFound
        return self._opened(row)

    def _open_to_more(self, partner: Partner, batch: str) -> Opened:
        opened = self._open(partner, batch)
        if opened.row.state != "open":
            raise BatchNotOpen
        return opened

    def _open_done(self, partner: Partner, batch: str) -> Opened:
        opened = self._open(partner, batch)
        if opened.row.state != "done":
            raise BatchNotDone(waiting=self._told(opened).waiting)
        return opened

    def _opened(self, row: Row[Any]) -> Opened:
        return Opened(row, self._vault.unwrap(row.wrapped_key, row.id))

    def _photo(self, opened: Opened, name: str) -> Row[Any]:
        row = self._ledger.photo_by_name(opened.id, opened.folded(name))
        if row is None:
            raise BatchPhotoNotFound
        return row

    def _done_photo(self, partner: Partner, batch: str, name: str) -> tuple[Opened, Row[Any]]:
        opened = self._open(partner, batch)
        row = self._photo(opened, name)
        if row.state != "done":
            raise BatchPhotoNotFound
        return opened, row

    def _rows(self, batch: str) -> Iterator[Row[Any]]:
        """Yield a batch's photos by number, a page of them in memory.

        Raises:
            BatchNotFound: It was erased meanwhile: these are not all, and nobody is to take them for that.
        """
        after = 0
        while rows := self._ledger.photos_after(batch, after, PAGE):
            yield from rows
            after = rows[-1].number
        if self._ledger.batch(batch) is None:
            raise BatchNotFound

    def _told(self, opened: Opened) -> Batch:
        row, request = opened.row, opened.request()
        waiting = row.received - row.done - row.failed
        rate = self._rate(row) if row.state == "running" else None
        missing = row.missing
        if request.expected is not None and row.state == "open":
            missing = max(missing, request.expected - row.received)
        return Batch(
            id=row.id,
            partner=row.partner,
            state=row.state,
            request=request,
            received=row.received,
            done=row.done,
            failed=row.failed,
            missing=missing,
            waiting=waiting,
            rate=rate,
            seconds_left=waiting / rate if rate else None,
            created=_time(row.created),
            started=_time(row.started) if row.started else None,
            finished=_time(row.finished) if row.finished else None,
            expires=_time(row.expires),
            trouble=row.trouble,
            revision=row.events,
        )

    def _rate(self, row: Row[Any]) -> float | None:
        pace = self._ledger.pace(row.id, row.events)
        if pace is None or not pace[1]:
            return None
        since, count = pace
        return count / max(time.time() - since, 0.001)


_OUTCOMES: Mapping[PhotoState, Literal["made", "failed", "missing", "waiting"]] = {
    "done": "made",
    "failed": "failed",
    "missing": "missing",
    "waiting": "waiting",
}


def avatar_object(batch: str, number: int, token: str) -> str:
    """Return where a photo's avatar is, and a small picture of it; the token is its outcome's."""
    return f"{batch}/avatars/{number}.{token}"


def _photo_object(batch: str, token: str) -> str:
    return f"{batch}/photos/{token}"


def _photo_name(name: str) -> str:
    """Return the name of a photo that is sent by itself.

    Raises:
        InvalidName: It cannot be kept, or is of what systems lay beside photos: left out of folders and ZIPs.
    """
    cleaned = names.clean_name(name)
    if not names.is_photo_name(cleaned):
        raise InvalidName
    return cleaned


def _media_type(name: str) -> str:
    return next(MEDIA_TYPES[kind] for kind, extension in EXTENSIONS.items() if name.endswith(extension))


def _chunks(numbers: Sequence[int], shares: int) -> Iterator[Sequence[int]]:
    """Divide photos into chunks that become smaller towards the end.

    So nobody draws on alone while others have nothing left to do: that took a tenth of a batch's time. But
    each costs the engine some milliseconds, and the next one is taken some tenths of a second later: where
    many had one photo, the last second of a batch became two.
    """
    start, least = 0, max(1, min(_FEW, len(numbers) // (8 * shares)))
    while left := len(numbers) - start:
        size = min(CHUNK, left, max(least, left // shares))
        yield numbers[start : start + size]
        start += size


def _sealed_rows(opened: Opened, table: Table) -> Iterator[SealedRow]:
    """Yield the rows that name a photo, sealed; of two that name one, the first."""
    first = table.by_photo()
    for row in table.rows:
        if row.photo and first[names.fold(row.photo)] is row:
            folded = opened.folded(row.photo)
            yield SealedRow(folded, opened.seal_name(row.photo, folded), opened.seal_row(row, folded))


def _left_rows(table: Table, problems: Iterable[RowProblem]) -> list[tuple[str, Any, tuple[str, ...]]]:
    """Return the rows that are no photo's, for the report: what they name, why they are none, their cells."""
    first = table.by_photo()
    errors = {problem.line: problem.error for problem in reversed([*problems])}
    return [
        (row.photo, pack_error(errors.get(row.line) or row.problem or InvalidRow(row=row.line)), row.cells)
        for row in table.rows
        if not row.photo or first[names.fold(row.photo)] is not row
    ]


def _left_object(batch: str, token: str) -> str:
    return f"{batch}/table/{token}"


@contextmanager
def _of_batch(limit: int = 0) -> Iterator[None]:
    """Tell what the ledger refuses in the words that partners read."""
    try:
        yield
    except BatchGone:
        raise BatchNotFound from None
    except NotOpen:
        raise BatchNotOpen from None
    except TooManyPhotos:
        raise BatchFull(limit=limit) from None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
