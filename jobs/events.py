"""World events: what is new, changed, moved or gone, each change once; what is spent where, and what is near.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/events.py`.
"""

from pyflink.datastream import StreamExecutionEnvironment

import jobs
from conf.airports import airports
from conf.settings import Settings
from conf.streams import EVENTS, Total
from jobs.flow.datastreams import python_rows, rows
from jobs.flow.decode import decode, newer_per_key, source
from jobs.flow.environment import environment, submit
from jobs.flow.expiry import expire
from jobs.flow.totals import combine, fold
from jobs.operators.events.changes import changes
from jobs.operators.events.lookups import flights, places, provider_of
from jobs.rules.events import event
from jobs.rules.events.lookups import Trip
from sinks import elasticsearch, kafka, postgres

NAME = EVENTS.name
(TOPIC,) = EVENTS.topics
# What is summed up of the changes, per total its key and sums: a change takes away what the event added before it.
TOTALS = {
    Total("event_spend", "market"): (("day", "country", "category"), ("events", "spend", "attendance")),
    Total("naive_calls", "operation"): (("day", "operation"), ("calls",)),
}
ANSWERS = "api_answers"
# What is looked up, and by what it is told apart.
FOUND = {
    "nearby_places": ("place", "provider", "place_id"),
    "flight_offers": ("origin", "destination", "day", "flight"),
}


def build(settings: Settings) -> StreamExecutionEnvironment:
    """The whole job: source, what is newer, decode, changes, ledger, tables, documents, totals, look-ups.

    Raises:
        ApiError: the address and the key of an API don't go together.
        NotReadyError: a server is away or lacks something that the job needs.
        SettingsError: the list of airports is wrong.
    """
    options = settings.events
    env, tables = environment(settings, state_backend=options.state_backend)

    source(tables, f"{NAME}/source", topic=TOPIC, brokers=settings.kafka.bootstrap_servers, group=f"citystream.{NAME}")
    seen = rows(tables, f"{NAME}/seen")
    newer = newer_per_key(seen, "key", "updated", ttl_days=options.keep_days, name=NAME)
    tables.create_temporary_view("newer", newer)
    valid, dead_letters = decode(python_rows(tables, f"{NAME}/newer", name=TOPIC), event.parse, topic=TOPIC)
    kafka.dead_letters(dead_letters, TOPIC, settings)

    provider = provider_of(settings)
    changed = changes(
        valid,
        airports(),
        Trip(**options.trip.model_dump()),
        calls_per_place=len(provider.calls(provider.endpoint, 0, 0)),
        keep_days=options.keep_days,
        name=NAME,
    )
    for part, stream in changed.items():
        tables.create_temporary_view(part, stream)
    postgres.ledger(
        rows(tables, f"{NAME}/event_changes"),
        "event_changes",
        ("event_id", "updated"),
        time="seen_at",
        writer=f"{NAME}.ledger",
        mode=options.ledger,
        settings=settings,
    )
    postgres.upsert(rows(tables, f"{NAME}/events"), NAME, ("event_id",), settings=settings)
    if options.documents:
        elasticsearch.documents(rows(tables, f"{NAME}/documents"), NAME, topic=TOPIC, settings=settings)

    for total, (key, sums) in TOTALS.items():
        added, name = rows(tables, f"{NAME}/{total.table}_added"), f"{NAME}.{total.table}"
        partials = combine(added, [total], sums, every_seconds=options.combine_every_seconds, name=name)
        tables.create_temporary_view(f"{total.table}_sums", fold(partials, sums, python_mode="process", name=name))
        postgres.upsert(rows(tables, f"{NAME}/{total.table}"), total.table, key, settings=settings)

    found = {}
    if options.places.enabled:
        found["nearby_places"] = ("places_found", places(tables, provider, settings, name=NAME))
    if options.flights.enabled:
        found["flight_offers"] = ("flights_found", flights(tables, airports(), settings, name=NAME))
    for table, (view, stream) in found.items():
        tables.create_temporary_view(view, stream)
        postgres.upsert(rows(tables, f"{NAME}/{table}"), table, FOUND[table], settings=settings)
        expire(stream, [table, ANSWERS], settings, name=f"{NAME}.{table}")
    return env


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs])
