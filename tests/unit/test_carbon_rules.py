from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import factors
from conf.settings import SettingsError
from jobs.carbon import known_factors
from jobs.rules.carbon.emission import Factor, Factors, total
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.points import BANDS, before, half_of, halves, item_points, judge, months_of, saving
from jobs.rules.carbon.spreading import daily, days_of, spread, weights, weights_of_month
from jobs.rules.newest import Seen, gather, newer

NOTHING = Quantities(None, None, None, None)
temperatures = st.none() | st.integers(-2_500, 4_000)

# ----- emission


def test_emission_is_use_times_factor() -> None:
    # A 3-person flat: 300 kWh, 45 m3 of gas, 15 m3 of water: 127.2 + 100.8 + 4.98 kg.
    grams = known_factors(heat=False).grams(Quantities(Decimal(300), Decimal(45), Decimal(15), Decimal(9)), "2026-05")
    assert grams == (127_200, 100_800, 4_980, None)
    assert grams.total == 232_980


def test_heat_is_counted_where_it_is_switched_on_with_the_factor_of_its_year() -> None:
    known = known_factors(heat=True)
    heat = NOTHING._replace(heat=Decimal(1_000))
    assert [known.grams(heat, month).total for month in ("2019-01", "2023-12", "2024-01")] == [
        221_000,
        221_000,
        202_000,
    ]


def test_nothing_entered_is_no_emission_of_zero() -> None:
    assert known_factors(heat=True).grams(NOTHING, "2026-05") == (None,) * 4
    assert total([None, None]) is None
    assert total([None, 5]) == 5


def test_half_a_gram_goes_to_the_even_side() -> None:
    known = Factors([Factor("gas", "2000-01", Decimal("0.001"))])
    assert [known.grams(NOTHING._replace(gas=Decimal(q)), "2026-05").gas for q in ("0.5", "1.5", "2.5")] == [0, 2, 2]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("factors: []", "factors"),
        (
            "factors: [{item: gas, kg_per_unit: 2.24, valid_from: 2009-01-01, source: s}]",
            "no factor for electricity, heat",
        ),
        ("factors: [{item: gas, kg_per_unit: 2.24, valid_from: 2009-01-15, source: s}]", "the first of one"),
        ("factors: [{item: coal, kg_per_unit: 2.24, valid_from: 2009-01-01, source: s}]", "factors.0.item"),
        ("factors: [", "can't be read as YAML"),
    ],
)
def test_wrong_factors_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "factors.yaml").write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        factors.load(tmp_path / "factors.yaml")


# ----- spreading


@given(st.integers(0, 10**13), st.lists(temperatures, min_size=28, max_size=31))
def test_the_days_add_up_to_the_month(grams: int, celsius: list[int | None]) -> None:
    for by in weights_of_month(celsius):
        days = spread(grams, by)
        assert sum(days) == grams
        assert min(days) >= 0
        # No day is a gram or more away from its exact share.
        assert all(abs(day - Fraction(grams * weight, sum(by))) < 1 for day, weight in zip(days, by, strict=True))


@given(
    st.lists(st.none() | st.integers(0, 10**12), min_size=4, max_size=4),
    st.lists(temperatures, min_size=28, max_size=31),
)
def test_the_days_of_all_items_add_up_to_the_month(grams: list[int | None], celsius: list[int | None]) -> None:
    days = daily(grams, weights_of_month(celsius))
    assert (None if days is None else sum(days)) == total(grams)


def test_a_cold_day_takes_more_gas_a_hot_one_more_electricity_and_water_is_flat() -> None:
    cold_mild_hot = [0, 2_000, 2_900]
    # 1 + 0.42 per degree below 18; 1 + 0.14 per degree above 24.
    assert weights("gas", cold_mild_hot) == [3 * 85_600, 3 * 10_000, 3 * 10_000]
    assert weights("electricity", cold_mild_hot) == [3 * 10_000, 3 * 10_000, 3 * 17_000]
    assert len(set(weights("water", cold_mild_hot))) == 1


def test_a_day_without_a_temperature_weighs_as_the_mean_of_the_others() -> None:
    assert weights("gas", [0, 1_800, None]) == [2 * 85_600, 2 * 10_000, 85_600 + 10_000]
    assert weights("gas", [None, None]) == [10_000, 10_000]


def test_what_is_left_goes_to_the_largest_remainders_then_to_the_first_days() -> None:
    assert spread(10, [1, 1, 1]) == [4, 3, 3]
    assert spread(10, [1, 2, 4]) == [1, 3, 6]  # 1.43, 2.86, 5.71
    assert spread(11, [1, 1, 4]) == [2, 2, 7]
    assert spread(0, [1, 2]) == [0, 0]


def test_a_month_has_its_days() -> None:
    assert len(days_of("2024-02")) == 29
    assert days_of("2026-12")[-1] == "2026-12-31"


# ----- the newest of several records

seen = st.builds(
    Seen, st.tuples(st.integers(0, 5), st.integers(0, 5)), st.just(()), st.booleans(), st.integers(1, 3)
).map(lambda s: s._replace(content=s.version))


@given(seen, seen, seen)
def test_newer_does_not_depend_on_the_order(a: Seen, b: Seen, c: Seen) -> None:
    assert newer(a, b) == newer(b, a)
    assert newer(newer(a, b), c) == newer(a, newer(b, c))


