"""A month's emission spread over its days by the weather: an estimate, since the API knows months only.

A day's weight is 1 for what is used whatever the weather, and a share per degree that the day's mean temperature is
below 18 C (heating) or above 24 C (cooling). Assumptions, from the seasons of a household in Daegu (plausible monthly
use, see docs/decisions/0012):

- electricity: August, some 3.5 degrees above 24 C on average, is 1.5 times spring: 0.14 per degree of cooling;
- gas: 90 m3 in January, 17 degrees below 18 C, over 11 m3 in summer: 0.42 per degree of heating;
- heat: as gas, with less of it for hot water and none for cooking: 0.80 per degree of heating;
- water: the same every day.

A day whose temperature is missing takes the mean degrees of the days that have one; where none has, days weigh the
same. All of it is done in integers, so that it is exact.
"""

from calendar import monthrange
from collections.abc import Sequence
from typing import NamedTuple

from jobs.rules.carbon.emission import ITEMS

# Temperatures are in hundredths of a degree, weights in ten-thousandths.
HEATING_BASE, COOLING_BASE = 1_800, 2_400
BASE_WEIGHT = 10_000


class Response(NamedTuple):
    """What a hundredth of a degree of heating and of cooling adds to a day's weight."""

    heating: int
    cooling: int


RESPONSES = {
    "electricity": Response(heating=0, cooling=14),
    "gas": Response(heating=42, cooling=0),
    "water": Response(heating=0, cooling=0),
    "heat": Response(heating=80, cooling=0),
}


def days_of(month: str) -> list[str]:
    """All days of a month such as `2026-05`."""
    year, number = map(int, month.split("-"))
    return [f"{month}-{day:02d}" for day in range(1, monthrange(year, number)[1] + 1)]


def weights(item: str, celsius: Sequence[int | None]) -> list[int]:
    """The weight of each day of a month, from its mean temperature in hundredths of a degree or None."""
    response = RESPONSES[item]
    degrees = [
        None if c is None else response.heating * max(0, HEATING_BASE - c) + response.cooling * max(0, c - COOLING_BASE)
        for c in celsius
    ]
    known = [d for d in degrees if d is not None]
    # Times the number of known days, so that their mean is whole.
    count, together = len(known) or 1, sum(known)
    return [count * BASE_WEIGHT + (together if d is None else count * d) for d in degrees]


def spread(grams: int, by: Sequence[int]) -> list[int]:
    """Whole grams in proportion to the weights, which add up to `grams`: the largest remainders take what is left."""
    whole = sum(by)
    parts = [divmod(grams * weight, whole) for weight in by]
    left = grams - sum(part for part, _ in parts)
    largest = sorted(range(len(by)), key=lambda day: (-parts[day][1], day))[:left]
    shares = [part for part, _ in parts]
    for day in largest:
        shares[day] += 1
    return shares


def daily(grams: Sequence[int | None], by_item: Sequence[Sequence[int]]) -> list[int] | None:
    """The grams of each day, all items together; None where nothing was entered.

    Args:
        grams: the month's, one per item.
        by_item: the days' weights, one list per item.
    """
    spreads = [spread(each, by) for each, by in zip(grams, by_item, strict=True) if each is not None]
    return [sum(day) for day in zip(*spreads, strict=True)] if spreads else None


def weights_of_month(celsius: Sequence[int | None]) -> list[list[int]]:
    """The days' weights of every item, in the order of `ITEMS`."""
    return [weights(item, celsius) for item in ITEMS]


def month_weights(celsius: Sequence[int | None]) -> list[tuple[int, int]]:
    """The month's weight for every item, as numerator and denominator: so many times that of a mild day."""
    known = sum(c is not None for c in celsius) or 1
    return [(sum(by), known * BASE_WEIGHT) for by in weights_of_month(celsius)]
