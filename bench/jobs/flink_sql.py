"""The yardstick: the same four sums in pure Flink SQL, with what makes it fast: mini-batches, object reuse."""

from pyflink.table import StreamTableEnvironment

from conf.settings import load
from jobs.flow.environment import environment
from jobs.flow.streams import sql

TOTALS = {
    "pay_per_destination": "region",
    "pay_per_category": "category",
    "pay_per_complex": "complex_id",
    "charge_per_day": "''",
}


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
    for total, key in TOTALS.items():
        tables.execute_sql(sql("bench/sink", total=total))
        statements.add_insert_sql(sql("bench/total", total=total, key=key))
    statements.execute()


if __name__ == "__main__":
    main()
