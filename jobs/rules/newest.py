"""Of several records of one thing, the newest: what a window gathers and what a state remembers."""

from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What is known of one thing, such as a complex's month.

    Between operators and in state it is a plain tuple: workers pickle tuples and know no class of ours.
    """

    version: tuple[int, int]  # when it was fetched (ms), and its offset: what was fetched later is right
    content: tuple[Any, ...]
    entered: bool  # whether any record of it, also one that was replaced, had a value in it
    times: int  # how many records of it were seen


def newer(known: Seen, other: Seen) -> Seen:
    """Both together: the content of the newer one; at a draw, of the one that came last."""
    last = other if other.version >= known.version else known
    return Seen(last.version, last.content, known.entered or other.entered, known.times + other.times)


def gather(known: dict[str, tuple[Any, ...]], name: str, seen: tuple[Any, ...]) -> None:
    """Add one more record of the thing `name` to what is known of several things."""
    known[name] = tuple(newer(Seen(*known[name]), Seen(*seen))) if name in known else seen
