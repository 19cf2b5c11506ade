"""Records that break the wire contract of `deliveries`, each in its own way.

Every kind takes a valid order and returns what is sent in its place. Pure and deterministic: the same order and the
same draws give the same bytes.
"""

import json
import random
from collections.abc import Callable
from typing import Any

REQUIRED = (
    "order_id",
    "ordered_at",
    "store_id",
    "store_name",
    "category",
    "menu",
    "pay",
    "delivery_charge",
    "payment_method",
    "region",
    "address",
    "lat",
    "lon",
)
# No lenient reader can take these for what the field should hold, as it could the string "12000" for a number.
_WRONG_TYPES: tuple[tuple[str, object], ...] = (
    ("pay", "12,000 KRW"),
    ("pay", [12000]),
    ("delivery_charge", "free"),
    ("store_id", {"id": 7}),
    ("lat", "north"),
    ("lon", [128.6]),
)
HUGE_BYTES = 1_000_000

Order = dict[str, Any]


def _encoded(order: object) -> bytes:
    return json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()


def _changed(order: bytes, **fields: object) -> bytes:
    return _encoded({**json.loads(order), **fields})


def _not_json(order: bytes, draw: random.Random) -> bytes:
    return f"order {json.loads(order)['order_id']}: two fried chickens, the usual address".encode()


def _truncated(order: bytes, draw: random.Random) -> bytes:
    return order[: draw.randint(1, len(order) - 1)]


def _empty(order: bytes, draw: random.Random) -> bytes:
    return b""


def _null(order: bytes, draw: random.Random) -> None:
    """A tombstone: a key without a value."""
    return


def _array(order: bytes, draw: random.Random) -> bytes:
    return b"[" + order + b"]"


def _missing_field(order: bytes, draw: random.Random) -> bytes:
    fields: Order = json.loads(order)
    del fields[draw.choice(REQUIRED)]
    return _encoded(fields)


def _wrong_type(order: bytes, draw: random.Random) -> bytes:
    field, value = draw.choice(_WRONG_TYPES)
    return _changed(order, **{field: value})


def _not_a_time(order: bytes, draw: random.Random) -> bytes:
    return _changed(order, ordered_at=draw.choice(("yesterday at noon", "2026-02-30T12:00:00.000Z", "")))


def _negative_pay(order: bytes, draw: random.Random) -> bytes:
    return _changed(order, pay=-json.loads(order)["pay"])


def _nan(order: bytes, draw: random.Random) -> bytes:
    """NaN is what careless encoders write; it is not JSON."""
    return _changed(order, **{draw.choice(("pay", "lat", "lon")): float("nan")})


def _nul(order: bytes, draw: random.Random) -> bytes:
    r"""Well-formed JSON (the NUL is escaped as \u0000), yet PostgreSQL takes no text with a NUL in it."""
    return _changed(order, menu=json.loads(order)["menu"] + "\0")


def _invalid_utf8(order: bytes, draw: random.Random) -> bytes:
    """The classic: Korean text in the legacy encoding."""
    return order.decode().encode("cp949", errors="replace")


def _year_9999(order: bytes, draw: random.Random) -> bytes:
    return _changed(order, ordered_at="9999-12-31T23:59:59.999Z")


def _swapped_position(order: bytes, draw: random.Random) -> bytes:
    fields: Order = json.loads(order)
    return _changed(order, lat=fields["lon"], lon=fields["lat"])


def _position_out_of_range(order: bytes, draw: random.Random) -> bytes:
    return _changed(order, **draw.choice(({"lat": 91.5}, {"lat": -90.001}, {"lon": 180.5}, {"lon": -999.0})))


def _long_id(order: bytes, draw: random.Random) -> bytes:
    return _changed(order, order_id=json.loads(order)["order_id"].ljust(65, "0"))


def _huge(order: bytes, draw: random.Random) -> bytes:
    """Just under what a broker takes by default (1 MiB); the contract bounds only the length of the id."""
    order_id = json.loads(order)["order_id"]
    return _changed(order, order_id=order_id.ljust(HUGE_BYTES - len(order) + len(order_id), "0"))


KINDS: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "not_json": _not_json,
    "truncated": _truncated,
    "empty": _empty,
    "null": _null,
    "array": _array,
    "missing_field": _missing_field,
    "wrong_type": _wrong_type,
    "not_a_time": _not_a_time,
    "negative_pay": _negative_pay,
    "nan": _nan,
    "nul": _nul,
    "invalid_utf8": _invalid_utf8,
    "year_9999": _year_9999,
    "swapped_position": _swapped_position,
    "position_out_of_range": _position_out_of_range,
    "long_id": _long_id,
    "huge": _huge,
}
# `huge` is drawn only when it is asked for: at a share of 1 % it would outweigh all orders.
USUAL = tuple(kind for kind in KINDS if kind != "huge")
