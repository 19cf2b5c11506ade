"""Read a part of a stream's topic once more into the tables that are there (docs/decisions/0050).

The job is stopped with a savepoint; a run without state reads from the given place to where the topic ends now; then
the job goes on from its savepoint. What the run counts is a part, and the versions of totals keep it from taking the
place of the whole; what it counts into rows that had been lost is set right from the ledger.
"""

import re
import time
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from kafka import TopicPartition

from conf.settings import Settings
from conf.streams import STREAMS
from control import jobs, reading
from control.cluster import Cluster
from control.jobs import Say
from control.journal import Journal
from control.reconcile import reconcilable, reconciliation
from sinks.errors import NotReadyError

BACKFILL_SECONDS = 24 * 3600


def begin(settings: Settings, topic: str, start: str) -> dict[TopicPartition, int]:
    """The offsets that a start means: `earliest`, a time of records, or `PARTITION:OFFSET,...` and else the first.

    Raises:
        NotReadyError: it means nothing, or lies outside the topic.
    """
    spans = reading.spans(settings, [topic])
    if start == "earliest":
        return dict(spans.begin)
    if re.fullmatch(r"\d+:\d+(,\d+:\d+)*", start):
        chosen = {
            TopicPartition(topic, int(number)): int(offset)
            for number, offset in (each.split(":") for each in start.split(","))
        }
        for at, offset in chosen.items():
            if not spans.begin.get(at, offset + 1) <= offset <= spans.end[at]:
                span = f"offsets {spans.begin[at]} to {spans.end[at]}" if at in spans.begin else "no such partition"
                message = f"{start} lies outside topic {topic}: partition {at.partition} has {span}."
                raise NotReadyError(message)
        return {**spans.begin, **chosen}
    try:
        at_time = datetime.fromisoformat(start)
    except ValueError:
        message = (
            f"FROM={start} is no place to begin: write earliest, a time (2026-11-20T09:00), or PARTITION:OFFSET,..."
        )
        raise NotReadyError(message) from None
    zoned = at_time if at_time.tzinfo else at_time.replace(tzinfo=ZoneInfo(settings.time_zone))
    return reading.from_time(settings, topic, zoned)


def read_from(offsets: Mapping[TopicPartition, int]) -> str:
    """Offsets as the setting `flink.read_from` has them."""
    return ";".join(f"partition:{at.partition},offset:{offset}" for at, offset in sorted(offsets.items()))


def backfill(settings: Settings, name: str, start: str, *, say: Say) -> str:
    """Do it; return a sentence of what it has come to.

    Raises:
        NotReadyError: the stream keeps no ledger, nothing is known that the job could go on from, `start` means
            nothing, or a server is away. The job, where it ran, goes on.
    """
    stream = STREAMS.get(name)
    if stream is None or stream.ledger is None or len(stream.topics) != 1:
        message = (
            f"A backfill is of a stream with a ledger: {', '.join(reconcilable())}. Other jobs read their topics again "
            f"from the beginning with `make submit JOB={name} FRESH=1`."
        )
        raise NotReadyError(message)
    offsets = begin(settings, stream.topics[0], start)
    cluster = Cluster(settings.flink.url)
    running = cluster.running(name)
    interrupted = running is not None and running in Journal(settings, name).backfills()
    path = jobs.stop(settings, name, say=say) if running else jobs.restore_path(settings, name)
    if path is None:
        message = (
            f"Nothing is known that {name} could go on from after a backfill, and totals of what comes would lack what "
            f"was before it: `make submit JOB={name}` reads the topic from the beginning."
        )
        raise NotReadyError(message)
    while cluster.running(name):
        time.sleep(0.5)
    try:
        _replay(settings, name, offsets, say)
        totals = _repair(settings, name)
    finally:
        if left := cluster.running(name):
            cluster.cancel(left)
            while cluster.running(name):
                time.sleep(0.5)
        if running and not interrupted:
            jobs.resume(settings, name, restore=path, say=say)
    goes_on = "goes on" if running and not interrupted else f"can go on (`make resume JOB={name}`)"
    return f"{name} was read again from {start}, and {goes_on} from where it was. {totals}"


def _replay(settings: Settings, name: str, offsets: Mapping[TopicPartition, int], say: Say) -> None:
    """Run from the offsets to the present end of the topic, without state, and end with all of it committed."""
    topics = STREAMS[name].topics
    cluster = Cluster(settings.flink.url)
    until = reading.spans(settings, topics).end
    # The group's offsets are those of the run before: only this run's own say how far it is.
    reading.forget(settings, name)
    job = jobs.submit(settings, name, read_from=read_from(offsets), say=say)
    deadline = time.monotonic() + BACKFILL_SECONDS
    begun = {**dict.fromkeys(until, 0), **offsets}
    say(f"Reading {sum(until[at] - begun[at] for at in until):,} records again ...")
    while (completed := cluster.checkpoints(job)["counts"]["completed"]) == 0 or reading.unread(
        settings, name, topics, until
    ):
        if time.monotonic() > deadline or not any(each.id == job and each.unfinished for each in cluster.jobs()):
            cause = cluster.last_failure(job) or "it was ended"
            message = f"The backfill did not reach the end ({completed} checkpoints): {cause}"
            raise NotReadyError(message)
        time.sleep(1)
    for _ in cluster.stop(job):
        pass


def _repair(settings: Settings, name: str) -> str:
    """Set totals right where rows of them had been lost."""
    try:
        with reconciliation(settings, name) as begun:
            repaired = sum(begun.repair().values())
    except NotReadyError as error:
        return f"{error} Once it is at rest, `make reconcile JOB={name} ARGS=--repair` does it."
    return (
        f"Totals agree with the ledger: {repaired:,} rows were set right."
        if repaired
        else "Totals agree with the ledger."
    )
