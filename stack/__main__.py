"""`python -m stack`: the local stack's commands."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import psutil
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conf.errors import Parser, command
from conf.settings import Settings, load
from control.cluster import Cluster
from control.facts import Facts, facts
from sinks.errors import NotReadyError
from stack import doctor, health
from stack.errors import StackError
from stack.lifecycle import LocalStack, follow, last_lines
from stack.supervision import State

_DOWN = 3
_WATCH_SECONDS = 2
_TAIL = 200
_TAIL_OF_EACH = 10

console = Console(highlight=False, soft_wrap=True)
# For tables: a name that is cut says nothing, and a pipe has no width, so rather a line that wraps.
wide = Console(highlight=False, soft_wrap=True, width=200)


class Progress:
    """What happens while the stack comes up: a line per service, live on a terminal, plain elsewhere."""

    def __init__(self) -> None:
        self._answers: dict[str, health.Answer] = {}
        self._doing = ""
        self._printed = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def report(self, text: str) -> None:
        """Say what is being done now."""
        downloading = text.startswith("Downloading")
        if self._live:
            self._doing = text
            if not downloading:
                console.print(text, markup=False)
            self._draw()
        elif not downloading or time.monotonic() - self._printed > 5:
            self._printed = time.monotonic()
            console.print(text, markup=False)

    def show(self, service: str, answer: health.Answer) -> None:
        """Take what is known of a service."""
        self._answers[service] = answer
        if answer.fine:
            console.print(f"  [green]✓[/] {service:<16} answers after {answer.seconds:4.1f} s")
        self._draw()

    def _draw(self) -> None:
        if self._live:
            table = Table.grid(padding=(0, 1))
            for name, answer in self._answers.items():
                if not answer.fine:
                    table.add_row("[yellow]…[/]", f"{name:<16}", f"{answer.seconds:4.0f} s", answer.trouble[:100])
            if not self._answers:
                table.add_row("[yellow]…[/]", self._doing[:160])
            self._live.update(table, refresh=True)


def up(stack: LocalStack, _: argparse.Namespace) -> int:
    """Start every server and wait until each answers."""
    begun = time.monotonic()
    with Progress() as progress:
        started = stack.up(progress.report, progress.show)
    seconds = time.monotonic() - begun
    if started:
        console.print(f"The stack is up after {seconds:.0f} s. Addresses and secrets: {stack.layout.env_file}")
    else:
        console.print(f"The stack was already up; every server answers. Addresses: {stack.layout.env_file}")
    return 0


def down(stack: LocalStack, _: argparse.Namespace) -> int:
    """Stop every server."""
    console.print("The stack is down." if stack.down(console.print) else "The stack was not up.")
    return 0


def clean(stack: LocalStack, _: argparse.Namespace) -> int:
    """Stop every server and forget all data."""
    stack.clean(console.print)
    console.print(f"All data of {stack.layout.directory} is gone.")
    return 0


def status(stack: LocalStack, arguments: argparse.Namespace) -> int:
    """Show every service, and every job; again and again, or as JSON, where asked to."""
    if arguments.json:
        return as_json(stack)
    if not arguments.watch:
        code, shown = screen(stack)
        wide.print(shown)
        return code
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            live.update(screen(stack)[1], refresh=True)
            time.sleep(_WATCH_SECONDS)


def as_json(stack: LocalStack) -> int:
    """Print the same as one JSON object, for programs."""
    if not stack.supervisor.is_up():
        print(json.dumps({"up": False}))
        return _DOWN
    states = stack.supervisor.states()
    found: dict[str, Any] = {"up": True, "services": [{**vars(state), "log": str(state.log)} for state in states]}
    try:
        settings = load()
        found["jobs"] = [asdict(job) for job in facts(settings)]
        found["slots"] = slots(settings)
    except NotReadyError as error:
        found["trouble"] = str(error)
    print(json.dumps(found))
    return exit_code(stack, states)


def exit_code(stack: LocalStack, states: Sequence[State]) -> int:
    """0 when every service runs that comes up with the stack, else 1."""
    optional = {service.name for service in stack.services() if not service.autostart}
    return 0 if all(state.running or state.name in optional for state in states) else 1


def slots(settings: Settings) -> dict[str, int]:
    """How many task slots there are in all, and how many are free."""
    overview = Cluster(settings.flink.url).overview()
    return {"total": overview["slots-total"], "free": overview["slots-available"]}


def screen(stack: LocalStack) -> tuple[int, RenderableType]:
    """All there is to see, and the exit code that says the same."""
    if not stack.supervisor.is_up():
        return _DOWN, "The stack is down: `make up` starts it."
    addresses = {service.name: service.address for service in stack.services()}
    table = Table(box=None, pad_edge=False)
    for heading in ("SERVICE", "STATE", "PID", "UPTIME", "MEMORY", "ADDRESS"):
        table.add_column(heading, justify="right" if heading in ("PID", "UPTIME", "MEMORY") else "left", no_wrap=True)
    states = stack.supervisor.states()
    total = 0
    for state in states:
        resident = memory(state.pid) if state.pid else 0
        total += resident
        table.add_row(
            state.name,
            f"[{'green' if state.running else 'red'}]{state.state}[/]",
            str(state.pid or "-"),
            uptime(state),
            f"{resident / 2**20:.0f} MiB",
            addresses.get(state.name, "-"),
        )
    table.add_row("total", "", "", "", f"{total / 2**20:.0f} MiB", "")
    shown: list[RenderableType] = [table, ""]
    try:
        settings = load()
        there = slots(settings)
        shown += [jobs(facts(settings)), "", f"{there['free']} of {there['total']} task slots are free."]
    except NotReadyError as error:
        shown.append(Text(f"What becomes of the jobs can't be told. {error}"))
    return exit_code(stack, states), Group(*shown)


def logs(stack: LocalStack, arguments: argparse.Namespace) -> int:
    """Show the log of one service, or the last lines of each."""
    if not arguments.service:
        for log in sorted(stack.layout.logs.glob("*.log")):
            console.rule(log.stem, align="left")
            console.print("\n".join(last_lines(log, _TAIL_OF_EACH)), markup=False)
        return 0
    log = stack.layout.logs / f"{arguments.service}.log"
    if not log.is_file():
        known = ", ".join(sorted(path.stem for path in stack.layout.logs.glob("*.log"))) or "none yet"
        msg = f"There is no log of {arguments.service}; there are: {known}."
        raise StackError(msg)
    for line in last_lines(log, _TAIL):
        print(line)
    if arguments.follow:
        for line in follow(log):
            print(line, flush=True)
    return 0


def restart(stack: LocalStack, arguments: argparse.Namespace) -> int:
    """Restart one service."""
    with Progress() as progress:
        stack.restart(arguments.service, progress.show)
    return 0


def workers(stack: LocalStack, arguments: argparse.Namespace) -> int:
    """Have so many TaskManagers; what runs takes what is there."""
    with Progress() as progress:
        before = stack.scale(arguments.count, progress.show)
    console.print(f"{arguments.count} TaskManagers, before {before}; until `make down`.")
    return 0


def diagnose(stack: LocalStack, _: argparse.Namespace) -> int:
    """Check everything that can be checked."""
    findings = 0
    for finding in doctor.findings(stack, load()):
        findings += not finding.fine
        mark = "[green]✓[/]" if finding.fine else "[red]✗[/]"
        console.print(f"{mark} {finding.subject:<14}", end=" ")
        console.print(finding.text, markup=False)
    console.print("Nothing to fix." if not findings else f"{findings} to fix.")
    return 1 if findings else 0


def memory(pid: int) -> int:
    """Resident bytes of a process and all it has started; pages they share count once where the system tells."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            full = process.memory_full_info()
            total += getattr(full, "pss", full.rss)
        except psutil.Error:
            continue
    return total


