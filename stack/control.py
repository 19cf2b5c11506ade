"""`make submit`, `stop`, `resume`, `scale` and `backfill` with FROM: the commands of the package `control`."""

import argparse
import sys

from rich.console import Console

from conf.errors import Parser, command
from conf.settings import Settings, serving
from conf.streams import STREAMS
from control.backfill import backfill
from control.jobs import ensure, resume, stop, submit
from control.scaling import scale
from stack.layout import Layout
from stack.servers import feed
from stack.waiting import waiting

DOING = {
    "submit": "Submitting",
    "stop": "Stopping",
    "resume": "Resuming",
    "ensure": "Starting",
    "scale": "Rescaling",
    "backfill": "Reading again",
}
console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print what is being done."""
    console.print(text, markup=False)


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m stack.control", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("submit", "start a job from the beginning of its topics; refused where it can be resumed"),
        ("stop", "stop a job with a savepoint"),
        ("resume", "start a job from its last savepoint or checkpoint"),
        ("scale", "give a running job another parallelism, at its next checkpoint"),
        ("backfill", "read a part of a job's topic again into the same tables, then let the job go on"),
        ("ensure", "leave a running job alone, else resume it, else submit it"),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("job", help=f"the job's name, such as {next(iter(STREAMS))}")
        if name in ("submit", "resume"):
            sub.add_argument("--parallelism", type=int, help="default: flink.parallelism of conf/citystream.yaml")
        if name == "backfill":
            sub.add_argument("--from", dest="start", required=True, help="earliest, a time, or PARTITION:OFFSET,...")
        if name == "scale":
            sub.add_argument("parallelism", type=int, help="how many subtasks each of its tasks is to have")
        if name == "submit":
            sub.add_argument("--fresh", action="store_true", help="although it could be resumed")
        if name == "resume":
            sub.add_argument("--from", dest="restore", help="a savepoint's or checkpoint's path; default: the newest")
    options = parser.parse_args(arguments)
    servers = ("flink", "kafka", "postgres", "elasticsearch") if options.command == "backfill" else ("flink",)
    settings = serving(*servers)
    with waiting(console, f"{DOING[options.command]} {options.job}"):
        done = run(settings, options)
    say(done)
    return 0


def run(settings: Settings, options: argparse.Namespace) -> str:
    """Run a command, and say what it has come to."""
    if options.command == "stop":
        return f"Stopped. Savepoint: {stop(settings, options.job, say=say)}"
    if options.command == "scale":
        before = scale(settings, options.job, options.parallelism, say=say)
        return f"{options.job} runs with a parallelism of {options.parallelism}, before {before}."
    if options.command == "backfill":
        with feed.paused(Layout.of(settings.stack)):
            return backfill(settings, options.job, options.start, say=say)
    if options.command == "ensure":
        job = ensure(settings, options.job, say=say)
    elif options.command == "submit":
        job = submit(settings, options.job, parallelism=options.parallelism, fresh=options.fresh, say=say)
    else:
        job = resume(settings, options.job, parallelism=options.parallelism, restore=options.restore, say=say)
    return f"Running: {settings.flink.url}/#/job/running/{job}/overview"


if __name__ == "__main__":
    sys.exit(main())
