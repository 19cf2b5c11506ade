"""Rows that Python gives to Flink SQL: a NamedTuple per table, whose fields and their types are the columns'.

A number that was read digit for digit (`Decimal`) and a `date` go as text, which PostgreSQL takes as what they are.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from types import NoneType
from typing import Any, get_args, get_type_hints

from pyflink.common import Row, TypeInformation, Types

_TYPES = {
    str: Types.STRING(),
    date: Types.STRING(),
    Decimal: Types.STRING(),
    int: Types.LONG(),
    float: Types.DOUBLE(),
    bool: Types.BOOLEAN(),
    Sequence[int | None]: Types.OBJECT_ARRAY(Types.LONG()),
}


def row_type(columns: type, **more: type) -> TypeInformation:
    """The type of such rows.

    Args:
        columns: a NamedTuple; `None` may be part of a field's type.
        more: further columns, behind its own.

    Raises:
        KeyError: a field has a type that none of Flink's is known for.
    """
    types = {**get_type_hints(columns), **more}
    return Types.ROW_NAMED(list(types), [_TYPES[_not_none(of)] for of in types.values()])


def row(values: Iterable[Any]) -> Row:
    """A NamedTuple, or other values in its order, as a row."""
    return Row(*map(_plain, values))


def versioned(record: tuple[Any, ...]) -> Row:
    """A decoded record as a row; its version is its timestamp."""
    content, at, _ = record
    return row((*content, at))


def _not_none(of: Any) -> Any:  # noqa: ANN401 - a type
    parts = [part for part in get_args(of) if part is not NoneType]
    return parts[0] if NoneType in get_args(of) else of


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else value
