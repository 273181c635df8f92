from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from app.bulk import sealing
from app.bulk.sealing import OVERHEAD, BatchKey, SealBroken, Vault, open_vault
from app.settings import InvalidSettings, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent

SECRET = b"an entirely public secret of the tests"
VAULT = Vault(SECRET)
KEY = VAULT.new_key()

needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX owners and modes")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data folder is not there yet."""
    return load_settings(data_folder=tmp_path / "state" / "data")


# -- sealing ---------------------------------------------------------------


@given(content=st.binary(max_size=2000), context=st.text(max_size=80))
def test_what_was_sealed_opens_again(content: bytes, context: str) -> None:
    """The same key and context give back the bytes, none included."""
    sealed = KEY.seal(content, context)
    assert KEY.open(sealed, context) == content
    assert len(sealed) == len(content) + OVERHEAD


@given(place=st.integers(0, 99 + OVERHEAD), bit=st.integers(0, 7))
def test_a_changed_bit_is_noticed(place: int, bit: int) -> None:
    """Wherever it is: in the scheme, the nonce, the bytes or the tag."""
    sealed = bytearray(KEY.seal(b"x" * 100, "b/photos/1.1"))
    sealed[place] ^= 1 << bit
    with pytest.raises(SealBroken):
        KEY.open(bytes(sealed), "b/photos/1.1")


@given(length=st.integers(0, 40 + OVERHEAD - 1))
def test_what_was_cut_short_does_not_open(length: int) -> None:
    """A file that a full disk cut off is not taken for a photo, nor is an empty one."""
    with pytest.raises(SealBroken):
        KEY.open(KEY.seal(b"x" * 40, "name")[:length], "name")


def test_bytes_that_were_moved_do_not_open() -> None:
    """Who can write to the store cannot give one member another's photo."""
    sealed = KEY.seal(b"photo", "batch/photos/1.1")
    for other in ("batch/photos/2.1", "batch/avatars/1.1", "other/photos/1.1", "", "batch/photos/1.10"):
        with pytest.raises(SealBroken):
            KEY.open(sealed, other)


def test_another_key_opens_nothing() -> None:
    """Each batch has a key of its own."""
    with pytest.raises(SealBroken):
        VAULT.new_key().open(KEY.seal(b"photo", "name"), "name")


def test_another_scheme_is_not_tried() -> None:
    """What was written by a version to come is told from what this one reads, by its first byte."""
    sealed = KEY.seal(b"photo", "name")
    assert sealed[0] == 1
    with pytest.raises(SealBroken):
        KEY.open(b"\x02" + sealed[1:], "name")


def test_the_same_bytes_are_never_sealed_alike() -> None:
    """Nonces are new each time, in all threads."""
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda _: KEY.seal(b"the same", "name"), range(4000)))
    assert len({one[1:13] for one in sealed}) == 4000


def test_sealed_bytes_say_nothing() -> None:
    """Neither the bytes nor their context can be read."""
    sealed = KEY.seal(b"canary" * 10, "a context to look for")
    assert b"canary" not in sealed
    assert b"context" not in sealed


def test_no_key_is_used_for_two_things() -> None:
    """What one part of the vault has sealed, no other part opens."""
    sealed = VAULT.seal(b"x" * 32, "one")
    for open_it in (lambda: VAULT.unwrap(sealed, "one"), lambda: KEY.open(sealed, "one")):
        with pytest.raises(SealBroken):
            open_it()
    with pytest.raises(SealBroken):
        VAULT.open(VAULT.wrap(KEY, "one"), "one")
    # Nor is the secret itself, or a batch's key itself, the key of anything.
    for raw, message in ((SECRET[:32], sealed), (KEY._key, KEY.seal(b"", "one"))):
        with pytest.raises(InvalidTag):
            AESGCM(raw).decrypt(message[1:13], message[13:], message[:1] + b"one")


