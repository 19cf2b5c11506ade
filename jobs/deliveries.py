"""Deliveries: every order once in PostgreSQL and Elasticsearch; what is paid per destination, category and complex.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/deliveries.py`.
"""

from pyflink.datastream import StreamExecutionEnvironment

import jobs
from conf.settings import Settings
from jobs.flow.decode import part, source
from jobs.flow.environment import environment, submit
from jobs.flow.streams import rows
from jobs.flow.totals import combine, first_per_key, fold
from sinks import elasticsearch, kafka, postgres

NAME = "deliveries"
LEDGER = "delivery_information"
# The totals, and what each is kept per, besides the day.
TOTALS = {
    "pay_per_destination": "region",
    "pay_per_category": "category",
    "pay_per_complex": "complex_id",
    "charge_per_day": None,
}


def build(settings: Settings) -> StreamExecutionEnvironment:
    """The whole job: source, decode, ledger, documents, combine, fold, totals.

    Raises:
        NotReadyError: a server is away or lacks something that the job needs.
    """
    options = settings.deliveries
    env, tables = environment(settings, python_mode=options.python_mode)

    brokers = settings.kafka.bootstrap_servers
    source(tables, "deliveries/source", topic=NAME, brokers=brokers, group=f"citystream.{NAME}")
    judged = rows(tables, "deliveries/judged")
    orders, dead_letters = part(judged, time="ordered_at", late_after_seconds=options.late_after_seconds, name=NAME)
    kafka.dead_letters(dead_letters, NAME, settings)

    tables.create_temporary_view("orders", orders)
    ledger = rows(tables, "deliveries/delivery_information")
    postgres.ledger(ledger, LEDGER, "order_id", time="ordered_at", writer=f"{NAME}.ledger", settings=settings)
    if options.documents:
        elasticsearch.documents(rows(tables, "deliveries/documents"), NAME, topic=NAME, settings=settings)

    counted = rows(tables, "deliveries/counted")
    firsts = first_per_key(counted, "order_id", ttl_hours=options.duplicates_window_hours, name=NAME)
    partials = combine(
        firsts,
        TOTALS,
        day="day",
        sums=["pay", "delivery_charge"],
        every_seconds=options.combine_every_seconds,
        name=NAME,
    )
    tables.create_temporary_view("totals", fold(partials, python_mode=options.python_mode, name=NAME))
    for total, key in TOTALS.items():
        sums = rows(tables, f"deliveries/{total}")
        postgres.totals(sums, total, ["day", key] if key else ["day"], settings=settings)
        if options.documents:
            tables.create_temporary_view(total, sums)
            key_of = f"CONCAT_WS('|', CAST(`day` AS STRING), {key})" if key else "CAST(`day` AS STRING)"
            described = rows(tables, "deliveries/total_document", name=f"{total}_document", id=key_of, total=total)
            elasticsearch.documents(described, total, topic=NAME, settings=settings)
    return env


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs])
