"""The keyed operator of events: what is known of each, what a version changes, and what it needs looked up."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from conf.airports import Airport
from jobs.flow.datastreams import keyed, side, timers_in_checkpoints
from jobs.flow.emitted import row, row_type
from jobs.rules.events import lookups, rows
from jobs.rules.events.changes import place_of, step
from jobs.rules.events.event import Event
from jobs.rules.events.lookups import Nearest, Trip

# What goes out on the side, and its rows.
OF_EVENT = {
    "latest": rows.Latest,
    "changed": rows.Changed,
    "spend": rows.Spend,
    "naive": rows.Naive,
    "asked": rows.Asked,
}
LATEST, CHANGED, SPEND, NAIVE, ASKED = (OutputTag(name) for name in OF_EVENT)
_DAY_MS = 86_400_000


def changes(
    versions: DataStream,
    airports: Sequence[Airport],
    trip: Trip,
    *,
    calls_per_place: int,
    keep_days: float,
    name: str,
) -> dict[str, DataStream]:
    """Hold each version of an event against the one before it; give the rows of each part of `OF_EVENT`.

    Args:
        versions: decoded, see `jobs.flow.decode.decode`; those of one event in their order.
        airports: all there are.
        trip: when one would fly to an event.
        calls_per_place: how many calls it takes to look up what is near a place.
        keep_days: how long after its end an event is known.
        name: the start of the operators' names and uids.
    """
    by_event = keyed(versions, lambda version: version[0][0], name=f"{name}.per-event")
    uid = f"{name}.changes"
    per_event = PerEvent(airports, trip, calls_per_place, keep_days)
    changed = by_event.process(per_event, output_type=Types.PICKLED_BYTE_ARRAY())
    changed.name(f"{name}: changes").uid(uid)
    timers_in_checkpoints(changed, name=uid)
    return {part: side(changed, part, row_type(columns)) for part, columns in OF_EVENT.items()}


class PerEvent(KeyedProcessFunction):
    """Holds each version of an event against the one before it.

    An event is known until `keep_days` after its end, or after its last version where that is later. What comes of one
    that ended longer ago and is not known would count twice, so it is left out, and counted as `over`.
    """

    def __init__(self, airports: Sequence[Airport], trip: Trip, calls_per_place: int, keep_days: float) -> None:
        self._airports = tuple(airports)
        self._trip = trip
        self._calls_per_place = calls_per_place
        self._keep_ms = int(keep_days * _DAY_MS)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the state and the counters."""
        self._nearest = Nearest(self._airports)
        # The event as a plain tuple, and when to forget it.
        self._known: ValueState = runtime_context.get_state(ValueStateDescriptor("known", Types.PICKLED_BYTE_ARRAY()))
        metrics = runtime_context.get_metrics_group().add_group("citystream")
        self._unchanged = metrics.counter("unchanged")
        self._over = metrics.counter("over")

    def process_element(self, value: tuple[Any, ...], ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Take a version."""
        content, at, _ = value
        seen, held = Event(*content), self._known.value()
        known = Event(*held[0]) if held else None
        if known is None and _over_at(seen) + self._keep_ms < at:
            self._over.inc()
            return
        this = step(known, seen)
        if not this.counted:
            self._unchanged.inc()
            return
        timers = ctx.timer_service()
        forget_at = max(_over_at(seen), timers.current_processing_time()) + self._keep_ms
        self._known.update((tuple(seen), forget_at))
        timers.register_processing_time_timer(forget_at)

        # The day of the record and not of the clock: a replay tells the same.
        today = datetime.fromtimestamp(at / 1000, UTC).date()
        airport = self._nearest(seen)
        yield LATEST, row(rows.latest(this, place_of(seen), airport.code if airport else None))
        if changed := rows.changed(this, at):
            yield CHANGED, row(changed)
        for added in rows.spend(known, seen):
            yield SPEND, row(added)
        for calls in rows.naive(*(self._naive(each, today) for each in (seen, known))):
            yield NAIVE, row(calls)
        for asked in rows.asked(lookups.needed(this.update_type, seen, self._nearest, self._trip, today)):
            yield ASKED, row(asked)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Forget the event, unless it has changed since."""
        held = self._known.value()
        if held and held[1] <= timestamp:
            self._known.clear()
        yield from ()

    def _naive(self, event: Event | None, today: date) -> Counter[tuple[str, date]]:
        return lookups.naive(event, self._nearest, self._trip, self._calls_per_place, today)


def _over_at(event: Event) -> int:
    """When it is over, in ms; one whose days nobody tells, with its last update."""
    return event.end_at or event.start_at or event.updated
