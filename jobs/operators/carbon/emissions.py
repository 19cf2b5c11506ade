"""What is known of a complex, and of a station's month.

Each output is a function of the newest inputs alone, whatever order they came in, and its version is the sum of their
fetch times: it grows with everything that is learnt or corrected and with nothing else, so that a replay never shows an
older number (docs/decisions/0011).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedCoProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor, ValueState, ValueStateDescriptor

from jobs.flow.datastreams import bundles_finished, keyed
from jobs.flow.emitted import row
from jobs.flow.gather import Batch, gather
from jobs.rules.carbon.complexes import Complex
from jobs.rules.carbon.emission import Factors, Grams, total
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.known import ESTIMATE, Conversion, Known, Sources, month_of
from jobs.rules.carbon.points import (
    ITEMS,
    begun,
    expected,
    halves,
    judge,
    months_of,
    saved_grams,
    saving_so_far,
)
from jobs.rules.carbon.rows import (
    ComplexDays,
    ComplexMonth,
    Document,
    ExpectedPoints,
    Points,
    RegionDays,
    RegionMonth,
    Usage,
)
from jobs.rules.carbon.spreading import daily, days_of, weights_of_month
from jobs.rules.newest import Seen, newer

# A complex that moves to another station leaves that station's weather behind: a move outweighs a month of fetch times.
MOVE = 1 << 46

# What goes out on the side of each operator: the rows of which table or index.
OF_COMPLEX = {
    "energy_usage": Usage,
    "emission_per_complex_month": ComplexMonth,
    "carbon_points": Points,
    "carbon_points_expected": ExpectedPoints,
    "carbon": Document,
}
OF_MONTH = {
    "emission_per_complex_day": ComplexDays,
    "emission_per_region_month": RegionMonth,
    "emission_per_region_day": RegionDays,
}
# These tags carry no types: those can't be pickled once the JVM has seen them.
USAGE = OutputTag("energy_usage")
COMPLEX_MONTHS = OutputTag("emission_per_complex_month")
COMPLEX_DAYS = OutputTag("emission_per_complex_day")
REGION_MONTHS = OutputTag("emission_per_region_month")
REGION_DAYS = OutputTag("emission_per_region_day")
POINTS = OutputTag("carbon_points")
EXPECTED = OutputTag("carbon_points_expected")
DOCUMENTS = OutputTag("carbon")


def per_complex(described: DataStream, facts: DataStream, join: "PerComplex", *, seconds: float) -> DataStream:
    """What each complex emits in a month, for its station's month; on the side its tables and documents."""
    gathered = gather(facts, seconds=seconds, name="carbon.usage")
    joined = (
        keyed(gathered, lambda batch: batch[0], name="carbon.usage-per-complex")
        .connect(keyed(described, lambda record: record[0][0], name="carbon.complexes-per-complex"))
        .process(join, output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per complex")
        .uid("carbon.per-complex")
    )
    bundles_finished(joined, name="carbon.per-complex")
    # Not what comes out behind it: side outputs are those of the operator itself.
    return joined


class PerComplex(KeyedCoProcessFunction):
    """Joins what is known of a complex's months with the complex; what comes first waits for it in state.

    First input: batches of facts, as `jobs.rules.carbon.known` has them. Second input: complexes. Gives per station and
    month what the complex emits there; on the side its usage, months, points and documents. Counts usage that was
    `replaced`.

    Args:
        factors: of emission.
        conversions: of kWh.
        kg_per_pine_tree: CO2 that a pine tree takes up in a year.
        station_of: the weather station of a region.
    """

    def __init__(
        self,
        factors: Factors,
        conversions: Sequence[Conversion],
        kg_per_pine_tree: Decimal,
        station_of: Callable[[str], str],
    ) -> None:
        self._factors = factors
        self._conversions = conversions
        self._kg_per_pine_tree = kg_per_pine_tree
        self._station_of = station_of

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states and the counter."""
        self._facts: MapState = runtime_context.get_map_state(_map("facts"))
        # The complex, its version, how often it moved, and all its regions ever.
        self._complex: ValueState = runtime_context.get_state(
            ValueStateDescriptor("complex", Types.PICKLED_BYTE_ARRAY())
        )
        self._replaced = runtime_context.get_metrics_group().add_group("citystream").counter("replaced")

    def process_element1(self, value: Batch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take some facts."""
        complex_id, batch = value
        for name, seen in batch.items():
            known = self._facts.get(name)
            self._facts.put(name, tuple(newer(Seen(*known), Seen(*seen)) if known else Seen(*seen)))
            if name.startswith("used|"):
                self._replaced.inc(seen[3] - (0 if known else 1))
        yield from self._emit(complex_id, set(map(month_of, batch)))

    def process_element2(self, value: tuple[Any, ...], ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take the complex."""
        content, *version = value
        complex_id, region = content[0], Complex(*content).region
        moves, regions = 0, [region]
        if (known := self._complex.value()) is not None:
            old, at, moves, before = known
            if tuple(version) < at:
                return
            moves += region != Complex(*old).region
            regions += [other for other in before if other != region]
        self._complex.update((content, tuple(version), moves, tuple(regions)))
        # Also where it says the same again: versions tell when it was said.
        yield from self._emit(complex_id, set(map(month_of, self._facts.keys())))

    def _emit(self, complex_id: str, changed: set[str]) -> Iterator[Any]:
        """All rows that some months are part of."""
        described = self._complex.value()
        complex_ = Complex(*described[0]) if described else None
        dong, station = (complex_.legal_dong, self._station_of(complex_.region)) if complex_ else (None, None)
        facts = {name: Seen(*seen) for name, seen in self._facts.items()}
        known = Known(facts, dong, station, self._conversions)
        at = described[1][0] + described[2] * MOVE if described else 0
        for month in sorted(changed):
            of_month = known.months[month]
            if of_month.told or of_month.entered:
                version = known.version([month]) + at
                yield USAGE, row(Usage(complex_id, month, *of_month.used, *of_month.sources, version))
        for month in sorted(known.around(changed) & known.months.keys()):
            if not known.there(month):
                continue
            version = known.version(known.around([month])) + at
            quantities, sources = known.filled(month)
            grams = self._factors.grams(quantities, month)
            gap = total(_gaps(grams, sources)) or 0
            of_complex = ComplexMonth(
                complex_id, month, *grams, grams.total, *sources, None if grams.total is None else gap, version
            )
            yield COMPLEX_MONTHS, row(of_complex)
            if complex_:
                yield DOCUMENTS, row(_document(complex_, of_complex))
                yield from self._at_stations(complex_, described[3], of_complex, grams, sources)
        if complex_ and changed:
            yield from self._points(complex_, described[1][0], known, min(changed))

    def _at_stations(
        self, complex_: Complex, regions: Sequence[str], month: ComplexMonth, grams: Grams, sources: Sources
    ) -> Iterator[Any]:
        for station in sorted({self._station_of(region) for region in regions}):
            there = tuple(region for region in regions if self._station_of(region) == station)
            # Where it was before it counts no more, but what is said of that place is newer for it.
            region = complex_.region if complex_.region in there else None
            emitted = (region, there, tuple(grams), _gaps(grams, sources))
            yield f"{station}|{month.month}", complex_.complex_id, ((month.version, 0), emitted, True, 1)

    def _points(self, complex_: Complex, at: int, known: Known, since: str) -> Iterator[Any]:
        """All half-years that what is known since a month may have changed, final and expected."""
        entered = [month for month, of_month in known.months.items() if of_month.entered]
        final = halves(entered)
        for half in begun(entered):
            last = months_of(half)[-1]
            if last < since:
                continue
            version = at + known.version(month for month in known.months if month <= last)
            likely = expected(known.used, half, known.weights)
            so_far = (_share(saving_so_far(known.used, half, item)) for item in ITEMS)
            months = sum(month in entered for month in months_of(half))
            of_half = self._judged(complex_, likely, half)
            start = (complex_.complex_id, half, months, *of_half[:6], *so_far, *of_half[6:], version)
            yield EXPECTED, row(ExpectedPoints._make(start))
            if half in final:
                of_half = self._judged(complex_, known.used, half)
                yield POINTS, row(Points._make((complex_.complex_id, half, *of_half, version)))

    def _judged(self, complex_: Complex, used: Mapping[str, Quantities], half: str) -> tuple[Any, ...]:
        """Points of all households, savings, households, grams saved, pine trees."""
        judged = judge(used, half)
        saved = saved_grams(used, half, self._factors)
        return (
            *(judged[item].points * complex_.households for item in ITEMS),
            *(_share(judged[item].saving) for item in ITEMS),
            complex_.households,
            saved,
            _rounded(Fraction(saved, 1000) / Fraction(self._kg_per_pine_tree), 1),
        )


def _gaps(grams: Grams, sources: Sources) -> tuple[int | None, ...]:
    """What of each item's grams is an estimate."""
    return tuple(each if source == ESTIMATE else None for each, source in zip(grams, sources, strict=True))


def _document(complex_: Complex, month: ComplexMonth) -> Document:
    """The document of a month."""
    about = {name: value for name, value in complex_._asdict().items() if name in Document._fields}
    return Document(**{**about, **month._asdict()})


def _map(name: str) -> MapStateDescriptor:
    return MapStateDescriptor(name, Types.STRING(), Types.PICKLED_BYTE_ARRAY())


def _share(saving: Fraction | None) -> Decimal | None:
    """A saving with six decimals."""
    return None if saving is None else _rounded(saving, 6)


def _rounded(number: Fraction, decimals: int) -> Decimal:
    return Decimal(round(number * 10**decimals)).scaleb(-decimals)


def per_month(emitted: DataStream, weather_of_month: DataStream, *, seconds: float) -> DataStream:
    """What complexes and regions emit, per station and month, spread over its days; everything is on the side."""
    emitted_in_month = gather(emitted, seconds=seconds, name="carbon.emitted")
    joined = (
        keyed(emitted_in_month, lambda batch: batch[0], name="carbon.emitted-per-month")
        .connect(keyed(weather_of_month, lambda batch: batch[0], name="carbon.weather-per-month"))
        .process(PerMonth(), output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per month")
        .uid("carbon.per-month")
    )
    bundles_finished(joined, name="carbon.per-month")
    # Not what comes out behind it: side outputs are those of the operator itself.
    return joined


class PerMonth(KeyedCoProcessFunction):
    """A station's month: the emission of its complexes and regions, spread over days by the station's weather.

    First input: batches of what complexes emit, second input: batches of days' weather. Everything is given on the
    side. Counts weather that was `replaced`.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states and the counter."""
        # What a complex emits, its days as they were spread last, and what of them is estimated.
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
            region, _, grams, gaps = seen.content
            spread, gap = daily(grams, by_item), daily(gaps, by_item)
            self._complexes.put(complex_id, (tuple(seen), spread, gap))
            if region is not None:
                of_gaps = gap or ([0] * len(days) if spread else nothing)
                version = seen.version[0] + learnt
                yield COMPLEX_DAYS, row(ComplexDays(complex_id, month, spread or nothing, of_gaps, version))
        # All regions in one pass: a station may have those of a whole country.
        known: dict[str, list[tuple[Seen, Any, Any]]] = defaultdict(list)
        if regions:
            for told, spread, gap in dict(self._complexes.items()).values():
                seen = Seen(*told)
                for region in regions.intersection(seen.content[1]):
                    known[region].append((seen, spread, gap))
        for region in sorted(regions):
            version = sum(seen.version[0] for seen, *_ in known[region])
            there = [(seen, spread, gap) for seen, spread, gap in known[region] if seen.content[0] == region and spread]
            together, guessed = (sum(total(seen.content[part]) or 0 for seen, *_ in there) for part in (2, 3))
            yield REGION_MONTHS, row(RegionMonth(region, month, together, len(there), guessed, version))
            each_day = _summed([spread for _, spread, _ in there], len(days))
            each_gap = _summed([gap for *_, gap in there if gap], len(days))
            of_days = RegionDays(region, month, each_day, len(there), each_gap, version + learnt)
            yield REGION_DAYS, row(of_days)


def _summed(spreads: Sequence[Sequence[int]], days: int) -> list[int]:
    """The sum of each day."""
    return [sum(on_day) for on_day in zip([0] * days, *spreads, strict=True)]
