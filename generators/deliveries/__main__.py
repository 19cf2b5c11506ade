"""Produce delivery orders to Kafka: `python -m generators.deliveries --help`."""

import argparse
import sys
from collections.abc import Sequence

from conf import settings
from conf.errors import command
from conf.streams import DELIVERIES
from generators.command import parser, run
from generators.deliveries.orders import Plan


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator; the exit code is 0 only when every record sent was acknowledged."""
    chosen = settings.load()
    default = chosen.deliveries.generator
    options = parser(
        DELIVERIES,
        "Produce delivery orders of Daegu to Kafka, each acknowledged by all in-sync replicas. Late ones were placed "
        "15 minutes to 36 hours before.",
        default,
        Plan,
    )
    options.add_argument(
        "--day-curve",
        action=argparse.BooleanOptionalAction,
        default=default.day_curve,
        help="more orders at lunch and dinner; off: a flat rate (now %(default)s)",
    )
    return run(options, arguments, chosen, default, Plan)


if __name__ == "__main__":
    sys.exit(main())
