from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import LocalStore
from structlog.testing import capture_logs

from app.bulk import store as module
from app.bulk.sealing import OVERHEAD, SealBroken, Vault
from app.bulk.store import ObjectMissing, Store
from app.errors import StorageFull, StorageUnavailable
from app.settings import InvalidSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.s3 import S3Server

ROOT = Path(__file__).parent.parent.parent

VAULT = Vault(b"an entirely public secret of the tests")
KEY = VAULT.new_key()
PHOTO = os.urandom(300_000)


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    """A store in a folder."""
    return Store.build(load_settings(data_folder=tmp_path))


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store in a bucket of its own."""
    s3_server.use(monkeypatch)
    yield Store.build(load_settings(store_url=s3_server.new_store()))
    s3_server.fail(0)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each kind of store: the same is asked of both."""
    made: Store = request.getfixturevalue(request.param)
    return made


# -- objects ---------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"x", PHOTO, b"\0" * 5_300_000], ids=len)
def test_what_was_put_is_got(store: Store, content: bytes) -> None:
    """Bytes of any length come back, those too that S3's clients like to send in parts."""
    store.put("b_1/photos/1.1", content, KEY)
    assert store.get("b_1/photos/1.1", KEY) == content


def test_a_later_object_takes_the_place_of_an_earlier_one(store: Store) -> None:
    """A photo that is sent again after a broken line is there once."""
    for content in (b"first", b"second, longer", b"3rd"):
        store.put("b_1/photos/1.1", content, KEY)
    assert store.get("b_1/photos/1.1", KEY) == b"3rd"


def test_what_is_kept_beside_an_object_is_read_by_itself(store: Store) -> None:
    """Neither is taken for the other, and both are gone with it."""
    store.put("b_1/avatars/1.1", b"an avatar", KEY, b"small")
    assert store.get("b_1/avatars/1.1", KEY, len(b"an avatar")) == b"an avatar"
    assert store.get_beside("b_1/avatars/1.1", KEY, len(b"an avatar")) == b"small"
    for size in (8, 10, None):
        with pytest.raises(SealBroken):
            store.get("b_1/avatars/1.1", KEY, size)
    for size in (0, 8, 10):
        with pytest.raises(SealBroken):
            store.get_beside("b_1/avatars/1.1", KEY, size)
    store.delete(["b_1/avatars/1.1"])
    with pytest.raises(ObjectMissing):
        store.get_beside("b_1/avatars/1.1", KEY, 9)


def test_what_is_not_there_is_missing(store: Store) -> None:
    """Told apart from a store that does not answer; a batch that is not there is no other case."""
    store.put("b_1/photos/1.1", b"x", KEY)
    for name in ("b_1/photos/1.2", "b_1/photos/11.1", "b_2/photos/1.1"):
        with pytest.raises(ObjectMissing):
            store.get(name, KEY)


def test_another_key_does_not_open_an_object(store: Store) -> None:
    """Whoever can read the store needs the batch's key."""
    store.put("b_1/photos/1.1", b"photo", KEY)
    with pytest.raises(SealBroken):
        store.get("b_1/photos/1.1", VAULT.new_key())


def test_objects_are_deleted(store: Store) -> None:
    """Those that are not there are no error, and keep no other from being deleted."""
    for number in range(4):
        store.put(f"b_1/photos/{number}.1", b"x", KEY)
    store.delete(["b_1/photos/9.1", "b_1/photos/0.1", "b_1/avatars/7.1", "b_1/photos/2.1", "b_9/photos/1.1"])
    store.delete([])
    for number in (0, 2):
        with pytest.raises(ObjectMissing):
            store.get(f"b_1/photos/{number}.1", KEY)
    assert store.get("b_1/photos/1.1", KEY) == store.get("b_1/photos/3.1", KEY) == b"x"


