"""Coordinates: the rows of uploaded files with their position, region and address; and carbon's complexes with theirs.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/coordinates.py`.
"""

from pyflink.datastream import StreamExecutionEnvironment

import geo
import jobs
from conf.settings import Settings
from conf.streams import COORDINATES
from jobs.flow.datastreams import rows, sql_pairs
from jobs.flow.decode import part, source
from jobs.flow.emitted import row_type
from jobs.flow.environment import environment, submit
from jobs.flow.lookups import look_up
from jobs.operators.coordinates import RECORD, addressed, addresses, conversion, located, positions
from jobs.rules.coordinates import Result, Waiting
from sinks import kafka, postgres

NAME = COORDINATES.name
KEY = ("batch_id", "sheet", "row_number")
# A row that is read so long after it was sent counts as late, in a metric alone.
LATE_AFTER_SECONDS = 600


def build(settings: Settings) -> StreamExecutionEnvironment:
    """The whole job: source, decode, conversion, addresses, results; complexes, positions, complexes.

    Raises:
        NotReadyError: a server is away or lacks something that the job needs.
        ApiError: there is a key of Kakao and no address of it.
    """
    options = settings.coordinates
    env, tables = environment(settings, python_mode=options.python_mode)
    (topic,) = COORDINATES.topics

    brokers = settings.kafka.bootstrap_servers
    source(tables, "coordinates/source", topic=topic, brokers=brokers, group=f"citystream.{NAME}")
    judged = rows(tables, "coordinates/rules", topic=topic)
    requests, dead_letters = part(judged, time="written_at", late_after_seconds=LATE_AFTER_SECONDS, name=NAME)
    kafka.dead_letters(dead_letters, topic, settings)

    tables.create_temporary_view("requests", requests)
    tables.create_temporary_function("located", conversion())
    tables.create_temporary_view("converted", rows(tables, "coordinates/converted"))

    connect, pace = addresses(settings)
    postgres.check(settings, "address_cache", ["api", "position", "address", "asked_at"])
    waiting = sql_pairs(tables, "coordinates/waiting", row_type(Waiting))
    found = look_up(
        waiting,
        connect,
        addressed,
        pace,
        row_type(Result),
        python_mode=options.python_mode,
        name=f"{NAME}.addresses",
    )
    tables.create_temporary_view("addressed", found)
    results = rows(tables, "coordinates/coordinate_results").union(rows(tables, "coordinates/addressed"))
    postgres.upsert(results, "coordinate_results", KEY, settings=settings)

    (complexes,) = COORDINATES.borrows
    if asking := positions(settings):
        source(tables, f"{NAME}/complexes", topic=complexes, brokers=brokers, group=f"citystream.{NAME}")
        unlocated = sql_pairs(tables, f"{NAME}/unlocated", RECORD, topic=complexes)
        name = f"{NAME}.positions"
        known = look_up(unlocated, asking[0], located, asking[1], RECORD, python_mode=options.python_mode, name=name)
        tables.create_temporary_view("located_complexes", known)
        kafka.records(rows(tables, f"{NAME}/located_complexes"), complexes, settings, name=f"{NAME}.complexes")
    return env


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs, geo])
