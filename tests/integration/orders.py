"""A good order, and every kind of bad one with the reason of its dead letter."""

import json

GOOD = {
    "order_id": "good-1",
    "ordered_at": "2026-11-20T15:30:00.000Z",
    "store_id": 7,
    "store_name": "달구벌 치킨",
    "category": "치킨",
    "menu": "반반 '\"\\ 😀",
    "pay": 23000,
    "delivery_charge": 3000,
    "payment_method": "card",
    "complex_id": "A10027875",
    "region": "27260",
    "address": "대구광역시 수성구 달구벌대로 1",
    "lat": 35.8338,
    "lon": 128.6612,
}


def order(**changes: object) -> bytes:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False).encode()


BAD: dict[str, tuple[bytes | None, str]] = {
    "a tombstone": (None, "null-value"),
    "empty": (b"", "empty"),
    "not JSON": (b"order 17: two chickens", "not-json"),
    "truncated": (order()[:-20], "not-json"),
    "JSON null": (b"null", "not-an-object"),
    "an array": (b"[" + order() + b"]", "not-an-object"),
    "a missing field": (order(menu=...), "missing-field"),
    "null in a required field": (order(menu=None), "missing-field"),
    "a string for a number": (order(pay="23000"), "wrong-type"),
    "a fraction of a won": (order(pay=23000.5), "wrong-type"),
    "a number for a string": (order(store_name=7), "wrong-type"),
    "money beyond an integer": (order(pay=2**31), "out-of-range"),
    "negative pay": (order(pay=-1), "out-of-range"),
    "negative charge": (order(delivery_charge=-3000), "out-of-range"),
    "NaN": (order(lat=float("nan")), "not-json"),
    "infinity": (order(lon=float("inf")), "not-json"),
    "a NUL byte": (order(menu="chick\0en"), "nul-byte"),
    "invalid UTF-8": (order().replace("치킨".encode(), b"\xec\x20\xff"), "invalid-utf8"),
    "a record of 1 MB": (order(menu="x" * 1_000_000), "too-long"),
    "the year 9999": (order(ordered_at="9999-12-31T23:59:59.999Z"), "out-of-range"),
    "no time at all": (order(ordered_at="yesterday"), "wrong-type"),
    "lat and lon swapped": (order(lat=GOOD["lon"], lon=GOOD["lat"]), "out-of-range"),
    "lat out of range": (order(lat=95.0), "out-of-range"),
    "lon out of range": (order(lon=-200.0), "out-of-range"),
    "an id that is too long": (order(order_id="x" * 65), "too-long"),
    "an empty id": (order(order_id=""), "out-of-range"),
    "a region that is none": (order(region="Daegu"[:4]), "out-of-range"),
    "a region of letters": (order(region="Daegu"), "out-of-range"),
    "a region of five digits and a line's end": (order(region="27260\n"), "out-of-range"),
    "other digits": (order(region="\uff12\uff17\uff12\uff16\uff10"), "out-of-range"),
    "a time without an offset": (order(ordered_at="2026-11-20T15:30:00"), "wrong-type"),
}
