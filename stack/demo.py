"""`make demo`: everything at once, on live data: servers, job, orders, what happens to them, and whether all agrees.

What it shows at the end are the queries of sql/highlights, each with its title in the first line.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from psycopg2.errors import UndefinedTable
from rich.console import Console
from rich.live import Live
from rich.table import Table

from conf.city.places import districts
from conf.errors import Parser, command
from conf.settings import ROOT, Settings, load
from conf.streams import STREAMS, Stream
from control import jobs, reading
from control.cluster import Cluster
from control.facts import facts
from control.reconcile import reconcilable
from sinks import postgres, prepare
from stack import reconcile
from stack.__main__ import main as stack_command
from stack.__main__ import wide
from stack.layout import Layout
from stack.lifecycle import LocalStack
from stack.servers import feed
from stack.waiting import EVERY_SECONDS, waiting

HIGHLIGHTS = ROOT / "sql" / "highlights"
console = Console(highlight=False, soft_wrap=True)


def figures(settings: Settings, name: str) -> dict[str, float | None]:
    """What is known of a stream's job now."""
    (job,) = (each for each in facts(settings) if each.job == name)
    return {
        "produced": reading.spans(settings, STREAMS[name].topics).taken,
        "not read yet": job.lag,
        "read per second": job.rate,
        "dead letters": job.dead_letters,
        "seconds since the last checkpoint": job.checkpoint_age,
    }


def watch(settings: Settings, name: str, seconds: float) -> None:
    """Show the figures: a table that changes on a terminal, else a line every few seconds."""
    deadline = time.monotonic() + seconds
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with live or contextlib.nullcontext():
        while time.monotonic() < deadline:
            shown = {each: "-" if value is None else f"{value:,.0f}" for each, value in figures(settings, name).items()}
            if live:
                table = Table(box=None, pad_edge=False, show_header=False)
                for row in shown.items():
                    table.add_row(*row)
                live.update(table, refresh=True)
            else:
                console.print("  " + ", ".join(f"{each} {value}" for each, value in shown.items()))
            time.sleep(min(2 if live else EVERY_SECONDS, max(0, deadline - time.monotonic())))


def highlights(settings: Settings) -> Iterator[tuple[str, Table]]:
    """What a person wants to see: titles and tables of the queries of sql/highlights that find something."""
    named = {district.code: f"{district.romanised} ({district.name})" for district in districts()}
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        for path in sorted(HIGHLIGHTS.glob("*/*.sql")):
            query = path.read_text(encoding="utf-8")
            cursor.execute("SAVEPOINT before")
            cursor.execute("SELECT set_config('TimeZone', %s, true)", (settings.time_zone,))
            try:
                cursor.execute(query)
            except UndefinedTable:
                cursor.execute("ROLLBACK TO before")
                continue
            found = cursor.fetchall()
            if not found:
                continue
            columns = [column.name for column in cursor.description or ()]
            table = Table(box=None, padding=(0, 2))
            for column, value in zip(columns, found[0], strict=True):
                table.add_column(column, justify="left" if isinstance(value, str) else "right")
            for row in found:
                table.add_row(*(named.get(value, value) if isinstance(value, str) else f"{value:,}" for value in row))
            yield query.splitlines()[0].removeprefix("-- "), table


def where_to_look(settings: Settings, name: str) -> None:
    """Say where everything is, and how to stop it."""
    env = settings.stack.directory / "env"
    stream = STREAMS[name]
    console.rule("Everything goes on running", align="left")
    token = settings.board.token.get_secret_value() if settings.board.token else ""
    console.print(f"Board             {settings.board.url}, where actions need this token: {token}")
    console.print(f"Flink web UI      {settings.flink.url}")
    if stream.totals:
        console.print(f"PostgreSQL        (. {env}; psql $POSTGRES_URL -c 'TABLE {stream.totals[0].table}')")
    if stream.indices:
        console.print(
            f'Elasticsearch     (. {env}; curl -H "Authorization: ApiKey $ELASTICSEARCH_API_KEY"'
            f' "$ELASTICSEARCH_URL/{stream.indices[0]}/_search?pretty&size=3")'
        )
    console.print(f"Records           make logs SERVICE={feed.name(stream)}")
    console.print(f"Stop              make stop JOB={name} (with a savepoint); make down (the data stays); make clean")


def beside(settings: Settings, name: str) -> None:
    """Start the other streams' jobs one after the other, as far as there are slots; meanwhile, fill their topics."""
    cluster, supervisor = Cluster(settings.flink.url), LocalStack.of(settings.stack).supervisor
    slots = int(cluster.overview()["slots-available"])
    others = []
    for stream in STREAMS.values():
        if stream.name == name:
            continue
        if cluster.running(stream.name) is None:
            if slots < settings.flink.parallelism:
                continue
            slots -= settings.flink.parallelism
        others.append(stream)
    filling = ThreadPoolExecutor(1)
    try:
        filled = {stream.name: filling.submit(fill, stream) for stream in others if stream.sample}
        for stream in others:
            with waiting(console, f"Starting the job {stream.name}"):
                jobs.ensure(settings, stream.name, say=console.print)
            if feed.name(stream) in feed.FEEDS:
                supervisor.start_service(feed.name(stream))
        for stream_name, done in filled.items():
            with waiting(console, f"Filling the topics of {stream_name}"):
                done.result()
    finally:
        filling.shutdown(cancel_futures=True)


def fill(stream: Stream) -> None:
    """Fill a stream's topics with a little; where that fails, say why, and go on."""
    command = [sys.executable, "-m", *stream.sample]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        console.print(f"The topics of {stream.name} were not filled: {said[-1]}", markup=False)


def demo(name: str, seconds: float) -> int:
    """Run it; 0 when all agrees."""
    # On a terminal, `up` shows by itself what it waits for.
    with contextlib.nullcontext() if console.is_terminal else waiting(console, "Starting the servers"):
        if stack_command(["up"]) != 0:
            return 1
    if prepare.main([]) != 0:
        return 1
    settings = load()
    with waiting(console, f"Starting the job {name}"):
        jobs.ensure(settings, name, say=console.print)
    LocalStack.of(settings.stack).supervisor.start_service(feed.name(STREAMS[name]))
    console.print(f"Records are coming; the board shows them live: {settings.board.url}")
    beside(settings, name)
    console.print(f"For {seconds:.0f} s you see here what becomes of them.")
    watch(settings, name, seconds)
    console.print("Generators pause, so that what is compared stands still.")
    with feed.paused(Layout.of(settings.stack)):
        report = reconcile.reconcile(settings, name, wait=60)
    for title, table in highlights(settings):
        console.rule(title, align="left")
        wide.print(table)
    where_to_look(settings, name)
    return 0 if report.agrees else 1


@command
def main() -> int:
    """The command line."""
    parser = Parser(prog="python -m stack.demo", description=__doc__)
    parser.add_argument("--stream", default=reconcilable()[0], choices=reconcilable())
    parser.add_argument("--seconds", type=float, default=60, help="how long to watch before the reconciliation (60)")
    options = parser.parse_args()
    return demo(options.stream, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
