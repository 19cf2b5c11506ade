"""Produce ticket sales to Kafka: `python -m generators.tickets --help`."""

import sys
from collections.abc import Sequence

from conf import settings
from conf.errors import command
from conf.streams import TICKETS
from generators.command import parser, run
from generators.tickets.sales import Plan


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator; the exit code is 0 only when every record sent was acknowledged."""
    chosen = settings.load()
    default = chosen.tickets.generator
    options = parser(
        TICKETS,
        "Produce ticket sales and cancellations of Daegu's shows to Kafka, each acknowledged by all in-sync replicas. "
        "Late ones were sold 5 minutes to 3 hours before.",
        default,
        Plan,
    )
    now = "(now %(default)s)"
    for name, what in {
        "burst-every-seconds": "how often a show goes on sale; 0: never",
        "burst-factor": "the rate at that moment, as a multiple of the rate",
        "burst-seconds": "in how many seconds what is above the rate halves",
        "cancelled-share": "share of the records that cancel an earlier sale",
        "oversold-share": "share of the records that sell a seat that is taken",
    }.items():
        value = getattr(default, name.replace("-", "_"))
        options.add_argument(f"--{name}", type=float, default=value, metavar="N", help=f"{what} {now}")
    return run(options, arguments, chosen, default, Plan)


if __name__ == "__main__":
    sys.exit(main())
