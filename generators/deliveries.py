"""Produce delivery orders to Kafka: `python -m generators.deliveries --help`.

Every record is acknowledged by all in-sync replicas and written once, whatever the brokers go through meanwhile: the
producer is idempotent and tries again for as long as `DELIVERY_TIMEOUT_SECONDS`. A record that is not delivered even
so ends the process with an error; nothing is dropped in silence.
"""

import argparse
import contextlib
import logging
import multiprocessing
import os
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from conf import settings
from conf.errors import Parser, command
from generators import malformed, orders
from generators.brokers import GeneratorError, client, wait_for_brokers
from generators.orders import Plan, Record

TOPIC = "deliveries"
# The client's own buffer has no bound; ours is what keeps memory flat while brokers are away.
MOST_UNACKNOWLEDGED = 20_000
SLICE_SECONDS = 0.015


@dataclass
class Tally:
    """How many records were acknowledged, by kind; late ones are counted among the valid."""

    valid: int = 0
    late: int = 0
    malformed: int = 0
    repeats: int = 0

    @property
    def produced(self) -> int:
        """All of them."""
        return self.valid + self.malformed + self.repeats

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, count.name) + getattr(other, count.name) for count in fields(Tally)))

    def __str__(self) -> str:
        return (
            f"{self.produced:,} produced: {self.valid:,} valid ({self.late:,} of them late), "
            f"{self.malformed:,} malformed, {self.repeats:,} repeats"
        )


@dataclass(frozen=True)
class Run:
    """A plan and where it goes.

    Attributes:
        plan: The records to produce.
        bootstrap_servers: Addresses of brokers, comma-separated.
        topic: The topic to produce to.
        count: Stop after this many records over all processes; None: never.
        manifest: File to append what was acknowledged to.
        deadline_seconds: How long to wait for brokers, and at the end for their acknowledgements.
    """

    plan: Plan
    bootstrap_servers: str
    topic: str
    count: int | None
    manifest: Path | None
    deadline_seconds: float

    def share_of(self, process: int) -> int | None:
        """How many records this process produces."""
        if self.count is None:
            return None
        return self.count // self.plan.processes + (process < self.count % self.plan.processes)


class Manifest:
    """A text file of what was acknowledged, for reconciliation; one line per run of records, fields apart by a tab.

    - `valid FIRST LAST`: the orders with the ids from FIRST to LAST. Only their last nine digits differ, and all
      numbers between belong to it.
    - `repeat ID`: that order once more.
    - `malformed KEY REASON`: a broken record, published under the Kafka key KEY.

    Several processes may append to one file: each batch of lines is written by a single system call.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: list[bytes] = []
        self._first = self._last = b""

    def add(self, record: Record) -> None:
        """Note an acknowledged record."""
        if record.kind == "valid":
            self._first = self._first or record.key
            self._last = record.key
            return
        if record.kind == "malformed":
            # It used up a number of its own, so the run of valid ones ends here.
            self.end_run()
            self._lines.append(b"malformed\t%b\t%b\n" % (record.key, record.reason.encode()))
        else:
            self._lines.append(b"repeat\t%b\n" % record.key)

    def flush(self) -> None:
        """Write what was noted so far."""
        self.end_run()
        if self._lines:
            os.write(self._file, b"".join(self._lines))
            self._lines.clear()

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        os.close(self._file)

    def end_run(self) -> None:
        """Let no line span what comes next."""
        if self._first:
            self._lines.append(b"valid\t%b\t%b\n" % (self._first, self._last))
            self._first = self._last = b""


def read_manifest(path: Path) -> Iterator[tuple[orders.Kind, str, str]]:
    """What a run with `--manifest` produced: kind, order id (the Kafka key), and for malformed records the reason."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            kind, key, *rest = line.rstrip("\n").split("\t")
            if kind == "valid":
                prefix, first = key.rsplit("-", 1)
                last = rest[0].rsplit("-", 1)[1]
                for number in range(int(first), int(last) + 1):
                    yield "valid", f"{prefix}-{number:09d}", ""
            elif kind == "repeat":
                yield "repeat", key, ""
            else:
                yield "malformed", key, rest[0]