def test_a_batch_is_deleted_whole(store: Store) -> None:
    """Nothing of it is left, and nothing of another whose id begins alike is touched."""
    for name in ("photos/1.1", "avatars/1.1", "thumbs/1.2", "archive/a-token/0", "archive/a-token/12"):
        store.put(f"b_1/{name}", b"x", KEY)
    store.put("b_12/photos/1.1", b"another's", KEY)
    store.put("b/photos/1.1", b"another's", KEY)
    assert sorted(store.batches()) == ["b", "b_1", "b_12"]
    store.delete_batch("b_1")
    store.delete_batch("b_1")
    assert sorted(store.batches()) == ["b", "b_12"]
    assert store.get("b_12/photos/1.1", KEY) == b"another's"


def test_there_may_be_no_batch(store: Store) -> None:
    """A store that is new has none."""
    assert list(store.batches()) == []


def test_many_threads_share_a_store(store: Store) -> None:
    """Each gets what it has put, also when several batches come and go at once."""

    def work(number: int) -> None:
        batch, content = f"b_{number % 4}", f"{number}".encode() * 1000
        store.put(f"{batch}/photos/{number}.1", content, KEY)
        assert store.get(f"{batch}/photos/{number}.1", KEY) == content
        if number % 3 == 0:
            store.delete([f"{batch}/photos/{number}.1"])
        if number % 10 == 9:
            store.put(f"gone_{number}/photos/1.1", content, KEY)
            store.delete_batch(f"gone_{number}")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(120)))
    assert sorted(store.batches()) == ["b_0", "b_1", "b_2", "b_3"]


@pytest.mark.parametrize(
    "name", ["", "b_1", "/b_1/x", "../b/x", "b_1/../x", "b_1//x", "b_1/x#1", "b_1/.x", "b_1/x y", "b_1/x\n"]
)
def test_only_names_of_ours_are_names(folder: Store, name: str) -> None:
    """A name that leads elsewhere is a fault of ours, noticed before anything is done."""
    for call in (
        lambda: folder.put(name, b"", KEY),
        lambda: folder.get(name, KEY),
        lambda: folder.delete([name]),
        lambda: folder.delete_batch(name if name != "b_1" else "b_1/x"),
    ):
        with pytest.raises(ValueError, match=r"^not the "):
            call()


# -- what lies there -------------------------------------------------------


def test_what_lies_in_a_folder_is_sealed_and_closed(folder: Store, tmp_path: Path) -> None:
    """Only the service's own user may open the files, and nobody can read them."""
    before = os.umask(0)
    try:
        folder.put("b_1/photos/1.1", b"a canary in a photo", KEY)
    finally:
        os.umask(before)
    file = tmp_path / "store" / "b_1" / "photos" / "1.1"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert len(file.read_bytes()) == len(b"a canary in a photo") + OVERHEAD
    assert b"canary" not in file.read_bytes()


