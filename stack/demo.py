"""`make demo`: everything at once, on live data: servers, job, orders, what happens to them, and whether all agrees."""

import argparse
import sys
import time

from rich.console import Console
from rich.live import Live
from rich.table import Table

from conf.settings import Settings, SettingsError, load
from control.cluster import Cluster
from sinks import postgres, prepare
from sinks.errors import NotReadyError
from stack import control, reconcile
from stack.__main__ import main as stack_command
from stack.errors import StackError
from stack.layout import Layout
from stack.lifecycle import LocalStack
from stack.servers import feed

JOB = "deliveries"
console = Console(highlight=False, soft_wrap=True)


def figures(settings: Settings, cluster: Cluster, job: str) -> Table:
    """What there is now."""
    produced, _ = reconcile.offsets(settings, JOB)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM delivery_information")
        (ledger,) = cursor.fetchone() or (0,)
        cursor.execute("SELECT coalesce(sum(orders), 0), coalesce(sum(pay), 0) FROM charge_per_day")
        counted, pay = cursor.fetchone() or (0, 0)
    dead, lag = cluster.metric(job, "dead_lettered"), cluster.metric(job, "pendingRecords")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in (
        ("orders produced", produced),
        ("counted in the totals", counted),
        ("rows in the ledger (as of the last checkpoint)", ledger),
        ("dead letters since the job's last start", dead),
        ("lag, in records", lag),
        ("paid, in KRW", pay),
    ):
        table.add_row(name, "-" if value is None else f"{int(value):,}")
    return table


def watch(settings: Settings, job: str, seconds: float) -> None:
    """Show the figures, every two seconds on a terminal, else every fifteen."""
    cluster = Cluster(settings.flink.url)
    deadline = time.monotonic() + seconds
    if not console.is_terminal:
        while time.monotonic() < deadline:
            time.sleep(min(15, max(0, deadline - time.monotonic())))
            console.print(figures(settings, cluster, job))
        return
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < deadline:
            live.update(figures(settings, cluster, job), refresh=True)
            time.sleep(2)


def where_to_look(settings: Settings) -> None:
    """Say where everything is, and how to stop it."""
    env = settings.stack.directory / "env"
    console.rule("Everything goes on running", align="left")
    console.print(f"Flink web UI      {settings.flink.url}")
    console.print(f"PostgreSQL        (. {env}; psql $POSTGRES_URL -c 'TABLE pay_per_destination')")
    console.print(
        f"Elasticsearch     (. {env};"
        ' curl -H "Authorization: ApiKey $ELASTICSEARCH_API_KEY" "$ELASTICSEARCH_URL/deliveries/_search?pretty&size=3")'
    )
    console.print(f"Orders            make logs SERVICE={feed.NAME}")
    console.print(
        "Stop              make stop JOB=deliveries (with a savepoint); make down (the data stays); make clean"
    )


def demo(seconds: float) -> int:
    """Run it; 0 when all agrees."""
    if stack_command(["up"]) != 0 or prepare.main([]) != 0:
        return 1
    settings = load()
    job = control.ensure(settings, JOB)
    LocalStack.of(settings.stack).supervisor.start_service(feed.NAME)
    console.print(f"Orders are coming. For {seconds:.0f} s you see what becomes of them.")
    watch(settings, job, seconds)
    console.print("The generator pauses, so that what is compared stands still.")
    with feed.paused(Layout.of(settings.stack)):
        report = reconcile.await_agreement(settings, 60)
    reconcile.show(report)
    where_to_look(settings)
    return 1 if report.wrong else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to watch before the reconciliation (60)")
    options = parser.parse_args()
    try:
        return demo(options.seconds)
    except (SettingsError, NotReadyError, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