def test_what_was_sealed_by_this_version_opens_for_ever() -> None:
    """What is on disks now is read by the code to come: scheme, derivation and their words are fixed."""
    raw, nonce = bytes(range(32)), bytes(range(12))
    cipher = AESGCM(_hkdf(raw, "red-ribbons/1/batch/seal"))
    sealed = b"\x01" + nonce + cipher.encrypt(nonce, b"photo", b"\x01b/photos/1.1")
    assert sealed.hex() == "01000102030405060708090a0bef9e601a340e8e69392dd21e7a72b6f677c5b536a4"
    key = BatchKey(raw)
    assert key.open(sealed, "b/photos/1.1") == b"photo"
    digests = _hkdf(raw, "red-ribbons/1/batch/digest")
    assert key.digest("اسم.jpg") == hmac.digest(digests, "اسم.jpg".encode(), "sha256")
    wrapping = AESGCM(_hkdf(SECRET, "red-ribbons/1/wrap"))
    wrapped = b"\x01" + nonce + wrapping.encrypt(nonce, raw, b"\x01b_1")
    assert VAULT.unwrap(wrapped, "b_1").open(sealed, "b/photos/1.1") == b"photo"
    webhooks = _hkdf(_hkdf(SECRET, "red-ribbons/1/webhook"), "red-ribbons/1/partner/p_1")
    assert VAULT.webhook_secret("p_1") == "whsec_" + base64.b64encode(webhooks).decode()


def _hkdf(key: bytes, info: str) -> bytes:
    """RFC 5869 for one block, by its own words."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info.encode() + b"\x01", "sha256")


# -- names -----------------------------------------------------------------


@given(text=st.text(st.characters()))
def test_a_name_has_one_digest(text: str) -> None:
    """By which it is found again, whatever is in it."""
    assert KEY.digest(text) == KEY.digest(text)
    assert len(KEY.digest(text)) == 32
    assert KEY.digest(text) != KEY.digest(text + " ")


def test_a_digest_needs_the_key() -> None:
    """Nobody finds a name in a list of digests by trying all members' names, without the batch's key."""
    name = "Layla Haddad.jpg"
    assert VAULT.new_key().digest(name) != KEY.digest(name)
    assert KEY.digest(name) != hashlib.sha256(name.encode()).digest()


# -- the vault -------------------------------------------------------------


def test_a_wrapped_key_opens_what_it_has_sealed() -> None:
    """Also in another process that knows the secret."""
    sealed = KEY.seal(b"photo", "name")
    again = Vault(SECRET).unwrap(VAULT.wrap(KEY, "b_1"), "b_1")
    assert again.open(sealed, "name") == b"photo"
    assert again.digest("x") == KEY.digest("x")


def test_a_wrapped_key_is_of_one_batch_and_one_secret() -> None:
    """It cannot be put beside another batch, nor opened by another service."""
    wrapped = VAULT.wrap(KEY, "b_1")
    with pytest.raises(SealBroken):
        VAULT.unwrap(wrapped, "b_2")
    with pytest.raises(SealBroken):
        Vault(SECRET + b"!").unwrap(wrapped, "b_1")
    assert KEY._key not in wrapped


def test_what_belongs_to_no_batch_is_sealed_too() -> None:
    """A partner's name is readable with the secret alone."""
    sealed = VAULT.seal("نقابة".encode(), "partner/p_1")
    assert Vault(SECRET).open(sealed, "partner/p_1").decode() == "نقابة"
    with pytest.raises(SealBroken):
        VAULT.open(sealed, "partner/p_2")


def test_webhook_secrets_are_what_the_standard_asks_for() -> None:
    """A partner verifies with the usual library; each has its own, the same after a restart."""
    secret = VAULT.webhook_secret("p_1")
    assert secret == Vault(SECRET).webhook_secret("p_1")
    assert secret != VAULT.webhook_secret("p_2")
    assert secret != Vault(SECRET + b"!").webhook_secret("p_1")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    assert Webhook(secret).sign("msg_1", datetime.now(UTC), "{}").startswith("v1,")


def test_what_is_not_kept_is_found_with_the_secret_alone() -> None:
    """The same content has the same digest; nobody without the secret can try which one it was."""
    assert VAULT.digest(b"a request") == Vault(SECRET).digest(b"a request")
    assert VAULT.digest(b"a request") != VAULT.digest(b"another")
    assert VAULT.digest(b"a request") != Vault(SECRET + b"!").digest(b"a request")
    assert VAULT.digest(b"a request") != hashlib.sha256(b"a request").digest()


def test_a_fingerprint_tells_secrets_apart() -> None:
    """Machines that were given different secrets can notice it, without showing any."""
    assert VAULT.fingerprint == Vault(SECRET).fingerprint
    assert VAULT.fingerprint != Vault(SECRET + b"!").fingerprint
    assert len(bytes.fromhex(VAULT.fingerprint)) == 16


@pytest.mark.parametrize("keeper", [VAULT, KEY, KEY._seal], ids=lambda one: type(one).__name__)
def test_nothing_that_has_a_key_shows_it(keeper: object) -> None:
    """Not in a log, a trace, a pickle for another process or a copy; it has no dictionary to look into."""
    assert repr(keeper) == str(keeper) == f"{keeper}" == f"<{type(keeper).__name__}>"
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be copied"):
            way(keeper)
    with pytest.raises(TypeError):
        vars(keeper)