def test_a_folders_own_place_is_seen_to_once(
    folder: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each object go it and its entry; folders above as they are made. Each is a flush of the disk."""
    synced: list[str] = []

    def noted(path: Path, mode: int | None = None) -> None:
        assert path.is_file() == (mode == 0o600)
        synced.append(str(path.relative_to(tmp_path / "store")))

    monkeypatch.setattr(module, "_sync", noted)
    for name in ("b/avatars/1.1", "b/avatars/2.1", "b/thumbs/1.1"):
        folder.put(name, PHOTO, KEY)
    first, second = ["b/avatars/1.1", "b/avatars", "b", "."], ["b/avatars/2.1", "b/avatars"]
    assert synced == [*first, *second, "b/thumbs/1.1", "b/thumbs", "b"]


def test_a_photo_put_in_place_of_another_does_not_open(folder: Store, tmp_path: Path) -> None:
    """Who can write to the disk cannot give a member someone else's photo, not even of the same batch."""
    folder.put("b_1/photos/1.1", b"mine", KEY)
    folder.put("b_1/photos/2.1", b"theirs", KEY)
    photos = tmp_path / "store" / "b_1" / "photos"
    (photos / "1.1").replace(photos / "2.1")
    with pytest.raises(SealBroken):
        folder.get("b_1/photos/2.1", KEY)


def test_old_versions_in_a_bucket_die_with_the_key(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that keeps what was deleted keeps nothing that anyone could read without the batch's key."""
    s3_server.use(monkeypatch)
    address = s3_server.new_store(is_versioned=True)
    store = Store.build(load_settings(store_url=address))
    store.put("b_1/photos/1.1", b"a canary", KEY)
    store.put("b_1/photos/1.1", b"a canary again", KEY)
    store.delete_batch("b_1")
    with pytest.raises(ObjectMissing):
        store.get("b_1/photos/1.1", KEY)
    kept = s3_server.objects(address)
    assert len(kept) == 2
    for sealed in kept.values():
        assert b"canary" not in sealed
        with pytest.raises(SealBroken):
            VAULT.new_key().open(sealed, "b_1/photos/1.1")


def test_more_than_a_page_is_deleted_whole(bucket: Store) -> None:
    """S3 lists and deletes a thousand at a time, whether a batch goes or many objects that are named."""
    names = [f"b_{batch}/photos/{number}.1" for batch in (1, 2) for number in range(1010)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.put(name, b"", KEY), names))
    bucket.delete_batch("b_1")
    assert list(bucket.batches()) == ["b_2"]
    bucket.delete([*names, "b_3/photos/1.1"])
    assert list(bucket.batches()) == []


# -- processes that were killed --------------------------------------------

_WRITES = """
import sys, threading
from app.bulk.sealing import Vault
from app.bulk.store import Store
from app.settings import load_settings
store, key = Store.build(load_settings(data_folder=sys.argv[1])), Vault(b"x" * 32).new_key()
def write(thread):
    for number in range(100_000):
        store.put(f"b_1/photos/{number % 7}-{thread}.1", bytes(2_000_000), key)
for thread in range(4):
    threading.Thread(target=write, args=[thread]).start()
print("writing", flush=True)
"""


def _drafts(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "store").rglob("*#*") if path.is_file()]


