"""Delivery orders, as an endless stream of Kafka records; pure, so that the same plan gives the same bytes.

An order is put together from two prepared pieces of JSON: a basket (store, menu, pay) and a destination (complex,
address, position), each one of thousands made once with Faker. Per order only the id and the time are new, which costs
about a tenth of what the producer needs to send it.
"""

import functools
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from faker import Faker

from conf.city import places
from conf.city.places import districts
from generators import plans
from generators.deliveries import malformed
from generators.plans import UNPACED_RATE, Record, due_times

STORES = 600
DESTINATIONS = 20_000
BASKETS_PER_DISTRICT = 2_000
WITHOUT_COMPLEX = 0.1
# A repeat is a copy of one of this many orders before it.
REPEATS_REACH = 256
# Late orders were placed 15 minutes to 36 hours before the stream reached them.
LATE_SECONDS = (900, 129_600)

# Category: its share of all orders, what its stores are called, and menus with prices in KRW.
_CATEGORIES: dict[str, tuple[int, tuple[str, ...], dict[str, int]]] = {
    "치킨": (
        20,
        ("치킨", "통닭", "닭강정"),
        {
            "후라이드치킨": 20000,
            "양념치킨": 21000,
            "반반치킨": 21500,
            "간장치킨": 21500,
            "순살치킨": 22500,
            "똥집튀김": 15000,
        },
    ),
    "한식": (
        17,
        ("식당", "국밥", "찌개집", "밥상"),
        {"돼지국밥": 9500, "김치찌개": 9000, "제육덮밥": 10000, "따로국밥": 10000, "육개장": 11000, "비빔밥": 9500},
    ),
    "중식": (
        13,
        ("반점", "각", "짬뽕", "마라탕"),
        {"짜장면": 7500, "짬뽕": 9500, "야끼우동": 10000, "탕수육": 19000, "볶음밥": 9000, "마라탕": 13000},
    ),
    "분식": (
        13,
        ("분식", "떡볶이", "김밥"),
        {"떡볶이": 5500, "납작만두": 5000, "김밥": 4000, "라볶이": 7000, "순대": 6000, "모둠튀김": 6500},
    ),
    "카페·디저트": (
        10,
        ("커피", "베이커리", "디저트"),
        {"아메리카노": 3500, "카페라떼": 4500, "크로플": 6500, "와플": 5500, "조각케이크": 7000, "팥빙수": 11000},
    ),
    "피자": (
        8,
        ("피자", "피자하우스"),
        {
            "콤비네이션피자": 22900,
            "페퍼로니피자": 21900,
            "고구마피자": 24900,
            "불고기피자": 24900,
            "치즈오븐스파게티": 8900,
        },
    ),
    "패스트푸드": (
        7,
        ("버거", "토스트"),
        {"불고기버거세트": 8900, "치즈버거세트": 8500, "새우버거": 6200, "햄치즈토스트": 4300},
    ),
    "족발·보쌈": (5, ("족발", "보쌈"), {"족발": 37000, "보쌈": 36000, "불족발": 39000, "막국수": 9000}),
    "일식·돈까스": (
        5,
        ("돈까스", "스시", "초밥"),
        {"등심돈까스": 10500, "모둠초밥": 17000, "연어덮밥": 14500, "우동": 8000},
    ),
    "야식": (2, ("막창", "곱창", "찜닭"), {"막창구이": 24000, "곱창전골": 28000, "안동찜닭": 29000, "닭발": 18000}),
}
_PAYMENT_METHODS = {"카드": 46, "카카오페이": 18, "네이버페이": 17, "토스페이": 11, "현금": 5, "지역화폐": 3}
# Delivery charges in KRW; nearly a third of the orders is delivered free.
_CHARGES = {0: 31, 1000: 10, 1500: 7, 2000: 14, 2500: 8, 3000: 18, 3500: 5, 4000: 5, 5000: 2}
_LEAST_PAY = 9_000


@dataclass(frozen=True, kw_only=True)
class Plan(plans.Plan):
    """What a run of orders is made of: what all plans have, and the hours of the day.

    Attributes:
        day_curve: Whether the rate follows the hours of the day; `rate` is then the day's mean.
    """

    DAMAGES = malformed.KINDS

    malformed_kinds: tuple[str, ...] = malformed.USUAL
    day_curve: bool = False

    def rate_at(self, seconds: float) -> float:
        """Orders per second so long after the start."""
        if not self.rate:
            return UNPACED_RATE
        if not self.day_curve:
            return self.rate
        local = (self.start + timedelta(seconds=seconds)).astimezone(ZoneInfo(self.time_zone))
        return self.rate * DAY_CURVE[local.hour * 60 + local.minute]

    def records(self, process: int = 0) -> Iterator[Record]:
        """The orders of one of the processes, from 0, in the order in which they are due, without end."""
        draw = random.Random(f"citystream {self.seed} {process}")
        uniform = draw.random
        destinations = _destinations()
        prefix = b"D%x-%d-" % (self.seed, process)
        repeat_below = self.duplicate_share
        malformed_below = repeat_below + self.malformed_share
        late_below = malformed_below + self.late_share

        origin = self.start.timestamp()
        sequence = 0
        second = 0
        second_text = b""
        recent: list[Record] = []

        for at in due_times(self.rate_at, self.processes, uniform):
            moment = origin + at
            luck = uniform()
            if luck < repeat_below and recent:
                yield recent.pop(int(uniform() * len(recent)))._replace(kind="repeat", at=at)
                continue

            sequence += 1
            key = prefix + b"%09d" % sequence
            destination, baskets = destinations[int(uniform() * DESTINATIONS)]
            basket = baskets[int(uniform() * BASKETS_PER_DISTRICT)]
            if not malformed_below <= luck < late_below:
                if int(moment) != second:
                    second = int(moment)
                    second_text = _utc_seconds(second)
                ordered_at = b"%b.%03dZ" % (second_text, (moment - second) * 1000)
                reason = ""
            else:
                # Evenly spread on a logarithmic scale: most are late by an hour or two, some by more than a day.
                least, most = LATE_SECONDS
                placed = moment - least * (most / least) ** uniform()
                ordered_at = b"%b.%03dZ" % (_utc_seconds(int(placed)), (placed % 1) * 1000)
                reason = "late"
            value = b'{"order_id":"%b","ordered_at":"%b"%b%b' % (key, ordered_at, basket, destination)
            if repeat_below <= luck < malformed_below:
                reason = draw.choice(self.malformed_kinds)
                yield Record(key, malformed.KINDS[reason](value, draw), "malformed", reason, at)
            else:
                record = Record(key, value, "valid", reason, at)
                if repeat_below:
                    recent.append(record)
                    if len(recent) > REPEATS_REACH:
                        del recent[0]
                yield record


