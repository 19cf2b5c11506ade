"""Carbon points: what a household earns in a half-year by using less than before.

Bands per item, points per household and half-year, of the individual (household) scheme. The three bands stand alike in
the guidance of several cities (Daegu: daegu.go.kr menu 00001309, yearly KRW at 1 KRW a point, is their double); one
source prints 9,000 for gas from 15 % on, an outlier against three that print 8,000. The keep-up row and the
standard-user row are second-hand (taean.go.kr, minjimina.tistory.com). Heat is no item of the scheme.

Baseline: per item the mean of the same month of the two years before, or of the one that exists, summed over the
half-year.

Points are final when all months of a half-year were entered. Before that they are expected: a month that is missing is
taken to be as a year before, scaled by the weather where it is known, and by how much more or less than a year before
was used in the months of this half-year and the one before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from jobs.rules.carbon.emission import Factors
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.estimates import Weights, month_after, scaled

ITEMS = ("electricity", "gas", "water")
# What was used, and the baseline.
Pair = tuple[Fraction, Fraction]


class Band(NamedTuple):
    """From this saving on, so many points per item."""

    saving: Fraction
    points: Mapping[str, int]


BANDS = (
    Band(Fraction(15, 100), {"electricity": 15_000, "water": 2_000, "gas": 8_000}),
    Band(Fraction(10, 100), {"electricity": 10_000, "water": 1_500, "gas": 6_000}),
    Band(Fraction(5, 100), {"electricity": 5_000, "water": 750, "gas": 3_000}),
)
# Saved 5 % or more in each of the two half-years before, and now more than 0 and less than 5 %.
KEPT_UP = {"electricity": 3_000, "water": 450, "gas": 1_800}
# Uses half of the average or less.
STANDARD_USER = {"electricity": 5_000, "water": 750, "gas": 3_000}
STANDARD_SHARE = Fraction(1, 2)


class Judged(NamedTuple):
    """One item of a half-year: points per household, and the saving as a share of the baseline or None."""

    points: int
    saving: Fraction | None


def half_of(month: str) -> str:
    """The half-year of a month: `2026-05` is in `2026-H1`."""
    year, number = month.split("-")
    return f"{year}-H{1 if int(number) <= 6 else 2}"


def months_of(half: str) -> list[str]:
    """The six months of a half-year such as `2026-H1`."""
    year, number = half.split("-H")
    first = 1 if number == "1" else 7
    return [f"{year}-{month:02d}" for month in range(first, first + 6)]


def halves(months: Iterable[str]) -> list[str]:
    """The half-years all of whose months are there, oldest first."""
    there = set(months)
    return sorted(half for half in {half_of(month) for month in there} if there.issuperset(months_of(half)))


def begun(months: Iterable[str]) -> list[str]:
    """The half-years that have any of the months, oldest first."""
    return sorted({half_of(month) for month in months})


def before(half: str, count: int = 1) -> str:
    """The half-year so many halves before."""
    year, number = half.split("-H")
    index = int(year) * 2 + int(number) - 1 - count
    return f"{index // 2:04d}-H{index % 2 + 1}"


def compared(used: Mapping[str, Quantities], months: Iterable[str], item: str) -> Iterator[Pair | None]:
    """Use and baseline of each month; None where it is not entered or has no baseline."""
    for month in months:
        this = _used(used, month, item)
        if this is None:
            yield None
            continue
        years = [_used(used, month_after(month, -12 * back), item) for back in (1, 2)]
        earlier = [Fraction(each) for each in years if each is not None]
        yield (Fraction(this), sum(earlier, Fraction(0)) / len(earlier)) if earlier else None


def _whole(months: Iterable[Pair | None]) -> list[Pair] | None:
    """All of them; None as soon as one can't be compared, as of an item that an office never enters."""
    found: list[Pair] = []
    for month in months:
        if month is None:
            return None
        found.append(month)
    return found


def saving(used: Mapping[str, Quantities], half: str, item: str) -> Fraction | None:
    """How much less was used than in the baseline, as a share of it; negative when it was more.

    Args:
        used: what is known per month.
        half: such as `2026-H1`.
        item: of `ITEMS`.

    Returns:
        None where a month of the half-year is not entered, or one of them has no baseline.
    """
    months = _whole(compared(used, months_of(half), item))
    return None if months is None else _saving(months)