@dataclass
class Publisher:
    """Sends records and keeps account of their acknowledgements."""

    producer: KafkaProducer
    topic: str
    manifest: Manifest | None = None
    tally: Tally = field(default_factory=Tally)
    _pending: deque[tuple[Any, Record]] = field(default_factory=deque)

    def send(self, record: Record) -> None:
        """Hand a record to the client; waits while too many are unacknowledged."""
        self._pending.append((self.producer.send(self.topic, record.value, record.key), record))

    @property
    def is_full(self) -> bool:
        """Whether to wait for acknowledgements before the next send."""
        return len(self._pending) >= MOST_UNACKNOWLEDGED

    def collect(self) -> None:
        """Count what was acknowledged since.

        Raises:
            GeneratorError: a record was not delivered.
        """
        pending, tally = self._pending, self.tally
        undelivered: list[BaseException] = []
        while pending and pending[0][0].is_done:
            future, record = pending.popleft()
            if future.failed():
                undelivered.append(future.exception)
                if self.manifest:
                    self.manifest.end_run()
                continue
            if record.kind == "valid":
                tally.valid += 1
                tally.late += record.reason == "late"
            elif record.kind == "malformed":
                tally.malformed += 1
            else:
                tally.repeats += 1
            if self.manifest:
                self.manifest.add(record)
        if undelivered:
            cause = undelivered[0]
            msg = (
                f"{len(undelivered):,} records were not delivered to {self.topic} ({type(cause).__name__}: {cause}) "
                f"and {len(pending):,} more are not acknowledged; {tally}"
            )
            raise GeneratorError(msg)

    def finish(self, seconds: float) -> None:
        """Wait for all acknowledgements.

        Raises:
            GeneratorError: some did not come in time.
        """
        with contextlib.suppress(KafkaTimeoutError):
            self.producer.flush(seconds)
        self.collect()
        if self._pending:
            msg = f"{len(self._pending):,} records were not acknowledged within {seconds:g} s; {self.tally}"
            raise GeneratorError(msg)


@dataclass
class Progress:
    """Says how far the run is: each second on a terminal, else each ten."""

    began: float = field(default_factory=time.monotonic)
    _every: float = field(default_factory=lambda: 1.0 if sys.stderr.isatty() else 10.0)
    _said: float = field(default_factory=time.monotonic)
    _produced: int = 0

    def show(self, tally: Tally) -> None:
        """Print a line if it is time for one."""
        now = time.monotonic()
        if now - self._said < self._every:
            return
        rate = (tally.produced - self._produced) / (now - self._said)
        self._said, self._produced = now, tally.produced
        print(
            f"{now - self.began:6.0f} s  {tally.produced:,} produced, {rate:,.0f}/s  "
            f"{tally.malformed:,} malformed, {tally.late:,} late, {tally.repeats:,} repeats",
            file=sys.stderr,
            flush=True,
        )


def produce(
    run: Run,
    process: int,
    producer: KafkaProducer,
    report: Callable[[Tally], None],
    must_stop: Callable[[], bool],
) -> Tally:
    """Produce one process's share of a run, at its pace.

    Args:
        run: What to produce, where and how much of it.
        process: Which of the plan's processes this is.
        producer: An idempotent client.
        report: Called about once a second with what was acknowledged so far.
        must_stop: Asked many times a second; the run ends well when it says so.

    Returns:
        What was acknowledged, which is all that was sent.

    Raises:
        GeneratorError: a record was not delivered.
    """
    manifest = Manifest(run.manifest) if run.manifest else None
    publisher = Publisher(producer, run.topic, manifest)
    paced = run.plan.rate > 0
    began = time.monotonic()
    reported = reached = 0.0
    since_look = 0
    try:
        for record in islice(orders.stream(run.plan, process), run.share_of(process)):
            # What is due already goes out in one sweep; the clock and the acknowledgements are looked at in between.
            if (paced and record.at > reached) or since_look >= 500:
                since_look = 0
                while not must_stop():
                    publisher.collect()
                    reached = time.monotonic() - began
                    if reached - reported >= 1:
                        reported = reached
                        report(publisher.tally)
                        if manifest:
                            manifest.flush()
                    if publisher.is_full:
                        time.sleep(SLICE_SECONDS)
                    elif paced and record.at > reached:
                        time.sleep(min(max(record.at - reached, SLICE_SECONDS), 0.2))
                    else:
                        break
                else:
                    break
            since_look += 1
            publisher.send(record)
        publisher.finish(run.deadline_seconds)
    except KafkaError as error:
        msg = f"the producer failed ({type(error).__name__}: {error}); {publisher.tally}"
        raise GeneratorError(msg) from error
    finally:
        if manifest:
            manifest.close()
    return publisher.tally