def test_a_stale_record_replaces_nothing_but_is_counted() -> None:
    assert newer(Seen((2, 0), ("new",), False, 1), Seen((1, 9), ("old",), True, 1)) == ((2, 0), ("new",), True, 2)


# ----- carbon points


def year_of(year: int, electricity: object = None, gas: object = None, water: object = None) -> dict[str, Quantities]:
    used = Quantities(*(None if each is None else Decimal(str(each)) for each in (electricity, gas, water, None)))
    return {f"{year}-{month:02d}": used for month in range(1, 13)}


def test_half_years() -> None:
    assert half_of("2026-06") == "2026-H1"
    assert half_of("2026-07") == "2026-H2"
    assert months_of("2026-H2") == ["2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12"]
    assert [before("2026-H1", back) for back in (1, 2, 3)] == ["2025-H2", "2025-H1", "2024-H2"]
    assert halves(["2025-12", *months_of("2026-H1"), *months_of("2026-H2")[1:]]) == ["2026-H1"]


def test_the_baseline_is_the_mean_of_two_years() -> None:
    # 6 x (320 + 280) / 2 = 1,800 before, 6 x 270 = 1,620 now: 10 % less.
    used = year_of(2024, 320) | year_of(2025, 280) | year_of(2026, 270)
    assert saving(used, "2026-H1", "electricity") == Fraction(1, 10)


def test_the_baseline_is_one_year_where_only_that_exists() -> None:
    used = year_of(2025, 300) | year_of(2026, 255)
    assert saving(used, "2026-H1", "electricity") == Fraction(15, 100)
    # A month whose other year is missing takes the one that is there: 5 x 300 + 400 = 1,900 before.
    one = year_of(2025, 300) | {"2024-01": Quantities(Decimal(500), None, None, None)} | year_of(2026, 285)
    assert saving(one, "2026-H1", "electricity") == 1 - Fraction(6 * 285, 1_900)


def test_a_month_that_was_not_entered_leaves_an_item_unjudged() -> None:
    used = year_of(2025, 300, 40) | year_of(2026, 200, 20)
    used["2026-03"] = used["2026-03"]._replace(electricity=None)
    judged = judge(used, "2026-H1")
    assert judged["electricity"] == (0, None)
    assert judged["gas"] == (8_000, Fraction(1, 2))
    assert judged["water"] == (0, None)


@pytest.mark.parametrize(
    ("now", "electricity", "water", "gas"),
    [
        (Fraction(-1, 10), 0, 0, 0),
        (Fraction(499, 10_000), 0, 0, 0),
        (Fraction(5, 100), 5_000, 750, 3_000),
        (Fraction(999, 10_000), 5_000, 750, 3_000),
        (Fraction(10, 100), 10_000, 1_500, 6_000),
        (Fraction(15, 100), 15_000, 2_000, 8_000),
        (Fraction(1), 15_000, 2_000, 8_000),
    ],
)
def test_the_bands(now: Fraction, electricity: int, water: int, gas: int) -> None:
    assert [item_points(item, now) for item in ("electricity", "water", "gas")] == [electricity, water, gas]


def test_the_most_that_a_household_earns_is_the_highest_band_of_each_item() -> None:
    # At 2 KRW a point that is the 50,000 KRW per half-year that the scheme names as its limit.
    assert sum(BANDS[0].points.values()) * 2 == 50_000


def test_kept_up() -> None:
    five, more = Fraction(5, 100), Fraction(20, 100)
    assert item_points("electricity", Fraction(1, 100), [five, more]) == 3_000
    assert item_points("water", Fraction(1, 100), [five, more]) == 450
    assert item_points("gas", Fraction(1, 100), [five, more]) == 1_800
    assert item_points("gas", Fraction(0), [five, more]) == 0
    assert item_points("gas", Fraction(1, 100), [five, Fraction(4, 100)]) == 0
    assert item_points("gas", Fraction(1, 100), [five, None]) == 0
    # 2024 to 2026: 10 % and 10 % less in both halves of 2025, then another 1 % against the mean of 100 and 90.
    used = year_of(2024, 100) | year_of(2025, 90) | year_of(2026, "94.05")
    assert judge(used, "2026-H1")["electricity"] == (3_000, Fraction(1, 100))


def test_the_standard_user() -> None:
    assert item_points("electricity", None, share_of_average=Fraction(1, 2)) == 5_000
    assert item_points("water", Fraction(6, 100), share_of_average=Fraction(1, 3)) == 750
    assert item_points("gas", Fraction(16, 100), share_of_average=Fraction(1, 3)) == 8_000
    assert item_points("gas", None, share_of_average=Fraction(51, 100)) == 0


def test_the_file_of_factors_is_valid_and_names_sources() -> None:
    assert all(factor.source and factor.valid_from <= date(2026, 1, 1) for factor in factors.load())


def test_gathering_changes_what_is_gathered_and_copies_nothing() -> None:
    # A copy per record would be quadratic in a window.
    class Watched(dict[str, tuple[object, ...]]):
        def __iter__(self) -> NoReturn:
            message = "nobody goes through all that was gathered"
            raise AssertionError(message)

        keys = items = values = __iter__  # type: ignore[assignment]

    known = Watched()
    for at, name in ((1, "a"), (3, "b"), (2, "b")):
        gather(known, name, ((at, 0), (at,), True, 1))
    assert (known["a"], known["b"]) == (((1, 0), (1,), True, 1), ((3, 0), (3,), True, 2))
