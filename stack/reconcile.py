"""`make reconcile`: is every order where it belongs, once, and does every total agree with the ledger?

Pauses the local stack's generator, waits until the running job has caught up with its topic, then compares the
topic, the dead letters, the ledger, the totals and the documents. With `--repair`, totals that differ from the ledger
are set right from it.
"""

import argparse
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import elastic_transport
from elasticsearch import ApiError
from kafka import KafkaConsumer, TopicPartition
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor
from rich.console import Console
from rich.table import Table

from conf.settings import Settings, SettingsError, load
from sinks import elasticsearch, postgres
from sinks.errors import NotReadyError
from sinks.kafka import dead_letter_topic
from stack.layout import Layout
from stack.servers import feed

TOPIC = "deliveries"
LEDGER = "delivery_information"
# Each total's key besides the day.
TOTALS = {
    "pay_per_destination": "region",
    "pay_per_category": "category",
    "pay_per_complex": "complex_id",
    "charge_per_day": None,
}
console = Console(highlight=False)


@dataclass
class Report:
    """What was counted, and every sentence about what does not agree."""

    produced: int
    ledger: int
    repeats: int
    staged: int
    dead_letters: Counter[str]
    documents: int | None
    totals: dict[str, int]
    wrong: list[str] = field(default_factory=list)

    @property
    def dead(self) -> int:
        """All dead letters."""
        return sum(self.dead_letters.values())


def offsets(settings: Settings, topic: str) -> tuple[int, int]:
    """How many records a topic has taken, and how many of them retention has deleted."""
    with contextlib.closing(KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","))) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends, begins = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
        return sum(ends.values()), sum(begins.values())