class Stop:
    """Whether the run was asked to end: by the first SIGINT or SIGTERM. The second one interrupts for good."""

    def __init__(self, *signals: signal.Signals) -> None:
        self._asked = False
        for number in signals:
            signal.signal(number, self._handle)

    def asked(self) -> bool:
        """Whether to end."""
        return self._asked

    def ask(self) -> None:
        """End the run in good order."""
        self._asked = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


def run_here(run: Run, stop: Stop) -> Tally:
    """Produce in this process."""
    progress = Progress()
    with client(run.bootstrap_servers) as producer:
        return produce(run, 0, producer, progress.show, stop.asked)


def run_apart(run: Run, stop: Stop) -> Tally:
    """Produce in as many processes as the plan has, each with a producer of its own.

    Raises:
        GeneratorError: one of them failed; the others were stopped in order.
    """
    spawn = multiprocessing.get_context("spawn")
    readers: dict[Connection, Any] = {}
    # The terminal sends SIGINT to all processes of the group; the children leave it to this one.
    listening = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in range(run.plan.processes):
        reader, writer = spawn.Pipe(duplex=False)
        child = spawn.Process(target=_child, args=(run, number, writer), name=str(number), daemon=True)
        child.start()
        writer.close()
        readers[reader] = child
    signal.signal(signal.SIGINT, listening)

    progress = Progress()
    children = list(readers.values())
    tallies = dict.fromkeys(readers, Tally())
    failures: list[str] = []
    told = False
    while readers:
        if (stop.asked() or failures) and not told:
            told = True
            for child in children:
                child.terminate()
        for reader in [ready for ready in wait(list(readers), timeout=0.2) if isinstance(ready, Connection)]:
            try:
                message = reader.recv()
            except EOFError:
                child = readers.pop(reader)
                child.join()
                # A child that had not yet begun to listen may die of the signal that tells it to stop.
                if child.exitcode not in (0, -signal.SIGTERM if told else 0) and not failures:
                    failures.append(f"process {child.name} ended with exit code {child.exitcode}")
                continue
            if isinstance(message, Tally):
                tallies[reader] = message
            else:
                failures.append(message)
        progress.show(sum(tallies.values(), Tally()))
    tally = sum(tallies.values(), Tally())
    if failures:
        msg = f"{failures[0]}; all processes: {tally}"
        raise GeneratorError(msg)
    return tally


