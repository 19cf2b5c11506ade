"""What carbon gives for its tables, and for the index `carbon`, before sql/flink/carbon/<table>.sql.

Emission is in grams, a month is written `2026-05`, and `version` guards the upsert.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple


class Usage(NamedTuple):
    """Of energy_usage, and where each item's quantity comes from; None where nobody knows one."""

    complex_id: str
    month: str
    electricity: Decimal | None
    gas: Decimal | None
    water: Decimal | None
    heat: Decimal | None
    electricity_source: str | None
    gas_source: str | None
    water_source: str | None
    heat_source: str | None
    version: int


class ComplexMonth(NamedTuple):
    """Of emission_per_complex_month; None where nothing is known. `gap` is the part that is estimated."""

    complex_id: str
    month: str
    electricity: int | None
    gas: int | None
    water: int | None
    heat: int | None
    total: int | None
    electricity_source: str | None
    gas_source: str | None
    water_source: str | None
    heat_source: str | None
    gap: int | None
    version: int


class ComplexDays(NamedTuple):
    """Of emission_per_complex_day: all days of a month, and what of each is estimated as nobody entered it."""

    complex_id: str
    month: str
    days: Sequence[int | None]
    gaps: Sequence[int | None]
    version: int


class RegionMonth(NamedTuple):
    """Of emission_per_region_month; `complexes` is how many are in it, `gap` the part that is estimated."""

    region: str
    month: str
    total: int
    complexes: int
    gap: int
    version: int


class RegionDays(NamedTuple):
    """Of emission_per_region_day: all days of a month, and what of each is estimated as nobody entered it."""

    region: str
    month: str
    days: Sequence[int | None]
    complexes: int
    gaps: Sequence[int | None]
    version: int


class ExpectedPoints(NamedTuple):
    """Of carbon_points_expected: as `Points`; `..._so_far` is the saving over the `months` that were entered."""

    complex_id: str
    half_year: str
    months: int
    electricity: int
    gas: int
    water: int
    electricity_saving: Decimal | None
    gas_saving: Decimal | None
    water_saving: Decimal | None
    electricity_so_far: Decimal | None
    gas_so_far: Decimal | None
    water_so_far: Decimal | None
    households: int
    saved: int
    pine_trees: Decimal
    version: int


class Points(NamedTuple):
    """Of carbon_points: points of all households, savings as shares of the baseline, and grams saved."""

    complex_id: str
    half_year: str
    electricity: int
    gas: int
    water: int
    electricity_saving: Decimal | None
    gas_saving: Decimal | None
    water_saving: Decimal | None
    households: int
    saved: int
    pine_trees: Decimal
    version: int


class Document(NamedTuple):
    """Of the index `carbon`: a complex and a month of it."""

    complex_id: str
    month: str
    name: str
    region: str
    households: int
    heating: str | None
    lat: float | None
    lon: float | None
    electricity: int | None
    gas: int | None
    water: int | None
    heat: int | None
    total: int | None
    electricity_source: str | None
    gas_source: str | None
    water_source: str | None
    heat_source: str | None
    gap: int | None
    version: int
