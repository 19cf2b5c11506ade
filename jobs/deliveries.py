"""Deliveries: every order once in PostgreSQL and Elasticsearch; what is paid per destination, category and complex.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/deliveries.py`.
"""

from pyflink.datastream import StreamExecutionEnvironment

import jobs
from conf.settings import Settings
from conf.streams import DELIVERIES, ORDERS
from jobs.flow.datastreams import rows
from jobs.flow.decode import part, source
from jobs.flow.environment import environment, submit
from jobs.flow.totals import combine, counted, documents_of_total, first_per_key, fold, of_total
from sinks import elasticsearch, kafka, postgres

NAME = DELIVERIES.name


def build(settings: Settings) -> StreamExecutionEnvironment:
    """The whole job: source, decode, ledger, documents, combine, fold, totals.

    Raises:
        NotReadyError: a server is away or lacks something that the job needs.
    """
    options = settings.deliveries
    env, tables = environment(settings, python_mode=options.python_mode)

    brokers = settings.kafka.bootstrap_servers
    source(tables, "deliveries/source", topic=NAME, brokers=brokers, group=f"citystream.{NAME}")
    judged = rows(tables, "deliveries/rules")
    orders, dead_letters = part(judged, time="ordered_at", late_after_seconds=options.late_after_seconds, name=NAME)
    kafka.dead_letters(dead_letters, NAME, settings)

    tables.create_temporary_view("orders", orders)
    ledger = rows(tables, "deliveries/delivery_information")
    postgres.ledger(
        ledger,
        ORDERS.table,
        ORDERS.key,
        time=ORDERS.time,
        writer=f"{NAME}.ledger",
        mode=options.ledger,
        settings=settings,
    )
    if options.documents:
        elasticsearch.documents(rows(tables, "deliveries/documents"), NAME, topic=NAME, settings=settings)

    sums = list(ORDERS.sums)
    facts = counted(tables, "orders", ORDERS, DELIVERIES.totals, name=NAME)
    firsts = first_per_key(facts, "id", ttl_hours=options.duplicates_window_hours, name=NAME)
    partials = combine(firsts, DELIVERIES.totals, sums, every_seconds=options.combine_every_seconds, name=NAME)
    tables.create_temporary_view("totals", fold(partials, sums, python_mode=options.python_mode, name=NAME))
    for total in DELIVERIES.totals:
        row = of_total(tables, total, sums, name=NAME)
        postgres.upsert(row, total.table, total.columns, settings=settings)
        if options.documents:
            described = documents_of_total(tables, total, row, name=NAME)
            elasticsearch.documents(described, total.table, topic=NAME, settings=settings)
    return env


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs])
