"""What tests of the carbon job share: a history of bodies, and every table computed from it once more, with polars.

Nothing here uses the job's code: the bodies are written, and the tables recomputed, from docs/streams/carbon.md alone.
"""

import contextlib
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from psycopg2 import sql

from conf.city import places
from conf.settings import Settings, load
from control.cluster import Cluster
from sinks import elasticsearch, kafka, postgres
from tests import likely, slate
from tests.slate import await_that

JOB = "carbon"
# The Python operators that set timers or have windows.
TIMERS = {"carbon.usage", "carbon.metered", "carbon.emitted", "carbon.weather", "carbon.forecast"}
TOPICS = ("complexes", "energy.usage", "energy.buildings", "weather.daily", "weather.forecast")
REGIONS = ("27110", "27140", "27170", "27200", "27230", "27260", "27290", "27710", "27720")
DONGS = ("2726010100", "2772025021", "2711010100")
ITEMS = ("electricity", "gas", "water")
TAGS = {"electricity": "helect", "gas": "hgas", "water": "hwaterCool", "heat": "hheat"}
KEYS = {
    "complexes": ["complex_id"],
    "weather_daily": ["station", "day"],
    "energy_usage": ["complex_id", "month"],
    "emission_per_complex_month": ["complex_id", "month"],
    "emission_per_complex_day": ["complex_id", "day"],
    "emission_per_region_month": ["region", "month"],
    "emission_per_region_day": ["region", "day"],
    "carbon_points": ["complex_id", "half_year"],
    "carbon_points_expected": ["complex_id", "half_year"],
}


def body(complex_id: str, month: date, **quantities: object) -> bytes:
    """The API's answer; what is not given is 0, as for a value that nobody entered. The KRW amounts are traps."""
    fields = {tag: quantities.get(item, 0) for item, tag in TAGS.items()}
    item = "".join(f"<{tag}>{value}</{tag}>" for tag, value in fields.items())
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><response><header><resultCode>00</resultCode>'
        f"<resultMsg>NORMAL SERVICE.</resultMsg></header><body><item><elect>91234560</elect><gas>8123450</gas>{item}"
        f"<hwaterHot>77</hwaterHot><kaptCode>{complex_id}</kaptCode><reqDate>{month:%Y%m}</reqDate>"
        "<waterCool>5550</waterCool><heat>1</heat></item></body></response>"
    ).encode()


# Whether it is on the mountain, its number and its sub-number.
Lot = tuple[bool, int, int]
# Page by page, what each row says: a lot may have several.
Page = Sequence[tuple[Lot, str]]


def buildings_body(dong: str, month: date, item: str, rows: Page) -> bytes:
    """A page of the building energy service; gas has its figures behind the body."""
    figures = f"<numOfRows>100</numOfRows><pageNo>1</pageNo><totalCount>{len(rows)}</totalCount>"
    items = "".join(
        f"<item><bjdongCd>{dong[5:]}</bjdongCd><bun>{main:04}</bun><ji>{sub:04}</ji><naMainBun>7</naMainBun>"
        f"<platGbCd>{int(mountain)}</platGbCd><platPlc>대구광역시 {main}번지</platPlc><rnum>1</rnum>"
        f"<sigunguCd>{dong[:5]}</sigunguCd><useQty>{kwh}</useQty><useYm>{month:%Y%m}</useYm></item>"
        for (mountain, main, sub), kwh in rows
    )
    inside, behind = ("", figures) if item == "gas" else (figures, "")
    return (
        "<response><header><resultCode>00</resultCode><resultMsg>NORMAL SERVICE</resultMsg></header>"
        f"<body><items>{items}</items>{inside}</body>{behind}</response>"
    ).encode()


