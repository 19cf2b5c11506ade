"""`make bench`: a table of rates and ratios, all measured in one run on a stack of its own.

Loads a topic with orders once, then reads it with each contestant in turn. Ten million orders take about 50 minutes,
ten of them for the memory of the Python workers.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count as counter
from itertools import islice
from pathlib import Path

import psutil
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

# A stack of its own, beside one that may be running; set before anything reads the settings.
os.environ.setdefault("CITYSTREAM__STACK__DIRECTORY", ".stack-bench")
os.environ.setdefault("CITYSTREAM__STACK__PORT_OFFSET", "2000")
# One job at a time: each of its slots gets half of a TaskManager's memory.
os.environ.setdefault("CITYSTREAM__STACK__SLOTS_PER_TASK_MANAGER", "2")

from bench.whole import MILLION, Measured, empty, into_postgres, whole_job
from conf.errors import Parser, command
from conf.settings import ROOT, Settings, load
from conf.streams import DELIVERIES, TICKETS, Stream
from control import jobs, reading
from control.cluster import Cluster
from generators.deliveries import orders
from generators.manifest import read_manifest
from sinks import elasticsearch, kafka, prepare
from stack.lifecycle import LocalStack

(TOPIC,) = DELIVERIES.topics
TUTORIAL_TOPIC = "bench.tutorial"
console = Console(highlight=False)


def produce(topic: str, count: int, *, stream: Stream = DELIVERIES, **options: object) -> Measured:
    """Fill a topic with a stream's records, as fast as two generator processes can, or as the options say."""
    chosen = {"rate": 0, "processes": 2, "malformed_share": 0.001, "duplicate_share": 0.01, **options}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    steady = ["--no-day-curve"] if stream is DELIVERIES else []
    command = [sys.executable, "-m", str(stream.feed), f"--topic={topic}", f"--count={count}", *steady, *flags]
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True)
    return Measured("the generator, 2 processes, acks=all", count, time.monotonic() - began)


def load_topic(settings: Settings, count: int) -> Measured | None:
    """Fill the topic of orders; None when a run before, with `--keep`, has left just as many in it."""
    there = reading.spans(settings, [TOPIC]).taken
    if there == count:
        console.print(f"The {count:,} orders of a run before are still there")
        return None
    if there:
        msg = f"The topic holds {there:,} orders of a run before: `--orders {there}` takes and forgets them."
        raise SystemExit(msg)
    manifest(settings).unlink(missing_ok=True)
    return produce(TOPIC, count, manifest=manifest(settings))


def manifest(settings: Settings) -> Path:
    """Where the generator notes what it has sent."""
    return settings.stack.path / "bench-manifest"


def tickets(settings: Settings, count: int) -> Iterator[Measured]:
    """The tickets job into PostgreSQL, as it is, and without what it does per seat."""
    (topic,) = TICKETS.topics
    sent = settings.stack.path / "bench-manifest-tickets"
    if reading.spans(settings, [topic]).taken != count:
        sent.unlink(missing_ok=True)
        produce(topic, count, stream=TICKETS, manifest=sent)
    valid = sum(kind in ("valid", "cancellation") for kind, _, _ in read_manifest(sent))
    yield into_postgres(TICKETS, TICKETS_CHECKED, count, valid)
    yield into_postgres(TICKETS, TICKETS_UNCHECKED, count, valid, program="bench/jobs/tickets_unchecked.py")


def bounded(settings: Settings, label: str, program: str, records: int, *arguments: str) -> Measured:
    """Run bench/jobs/<program>.py to the topic's end; timed from all its tasks running to the last one finished."""
    cluster = Cluster(settings.flink.url)
    command = jobs.flink_command(settings, f"bench/jobs/{program}.py", parallelism=settings.flink.parallelism)
    jobs.run([*command, *arguments])
    job = cluster.newest(f"bench.{program}") or ""
    while (state := cluster.state(job)) != "FINISHED":
        if state in ("FAILED", "CANCELED"):
            raise RuntimeError(cluster.last_failure(job))
        time.sleep(0.5)
    began, ended = cluster.times(job)
    return Measured(label, records, ended - began)


