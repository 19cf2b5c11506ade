"""Legal dongs (beopjeong-dong, eup, myeon and ri) by their ten digits, five of which are the district's. Pure.

Districts were renamed, and services take it up at different times: some tell of months before by the old code alone.
Gunwi came to Daegu in July 2023; Jeonbuk's months up to October 2023 are known to answer to its old code only.
"""

from datetime import date
from typing import NamedTuple


class Renamed(NamedTuple):
    """What codes began with before and since a month."""

    old: str
    new: str
    since: date


RENAMED = (Renamed("47720", "27720", date(2023, 7, 1)), Renamed("45", "52", date(2023, 11, 1)))


def current(code: str) -> str:
    """A code of a district or legal dong as it is now."""
    for renamed in RENAMED:
        if code.startswith(renamed.old):
            return renamed.new + code.removeprefix(renamed.old)
    return code


def at(code: str, month: date) -> str:
    """A code as it was in a month, given as its first day."""
    code = current(code)
    for renamed in RENAMED:
        if code.startswith(renamed.new) and month < renamed.since:
            return renamed.old + code.removeprefix(renamed.new)
    return code