@dataclass
class History:
    """What was sent, and what of it holds in the end."""

    complexes: dict[str, dict[str, Any]] = field(default_factory=dict)
    lots: dict[str, Sequence[Lot]] = field(default_factory=dict)
    metered: dict[tuple[str, date, str], dict[str, Page]] = field(default_factory=dict)
    usage: dict[tuple[str, date], dict[str, str]] = field(default_factory=dict)
    entered: set[tuple[str, date]] = field(default_factory=set)
    weather: dict[tuple[str, date], dict[str, str]] = field(default_factory=dict)
    records: list[tuple[str, str | None, bytes | None, int]] = field(default_factory=list)
    clock: int = 1_795_200_000_000  # 2026-11-21 in Korea: after all that it tells of, and before now

    def _record(self, topic: str, key: str | None, value: bytes | None) -> None:
        self.clock += 1
        self.records.append((topic, key, value, self.clock))

    def raw(self, topic: str, key: str | None, value: bytes | None) -> None:
        """A record that changes nothing."""
        self._record(topic, key, value)

    def use(self, complex_id: str, month: date, **quantities: str) -> None:
        """A month's usage, or a correction of it."""
        self.usage[complex_id, month] = quantities
        if any(float(value) for value in quantities.values()):
            self.entered.add((complex_id, month))
        self._record("energy.usage", f"{complex_id}|{month:%Y-%m}", body(complex_id, month, **quantities))

    def describe(self, complex_id: str, **changes: Any) -> None:
        """A complex, or what has changed about it."""
        unknown = {"legal_dong": None, "parcel": None}
        described = {**unknown, **self.complexes.get(complex_id, {}), **changes}
        self.complexes[complex_id] = described
        value = {
            "complex_id": complex_id,
            **described,
            "used_since": "1999-03-01",
            "fetched_at": "2026-11-21T00:00:00Z",
        }
        self._record("complexes", complex_id, json.dumps(value, ensure_ascii=False).encode())

    def stand(self, complex_id: str, dong: str, lots: Sequence[Lot], **changes: Any) -> None:
        """The lots that a complex stands on, and what else has changed about it."""
        self.lots[complex_id] = lots
        named = ", ".join(f"{'산' * mountain}{main}{f'-{sub}' if sub else ''}" for mountain, main, sub in lots)
        self.describe(complex_id, legal_dong=dong, parcel=f"대구광역시 수성구 범어동 {named} 2차 단지", **changes)

    def meter(self, dong: str, month: date, item: str, rows: Page, part: str = "1", told_as: str | None = None) -> None:
        """What was metered in a legal dong, told under its code of that time; or a correction of it."""
        self.metered.setdefault((dong, month, item), {})[part] = rows
        code = told_as or dong
        key = f"{code}|{month:%Y-%m}|{item}|{part}"
        self._record("energy.buildings", key, buildings_body(code, month, item, rows))

    def measure(self, day: date, station: str = "143", **values: str) -> None:
        """A day's weather, or a correction of it."""
        measured = {**self.weather.get((station, day), {}), **values}
        self.weather[station, day] = measured
        value = {"stnId": station, "stnNm": "대구", "tm": day.isoformat(), **measured}
        self._record("weather.daily", f"{station}|{day}", json.dumps(value, ensure_ascii=False).encode())

    def send(self, settings: Settings) -> None:
        """Produce what was not sent yet, each record stamped with its fetch time."""
        producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","), acks="all", linger_ms=5)
        with contextlib.closing(producer):
            sent = [
                producer.send(topic, value, key and key.encode(), timestamp_ms=at)
                for topic, key, value, at in self.records
            ]
            for each in sent:
                each.get(60)
        self.records.clear()


