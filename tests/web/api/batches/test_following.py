from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio import to_thread

from app.web.api.batches import following
from app.web.state.watches import Watch
from tests.partners import PartnerProgram, new_partner_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve, Server


@dataclass
class Event:
    """A server-sent event."""

    kind: str
    data: dict[str, Any]
    id: str | None


def events_in(lines: Iterator[str]) -> Iterator[Event]:
    """Read a stream as a browser does."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}
        else:
            fields = {}


def followed(program: PartnerProgram, batch: str, **given: Any) -> list[Event]:
    """Follow a batch to the end of the stream."""
    with program.stream("GET", f"{batch}/events", **given) as answer:
        assert answer.status_code == 200
        return list(events_in(answer.iter_lines()))


def sent(program: PartnerProgram, photo: bytes, count: int) -> str:
    """Return a batch that so many photos were sent for."""
    batch = program.new_batch()
    for number in range(count):
        assert program.send_photo(batch, f"{number}.jpg", photo).status_code == 201
    return batch


# -- pages of photos -------------------------------------------------------


def test_photos_are_listed_page_by_page(partner: PartnerProgram, done: str) -> None:
    """In the order in which they came, each with what became of it; the last page says that it is that."""
    whole = partner.get(f"{done}/photos").json()
    assert [photo["number"] for photo in whole["photos"]] == [1, 2, 3, 4, 5, 6]
    assert whole["next"] is None
    found, path = [], f"{done}/photos?limit=2"
    while path:
        page = partner.get(path).json()
        assert 1 <= len(page["photos"]) <= 2
        found += page["photos"]
        path = page["next"]
        if len(found) == len(whole["photos"]):
            break
    assert found == whole["photos"]
    assert partner.get(f"{done}/photos?after=6").json() == {"photos": [], "next": None}


def test_a_photo_tells_what_became_of_it(partner: PartnerProgram, done: str) -> None:
    """An avatar and how it was framed, or why there is none, in the reader's language."""
    photos = {photo["name"]: photo for photo in partner.get(f"{done}/photos").json()["photos"]}
    made = photos["staff/هدى.jpg"]
    assert (made["state"], made["avatar"], made["error"]) == ("done", "staff/هدى.jpg", None)
    assert made["framing"]["kind"] in {"faces", "centre"}
    assert made["doubtful"] == (made["framing"]["kind"] != "faces")
    assert made["seconds"] >= 0
    failed = photos["notes.txt"]
    assert (failed["state"], failed["avatar"], failed["framing"]) == ("failed", None, None)
    assert failed["error"]["code"] == "photo_not_supported"
    arabic = partner.get(f"{done}/photos", headers={"Accept-Language": "ar"}).json()["photos"]
    told = next(photo for photo in arabic if photo["name"] == "notes.txt")["error"]
    assert told["code"] == failed["error"]["code"]
    assert told["detail"] != failed["error"]["detail"]


def test_a_photo_is_shown_where_it_was_sent(
    partner: PartnerProgram, other: PartnerProgram, batch: str, photo: bytes
) -> None:
    """At the address that the answer to it named; to its partner alone; and nothing where none was sent."""
    answer = partner.send_photo(batch, "قسم/a b.jpg", photo)
    shown = partner.get(answer.headers["location"])
    assert shown.status_code == 200
    assert (shown.json()["name"], shown.json()["state"]) == ("قسم/a b.jpg", "waiting")
    assert shown.json() == answer.json()
    assert other.get(answer.headers["location"]).status_code == 404
    missing = partner.get(f"{batch}/photos/another.jpg")
    assert (missing.status_code, missing.json()["code"]) == (404, "batch_photo_not_found")
    assert partner.get(f"{batch}/photos/..%2Fa.jpg").status_code in {404, 422}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("after=-1", {"after": "out_of_range"}),
        ("after=x", {"after": "not_an_integer"}),
        ("limit=0", {"limit": "out_of_range"}),
        ("limit=1001&after=1.5", {"limit": "out_of_range", "after": "not_an_integer"}),
        (f"after={10**30}", {"after": "out_of_range"}),
        ("limit=", None),
        ("after=%00", {"after": "not_an_integer"}),
    ],
)
def test_a_query_that_is_wrong_names_its_fields(
    partner: PartnerProgram, done: str, query: str, wrong: dict[str, str] | None
) -> None:
    """As a spec does."""
    answer = partner.get(f"{done}/photos?{query}")
    if wrong is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 422
    assert {fault["field"]: fault["code"] for fault in answer.json()["fields"]} == wrong


