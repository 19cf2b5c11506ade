"""Pull world events into Kafka: `python -m generators.pollers.events --help`."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from kafka.errors import KafkaError

from apis.client import SystemClock
from conf.errors import Parser, command
from conf.settings import Settings, SettingsError, load
from generators.brokers import GeneratorError, client, wait_for_brokers
from generators.pollers.events.plan import TOPIC
from generators.pollers.events.poller import Poller
from generators.pollers.report import Report, shown
from generators.pollers.state import State

_LEFT = 3
_STOPPED = 130


def state_file(settings: Settings) -> Path:
    """Where the state is."""
    return settings.pollers.events.state_file or settings.stack.path / "events.sqlite"


def watch(settings: Settings, options: argparse.Namespace) -> int:
    """Pull what was updated."""
    return _run(settings, lambda poller: poller.watch(once=options.once), waits=not options.once)


def republish(settings: Settings, _: argparse.Namespace) -> int:
    """Send the newest version of each event once more."""
    state = State(state_file(settings))
    try:
        count = state.send_again([TOPIC])
    finally:
        state.close()
    _say(f"sending {count:,} events once more; no call is made")
    return _run(settings, lambda poller: poller.deliver(), waits=False)


def status(settings: Settings, _: argparse.Namespace) -> int:
    """Show how far each country is, and what is left of the quota."""

    async def show(state: State) -> None:
        poller = Poller(settings, state, None, SystemClock(), Report())
        sent, waiting = state.sent_count(TOPIC)
        print(f"{TOPIC}: {sent:,} events in Kafka, {waiting:,} messages wait for it")
        for country in settings.pollers.events.countries:
            until = poller.known_until(country)
            print(f"{country}: {f'known up to {shown(until)}' if until else 'never pulled'}")
        _, finished = state.round("events")
        print(f"last complete pull: {shown(finished) if finished else 'none'}")
        for part, subject, reason in state.aside():
            print(f"put aside: {part} {subject}: {reason}")
        print(f"calls left today: {poller.quota_left():,}")

    state = State(state_file(settings), alone=False)
    try:
        asyncio.run(show(state))
    finally:
        state.close()
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(settings: Settings, work: Callable[[Poller], Awaitable[bool]], *, waits: bool) -> int:
    """Run a poller until its work is done or a signal ends it."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    servers = settings.kafka.bootstrap_servers
    wait_for_brokers(servers, settings.pollers.deadline_seconds, TOPIC)
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
    finally:
        state.close()
    if complete:
        _say("all is pulled, and Kafka has it")
        return 0
    if spent := poller.engine.unfinished:
        _say(f"{spent.operation}: {spent}; run it again after {shown(spent.until)}, it goes on there")
        return _LEFT
    _say("stopped; the next run goes on from here")
    return _STOPPED


_COMMANDS = {"watch": watch, "status": status, "republish": republish}


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = Parser(
        prog="python -m generators.pollers.events",
        description="Pull world events into Kafka: what was updated since the last pull, of all countries set.",
        epilog="Settings: pollers.events in conf/citystream.yaml. However a run ends, the next one goes on from there, "
        "and days that were missed are caught up. Exit code 0: all is there; 3: the day's quota is spent; 130: stop.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("watch", help="pull every day, until a signal ends it")
    one.add_argument("--once", action="store_true", help="only if a pull is due now")
    commands.add_parser("status", help="how far each country is, and what is left of the quota")
    commands.add_parser("republish", help="send the newest version of each event once more, without a call")
    options = parser.parse_args(arguments)
    try:
        return _COMMANDS[options.command](load(), options)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except KafkaError as error:
        raise GeneratorError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
