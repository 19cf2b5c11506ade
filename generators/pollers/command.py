"""The command line that all pollers share: `watch`, `status` and `republish`, and how a run ends."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from kafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from apis.client import SystemClock
from conf.errors import INTERRUPTED, Parser
from conf.settings import Settings, load, serving
from generators.brokers import GeneratorError, client, wait_for_brokers
from generators.pollers.poller import Poller
from generators.pollers.report import Report, shown
from generators.pollers.state import State

LEFT = 3
ENDS = (
    "However a run ends, the next one goes on from there: no call is made again that was answered. Exit code 0: all is "
    "there; 3: the day's quota is spent; 130: stopped by a signal."
)
_SHOWN_ASIDE = 20
_WIDTH = 120
P = TypeVar("P", bound=Poller)
Command = Callable[[Settings, argparse.Namespace], int]

# In a file, rich takes 80 columns for granted, and a table would be folded.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH)


@dataclass(frozen=True)
class Kind(Generic[P]):
    """A kind of poller.

    Attributes:
        make: makes one run of it.
        topics: what it feeds.
        state_file: where its state is.
        url: the address of the API that it calls; None: the simulator's.
    """

    make: type[P]
    topics: tuple[str, ...]
    state_file: Callable[[Settings], Path]
    url: Callable[[Settings], str | None]

    def run(self, settings: Settings, work: Callable[[P], Awaitable[bool]], *, waits: bool) -> int:
        """Run a poller until its work is done or a signal ends it; return the exit code."""
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        servers = settings.kafka.bootstrap_servers
        for topic in self.topics:
            wait_for_brokers(servers, settings.pollers.deadline_seconds, topic)
        state = State(self.state_file(settings))
        report = Report()

        async def run() -> tuple[bool, P]:
            with client(servers) as producer, report.bars():
                poller = self.make(settings, state, producer, SystemClock(), report, waits=waits)
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
            say(f"{aside:,} put aside, as what came could not be made use of; `status` says why")
        if complete:
            say("all is fetched, and Kafka has it" if not aside else "all else is fetched, and Kafka has it")
            return 0
        if spent := poller.engine.unfinished:
            say(f"{spent.operation}: {spent}; run it again after {shown(spent.until)}, it goes on there")
            return LEFT
        say("stopped; the next run goes on from here")
        return INTERRUPTED

    def look(self, settings: Settings, show: Callable[[P, State], None]) -> None:
        """Let something look at a poller that fetches nothing, beside one that may run."""
        state = State(self.state_file(settings), alone=False)

        async def look() -> None:
            show(self.make(settings, state, None, SystemClock(), Report()), state)

        try:
            asyncio.run(look())
        finally:
            state.close()

    def watch(self, settings: Settings, options: argparse.Namespace) -> int:
        """Fetch what is new, as the schedule says."""
        return self.run(settings, lambda poller: poller.watch(once=options.once), waits=not options.once)

    def republish(self, settings: Settings, options: argparse.Namespace) -> int:
        """Send what was fetched once more."""
        state = State(self.state_file(settings))
        try:
            count = state.send_again(options.topics or self.topics)
        finally:
            state.close()
        say(f"sending {count:,} messages once more; no call is made")
        return self.run(settings, lambda poller: poller.deliver(), waits=False)

    def status(self, told: Callable[[Settings, P, State], Iterator[str]]) -> Command:
        """Show what is in Kafka, what a poller tells of itself, what was put aside, and what is left of the quotas."""

        def show(settings: Settings, poller: P, state: State) -> None:
            table = Table(box=None, pad_edge=False)
            for heading in ("TOPIC", "KEYS IN KAFKA", "WAITING"):
                table.add_column(heading, justify="left" if heading == "TOPIC" else "right")
            for topic in self.topics:
                sent, waiting = state.sent_count(topic)
                table.add_row(topic, f"{sent:,}", f"{waiting:,}")
            console.print(table)
            for line in told(settings, poller, state):
                console.print(line, markup=False)
            for number, (part, subject, reason) in enumerate(aside := state.aside()):
                if number == _SHOWN_ASIDE:
                    console.print(f"  and {len(aside) - number:,} more", markup=False)
                    break
                console.print(f"put aside: {part} {subject}: {reason}", markup=False)
            left = ", ".join(f"{name} {count:,}" for name, count in poller.quotas_left().items())
            console.print(f"quota left today: {left}")

        def status(settings: Settings, _: argparse.Namespace) -> int:
            self.look(settings, lambda poller, state: show(settings, poller, state))
            return 0

        return status

    def options(self, name: str, description: str) -> tuple[Parser, "argparse._SubParsersAction[Parser]"]:
        """A parser with the commands that all have, and what adds a poller's own."""
        made = Parser(
            prog=f"python -m {name}",
            description=description,
            epilog=f"Settings: section pollers of conf/citystream.yaml. {ENDS}",
        )
        commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
        watch = commands.add_parser("watch", help="fetch what is new, as the schedule says, until a signal ends it")
        watch.add_argument("--once", action="store_true", help="only what is due now")
        commands.add_parser("status", help="what was fetched, and what is left of the quotas")
        again = commands.add_parser("republish", help="send what was fetched to Kafka once more, without a call")
        again.add_argument("topics", nargs="*", choices=[*self.topics, []], metavar="TOPIC", help="none: all")
        return made, commands

    def main(self, commands: Mapping[str, Command], options: argparse.Namespace) -> int:
        """Run the command that was chosen."""
        try:
            return commands[options.command](self._settings(options), options)
        except KafkaError as error:
            raise GeneratorError(str(error)) from error

    def _settings(self, options: argparse.Namespace) -> Settings:
        settings = load()
        if options.command == "status" or getattr(options, "dry_run", False):
            return settings
        if options.command == "republish":
            return serving("kafka")
        shared = ["postgres"] if settings.pollers.shared_quotas else []
        return serving("kafka", *shared, *([] if self.url(settings) else ["simulator"]))


def say(line: str) -> None:
    """Print a line of a command, on standard error."""
    print(line, file=sys.stderr, flush=True)