def uptime(state: State) -> str:
    """How long a service has been running."""
    return span(time.time() - state.started) if state.pid else "-"


def span(passed: float) -> str:
    """So many seconds as hours, minutes and seconds."""
    minutes, seconds = divmod(int(passed), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def jobs(known: Sequence[Facts]) -> Table:
    """A line per job: whether it runs, and how well."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        *("JOB", "STATE", "UPTIME", "TASKS", "RESTARTS", "LAG", "READS", "CHECKPOINT", "STAGED", "DEAD LETTERS"),
    ):
        table.add_column(heading, justify="left" if heading in ("JOB", "STATE") else "right", no_wrap=True)
    for job in known:
        colour = "green" if job.runs else "red" if job.wanted else "default"
        figures = (
            (span(time.time() - job.since) if job.since and job.runs else None, "{}"),
            (job.parallelism, "x {}"),
            (job.restarts, "{:,}"),
            (job.lag, "{:,} records"),
            (job.rate, "{:,.0f}/s"),
            (job.checkpoint_age if job.runs else None, "{:,.0f} s ago"),
            (job.staged if job.runs else None, "{:,} epochs"),
            (job.dead_letters, "{:,}"),
        )
        cells = ("-" if figure is None else shape.format(figure) for figure, shape in figures)
        table.add_row(job.job, f"[{colour}]{job.state or 'not submitted'}[/]", *cells)
    return table


_COMMANDS: dict[str, tuple[Callable[[LocalStack, argparse.Namespace], int], str]] = {
    "up": (up, "start every server and return when each answers; does nothing when all do"),
    "down": (down, "stop every server; the data stays"),
    "clean": (clean, "stop every server and forget all data"),
    "status": (status, "all services and jobs; exit code 3 when the stack is down, 1 when a service is"),
    "logs": (logs, "the log of a service, or the last lines of each"),
    "restart": (restart, "stop one service, start it again and wait until it answers"),
    "workers": (workers, "have so many TaskManagers until the stack goes down; jobs take what is there"),
    "doctor": (diagnose, "check everything that can be checked, with a fix per finding"),
}


def parser() -> Parser:
    """The command line."""
    top = Parser(
        prog="python -m stack",
        description="The local stack: three Kafka brokers, PostgreSQL, Elasticsearch and a Flink cluster, all real.",
        epilog="Ports, folder and counts are the section `stack` of conf/citystream.yaml; a second stack runs beside "
        "the first with CITYSTREAM__STACK__DIRECTORY=.stack-test CITYSTREAM__STACK__PORT_OFFSET=1000.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in _COMMANDS.items():
        one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == "logs":
            one.add_argument("service", nargs="?", metavar="SERVICE", help="e.g. kafka-1; none: all")
            one.add_argument("-f", "--follow", action="store_true", help="go on as new lines come")
        if name == "restart":
            one.add_argument("service", metavar="SERVICE", help="e.g. taskmanager-1")
        if name == "status":
            one.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
            one.add_argument("--json", action="store_true", help="one JSON object, for programs")
        if name == "workers":
            one.add_argument("count", type=int, metavar="N", help="how many")
    return top


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all is well; 1 when something has to be fixed, which a sentence names; 3 when the stack is down.
    """
    arguments = parser().parse_args(argv)
    # The servers' account has to read what root writes; what is secret is written with a mode of its own.
    os.umask(0o022)
    return _COMMANDS[arguments.command][0](LocalStack.of(load().stack), arguments)


if __name__ == "__main__":
    sys.exit(main())
