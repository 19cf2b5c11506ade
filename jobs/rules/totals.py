"""Running totals: sums that partial sums are folded into."""

from typing import NamedTuple, Self


class Sums(NamedTuple):
    """How many orders, and their money in whole KRW."""

    orders: int
    pay: int
    charge: int

    def plus(self, other: Self) -> Self:
        """Both together."""
        return type(self)(self.orders + other.orders, self.pay + other.pay, self.charge + other.charge)


NOTHING = Sums(0, 0, 0)
