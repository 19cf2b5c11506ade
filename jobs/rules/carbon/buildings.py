"""What was metered at the lots of a legal dong in a month, read from the body of the building energy service.

Service: data.go.kr 15135963, operations getBeElctyUsgInfo and getBeGasUsgInfo; `useQty` is kWh for gas, too. A body
does not say which of the two it is from, so the record's key does. A lot with two road addresses has two rows.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from apis import legal_dongs, parcels
from apis.parcels import lot
from jobs.rules.carbon.energy import MOST, answered, text
from jobs.rules.fields import MONTH, Reason, RejectedError, fetched, number, present

METERED = ("electricity", "gas")
# A page of the whole dong, or the number of one lot.
PART = re.compile(r"[1-9][0-9]{0,3}|[0-9]{4}-[0-9]{4}")
_DONG = re.compile(r"[0-9]{10}")
_NUMBER = re.compile(r"[0-9]{4}")
# Land and mountain; a lot of a block (2) has no number that an address would name.
_KINDS = ("0", "1")


class Metered(NamedTuple):
    """kWh of an item by lot, in a month such as `2026-05`; of a page of a legal dong, or of one number of a lot."""

    dong: str
    month: str
    item: str
    part: str
    kwh: tuple[tuple[str, Decimal], ...]


def parse(key: str | None, value: bytes | None, at: int) -> Metered:
    """What a record holds; its key is `<legal dong>|<YYYY-MM>|<electricity or gas>|<page, or bun-ji>`.

    Raises:
        RejectedError: no answer, another document, an API error, rows of something else, or values that can't be.
    """
    this_month = fetched(at).strftime("%Y-%m")
    dong, month, item, part = _key(key)
    if month > this_month:
        raise RejectedError(Reason.OUT_OF_RANGE, f"the month is later than that of its fetch, {this_month}: {month}")
    kwh: dict[str, Decimal] = defaultdict(Decimal)
    for row in answered(present(value)).items:
        told = f"{text(row, 'sigunguCd')}{text(row, 'bjdongCd')}|{text(row, 'useYm')}"
        if told != f"{dong}|{month.replace('-', '')}":
            raise RejectedError(Reason.KEY_MISMATCH, f"the key is {key!r}, a row says {told[:60]!r}")
        kind, bun, ji = text(row, "platGbCd"), text(row, "bun"), text(row, "ji")
        if not (_NUMBER.fullmatch(bun) and _NUMBER.fullmatch(ji)):
            raise RejectedError(Reason.OUT_OF_RANGE, f"bun and ji have four digits each: {bun[:20]!r}, {ji[:20]!r}")
        if "-" in part and f"{bun}-{ji}" != part:
            raise RejectedError(Reason.KEY_MISMATCH, f"the key is {key!r}, a row is of {bun}-{ji}")
        if kind in _KINDS and (used := text(row, "useQty")):
            kwh[lot(kind, int(bun), int(ji))] += number("useQty", used, 0, MOST)
    return Metered(legal_dongs.current(dong), month, item, part, tuple(sorted(kwh.items())))


def _key(key: str | None) -> tuple[str, str, str, str]:
    parts = (key or "").split("|")
    if len(parts) == 4:
        dong, month, item, part = parts
        if _DONG.fullmatch(dong) and MONTH.fullmatch(month) and item in METERED and PART.fullmatch(part):
            return dong, month, item, part
    raise RejectedError(Reason.KEY_MISMATCH, f"the key is {(key or '')[:200]!r}")


def seen(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decoded page (content, timestamp, offset) as its legal dong, its place there, and what a `Seen` is made of."""
    (dong, month, item, part, kwh), *version = record
    return dong, f"{month}|{item}|{part}", (tuple(version), kwh, True, 1)


def of_lots(pages: Mapping[str, tuple[tuple[int, int], Mapping[str, Decimal]]], lots: Iterable[str]) -> Decimal | None:
    """The kWh of some lots, from the pages of a month by their part; None where nothing was metered at any.

    A lot's own answer counts where it was fetched after the whole dong's.

    Args:
        pages: by part, when each was fetched, and what it says.
        lots: in the form of `apis.parcels.lot`.
    """
    whole = [said for part, said in pages.items() if "-" not in part]
    fetched_whole = max((at for at, _ in whole), default=(0, 0))
    found = []
    for each in lots:
        at, own = pages.get(parcels.number(each), ((0, 0), {}))
        from_ = [own] if at > fetched_whole else [rows for _, rows in whole]
        found += [rows[each] for rows in from_ if each in rows]
    return sum(found, Decimal(0)) or None
