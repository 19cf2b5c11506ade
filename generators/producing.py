"""What generators of all streams share: pace, processes, acknowledgements, progress.

A stream says what its records are and when they are due, in its plan; the rest is done here. Every record is
acknowledged by all in-sync replicas and written once, whatever the brokers go through meanwhile: the producer is
idempotent and tries again for as long as `DELIVERY_TIMEOUT_SECONDS`. A record that is not delivered even so ends the
process with an error; nothing is dropped in silence.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from generators.brokers import GeneratorError, client
from generators.manifest import Manifest
from generators.plans import Plan, Record

# The client's own buffer has no bound; ours is what keeps memory flat while brokers are away.
MOST_UNACKNOWLEDGED = 20_000
SLICE_SECONDS = 0.015


@dataclass
class Tally:
    """How many records were acknowledged, by kind; late ones are counted among the valid."""

    kinds: Counter[str] = field(default_factory=Counter)
    late: int = 0

    @property
    def produced(self) -> int:
        """All of them."""
        return self.kinds.total()

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.kinds + other.kinds, self.late + other.late)

    def __str__(self) -> str:
        others = "".join(f"; {kind} {self.kinds[kind]:,}" for kind in sorted({*self.kinds} - {"valid"}))
        return f"{self.produced:,} produced: valid {self.kinds['valid']:,}, of them late {self.late:,}{others}"


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
                continue
            tally.kinds[record.kind] += 1
            tally.late += record.kind == "valid" and record.reason == "late"
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
        print(f"{now - self.began:6.0f} s  {rate:,.0f}/s  {tally}", file=sys.stderr, flush=True)


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
        for record in islice(run.plan.records(process), run.share_of(process)):
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


def produce_all(run: Run, stop: Stop) -> Tally:
    """Produce a run, in this process or in several.

    Returns:
        What was acknowledged.

    Raises:
        GeneratorError: a record was not delivered, or no broker answers.
    """
    quiet()
    return (_produce_here if run.plan.processes == 1 else _produce_apart)(run, stop)


def _produce_here(run: Run, stop: Stop) -> Tally:
    progress = Progress()
    with client(run.bootstrap_servers, run.deadline_seconds) as producer:
        return produce(run, 0, producer, progress.show, stop.asked)


def _produce_apart(run: Run, stop: Stop) -> Tally:
    """In processes with a producer each. Where one of them fails, the others are stopped in order."""
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
    """One process of `_produce_apart`: sends tallies, at last the final one or the sentence of its failure."""
    stop = Stop(signal.SIGTERM)
    quiet()
    parent = multiprocessing.parent_process()

    def report(tally: Tally) -> None:
        # An orphan would go on forever.
        if parent and not parent.is_alive():
            stop.ask()
        with contextlib.suppress(BrokenPipeError):
            writer.send(tally)

    try:
        with client(run.bootstrap_servers, run.deadline_seconds) as producer:
            report(produce(run, process, producer, report, stop.asked))
    except (GeneratorError, KafkaError) as error:
        writer.send(f"process {process}: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        # At once: an orderly end of the interpreter would let the client try again.
        os._exit(130)
    finally:
        writer.close()


def quiet() -> None:
    """The client's log speaks of every refused connection; what matters is said here."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
