"""What an answer has to be about, and is unreadable otherwise. Pure."""

from collections.abc import Callable, Collection

from apis.answers import Flaw, Reaction, RefusedError, UnreadableError
from apis.data_go_kr import Answer

Check = Callable[[Answer], None]


class RepeatedError(RefusedError):
    """A page that only repeats others."""

    def __init__(self) -> None:
        super().__init__("a page", "that only repeats others", Reaction.RETRY)


def has(field: str) -> Check:
    """Each item has this field."""

    def check(answer: Answer) -> None:
        if not all(item.get(field) for item in answer.items):
            raise UnreadableError(Flaw.MISSING_FIELD, f"an item without {field}")

    return check


def says(field: str, value: str) -> Check:
    """There is one item, or none, and it is about this."""

    def check(answer: Answer) -> None:
        if len(answer.items) > 1:
            raise UnreadableError(Flaw.DUPLICATE_FIELD, f"{len(answer.items)} items, where one was asked for")
        one_of(field, {value})(answer)

    return check


def one_of(field: str, values: Collection[str]) -> Check:
    """Each item is about one of these."""

    def check(answer: Answer) -> None:
        for item in answer.items:
            if item.get(field) not in values:
                raise UnreadableError(Flaw.KEY_MISMATCH, f"{field} is {item.get(field)!r}, which was not asked for")

    return check


def is_new(field: str, seen: Collection[str]) -> Check:
    """Not all items were seen before; an empty page is new."""

    def check(answer: Answer) -> None:
        has(field)(answer)
        if answer.items and {item[field] for item in answer.items} <= set(seen):
            raise RepeatedError

    return check
