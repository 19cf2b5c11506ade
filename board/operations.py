"""How the suite runs: jobs, checkpoints, backpressure, documents, dead letters, calls of public APIs. Only reading."""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from elastic_transport import TransportError
from elasticsearch import ApiError
from fastapi import APIRouter, Query

from board.app import ProblemError, problems
from board.database import Database, Row
from board.live import Section
from board.tables import Json
from conf.settings import Settings
from conf.streams import STREAMS
from control import reading
from control.cluster import Cluster
from control.facts import facts
from sinks import elasticsearch
from sinks.errors import NotReadyError

# Points of a job's curve, of a look every few seconds.
HISTORY = 400
JOBS_SECONDS = 5.0
MOST_LETTERS = 500
QUOTAS = (
    "SELECT operation, period, ends, sum(calls)::bigint AS calls, count(*) AS holders FROM api_quotas"
    " WHERE ends > now() - interval '1 day' GROUP BY 1, 2, 3 ORDER BY ends DESC, operation LIMIT 200"
)


def jobs(settings: Settings) -> list[Row]:
    """What is to be said about each job; what can't be known is None.

    Raises:
        NotReadyError: the Flink cluster does not answer.
    """
    cluster = Cluster(settings.flink.url)
    return [{**asdict(each), **_progress(cluster, each.id if each.runs else None)} for each in facts(settings)]


def _progress(cluster: Cluster, job: str | None) -> Row:
    """Checkpoints and load of a running job; the loads are shares of a second of the busiest subtask."""
    found: Row = dict.fromkeys(
        ("checkpoints", "failed_checkpoints", "checkpoint_seconds", "checkpoint_bytes", "busy", "backpressured")
    )
    if job is None:
        return found
    try:
        known = cluster.checkpoints(job)
        newest = known["latest"]["completed"]
        found["checkpoints"], found["failed_checkpoints"] = known["counts"]["completed"], known["counts"]["failed"]
        if newest:
            found["checkpoint_seconds"] = newest["end_to_end_duration"] / 1000
            found["checkpoint_bytes"] = newest["state_size"]
        for name, metric in (("busy", "busyTimeMsPerSecond"), ("backpressured", "backPressuredTimeMsPerSecond")):
            most = cluster.greatest(job, metric)
            found[name] = None if most is None else min(1.0, most / 1000)
    except NotReadyError:
        pass  # it ended, or begins anew
    return found


def flink(load: Callable[[], Settings]) -> dict[str, Section]:
    """Sections read from the Flink cluster."""
    known: list[Row] = []

    def look(_: float) -> list[Row]:
        known[:] = jobs(load())
        return list(known)

    def points(_: float) -> list[Row]:
        at = datetime.now(UTC).replace(microsecond=0)
        curves = ("job", "rate", "lag", "busy", "backpressured")
        return [{"point": f"{row['job']} {at}", "at": at, **{name: row[name] for name in curves}} for row in known]

    def cluster(_: float) -> list[Row]:
        overview = Cluster(load().flink.url).overview()
        wanted = {"taskmanagers": "task_managers", "slots-total": "slots", "slots-available": "free_slots"}
        return [{name: overview.get(given) for given, name in wanted.items()}]

    return {
        "cluster": Section(cluster, every=JOBS_SECONDS),
        "jobs": Section(look, every=JOBS_SECONDS),
        "job_history": Section(points, every=JOBS_SECONDS, key="point", order="at", keep=HISTORY),
    }


def documents(load: Callable[[], Settings]) -> dict[str, Section]:
    """Sections read from Elasticsearch: how many documents each stream has."""

    def count(_: float) -> list[Row]:
        settings = load()
        try:
            with elasticsearch.client(settings) as client:
                client = client.options(max_retries=0, request_timeout=5, ignore_status=404)
                return [
                    {"index": index, "stream": name, "documents": client.count(index=index).get("count", 0)}
                    for name, stream in STREAMS.items()
                    for index in (*stream.indices, *(total.table for total in stream.totals))
                ]
        except (ApiError, TransportError) as error:
            where = settings.elasticsearch.url
            message = f"Elasticsearch at {where} does not answer: {type(error).__name__}. Start it (`make up`)."
            raise NotReadyError(message) from None

    return {"documents": Section(count, every=10)}


def quotas(database: Database) -> dict[str, Section]:
    """Sections about calls of public APIs by jobs."""
    return {"api_quotas": Section(lambda _: database.rows(QUOTAS), every=5)}


def letter(record: Any) -> Row:  # noqa: ANN401 - a ConsumerRecord
    """A record of a dead-letter topic, with the raw bytes as text where they are text."""
    found: Row = {"letters": record.topic, "letter_partition": record.partition, "letter_offset": record.offset}
    try:
        told = json.loads(record.value)
        raw = base64.b64decode(told.pop("raw_base64", None) or "")
    except (ValueError, AttributeError, TypeError):
        return {**found, "reason": "unreadable", "detail": "", "raw": repr(record.value)[:4000]}
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.hex(" ")
    names = ("reason", "detail", "topic", "partition", "offset", "seen_at")
    return {**found, **{name: told.get(name) for name in names}, "raw": text, "bytes": len(raw)}


def routes(load: Callable[[], Settings]) -> APIRouter:
    """Dead letters, read from their topics when asked for."""
    router = APIRouter(prefix="/api")
    topics = {topic: name for name, stream in STREAMS.items() for topic in reading.dead_letter_topics(stream.topics)}

    @router.get(
        "/dead-letters",
        response_class=Json,
        responses=problems({404: "there is no such topic", 503: "no broker answers"}),
    )
    def newest(
        topic: Annotated[str | None, Query(description="one topic; default: all")] = None,
        size: Annotated[int, Query(ge=1, le=MOST_LETTERS)] = 100,
    ) -> Json:
        """The newest dead letters, and how many records each of their topics holds."""
        if topic is not None and topic not in topics:
            raise ProblemError(404, f"there is no topic {topic}; there are {', '.join(topics)}")
        try:
            held, records = reading.newest(load(), [topic] if topic else list(topics), size)
        except NotReadyError as error:
            raise ProblemError(503, str(error)) from None
        return Json({"at": datetime.now(UTC), "topics": held, "rows": [letter(record) for record in records]})

    return router
