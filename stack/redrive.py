"""`make redrive`: send dead letters back to their topic, each once, however often this runs or is killed.

Choose them by reason, by offset or time of the letter, or give a function that mends what it gets: it takes a
control.redrive.Letter, and returns the record's new bytes, or None for a letter that stays.
"""

import argparse
import re
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console

from conf.errors import Parser, command
from conf.settings import load, serving
from control.redrive import Choice, mend_of, redrive
from sinks import kafka
from sinks.errors import NotReadyError
from stack.waiting import waiting

console = Console(highlight=False, soft_wrap=True)
SUFFIX = kafka.dead_letter_topic("")


def moment(text: str) -> datetime:
    """A time with its zone; one without is the suite's."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text} is no time: write 2026-11-26T14:00 or 2026-11-26T05:00:00Z"
        raise argparse.ArgumentTypeError(message) from None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(load().time_zone))


def span(text: str) -> tuple[int | None, int | None]:
    """`5-20`, `5-`, `-20` or `5`."""
    found = re.fullmatch(r"(\d*)(-?)(\d*)", text)
    if not found or not (found[1] or found[3]):
        message = f"{text} is no span of offsets: write 5-20, 5-, -20 or 5"
        raise argparse.ArgumentTypeError(message)
    first = int(found[1]) if found[1] else None
    return first, (int(found[3]) if found[3] else None) if found[2] else first


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m stack.redrive", description=__doc__)
    parser.add_argument("topic", help=f"the dead letters' topic, such as TOPIC{SUFFIX}")
    parser.add_argument("--reason", action="append", default=[], help="of letters with this reason; may be repeated")
    parser.add_argument("--offsets", type=span, default=(None, None), metavar="FIRST-LAST", help="of the letters")
    parser.add_argument("--since", type=moment, metavar="TIME", help="written then or later")
    parser.add_argument("--until", type=moment, metavar="TIME", help="written before then")
    parser.add_argument(
        "--mend", type=mend_of, metavar="MODULE:FUNCTION", help="or FILE.py:FUNCTION; gives the new bytes"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    options = parser.parse_args(arguments)
    settings = serving("kafka")
    topic = options.topic.removesuffix(SUFFIX)
    if not options.topic.endswith(SUFFIX) or topic not in settings.topics:
        known = ", ".join(kafka.dead_letter_topic(each) for each in settings.topics)
        message = f"{options.topic} is no topic of dead letters; there are: {known}."
        raise NotReadyError(message)
    first, last = options.offsets
    choice = Choice(frozenset(options.reason), first, last, options.since, options.until, options.mend)
    if choice.all:
        message = (
            "Say which letters (--reason, --offsets, --since, --until) or what mends them (--mend): as they are, they "
            "would only come back."
        )
        raise NotReadyError(message)
    with waiting(console, f"Reading {options.topic}"):
        outcome = redrive(settings, topic, choice, dry_run=options.dry_run)
    for reason, count in outcome.sent.most_common():
        console.print(f"  {count:,} {reason}")
    said = [f"{outcome.sent.total():,} letters {'would go' if options.dry_run else 'went'} back to {topic}"]
    if outcome.before:
        said.append(f"{outcome.before:,} had gone before")
    if outcome.left:
        said.append(f"the mend left {outcome.left:,}")
    console.print("; ".join(said) + ".")
    return 0


if __name__ == "__main__":
    sys.exit(main())
