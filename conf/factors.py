"""The factors and conversions of conf/emission_factors.yaml."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from conf.settings import ROOT, SettingsError

FILE = ROOT / "conf" / "emission_factors.yaml"


def _as_written(value: object) -> object:
    return str(value) if isinstance(value, float) else value


Number = Annotated[Decimal, BeforeValidator(_as_written)]


class _Valid(BaseModel):
    """What holds from a month on, and who says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: date
    source: str = Field(min_length=1)

    @field_validator("valid_from")
    @classmethod
    def _is_first_of_month(cls, value: date) -> date:
        if value.day != 1:
            msg = "usage is known by the month: take the first of one"
            raise ValueError(msg)
        return value


class Factor(_Valid):
    """Kilograms of CO2 per kWh, m3 or Mcal."""

    item: Literal["electricity", "gas", "water", "heat"]
    kg_per_unit: Number = Field(ge=0, lt=1000)


class Conversion(_Valid):
    """kWh per m3 of gas, by its gross or its net calorific value."""

    item: Literal["gas"]
    kwh_per_unit: Number = Field(gt=0, lt=1000)
    calorific_value: Literal["gross", "net"]


class PineTree(BaseModel):
    """Kilograms of CO2 that a pine tree takes up in a year, and who says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kg_per_year: Number = Field(gt=0, lt=1000)
    source: str = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    factors: list[Factor] = Field(min_length=1)
    conversions: list[Conversion] = Field(min_length=1)
    pine_tree: PineTree

    @field_validator("factors")
    @classmethod
    def _are_complete(cls, factors: list[Factor]) -> list[Factor]:
        seen = [(factor.item, factor.valid_from) for factor in factors]
        if twice := sorted({f"{item} from {day}" for item, day in seen if seen.count((item, day)) > 1}):
            msg = f"there twice: {', '.join(twice)}"
            raise ValueError(msg)
        if missing := sorted({"electricity", "gas", "water", "heat"} - {item for item, _ in seen}):
            msg = f"no factor for {', '.join(missing)}"
            raise ValueError(msg)
        return factors


def load(file: Path = FILE) -> list[Factor]:
    """Read and validate the factors.

    Raises:
        SettingsError: names what is missing or wrong.
    """
    return _read(file).factors


def conversions(file: Path = FILE) -> list[Conversion]:
    """Read and validate the conversions; raises as `load` does."""
    return _read(file).conversions


def pine_tree(file: Path = FILE) -> Decimal:
    """The kilograms of CO2 that a pine tree takes up in a year; raises as `load` does."""
    return _read(file).pine_tree.kg_per_year


def _read(file: Path) -> _File:
    try:
        return _File.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        what = f"emission factors ({file})"
        raise SettingsError.of(what, error) from None
    except (OSError, yaml.YAMLError) as error:
        message = f"{file} can't be read as YAML: {error}"
        raise SettingsError(message) from None
