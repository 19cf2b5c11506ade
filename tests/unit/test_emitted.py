"""Rows that Python gives to Flink SQL, derived from NamedTuples."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import pytest
from pyflink.common import Row, Types

from jobs.flow.emitted import row, row_type, versioned


class Reading(NamedTuple):
    place: str
    day: date
    exact: Decimal | None
    roughly: float
    count: int | None
    sure: bool
    days: Sequence[int | None]


def test_columns_are_the_fields() -> None:
    found = row_type(Reading, version=int)
    assert found.get_field_names() == [*Reading._fields, "version"]
    text, many = Types.STRING(), Types.OBJECT_ARRAY(Types.LONG())
    assert found.get_field_types() == [
        text,
        text,
        text,
        Types.DOUBLE(),
        Types.LONG(),
        Types.BOOLEAN(),
        many,
        Types.LONG(),
    ]


def test_a_type_that_flink_is_not_told_of_is_an_error() -> None:
    class Odd(NamedTuple):
        what: complex

    with pytest.raises(KeyError):
        row_type(Odd)


def test_numbers_keep_their_digits_and_days_are_written_out() -> None:
    reading = Reading("a", date(2026, 5, 1), Decimal("1E+3"), 0.5, None, True, [1, None])
    expected = ("a", "2026-05-01", "1000", 0.5, None, True, [1, None])
    assert row(reading) == Row(*expected)
    assert versioned((tuple(reading), 7, 3)) == Row(*expected, 7)
