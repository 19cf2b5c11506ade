"""`make clean-savepoints`: remove savepoints, and checkpoints of jobs that have ended, that are old and not needed.

Never goes: what a running job has or was resumed from, what `make resume` would take, and the newest of each job.
"""

import sys
from datetime import UTC, datetime

from rich.console import Console

from conf.errors import Parser, command
from conf.settings import serving
from control.retention import clean

console = Console(highlight=False, soft_wrap=True)


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m stack.savepoints", description=__doc__)
    parser.add_argument("--days", type=float, default=7, help="younger ones stay (7)")
    parser.add_argument("--keep", type=int, default=3, help="so many of each job stay, however old (3)")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")
    options = parser.parse_args(arguments)
    gone = clean(serving("flink"), days=options.days, keep=max(1, options.keep), dry_run=options.dry_run)
    for each in gone:
        at = datetime.fromtimestamp(each.at, UTC).astimezone()
        console.print(f"  {each.path} of {each.job or 'a job nobody remembers'}, {at:%Y-%m-%d %H:%M}", markup=False)
    console.print(f"{len(gone)} {'would go' if options.dry_run else 'are gone'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
