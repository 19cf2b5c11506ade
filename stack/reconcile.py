"""`make reconcile`: is every record where it belongs, once, and does every total agree with the ledger?

Pauses the local stack's generator, waits until the running job has caught up with its topic, then compares the
topic, the dead letters, the ledger, the totals and the documents. With `--repair`, totals that differ from the ledger
are set right from it.
"""

import sys

from rich.console import Console
from rich.table import Table

from conf.errors import Parser, command
from conf.settings import Settings, serving
from control.reconcile import Report, reconcilable, reconciliation
from stack.layout import Layout
from stack.servers import feed
from stack.waiting import waiting

console = Console(highlight=False, soft_wrap=True)


def table(report: Report) -> Table:
    """The counts of a report."""
    table = Table(title=f"Reconciliation of {report.stream}", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("produced (records in the topic)", f"{report.produced:,}")
    table.add_row("rows in the ledger", f"{report.ledger:,}")
    table.add_row("dead letters", f"{report.dead:,}")
    for reason, count in report.dead_letters.most_common():
        table.add_row(f"  {reason}", f"{count:,}")
    table.add_row("repeats (a key published again)", f"{report.repeats:,}")
    if report.documents is not None:
        table.add_row("documents in Elasticsearch", f"{report.documents:,}")
    for total, count in report.totals.items():
        table.add_row(f"{total}: rows that differ from the ledger", f"{count:,}")
    return table


def verdict(report: Report) -> str:
    """What the counts mean."""
    if report.moving:
        said = "[bold yellow]Not at rest, so that nothing can be told:[/] " + "; ".join(report.moving) + "."
        if report.wrong:
            said += " For now: " + "; ".join(report.wrong) + "."
    elif report.wrong:
        said = "[bold red]Does not agree:[/] " + "; ".join(report.wrong) + "."
    else:
        agreed = [
            *([] if report.notes else ["produced = ledger + dead letters + repeats"]),
            "every total = the same total recomputed from the ledger",
            *([] if report.documents is None else ["documents = ledger"]),
        ]
        said = "[bold green]All agrees:[/] " + "; ".join(agreed) + "."
    if report.notes:
        said += " Note: " + "; ".join(report.notes) + "."
    return said


def show(report: Report) -> None:
    """Print the counts and the verdict."""
    console.print(table(report))
    console.print(verdict(report))


def reconcile(settings: Settings, name: str, *, wait: float, repair: bool = False) -> Report:
    """Reconcile a stream and show it; with `repair`, set totals right and show it again.

    Raises:
        NotReadyError: a server is away, `make prepare` was not run, or what is to be repaired still moves.
    """
    with reconciliation(settings, name) as begun:
        with waiting(console, f"Waiting for {name} to catch up"):
            report = begun.await_agreement(wait)
        show(report)
        if repair and any(report.totals.values()):
            repaired = begun.repair()
            console.print(
                "Repaired: " + ", ".join(f"{count:,} rows of {each}" for each, count in repaired.items() if count)
            )
            report = begun.look()
            show(report)
    return report


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 when all agrees."""
    parser = Parser(prog="python -m stack.reconcile", description=__doc__)
    parser.add_argument("streams", nargs="*", metavar="STREAM", help=f"default: {', '.join(reconcilable())}")
    parser.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for the job to catch up (60)")
    parser.add_argument("--repair", action="store_true", help="set totals that differ right from the ledger")
    options = parser.parse_args(arguments)
    settings = serving("kafka", "postgres", "elasticsearch", "flink")
    with feed.paused(Layout.of(settings.stack)):
        reports = [
            reconcile(settings, name, wait=options.wait, repair=options.repair)
            for name in options.streams or reconcilable()
        ]
    return 0 if all(report.agrees for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
