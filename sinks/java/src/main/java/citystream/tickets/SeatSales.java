package citystream.tickets;

import citystream.state.TimeToLive;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Who holds a seat. Keyed by show and seat; takes each sale and cancellation once, in any order.
 *
 * <p>Two outputs. The main one says when a seat is taken (1) or free again (-1), as {@link #TAKEN} rows.
 * {@link #OVERSELLS} has one row per sale of a seat that another ticket held at the sale's time. Whether it did is
 * judged when the watermark has passed the sale, so that a cancellation that was made before it has arrived; until then
 * nothing is held back but the alarm.
 *
 * <p>State: {@code tickets}, the tickets of the seat, forgotten {@code ttlMillis} after the seat's last event. At most
 * {@link #MAX_TICKETS} are kept: of more, those whose alarm is out are forgotten first, then the oldest cancelled ones.
 * A seat with one ticket, as nearly all have, costs one read and one write, and no timer.
 */
public final class SeatSales extends KeyedProcessFunction<RowData, RowData, RowData> {
    private static final long serialVersionUID = 1L;

    /** More tickets of one seat than any real sale makes. */
    static final int MAX_TICKETS = 100;

    /** A time that has not come. */
    private static final long NEVER = Long.MAX_VALUE;

    public static final TypeInformation<RowData> TAKEN = InternalTypeInfo.ofFields(
            new LogicalType[] {
                VarCharType.STRING_TYPE.copy(false), VarCharType.STRING_TYPE.copy(false), new BigIntType(false)
            },
            new String[] {"show_id", "venue", "taken"});

    /** Few and far between: rows in the form that every tool takes. */
    public static final OutputTag<Row> OVERSELLS = new OutputTag<>(
            "oversells",
            Types.ROW_NAMED(
                    new String[] {"show_id", "seat", "first_ticket_id", "second_ticket_id", "at"},
                    Types.STRING,
                    Types.STRING,
                    Types.STRING,
                    Types.STRING,
                    Types.INSTANT));

    /** What is known of a ticket of the seat. */
    public static final class Ticket {
        /** When it was sold. */
        public long sold = NEVER;

        /** When it was cancelled. */
        public long cancelled = NEVER;

        /** From which watermark on it is known whether another ticket held the seat. */
        public long judged = Long.MIN_VALUE;

        /** Whether its alarm is out. */
        public boolean alarmed;
    }

    private final int saleIndex;
    private final int ticketIndex;
    private final int atIndex;
    private final int writtenIndex;
    private final int venueIndex;
    private final long ttlMillis;

    /** By ticket. */
    private transient ValueState<Map<String, Ticket>> tickets;

    /**
     * @param saleIndex BOOLEAN: a sale, or else its cancellation
     * @param ticketIndex STRING: the ticket
     * @param atIndex TIMESTAMP_LTZ(3): when it was sold or cancelled
     * @param writtenIndex TIMESTAMP_LTZ(3): when the record was written
     * @param venueIndex STRING: the show's venue
     * @param ttlMillis how long after its last event a seat is forgotten
     */
    public SeatSales(int saleIndex, int ticketIndex, int atIndex, int writtenIndex, int venueIndex, long ttlMillis) {
        this.saleIndex = saleIndex;
        this.ticketIndex = ticketIndex;
        this.atIndex = atIndex;
        this.writtenIndex = writtenIndex;
        this.venueIndex = venueIndex;
        this.ttlMillis = TimeToLive.positive(ttlMillis);
    }

    @Override
    public void open(OpenContext context) {
        ValueStateDescriptor<Map<String, Ticket>> descriptor =
                new ValueStateDescriptor<>("tickets", Types.MAP(Types.STRING, Types.POJO(Ticket.class)));
        descriptor.enableTimeToLive(TimeToLive.of(ttlMillis));
        tickets = getRuntimeContext().getState(descriptor);
    }

    @Override
    public void processElement(RowData row, Context context, Collector<RowData> out) throws Exception {
        Map<String, Ticket> seat = tickets.value();
        if (seat == null) {
            seat = new HashMap<>(2);
        }
        boolean wasTaken = isTaken(seat);
        long at = row.getTimestamp(atIndex, 3).getMillisecond();
        long written = row.getTimestamp(writtenIndex, 3).getMillisecond();
        boolean sale = row.getBoolean(saleIndex);
        Ticket ticket = seat.computeIfAbsent(row.getString(ticketIndex).toString(), id -> new Ticket());
        if (sale) {
            ticket.sold = Math.min(ticket.sold, at);
        } else {
            ticket.cancelled = Math.min(ticket.cancelled, at);
        }
        if (sale && seat.size() > 1) {
            // Of tickets sold later, one that had the seat to itself until now may not have had it.
            for (Ticket other : seat.values()) {
                if (other.sold >= at && other.sold != NEVER && !other.alarmed) {
                    other.judged = Math.max(other.judged, written);
                    context.timerService().registerEventTimeTimer(other.judged);
                }
            }
        }
        bound(seat);
        tickets.update(seat);
        boolean isTaken = isTaken(seat);
        if (isTaken != wasTaken) {
            StringData show = context.getCurrentKey().getString(0);
            out.collect(GenericRowData.of(show, row.getString(venueIndex), isTaken ? 1L : -1L));
        }
    }

    private static boolean isTaken(Map<String, Ticket> seat) {
        for (Ticket ticket : seat.values()) {
            if (ticket.sold != NEVER && ticket.cancelled == NEVER) {
                return true;
            }
        }
        return false;
    }

    private static void bound(Map<String, Ticket> seat) {
        while (seat.size() > MAX_TICKETS) {
            seat.entrySet().stream()
                    .min(Comparator.<Map.Entry<String, Ticket>>comparingInt(
                                    e -> e.getValue().alarmed ? 0 : e.getValue().cancelled != NEVER ? 1 : 2)
                            .thenComparing(e -> e.getValue().sold)
                            .thenComparing(Map.Entry::getKey))
                    .ifPresent(least -> seat.remove(least.getKey()));
        }
    }

    /** All that was written before a second sale has come. */
    @Override
    public void onTimer(long time, OnTimerContext context, Collector<RowData> out) throws Exception {
        Map<String, Ticket> seat = tickets.value();
        if (seat == null) {
            return;
        }
        List<Map.Entry<String, Ticket>> sold = new ArrayList<>(seat.entrySet());
        sold.removeIf(entry -> entry.getValue().sold == NEVER || entry.getValue().cancelled <= entry.getValue().sold);
        sold.sort(Comparator.<Map.Entry<String, Ticket>>comparingLong(e -> e.getValue().sold)
                .thenComparing(Map.Entry::getKey));
        boolean changed = false;
        for (int i = 1; i < sold.size(); i++) {
            Ticket second = sold.get(i).getValue();
            for (int j = 0; j < i && second.judged <= time && !second.alarmed; j++) {
                if (sold.get(j).getValue().cancelled > second.sold) {
                    second.alarmed = true;
                    changed = true;
                    context.output(
                            OVERSELLS,
                            Row.of(
                                    context.getCurrentKey().getString(0).toString(),
                                    context.getCurrentKey().getString(1).toString(),
                                    sold.get(j).getKey(),
                                    sold.get(i).getKey(),
                                    Instant.ofEpochMilli(second.sold)));
                }
            }
        }
        if (changed) {
            tickets.update(seat);
        }
    }
}
