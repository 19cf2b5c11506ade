"""What of coordinates runs in Python workers: conversion of many rows at once, and look-ups at Kakao Local.

Addresses of positions are looked up for rows of files, and positions of addresses for carbon's complexes.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pyflink.common import Row, Types
from pyflink.table import DataTypes
from pyflink.table.udf import UserDefinedFunctionWrapper, udf

from apis import kakao
from apis.client import GivenUpError, Patience
from apis.database import Database
from apis.endpoints import Call, Endpoint, WrongCallError
from apis.kakao import Position
from apis.kept import KeptAnswers
from apis.quota import Quota
from conf.settings import Settings
from jobs.flow.emitted import row
from jobs.flow.lookups import UNREADABLE_ATTEMPTS, Caller, Connect, Pace
from jobs.rules import coordinates
from jobs.rules.carbon import complexes
from jobs.rules.coordinates import Converted, Waiting
from jobs.rules.line import Answer

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_STRING, _DOUBLE = DataTypes.STRING(), DataTypes.DOUBLE()
CONVERTED = DataTypes.ROW(
    [DataTypes.FIELD(name, _DOUBLE if name in ("lon", "lat") else _STRING) for name in Converted._fields]
)
# A complex's record: its key, value, and timestamp in ms.
RECORD = Types.ROW_NAMED(["complex_id", "content", "fetched_ms"], [Types.STRING(), Types.STRING(), Types.LONG()])
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
    chosen = settings.coordinates.addresses
    pace = Pace(chosen.rate_per_second, chosen.concurrency, chosen.put_off_seconds, chosen.keep_days)
    api = kakao.addresses(settings)
    if api is None:
        return WithoutKey, pace
    endpoint = Endpoint(api, "coord2address", chosen.path, Quota(chosen.daily_quota))
    return partial(
        Addresses, endpoint, _patience(settings, chosen.concurrency), _database(settings), pace.ttl_days
    ), pace


def positions(settings: Settings) -> tuple[Connect, Pace] | None:
    """Whom to ask for positions of addresses, and how: as the pollers do; None: there is no key.

    Raises:
        ApiError: there is a key of somebody's own and no address of Kakao.
    """
    chosen, common = settings.coordinates.addresses, settings.pollers
    api = kakao.api(settings)
    if api is None:
        return None
    pace = Pace(common.rate_per_second, common.concurrency, chosen.put_off_seconds, chosen.keep_days)
    operation = common.operations.address
    endpoint = Endpoint(api, "address", operation.path, Quota(operation.daily_quota))
    return partial(Positions, endpoint, _patience(settings, pace.concurrency), _database(settings), pace.ttl_days), pace


def _patience(settings: Settings, concurrency: int) -> Patience:
    chosen = settings.coordinates.addresses
    return Patience(
        timeout_seconds=settings.pollers.timeout_seconds,
        attempts=chosen.attempts,
        longest_pause_seconds=chosen.longest_pause_seconds,
        malformed_attempts=UNREADABLE_ATTEMPTS,
        concurrency=concurrency,
    )


def _database(settings: Settings) -> str:
    return settings.postgres.url.get_secret_value()


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


class Addresses(Caller):
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
        super().__init__(endpoint, patience, database, rate_per_second)
        self._cache = AddressCache(database, endpoint.api.access.url, keep_days)

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
        await super().close()
        self._cache.close()


class Positions(Caller):
    """Positions of addresses, one of each line until one is known; what was found, or was not, is kept.

    Args:
        endpoint: what is called.
        patience: how a call is tried.
        database: where quotas are counted and answers are kept.
        keep_days: how long an answer holds.
        rate_per_second: how fast this subtask may call.
    """

    def __init__(
        self,
        endpoint: Endpoint[Position | None],
        patience: Patience,
        database: str,
        keep_days: float,
        rate_per_second: float,
    ) -> None:
        super().__init__(endpoint, patience, database, rate_per_second)
        self._keep = timedelta(days=keep_days)
        self._kept = KeptAnswers(database, f"{endpoint.name} {endpoint.api.access.url}")

    async def ask(self, addresses: str) -> Position | None:
        """Latitude and longitude; None: nobody knows where that is.

        Raises:
            GivenUpError: it is refused, and would be again.
            QuotaSpentError, PutOffError, NotYetError, ApiError, DatabaseError: as `jobs.flow.lookups.Service`.
        """
        for address in addresses.split("\n"):
            if position := await self._position(address):
                return position
        return None

    async def _position(self, address: str) -> Position | None:
        now = datetime.now(UTC)
        kept = await asyncio.to_thread(self._kept.find, address, now)
        if kept is not None:
            return (kept[0], kept[1]) if kept else None
        try:
            _, found = await self._client.ask(Call(self._endpoint, address, {"query": address}))
        except WrongCallError as error:
            # As an address is whatever somebody typed, it is this one that is wrong, and the others are asked for.
            raise GivenUpError(str(error)) from None
        position: Position | None = found
        await asyncio.to_thread(self._kept.keep, address, position or (), now + self._keep)
        return position

    async def close(self) -> None:
        """Close connections."""
        await super().close()
        self._kept.close()


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


def located(waiting: Row, answer: Answer) -> Iterator[Row]:
    """The record of a complex that waited, with its position, where that is known."""
    complex_id, content, at = waiting
    if found := complexes.located(complex_id, content, at, answer.value):
        yield row(found)