def saving_so_far(used: Mapping[str, Quantities], half: str, item: str) -> Fraction | None:
    """The same over the months that can be compared; None where none can."""
    return _saving(compared(used, months_of(half), item))


def _saving(months: Iterable[Pair | None]) -> Fraction | None:
    there = [month for month in months if month is not None]
    now, baseline = (sum(column, Fraction(0)) for column in zip(*there, strict=True)) if there else (0, 0)
    return 1 - Fraction(now) / baseline if baseline else None


def saved_grams(used: Mapping[str, Quantities], half: str, factors: Factors) -> int:
    """How many grams of CO2 less were emitted than in the baseline, over the items that are judged."""
    grams = Fraction(0)
    for item in ITEMS:
        months = _whole(compared(used, months_of(half), item))
        if months is None:
            continue
        for month, (now, baseline) in zip(months_of(half), months, strict=True):
            factor = factors.at(item, month)
            if factor is not None:
                grams += (baseline - now) * Fraction(factor) * 1000
    return round(grams)


def expected(used: Mapping[str, Quantities], half: str, weights: Mapping[str, Weights]) -> dict[str, Quantities]:
    """What is known, with what is likely for the months of a half-year that are missing."""
    found = dict(used)
    recent = [*months_of(before(half)), *months_of(half)]
    trend = {item: _trend(used, recent, item, weights) for item in ITEMS}
    for month in months_of(half):
        quantities = found.get(month, Quantities(None, None, None, None))
        likely = {item: _likely(used, month, item, weights, trend[item]) for item in ITEMS}
        there = quantities._asdict()
        found[month] = Quantities(**{**there, **{i: likely[i] for i in ITEMS if there[i] is None}})
    return found


def _trend(
    used: Mapping[str, Quantities], months: Iterable[str], item: str, weights: Mapping[str, Weights]
) -> Fraction:
    """What was used as a share of what the year before lets expect; 1 where nothing can be compared."""
    pairs = [
        (_used(used, month, item), scaled(item, month, month_after(month, -12), used, weights)) for month in months
    ]
    known = [(Fraction(now), then) for now, then in pairs if now is not None and then is not None]
    then = sum((then for _, then in known), Fraction(0))
    return sum((now for now, _ in known), Fraction(0)) / then if then else Fraction(1)


def _likely(
    used: Mapping[str, Quantities], month: str, item: str, weights: Mapping[str, Weights], trend: Fraction
) -> Decimal | None:
    last, before_last = (scaled(item, month, month_after(month, -12 * back), used, weights) for back in (1, 2))
    likely = before_last if last is None else last * trend
    return None if likely is None else Decimal(round(likely * 1000)).scaleb(-3)


def _used(used: Mapping[str, Quantities], month: str, item: str) -> Decimal | None:
    quantities = used.get(month)
    found: Decimal | None = getattr(quantities, item) if quantities else None
    return found


def item_points(
    item: str, now: Fraction | None, earlier: Iterable[Fraction | None] = (), share_of_average: Fraction | None = None
) -> int:
    """Points per household for one item of a half-year; where several rows apply, the highest.

    Args:
        item: of `ITEMS`.
        now: the saving of this half-year.
        earlier: the savings of the two half-years before.
        share_of_average: what a household used as a share of the average household's; None where no average is known.
    """
    rows = [0]
    if now is not None:
        rows += [band.points[item] for band in BANDS if now >= band.saving][:1]
        past = list(earlier)
        lowest = BANDS[-1].saving
        if 0 < now < lowest and len(past) == 2 and all(each is not None and each >= lowest for each in past):
            rows.append(KEPT_UP[item])
    if share_of_average is not None and share_of_average <= STANDARD_SHARE:
        rows.append(STANDARD_USER[item])
    return max(rows)


def judge(used: Mapping[str, Quantities], half: str) -> dict[str, Judged]:
    """Each item of a half-year. Without an average household there is no standard user."""
    judged = {}
    for item in ITEMS:
        now = saving(used, half, item)
        earlier = [saving(used, before(half, back), item) for back in (1, 2)]
        judged[item] = Judged(item_points(item, now, earlier), now)
    return judged
