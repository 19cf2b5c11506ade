"""Running totals: whole numbers that partial sums are folded into."""

from collections.abc import Sequence

# What a bigint of PostgreSQL and a long of the JVM hold.
LEAST, GREATEST = -(2**63), 2**63 - 1


def plus(sums: Sequence[int], more: Sequence[int]) -> tuple[int, ...]:
    """Both together, column by column; sums may be negative.

    Raises:
        OverflowError: a sum leaves the range of its column, where it would wrap to a wrong number.
    """
    added = tuple(one + other for one, other in zip(sums, more, strict=True))
    for each in added:
        if not LEAST <= each <= GREATEST:
            message = f"A total has come to {each}, which is more than a bigint holds: sum in a larger unit."
            raise OverflowError(message)
    return added
