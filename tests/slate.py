"""A clean slate on the suite's own stack, and a job that runs from it: what tests of any job start from."""

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from conf.settings import Settings
from control import jobs, reading
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


@contextlib.contextmanager
def running(settings: Settings, name: str, *, parallelism: int | None = None) -> Iterator[str]:
    """The job from the beginning of its topics; cancelled at the end."""
    job = jobs.submit(settings, name, parallelism=parallelism, fresh=True)
    try:
        yield job
    finally:
        cluster = Cluster(settings.flink.url)
        if left := cluster.running(name):
            cluster.cancel(left)


def by_key(settings: Settings, topic: str) -> list[dict[str, Any]]:
    """The JSON objects of a topic, one of each key: what was written again after a failure has the same one."""
    found: dict[bytes, dict[str, Any]] = {}
    with reading.Reader(settings, [topic]) as reader:
        reader.read(lambda record: found.setdefault(record.key, json.loads(record.value)))
    return list(found.values())


def raw(letter: dict[str, Any]) -> bytes | None:
    """The record a dead letter was made of."""
    return None if letter["raw_base64"] is None else base64.b64decode(letter["raw_base64"])
