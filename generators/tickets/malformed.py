"""Records that break the wire contract of `tickets`, each in its own way."""

from random import Random

from generators.malformed import Contract, changed, usual

FIELDS = (
    "kind",
    "ticket_id",
    "at",
    "show_id",
    "show_name",
    "venue",
    "region",
    "seat",
    "price",
    "buyer_id",
    "channel",
)
CONTRACT = Contract(
    required=FIELDS,
    wrong_types=(
        ("kind", {"sale": True}),
        ("price", "55,000 KRW"),
        ("price", [55000]),
        ("show_id", {"id": 7}),
        ("seat", ["A", 1, 1]),
    ),
    id="ticket_id",
    time="at",
    amount="price",
    numbers=("price",),
    text="show_name",
)


def _unknown_kind(ticket: bytes, draw: Random) -> bytes:
    return changed(ticket, kind=draw.choice(("refund", "SALE", "")))


def _no_region(ticket: bytes, draw: Random) -> bytes:
    return changed(ticket, region=draw.choice(("Daegu", "2726", "27260\n")))


KINDS = CONTRACT.kinds({"unknown_kind": _unknown_kind, "no_region": _no_region})
USUAL = usual(KINDS)
