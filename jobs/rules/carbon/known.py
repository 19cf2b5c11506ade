"""What is known of a complex's months: what its office entered and, where it entered nothing, what was metered.

It is kept as facts, each with the time of its fetch: `used|<month>` is what K-apt says, `metered|<month>|<item>|<dong>`
the kWh at the complex's lots in a legal dong, `weather|<month>|<station>` the month's weights. Those of a dong that the
complex is no longer described in, and of a station that is no longer its own, don't count.

A month that K-apt was asked for and that lacks an item is estimated. A row of a month therefore tells of the month and
its references, and its version is the sum of the fetch times of all five.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import NamedTuple

from jobs.rules.carbon.emission import ITEMS
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.estimates import Weights, estimate, references
from jobs.rules.newest import Seen

K_APT, BUILDINGS, ESTIMATE = "k-apt", "buildings", "estimate"
_THOUSANDTH = Decimal("0.001")


class Conversion(NamedTuple):
    """kWh per unit of an item, from a month such as `2024-01` on."""

    item: str
    valid_from: str
    kwh_per_unit: Decimal


class Sources(NamedTuple):
    """Where each item's quantity comes from; None where there is none."""

    electricity: str | None
    gas: str | None
    water: str | None
    heat: str | None


class Month(NamedTuple):
    """A month's quantities and their sources; whether there ever was any, and whether K-apt told of the month."""

    used: Quantities
    sources: Sources
    entered: bool
    told: bool

    def filled(self, estimated: Quantities) -> tuple[Quantities, Sources]:
        """The quantities, estimates where there are none, and the sources."""
        pairs = list(zip(self.used, estimated, strict=True))
        told = (ESTIMATE if used is None and guess is not None else None for used, guess in pairs)
        return (
            Quantities(*(guess if used is None else used for used, guess in pairs)),
            Sources(*(source or guess for source, guess in zip(self.sources, told, strict=True))),
        )


_NOTHING = Quantities(None, None, None, None)


class Known:
    """A complex's months.

    Args:
        facts: by name.
        dong: the legal dong it is described in; None: what was metered is not its.
        station: its weather station; None: nothing is estimated.
        conversions: of kWh.

    Attributes:
        months: what is known of each.
        used: the quantities alone.
        weights: of the months whose weather is known.
    """

    def __init__(
        self, facts: Mapping[str, Seen], dong: str | None, station: str | None, conversions: Iterable[Conversion]
    ) -> None:
        self._conversions = sorted(conversions, key=lambda each: each.valid_from)
        self._dong = dong
        self._facts: dict[str, dict[str, Seen]] = defaultdict(dict)
        for name, seen in facts.items():
            self._facts[month_of(name)][name] = seen
        self.months = {month: self._month(month) for month in sorted(self._facts)}
        self.used = {month: of_month.used for month, of_month in self.months.items()}
        self.weights = {
            month: Weights(*(Fraction(*weight) for weight in of_month[f"weather|{month}|{station}"].content))
            for month, of_month in self._facts.items()
            if f"weather|{month}|{station}" in of_month
        }

    def around(self, months: Iterable[str]) -> set[str]:
        """The months that tell of any of these, and these."""
        return {other for month in months for other in (month, *references(month))}

    def there(self, month: str) -> bool:
        """Whether there is something to say of a month, or there was once."""
        of_month = self.months[month]
        return of_month.entered or (
            of_month.told
            and month in self.weights
            and any(other in self.months and self.months[other].entered for other in references(month))
        )

    def filled(self, month: str) -> tuple[Quantities, Sources]:
        """A month's quantities, estimates where there are none and the weather is known, and the sources."""
        of_month = self.months[month]
        guess = of_month.told and month in self.weights
        return of_month.filled(estimate(month, self.used, self.weights) if guess else _NOTHING)

    def version(self, months: Iterable[str]) -> int:
        """The sum of the fetch times of all that is known of some months."""
        return sum(seen.version[0] for month in months for seen in self._facts.get(month, {}).values())

    def _month(self, month: str) -> Month:
        facts = self._facts[month]
        used = facts.get(f"used|{month}")
        told = Quantities(*used.content) if used else _NOTHING
        quantities: list[Decimal | None] = []
        sources: list[str | None] = []
        for item, quantity in zip(ITEMS, told, strict=True):
            metered = facts.get(f"metered|{month}|{item}|{self._dong}")
            if quantity is None and metered and metered.content[0] is not None:
                quantities.append(self._units(item, metered.content[0], month))
                sources.append(BUILDINGS)
            else:
                quantities.append(quantity)
                sources.append(None if quantity is None else K_APT)
        entered = any(seen.entered for seen in facts.values())
        return Month(Quantities(*quantities), Sources(*sources), entered, told=used is not None)

    def _units(self, item: str, kwh: Decimal, month: str) -> Decimal:
        """What was metered, in the unit of the item's factor, to a thousandth."""
        known = [each for each in self._conversions if each.item == item]
        valid = [each for each in known if each.valid_from <= month] or known[:1]
        return (kwh / valid[-1].kwh_per_unit if valid else kwh).quantize(_THOUSANDTH, ROUND_HALF_EVEN)


def month_of(fact: str) -> str:
    """The month that a fact is of."""
    return fact.split("|")[1]
