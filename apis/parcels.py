"""The lots that an address of the older kind, by parcel, names.

`대구광역시 수성구 범어동 산12-3, 15 이름` names two: mountain lot 12 with sub-number 3, and lot 15. Behind the last
one a name may begin with a number, too (`177 2차 이름`), so lots follow each other by commas alone. What stands as `외
2필지` ("and two other lots") is without numbers, and left out. A road's building number is no lot.
"""

import re

_LOT = r"(산\s?)?([1-9][0-9]{0,3})(?:-([1-9][0-9]{0,3}))?(?:번지)?"
_END = r"(?=$|[\s,·(]|외)"
# A legal dong (dong, ri, ga), or an eup or myeon without ri, stands before it.
_NAMED = re.compile(rf"(?<=[동리가읍면])\s+({_LOT}(?:\s*[,·]\s*{_LOT}{_END})*){_END}")
_EACH = re.compile(_LOT)


def number(lot: str) -> str:
    """A lot's number and sub-number, such as `0012-0003`; land and mountain have their own."""
    return lot[2:]


def lot(kind: str, main: int, sub: int) -> str:
    """A lot as it is compared: its kind (`0` land, `1` mountain), number and sub-number, such as `0-0012-0003`."""
    return f"{kind}-{main:04d}-{sub:04d}"


def lots(address: str) -> tuple[str, ...]:
    """The lots that an address names, in the form of `lot`, each once and in order; none where it names a road."""
    if not (named := _NAMED.search(address)):
        return ()
    found = (lot("1" if mountain else "0", int(main), int(sub or 0)) for mountain, main, sub in _EACH.findall(named[1]))
    return tuple(sorted(set(found)))
