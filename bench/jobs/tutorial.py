"""What tutorials teach: every order through Python, `map(json.loads)`, then key, window and reduce for each total."""

import json
from collections.abc import Callable
from typing import Any

from pyflink.common import SimpleStringSchema, Time, Types, WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors import Sink
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.window import TumblingProcessingTimeWindows
from pyflink.java_gateway import get_gateway

from conf.settings import load

Order = dict[str, Any]
# The same four sums as the other contestants'. The day is that of UTC: cheaper than the city's, and as many keys.
TOTALS: dict[str, Callable[[Order], str]] = {
    "pay_per_destination": lambda order: f"{order['ordered_at'][:10]}|{order['region']}",
    "pay_per_category": lambda order: f"{order['ordered_at'][:10]}|{order['category']}",
    "pay_per_complex": lambda order: f"{order['ordered_at'][:10]}|{order['complex_id']}",
    "charge_per_day": lambda order: str(order["ordered_at"][:10]),
}
PARTIAL = Types.TUPLE([Types.STRING(), Types.LONG(), Types.LONG(), Types.LONG()])


def main() -> None:
    """Read the topic to its present end."""
    settings = load()
    env = StreamExecutionEnvironment.get_execution_environment()
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(settings.kafka.bootstrap_servers)
        .set_topics("bench.tutorial")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_bounded(KafkaOffsetsInitializer.latest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    orders = env.from_source(source, WatermarkStrategy.no_watermarks(), "orders").map(json.loads)
    for total, key in TOTALS.items():
        discarding = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
        (
            orders.map(lambda order, key=key: (key(order), 1, order["pay"], order["delivery_charge"]), PARTIAL)
            .key_by(lambda partial: partial[0])
            .window(TumblingProcessingTimeWindows.of(Time.seconds(1)))
            .reduce(lambda one, other: (one[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]))
            .sink_to(Sink(discarding))
            .name(total)
        )
    env.execute("bench.tutorial")


if __name__ == "__main__":
    main()
