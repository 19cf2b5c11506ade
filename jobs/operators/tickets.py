"""Alarms of ticket sales: seats that were sold twice, found in the JVM; and shows that are sold out."""

from collections.abc import Iterator
from typing import NamedTuple

from pyflink.common import Row, Time, Types
from pyflink.datastream import DataStream, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import StateTtlConfig, ValueState, ValueStateDescriptor
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment
from pyflink.util.java_utils import to_jarray

from conf.city.venues import venues
from conf.streams import Total
from jobs.flow.datastreams import bundles_finished, keyed_pairs, rows
from jobs.flow.totals import combine
from jobs.rules.totals import plus
from sinks.rows import columns

# Net seats of a show, under its venue and id.
TAKEN = Total("taken", "show")
PARTIAL = Types.ROW_NAMED(["records", "taken"], [Types.LONG(), Types.LONG()])
SOLD_OUT = Types.ROW_NAMED(["show_id", "venue", "seats"], [Types.STRING(), Types.STRING(), Types.LONG()])


def location() -> str:
    """Where a ticket's venue is, as an SQL expression: [lon, lat], or null for one that is not known."""
    known = " ".join(f"WHEN '{each.name}' THEN ARRAY[{each.lon}E0, {each.lat}E0]" for each in venues())
    return f"CASE venue {known} END"


class Seats(NamedTuple):
    """What became of the seats.

    Attributes:
        taken: rows of a show, its venue, and 1 for a seat that was taken or -1 for one that is free again.
        oversold: rows of show, seat, the ticket that held it and the one that was sold nevertheless, and when.
    """

    taken: DataStream
    oversold: DataStream


def seats(sales: DataStream, *, seat_days: float, name: str) -> Seats:
    """Who holds which seat, per event and in the JVM; an oversell is judged when all written before it has come.

    Args:
        sales: rows of `sale` (a sale, or its cancellation), `ticket_id`, `at`, `written_at`, `show_id`, `venue` and
            `seat`.
        seat_days: how long after its last event a seat is forgotten.
        name: the start of the operator's name and uid.
    """
    jvm = get_gateway().jvm
    at = columns(sales)
    tickets = jvm.citystream.tickets
    seat = jvm.citystream.records.FieldsKey(to_jarray(jvm.int, [at["show_id"], at["seat"]]))
    judge = tickets.SeatSales(
        *(at[column] for column in ("sale", "ticket_id", "at", "written_at", "venue")), int(seat_days * 86_400_000)
    )
    j_keyed = sales._j_data_stream.keyBy(seat, seat.type())
    j_taken = j_keyed.process(judge, tickets.SeatSales.TAKEN).name(f"{name}: seats").uid(f"{name}.seats")
    return Seats(DataStream(j_taken), DataStream(j_taken.getSideOutput(tickets.SeatSales.OVERSELLS)))


def sold_out(
    taken: DataStream,
    tables: StreamTableEnvironment,
    *,
    every_seconds: float,
    seat_days: float,
    python_mode: str,
    name: str,
) -> DataStream:
    """Rows of `SOLD_OUT`, one per show without a free seat; Python sees one sum per show and interval."""
    tables.create_temporary_view("taken", taken)
    net = rows(tables, f"{name}/taken")
    partials = combine(net, (TAKEN,), ("taken",), every_seconds=every_seconds, name=f"{name}.taken")
    # As in jobs.flow.totals.fold: each mode keeps Python's state in its own form.
    uid = f"{name}.sold-out" if python_mode == "process" else f"{name}.sold-out.{python_mode}"
    capacity = {each.name: each.seats for each in venues()}
    shows = keyed_pairs(partials, PARTIAL).process(SoldOut(capacity, seat_days), output_type=SOLD_OUT)
    return bundles_finished(shows.name(f"{name}: sold out").uid(uid), name=uid)


class SoldOut(KeyedProcessFunction):
    """Adds up the seats of a show that are taken, and says once that all are. An unknown venue is never full."""

    def __init__(self, capacity: dict[str, int], seat_days: float) -> None:
        self._capacity = capacity
        self._days = seat_days

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the state."""
        descriptor = ValueStateDescriptor("taken", Types.TUPLE([Types.LONG(), Types.BOOLEAN()]))
        descriptor.enable_time_to_live(
            StateTtlConfig.new_builder(Time.milliseconds(int(self._days * 86_400_000)))
            .set_update_type(StateTtlConfig.UpdateType.OnCreateAndWrite)
            .build()
        )
        self._taken: ValueState = runtime_context.get_state(descriptor)

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take a partial sum, perhaps give the alarm."""
        _, _, show = ctx.get_current_key().split("|", 2)
        venue, show_id = show.split("|", 1)
        before, told = self._taken.value() or (0, False)
        _, change = value
        (taken,) = plus((before,), (change,))
        full = taken >= self._capacity.get(venue, taken + 1)
        self._taken.update((taken, told or full))
        if full and not told:
            yield Row(show_id, venue, self._capacity[venue])