def _hump(hour: float, height: float, peak: float, width: float) -> float:
    """A bell on the clock's circle; hours."""
    away = min(abs(hour - peak), 24 - abs(hour - peak))
    return height * math.exp(-((away / width) ** 2) / 2)


def _day_curve() -> tuple[float, ...]:
    """The rate in each minute of the day as a multiple of the day's mean: lunch, dinner, a snack at night."""
    raw = [
        0.12 + _hump(hour, 1.5, 12.3, 0.9) + _hump(hour, 2.4, 18.7, 1.2) + _hump(hour, 0.9, 21.8, 1.5)
        for hour in ((minute + 0.5) / 60 for minute in range(1440))
    ]
    mean = sum(raw) / len(raw)
    return tuple(weight / mean for weight in raw)


DAY_CURVE = _day_curve()


def _fragment(**fields: object) -> bytes:
    """Fields of a JSON object without its braces."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1].encode()


@functools.cache
def _destinations() -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    """Pieces of JSON for where orders go, each with the baskets that are ordered in its district.

    They are part of the city, not of a run: store 17 is the same store whatever the seed.
    """
    draw = random.Random("citystream deliveries")
    complexes = places.complexes()
    baskets = _baskets(draw)
    found = []
    for place in draw.choices(complexes, [place.households for place in complexes], k=DESTINATIONS):
        # 0.8: a destination is at most some 100 m from its complex, thereby in the same district.
        # Five decimals are a metre.
        lat, lon = (round(at + draw.uniform(-0.8, 0.8) * places.SPREAD, 5) for at in (place.lat, place.lon))
        complex_id: str | None = place.complex_id
        address = place.address.replace("대구광역시", "대구")
        if draw.random() < WITHOUT_COMPLEX:
            # A house or an office in the same street.
            complex_id, address = None, f"{address.rsplit(' ', 1)[0]} {draw.randint(3, 480)}"
        piece = _fragment(complex_id=complex_id, region=place.region, address=address, lat=lat, lon=lon)
        found.append((b"," + piece + b"}", baskets[place.region]))
    return tuple(found)


def _baskets(draw: random.Random) -> dict[str, tuple[bytes, ...]]:
    """Pieces of JSON for what is ordered, by district."""
    fake = Faker("ko_KR")
    fake.seed_instance(17)
    known = districts()
    # Two stores for every district first, so that none is without.
    homes = [*known, *known, *draw.choices(known, [d.population for d in known], k=STORES)][:STORES]
    categories = draw.choices(list(_CATEGORIES), [share for share, _, _ in _CATEGORIES.values()], k=STORES)
    by_district: dict[str, list[tuple[int, str, str]]] = {district.code: [] for district in known}
    for store_id, (home, category) in enumerate(zip(homes, categories, strict=True), start=1):
        owner = draw.choice((f"{fake.last_name()}가네 ", fake.first_name(), f"{fake.last_name()}씨네 "))
        by_district[home.code].append((store_id, owner + draw.choice(_CATEGORIES[category][1]), category))
    return {
        code: tuple(_basket(draw, *store) for store in draw.choices(stores, k=BASKETS_PER_DISTRICT))
        for code, stores in by_district.items()
    }


def _basket(draw: random.Random, store_id: int, store_name: str, category: str) -> bytes:
    menu, price = draw.choice(list(_CATEGORIES[category][2].items()))
    quantity = draw.choice((1, 1, 1, 2, 2, 3))
    # Stores deliver from a least sum on; whole dishes make it up.
    quantity = max(quantity, -(-_LEAST_PAY // price))
    piece = _fragment(
        store_id=store_id,
        store_name=store_name,
        category=category,
        menu=menu if quantity == 1 else f"{menu} {quantity}개",
        pay=price * quantity,
        delivery_charge=draw.choices(list(_CHARGES), list(_CHARGES.values()))[0],
        payment_method=draw.choices(list(_PAYMENT_METHODS), list(_PAYMENT_METHODS.values()))[0],
    )
    return b"," + piece


def _utc_seconds(second: int) -> bytes:
    """Seconds since 1970 as the wire's time stamp without its fraction."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
