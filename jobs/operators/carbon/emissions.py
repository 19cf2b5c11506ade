"""What is known of a complex, and of a station's month.

Each output is a function of the newest inputs alone, whatever order they came in, and its version is the sum of their
fetch times: it grows with everything that is learnt or corrected and with nothing else, so that a replay never shows an
older number (docs/decisions/0011).
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pyflink.common import Types
from pyflink.datastream import KeyedCoProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor, ValueState, ValueStateDescriptor

from jobs.flow.emitted import row
from jobs.flow.gather import Batch
from jobs.rules.carbon.complexes import Complex
from jobs.rules.carbon.emission import Factors, Grams, total
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.points import ITEMS, halves, judge, months_of
from jobs.rules.carbon.rows import ComplexDays, ComplexMonth, Document, Points, RegionDays, RegionMonth
from jobs.rules.carbon.spreading import daily, days_of, weights_of_month
from jobs.rules.newest import Seen, newer

# A complex that moves to another station leaves that station's weather behind: a move outweighs a month of fetch times.
MOVE = 1 << 46

# What goes out on the side of each operator: the rows of which table or index.
OF_COMPLEX = {"emission_per_complex_month": ComplexMonth, "carbon_points": Points, "carbon": Document}
OF_MONTH = {
    "emission_per_complex_day": ComplexDays,
    "emission_per_region_month": RegionMonth,
    "emission_per_region_day": RegionDays,
}
# These tags carry no types: those can't be pickled once the JVM has seen them.
COMPLEX_MONTHS = OutputTag("emission_per_complex_month")
COMPLEX_DAYS = OutputTag("emission_per_complex_day")
REGION_MONTHS = OutputTag("emission_per_region_month")
REGION_DAYS = OutputTag("emission_per_region_day")
POINTS = OutputTag("carbon_points")
DOCUMENTS = OutputTag("carbon")


class PerComplex(KeyedCoProcessFunction):
    """Joins a complex's usage with the complex; usage that comes first waits for it in state.

    First input: batches of usage, per complex and month. Second input: complexes. Gives per station and month what the
    complex emits there; on the side its months, points and documents. Counts usage that was `replaced`.

    Args:
        factors: of emission.
        station_of: the weather station of a region.
    """

    def __init__(self, factors: Factors, station_of: Callable[[str], str]) -> None:
        self._factors = factors
        self._station_of = station_of

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states and the counter."""
        self._usage: MapState = runtime_context.get_map_state(_map("usage"))
        # The complex, its version, how often it moved, and all its regions ever.
        self._complex: ValueState = runtime_context.get_state(
            ValueStateDescriptor("complex", Types.PICKLED_BYTE_ARRAY())
        )
        self._replaced = runtime_context.get_metrics_group().add_group("citystream").counter("replaced")

    def process_element1(self, value: Batch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take some months' usage."""
        complex_id, batch = value
        changed: dict[str, Seen] = {}
        for month, seen in batch.items():
            known = self._usage.get(month)
            merged = newer(Seen(*known), Seen(*seen)) if known else Seen(*seen)
            self._replaced.inc(seen[3] - (0 if known else 1))
            self._usage.put(month, tuple(merged))
            if merged.entered:
                changed[month] = merged
        for month, seen in changed.items():
            grams = self._grams(month, seen)
            yield COMPLEX_MONTHS, row(ComplexMonth(complex_id, month, *grams, grams.total, seen.version[0]))
        if changed and (known := self._complex.value()):
            yield from self._described(known, changed)

    def process_element2(self, value: tuple[Any, ...], ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take the complex."""
        content, *version = value
        known = self._complex.value()
        region = Complex(*content).region
        moves, regions = 0, [region]
        if known is not None:
            old, at, moves, before = known
            if tuple(version) < at:
                return
            moves += region != Complex(*old).region
            regions += [other for other in before if other != region]
        now = (content, tuple(version), moves, tuple(regions))
        self._complex.update(now)
        if known is None or known[0] != content:
            usage = {month: Seen(*seen) for month, seen in self._usage.items()}
            yield from self._described(now, {month: seen for month, seen in usage.items() if seen.entered})

    def _grams(self, month: str, seen: Seen) -> Grams:
        return self._factors.grams(Quantities(*seen.content), month)

    def _described(self, known: tuple[Any, ...], changed: Mapping[str, Seen]) -> Iterator[Any]:
        content, (at, _), moves, regions = known
        complex_ = Complex(*content)
        stations = {self._station_of(region) for region in regions}
        for month, seen in changed.items():
            grams = self._grams(month, seen)
            version = seen.version[0] + at + moves * MOVE
            document = Document(
                complex_id=complex_.complex_id,
                month=month,
                name=complex_.name,
                region=complex_.region,
                households=complex_.households,
                heating=complex_.heating,
                lat=complex_.lat,
                lon=complex_.lon,
                **grams._asdict(),
                total=grams.total,
                version=version,
            )
            yield DOCUMENTS, row(document)
            for station in stations:
                there = tuple(region for region in regions if self._station_of(region) == station)
                # Where it was before it counts no more, but what is said of that place is newer for it.
                region = complex_.region if complex_.region in there else None
                emitted = (region, there, tuple(grams))
                yield f"{station}|{month}", complex_.complex_id, ((version, 0), emitted, True, 1)
        yield from self._points(complex_, at, min(changed, default="9"))

    def _points(self, complex_: Complex, at: int, since: str) -> Iterator[Any]:
        """All half-years that usage since a month may have changed."""
        usage = {month: Seen(*seen) for month, seen in self._usage.items()}
        used = {month: Quantities(*seen.content) for month, seen in usage.items()}
        for half in halves(month for month, seen in usage.items() if seen.entered):
            if months_of(half)[-1] < since:
                continue
            judged = judge(used, half)
            points = (judged[item].points * complex_.households for item in ITEMS)
            savings = (_share(judged[item].saving) for item in ITEMS)
            version = at + sum(seen.version[0] for month, seen in usage.items() if month <= months_of(half)[-1])
            of_half = Points._make((complex_.complex_id, half, *points, *savings, complex_.households, version))
            yield POINTS, row(of_half)


def _map(name: str) -> MapStateDescriptor:
    return MapStateDescriptor(name, Types.STRING(), Types.PICKLED_BYTE_ARRAY())


def _share(saving: Fraction | None) -> Decimal | None:
    """A saving with six decimals."""
    return None if saving is None else Decimal(round(saving * 10**6)).scaleb(-6)


class PerMonth(KeyedCoProcessFunction):
    """A station's month: the emission of its complexes and regions, spread over days by the station's weather.

    First input: batches of what complexes emit, second input: batches of days' weather. Everything is given on the
    side. Counts weather that was `replaced`.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states and the counter."""
        # What a complex emits, and its days as they were spread last.
        self._complexes: MapState = runtime_context.get_map_state(_map("complexes"))
        self._weather: MapState = runtime_context.get_map_state(_map("weather"))
        self._replaced = runtime_context.get_metrics_group().add_group("citystream").counter("replaced")

    def process_element1(self, value: Batch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take some complexes' emission."""
        key, batch = value
        changed: dict[str, Seen] = {}
        regions: set[str] = set()
        for complex_id, seen in batch.items():
            known = self._complexes.get(complex_id)
            if known and Seen(*known[0]).version > seen[0]:
                continue
            changed[complex_id] = Seen(*seen)
            regions.update(seen[1][1])
        yield from self._spread(key, changed, regions)

    def process_element2(self, value: Batch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take some days' weather."""
        key, batch = value
        changed = False
        for day, seen in batch.items():
            known = self._weather.get(day)
            merged = newer(Seen(*known), Seen(*seen)) if known else Seen(*seen)
            self._replaced.inc(seen[3] - (0 if known else 1))
            changed |= known is None or known[1] != merged.content
            self._weather.put(day, tuple(merged))
        if changed:
            complexes = {complex_id: Seen(*known[0]) for complex_id, known in self._complexes.items()}
            yield from self._spread(
                key, complexes, {region for seen in complexes.values() for region in seen.content[1]}
            )

    def _spread(self, key: str, changed: Mapping[str, Seen], regions: set[str]) -> Iterator[Any]:
        month = key.rsplit("|", 1)[1]
        days = days_of(month)
        weather = {day: Seen(*seen) for day, seen in self._weather.items()}
        by_item = weights_of_month([weather[day].content[0] if day in weather else None for day in days])
        nothing = [None] * len(days)
        learnt = sum(seen.version[0] for seen in weather.values())
        for complex_id, seen in changed.items():
            region, _, grams = seen.content
            spread = daily(grams, by_item)
            self._complexes.put(complex_id, (tuple(seen), spread))
            if region is not None:
                yield COMPLEX_DAYS, row(ComplexDays(complex_id, month, spread or nothing, seen.version[0] + learnt))
        if regions:
            known = [(Seen(*seen), spread) for seen, spread in dict(self._complexes.items()).values()]
        for region in sorted(regions):
            version = sum(seen.version[0] for seen, _ in known if region in seen.content[1])
            there = [(seen.content[2], spread) for seen, spread in known if seen.content[0] == region and spread]
            together = sum(total(grams) or 0 for grams, _ in there)
            yield REGION_MONTHS, row(RegionMonth(region, month, together, len(there), version))
            each_day = [sum(on_day) for on_day in zip(*(spread for _, spread in there), strict=True)] or [0] * len(days)
            yield REGION_DAYS, row(RegionDays(region, month, each_day, len(there), version + learnt))
