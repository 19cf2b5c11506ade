"""What is likely of a complex's months, computed once more: estimates of gaps, and points that are expected.

From docs/streams/carbon.md and the decisions alone, month by month in plain Python; quantities are in thousandths.
"""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

import polars as pl

# Per hundredth of a degree of the mean, in ten-thousandths of a mild day.
HEATING = {"electricity": 0, "gas": 42, "water": 0, "heat": 80}
COOLING = {"electricity": 14, "gas": 0, "water": 0, "heat": 0}
ITEMS = ("electricity", "gas", "water")
MILLIGRAMS = {"electricity": 424, "gas": 2240, "water": 332}
BANDS = {
    "electricity": (15_000, 10_000, 5_000, 3_000),
    "gas": (8_000, 6_000, 3_000, 1_800),
    "water": (2_000, 1_500, 750, 450),
}
Used = Mapping[tuple[str, int], Mapping[str, int | None]]


def index(month: date) -> int:
    """A month as a number."""
    return month.year * 12 + month.month - 1


def weights(weather: Mapping[date, int | None]) -> dict[tuple[int, str], Fraction]:
    """The weight of each month that is over, by item, from the days' mean temperatures in hundredths of a degree."""
    newest = max(weather, default=date.min)
    found = {}
    for month in {day.replace(day=1) for day in weather}:
        following = date.fromordinal(month.toordinal() + 31).replace(day=1)
        days = (following - month).days
        if index(newest) <= index(month) and newest.day < days:
            continue
        known = [c for day, c in weather.items() if day.replace(day=1) == month and c is not None]
        for item in HEATING:
            degrees = [HEATING[item] * max(0, 1800 - c) + COOLING[item] * max(0, c - 2400) for c in known]
            mean = Fraction(sum(degrees), len(degrees)) if degrees else Fraction(0)
            found[index(month), item] = days * (1 + mean / 10_000)
    return found


def _by(
    used: Used, weight: Mapping[tuple[int, str], Fraction], key: tuple[str, int], other: int, item: str
) -> Fraction | None:
    complex_id, month = key
    quantity = used.get((complex_id, other), {}).get(item)
    if quantity is None:
        return None
    if (month, item) in weight and (other, item) in weight:
        return quantity * weight[month, item] / weight[other, item]
    return Fraction(quantity) if (month - other) % 12 == 0 else None


def estimates(
    used: Used, told: set[tuple[str, int]], entered: set[tuple[str, int]], weight: Mapping[tuple[int, str], Fraction]
) -> dict[tuple[str, int], dict[str, int | None]]:
    """What was not entered of months that were asked for, where a month near it tells of it; None where none does."""
    found = {}
    for complex_id, month in told:
        near = [month + step for step in (-12, -1, 1, 12)]
        if (month, "gas") not in weight or not any((complex_id, other) in entered for other in near):
            continue
        of_month: dict[str, int | None] = {}
        for item in HEATING:
            if used[complex_id, month][item] is None:
                each = [_by(used, weight, (complex_id, month), other, item) for other in near]
                there = [value for value in each if value is not None]
                of_month[item] = round(sum(there) / len(there)) if there else None
        found[complex_id, month] = of_month
    return found