def _child(run: Run, process: int, writer: Connection) -> None:
    """One process of `run_apart`: sends tallies, at last the final one or the sentence of its failure."""
    stop = Stop(signal.SIGTERM)
    _quiet()
    parent = multiprocessing.parent_process()

    def report(tally: Tally) -> None:
        # An orphan would go on forever.
        if parent and not parent.is_alive():
            stop.ask()
        with contextlib.suppress(BrokenPipeError):
            writer.send(tally)

    try:
        with client(run.bootstrap_servers) as producer:
            report(produce(run, process, producer, report, stop.asked))
    except (GeneratorError, KafkaError) as error:
        writer.send(f"process {process}: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        # At once: an orderly end of the interpreter would let the client try again.
        os._exit(130)
    finally:
        writer.close()


def _quiet() -> None:
    """The client's log speaks of every refused connection; what matters is said by this module."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _rate(text: str) -> float:
    return 0.0 if text == "max" else float(text)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no ISO 8601 time, such as 2026-11-21T09:00:00+09:00"
        raise argparse.ArgumentTypeError(msg) from None


def _kinds(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


_ALL = "over all processes"


def _parser(chosen: settings.Settings) -> Parser:
    default = chosen.generator
    parser = Parser(
        prog="python -m generators.deliveries",
        description="Produce delivery orders of Daegu to Kafka, each acknowledged by all in-sync replicas.",
        epilog="Defaults come from conf/citystream.yaml, section generator. SIGINT or SIGTERM ends the run well: "
        "everything sent is acknowledged, then the summary is printed.",
    )
    add = parser.add_argument
    # fmt: off
    now = "(now %(default)s)"
    add("--rate", type=_rate, default=default.rate, metavar="N", help=f"records per second at the day's mean, {_ALL}; "
        f"0 or max: as fast as possible {now}")
    add("--count", type=int, default=default.count, metavar="N", help=f"stop after N records, {_ALL} {now}")
    add("--seed", type=int, default=default.seed, metavar="N", help="the same seed, start, rate and processes give the "
        f"same records; None: a new seed, which is printed {now}")
    add("--start", type=_moment, default=default.start, metavar="TIME", help="ISO 8601 time of the first order, in "
        f"{chosen.time_zone} when it has no offset; None: now {now}")
    add("--malformed-share", type=float, default=default.malformed_share, metavar="SHARE",
        help=f"share of the records that break the wire contract {now}")
    add("--malformed-kinds", type=_kinds, default=malformed.USUAL, metavar="KIND,...",
        help=f"how they break it: {', '.join(malformed.KINDS)} (now all but huge, which is 1 MB)")
    add("--late-share", type=float, default=default.late_share, metavar="SHARE",
        help=f"share of the records that were ordered 15 minutes to 36 hours before {now}")
    add("--duplicate-share", type=float, default=default.duplicate_share, metavar="SHARE",
        help=f"share of the records that repeat an earlier one {now}")
    add("--processes", type=int, default=default.processes, metavar="N", help=f"number of processes {now}")
    add("--day-curve", action=argparse.BooleanOptionalAction, default=default.day_curve,
        help=f"more orders at lunch and dinner; off: a flat rate {now}")
    add("--manifest", type=Path, metavar="FILE", help="append what was acknowledged to FILE, as lines "
        "`valid FIRST LAST` (ids), `repeat ID`, `malformed KEY REASON`")
    add("--topic", default=TOPIC, help=f"topic to produce to {now}")
    # fmt: on
    return parser


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator; the exit code is 0 only when every record sent was acknowledged."""
    chosen = settings.load()
    parser = _parser(chosen)
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < 1:
        parser.error("--count must be at least 1")
    if options.manifest and not options.manifest.absolute().parent.is_dir():
        parser.error(f"--manifest: there is no directory {options.manifest.parent}")
    start: datetime | None = options.start
    if start and start.tzinfo is None:
        start = start.replace(tzinfo=ZoneInfo(chosen.time_zone))
    try:
        plan = Plan(
            seed=secrets.randbits(40) if options.seed is None else options.seed,
            start=start or datetime.now(UTC),
            rate=options.rate,
            processes=options.processes,
            day_curve=options.day_curve,
            time_zone=chosen.time_zone,
            malformed_share=options.malformed_share,
            late_share=options.late_share,
            duplicate_share=options.duplicate_share,
            malformed_kinds=options.malformed_kinds,
        )
    except ValueError as error:
        parser.error(str(error))

    chosen = settings.serving("kafka")
    _quiet()
    stop = Stop(signal.SIGINT, signal.SIGTERM)
    servers, deadline = chosen.kafka.bootstrap_servers, chosen.generator.deadline_seconds
    try:
        orders.prepare()
        wait_for_brokers(servers, deadline, options.topic, stop.asked)
        if start is None:
            # Whole milliseconds, as they are printed: the run can be repeated to the byte.
            now = datetime.now(UTC)
            plan = replace(plan, start=now.replace(microsecond=now.microsecond // 1000 * 1000))
        began = time.monotonic()
        print(
            f"producing to {options.topic} at {servers} with --seed {plan.seed} "
            f"--start {plan.start.isoformat(timespec='milliseconds')}",
            file=sys.stderr,
            flush=True,
        )
        run = Run(plan, servers, options.topic, options.count, options.manifest, deadline)
        tally = (run_here if plan.processes == 1 else run_apart)(run, stop)
    except (GeneratorError, KafkaError) as error:
        print(f"generators.deliveries: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("generators.deliveries: interrupted; not everything sent was acknowledged", file=sys.stderr)
        return 130
    seconds = time.monotonic() - began
    print(f"{tally}; {seconds:,.1f} s, {tally.produced / max(seconds, 1e-9):,.0f}/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