def test_a_switch_that_is_neither_on_nor_off_is_named(partner: PartnerProgram, done: str) -> None:
    """422."""
    answer = partner.post(f"{done}/start?without_missing=perhaps")
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["fields"]] == ["without_missing"]


# -- events ----------------------------------------------------------------


def test_a_batch_is_followed_to_its_end(partner: PartnerProgram, photo: bytes) -> None:
    """First as it is; then every outcome once and in order, and how far it is; at last that it is done."""
    batch = sent(partner, photo, 20)
    with partner.stream("GET", f"{batch}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        events = events_in(answer.iter_lines())
        first = next(events)
        assert (first.kind, first.data["state"]) == ("state", "open")
        assert partner.post(f"{batch}/start").status_code == 202
        rest = list(events)
    photos = [event for event in rest if event.kind == "photo"]
    assert [event.id for event in photos] == [str(number) for number in range(1, 21)]
    assert sorted(event.data["number"] for event in photos) == list(range(1, 21))
    assert {event.data["state"] for event in photos} == {"done"}
    last = rest[-1]
    assert (last.kind, last.id) == ("state", None)
    assert last.data == partner.shown(batch)
    assert last.data["done"] == 20


def test_what_is_told_is_what_is_shown(partner: PartnerProgram, done: str) -> None:
    """An event's photo is the one of the list, its batch the one of its address; when it is done, at once."""
    start = time.monotonic()
    events = followed(partner, done, headers={"Accept-Language": "fr"})
    assert time.monotonic() - start < 5
    shown = partner.get(f"{done}/photos", headers={"Accept-Language": "fr"}).json()["photos"]
    told = [event.data for event in events if event.kind == "photo"]
    assert sorted(told, key=lambda photo: photo["number"]) == shown
    assert [event.data for event in events if event.kind == "state"] == [partner.shown(done)]


@pytest.mark.parametrize("way", ["headers", "params"])
def test_after_a_broken_line_it_goes_on(partner: PartnerProgram, done: str, way: str) -> None:
    """From the last outcome that is known, whichever that is: nothing is missing and nothing comes twice."""
    whole = [event.id for event in followed(partner, done) if event.kind == "photo"]
    for known in range(len(whole) + 1):
        last = whole[known - 1] if known else "0"
        given = (
            {"headers": {"Last-Event-ID": last}} if way == "header" else {"params": {"last_event_id": last}}
        )
        rest = [event.id for event in followed(partner, done, **given) if event.kind == "photo"]
        assert rest == whole[known:]


def test_lines_that_break_in_the_middle_lose_nothing(partner: PartnerProgram, photo: bytes) -> None:
    """While photos are drawn: cut after each few events, all of them come, each once."""
    batch = sent(partner, photo, 30)
    assert partner.post(f"{batch}/start").status_code == 202
    seen: list[str] = []
    is_cut = True
    while is_cut:
        is_cut = False
        headers = {"Last-Event-ID": seen[-1]} if seen else {}
        with partner.stream("GET", f"{batch}/events", headers=headers) as answer:
            for event in events_in(answer.iter_lines()):
                if event.id is not None:
                    seen.append(event.id)
                    is_cut = len(seen) % 4 == 0
                    if is_cut:
                        break
    assert seen == [str(number) for number in range(1, 31)]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 11, "9" * 40, "1 2", "٣"])
def test_an_outcome_that_is_none_is_refused(partner: PartnerProgram, done: str, last: str) -> None:
    """422, before the stream begins."""
    answer = partner.get(f"{done}/events", headers={b"Last-Event-ID": last.encode()})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "Last-Event-ID"