def read_dead_letters(settings: Settings, topic: str, take: Callable[[bytes], None]) -> None:
    """Hand each dead letter of a topic to `take`, once: one that was written again has the same key."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers.split(","),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    with contextlib.closing(consumer):
        name = dead_letter_topic(topic)
        partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        seen: set[bytes] = set()
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    if record.key not in seen:
                        seen.add(record.key)
                        take(record.value)


def reconcile(settings: Settings) -> Report:
    """Count everything once and compare."""
    dead: Counter[str] = Counter()
    read_dead_letters(settings, TOPIC, lambda value: dead.update([json.loads(value)["reason"]]))
    produced, deleted = offsets(settings, TOPIC)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(LEDGER)))
        ledger = _number(cursor)
        cursor.execute(
            "SELECT coalesce(sum(rows - inserted), 0), count(*) FILTER (WHERE committed_at IS NULL)"
            " FROM staging.epochs WHERE ledger = %s",
            (f"{TOPIC}.ledger",),
        )
        repeats, staged = cursor.fetchone() or (0, 0)
        totals = {total: _count_wrong(cursor, total, key, settings.time_zone) for total, key in TOTALS.items()}
    report = Report(produced, ledger, int(repeats), staged, dead, _documents(settings), totals)
    if deleted:
        report.wrong.append(f"retention has deleted {deleted:,} records of {TOPIC}, so what they were can't be checked")
    if produced != ledger + report.dead + report.repeats:
        report.wrong.append(
            f"produced - (ledger + dead letters + repeats) = {produced - ledger - report.dead - report.repeats:,}"
        )
    if staged:
        report.wrong.append(f"{staged} staged epochs are not committed")
    report.wrong += [f"{count:,} rows of {total} differ from the ledger" for total, count in totals.items() if count]
    if report.documents is not None and report.documents != ledger:
        report.wrong.append(f"documents - ledger = {report.documents - ledger:,}")
    return report


def _number(cursor: Cursor) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _from_ledger(key: str | None, time_zone: str) -> sql.Composed:
    """A total recomputed from the ledger."""
    return sql.SQL(
        "SELECT (ordered_at AT TIME ZONE {zone})::date AS day{key},"
        " count(*) AS orders, sum(pay) AS pay, sum(delivery_charge) AS charge FROM {ledger} {where} GROUP BY 1{key}"
    ).format(
        zone=sql.Literal(time_zone),
        ledger=sql.Identifier(LEDGER),
        key=sql.SQL(", {}").format(sql.Identifier(key)) if key else sql.SQL(""),
        where=sql.SQL("WHERE {} IS NOT NULL").format(sql.Identifier(key)) if key else sql.SQL(""),
    )


def _key_columns(key: str | None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in ("day", key) if column)


def _count_wrong(cursor: Cursor, total: str, key: str | None, time_zone: str) -> int:
    cursor.execute(
        sql.SQL(
            "SELECT count(*) FROM ({recomputed}) AS r FULL JOIN {total} AS t USING ({key})"
            " WHERE (r.orders, r.pay, r.charge) IS DISTINCT FROM (t.orders, t.pay, t.charge)"
        ).format(recomputed=_from_ledger(key, time_zone), total=sql.Identifier(total), key=_key_columns(key))
    )
    return _number(cursor)


def _documents(settings: Settings) -> int | None:
    if not settings.deliveries.documents:
        return None
    try:
        with elasticsearch.client(settings) as client:
            client.indices.refresh(index=TOPIC)
            return int(client.count(index=TOPIC)["count"])
    except (ApiError, elastic_transport.TransportError) as error:
        message = f"Elasticsearch can't count the documents: {error}"
        raise NotReadyError(message) from error


def repair(settings: Settings) -> dict[str, int]:
    """Set right, from the ledger, every total that differs; return how many rows by total.

    The version stays, so that the job's next number for the same key is taken. While the job still counts a key
    wrongly, its next number is as wrong as before: repair days that are over, or repeat it.
    """
    repaired: dict[str, int] = {}
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        for total, key in TOTALS.items():
            names = {
                "total": sql.Identifier(total),
                "key": _key_columns(key),
                "recomputed": _from_ledger(key, settings.time_zone),
            }
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {total} AS t ({key}, orders, pay, charge, version, updated_at)"
                    " SELECT {key}, orders, pay, charge, orders, now() FROM ({recomputed}) AS r"
                    " ON CONFLICT ({key}) DO UPDATE"
                    " SET orders = excluded.orders, pay = excluded.pay, charge = excluded.charge, updated_at = now()"
                    " WHERE (t.orders, t.pay, t.charge)"
                    " IS DISTINCT FROM (excluded.orders, excluded.pay, excluded.charge)"
                ).format(**names)
            )
            changed = cursor.rowcount
            cursor.execute(
                sql.SQL("DELETE FROM {total} WHERE ({key}) NOT IN (SELECT {key} FROM ({recomputed}) AS r)").format(
                    **names
                )
            )
            repaired[total] = changed + cursor.rowcount
    return repaired


def await_agreement(settings: Settings, seconds: float) -> Report:
    """Reconcile again and again until all agrees, or `seconds` have passed without it."""
    deadline = time.monotonic() + seconds
    with console.status("Waiting for the job to catch up ..."):
        while True:
            report = reconcile(settings)
            if not report.wrong or time.monotonic() > deadline:
                return report
            time.sleep(1)


def show(report: Report) -> None:
    """Print the report as a table and a verdict."""
    table = Table(title="Reconciliation", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("produced (records in the topic)", f"{report.produced:,}")
    table.add_row("ledger (rows of delivery_information)", f"{report.ledger:,}")
    table.add_row("dead letters", f"{report.dead:,}")
    for reason, count in report.dead_letters.most_common():
        table.add_row(f"  {reason}", f"{count:,}")
    table.add_row("repeats (an order id published again)", f"{report.repeats:,}")
    if report.documents is not None:
        table.add_row("documents in Elasticsearch", f"{report.documents:,}")
    for total, count in report.totals.items():
        table.add_row(f"{total}: rows that differ from the ledger", f"{count:,}")
    console.print(table)
    if report.wrong:
        console.print("[bold red]Does not agree:[/] " + "; ".join(report.wrong) + ".")
    else:
        console.print(
            "[bold green]All agrees:[/] produced = ledger + dead letters + repeats; every total = the same total"
            " recomputed from the ledger" + ("; documents = ledger." if report.documents is not None else ".")
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 when all agrees."""
    parser = argparse.ArgumentParser(prog="python -m stack.reconcile", description=__doc__)
    parser.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for the job to catch up (60)")
    parser.add_argument("--repair", action="store_true", help="set totals that differ right from the ledger")
    options = parser.parse_args(arguments)
    try:
        settings = load()
        with feed.paused(Layout.of(settings.stack)):
            before, _ = offsets(settings, TOPIC)
            report = await_agreement(settings, options.wait)
            show(report)
            if report.wrong and offsets(settings, TOPIC)[0] != before:
                console.print("The topic still grows: stop what feeds it, to compare what stands still.")
            if options.repair and any(report.totals.values()):
                console.print("Repaired: " + ", ".join(f"{n:,} rows of {t}" for t, n in repair(settings).items() if n))
                report = reconcile(settings)
    except (SettingsError, NotReadyError) as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
