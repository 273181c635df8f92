from __future__ import annotations

import subprocess
import sys

import pytest

from app.errors import StorageUnavailable, WorkerDied
from app.lifetime import why_not_started
from app.settings import InvalidSettings

_SCRIPT = """
import logging, threading, time
from app.lifetime import end
logging.basicConfig()
threading.Thread(target=time.sleep, args=({seconds},)).start()
logging.warning("the last line")
end(7)
"""


@pytest.mark.parametrize(("seconds", "code"), [(0.2, 0), (60, 7)], ids=["that ends", "that does not"])
def test_a_process_ends_in_spite_of_a_thread(seconds: float, code: int) -> None:
    """A thread has a second to end; then the process does, and what was logged is written."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(seconds=seconds)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "WARNING:root:the last line\n")


_WAITING = """
import threading, time
from app.lifetime import take_short_turns
{turns}
def work():
    while True:
        pass
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
start = time.monotonic()
for _ in range(50):
    time.sleep(0)
print(time.monotonic() - start)
"""


def test_who_waits_beside_busy_threads_is_soon_back() -> None:
    """Threads that are busy leave the interpreter to one that has a little to do, now and then."""

    def seconds(turns: str) -> float:
        command = [sys.executable, "-c", _WAITING.format(turns=turns)]
        return float(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)

    assert seconds("take_short_turns()") < 0.6 * seconds("")


def test_what_whoever_runs_it_can_mend_is_told() -> None:
    """A setting or a store at fault is told in its own words, from however deep a group; a bug is not."""
    wrong = InvalidSettings("RIBBONS_SECRET: too short")
    assert why_not_started(ExceptionGroup("", [ExceptionGroup("", [wrong])])) == str(wrong)
    assert why_not_started(StorageUnavailable()) == str(StorageUnavailable())
    for other in (WorkerDied(), ValueError("Layla"), SystemExit(3)):
        assert why_not_started(other) == "its workers, its counter or its store did not start."
