"""What of coordinates runs in Python workers: conversion of many rows at once, and addresses of positions."""

import asyncio
import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pyflink.common import Row
from pyflink.table import DataTypes
from pyflink.table.udf import UserDefinedFunctionWrapper, udf

from apis import kakao
from apis.client import Client, GivenUpError, Patience
from apis.database import Database
from apis.endpoints import Call, Endpoint
from apis.quota import PostgresQuotas, Quota
from conf.settings import Settings
from jobs.flow.emitted import row
from jobs.flow.lookups import Connect, Pace
from jobs.rules import coordinates
from jobs.rules.coordinates import Converted, Waiting
from jobs.rules.line import Answer

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_STRING, _DOUBLE = DataTypes.STRING(), DataTypes.DOUBLE()
CONVERTED = DataTypes.ROW(
    [DataTypes.FIELD(name, _DOUBLE if name in ("lon", "lat") else _STRING) for name in Converted._fields]
)
_NO_KEY = "there is no key for addresses: set KAKAO_REST_KEY"


def conversion() -> UserDefinedFunctionWrapper:
    """The SQL function `located(x, y, source_crs, fault)`, whose rows are `CONVERTED`."""
    return udf(_convert, result_type=CONVERTED, func_type="pandas")


def _convert(x: "Series", y: "Series", source_crs: "Series", fault: "Series") -> "DataFrame":
    import pandas as pd

    found = coordinates.convert(x.tolist(), y.tolist(), source_crs.tolist(), fault.tolist())
    return pd.DataFrame(found, columns=Converted._fields)


def addresses(settings: Settings) -> tuple[Connect, Pace]:
    """Whom to ask for addresses, and how: Kakao Local, or the simulator.

    Raises:
        ApiError: there is a key of somebody's own and no address of Kakao.
    """
    chosen, common = settings.coordinates.addresses, settings.pollers
    pace = Pace(chosen.rate_per_second, chosen.concurrency, chosen.put_off_seconds, chosen.keep_days)
    api = kakao.addresses(settings)
    if api is None:
        return WithoutKey, pace
    endpoint = Endpoint(api, "coord2address", chosen.path, Quota(chosen.daily_quota))
    patience = Patience(
        timeout_seconds=common.timeout_seconds,
        attempts=chosen.attempts,
        longest_pause_seconds=chosen.longest_pause_seconds,
        malformed_attempts=chosen.attempts,
        concurrency=chosen.concurrency,
    )
    database = settings.postgres.url.get_secret_value()
    return partial(Addresses, endpoint, patience, database, chosen.keep_days), pace


class WithoutKey:
    """Whom to ask without a key."""

    def __init__(self, _: float) -> None:
        pass

    async def ask(self, _: str) -> None:
        """Say so.

        Raises:
            GivenUpError: always.
        """
        raise GivenUpError(_NO_KEY)

    async def close(self) -> None:
        """Nothing to let go of."""


class Addresses:
    """Addresses of positions such as `128.601400,35.871400`: the cache's, or else the API's, which the cache keeps.

    Args:
        endpoint: what is called.
        patience: how a call is tried.
        database: where quotas are counted and addresses are kept.
        keep_days: how old an address of the cache may be.
        rate_per_second: how fast this subtask may call.
    """

    def __init__(
        self,
        endpoint: Endpoint[str | None],
        patience: Patience,
        database: str,
        keep_days: float,
        rate_per_second: float,
    ) -> None:
        api = dataclasses.replace(endpoint.api, rate_per_second=rate_per_second)
        self._endpoint = dataclasses.replace(endpoint, api=api)
        self._quotas = PostgresQuotas(database)
        self._client = Client(patience, self._quotas)
        self._cache = AddressCache(database, api.access.url, keep_days)

    async def ask(self, position: str) -> str | None:
        """The address; None: none is known there. Raises what `Client.ask` does, and DatabaseError."""
        address: str | None
        known = await asyncio.to_thread(self._cache.get, position)
        if known is not None:
            address = known.value
            return address
        lon, lat = position.split(",")
        _, address = await self._client.ask(Call(self._endpoint, position, {"x": lon, "y": lat}))
        await asyncio.to_thread(self._cache.keep, position, address)
        return address

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
        self._quotas.close()
        self._cache.close()


class AddressCache:
    """The table `address_cache`.

    Args:
        database: where it is.
        api: whose answers are meant.
        keep_days: how old one may be.
    """

    def __init__(self, database: str, api: str, keep_days: float) -> None:
        self._database = Database(database)
        self._api = api
        self._keep_days = keep_days

    def get(self, position: str) -> Answer | None:
        """What was answered, None: nothing yet, or too long ago."""
        found = self._database.run(
            "SELECT address FROM address_cache "
            "WHERE api = %s AND position = %s AND asked_at > now() - %s * interval '1 day'",
            (self._api, position, self._keep_days),
        )
        return Answer(found[0]) if found else None

    def keep(self, position: str, address: str | None) -> None:
        """Keep an answer."""
        self._database.run(
            "INSERT INTO address_cache (api, position, address) VALUES (%s, %s, %s) "
            "ON CONFLICT (api, position) DO UPDATE SET address = excluded.address, asked_at = now() RETURNING api",
            (self._api, position, address),
        )

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def addressed(waiting: Row, answer: Answer) -> Iterator[Row]:
    """The result of a waiting row."""
    yield row(coordinates.addressed(Waiting(*waiting), answer))
