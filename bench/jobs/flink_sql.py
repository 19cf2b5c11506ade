"""The yardstick: the same four sums in pure Flink SQL, with what makes it fast: mini-batches, object reuse."""

from pyflink.table import StreamTableEnvironment

from conf.settings import load
from conf.streams import DELIVERIES
from jobs.flow.datastreams import sql
from jobs.flow.environment import environment


def main() -> None:
    """All four in one job that reads the topic once."""
    settings = load()
    tables: StreamTableEnvironment = environment(settings)[1]
    for option, value in {
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "1 s",
        "table.exec.mini-batch.size": "50000",
        "pipeline.name": "bench.flink_sql",
    }.items():
        tables.get_config().set(option, value)
    tables.execute_sql(sql("bench/source", bootstrap_servers=settings.kafka.bootstrap_servers))
    statements = tables.create_statement_set()
    for total in DELIVERIES.totals:
        tables.execute_sql(sql("bench/sink", total=total.table))
        statements.add_insert_sql(sql("bench/total", total=total.table, key=total.key or "''"))
    statements.execute()


if __name__ == "__main__":
    main()
