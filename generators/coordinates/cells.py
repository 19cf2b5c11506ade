"""The cells of a table: how they were written stays with them, from the file to the workbook.

A cell is None, a text, a whole number, a float or a bool; or `Formatted`: a number or a time with the number
format that it is shown in, as spreadsheets write it. On the wire it is JSON.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

Plain = str | int | float | bool | None
# More digits than a spreadsheet keeps: such a number, an account's or a parcel's, is a text.
_MOST_DIGITS = 15
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_DECIMALS = re.compile(r"0\.(0+)")
# Text that a spreadsheet would take for a formula when it opens a CSV file.
_FORMULA = re.compile(r"[=+\-@\t\r]")


class Formatted(NamedTuple):
    """A value with its number format."""

    value: int | float | datetime | date | time | timedelta
    format: str


Cell = Plain | Formatted


def of_text(text: str) -> Cell:
    """A cell of a text file: a number where the same digits come back, zeros at the end included; otherwise a text."""
    if not text:
        return None
    if text[0] not in "-0123456789" or len(text) > _MOST_DIGITS + 2 or not _NUMBER.fullmatch(text):
        return text
    whole, _, decimals = text.partition(".")
    if len(whole.lstrip("-")) + len(decimals) > _MOST_DIGITS or text == "-0":
        return text
    if not decimals:
        return int(text)
    number = float(text)
    return number if repr(number) == text else Formatted(number, f"0.{'0' * len(decimals)}")


def unformatted(cell: Cell) -> Plain:
    """The value alone; a time as text."""
    if not isinstance(cell, Formatted):
        return cell
    return cell.value if isinstance(cell.value, int | float) else str(cell.value)


def to_json(cell: Cell) -> Any:  # noqa: ANN401 - JSON
    """As it travels: plain cells as they are."""
    if not isinstance(cell, Formatted):
        return cell
    value = cell.value
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds(), "format": cell.format}
    if isinstance(value, datetime | date | time):
        return {type(value).__name__: value.isoformat(), "format": cell.format}
    return {"number": value, "format": cell.format}


_KINDS: dict[str, Callable[[Any], Any]] = {
    "number": lambda value: value,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "seconds": lambda value: timedelta(seconds=value),
}


def from_json(said: Any) -> Cell:  # noqa: ANN401 - JSON
    """The way back."""
    if not isinstance(said, dict):
        return said  # type: ignore[no-any-return]
    kind = next(name for name in said if name != "format")
    return Formatted(_KINDS[kind](said[kind]), said["format"])


def to_text(cell: Cell) -> str:
    """As a text file or a sheet's name has it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, Formatted):
        decimals = _DECIMALS.fullmatch(cell.format)
        if decimals and isinstance(cell.value, int | float):
            return f"{cell.value:.{len(decimals[1])}f}"
        if isinstance(cell.value, datetime) and cell.value.time() == time():
            return cell.value.date().isoformat()
        return str(cell.value)
    return str(cell)


def escaped(text: str) -> str:
    """A text that no spreadsheet takes for a formula: a quote goes before one that begins like it."""
    return f"'{text}" if _FORMULA.match(text) else text
