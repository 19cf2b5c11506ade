"""The command line that the generators of all streams share, from the options to the summary."""

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from conf.errors import INTERRUPTED, Parser
from conf.settings import Generator, Settings, serving
from conf.streams import Stream
from generators.brokers import wait_for_brokers
from generators.plans import Plan
from generators.producing import Run, Stop, produce_all, quiet

_ALL = "over all processes"


def parser(stream: Stream, description: str, default: Generator, plan_type: type[Plan]) -> argparse.ArgumentParser:
    """The options that all generators have; a stream adds its own.

    Args:
        stream: Whose generator it is.
        description: What it does.
        default: What stands in conf/citystream.yaml.
        plan_type: The stream's plan; it knows how a record can be broken, and how it is unless told otherwise.
    """
    damages = plan_type.DAMAGES
    defaults: dict[str, Any] = {each.name: each.default for each in fields(plan_type)}
    usual = defaults["malformed_kinds"]
    unusual = ", ".join(kind for kind in damages if kind not in usual)
    made = Parser(
        prog=f"python -m {stream.feed}",
        description=description,
        epilog=f"Defaults come from conf/citystream.yaml, section {stream.name}.generator. SIGINT or SIGTERM ends the "
        "run well: everything sent is acknowledged, then the summary is printed.",
    )
    add = made.add_argument
    # fmt: off
    now = "(now %(default)s)"
    add("--rate", type=_rate, default=default.rate, metavar="N", help=f"records per second in the mean, {_ALL}; "
        f"0 or max: as fast as possible {now}")
    add("--count", type=int, default=default.count, metavar="N", help=f"stop after N records, {_ALL} {now}")
    add("--seed", type=int, default=default.seed, metavar="N", help="the same seed, start, rate and processes give the "
        f"same records; None: a new seed, which is printed {now}")
    add("--start", type=_moment, default=default.start, metavar="TIME", help="ISO 8601 time of the first record, in "
        f"the city's time zone when it has no offset; None: now {now}")
    add("--malformed-share", type=float, default=default.malformed_share, metavar="SHARE",
        help=f"share of the records that break the wire contract {now}")
    add("--malformed-kinds", type=_kinds, default=usual, metavar="KIND,...",
        help=f"how they break it: {', '.join(damages)} (now all{unusual and ' but ' + unusual})")
    add("--late-share", type=float, default=default.late_share, metavar="SHARE",
        help=f"share of the records whose time is long before {now}")
    add("--duplicate-share", type=float, default=default.duplicate_share, metavar="SHARE",
        help=f"share of the records that repeat an earlier one {now}")
    add("--processes", type=int, default=default.processes, metavar="N", help=f"number of processes {now}")
    add("--manifest", type=Path, metavar="FILE", help="append what was acknowledged to FILE, as lines "
        "`valid FIRST LAST` (ids), `malformed KEY REASON`, `KIND KEY`")
    add("--topic", default=stream.topics[0], help=f"topic to produce to {now}")
    # fmt: on
    return made


def run(
    options: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    settings: Settings,
    default: Generator,
    plan_type: type[Plan],
) -> int:
    """Read the command line and produce.

    Args:
        options: `parser`'s, and the stream's own, named as the fields of its plan.
        arguments: Of the command line.
        settings: Where the brokers are, and the city's time zone.
        default: The stream's settings.
        plan_type: The stream's plan.

    Returns:
        the exit code: 0 only when every record sent was acknowledged; 130 after a signal before the first record, or a
        second one.

    Raises:
        GeneratorError: a record was not delivered, or no broker answers, or the topic is missing.
    """
    chosen = options.parse_args(arguments)
    if chosen.count is not None and chosen.count < 1:
        options.error("--count must be at least 1")
    if chosen.manifest and not chosen.manifest.absolute().parent.is_dir():
        options.error(f"--manifest: there is no directory {chosen.manifest.parent}")
    names = {each.name for each in fields(plan_type)} - {"seed", "start"}
    values = {name: value for name, value in vars(chosen).items() if name in names}
    seed = secrets.randbits(40) if chosen.seed is None else chosen.seed

    def plan() -> Plan:
        start: datetime = chosen.start or datetime.now(UTC)
        if start.tzinfo is None:
            start = start.replace(tzinfo=ZoneInfo(settings.time_zone))
        # Whole milliseconds, as they are printed: the run can be repeated to the byte.
        start = start.replace(microsecond=start.microsecond // 1000 * 1000)
        return plan_type(seed=seed, start=start, time_zone=settings.time_zone, **values)

    try:
        next(plan().records())  # whatever takes a moment to make is made before the clock starts
    except ValueError as error:
        options.error(str(error))

    # After the options: --help and wrong ones need no brokers.
    serving("kafka")
    quiet()
    stop = Stop(signal.SIGINT, signal.SIGTERM)
    servers = settings.kafka.bootstrap_servers
    wait_for_brokers(servers, default.deadline_seconds, chosen.topic, stop.asked)
    if stop.asked():
        return INTERRUPTED
    made = plan()
    print(
        f"producing to {chosen.topic} at {servers} with --seed {seed} "
        f"--start {made.start.isoformat(timespec='milliseconds')}",
        file=sys.stderr,
        flush=True,
    )
    began = time.monotonic()
    try:
        tally = produce_all(
            Run(made, servers, chosen.topic, chosen.count, chosen.manifest, default.deadline_seconds), stop
        )
    except KeyboardInterrupt:
        print("interrupted; not everything sent was acknowledged", file=sys.stderr)
        return INTERRUPTED
    seconds = time.monotonic() - began
    print(f"{tally}; {seconds:,.1f} s, {tally.produced / max(seconds, 1e-9):,.0f}/s", flush=True)
    return 0


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
