"""Tickets: every sale once; sales per show and minute, per region and day; seats sold twice, and shows sold out.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/tickets.py`.
"""

from functools import partial

from pyflink.datastream import StreamExecutionEnvironment

import jobs
from conf.settings import Settings
from conf.streams import SALES, TICKETS
from jobs.flow.datastreams import rows, watermarked
from jobs.flow.decode import part, source
from jobs.flow.environment import environment, submit
from jobs.flow.totals import combine, counted, documents_of_total, first_per_key, fold, of_total
from jobs.flow.windows import in_windows
from jobs.operators.tickets import location, seats, sold_out
from sinks import elasticsearch, kafka, postgres

NAME = TICKETS.name
ALERTS = f"{NAME}.alerts"
# What the columns of the ledger are not enough for: which window, which seat.
MORE = {name: f"`{name}`" for name in ("kind", "ticket_id", "at", "show_id", "venue", "seat", "late")}
MORE["written_at"] = "CAST(written_at AS TIMESTAMP_LTZ(3))"
# Windows are kept for longer than a sale may be late, so that none is late for being read late: a broker that was away,
# or a producer that could not send, has this long.
PATIENCE_SECONDS = 3_600


def build(settings: Settings, *, seats_watched: bool = True) -> StreamExecutionEnvironment:
    """The whole job: source, decode, ledger, documents, totals, windows, seats, alarms.

    Without `seats_watched` it has no seats and alarms, to measure what these cost.

    Raises:
        NotReadyError: a server is away or lacks something that the job needs.
    """
    options = settings.tickets
    env, tables = environment(settings, python_mode=options.python_mode)

    source(
        tables,
        "tickets/source",
        topic=NAME,
        brokers=settings.kafka.bootstrap_servers,
        group=f"citystream.{NAME}",
        disorder=str(options.disorder_seconds),
        idle=str(options.idle_seconds),
    )
    judged = rows(tables, "tickets/rules", late_after=str(options.late_after_seconds))
    sales, dead_letters = part(judged, time=SALES.time, late_after_seconds=options.late_after_seconds, name=NAME)
    kafka.dead_letters(dead_letters, NAME, settings)

    once = partial(postgres.ledger, mode=options.ledger, settings=settings)
    watermarked(tables, "sales", sales, "written_at")
    once(rows(tables, "tickets/ledger"), SALES.table, SALES.key, time=SALES.time, writer=f"{NAME}.ledger")
    if options.documents:
        documents = rows(tables, "tickets/documents", location=location())
        elasticsearch.documents(documents, NAME, topic=NAME, settings=settings)

    sums = list(SALES.sums)
    every = options.combine_every_seconds
    facts = counted(tables, "sales", SALES, TICKETS.totals, name=NAME, more=MORE)
    firsts = first_per_key(facts, "id", ttl_hours=options.duplicates_window_hours, name=NAME)
    partials = combine(firsts, TICKETS.totals, sums, every_seconds=every, name=NAME)
    tables.create_temporary_view("totals", fold(partials, sums, python_mode=options.python_mode, name=NAME))
    for total in TICKETS.totals:
        row = of_total(tables, total, sums, name=NAME)
        postgres.upsert(row, total.table, total.columns, settings=settings)
        if options.documents:
            described = documents_of_total(tables, total, row, name=NAME)
            elasticsearch.documents(described, total.table, topic=NAME, settings=settings)

    watermarked(tables, "facts", firsts, "written_at")
    (minutes,) = TICKETS.windows
    windows, too_late = in_windows(
        rows(tables, "tickets/punctual"),
        minutes,
        sums,
        time=SALES.time,
        every_seconds=every,
        lateness_seconds=options.late_after_seconds + PATIENCE_SECONDS,
        name=NAME,
    )
    tables.create_temporary_view("minutes", windows)
    postgres.upsert(rows(tables, "tickets/ticket_sales_per_minute"), minutes.table, minutes.columns, settings=settings)
    tables.create_temporary_view("late", rows(tables, "tickets/late").union(too_late))
    lates = rows(tables, "tickets/late_ticket_sales")
    once(lates, str(minutes.without), SALES.key, time=SALES.time, writer=f"{NAME}.late")
    if not seats_watched:
        return env

    taken, oversold = seats(rows(tables, "tickets/seats"), seat_days=options.seat_days, name=NAME)
    tables.create_temporary_view("oversold", oversold)
    full = sold_out(
        taken,
        tables,
        every_seconds=every,
        seat_days=options.seat_days,
        python_mode=options.python_mode,
        name=NAME,
    )
    tables.create_temporary_view("sold_out", full)
    for table, key, time, alerts in (
        ("oversells", ("show_id", "seat", "second_ticket_id"), "at", "oversell_alerts"),
        ("sold_out_shows", ("show_id",), "seen_at", "sold_out_alerts"),
    ):
        alarms = rows(tables, f"tickets/{table}")
        once(alarms, table, key, time=time, writer=f"{NAME}.{table}")
        tables.create_temporary_view(table, alarms)
        kafka.alerts(rows(tables, f"tickets/{alerts}"), ALERTS, settings, name=f"{NAME}.{alerts}")
    return env


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs])
