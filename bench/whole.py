"""The whole job of a stream, measured from empty tables to all of a topic in PostgreSQL."""

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from psycopg2 import sql

from conf.errors import CitystreamError
from conf.settings import Settings, load
from conf.streams import TICKETS, Stream
from control import jobs
from control.cluster import Cluster
from control.reconcile import await_agreement
from sinks import elasticsearch, kafka, postgres, prepare

MILLION = 1_000_000


@dataclass
class Measured:
    """What one contestant did."""

    name: str
    records: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


@contextlib.contextmanager
def whole_job(stream: Stream, *, program: str | None = None, **options: str) -> Iterator[tuple[Settings, float]]:
    """The stream's job, or another program of it, on empty tables, and when its last task began to run.

    It is cancelled at the end.
    """
    section = f"CITYSTREAM__{stream.name.upper()}__"
    for name, value in options.items():
        os.environ[f"{section}{name.upper()}"] = value
    settings = load()
    empty(settings, stream)
    cluster = Cluster(settings.flink.url)
    if program is None:
        job = jobs.submit(settings, stream.name, fresh=True)
    else:
        jobs.run(jobs.flink_command(settings, program, parallelism=settings.flink.parallelism))
        job = cluster.running(stream.name) or ""
        while not cluster.all_tasks_running(job):
            time.sleep(0.5)
    try:
        yield settings, cluster.times(job)[0]
    finally:
        cluster.cancel(job)
        for name in options:
            del os.environ[f"{section}{name.upper()}"]
        while cluster.running(stream.name):
            time.sleep(0.5)


def into_postgres(
    stream: Stream, label: str, records: int, valid: int, *, ledger: str = "staged", program: str | None = None
) -> Measured:
    """The whole job without Elasticsearch, until every valid record is in the ledger and a total has counted it."""
    if stream.ledger is None:
        msg = f"{stream.name} keeps no ledger"
        raise ValueError(msg)
    # The version of a total's row is how many records are in it; the last total is of every record.
    total = sql.Identifier(stream.totals[-1].table)
    counting = sql.SQL("SELECT coalesce(sum(version), 0) FROM {}").format(total)
    written = (
        sql.SQL("SELECT coalesce(sum(inserted), 0) FROM staging.epochs WHERE ledger = {}").format(
            sql.Literal(f"{stream.name}.ledger")
        )
        if ledger == "staged"
        else sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(stream.ledger.table))
    )
    with whole_job(stream, program=program, documents="false", ledger=ledger) as (settings, began):
        reached: list[tuple[float, int]] = []
        with postgres.connect(settings) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not reached or reached[-1][1] < valid:
                    cursor.execute(counting)
                    (counted,) = cursor.fetchone() or (0,)
                    cursor.execute(written)
                    (rows,) = cursor.fetchone() or (0,)
                    reached.append((time.time(), int(min(rows, counted))))
                    time.sleep(0.5 if ledger == "staged" else 2)
        report = await_agreement(settings, stream.name, 60) if ledger == "staged" else None
        notes = [f"does not agree: {report.wrong + report.moving}"] if report and not report.agrees else []
        notes.append("rates per million: " + " ".join(f"{rate:,.0f}" for rate in _per_million(began, reached)))
        return Measured(label, records, reached[-1][0] - began, notes)


def _per_million(began: float, reached: list[tuple[float, int]]) -> Iterator[float]:
    """The rate of each million rows; between two looks the rows are taken to come evenly."""
    last_time, goal = began, MILLION
    before = (began, 0)
    for now, rows in reached:
        while rows >= goal:
            at = before[0] + (now - before[0]) * (goal - before[1]) / (rows - before[1])
            yield MILLION / (at - last_time)
            last_time, goal = at, goal + MILLION
        before = (now, rows)


def empty(settings: Settings, stream: Stream) -> None:
    """Empty the stream's tables, indices and dead letters."""
    tables = {"staging.epochs", "staging.writers", *(total.table for total in stream.sums)}
    tables |= {total.without for total in stream.sums if total.without}
    tables |= {stream.ledger.table} if stream.ledger else set()
    tables |= {"oversells", "sold_out_shows"} if stream is TICKETS else set()
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(sorted(tables))}")
    with elasticsearch.client(settings) as client:
        for index in (*stream.indices, *(total.table for total in stream.totals)):
            client.options(ignore_status=404).indices.delete(index=index)
    # Each fresh start writes them again, and they are part of the reconciliation.
    _delete(settings, {kafka.dead_letter_topic(topic) for topic in stream.topics})
    kafka.create_topics(settings)


def start_anew(settings: Settings, topics: Collection[str], tables: Iterable[str]) -> None:
    """Empty topics and tables, on servers that need not be prepared.

    Raises:
        CitystreamError: they can't be.
    """
    _delete(settings, {*topics})
    if prepare.main([]) != 0:
        message = "Kafka, PostgreSQL and Elasticsearch could not be prepared."
        raise CitystreamError(message)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)}")


def _delete(settings: Settings, topics: set[str]) -> None:
    with contextlib.closing(kafka.admin(settings)) as admin:
        if there := topics & {*admin.list_topics()}:
            admin.delete_topics(list(there))
        while topics & {*admin.list_topics()}:
            time.sleep(0.5)
