"""What was metered at the lots of a legal dong becomes what was metered at the complexes that stand on them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedCoProcessFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from apis import parcels
from jobs.flow.datastreams import bundles_finished, keyed, mapped
from jobs.flow.gather import Batch, gather
from jobs.rules.carbon import buildings
from jobs.rules.carbon.buildings import of_lots
from jobs.rules.carbon.complexes import Complex
from jobs.rules.newest import Seen, newer


def per_dong(described: DataStream, metered: DataStream, *, seconds: float) -> DataStream:
    """What was metered at the lots of each complex, as facts of it."""
    by_dong = mapped(metered, buildings.seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.metered-by-dong")
    gathered = gather(by_dong, seconds=seconds, name="carbon.metered")
    joined = (
        keyed(gathered, lambda batch: batch[0], name="carbon.metered-per-dong")
        .connect(
            keyed(described, lambda record: Complex(*record[0]).legal_dong or "", name="carbon.complexes-per-dong")
        )
        .process(PerDong(), output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per dong")
        .uid("carbon.per-dong")
    )
    return bundles_finished(joined, name="carbon.per-dong")


class PerDong(KeyedCoProcessFunction):
    """Joins the lots of a legal dong with its complexes, by the lots that their addresses name.

    First input: batches of pages, per month, item and part. Second input: complexes. Gives facts of complexes, as
    `jobs.rules.carbon.known` has them. A lot that two complexes name is neither's, as nobody knows what is whose: both
    get nothing. Counts pages that were `replaced`.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states and the counter."""
        self._pages: MapState = runtime_context.get_map_state(_map("pages"))
        # Each complex's lots, and the version of what said so.
        self._lots: MapState = runtime_context.get_map_state(_map("lots"))
        self._replaced = runtime_context.get_metrics_group().add_group("citystream").counter("replaced")

    def process_element1(self, value: Batch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take some pages."""
        dong, batch = value
        for name, seen in batch.items():
            known = self._pages.get(name)
            self._pages.put(name, tuple(newer(Seen(*known), Seen(*seen)) if known else Seen(*seen)))
            self._replaced.inc(seen[3] - (0 if known else 1))
        yield from self._metered(dong, {tuple(name.split("|")[:2]) for name in batch})

    def process_element2(self, value: tuple[Any, ...], ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take a complex."""
        content, *version = value
        complex_ = Complex(*content)
        known = self._lots.get(complex_.complex_id)
        if complex_.legal_dong is None or (known and tuple(version) < known[1]):
            return
        self._lots.put(complex_.complex_id, (parcels.lots(complex_.parcel or ""), tuple(version)))
        yield from self._metered(complex_.legal_dong, {tuple(name.split("|")[:2]) for name in self._pages})

    def _metered(self, dong: str, months: set[tuple[str, ...]]) -> Iterator[Any]:
        """What all complexes of the dong get of some months and items: the claims of all make what one gets."""
        pages: dict[tuple[str, ...], dict[str, Seen]] = defaultdict(dict)
        for name, seen in self._pages.items():
            month, item, part = name.split("|")
            pages[month, item][part] = Seen(*seen)
        lots = dict(self._lots.items())
        claims = Counter(lot for theirs, _ in lots.values() for lot in theirs)
        described = sum(version[0] for _, version in lots.values())
        for month, item in sorted(months):
            said = {part: (seen.version, dict(seen.content)) for part, seen in pages[month, item].items()}
            version = described + sum(at for (at, _), _ in said.values())
            for complex_id, (theirs, _) in sorted(lots.items()):
                kwh = of_lots(said, theirs) if all(claims[lot] == 1 for lot in theirs) else None
                yield complex_id, f"metered|{month}|{item}|{dong}", ((version, 0), (kwh,), kwh is not None, 1)


def _map(name: str) -> MapStateDescriptor:
    return MapStateDescriptor(name, Types.STRING(), Types.PICKLED_BYTE_ARRAY())
