import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from board import live
from board.database import MissingError, Row
from board.live import KEPT, QUEUED, Feed, Look, Reading, Section, Sections, watch
from sinks.errors import NotReadyError

AT = datetime(2026, 11, 26, tzinfo=UTC)


def nothing(_: float) -> list[Row]:
    return []


def state(**rows: Any) -> Section:
    return Section(nothing, **rows)


def told(message: bytes) -> tuple[str, str, Any]:
    event, number, data = message.decode().strip().split("\n")
    return event.removeprefix("event: "), number.removeprefix("id: "), json.loads(data.removeprefix("data: "))


def reading(trouble: str | None = None, **rows: list[Row] | None) -> Reading:
    return Reading("postgres", AT, rows, trouble)


def test_rows_without_a_key_are_sent_whole_where_they_differ() -> None:
    sections = Sections({"pay": state()})
    assert sections.take(reading(pay=[{"region": "1"}]))["sections"] == {"pay": {"rows": [{"region": "1"}]}}
    assert sections.take(reading(pay=[{"region": "1"}]))["sections"] == {}
    assert sections.take(reading(pay=[]))["sections"] == {"pay": {"rows": []}}


def test_of_rows_with_a_key_only_new_and_changed_ones_are_sent() -> None:
    sections = Sections({"minutes": state(key="minute", order="minute", keep=3)})
    first = sections.take(reading(minutes=[{"minute": 2, "n": 7}, {"minute": 1, "n": 5}]))["sections"]["minutes"]
    assert (first["merge"], [row["minute"] for row in first["rows"]]) == (False, [1, 2])  # in order
    second = sections.take(reading(minutes=[{"minute": 2, "n": 8}, {"minute": 3, "n": 1}]))["sections"]["minutes"]
    assert (second["merge"], second["rows"]) == (True, [{"minute": 2, "n": 8}, {"minute": 3, "n": 1}])
    sections.take(reading(minutes=[{"minute": 4, "n": 2}]))
    assert [row["minute"] for row in sections.all()["sections"]["minutes"]["rows"]] == [2, 3, 4]
    # A row that is older than all that are kept is nobody's news.
    assert sections.take(reading(minutes=[{"minute": 0, "n": 9}]))["sections"]["minutes"]["rows"] == []


def test_a_server_that_is_away_leaves_its_rows_and_their_time() -> None:
    sections = Sections({"pay": state()})
    sections.take(reading(pay=[{"region": "1"}]))
    away = sections.take(Reading("postgres", AT + timedelta(minutes=5), {}, "PostgreSQL is away"))
    assert away == {"sections": {}, "servers": {"postgres": {"at": AT, "trouble": "PostgreSQL is away"}}}
    assert sections.all()["sections"]["pay"]["rows"] == [{"region": "1"}]
    assert sections.take(reading())["servers"]["postgres"] == {"at": AT, "trouble": None}


def test_a_table_that_is_not_there_is_told_from_an_empty_one() -> None:
    sections = Sections({"pay": state(key="region", order="region", keep=9)})
    assert sections.take(reading(pay=None))["sections"] == {"pay": {"rows": None}}
    assert sections.take(reading(pay=None))["sections"] == {}
    assert sections.take(reading(pay=[]))["sections"]["pay"]["rows"] == []


def test_a_viewer_gets_everything_and_then_what_changes() -> None:
    async def look() -> None:
        feed = Feed(lambda: {"sections": {"a": 1}})
        viewer = feed.join()
        feed.publish({"sections": {"a": 2}})
        assert [told(viewer.waiting.get_nowait())[0] for _ in range(2)] == ["snapshot", "change"]

    asyncio.run(look())


@pytest.mark.parametrize(("missed", "event"), [(0, None), (5, "change"), (QUEUED, "snapshot"), (KEPT + 1, "snapshot")])
def test_who_comes_back_gets_what_it_missed_or_everything(missed: int, event: str | None) -> None:
    async def look() -> None:
        feed = Feed(lambda: {"sections": {}})
        viewer = feed.join()
        feed.publish({"sections": {}})
        viewer.waiting.get_nowait()
        _, seen, _ = told(viewer.waiting.get_nowait())
        feed.leave(viewer)
        for _ in range(missed):
            feed.publish({"sections": {}})
        again = feed.join(seen)
        assert again.waiting.qsize() == (0 if event is None else missed if event == "change" else 1)
        if event:
            assert told(again.waiting.get_nowait())[0] == event

    asyncio.run(look())