def months(first: date, count: int) -> list[date]:
    """So many months, as their first days."""
    index = first.year * 12 + first.month - 1
    return [date((index + n) // 12, (index + n) % 12 + 1, 1) for n in range(count)]


def synthetic(*, complexes: int, first: date, count: int, seed: int = 1) -> History:
    """A history with seasons, gaps, items that some complexes never enter, and complexes that save."""
    dice = random.Random(seed)
    history = History()
    all_months = months(first, count)
    last = (all_months[-1] + timedelta(days=31)).replace(day=1)
    for number in range((last - first).days):
        day = first + timedelta(days=number)
        season = 14.5 - 13 * (1 if day.month in (12, 1, 2) else -1 if day.month in (6, 7, 8) else 0)
        mean = f"{season + dice.gauss(0, 3):.1f}" if dice.random() > 0.02 else ""
        rain, snow = ("3.5" if dice.random() < 0.4 else ""), ("1.2" if dice.random() < 0.03 else "")
        history.measure(day, avgTa=mean, minTa="-1.0", maxTa="", sumRn=rain, ddMes=snow, avgRhm="61.5")
    for number in range(complexes):
        complex_id = f"A{number:05d}"
        households = dice.randrange(80, 1500)
        lat, lon = (35.8 + number / 10_000, 128.5 + number / 10_000) if dice.random() > 0.1 else (None, None)
        history.describe(
            complex_id,
            **{"name": f"단지 {number}", "region": REGIONS[number % 9], "address": f"대구광역시 {number}"},
            **{"lat": lat, "lon": lon, "households": households},
            heating=dice.choice(["individual", "district", "central"]),
        )
        gas, saves = dice.random() > 0.2, dice.choice([0, 0, 0.03, 0.08, 0.12, 0.2])
        for position, month in enumerate(all_months[: len(all_months) - dice.randrange(3)]):
            if dice.random() < 0.01:
                history.use(complex_id, month)  # nobody has entered anything
                continue
            use = households * (1 - saves * position / count) * dice.uniform(0.97, 1.03)
            cold = 1 + 4 * (month.month in (12, 1, 2))
            quantities = {"electricity": f"{use * 290:.1f}", "water": f"{use * 15:.3f}", "heat": f"{use * 40:.0f}"}
            history.use(complex_id, month, **quantities, **({"gas": f"{use * 12 * cold:.2f}"} if gas else {}))
    _synthetic_meters(history, all_months, random.Random(seed + 1))
    return history


def _synthetic_meters(history: History, all_months: Sequence[date], dice: random.Random) -> None:
    """Lots of the complexes in three legal dongs, and what was metered there: most of it, and more than theirs."""
    dongs = {dong: list(history.complexes)[number::3] for number, dong in enumerate(DONGS)}
    for dong, there in dongs.items():
        for position, complex_id in enumerate(there):
            lots = [
                (dice.random() < 0.2, 10 + 5 * position + more, dice.randrange(3))
                for more in range(dice.choice((1, 1, 1, 3)))
            ]
            history.stand(complex_id, dong, lots)
        for month in all_months[:-2]:
            for item, least in (("electricity", 30_000), ("gas", 90_000)):
                rows = [((False, 900 + n, 0), str(dice.randrange(9_999))) for n in range(3)]
                for complex_id in there[dice.randrange(2) :]:
                    for lot in history.lots[complex_id]:
                        rows += [(lot, f"{least + dice.random() * 70_000:.3f}")] * dice.choice((1, 1, 1, 2))
                history.meter(dong, month, item, rows[::2], "1")
                history.meter(dong, month, item, rows[1::2], "2")


# ----- every table, recomputed


def expected(history: History) -> dict[str, pl.DataFrame]:
    """What each table must hold, without `version` and `updated_at`; emission in grams."""
    complexes = pl.DataFrame(
        [{"complex_id": complex_id, **c} for complex_id, c in history.complexes.items()],
        schema={
            **{"complex_id": pl.String, "name": pl.String, "region": pl.String, "address": pl.String},
            **{"lat": pl.Float64, "lon": pl.Float64, "households": pl.Int64, "heating": pl.String},
            **{"legal_dong": pl.String, "parcel": pl.String},
        },
    )
    usage, entered = _usage(history)
    weather = _weather(history)
    of_day = dict(weather.filter(station="143").select("day", "hundredths").iter_rows())
    weights = likely.weights(of_day)
    used = {
        (row["complex_id"], likely.index(row["month"])): {item: row[item] for item in TAGS}
        for row in usage.iter_rows(named=True)
    }
    ever = {(complex_id, likely.index(month)) for complex_id, month in history.entered}
    filled = _filled(history, usage, likely.estimates(used, _asked(history), ever, weights))
    grams = filled.select(
        "complex_id",
        "month",
        *(_grams(pl.col(item) * factor).alias(item) for item, factor in zip(ITEMS, (424, 2240, 332), strict=True)),
        *(f"{item}_source" for item in TAGS),
    )
    gaps = grams.with_columns(pl.when(pl.col(f"{item}_source") == "estimate").then(item).alias(item) for item in ITEMS)
    grams = grams.with_columns(kg_co2=_total(*ITEMS)).with_columns(
        gap_kg=pl.when(pl.col("kg_co2").is_not_null()).then(gaps.select(_total(*ITEMS)).to_series().fill_null(0))
    )
    days = _days(grams, complexes, weather).join(
        _days(gaps, complexes, weather).select("complex_id", "day", gap_kg="kg_co2"), on=["complex_id", "day"]
    )
    days = days.with_columns(gap_kg=pl.when(pl.col("kg_co2").is_not_null()).then(pl.col("gap_kg").fill_null(0)))
    known = grams.join(complexes, on="complex_id")
    whole = [pl.col("kg_co2").sum(), pl.col("gap_kg").sum()]
    households = {complex_id: about["households"] for complex_id, about in history.complexes.items()}
    certain = likely.points(used, ever, households, None).select("complex_id", "half_year", "saved_kg", "pine_trees")
    return {
        "complexes": complexes,
        "weather_daily": weather.drop("hundredths"),
        "energy_usage": usage,
        "emission_per_complex_month": grams,
        "emission_per_complex_day": days.select("complex_id", "day", "kg_co2", "gap_kg"),
        "emission_per_region_month": known.group_by("region", "month").agg(*whole, complexes=pl.col("kg_co2").count()),
        "emission_per_region_day": days.group_by("region", "day").agg(*whole, complexes=pl.col("kg_co2").count()),
        "carbon_points": _points(entered, complexes).join(certain, on=["complex_id", "half_year"]),
        "carbon_points_expected": likely.points(used, ever, households, weights),
    }


def _asked(history: History) -> set[tuple[str, int]]:
    return {(complex_id, likely.index(month)) for complex_id, month in history.usage}


def _filled(
    history: History, usage: pl.DataFrame, estimated: dict[tuple[str, int], dict[str, int | None]]
) -> pl.DataFrame:
    """All months there is something to say of, with estimates where nobody entered anything."""
    rows = []
    for row in usage.iter_rows(named=True):
        guesses = estimated.get((row["complex_id"], likely.index(row["month"])))
        if guesses is None and (row["complex_id"], row["month"]) not in history.entered:
            continue
        there = {item: guess for item, guess in (guesses or {}).items() if guess is not None}
        rows.append({**row, **there, **{f"{item}_source": "estimate" for item in there}})
    return pl.DataFrame(rows, schema=usage.schema)


def _usage(history: History) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is known of each month, in thousandths, and which of these months ever had a value."""
    told = {key: {item: _thousandths(used.get(item, "0")) for item in TAGS} for key, used in history.usage.items()}
    sources: dict[tuple[str, date], dict[str, str]] = {
        key: {item: "k-apt" for item, quantity in used.items() if quantity is not None} for key, used in told.items()
    }
    for complex_id, month, item, quantity in _metered(history):
        # A month that had a value once stays, with NULL where it is gone.
        history.entered.add((complex_id, month))
        of_month = told.setdefault((complex_id, month), dict.fromkeys(TAGS))
        if of_month[item] is None:
            of_month[item] = quantity
            sources.setdefault((complex_id, month), {})[item] = "buildings"
    told |= {key: dict.fromkeys(TAGS) for key in history.entered if key not in told}
    schema = {"complex_id": pl.String, "month": pl.Date}
    usage = pl.DataFrame(
        [
            {
                **{"complex_id": key[0], "month": key[1], **used},
                **{f"{item}_source": sources.get(key, {}).get(item) for item in TAGS},
            }
            for key, used in told.items()
        ],
        schema={**schema, **dict.fromkeys(TAGS, pl.Int64), **{f"{item}_source": pl.String for item in TAGS}},
    )
    entered = pl.DataFrame(list(history.entered), schema=schema, orient="row")
    return usage, entered.join(usage, on=["complex_id", "month"])


def _metered(history: History) -> Iterator[tuple[str, date, str, int]]:
    """Thousandths of the unit of an item, by complex and month: kWh, and m3 of gas at 42.7 MJ each."""
    claims = Counter(
        (history.complexes[complex_id]["legal_dong"], lot) for complex_id, lots in history.lots.items() for lot in lots
    )
    for (dong, month, item), pages in history.metered.items():
        of_lots: dict[Lot, Decimal] = defaultdict(Decimal)
        for rows in pages.values():
            for lot, kwh in rows:
                of_lots[lot] += Decimal(kwh)
        for complex_id, lots in history.lots.items():
            if history.complexes[complex_id]["legal_dong"] != dong or any(claims[dong, lot] > 1 for lot in lots):
                continue
            if kwh := sum((of_lots[lot] for lot in lots if lot in of_lots), Decimal(0)):
                per_unit = Decimal("11.861") if item == "gas" else Decimal(1)
                yield complex_id, month, item, int((kwh / per_unit * 1000).to_integral_value())


def _thousandths(text: str) -> int | None:
    return round(float(text) * 1000) or None


def _grams(millionths: pl.Expr) -> pl.Expr:
    """Millionths of kilograms as grams, half to even."""
    whole, rest = millionths // 1000, millionths % 1000
    return whole + ((rest > 500) | ((rest == 500) & (whole % 2 == 1))).cast(pl.Int64)


def _total(*items: str) -> pl.Expr:
    return pl.when(pl.any_horizontal(pl.col(item).is_not_null() for item in items)).then(pl.sum_horizontal(*items))


def _weather(history: History) -> pl.DataFrame:
    rows = [
        {
            **{"station": station, "day": day, "mean_celsius": _measured(w, "avgTa")},
            **{"min_celsius": _measured(w, "minTa"), "max_celsius": _measured(w, "maxTa")},
            **{"rain_mm": _measured(w, "sumRn") or 0.0, "snow_cm": _measured(w, "ddMes") or 0.0},
            **{"humidity_percent": _measured(w, "avgRhm")},
            "hundredths": None if not w["avgTa"] else round(float(w["avgTa"]) * 100),
        }
        for (station, day), w in history.weather.items()
    ]
    numbers = ("mean_celsius", "min_celsius", "max_celsius", "rain_mm", "snow_cm", "humidity_percent")
    schema = {"station": pl.String, "day": pl.Date, **dict.fromkeys(numbers, pl.Float64), "hundredths": pl.Int64}
    return pl.DataFrame(rows, schema=schema)


def _measured(values: dict[str, str], name: str) -> float | None:
    return float(values[name]) if values[name] else None


def _days(grams: pl.DataFrame, complexes: pl.DataFrame, weather: pl.DataFrame, station: str = "143") -> pl.DataFrame:
    """Each complex's grams per day, with its region."""
    calendar = (
        grams.select("month")
        .unique()
        .with_columns(day=pl.date_ranges("month", pl.col("month").dt.month_end()))
        .explode("day")
        .join(weather.filter(station=station).select("day", "hundredths"), on="day", how="left")
        .with_columns(known=pl.col("hundredths").count().over("month").clip(lower_bound=1))
    )
    heating = (1800 - pl.col("hundredths")).clip(lower_bound=0)
    cooling = (pl.col("hundredths") - 2400).clip(lower_bound=0)
    weights = []
    for item, degrees in (("electricity", cooling * 14), ("gas", heating * 42), ("water", heating * 0)):
        of_day = pl.coalesce(degrees * pl.col("known"), degrees.sum().over("month"))
        weights.append(calendar.select("month", "day", item=pl.lit(item), weight=pl.col("known") * 10_000 + of_day))
    group = ["complex_id", "month", "item"]
    spread = (
        grams.unpivot(ITEMS, index=["complex_id", "month"], variable_name="item", value_name="grams")
        .join(pl.concat(weights), on=["month", "item"])
        .with_columns(whole=pl.col("weight").sum().over(group))
        .with_columns(share=pl.col("grams") * pl.col("weight") // pl.col("whole"))
        .with_columns(
            rest=pl.col("grams") * pl.col("weight") % pl.col("whole"),
            left=pl.col("grams") - pl.col("share").sum().over(group),
        )
        .sort([*group, "rest", "day"], descending=[False, False, False, True, False])
        .with_columns(rank=pl.int_range(pl.len()).over(group))
        .with_columns(share=pl.col("share") + (pl.col("rank") < pl.col("left")).cast(pl.Int64))
    )
    return (
        spread.group_by("complex_id", "day")
        .agg(kg_co2=pl.when(pl.col("share").count() > 0).then(pl.col("share").sum()).first())
        .join(complexes.select("complex_id", "region"), on="complex_id")
    )


def _points(entered: pl.DataFrame, complexes: pl.DataFrame) -> pl.DataFrame:
    used = entered.unpivot(ITEMS, index=["complex_id", "month"], variable_name="item", value_name="used")
    for years in (1, 2):
        before = used.select(
            "complex_id", "item", month=pl.col("month").dt.offset_by(f"{years}y"), **{f"before_{years}": "used"}
        )
        used = used.join(before, on=["complex_id", "item", "month"], how="left")
    half = pl.col("month").dt.year() * 2 + (pl.col("month").dt.month() > 6).cast(pl.Int32)
    halves = (
        used.with_columns(half=half, baseline=pl.mean_horizontal("before_1", "before_2"))
        .group_by("complex_id", "half", "item")
        .agg(
            pl.len(),
            judged=(pl.col("used").count() == 6) & (pl.col("baseline").count() == 6),
            saving=1 - pl.col("used").sum() / pl.col("baseline").sum(),
        )
        .filter(pl.col("len") == 6)
        .with_columns(saving=pl.when("judged").then("saving"))
    )
    for count in (1, 2):
        earlier = halves.select("complex_id", "item", half=pl.col("half") + count, **{f"earlier_{count}": "saving"})
        halves = halves.join(earlier, on=["complex_id", "item", "half"], how="left")
    saving = pl.col("saving")
    kept = (saving > 0) & (pl.col("earlier_1") >= 0.05) & (pl.col("earlier_2") >= 0.05)
    tables = {
        "electricity": (15_000, 10_000, 5_000, 3_000),
        "gas": (8_000, 6_000, 3_000, 1_800),
        "water": (2_000, 1_500, 750, 450),
    }
    points = pl.lit(0)
    for item, (high, middle, low, keep) in tables.items():
        of_item = pl.when(saving >= 0.15).then(high).when(saving >= 0.1).then(middle).when(saving >= 0.05).then(low)
        points = pl.when(item=item).then(of_item.when(kept).then(keep).otherwise(0)).otherwise(points)
    wide = (
        halves.join(complexes.select("complex_id", "households"), on="complex_id")
        .with_columns(points=points * pl.col("households"))
        .pivot("item", index=["complex_id", "half", "households"], values=["points", "saving"])
    )
    return wide.select(
        "complex_id",
        half_year=pl.format("{}-H{}", pl.col("half") // 2, pl.col("half") % 2 + 1),
        points=pl.sum_horizontal(*(f"points_{item}" for item in ITEMS)),
        **{f"{item}_points": f"points_{item}" for item in ITEMS},
        **{f"{item}_saving": pl.col(f"saving_{item}").round(6) for item in ITEMS},
        households="households",
    ).with_columns(points_per_household=pl.col("points") // pl.col("households"))


# ----- and as it is


def actual(settings: Settings, table: str) -> pl.DataFrame:
    """A table as it is, in the units of `expected`: grams, and thousandths of what was used."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    found = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], infer_schema_length=None)
    if found.is_empty():
        return found
    thousand = (
        "kg_co2",
        "gap_kg",
        "saved_kg",
        "electricity_kwh",
        "gas_m3",
        "water_m3",
        "heat_mcal",
        *(f"{item}_kg" for item in TAGS),
    )
    rename = {f"{item}_kg": item for item in ITEMS} | {
        "electricity_kwh": "electricity",
        **{"gas_m3": "gas", "water_m3": "water", "heat_mcal": "heat"},
    }
    return (
        found.drop("version", "updated_at", "estimated", strict=False)
        .with_columns((pl.col(c).cast(pl.Float64) * 1000).round().cast(pl.Int64) for c in thousand if c in names)
        .with_columns(pl.col(name).cast(pl.Float64) for name in names if "_saving" in name or name == "pine_trees")
        .rename({old: new for old, new in rename.items() if old in names})
    )


def difference(settings: Settings, table: str, want: pl.DataFrame) -> str | None:
    """What is wrong with a table, in a few lines; None where all is as it must be."""
    got = actual(settings, table)
    if got.is_empty() or want.is_empty():
        return None if len(got) == len(want) else f"{table}: {len(got)} rows, expected {len(want)}"
    if "region" in KEYS[table]:
        got = got.filter(pl.col("complexes") > 0)
        want = want.filter(pl.col("complexes") > 0)
    missing, extra = want.join(got, on=KEYS[table], how="anti"), got.join(want, on=KEYS[table], how="anti")
    both = want.join(got, on=KEYS[table], suffix="_got")
    columns = [column for column in want.columns if column not in KEYS[table]]
    differs = pl.any_horizontal(
        ((pl.col(c) - pl.col(f"{c}_got")).abs() > 1e-5) | (pl.col(c).is_null() != pl.col(f"{c}_got").is_null())
        if want[c].dtype == pl.Float64
        else pl.col(c).ne_missing(pl.col(f"{c}_got").cast(want[c].dtype))
        for c in columns
    )
    wrong = both.filter(differs)
    if missing.is_empty() and extra.is_empty() and wrong.is_empty():
        return None
    return f"{table}: {len(missing)} missing, {len(extra)} too many, {len(wrong)} wrong of {len(want)}\n{wrong.head(3)}"


def differences(settings: Settings, history: History) -> list[str]:
    """What is wrong with the tables, and with the documents."""
    want = expected(history)
    found = [difference(settings, table, want[table]) for table in KEYS]
    return [each for each in (*found, documents_difference(settings, history, want)) if each]


def documents_difference(settings: Settings, history: History, want: dict[str, pl.DataFrame]) -> str | None:
    """What is wrong with the documents."""
    from elasticsearch.helpers import scan

    with elasticsearch.client(settings) as client:
        if not client.indices.exists(index=JOB):
            return "no documents"
        client.indices.refresh(index=JOB)
        got = {hit["_id"]: hit["_source"] for hit in scan(client, index=JOB, size=5000)}
    rows = want["emission_per_complex_month"].join(want["complexes"], on="complex_id").iter_rows(named=True)
    wanted = {f"{row['complex_id']}|{row['month']:%Y-%m}": _document(row) for row in rows}
    wrong = [key for key, document in wanted.items() if got.get(key) != document]
    if not wrong and len(got) == len(wanted):
        return None
    return f"{len(wrong)} documents wrong, {len(got)} of {len(wanted)}: {[(wanted[k], got.get(k)) for k in wrong[:2]]}"


def _document(row: dict[str, Any]) -> dict[str, Any]:
    position = None if row["lat"] is None else [row["lon"], row["lat"]]
    document = {
        **{name: row[name] for name in ("complex_id", "name", "region", "households", "heating")},
        **{"month": row["month"].isoformat(), "position": position},
        **{f"{item}_kg": None if row[item] is None else row[item] / 1000 for item in ITEMS},
        **{f"{item}_source": row[f"{item}_source"] for item in TAGS},
        **{name: None if row[name] is None else row[name] / 1000 for name in ("kg_co2", "gap_kg")},
    }
    return {name: value for name, value in document.items() if value is not None}


def await_agreement(settings: Settings, history: History, seconds: float) -> float:
    """Wait until every table and document is as it must be; return how many seconds it took."""
    found: list[str] = ["never compared"]

    def agree() -> bool:
        found[:] = differences(settings, history)
        time.sleep(0.5 if found else 0)
        return not found

    try:
        return await_that(agree, seconds, "every table equals its recomputation")
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *found])) from None


def settle(settings: Settings, seconds: float) -> None:
    """Wait until a checkpoint has all records of the topics behind it, and the one after has what windows held back."""
    cluster = Cluster(settings.flink.url)
    job = cluster.running(JOB) or ""

    def behind() -> int:
        with (
            contextlib.closing(
                KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","))
            ) as consumer,
            contextlib.closing(kafka.admin(settings)) as admin,
        ):
            places = [TopicPartition(topic, n) for topic in TOPICS for n in consumer.partitions_for_topic(topic) or ()]
            ends = consumer.end_offsets(places)
            try:
                read = admin.list_group_offsets({f"citystream.{JOB}": None})[f"citystream.{JOB}"]
            except KafkaError as error:
                if not error.retriable:
                    raise
                return len(places)  # the group's coordinator is moving
            return sum(max(0, end - (read[place].offset if place in read else 0)) for place, end in ends.items())

    def completed() -> int:
        return int(cluster.checkpoints(job)["counts"]["completed"])

    await_that(lambda: behind() == 0, seconds, "everything is read and checkpointed")
    before = completed()
    await_that(lambda: completed() > before, seconds, "the next checkpoint is complete")


def dead_letters(settings: Settings, topic: str) -> list[dict[str, Any]]:
    """Every dead letter of a topic, once."""
    return slate.by_key(settings, kafka.dead_letter_topic(topic))


def clean_slate(settings: Settings) -> None:
    """No job, empty topics, tables and index."""
    slate.without_job(settings, JOB)
    slate.with_empty_topics(settings, TOPICS)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE weather_forecast, " + ", ".join(KEYS))
    with elasticsearch.client(settings) as client:
        client.options(ignore_status=404).indices.delete(index=JOB)


@contextlib.contextmanager
def running(settings: Settings, before: Callable[[], None] = lambda: None) -> Iterator[str]:
    """The job from a clean slate, after `before` has filled the topics; cancelled at the end."""
    clean_slate(settings)
    before()
    with slate.running(settings, JOB) as job:
        yield job


def settings() -> Settings:
    """The suite's settings, with the addresses of the servers that are up now."""
    return load()


# ----- what Kibana shows

KG_PER_HOUSEHOLD = {"electricity_kg": 127.0, "gas_kg": 101.0, "water_kg": 5.0, "heat_kg": 9.5}


def documents(now: datetime) -> dict[str, list[dict[str, Any]]]:
    """What the job writes to Elasticsearch, by index: the last months of every third complex of the city.

    The newest month is not entered by all, and of some others gas is an estimate.
    """
    today = now.astimezone(ZoneInfo(load().time_zone)).date()
    found = []
    for number, place in enumerate(places.complexes()[::3]):
        for back in range(2, 8):
            index = today.year * 12 + today.month - 1 - back
            entered = back > 2 or number % 2 == 0
            kilograms = {name: place.households * share for name, share in KG_PER_HOUSEHOLD.items()} if entered else {}
            sources = {f"{name.removesuffix('_kg')}_source": "k-apt" for name in kilograms}
            guessed = entered and back == 4
            found.append(
                {
                    "complex_id": place.complex_id,
                    "month": date(index // 12, index % 12 + 1, 1).isoformat(),
                    **{"name": place.name, "region": place.region, "households": place.households},
                    "heating": ("individual", "district", None)[number % 3],
                    "position": [place.lon, place.lat] if number % 10 else None,
                    **{name: kilograms.get(name) for name in KG_PER_HOUSEHOLD},
                    **(sources | {"gas_source": "estimate"} if guessed else sources),
                    "kg_co2": sum(kilograms.values()) if entered else None,
                    "gap_kg": (kilograms["gas_kg"] if guessed else 0.0) if entered else None,
                }
            )
    return {JOB: found}
