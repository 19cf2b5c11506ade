"""A clean slate on the suite's own stack: what tests of any job start from."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from conf.settings import Settings
from control import reading
from control.cluster import Cluster
from sinks import kafka


def await_that(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until the condition holds; return how many seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return time.monotonic() - began


def without_job(settings: Settings, name: str) -> None:
    """Cancel the job where it runs, and forget what it could be resumed from."""
    cluster = Cluster(settings.flink.url)
    while job := cluster.running(name):
        with contextlib.suppress(Exception):
            cluster.cancel(job)
        time.sleep(0.5)
    (settings.stack.path / "jobs" / f"{name}.jsonl").unlink(missing_ok=True)


def with_empty_topics(settings: Settings, topics: Iterable[str]) -> None:
    """Make the topics and their dead letters anew."""
    mine = {name for topic in topics for name in (topic, kafka.dead_letter_topic(topic))}
    with contextlib.closing(kafka.admin(settings)) as admin:
        if there := set(admin.list_topics()) & mine:
            admin.delete_topics(list(there))
        await_that(lambda: not set(admin.list_topics()) & mine, 60, "the topics are deleted")
    kafka.create_topics(settings)


def by_key(settings: Settings, topic: str) -> list[dict[str, Any]]:
    """The JSON objects of a topic, one of each key: what was written again after a failure has the same one."""
    found: dict[bytes, dict[str, Any]] = {}
    with reading.Reader(settings, [topic]) as reader:
        reader.read(lambda record: found.setdefault(record.key, json.loads(record.value)))
    return list(found.values())
