"""Pull world events into Kafka: `python -m generators.pollers.events --help`."""

import sys
from collections.abc import Iterator, Sequence

from conf.errors import command
from conf.settings import Settings
from generators.pollers.command import Kind
from generators.pollers.events.plan import TOPIC
from generators.pollers.events.poller import OPERATION, Poller
from generators.pollers.report import shown
from generators.pollers.state import State

KIND = Kind(
    Poller,
    (TOPIC,),
    state_file=lambda settings: settings.pollers.events.state_file or settings.stack.path / "events.sqlite",
    url=lambda settings: settings.pollers.predicthq_url,
)


def told(settings: Settings, poller: Poller, state: State) -> Iterator[str]:
    """How far each country is."""
    for country in settings.pollers.events.countries:
        until = poller.known_until(country)
        yield f"{country}: {f'known up to {shown(until)}' if until else 'never pulled'}"
    _, finished = state.round(OPERATION)
    yield f"last complete pull: {shown(finished) if finished else 'none'}"


COMMANDS = {"watch": KIND.watch, "status": KIND.status(told), "republish": KIND.republish}


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    description = "Pull world events into Kafka: what was updated since the last pull, of all countries set."
    parser, _ = KIND.options("generators.pollers.events", description)
    return KIND.main(COMMANDS, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
