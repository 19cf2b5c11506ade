"""What tutorials teach: every order through Python, `map(json.loads)`, key, window, reduce; pay per complex only."""

import json

from pyflink.common import SimpleStringSchema, Time, Types, WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors import Sink
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.window import TumblingProcessingTimeWindows
from pyflink.java_gateway import get_gateway

from conf.settings import load


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
    discarding = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    (
        env.from_source(source, WatermarkStrategy.no_watermarks(), "orders")
        .map(json.loads)
        .map(lambda order: (order["complex_id"] or "", order["pay"]), Types.TUPLE([Types.STRING(), Types.LONG()]))
        .key_by(lambda pair: pair[0])
        .window(TumblingProcessingTimeWindows.of(Time.seconds(1)))
        .reduce(lambda one, other: (one[0], one[1] + other[1]))
        .sink_to(Sink(discarding))
    )
    env.execute("bench.tutorial")


if __name__ == "__main__":
    main()
