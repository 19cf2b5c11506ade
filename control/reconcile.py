"""Is every record of a stream where it belongs, once, and does every total agree with the ledger?

Produced = ledger + dead letters + repeats; each total = the same total recomputed from the ledger; documents = ledger.
Nothing here knows a stream: what is compared is declared in conf/streams.py.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import elastic_transport
from elasticsearch import ApiError
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from conf.settings import Settings
from conf.streams import STREAMS, Ledger, Stream, Total
from control import reading
from control.cluster import Cluster
from sinks import elasticsearch, postgres
from sinks.errors import NotReadyError


@dataclass
class Report:
    """What was counted.

    Attributes:
        stream: its name.
        produced: records in the topics.
        ledger: rows of the ledger.
        repeats: records whose key was in the ledger already.
        staged: epochs that wait for their checkpoint.
        dead_letters: records by the reason that they are in no ledger for; and refused documents.
        documents: in Elasticsearch; None where the stream writes none.
        totals: rows that differ from the ledger, by total.
        wrong: a sentence for each thing that does not agree.
        moving: a sentence for each reason why that may be only for now.
        notes: what could not be checked, and why.
    """

    stream: str
    produced: int
    ledger: int
    repeats: int
    staged: int
    dead_letters: Counter[str]
    documents: int | None
    totals: dict[str, int]
    wrong: list[str] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def dead(self) -> int:
        """Records that became dead letters; one whose document was refused is in the ledger."""
        return self.dead_letters.total() - self.dead_letters[reading.REJECTED]

    @property
    def agrees(self) -> bool:
        """Whether nothing is left to say against it."""
        return not self.wrong and not self.moving


def reconcilable() -> list[str]:
    """The streams that keep a ledger."""
    return [stream.name for stream in STREAMS.values() if stream.ledger]


class Reconciliation:
    """Looks at a stream as often as it is asked to; what was read of its topics is not read again."""

    def __init__(self, settings: Settings, stream: Stream, letters: reading.Reader, records: reading.Reader) -> None:
        if stream.ledger is None:
            message = f"{stream.name} keeps no ledger to compare with; streams that do: {', '.join(reconcilable())}."
            raise NotReadyError(message)
        self._settings = settings
        self._stream = stream
        self._ledger: Ledger = stream.ledger
        self._options = getattr(settings, stream.name)
        self._letters, self._records = letters, records
        self._dead = reading.Letters()
        self._first: int | None = None

    def look(self) -> Report:
        """Count everything once and compare.

        Raises:
            NotReadyError: a server is away, or `make prepare` was not run.
        """
        stream = self._stream
        spans = reading.spans(self._settings, stream.topics)
        unread = reading.unread(self._settings, stream.name, stream.topics)
        with postgres.connect(self._settings) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = _number(cursor, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(self._ledger.table)))
            repeats, staged = _epochs(cursor, f"{stream.name}.ledger")
            totals = {total.table: self._differing(cursor, total) for total in stream.sums}
        self._letters.read(self._dead.take)
        report = Report(
            stream.name,
            spans.taken - spans.deleted,
            rows,
            repeats,
            staged,
            self._dead.reasons.copy(),
            self._documents(),
            totals,
        )
        report.moving += self._moving(report, spans, unread)
        self._compare_records(report, spans)
        report.wrong += [
            f"{count:,} rows of {total} differ from the ledger" for total, count in totals.items() if count
        ]
        self._compare_documents(report)
        return report

    def await_agreement(self, seconds: float) -> Report:
        """Look again and again until all agrees, or `seconds` have passed without it.

        A server that is away from the start is an error at once; one that was there is waited for.
        """
        deadline = time.monotonic() + seconds
        report = self.look()
        while not report.agrees and time.monotonic() < deadline:
            time.sleep(1)
            try:
                report = self.look()
            except NotReadyError:
                if time.monotonic() > deadline:
                    raise
        return report

    def _moving(self, report: Report, spans: reading.Spans, unread: int) -> list[str]:
        self._first = spans.taken if self._first is None else self._first
        found = []
        if unread:
            found.append(f"the last checkpoint lacks {unread:,} records of the topic" + self._whether_it_runs())
        if spans.taken != self._first:
            found.append(f"the topic has grown by {spans.taken - self._first:,} records meanwhile: stop what feeds it")
            self._first = spans.taken
        if report.staged:
            found.append(f"{report.staged} staged epochs are not committed")
        return found

    def _whether_it_runs(self) -> str:
        name = self._stream.name
        try:
            runs = Cluster(self._settings.flink.url).running(name)
        except NotReadyError as error:
            return f" ({error})"
        return "" if runs else f", and the job does not run: `make resume JOB={name}`"

    def _compare_records(self, report: Report, spans: reading.Spans) -> None:
        if spans.deleted:
            report.notes.append(
                f"retention has deleted {spans.deleted:,} records of {', '.join(self._stream.topics)}, so that the "
                "ledger can't be held against what was produced"
            )
            return
        if report.produced != report.ledger + report.dead + report.repeats and not report.moving:
            # Offsets are not records: a transaction takes one for its end, and what was aborted is not to be counted.
            report.produced = self._records.read()
        missing = report.produced - report.ledger - report.dead - report.repeats
        if not missing:
            return
        if report.moving or (missing > 0 and self._options.ledger == "staged"):
            report.wrong.append(f"produced - (ledger + dead letters + repeats) = {missing:,}")
            return
        # The topic was read more than once, or nobody counted the repeats: they are what is left, unless less is left.
        report.repeats = report.produced - report.ledger - report.dead
        if report.repeats < 0:
            report.wrong.append(f"ledger + dead letters - produced = {-report.repeats:,}")
        elif self._options.ledger == "staged":
            report.notes.append(
                "the topic was read again after a fresh start, so that repeats are not counted but reckoned"
            )
        else:
            report.notes.append("with ledger: upsert, repeats are not counted but reckoned")

    def _compare_documents(self, report: Report) -> None:
        if report.documents is None:
            return
        refused = self._refused() if self._dead.rejected else 0
        if report.documents != report.ledger - refused:
            less = f" - {refused:,} refused" if refused else ""
            report.wrong.append(f"documents - (ledger{less}) = {report.documents - report.ledger + refused:,}")

    def _refused(self) -> int:
        """How many documents were refused and have not been taken since, after a fresh start or as a repeat."""
        documents = list(self._dead.rejected.values())
        keys = {"|".join(str(each[column]) for column in self._ledger.key) for each in documents if each}
        with elasticsearch.client(self._settings) as client:
            taken = client.count(
                index=self._stream.name, query={"ids": {"values": list(keys)}}, ignore_unavailable=True
            )["count"]
        return len(keys) + sum(not each for each in documents) - int(taken)

    def _documents(self) -> int | None:
        name = self._stream.name
        if name not in self._stream.indices or not self._options.documents:
            return None
        try:
            with elasticsearch.client(self._settings) as client:
                client.indices.refresh(index=name, ignore_unavailable=True)
                return int(client.count(index=name, ignore_unavailable=True)["count"])
        except (ApiError, elastic_transport.TransportError) as error:
            message = f"Elasticsearch can't count the documents: {error}"
            raise NotReadyError(message) from error

    def _recomputed(self, total: Total) -> sql.Composed:
        """A total recomputed from the ledger; its version is how many rows it is of."""
        ledger = self._ledger
        time_of = sql.Identifier(ledger.time)
        bucket = {
            "day": sql.SQL("({} AT TIME ZONE {})::date").format(time_of, sql.Literal(self._settings.time_zone)),
            "minute": sql.SQL("date_trunc('minute', {})").format(time_of),
        }[total.bucket]
        conditions = []
        if total.key:
            conditions.append(sql.SQL("{} IS NOT NULL").format(sql.Identifier(total.key)))
        if total.without:
            left_out = {"key": _list(ledger.key), "table": sql.Identifier(total.without)}
            conditions.append(sql.SQL("({key}) NOT IN (SELECT {key} FROM {table})").format(**left_out))
        where = sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("")
        sums = [
            sql.SQL("sum({}) AS {}").format(sql.SQL(expression), sql.Identifier(column))
            for column, expression in ledger.sums.items()
        ]
        key = sql.SQL(", {}").format(sql.Identifier(total.key)) if total.key else sql.SQL("")
        return sql.SQL("SELECT {} AS {}{}, {}, count(*) AS version FROM {} {} GROUP BY 1{}").format(
            bucket,
            sql.Identifier(total.bucket),
            key,
            sql.SQL(", ").join(sums),
            sql.Identifier(ledger.table),
            where,
            key,
        )

    def _names(self, total: Total) -> dict[str, sql.Composable]:
        """What the statements below are about."""
        return {
            "total": sql.Identifier(total.table),
            "key": _list(total.columns),
            "sums": _list(self._ledger.sums),
            "old": _list(self._ledger.sums, "t"),
            "new": _list(self._ledger.sums, "r"),
            "recomputed": self._recomputed(total),
        }

    def _differing(self, cursor: Cursor, total: Total) -> int:
        differing = sql.SQL(
            "SELECT count(*) FROM ({recomputed}) AS r FULL JOIN {total} AS t USING ({key})"
            " WHERE ({new}) IS DISTINCT FROM ({old})"
        )
        return _number(cursor, differing.format(**self._names(total)))

    def repair(self) -> dict[str, int]:
        """Set right, from the ledger, every total that differs; return how many rows by total.

        The version stays, so that the job's next number for the same key is taken. While the job still counts a key
        wrongly, its next number is as wrong as before: repair buckets that are over, or repeat it.

        Raises:
            NotReadyError: something moves; totals run ahead of the ledger then, and right ones would be lowered.
        """
        report = self.look()
        if report.moving:
            message = f"Nothing was repaired, for totals may be ahead of the ledger: {'; '.join(report.moving)}."
            raise NotReadyError(message)
        repaired: dict[str, int] = {}
        with postgres.connect(self._settings) as connection, connection.cursor() as cursor:
            for total in self._stream.sums:
                names = self._names(total)
                cursor.execute(
                    sql.SQL(
                        "INSERT INTO {total} AS t ({key}, {sums}, version, updated_at)"
                        " SELECT {key}, {sums}, version, now() FROM ({recomputed}) AS r"
                        " ON CONFLICT ({key}) DO UPDATE SET ({sums}, updated_at) = ROW ({excluded}, now())"
                        " WHERE ({old}) IS DISTINCT FROM ({excluded})"
                    ).format(excluded=_list(self._ledger.sums, "excluded"), **names)
                )
                changed = cursor.rowcount
                cursor.execute(
                    sql.SQL("DELETE FROM {total} WHERE ({key}) NOT IN (SELECT {key} FROM ({recomputed}) AS r)").format(
                        **names
                    )
                )
                repaired[total.table] = changed + cursor.rowcount
        return repaired


@contextlib.contextmanager
def reconciliation(settings: Settings, name: str) -> Iterator[Reconciliation]:
    """The reconciliation of the stream of this name.

    Raises:
        NotReadyError: there is no such stream, it keeps no ledger, a server is away, or `make prepare` was not run.
    """
    stream = STREAMS.get(name)
    if stream is None or stream.ledger is None:
        what = "keeps no ledger to compare with" if stream else "is no stream"
        message = f"{name} {what}; what can be reconciled: {', '.join(reconcilable())}."
        raise NotReadyError(message)
    postgres.check(settings, stream.ledger.table, [*stream.ledger.key, stream.ledger.time])
    postgres.check(settings, "staging.epochs", ["ledger", "rows", "inserted"])
    for total in stream.sums:
        postgres.check(settings, total.table, [*total.columns, *stream.ledger.sums, "version"])
        if total.without:
            postgres.check(settings, total.without, stream.ledger.key)
    with (
        reading.Reader(settings, reading.dead_letter_topics(stream.topics)) as letters,
        reading.Reader(settings, stream.topics) as records,
    ):
        yield Reconciliation(settings, stream, letters, records)


def await_agreement(settings: Settings, name: str, seconds: float) -> Report:
    """Look at a stream until all agrees, or `seconds` have passed.

    Raises:
        NotReadyError: as `reconciliation` does.
    """
    with reconciliation(settings, name) as begun:
        return begun.await_agreement(seconds)


def _list(columns: Iterable[str], of: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*filter(None, (of, column))) for column in columns)


def _number(cursor: Cursor, query: sql.Composable) -> int:
    cursor.execute(query)
    return int((cursor.fetchone() or (0,))[0])


def _epochs(cursor: Cursor, writer: str) -> tuple[int, int]:
    """The repeats among the rows that a writer's epochs held, and its epochs that are not committed."""
    cursor.execute(
        "SELECT coalesce(sum(rows - inserted), 0), count(*) FILTER (WHERE committed_at IS NULL)"
        " FROM staging.epochs WHERE ledger = %s",
        (writer,),
    )
    repeats, staged = cursor.fetchone() or (0, 0)
    cursor.execute(
        "SELECT coalesce(sum(purged_rows - purged_inserted), 0) FROM staging.writers WHERE ledger = %s", (writer,)
    )
    (purged,) = cursor.fetchone() or (0,)
    return int(repeats + purged), int(staged)
