"""Ours without the sinks: decode and rules, perhaps first per order id, combiner, Python totals."""

import sys

import cloudpickle
from pyflink.datastream.connectors import Sink
from pyflink.java_gateway import get_gateway

import jobs
from conf.settings import load
from conf.streams import DELIVERIES, ORDERS
from jobs.flow.datastreams import rows
from jobs.flow.decode import part, source
from jobs.flow.environment import environment
from jobs.flow.totals import combine, counted, first_per_key, fold


def main(*, deduplicate: bool) -> None:
    """The totals' branch of the deliveries job."""
    cloudpickle.register_pickle_by_value(jobs)
    settings = load()
    env, tables = environment(settings)
    brokers = settings.kafka.bootstrap_servers
    source(tables, "deliveries/source", topic="deliveries", brokers=brokers, group="bench", bounded="latest-offset")
    judged = rows(tables, "deliveries/rules")
    orders, _ = part(judged, time="ordered_at", late_after_seconds=600, name="bench")
    tables.create_temporary_view("orders", orders)
    sums = list(ORDERS.sums)
    stream = counted(tables, "orders", ORDERS, DELIVERIES.totals, name="bench")
    if deduplicate:
        stream = first_per_key(stream, "id", ttl_hours=24, name="bench")
    partials = combine(stream, DELIVERIES.totals, sums, every_seconds=1, name="bench")
    discarding = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    fold(partials, sums, python_mode="process", name="bench").sink_to(Sink(discarding)).name("discard").uid("discard")
    env.execute("bench.combined")


if __name__ == "__main__":
    main(deduplicate="--deduplicate" in sys.argv)