def points(
    used: Used,
    entered: set[tuple[str, int]],
    households: Mapping[str, int],
    weight: Mapping[tuple[int, str], Fraction] | None,
) -> pl.DataFrame:
    """carbon_points_expected, by the weights of months; without them, what is certain."""
    rows = [
        _points(used, complex_id, half, households[complex_id], weight)
        | {"months": sum((complex_id, half * 6 + n) in entered for n in range(6))}
        for complex_id, half in sorted({(c, month // 6) for c, month in entered if c in households})
    ]
    floats = [f"{item}_saving{which}" for item in ITEMS for which in ("", "_so_far")] + ["pine_trees"]
    whole = ["months", "points", "points_per_household", *(f"{i}_points" for i in ITEMS), "saved_kg", "households"]
    names = {"complex_id": pl.String, "half_year": pl.String}
    return pl.DataFrame(rows, schema={**names, **dict.fromkeys(floats, pl.Float64), **dict.fromkeys(whole, pl.Int64)})


def _points(
    used: Used, complex_id: str, half: int, households: int, weight: Mapping[tuple[int, str], Fraction] | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"complex_id": complex_id, "half_year": f"{half // 2}-H{half % 2 + 1}"}
    months, saved, per_household = [half * 6 + n for n in range(6)], Fraction(0), 0
    for item in ITEMS:

        def known(month: int, item: str = item) -> int | None:
            return used.get((complex_id, month), {}).get(item)

        now = {month: known(month) for month in months}
        if weight is not None:
            now |= _to_come(used, weight, complex_id, half, item)
        this = _saving(now, [_baseline(known, month) for month in months])
        so_far = {month: known(month) for month in months}
        part = [
            (used_, base)
            for month in months
            if (used_ := so_far[month]) is not None and (base := _baseline(known, month)) is not None
        ]
        earlier = [
            _saving({m: known(m) for m in span}, [_baseline(known, m) for m in span])
            for back in (1, 2)
            if (span := range((half - back) * 6, (half - back) * 6 + 6))
        ]
        of_item = 0
        if this is not None:
            high, middle, low, keep = BANDS[item]
            of_item = high if this >= Fraction(15, 100) else middle if this >= Fraction(1, 10) else 0
            of_item = of_item or (low if this >= Fraction(1, 20) else 0)
            if 0 < this < Fraction(1, 20) and all(e is not None and e >= Fraction(1, 20) for e in earlier):
                of_item = keep
            for month in months:
                saved += (_baseline(known, month) - now[month]) * MILLIGRAMS[item]
        per_household += of_item
        row[f"{item}_points"] = of_item * households
        row[f"{item}_saving"] = None if this is None else float(round(this, 6))
        base_sum = sum(base for _, base in part)
        row[f"{item}_saving_so_far"] = float(round(1 - sum(u for u, _ in part) / base_sum, 6)) if part else None
    kilograms = round(saved / 1000)
    return row | {
        **{"points": per_household * households, "points_per_household": per_household, "households": households},
        **{"saved_kg": kilograms, "pine_trees": float(round(Fraction(kilograms, 6600), 1))},
    }


def _to_come(
    used: Used, weight: Mapping[tuple[int, str], Fraction], complex_id: str, half: int, item: str
) -> dict[int, int | None]:
    """The months of a half-year that are missing, as a year before, times how this one compares with that so far."""

    def by(month: int, years: int) -> Fraction | None:
        return _by(used, weight, (complex_id, month), month - 12 * years, item)

    def known(month: int) -> int | None:
        return used.get((complex_id, month), {}).get(item)

    ratio = [
        (now, then)
        for month in range(half * 6 - 6, half * 6 + 6)
        if (now := known(month)) is not None and (then := by(month, 1)) is not None
    ]
    trend = Fraction(sum(now for now, _ in ratio)) / sum(then for _, then in ratio) if ratio else Fraction(1)
    found: dict[int, int | None] = {}
    for month in range(half * 6, half * 6 + 6):
        if known(month) is None:
            last, older = by(month, 1), by(month, 2)
            likely = older if last is None else last * trend
            found[month] = None if likely is None else round(likely)
    return found


def _baseline(known: Any, month: int) -> Fraction | None:
    years = [Fraction(value) for back in (12, 24) if (value := known(month - back)) is not None]
    return sum(years, Fraction(0)) / len(years) if years else None


def _saving(now: Mapping[int, int | None], baseline: list[Fraction | None]) -> Fraction | None:
    if None in now.values() or None in baseline:
        return None
    return 1 - Fraction(sum(value or 0 for value in now.values())) / sum(base or 0 for base in baseline)
