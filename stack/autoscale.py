"""`make autoscale`: rescale a job by its lag and how busy it is, until Ctrl-C; each decision with its reason.

The limits are the section `autoscaler` of conf/citystream.yaml. With `--dry-run` it says what it would do.
"""

import sys
from datetime import datetime

from rich.console import Console

from conf.errors import Parser, command
from conf.settings import serving
from control.autoscaling import Decision
from control.scaling import autoscale, look
from sinks.errors import NotReadyError

console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line with the time of day."""
    console.print(f"{datetime.now().astimezone():%H:%M:%S} {text}", markup=False)


def shown(decision: Decision, before: int, *, dry_run: bool) -> str:
    """A decision in a line."""
    if decision.parallelism == before:
        return f"stays at {before}: {decision.reason}"
    return f"{'would go' if dry_run else 'goes'} from {before} to {decision.parallelism}: {decision.reason}"


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line; runs until it is interrupted."""
    parser = Parser(prog="python -m stack.autoscale", description=__doc__)
    parser.add_argument("job", help="the job's name")
    parser.add_argument("--dry-run", action="store_true", help="say what it would do, and change nothing")
    options = parser.parse_args(arguments)
    settings = serving("flink")
    if look(settings, options.job) is None:
        message = f"No job {options.job} is running whole at {settings.flink.url}: `make resume JOB={options.job}`."
        raise NotReadyError(message)
    for seen, decision in autoscale(settings, options.job, dry_run=options.dry_run, say=say):
        say(shown(decision, seen.parallelism, dry_run=options.dry_run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