def test_events_come_unpacked(partner: PartnerProgram, done: str) -> None:
    """An encoder for each follower takes more memory than all that it is told."""
    answer = partner.get(f"{done}/events", headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.text.startswith("event: state\n")


def test_a_head_of_a_stream_ends(partner: PartnerProgram, batch: str) -> None:
    """Though the stream itself has no end."""
    answer = partner.head(f"{batch}/events", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_a_batch_that_is_erased_ends_its_streams(partner: PartnerProgram, batch: str) -> None:
    """Who comes again is told that it is not there."""
    with partner.stream("GET", f"{batch}/events") as answer:
        events = events_in(answer.iter_lines())
        next(events)
        assert partner.delete(batch).status_code == 204
        assert list(events) == []
    assert partner.get(f"{batch}/events").status_code == 404


def test_a_photo_that_is_framed_anew_is_told_again(partner: PartnerProgram, photo: bytes) -> None:
    """With a number behind all others: who knows those is told the one."""
    batch = sent(partner, photo, 3)
    partner.start(batch)
    assert partner.post(f"{batch}/photos/1.jpg/framing", json={"zoom": 2}).status_code == 202
    events = followed(partner, batch, headers={"Last-Event-ID": "3"})
    (told,) = [event for event in events if event.kind == "photo"]
    assert (told.id, told.data["name"], told.data["framing"]["zoom"]) == ("4", "1.jpg", 2)


def test_many_follow_one_batch(partner: PartnerProgram, photo: bytes) -> None:
    """All are told the same, and the service looks at it once for all of them."""
    batch = sent(partner, photo, 10)
    streams = [partner.stream("GET", f"{batch}/events") for _ in range(30)]
    answers = [stream.__enter__() for stream in streams]
    try:
        assert partner.post(f"{batch}/start").status_code == 202
        for answer in answers:
            events = list(events_in(answer.iter_lines()))
            assert [each.id for each in events if each.kind == "photo"] == [str(n) for n in range(1, 11)]
            assert events[-1].data["state"] == "done"
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)


class Desk:
    """Reads in threads, as the desk of a service."""

    async def read(self, call: Any, *given: Any) -> Any:
        """Call it in a thread."""
        return await to_thread.run_sync(call, *given)


def test_what_many_are_told_is_written_once_and_not_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred who follow a batch in two languages: each outcome twice, the batch once, in threads."""
    written: list[tuple[str, int]] = []

    def write_photos(photos: Any, language: str) -> bytes:
        written.append((language, threading.get_ident()))
        return b"".join(b"%d %s;" % (photo.event, language.encode()) for photo in photos)

    def write_state(batch: Any) -> bytes:
        written.append(("", threading.get_ident()))
        return f"{batch.state}".encode()

    monkeypatch.setattr(following, "_photos", write_photos)
    monkeypatch.setattr(following, "_state", write_state)
    running, done = SimpleNamespace(id="b", state="running"), SimpleNamespace(id="b", state="done")
    told: dict[int, bytes] = {}

    async def look(_partner: Any, _batch: str) -> Any:
        await anyio.lowlevel.checkpoint()
        return done

    async def outcomes(_partner: Any, _batch: str, after: int, _limit: int) -> Any:
        await anyio.lowlevel.checkpoint()
        return [SimpleNamespace(event=number) for number in range(after + 1, 4)]

    async def main() -> None:
        watch = Watch(cast("Any", None), cast("Any", running), 0, outcomes)

        async def follow(number: int) -> None:
            language = ("ar", "en")[number % 2]
            pieces = following._watched(cast("Any", Desk()), watch, cast("Any", running), 0, language)
            told[number] = b"".join([piece async for piece in pieces])

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(follow, number)
                await anyio.sleep(0.05)
                await watch.look(look)

    anyio.run(main)
    assert set(told.values()) == {b"1 ar;2 ar;3 ar;done", b"1 en;2 en;3 en;done"}
    assert sorted(language for language, _ in written) == ["", "ar", "en"]
    assert threading.get_ident() not in {thread for _, thread in written}


def test_open_streams_do_not_hold_up_the_end(serve: Serve, tmp_path: Path) -> None:
    """On SIGTERM they end, and the service does: a partner's program reconnects to the next one."""
    data = tmp_path / "data"
    with serve(batches="true", data_folder=str(data), shutdown_timeout=30) as server:
        with PartnerProgram(server.url, new_partner_key(data)) as program:
            batch = program.new_batch()
            with program.stream("GET", f"{batch}/events") as answer:
                events = events_in(answer.iter_lines())
                assert next(events).kind == "state"
                start = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                assert list(events) == []
            assert server.process.wait(20) == 0
            assert time.monotonic() - start < 15
        assert "Cancel" not in server.output


def test_a_partner_follows_so_many_at_once(batch_server: Server, partner: PartnerProgram, batch: str) -> None:
    """The next one is refused with when to try again, and let in when another has left."""
    key = partner.headers["authorization"]
    limits = httpx2.Limits(max_connections=200)
    with httpx2.Client(
        base_url=batch_server.url, headers={"Authorization": key}, limits=limits, timeout=30
    ) as program:
        streams = [program.stream("GET", f"{batch}/events") for _ in range(100)]
        try:
            lines = [stream.__enter__().iter_lines() for stream in streams]
            assert {next(each) for each in lines} == {"event: state"}
            refused = program.get(f"{batch}/events")
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
            assert int(refused.headers["retry-after"]) > 0
        finally:
            for stream in streams:
                stream.__exit__(None, None, None)
        start = time.monotonic()
        status = 429
        while status != 200:
            assert time.monotonic() - start < 10
            with program.stream("GET", f"{batch}/events") as answer:
                status = answer.status_code
