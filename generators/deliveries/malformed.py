"""Records that break the wire contract of `deliveries`, each in its own way."""

import json
from random import Random

from generators.malformed import Contract, changed, usual

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
CONTRACT = Contract(
    required=REQUIRED,
    wrong_types=(
        ("pay", "12,000 KRW"),
        ("pay", [12000]),
        ("delivery_charge", "free"),
        ("store_id", {"id": 7}),
        ("lat", "north"),
        ("lon", [128.6]),
    ),
    id="order_id",
    time="ordered_at",
    amount="pay",
    numbers=("pay", "lat", "lon"),
    text="menu",
)


def _swapped_position(order: bytes, draw: Random) -> bytes:
    fields = json.loads(order)
    return changed(order, lat=fields["lon"], lon=fields["lat"])


def _position_out_of_range(order: bytes, draw: Random) -> bytes:
    return changed(order, **draw.choice(({"lat": 91.5}, {"lat": -90.001}, {"lon": 180.5}, {"lon": -999.0})))


KINDS = CONTRACT.kinds({"swapped_position": _swapped_position, "position_out_of_range": _position_out_of_range})
USUAL = usual(KINDS)
