"""Estimates of months that nobody entered, and points that are expected: how near they come, what they leave alone."""

import statistics
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.city import places
from generators.simulator.carbon import energy
from generators.simulator.carbon.services import World
from jobs.carbon import known_factors
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.estimates import Weights, estimate, month_after, references
from jobs.rules.carbon.points import ITEMS, begun, expected, judge, months_of, saved_grams, saving, saving_so_far
from jobs.rules.carbon.spreading import month_weights
from tests.pollers import RICH

FIRST = date(2024, 5, 1)
WORLD = World(27, FIRST, RICH)
MONTHS = energy.months_between(FIRST, date(2026, 10, 1))
FLAT = Weights(*[Fraction(30)] * 4)


def weights() -> dict[str, Weights]:
    """Those of the simulated city's months."""
    found = {}
    for month in MONTHS:
        celsius = [round(day.mean_celsius * 100) for day in WORLD.weather(month, energy.last_day(month))]
        found[f"{month:%Y-%m}"] = Weights(*(Fraction(*weight) for weight in month_weights(celsius)))
    return found


WEIGHTS = weights()


def history(place: places.Complex) -> dict[str, Quantities]:
    """All that a complex used."""
    found = {}
    for month in MONTHS:
        used = energy.usage(27, place, month, FIRST)
        quantities = (used.electricity_kwh, used.gas_m3, used.water_m3, used.heat_mcal)
        found[f"{month:%Y-%m}"] = Quantities(*(Decimal(each) if each else None for each in quantities))
    return found


@given(st.integers(2000, 2098), st.integers(1, 12))
def test_a_month_tells_of_those_that_tell_of_it(year: int, number: int) -> None:
    month = f"{year}-{number:02d}"
    assert all(month in references(other) for other in references(month))
    assert month_after(month_after(month, 13), -13) == month


@pytest.mark.parametrize(("item", "most"), [("electricity", 6), ("gas", 12), ("water", 6)])
def test_an_estimate_comes_nearer_than_the_year_before(item: str, most: float) -> None:
    """Of every month of the second year, as if nobody had entered it; per cent of what was used, in the mean."""
    own, naive = [], []
    for place in places.complexes()[::7]:
        used = history(place)
        for month in list(used)[12:24]:
            true = getattr(used[month], item)
            if true is None:
                continue
            others = {other: quantities for other, quantities in used.items() if other != month}
            guess = getattr(estimate(month, others, WEIGHTS), item)
            own.append(abs(guess - true) / true * 100)
            naive.append(abs(getattr(used[month_after(month, -12)], item) - true) / true * 100)
    assert statistics.mean(own) < most
    assert statistics.mean(own) < statistics.mean(naive)


def test_an_estimate_takes_only_what_is_there() -> None:
    used = {
        "2025-01": Quantities(Decimal(310), None, None, None),
        "2025-03": Quantities(Decimal(410), None, None, None),
    }
    months = {month: FLAT for month in ("2025-01", "2025-02", "2025-03")}
    assert estimate("2025-02", used, months) == (Decimal("360.000"), None, None, None)
    assert estimate("2025-06", used, months) == (None,) * 4
    # Without the weather, the same month of another year alone tells something.
    assert estimate("2025-02", used, {}) == (None,) * 4
    assert estimate("2026-01", used, {}) == (Decimal("310.000"), None, None, None)


def twice(now: str, before: str = "100") -> dict[str, Quantities]:
    """Two years of electricity, the second half-year of each alone."""
    return {
        month: Quantities(Decimal(kwh), None, None, None)
        for half, kwh in (("2025-H2", before), ("2026-H2", now))
        for month in months_of(half)
    }


class TestExpected:
    def test_months_to_come_are_as_the_year_before_and_as_much_less_as_so_far(self) -> None:
        used = twice("90")
        for month in months_of("2026-H2")[2:]:
            del used[month]
        likely = expected(used, "2026-H2", {})
        assert [likely[month].electricity for month in months_of("2026-H2")] == [90] * 6
        assert judge(likely, "2026-H2")["electricity"].points == 10_000
        assert saving(used, "2026-H2", "electricity") is None
        assert saving_so_far(used, "2026-H2", "electricity") == Fraction(1, 10)
        # Two months of a tenth less, in kg: what was entered alone makes no half-year.
        assert saved_grams(used, "2026-H2", known_factors(heat=False)) == 0
        assert saved_grams(likely, "2026-H2", known_factors(heat=False)) == 6 * 10 * 424

    def test_a_hotter_month_to_come_is_not_taken_for_waste(self) -> None:
        used = twice("100")
        del used["2026-08"]
        hot = FLAT._replace(electricity=Fraction(45))
        weights = dict.fromkeys((*months_of("2025-H2"), *months_of("2026-H2")), FLAT) | {"2026-08": hot}
        assert expected(used, "2026-H2", weights)["2026-08"].electricity == 150

    @given(st.integers(1, 400))
    def test_when_all_is_entered_what_is_expected_is_final(self, now: int) -> None:
        used = twice(str(now))
        assert judge(expected(used, "2026-H2", WEIGHTS), "2026-H2") == judge(used, "2026-H2")

    def test_nothing_is_expected_without_a_year_before(self) -> None:
        used = {"2026-07": Quantities(Decimal(5), None, None, None)}
        assert begun(used) == ["2026-H2"]
        assert {each.saving for each in judge(expected(used, "2026-H2", {}), "2026-H2").values()} == {None}

    def test_comes_near_what_becomes_final(self) -> None:
        """With half of the months entered, the expected saving of each item is some per cent off, in the mean."""
        off = []
        for place in places.complexes()[::7]:
            used = history(place)
            so_far = {month: quantities for month, quantities in used.items() if month <= "2026-03"}
            likely = expected(so_far, "2026-H1", {month: WEIGHTS[month] for month in so_far})
            for item in ITEMS:
                final = saving(used, "2026-H1", item)
                guess = saving(likely, "2026-H1", item)
                assert (final is None) == (guess is None)
                if final is not None and guess is not None:
                    off.append(abs(float(final - guess)) * 100)
        assert statistics.mean(off) < 4
