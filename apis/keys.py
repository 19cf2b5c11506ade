"""Several keys of one API: what one has no quota for, another one is asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from apis.client import Client, Fetched, QuotaSpentError
from apis.endpoints import ApiError, Call, Endpoint

T = TypeVar("T")


class Keys(Generic[T]):
    """One operation with several keys; each call takes the key with most of its quota left.

    Args:
        client: Makes the calls, and counts them per key.
        endpoints: The operation, once per key.
        say: Told, in one line, that a key does not serve and why.
    """

    def __init__(self, client: Client, endpoints: Sequence[Endpoint[T]], say: Callable[[str], None]) -> None:
        self._client = client
        self._serving = list(endpoints)
        self._say = say

    async def ask(self, subject: str, parameters: Mapping[str, str], check: Callable[[T], None]) -> tuple[Fetched, T]:
        """Make a call, as `Client.ask` does.

        Raises:
            QuotaSpentError: no key has any quota left; until the first of them has.
            ApiError: no key serves.
        """
        spent: list[QuotaSpentError] = []
        refused: ApiError | None = None
        for endpoint in sorted(self._serving, key=self._client.quota_left, reverse=True):
            try:
                return await self._client.ask(Call(endpoint, subject, parameters), check)
            except QuotaSpentError as error:
                spent.append(error)
            except ApiError as error:
                refused = error
                # Another call may have found out at the same time. The last one stays, so that it is asked next time.
                if endpoint in self._serving and len(self._serving) > 1:
                    self._serving.remove(endpoint)
                    self._say(f"a key is left alone for this run: {error}")
        if spent:
            raise min(spent, key=lambda error: error.until)
        if refused is None:
            msg = "there is no key"
            raise ApiError(msg)
        raise refused

    def quota_left(self) -> int:
        """How many calls are left, over all keys."""
        return sum(map(self._client.quota_left, self._serving))
