"""APIs and their endpoints as data: where they are, what every call carries, how answers are read, what they may cost.

A new API is a new `Api`, its reader, and an `Endpoint` per operation: the client has no branch on any of them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import unquote

import httpx

from apis.answers import Response
from apis.quota import Quota
from conf.errors import CitystreamError

if TYPE_CHECKING:
    from pydantic import SecretStr

T = TypeVar("T")


class ApiError(CitystreamError):
    """It makes no sense to go on calling; the message says why and what to do."""


class WrongCallError(ApiError):
    """The service refuses the call as it is."""


@dataclass(frozen=True)
class Access:
    """Where an API is, and the key for it."""

    url: str
    key: str = field(repr=False)

    @property
    def holder(self) -> str:
        """A name for the key that doesn't tell it."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Names:
    """What a person calls an API's settings, and where the real one is."""

    url_variable: str
    key_variable: str
    real_url: str


def access(
    names: Names, *, url: str | None, key: "SecretStr | None", simulator: str, simulator_keys: tuple[str, ...]
) -> Access | None:
    """Where the API is, or the simulator where no address is set, and the key; None: there is no key for it.

    Args:
        names: what to call things in an error.
        url: the address that is set.
        key: the key that is set, in whatever form it was handed out.
        simulator: the simulator's address.
        simulator_keys: the keys that the simulator knows, decoded.

    Raises:
        ApiError: a key of somebody's own, and no address of the API that knows it.
    """
    secret = decoded(key.get_secret_value().strip()) if key else ""
    if url is None:
        if secret and secret not in simulator_keys:
            msg = (
                f"{names.key_variable} is set, but not {names.url_variable}, so the call would go to the simulator, "
                f"which doesn't know that key: set {names.url_variable}={names.real_url}, or leave the key empty"
            )
            raise ApiError(msg)
        url, secret = simulator, secret or simulator_keys[0]
    return Access(url.rstrip("/"), secret) if secret else None


def needed(found: Access | None, names: Names, remedy: str) -> Access:
    """The access to an API that is of no use without a key.

    Args:
        found: what `access` gave.
        names: what to call things in an error.
        remedy: what to do where there is no key.

    Raises:
        ApiError: there is none.
    """
    if found is None:
        msg = f"{names.url_variable} is set, but not {names.key_variable}: {remedy}"
        raise ApiError(msg)
    return found


def decoded(key: str) -> str:
    """A key in its decoded form; data.go.kr hands out both, and only an encoded one has a per cent sign."""
    return unquote(key) if "%" in key else key


@dataclass(frozen=True)
class Api(Generic[T]):
    """An API.

    Attributes:
        name: whose rate is kept to, over all its endpoints.
        access: where it is, and the key.
        read: how its answers are read; raises RefusedError and UnreadableError.
        zone: by whose days its quotas are counted.
        rate_per_second: calls that may be made in a second.
        parameters: of every call's query, such as the key. Never shown.
        headers: of every call, such as the key. Never shown.
    """

    name: str
    access: Access
    read: Callable[[Response], T]
    zone: tzinfo
    rate_per_second: float
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Endpoint(Generic[T]):
    """An operation of an API.

    Attributes:
        api: the API.
        name: the operation; quotas are counted by it.
        path: below the API's address.
        quota: how often it may be called.
        method: of HTTP.
        headers: of its calls, besides the API's.
    """

    api: Api[T]
    name: str
    path: str
    quota: Quota
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call.

    Attributes:
        endpoint: what is called.
        subject: what it is about; with the endpoint's name it names the call over all runs.
        parameters: of the query, without the key.
        json: the request's body, where it has one.
    """

    endpoint: Endpoint[T]
    subject: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    json: Any = None

    @property
    def url(self) -> httpx.URL:
        """What is called, without the key."""
        return httpx.URL(self.endpoint.api.access.url + self.endpoint.path, params=dict(self.parameters))