def test_what_was_put_outlives_a_power_cut(
    folder: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is told, the file is flushed, and behind it each folder in which something is new."""
    flushed: list[int] = []
    fsync = os.fsync

    def heard(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", heard)
    root = tmp_path / "store"
    for name, new_in in (
        ("b_1/photos/1.1", ("b_1/photos", "b_1", "")),
        ("b_1/photos/2.1", ("b_1/photos",)),
        ("b_1/photos/2.1", ("b_1/photos",)),  # written anew, it is another file
        ("b_1/avatars/1.1", ("b_1/avatars", "b_1")),
    ):
        flushed.clear()
        folder.put(name, PHOTO, KEY)
        assert flushed[0] == (root / name).stat().st_ino, name
        assert {(root / place).stat().st_ino for place in new_in} <= set(flushed[1:]), name


def test_what_a_killed_process_leaves_is_deleted_with_its_batch(folder: Store, tmp_path: Path) -> None:
    """Half-written files are no objects, do not stand in a later writer's way, and go with the batch."""
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITES, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if _drafts(tmp_path):
            break
    drafts = _drafts(tmp_path)
    assert drafts, "obstore's way of writing has changed: see what it leaves behind now"
    assert all(path.name.split("#")[1].isdecimal() for path in drafts)
    half_written = str(drafts[0].relative_to(tmp_path / "store")).split("#")[0]
    folder.put(half_written, b"whole", KEY)
    assert folder.get(half_written, KEY) == b"whole"
    assert list(folder.batches()) == ["b_1"]
    folder.delete_batch("b_1")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_batch_with_nothing_but_half_written_files_is_found(folder: Store, tmp_path: Path) -> None:
    """So that whoever looks for batches that should be gone deletes these too."""
    left = tmp_path / "store" / "b_1" / "photos" / "1.1#1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with pytest.raises(ObjectMissing):
        folder.get("b_1/photos/1.1", KEY)
    assert list(folder.batches()) == ["b_1"]
    folder.delete_batch("b_1")
    assert list(folder.batches()) == []
    assert not left.exists()


# -- a store that fails ----------------------------------------------------


class _Flaky:
    """A folder of obstore's that fails as it is told.

    Args:
        path: The folder.
        errors: What each call raises in turn, before anything is done; None, and the end, let it through.
    """

    def __init__(self, path: Path, errors: Iterator[Exception | None]) -> None:
        self._real = LocalStore(path)
        self._errors = errors
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if error := next(self._errors, None):
                raise error
            return getattr(self._real, name)(*args, **options)

        return call


def _flaky(tmp_path: Path, *errors: Exception | None) -> tuple[Store, _Flaky]:
    objects = _Flaky(tmp_path, iter(errors))
    return Store(objects, tmp_path), objects  # type: ignore[arg-type]  # it does what one does


def _os_error(number: int) -> GenericError:
    """Return what obstore raises for an error of the system: all it says is in the text."""
    return GenericError(f"Generic LocalFileSystem error: Unable to copy …: … (os error {number})\n\nDebug …")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pauses."""
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.0001)


@pytest.mark.usefixtures("quick")
def test_a_folder_that_fails_now_and_then_loses_nothing(tmp_path: Path) -> None:
    """Four failures in a row are outlived, of each call."""
    errors = [_os_error(errno.EIO), OSError(errno.ESTALE, "stale"), _os_error(errno.EAGAIN), _os_error(5)]
    store, objects = _flaky(tmp_path, *errors)
    store.put("b_1/photos/1.1", PHOTO, KEY)
    assert objects.calls == 5
    objects._errors = iter(errors)
    assert store.get("b_1/photos/1.1", KEY) == PHOTO
    objects._errors = iter(errors)
    assert list(store.batches()) == ["b_1"]
    objects._errors = iter(errors)
    store.delete(["b_1/photos/1.1"])
    with pytest.raises(ObjectMissing):
        store.get("b_1/photos/1.1", KEY)


@pytest.mark.usefixtures("quick")
def test_a_folder_that_fails_for_good_is_unavailable(tmp_path: Path) -> None:
    """After five tries the caller is told, in words that hold no path, and may try later."""
    store, objects = _flaky(tmp_path, *[_os_error(errno.EIO)] * 5)
    with capture_logs() as logs, pytest.raises(StorageUnavailable) as error:
        store.put("b_1/photos/1.1", b"x", KEY)
    assert objects.calls == 5
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    assert str(tmp_path) not in str(error.value) + str(logs)
    assert logs == [
        {
            "event": "store_failed",
            "log_level": "error",
            "operation": "put",
            "code": "storage_unavailable",
            "kind": "GenericError",
        }
    ]


@pytest.mark.usefixtures("quick")
def test_trouble_is_logged_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand photos that fail are one line of each kind, until it is time to be reminded."""
    errors = [*[_os_error(errno.ENOSPC)] * 3, *[_os_error(errno.EIO)] * 10, None, _os_error(errno.ENOSPC)]
    store, _ = _flaky(tmp_path, *errors)
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(StorageFull):
                store.put("b_1/photos/1.1", b"x", KEY)
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                store.put("b_1/photos/1.1", b"x", KEY)
        store.put("b_1/photos/1.1", b"x", KEY)
        later = time.monotonic() + 61
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(StorageFull):
            store.put("b_1/photos/1.1", b"x", KEY)
    assert [log["code"] for log in logs] == ["storage_full", "storage_unavailable", "storage_full"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_at_once(tmp_path: Path, number: int) -> None:
    """Trying again would not help; whether obstore says it or the system."""
    for error in (_os_error(number), OSError(number, os.strerror(number))):
        store, objects = _flaky(tmp_path, error)
        with pytest.raises(StorageFull):
            store.put("b_1/photos/1.1", b"x", KEY)
        assert objects.calls == 1


def test_who_may_not_is_told_at_once(tmp_path: Path) -> None:
    """Nor would it help here."""
    store, objects = _flaky(tmp_path, PermissionDeniedError("…"))
    with pytest.raises(StorageUnavailable):
        store.get("b_1/photos/1.1", KEY)
    assert objects.calls == 1


def test_pauses_are_short_and_grow() -> None:
    """A partner's request waits for all tries: under two seconds in all, and threads part ways."""
    pauses = [[module._pause(tries) for tries in range(1, module._TRIES)] for _ in range(50)]
    assert all(sum(row) < 2 for row in pauses)
    assert len({row[0] for row in pauses}) > 40
    assert all(max(column) < 0.8 for column in zip(*pauses, strict=True))
    assert all(0.01 <= row[0] <= 0.03 for row in pauses)


_FILLS = """
import os, resource, sys
from app.bulk.sealing import Vault
from app.bulk.store import Store
from app.errors import StorageFull
from app.settings import load_settings
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
store, key = Store.build(load_settings(data_folder=sys.argv[1])), Vault(b"x" * 32).new_key()
store.put("b_1/photos/1.1", bytes(50_000), key)
try:
    store.put("b_1/photos/2.1", bytes(500_000), key)
except StorageFull:
    print("full")
assert store.get("b_1/photos/1.1", key) == bytes(50_000)
store.put("b_1/photos/3.1", bytes(1000), key)
print(sorted(os.listdir(os.path.join(sys.argv[1], "store", "b_1", "photos"))))
"""


def _fill(folder: Path, file_size: int = resource.RLIM_INFINITY) -> list[str]:
    command = [sys.executable, "-c", _FILLS, str(folder), str(file_size)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()


def test_a_disk_that_is_full_is_told_and_nothing_else_is_lost(tmp_path: Path) -> None:
    """What was there stays, no half of the photo is left, and what still fits is taken."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        assert _fill(tmp_path)[-2:] == ["full", "['1.1', '3.1']"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_limit_of_the_system_on_files_is_told_as_a_full_disk(tmp_path: Path) -> None:
    """``ulimit -f`` ends no process and leaves no half of a photo."""
    assert _fill(tmp_path, 200_000)[-2:] == ["full", "['1.1', '3.1']"]


@pytest.mark.usefixtures("quick")
def test_a_folder_that_vanished_is_not_made_anew(tmp_path: Path) -> None:
    """A disk that was taken away is no empty store: nothing is missing then, nothing is put elsewhere."""
    place = tmp_path / "disk"
    place.mkdir()
    store = Store.build(load_settings(data_folder=place))
    store.put("b_1/photos/1.1", b"x", KEY)
    place.rename(tmp_path / "away")
    for _ in range(2):
        for call in (
            lambda: store.put("b_1/photos/2.1", b"x", KEY),
            lambda: store.get("b_1/photos/1.1", KEY),
            lambda: store.delete(["b_1/photos/1.1"]),
            lambda: store.delete_batch("b_1"),
            lambda: list(store.batches()),
        ):
            with pytest.raises(StorageUnavailable):
                call()
        # The second time there is a folder, but another one.
        (place / "store").mkdir(parents=True, exist_ok=True)
    assert list((place / "store").iterdir()) == []
    (place / "store").rmdir()
    place.rmdir()
    (tmp_path / "away").rename(place)
    assert store.get("b_1/photos/1.1", KEY) == b"x"


def test_a_store_needs_a_folder_it_can_make(tmp_path: Path) -> None:
    """Said at the start, in words for whoever runs the service."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidSettings, match=r"DATA_FOLDER: “.*/store” cannot be made: Not a directory"):
        Store.build(load_settings(data_folder=tmp_path / "file" / "data"))


# -- a bucket that fails ---------------------------------------------------


def test_a_bucket_that_fails_one_request_in_ten_loses_nothing(bucket: Store, s3_server: S3Server) -> None:
    """Of reading, writing, listing and deleting alike."""
    s3_server.fail(0.1)
    for number in range(60):
        bucket.put(f"b_1/photos/{number}.1", f"{number}".encode(), KEY)
    assert [bucket.get(f"b_1/photos/{number}.1", KEY) for number in range(60)] == [
        f"{number}".encode() for number in range(60)
    ]
    bucket.delete_batch("b_1")
    assert list(bucket.batches()) == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (507, "XMinioStorageFull", StorageFull),
        (400, "XMinioAdminBucketQuotaExceeded", StorageFull),
        (403, "QuotaExceeded", StorageFull),
        (403, "AccessDenied", StorageUnavailable),
        (400, "AuthorizationHeaderMalformed", StorageUnavailable),
        (404, "", StorageUnavailable),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_a_bucket_tells_what_it_lacks(
    s3_server: S3Server,
    status: int,
    code: str,
    kind: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Room, rights or an answer: by each call, and never as an object that is missing."""
    monkeypatch.setattr(module, "_S3_RETRIES", {**module._S3_RETRIES, "max_retries": 0})
    store = Store.build(load_settings(store_url=s3_server.new_store()))
    store.put("b_1/photos/1.1", b"x", KEY)
    s3_server.fail(1, status, code)
    for call in (
        lambda: store.put("b_1/photos/1.1", b"x", KEY),
        lambda: store.get("b_1/photos/1.1", KEY),
        lambda: store.delete(["b_1/photos/1.1"]),
        lambda: store.delete_batch("b_1"),
        lambda: list(store.batches()),
    ):
        with pytest.raises(kind):
            call()


def test_a_bucket_that_is_missing_is_no_empty_one(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typo in its name loses no photo: each call says that the store is not there."""
    s3_server.use(monkeypatch)
    store = Store.build(load_settings(store_url="s3://nobody-made-this/here"))
    for call in (
        lambda: store.put("b_1/photos/1.1", b"x", KEY),
        lambda: store.get("b_1/photos/1.1", KEY),
        lambda: store.delete(["b_1/photos/1.1"]),
        lambda: store.delete_batch("b_1"),
        lambda: list(store.batches()),
    ):
        with capture_logs() as logs, pytest.raises(StorageUnavailable) as error:
            call()
        assert "nobody-made-this" not in str(error.value) + str(logs)


def test_wrong_credentials_are_told(bucket: Store, s3_server: S3Server) -> None:
    """The log says of what kind the trouble is, and nothing of bucket, key or address."""
    s3_server.require_known_credentials(is_required=True)
    try:
        with capture_logs() as logs, pytest.raises(StorageUnavailable):
            bucket.put("b_1/photos/1.1", b"x", KEY)
    finally:
        s3_server.require_known_credentials(is_required=False)
    assert [(log["event"], log["kind"]) for log in logs] == [("store_failed", "PermissionDeniedError")]
    assert "batches" not in str(logs)
    assert "127.0.0.1" not in str(logs)


def test_a_bucket_out_of_reach_is_told_soon(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: the caller knows within half a minute, and nothing is lost."""
    s3_server.use(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = Store.build(load_settings(store_url="s3://anywhere"))
    start = time.monotonic()
    with pytest.raises(StorageUnavailable):
        store.put("b_1/photos/1.1", b"x", KEY)
    assert time.monotonic() - start < 30


def test_what_the_environment_contradicts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the words of the library, which may quote a secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not to be shown")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "perhaps")
    with pytest.raises(InvalidSettings, match=r"RIBBONS_STORE_URL: .*AWS_…") as error:
        Store.build(load_settings(store_url="s3://anywhere"))
    assert "not to be shown" not in str(error.value)
    assert "perhaps" not in str(error.value)


def test_a_batch_is_deleted_whole_beside_others_who_delete_in_it(
    folder: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody else was quicker to delete does not keep us from the rest."""
    for number in range(3):
        folder.put(f"b_1/photos/{number}.1", b"photo", KEY)
    unlink = os.unlink

    def come_late(*given: Any, **more: Any) -> None:
        unlink(*given, **more)
        raise FileNotFoundError

    monkeypatch.setattr(os, "unlink", come_late)
    folder.delete_batch("b_1")
    assert list((tmp_path / "store").iterdir()) == []
