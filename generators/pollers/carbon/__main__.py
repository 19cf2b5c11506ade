"""Fetch from the public APIs into Kafka: `python -m generators.pollers.carbon --help`."""

import argparse
import asyncio
import logging
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from pathlib import Path

from kafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from apis import calendar
from apis.client import SystemClock
from conf.errors import Parser, command
from conf.settings import Settings, load, serving
from generators.brokers import GeneratorError, client, wait_for_brokers
from generators.pollers.carbon import messages
from generators.pollers.carbon.estimates import Estimate
from generators.pollers.carbon.plan import Period
from generators.pollers.carbon.poller import PARTS, Poller
from generators.pollers.report import Report, shown
from generators.pollers.state import Outcome, State

TOPICS = (messages.COMPLEXES, messages.ENERGY, messages.WEATHER)
_LEFT = 3
_STOPPED = 130
_SHOWN_ASIDE = 20

console = Console(highlight=False, soft_wrap=True)


def state_file(settings: Settings) -> Path:
    """Where the state is."""
    return settings.pollers.state_file or settings.stack.path / "pollers.sqlite"


def _period(options: argparse.Namespace) -> Period:
    now = SystemClock().now()
    if options.first is None:
        return Period.back(options.months, now)
    return Period(options.first, options.last or calendar.newest_month(now))


def backfill(settings: Settings, options: argparse.Namespace) -> int:
    """Fetch what was never fetched."""
    period = _period(options)
    parts = options.parts or PARTS
    if options.dry_run:
        return _dry_run(settings, parts, period)

    async def work(poller: Poller) -> bool:
        for estimate in poller.estimates(parts, period):
            if estimate.more_days and options.wait:
                days = "day" if estimate.more_days == 1 else "days"
                poller_says(f"{estimate.operation}: {estimate.calls:,} calls, {estimate.left:,} left today: it will "
                            f"take {estimate.more_days} {days} more")  # fmt: skip
        return await poller.backfill(parts, period)

    return _run(settings, work, waits=options.wait)


def watch(settings: Settings, options: argparse.Namespace) -> int:
    """Fetch what is new, as the schedule says."""
    return _run(settings, lambda poller: poller.watch(once=options.once), waits=not options.once)


def republish(settings: Settings, options: argparse.Namespace) -> int:
    """Send what was fetched once more."""
    state = State(state_file(settings))
    try:
        count = state.send_again(options.topics or TOPICS)
    finally:
        state.close()
    poller_says(f"sending {count:,} messages once more; no call is made")
    return _run(settings, lambda poller: poller.deliver(), waits=False)


def poller_says(line: str) -> None:
    """Print a line of a command, on standard error."""
    print(line, file=sys.stderr, flush=True)


