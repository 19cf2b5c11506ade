"""Emission: what was used, times the factor that holds in its month, in whole grams of CO2.

Whole grams, because integers add up to the same in any order.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from jobs.rules.carbon.energy import Quantities

ITEMS = Quantities._fields


class Factor(NamedTuple):
    """Kilograms of CO2 per unit of an item (kWh, m3, Mcal), from a month such as `2024-01` on."""

    item: str
    valid_from: str
    kg_per_unit: Decimal


class Grams(NamedTuple):
    """Grams of CO2 per item; None where nothing was entered, or the item has no factor."""

    electricity: int | None
    gas: int | None
    water: int | None
    heat: int | None

    @property
    def total(self) -> int | None:
        """All items together; None where there is none."""
        return total(self)


class Factors:
    """The factors of each item, by the month they are valid from."""

    def __init__(self, factors: Iterable[Factor]) -> None:
        self._by_item: dict[str, list[Factor]] = {item: [] for item in ITEMS}
        for factor in sorted(factors, key=lambda factor: factor.valid_from):
            self._by_item[factor.item].append(factor)

    def at(self, item: str, month: str) -> Decimal | None:
        """The newest factor of that month; the oldest one holds for the time before it too. None: the item has none."""
        factors = self._by_item[item]
        valid = [factor for factor in factors if factor.valid_from <= month] or factors[:1]
        return valid[-1].kg_per_unit if valid else None

    def grams(self, used: Quantities, month: str) -> Grams:
        """The emission of what was used in a month."""
        return Grams(*(_grams(quantity, self.at(item, month)) for item, quantity in zip(ITEMS, used, strict=True)))


def _grams(quantity: Decimal | None, kg_per_unit: Decimal | None) -> int | None:
    if quantity is None or kg_per_unit is None:
        return None
    return int((quantity * kg_per_unit * 1000).to_integral_value(ROUND_HALF_EVEN))


def total(grams: Sequence[int | None]) -> int | None:
    """The sum of what is there; None where nothing is."""
    there = [each for each in grams if each is not None]
    return sum(there) if there else None
