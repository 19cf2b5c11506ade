"""Fetch from the public APIs into Kafka: `python -m generators.pollers.carbon --help`."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from rich.table import Table

from apis import calendar
from apis.client import SystemClock
from conf.errors import Parser, command
from conf.settings import Settings
from generators.pollers.carbon import messages
from generators.pollers.carbon.estimates import Estimate
from generators.pollers.carbon.plan import Period
from generators.pollers.carbon.poller import PARTS, Poller
from generators.pollers.command import Kind, console, say
from generators.pollers.report import shown
from generators.pollers.state import Outcome, State

KIND = Kind(
    Poller,
    (messages.COMPLEXES, messages.ENERGY, messages.BUILDINGS, messages.WEATHER, messages.FORECAST),
    state_file=lambda settings: settings.pollers.state_file or settings.stack.path / "pollers.sqlite",
    url=lambda settings: settings.pollers.data_go_kr_url,
)
_TOLD = (
    *("energy", "buildings_electricity", "buildings_gas", "weather", "basis"),
    *("forecast_short", "forecast_temperature", "forecast_land"),
)
_OUTCOMES: dict[Outcome, str] = {
    "values": "with values",
    "zeros": "not entered",
    "none": "without data",
    "unreadable": "unreadable",
}


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
        KIND.look(settings, lambda poller, _: _show(poller.estimates(parts, period), settings, period))
        return 0

    async def work(poller: Poller) -> bool:
        for estimate in poller.estimates(parts, period):
            if estimate.more_days and options.wait:
                days = "day" if estimate.more_days == 1 else "days"
                say(f"{estimate.operation}: {estimate.calls:,} calls, {estimate.left:,} left today: it will "
                    f"take {estimate.more_days} {days} more")  # fmt: skip
        return await poller.backfill(parts, period)

    return KIND.run(settings, work, waits=options.wait)


def _show(estimates: Sequence[Estimate], settings: Settings, period: Period) -> None:
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


def told(settings: Settings, poller: Poller, state: State) -> Iterator[str]:
    """What was answered, and when rounds were complete."""
    for operation in _TOLD:
        known = state.answered(operation)
        counts = Counter(each.outcome for each in known.values())
        parts = [f"{counts[outcome]:,} {words}" for outcome, words in _OUTCOMES.items() if counts[outcome]]
        yield f"{operation}: {', '.join(parts) or 'nothing asked yet'}"
    for name in PARTS:
        finished = state.round(name)[1]
        if finished:
            yield f"last complete {'list' if name == 'complexes' else 'watch round'}, {name}: {shown(finished)}"


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month
    except ValueError:
        msg = f"{text!r} is no month, such as 2024-05"
        raise argparse.ArgumentTypeError(msg) from None


def _parser() -> Parser:
    description = "Fetch complexes, their energy use, that of buildings, and weather from the public APIs into Kafka."
    top, commands = KIND.options("generators.pollers.carbon", description)
    one = commands.add_parser("backfill", help="fetch what was never fetched")
    one.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"{', '.join(PARTS)}; none: all")
    one.add_argument("--months", type=int, default=30, metavar="N", help="the last N months (now %(default)s)")
    one.add_argument(
        "--from", dest="first", type=_month, metavar="MONTH", help="instead: from this month on, e.g. 2024-05"
    )
    one.add_argument("--to", dest="last", type=_month, metavar="MONTH", help="with --from: the last month")
    one.add_argument("--dry-run", action="store_true", help="say how many calls it would spend, and make none")
    one.add_argument("--no-wait", dest="wait", action="store_false", help="end when a day's quota is spent")
    return top


COMMANDS = {"backfill": backfill, "watch": KIND.watch, "status": KIND.status(told), "republish": KIND.republish}


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
    return KIND.main(COMMANDS, options)


if __name__ == "__main__":
    sys.exit(main())