@pytest.mark.parametrize("last", ["", "nonsense", "00000000-3", "%s-99", "%s-x", "%s--1"])
def test_a_number_of_another_run_means_nothing(last: str) -> None:
    async def look() -> None:
        feed = Feed(lambda: {"sections": {}})
        feed.publish({"sections": {}})
        _, own, _ = told(feed.join().waiting.get_nowait())
        run = own.split("-")[0]
        assert told(feed.join(last.replace("%s", run)).waiting.get_nowait())[0] == "snapshot"

    asyncio.run(look())


def test_a_slow_viewer_is_dropped_and_holds_nobody_up() -> None:
    async def look() -> None:
        feed = Feed(lambda: {"sections": {}})
        slow, quick = feed.join(), feed.join()
        for _ in range(QUEUED + 3):
            feed.publish({"sections": {}})
            while not quick.waiting.empty():
                quick.waiting.get_nowait()
        assert slow.dropped
        assert feed.viewers == {quick}

    asyncio.run(look())


def test_the_stream_of_a_dropped_viewer_ends() -> None:
    async def look() -> None:
        feed = Feed(lambda: {"sections": {}})
        messages = feed.messages()
        await anext(messages)
        for _ in range(QUEUED + 1):
            feed.publish({"sections": {}})
        assert len([message async for message in messages]) == QUEUED
        assert feed.viewers == set()

    asyncio.run(look())


def test_with_nobody_there_nothing_is_read() -> None:
    reads = []

    def read(_: float) -> list[Row]:
        reads.append(1)
        return []

    async def look() -> None:
        sections = Sections({"pay": Section(read)})
        feed = Feed(sections.all)
        task = asyncio.create_task(watch(Look("postgres", {"pay": Section(read)}), sections, feed))
        await asyncio.sleep(0.05)
        assert reads == []
        viewer = feed.join()
        while not reads:
            await asyncio.sleep(0.01)
        feed.leave(viewer)
        task.cancel()

    asyncio.run(look())


def test_a_look_that_fails_is_told_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TICK_SECONDS", 0.01)
    outcomes: list[Callable[[], list[Row]]] = [lambda: 1 / 0, lambda: [{"n": 1}]]  # type: ignore[list-item,return-value]

    def read(_: float) -> list[Row]:
        return (outcomes.pop(0) if len(outcomes) > 1 else outcomes[0])()

    async def look() -> None:
        own = {"pay": Section(read)}
        sections = Sections(own)
        feed = Feed(sections.all)
        viewer = feed.join()
        task = asyncio.create_task(watch(Look("postgres", own), sections, feed))
        await viewer.waiting.get()
        _, _, failed = told(await viewer.waiting.get())
        assert "ZeroDivisionError" in failed["servers"]["postgres"]["trouble"]
        _, _, good = told(await viewer.waiting.get())
        assert good["servers"]["postgres"]["trouble"] is None
        task.cancel()

    asyncio.run(look())


def test_a_window_is_read_whole_at_first_and_again_for_what_came_late() -> None:
    asked: list[float] = []

    def read(seconds: float) -> list[Row]:
        asked.append(seconds)
        return []

    section = Section(read, every=2, key="minute", order="minute", window=3600, edge=240, keep=60)
    look = Look("postgres", {"minutes": section})
    for now in (100, 101, 102, 104, 131):
        look.read(now)
    assert asked == [3600, 240, 240, 3600]


def test_one_missing_table_hides_no_other_and_a_server_away_is_asked_again() -> None:
    def missing(_: float) -> list[Row]:
        raise MissingError

    def away(_: float) -> list[Row]:
        raise NotReadyError("away")  # noqa: EM101

    assert Look("postgres", {"a": Section(missing), "b": state()}).read(1).rows == {"a": None, "b": []}
    look = Look("postgres", {"a": Section(away, every=60), "b": state()})
    assert look.read(1).trouble == look.read(2).trouble == "away"


def test_two_sections_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="pay"):
        live.of([{"pay": state()}, {"pay": state()}])
