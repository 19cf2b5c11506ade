"""What a month that nobody entered is likely to be, from the complex's own months and the weather.

A month's weight for an item is the sum of its days' (see `spreading`): so many times a day without heating and cooling.
The months before and after, and the same month of the years before and after, tell of this one by what was used there,
scaled by the two months' weights; the estimate is the mean of what they tell. The complex's households are in its own
months already. Estimates are for tables and maps, never for points.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from jobs.rules.carbon.emission import ITEMS
from jobs.rules.carbon.energy import Quantities

REFERENCES = (-12, -1, 1, 12)


class Weights(NamedTuple):
    """A month's weight for each item."""

    electricity: Fraction
    gas: Fraction
    water: Fraction
    heat: Fraction


def month_after(month: str, count: int) -> str:
    """The month so many months later; earlier where it is negative."""
    years, index = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 + count, 12)
    return f"{years:04d}-{index + 1:02d}"


def references(month: str) -> list[str]:
    """The months that tell of a month; it tells of them, too."""
    return [month_after(month, count) for count in REFERENCES]


def scaled(
    item: str, month: str, by: str, used: Mapping[str, Quantities], weights: Mapping[str, Weights]
) -> Fraction | None:
    """What a month would be by another one; None where that has no value.

    Where either's weather is not known, a month is taken to be like the same month of another year, and no other.
    """
    quantity = getattr(used[by], item) if by in used else None
    if quantity is None:
        return None
    if month in weights and by in weights:
        share: Fraction = getattr(weights[month], item) / getattr(weights[by], item)
        return Fraction(quantity) * share
    return Fraction(quantity) if month[5:] == by[5:] else None


def estimate(month: str, used: Mapping[str, Quantities], weights: Mapping[str, Weights]) -> Quantities:
    """Each item of a month by those that tell of it, to a thousandth; None where none does."""
    return Quantities(*(_estimate(item, month, used, weights) for item in ITEMS))


def _estimate(item: str, month: str, used: Mapping[str, Quantities], weights: Mapping[str, Weights]) -> Decimal | None:
    told = [scaled(item, month, by, used, weights) for by in references(month)]
    known = [each for each in told if each is not None]
    return Decimal(round(sum(known) / len(known) * 1000)).scaleb(-3) if known else None