def _run(settings: Settings, work: Callable[[Poller], Awaitable[bool]], *, waits: bool) -> int:
    """Run a poller until its work is done or a signal ends it."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    servers = settings.kafka.bootstrap_servers
    for topic in TOPICS:
        wait_for_brokers(servers, settings.pollers.deadline_seconds, topic)
    state = State(state_file(settings))
    report = Report()

    async def run() -> tuple[bool, Poller]:
        with client(servers) as producer, report.bars():
            poller = Poller(settings, state, producer, SystemClock(), report, waits=waits)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, poller.stop)
            return await work(poller), poller

    try:
        complete, poller = asyncio.run(run())
        aside = len(state.aside())
    finally:
        state.close()
    if aside:
        poller_says(f"{aside:,} put aside, as what came could not be made use of; `status` says why")
    if complete:
        poller_says("all is fetched, and Kafka has it" if not aside else "all else is fetched, and Kafka has it")
        return 0
    if spent := poller.engine.unfinished:
        poller_says(f"{spent.operation}: {spent}; run it again after {shown(spent.until)}, it goes on there")
        return _LEFT
    poller_says("stopped; the next run goes on from here")
    return _STOPPED


def _dry_run(settings: Settings, parts: Sequence[str], period: Period) -> int:
    state = State(state_file(settings), alone=False)
    try:
        estimates = asyncio.run(_estimates(settings, state, parts, period))
    finally:
        state.close()
    table = Table(box=None, pad_edge=False)
    for heading in ("OPERATION", "CALLS", "LEFT TODAY", "PER DAY", "VERDICT"):
        table.add_column(heading, justify="left" if heading in ("OPERATION", "VERDICT") else "right")
    for each in estimates:
        days = "day" if each.more_days == 1 else "days"
        verdict = "fits today" if not each.more_days else f"takes {each.more_days} {days} more"
        assumed = f", if there are {settings.pollers.assumed_complexes:,} complexes" if each.is_assumed else ""
        table.add_row(each.operation, f"{each.calls:,}", f"{each.left:,}", f"{each.quota:,}", verdict + assumed)
    console.print(table)
    total = sum(each.calls for each in estimates)
    seconds = total / settings.pollers.rate_per_second
    months = f"{period.first:%Y-%m} to {period.last:%Y-%m}"
    console.print(f"{months}: {total:,} calls, at least {seconds:,.0f} s at the allowed rate. Nothing was called.")
    return 0


async def _estimates(settings: Settings, state: State, parts: Sequence[str], period: Period) -> list[Estimate]:
    poller = Poller(settings, state, None, SystemClock(), Report())
    return poller.estimates([part for part in PARTS if part in parts], period)


def status(settings: Settings, options: argparse.Namespace) -> int:
    """Show what is done, what waits for Kafka, and what is left of the quotas."""
    state = State(state_file(settings), alone=False)
    try:
        table = Table(box=None, pad_edge=False)
        for heading in ("TOPIC", "KEYS IN KAFKA", "WAITING"):
            table.add_column(heading, justify="left" if heading == "TOPIC" else "right")
        for topic in TOPICS:
            sent, waiting = state.sent_count(topic)
            table.add_row(topic, f"{sent:,}", f"{waiting:,}")
        console.print(table)
        for operation in ("energy", "weather", "basis"):
            known = state.answered(operation)
            counts = Counter(each.outcome for each in known.values())
            parts = [f"{counts[outcome]:,} {words}" for outcome, words in _OUTCOMES.items() if counts[outcome]]
            console.print(f"{operation}: {', '.join(parts) or 'nothing asked yet'}")
        for name in ("complexes", "energy", "weather"):
            _, finished = state.round(name)
            if finished:
                console.print(
                    f"last complete {'list' if name == 'complexes' else 'watch round'}, {name}: {shown(finished)}"
                )
        for number, (part, subject, reason) in enumerate(aside := state.aside()):
            if number == _SHOWN_ASIDE:
                console.print(f"  and {len(aside) - number:,} more", markup=False)
                break
            console.print(f"put aside: {part} {subject}: {reason}", markup=False)
        left = asyncio.run(_quotas(settings, state))
        console.print("quota left today: " + ", ".join(f"{name} {count:,}" for name, count in left.items()))
    finally:
        state.close()
    return 0


_OUTCOMES: dict[Outcome, str] = {
    "values": "with values",
    "zeros": "not entered",
    "none": "without data",
    "unreadable": "unreadable",
}


async def _quotas(settings: Settings, state: State) -> dict[str, int]:
    return Poller(settings, state, None, SystemClock(), Report()).quotas_left()


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month
    except ValueError:
        msg = f"{text!r} is no month, such as 2024-05"
        raise argparse.ArgumentTypeError(msg) from None


def _parser() -> Parser:
    top = Parser(
        prog="python -m generators.pollers.carbon",
        description="Fetch complexes, energy use and weather from the public APIs into Kafka.",
        epilog="Settings: section pollers of conf/citystream.yaml. However a run ends, the next one goes on "
        "from there: no call is made again that was answered. Exit code 0: all is there; 3: the day's quota is "
        "spent; 130: stopped by a signal.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("backfill", help="fetch what was never fetched")
    one.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"{', '.join(PARTS)}; none: all")
    one.add_argument("--months", type=int, default=30, metavar="N", help="the last N months (now %(default)s)")
    one.add_argument(
        "--from", dest="first", type=_month, metavar="MONTH", help="instead: from this month on, e.g. 2024-05"
    )
    one.add_argument("--to", dest="last", type=_month, metavar="MONTH", help="with --from: the last month")
    one.add_argument("--dry-run", action="store_true", help="say how many calls it would spend, and make none")
    one.add_argument("--no-wait", dest="wait", action="store_false", help="end when a day's quota is spent")
    two = commands.add_parser("watch", help="fetch what is new, as the schedule says, until a signal ends it")
    two.add_argument("--once", action="store_true", help="only what is due now")
    commands.add_parser("status", help="what was fetched, and what is left of the quotas")
    three = commands.add_parser("republish", help="send what was fetched to Kafka once more, without a call")
    three.add_argument("topics", nargs="*", choices=[*TOPICS, []], metavar="TOPIC", help="none: all")
    return top


def _settings(options: argparse.Namespace) -> Settings:
    settings = load()
    if options.command == "status" or getattr(options, "dry_run", False):
        return settings
    asked = [] if settings.pollers.data_go_kr_url or options.command == "republish" else ["simulator"]
    return serving("kafka", *asked)


_COMMANDS = {"backfill": backfill, "watch": watch, "status": status, "republish": republish}


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "backfill":
        if options.months < 1:
            parser.error("--months must be at least 1")
        if options.last and not options.first:
            parser.error("--to goes with --from")
        if options.first and options.last and options.last < options.first:
            parser.error("--to lies before --from")
    try:
        return _COMMANDS[options.command](_settings(options), options)
    except KafkaError as error:
        raise GeneratorError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