def bulk_alone(settings: Settings, name: str, seconds: float) -> Measured:
    """What `_bulk` sustains by itself for `seconds`, after as many to get warm, from two threads.

    The documents are encoded beforehand: 100,000 orders, again and again, each time under ids of their own.
    """
    plan = orders.Plan(seed=7, start=datetime.now(UTC))
    day = plan.start.date().isoformat().encode()
    documents = [
        (
            record.key or b"",
            (record.value or b"{}").replace(b'"lat":', b'"day":"%s","location":{"lat":' % day)[:-1] + b"}}",
        )
        for record in islice(plan.records(), 100_000)
    ]
    size = 2_000
    bulks = counter()
    empty(settings, DELIVERIES)
    began = time.monotonic()

    def send(client: Elasticsearch) -> tuple[int, bool]:
        """How many were sent in the second half of the time, and whether any was refused."""
        sent, refused = 0, False
        while (now := time.monotonic() - began) < 2 * seconds:
            bulk = next(bulks)
            turn, at = divmod(bulk * size, len(documents))
            lines: list[bytes] = []
            for offset, (key, body) in enumerate(documents[at : at + size]):
                version = 2**53 - bulk * size - offset
                lines += [
                    b'{"index":{"_id":"%s-%d","version":%d,"version_type":"external_gte"}}' % (key, turn, version),
                    body,
                ]
            answer = client.bulk(index=TOPIC, operations=lines, filter_path="errors")  # type: ignore[arg-type]
            refused |= bool(answer["errors"])
            sent += size if now >= seconds else 0
        return sent, refused

    # A client each: shared by both, it lets little more than half of this through.
    with (
        elasticsearch.client(settings) as one,
        elasticsearch.client(settings) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        results = list(threads.map(send, (one, other)))
    notes = ["a document was refused"] if any(refused for _, refused in results) else []
    return Measured(name, sum(sent for sent, _ in results), time.monotonic() - began - seconds, notes)


def into_elasticsearch(name: str, seconds: float, valid: int) -> Measured:
    """The whole job with documents: those of `seconds`, after as many to get warm, or until all are there."""
    with whole_job(DELIVERIES, documents="true") as (settings, _), elasticsearch.client(settings) as client:
        tolerant = client.options(ignore_status=404)

        def documents() -> int:
            # Not a count: that would need refreshes, which cost Elasticsearch more than the documents do.
            stats = tolerant.indices.stats(index=TOPIC, metric="indexing").get("_all", {}).get("primaries", {})
            return int(stats.get("indexing", {}).get("index_total", 0))

        while not documents():
            time.sleep(0.5)
        time.sleep(seconds)
        began, first = time.monotonic(), documents()
        while (last := documents()) < valid and time.monotonic() - began < seconds:
            time.sleep(0.5)
        notes = ["all documents were there before it was warm: take more orders"] if first >= valid else []
        return Measured(name, last - first, time.monotonic() - began, notes)


@contextlib.contextmanager
def elasticsearch_apart(settings: Settings) -> Iterator[None]:
    """Elasticsearch on a processor that is its own, and everything else on the others."""
    processors = os.sched_getaffinity(0)
    own = {min(processors)}

    def assign(its: set[int], others: set[int]) -> None:
        os.sched_setaffinity(0, others)
        for state in LocalStack.of(settings.stack).supervisor.states():
            if state.pid:
                root = psutil.Process(state.pid)
                for process in (root, *root.children(recursive=True)):
                    # A new thread runs where the one that made it does.
                    for thread in process.threads():
                        with contextlib.suppress(ProcessLookupError):
                            os.sched_setaffinity(thread.id, its if state.name == "elasticsearch" else others)

    assign(own, processors - own)
    try:
        yield
    finally:
        assign(processors, processors)


def worker_memory(minutes: float, rate: int) -> Measured:
    """Resident memory of all Python workers while the whole job runs at a steady rate."""
    with whole_job(DELIVERIES, documents="true") as (settings, _):
        states = LocalStack.of(settings.stack).supervisor.states()
        managers = [psutil.Process(state.pid) for state in states if state.name.startswith("taskmanager")]
        samples: list[int] = []
        feeder = threading.Thread(
            target=produce, args=(TOPIC, int(rate * minutes * 60)), kwargs={"rate": rate, "processes": 1}, daemon=True
        )
        feeder.start()
        began = time.monotonic()
        while feeder.is_alive():
            time.sleep(5)
            samples.append(sum(worker.memory_info().rss for worker in _workers(managers)))
        third = max(1, len(samples) // 5)
        first, last = (sorted(part)[len(part) // 2] / 2**20 for part in (samples[third : 2 * third], samples[-third:]))
        note = (
            f"Python workers: {first:.0f} MiB in the second fifth, {last:.0f} MiB in the last ({last / first - 1:+.1%})"
        )
        return Measured(
            f"{minutes:g} minutes at {rate:,}/s", int(rate * minutes * 60), time.monotonic() - began, [note]
        )


def _workers(managers: list[psutil.Process]) -> Iterator[psutil.Process]:
    for process in (child for manager in managers for child in manager.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            if any("pyflink.fn_execution" in part for part in process.cmdline()):
                yield process


def measure(count: int, minutes: float) -> Iterator[Measured]:
    """Every contestant in turn."""
    if prepare.main([]) != 0:
        raise SystemExit(1)
    settings = load()
    if loaded := load_topic(settings, count):
        yield loaded
    # Valid and distinct: so many rows, documents and counted orders there must be at the end.
    valid = sum(kind == "valid" for kind, _, _ in read_manifest(manifest(settings)))

    yield bounded(settings, PURE_SQL, "flink_sql", count)
    yield bounded(settings, COMBINED, "combined", count)
    yield bounded(settings, "the same, first per order id kept", "combined", count, "--deduplicate")
    sample = min(count, 300_000)
    with contextlib.closing(kafka.admin(settings)) as admin:
        if TUTORIAL_TOPIC not in admin.list_topics():
            admin.create_topics(
                {TUTORIAL_TOPIC: {"num_partitions": 4, "replication_factor": settings.kafka.replication}}
            )
    if reading.spans(settings, [TUTORIAL_TOPIC]).taken != sample:
        produce(TUTORIAL_TOPIC, sample, malformed_share=0, duplicate_share=0)
    yield bounded(settings, TUTORIAL, "tutorial", sample)

    yield into_postgres(DELIVERIES, STAGED, count, valid, ledger="staged")
    yield into_postgres(DELIVERIES, UPSERT, count, valid, ledger="upsert")
    yield from tickets(settings, min(count, MILLION))
    yield bulk_alone(settings, BULK, 60)
    yield into_elasticsearch(DOCUMENTS, 60, valid)
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        with elasticsearch_apart(settings):
            yield bulk_alone(settings, BULK_APART, 60)
            yield into_elasticsearch(DOCUMENTS_APART, 60, valid)
    if minutes:
        yield worker_memory(minutes, rate=3_000)


PURE_SQL = "pure Flink SQL, the same four sums"
COMBINED = "ours: decode, rules, combiner, Python totals"
TUTORIAL = "tutorial-style PyFlink DataStream, the same four sums"
STAGED = "the whole job into PostgreSQL, ledger: staged"
UPSERT = "the same, ledger: upsert"
TICKETS_CHECKED = "the whole tickets job into PostgreSQL"
TICKETS_UNCHECKED = f"{TICKETS_CHECKED}, without the check for seats sold twice"
BULK = "Elasticsearch _bulk alone, 2 threads"
DOCUMENTS = "the whole job, Elasticsearch on"
BULK_APART = f"{BULK}, on a processor of its own"
DOCUMENTS_APART = f"{DOCUMENTS} and on a processor of its own"
# What is promised: this over that is at least so much.
RATIOS = [
    (COMBINED, PURE_SQL, 0.85),
    (COMBINED, TUTORIAL, 100),
    (STAGED, PURE_SQL, 0.15),
    (TICKETS_CHECKED, STAGED, 1),
    (DOCUMENTS, BULK, 0.8),
    (DOCUMENTS_APART, BULK_APART, 0.8),
]


def show(results: dict[str, Measured]) -> None:
    """Print rates, then ratios."""
    table = Table(
        title=f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB", title_justify="left"
    )
    for heading in ("what", "records", "seconds", "records/s"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for result in results.values():
        table.add_row(result.name, f"{result.records:,}", f"{result.seconds:,.1f}", f"{result.rate:,.0f}")
    console.print(table)
    for result in results.values():
        for note in result.notes:
            console.print(f"{result.name}: {note}")
    for one, other, promised in RATIOS:
        if one in results and other in results:
            ratio = results[one].rate / results[other].rate
            console.print(f"{one} / {other}: {ratio:,.2f} (promised: at least {promised:g})")


@command
def main() -> int:
    """The command line."""
    parser = Parser(prog="python -m bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=10 * MILLION, help="orders in the topic (10,000,000)")
    parser.add_argument(
        "--minutes", type=float, default=10, help="of watching the Python workers' memory (10); 0: none"
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack with its orders for the next run")
    options = parser.parse_args()
    stack = [sys.executable, "-m", "stack"]
    results: dict[str, Measured] = {}
    load()  # what is wrong with a setting is said before anything starts
    try:
        if subprocess.run([*stack, "up"], cwd=ROOT, check=False).returncode:
            return 1
        for result in measure(options.orders, options.minutes):
            results[result.name] = result
            console.print(f"{result.name}: {result.rate:,.0f}/s")
    finally:
        if not options.keep:
            subprocess.run([*stack, "clean"], cwd=ROOT, check=False)
        show(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