@pytest.mark.parametrize("make", [lambda: Vault(b"x" * 31), lambda: BatchKey(b"x" * 31)])
def test_a_short_key_is_a_mistake(make: Callable[[], object]) -> None:
    """Nothing is sealed with less than 256 bits."""
    with pytest.raises(ValueError, match="32 bytes"):
        make()


# -- where the secret comes from -------------------------------------------


def _opens_the_same(one: Vault, other: Vault) -> bool:
    try:
        return other.open(one.seal(b"x", "y"), "y") == b"x"
    except SealBroken:
        return False


def _names(settings: Settings) -> list[str]:
    return [path.name for path in settings.data_folder.iterdir()]


def _file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "given"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_a_secret_of_the_environment_is_used() -> None:
    """Nothing is made then, and nothing is said."""
    with capture_logs() as logs:
        vault = open_vault(load_settings(secret=SecretStr(SECRET.decode()), data_folder="/nowhere"))
    assert _opens_the_same(vault, VAULT)
    assert not logs


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \n"])
def test_a_file_may_end_with_a_line(tmp_path: Path, end: bytes) -> None:
    """The same secret is the same in a file, with or without the line's end, and in the environment."""
    vault = open_vault(load_settings(secret_file=_file(tmp_path, SECRET + end)))
    assert _opens_the_same(vault, VAULT)


def test_a_file_need_not_be_text(tmp_path: Path) -> None:
    """Bytes of chance are as good."""
    content = bytes(range(128, 192))
    vault = open_vault(load_settings(secret_file=_file(tmp_path, content)))
    assert _opens_the_same(vault, Vault(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 0 characters, and needs at least 32"),
        (b"\n", "has 0 characters"),
        (b"change-me\n", "has 9 characters.*openssl rand -base64 32"),
        (b"x" * 31, "has 31 characters"),
        (b"x" * 5000, "too long to be one"),
    ],
)
def test_a_file_with_no_secret_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """Nothing is sealed with what can be guessed; the message says how to make a good one."""
    with pytest.raises(InvalidSettings, match=f"(?s){words}") as error:
        open_vault(load_settings(secret_file=_file(tmp_path, content)))
    assert "change-me" not in str(error.value)


def test_a_secret_of_the_environment_that_is_mostly_blank_is_refused() -> None:
    """What the setting itself takes for long enough is measured again without the blanks."""
    with pytest.raises(InvalidSettings, match="RIBBONS_SECRET: the secret has 5 characters"):
        open_vault(load_settings(secret=SecretStr("short" + " " * 40)))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A secret that somebody has named is never made anew in silence: the batches need the old one."""
    with pytest.raises(InvalidSettings, match="cannot be read: No such file"):
        open_vault(load_settings(secret_file=tmp_path / "typo"))
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A mount that did not happen leaves an empty folder where the file should be."""
    with pytest.raises(InvalidSettings, match="cannot be read: Is a directory"):
        open_vault(load_settings(secret_file=tmp_path))


def test_two_secrets_contradict_each_other(tmp_path: Path) -> None:
    """Nobody has to guess which of them the batches are sealed with."""
    with pytest.raises(InvalidSettings, match="RIBBONS_SECRET and RIBBONS_SECRET_FILE are both given"):
        open_vault(load_settings(secret=SecretStr("x" * 40), secret_file=_file(tmp_path, SECRET)))


@needs_owners
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o620])
def test_a_file_of_ours_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    """As ssh refuses it, with what to do about it."""
    with pytest.raises(InvalidSettings, match=rf"open to others \(mode {mode:04o}\). `chmod 600`"):
        open_vault(load_settings(secret_file=_file(tmp_path, SECRET, mode)))


@needs_owners
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_we_may_open_is_taken(tmp_path: Path, mode: int) -> None:
    """Read-only is fine."""
    assert _opens_the_same(open_vault(load_settings(secret_file=_file(tmp_path, SECRET, mode))), VAULT)


