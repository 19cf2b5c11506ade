"""The streams, each declared once. Whatever does something per stream loops over `STREAMS`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Ledger:
    """A table of facts, each of them once.

    Attributes:
        table: in PostgreSQL.
        key: its primary key.
        time: the column with the event's time; a total's bucket is that time's.
        sums: what each ledger row adds to the sums of the totals, as an SQL expression, by the sum's column.
    """

    table: str
    key: tuple[str, ...]
    time: str
    sums: Mapping[str, str]


@dataclass(frozen=True)
class Total:
    """Running sums in a table, and an index, of this name.

    Attributes:
        table: its primary key is `bucket` and, where there is one, `key`.
        key: the ledger's column that it is kept per; None: per bucket alone.
        bucket: the column of the time that it is kept per.
        without: a table of those of the ledger's rows that are not in it, by the ledger's key.
    """

    table: str
    key: str | None = None
    bucket: Literal["day", "minute"] = "day"
    without: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The primary key."""
        return (self.bucket, self.key) if self.key else (self.bucket,)


@dataclass(frozen=True)
class Stream:
    """A stream of the suite.

    Attributes:
        name: of its job, jobs/<name>.py, and of its settings.
        topics: what the job reads; dead letters of each go to <topic>.dead-letters.
        borrows: topics of other streams that it reads, too, and leaves what is wrong with them to those.
        ledger: where facts are kept, for streams that have one.
        totals: what is summed from the ledger's rows.
        windows: what is summed in windows of event time, into PostgreSQL alone.
        indices: what it writes to Elasticsearch, besides its totals.
        feed: the module that fills the topics, as `python -m` takes it.
        sample: what fills them with a little, once, as `python -m` takes it, where the feed is not one of events.
    """

    name: str
    topics: tuple[str, ...]
    borrows: tuple[str, ...] = ()
    ledger: Ledger | None = None
    totals: tuple[Total, ...] = ()
    windows: tuple[Total, ...] = ()
    indices: tuple[str, ...] = ()
    feed: str | None = None
    sample: tuple[str, ...] = ()

    @property
    def sums(self) -> tuple[Total, ...]:
        """Every table that can be recomputed from the ledger."""
        return (*self.totals, *self.windows)


ORDERS = Ledger(
    table="delivery_information",
    key=("order_id",),
    time="ordered_at",
    sums={"orders": "1", "pay": "pay", "charge": "delivery_charge"},
)
DELIVERIES = Stream(
    name="deliveries",
    topics=("deliveries",),
    ledger=ORDERS,
    totals=(
        Total("pay_per_destination", "region"),
        Total("pay_per_category", "category"),
        Total("pay_per_complex", "complex_id"),
        Total("charge_per_day"),
    ),
    indices=("deliveries",),
    feed="generators.deliveries",
)
CARBON = Stream(
    name="carbon",
    topics=("complexes", "energy.usage", "energy.buildings", "weather.daily", "weather.forecast"),
    indices=("carbon",),
    feed="generators.pollers.carbon",
    sample=("generators.pollers.carbon", "backfill", "--months=3", "--no-wait"),
)
SALES = Ledger(
    table="tickets",
    key=("ticket_id", "kind"),
    time="at",
    sums={
        "sold": "CAST(CASE WHEN kind = 'sale' THEN 1 ELSE 0 END AS bigint)",
        "cancelled": "CAST(CASE WHEN kind = 'sale' THEN 0 ELSE 1 END AS bigint)",
        "revenue": "CAST(CASE WHEN kind = 'sale' THEN price ELSE -price END AS bigint)",
    },
)
TICKETS = Stream(
    name="tickets",
    topics=("tickets",),
    ledger=SALES,
    totals=(Total("ticket_sales_per_region", "region"), Total("ticket_sales_per_show", "show_id")),
    windows=(Total("ticket_sales_per_minute", "show_id", "minute", without="late_ticket_sales"),),
    indices=("tickets",),
    feed="generators.tickets",
)
COORDINATES = Stream(
    name="coordinates",
    topics=("coordinates.requests",),
    borrows=("complexes",),
    sample=(
        *("generators.coordinates", "upload", "--crs=EPSG:4326", "--x=lon", "--y=lat", "--sheet-by=region"),
        str(Path(__file__).with_name("city") / "complexes.csv"),
    ),
)
EVENTS = Stream(
    name="events",
    topics=("events.raw",),
    indices=("events",),
    feed="generators.pollers.events",
    sample=("generators.pollers.events", "watch", "--once"),
)

STREAMS = {stream.name: stream for stream in (DELIVERIES, CARBON, TICKETS, COORDINATES, EVENTS)}