@needs_owners
def test_a_file_of_another_owner_is_theirs_to_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers are handed secrets as files of root that all may read."""
    file = _file(tmp_path, SECRET, 0o444)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    assert _opens_the_same(open_vault(load_settings(secret_file=file)), VAULT)


# -- a secret that is made -------------------------------------------------


def test_a_secret_is_made_where_there_is_none(settings: Settings) -> None:
    """Once, in a file and a folder of the service alone; and it says so once."""
    with capture_logs() as logs:
        first, second = open_vault(settings), open_vault(settings)
    assert _opens_the_same(first, second)
    file = settings.data_folder / "secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert settings.data_folder.stat().st_mode & 0o777 == 0o700
    assert [(log["event"], log["file"]) for log in logs] == [("secret_made", str(file))]
    assert _names(settings) == ["secret"]
    assert file.read_text().strip() not in str(logs)


def test_a_secret_that_was_lost_is_not_made_anew(settings: Settings) -> None:
    """A new one opens nothing of what is there, and would hide from whoever runs it what has happened."""
    open_vault(settings)
    settings.ledger_file.touch()
    file = settings.data_folder / "secret"
    file.rename(settings.data_folder / "kept")
    open_vault(settings)  # nothing is written yet
    file.unlink()
    settings.ledger_file.write_bytes(b"SQLite format 3")
    with pytest.raises(InvalidSettings, match=r"is gone.*Put it back"):
        open_vault(settings)
    assert not file.exists()
    (settings.data_folder / "kept").rename(file)
    open_vault(settings)


def test_what_was_made_may_be_given(settings: Settings) -> None:
    """Whoever gets a second machine gives both the text that is in the file."""
    made = open_vault(settings)
    text = (settings.data_folder / "secret").read_text().strip()
    assert _opens_the_same(made, open_vault(load_settings(secret=SecretStr(text))))
    assert len(base64.urlsafe_b64decode(text + "=")) == 32


def test_the_mode_does_not_depend_on_the_umask(settings: Settings) -> None:
    """Not even for a moment: no umask opens the file to others."""
    before = os.umask(0)
    try:
        open_vault(settings)
    finally:
        os.umask(before)
    assert (settings.data_folder / "secret").stat().st_mode & 0o777 == 0o600
    assert settings.data_folder.stat().st_mode & 0o777 == 0o700


def test_processes_that_start_together_agree(settings: Settings) -> None:
    """Web server and worker start at once on an empty folder: one secret is made, and both have it."""
    program = (
        "import sys, time; from app.settings import load_settings; from app.bulk.sealing import open_vault\n"
        "settings = load_settings(data_folder=sys.argv[1])\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time())); print(open_vault(settings).webhook_secret(''))"
    )
    start = time.time() + 2
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(settings.data_folder), str(start)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    answers = [process.communicate() for process in running]
    assert len({out.splitlines()[-1] for out, _ in answers}) == 1
    assert sum((out + error).count("secret_made") for out, error in answers) == 1
    assert _names(settings) == ["secret"]


def test_threads_that_start_together_agree(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when all have found no file before any has made one."""
    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda _self, **_: False)
        with ThreadPoolExecutor(16) as pool:
            vaults = list(pool.map(lambda _: open_vault(settings), range(16)))
    assert len({vault.webhook_secret("p_1") for vault in vaults}) == 1
    assert _names(settings) == ["secret"]


def test_a_secret_is_made_whole_or_not_at_all(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full leaves no empty file that the next start would choke on."""

    def no_room(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(InvalidSettings, match=r"No secret can be made.*No space left.*RIBBONS_SECRET"):
            open_vault(settings)
    assert _names(settings) == []
    open_vault(settings)
    assert _names(settings) == ["secret"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the settings that help."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidSettings, match=r"RIBBONS_DATA_FOLDER.*Not a directory.*RIBBONS_SECRET_FILE"):
        open_vault(load_settings(data_folder=tmp_path / "file" / "data"))


def test_a_made_secret_that_was_opened_to_others_is_refused(settings: Settings) -> None:
    """The file in the data folder is held to the same rule."""
    open_vault(settings)
    (settings.data_folder / "secret").chmod(0o644)
    with pytest.raises(InvalidSettings, match="open to others"):
        open_vault(settings)


def test_a_made_secret_that_was_emptied_is_not_made_anew(settings: Settings) -> None:
    """An accident is told, not covered up: a new secret would not open the batches."""
    open_vault(settings)
    (settings.data_folder / "secret").write_text("")
    with pytest.raises(InvalidSettings, match="RIBBONS_DATA_FOLDER: the secret has 0 characters"):
        open_vault(settings)


def test_no_error_shows_the_secret(tmp_path: Path) -> None:
    """Neither its words nor what led to it."""
    with pytest.raises(InvalidSettings) as error:
        open_vault(load_settings(secret_file=_file(tmp_path, b"almost a secret")))
    assert "almost" not in str(error.value)
    assert error.value.__cause__ is None
    assert "SECRET" not in vars(sealing)
