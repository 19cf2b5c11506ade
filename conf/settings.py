"""The settings of Citystream: conf/citystream.yaml, overridden by the local stack's env file and the environment.

Longer than other modules, because every setting stands here, once.
"""

import difflib
import fnmatch
import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from conf.errors import CitystreamError

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "conf" / "citystream.yaml"
HOST = "127.0.0.1"  # of the local stack: nothing of it is to be reached from another machine
LAST_PORT = 65535
_PREFIX = "CITYSTREAM__"
_ADDRESS = ("url", "bootstrap_servers")
# Variables beside the settings: the long form of kill tests and their seed, and the mark of a stack's own processes.
_OTHERS = {"CITYSTREAM_CHAOS", "CITYSTREAM_CHAOS_SEED", "CITYSTREAM_STACK"}

# The names that other tools rely on, and where each belongs in the settings.
ADDRESSES = {
    "KAFKA_BOOTSTRAP_SERVERS": ("kafka", "bootstrap_servers"),
    "POSTGRES_URL": ("postgres", "url"),
    "ELASTICSEARCH_URL": ("elasticsearch", "url"),
    "ELASTICSEARCH_API_KEY": ("elasticsearch", "api_key"),
    "FLINK_URL": ("flink", "url"),
    "SIMULATOR_URL": ("simulator", "url"),
    "DATA_GO_KR_URL": ("pollers", "data_go_kr_url"),
    "DATA_GO_KR_SERVICE_KEY": ("pollers", "service_key"),
    "KAKAO_URL": ("pollers", "kakao_url"),
    "KAKAO_REST_KEY": ("pollers", "kakao_key"),
    "PREDICTHQ_URL": ("pollers", "predicthq_url"),
    "PREDICTHQ_TOKENS": ("pollers", "predicthq_tokens"),
    "OVERPASS_URL": ("pollers", "overpass_url"),
    "GOOGLE_PLACES_URL": ("pollers", "google_places_url"),
    "GOOGLE_PLACES_KEY": ("pollers", "google_places_key"),
    "DUFFEL_URL": ("pollers", "duffel_url"),
    "DUFFEL_TOKEN": ("pollers", "duffel_token"),
    "BOARD_URL": ("board", "url"),
    "BOARD_TOKEN": ("board", "token"),
    "PROMETHEUS_URL": ("board", "prometheus_url"),
    "KIBANA_URL": ("kibana", "url"),
    "KIBANA_USER": ("kibana", "user"),
    "KIBANA_PASSWORD": ("kibana", "password"),
}


class SettingsError(CitystreamError):
    """A setting is missing or wrong; the message names the key and what to change."""

    @classmethod
    def of(cls, what: str, error: ValidationError) -> "SettingsError":
        """`what` is wrong, and a line for each key that is."""
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        return cls("\n".join([f"Wrong {what}:", *lines]))


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@functools.cache
def _regions() -> tuple[str, ...]:
    """The codes of conf/city/districts.yaml, which conf.districts reads whole."""
    text = (FILE.parent / "city" / "districts.yaml").read_text(encoding="utf-8")
    return tuple(district["code"] for district in yaml.safe_load(text)["districts"])


def _known_regions(stations: dict[str, str]) -> dict[str, str]:
    """Weather stations by region; a region of a city that is not ours is taken as it is."""
    cities = {code[:2] for code in _regions()}
    for region in stations:
        if len(region) != 5 or not region.isdecimal() or (region[:2] in cities and region not in _regions()):
            msg = f"there is no region {region}: {_nearest(region, _regions())} (conf/city/districts.yaml)"
            raise ValueError(msg)
    return stations


def _nearest(name: str, known: tuple[str, ...]) -> str:
    """Which of the known names may be meant."""
    (found,) = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"did you mean {found}?"


Stations = Annotated[dict[str, str], AfterValidator(_known_regions)]


class Kafka(_Section):
    """The brokers, and how the topics that `make prepare` creates are replicated."""

    bootstrap_servers: str = Field(min_length=1)
    replication: int = Field(ge=1)
    min_insync_replicas: int = Field(ge=1)


# What a database's URL may say besides address and user, and how the JVM's driver calls it.
JDBC_PARAMETERS = {
    "channel_binding": "channelBinding",
    "gssencmode": "gssEncMode",
    "load_balance_hosts": "loadBalanceHosts",
    "options": "options",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "sslmode": "sslmode",
    "sslpassword": "sslpassword",
    "sslrootcert": "sslrootcert",
    "target_session_attrs": "targetServerType",
}
JDBC_VALUES = {
    "load_balance_hosts": {"disable": "false", "random": "true"},
    "target_session_attrs": {
        "any": "any",
        "read-write": "primary",
        "primary": "primary",
        "read-only": "secondary",
        "standby": "secondary",
        "prefer-standby": "preferSecondary",
    },
}
# Each session says these for itself.
SAID_BY_SESSIONS = {"application_name", "connect_timeout"}


class Postgres(_Section):
    """The database, as a libpq URL; it may hold a password, so it is a secret.

    It may name several hosts, of which `target_session_attrs=read-write` takes the one that is the primary.
    """

    url: SecretStr

    @field_validator("url")
    @classmethod
    def _is_libpq_url(cls, value: SecretStr) -> SecretStr:
        if msg := cls._fault(value.get_secret_value()):
            raise ValueError(msg)
        return value

    @classmethod
    def _fault(cls, url: str) -> str | None:
        """What is wrong with a URL, without anything of it that may be secret."""
        form = "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        if not url.startswith(("postgresql://", "postgres://")):
            return form
        understood = {*JDBC_PARAMETERS, *SAID_BY_SESSIONS}
        try:
            parts = cls._parsed(url)
        except ValueError as error:
            unknown = re.findall(r'invalid URI query parameter: "(\w+)"', str(error))
            if not unknown:
                return f"{form}, with what is special in it percent-encoded (%40 for @, %25 for %)"
        else:
            unknown = sorted(parts.keys() - understood - {"user", "password", "host", "port", "dbname"})
        if unknown:
            return (
                f"{', '.join(unknown)}: not a parameter that both Python and the JVM understand, which are "
                + ", ".join(sorted(understood))
            )
        if not {"user", "host", "dbname"} <= parts.keys() or not all(parts["host"].split(",")):
            return form
        if "@" in parts["host"]:
            return f"{form}; an @ in the password is written %40"
        if "/" in parts["host"]:
            return f"{form}; the JVM does not connect by a socket in a folder, so give a host"
        if not all(port.isdecimal() and 0 < int(port) < 2**16 for _, port in cls._addresses(parts)):
            return f"{form}; a port is a number from 1 to 65535, and each host has its own"
        for name, known in JDBC_VALUES.items():
            if name in parts and parts[name] not in known:
                return f"{name} is one of {', '.join(known)}"
        return None

    @property
    def user(self) -> str:
        """The user of the URL, percent-decoded."""
        return self._parts["user"]

    @property
    def password(self) -> str:
        """The password of the URL, percent-decoded; empty when there is none."""
        return self._parts.get("password", "")

    @property
    def jdbc_url(self) -> str:
        """The same database for the JVM, without user and password."""
        said = {name: JDBC_VALUES.get(name, {}).get(value, value) for name, value in self._parts.items()}
        query = urlencode(
            {jdbc: said[name] for name, jdbc in JDBC_PARAMETERS.items() if name in said}, quote_via=quote, safe=""
        )
        return f"jdbc:postgresql://{self._hosts}/{quote(said['dbname'], safe='')}{'?' if query else ''}{query}"

    @property
    def shown(self) -> str:
        """The URL as it may stand in a log."""
        return f"postgresql://{self.user}@{self._hosts}/{self._parts['dbname']}"

    @property
    def _hosts(self) -> str:
        return ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self._addresses(self._parts)
        )

    @property
    def _parts(self) -> dict[str, str]:
        return self._parsed(self.url.get_secret_value())

    @staticmethod
    def _addresses(parts: dict[str, str]) -> list[tuple[str, str]]:
        """Each host with its port; a host without one has the usual."""
        hosts, ports = parts["host"].split(","), parts.get("port", "").split(",")
        if len(ports) == 1:
            ports *= len(hosts)
        # Too many ports, or too few, belong to nobody: an impossible one says so.
        padded = ports if len(ports) == len(hosts) else ["-"] * len(hosts)
        return [(host, port or "5432") for host, port in zip(hosts, padded, strict=True)]

    @staticmethod
    def _parsed(url: str) -> dict[str, str]:
        """A URL taken apart by libpq itself, percent-decoded; ValueError where it can't."""
        from psycopg2 import ProgrammingError
        from psycopg2.extensions import parse_dsn

        try:
            return dict(parse_dsn(url))
        except ProgrammingError as error:
            raise ValueError(str(error)) from None


class Elasticsearch(_Section):
    """The document store; `api_key` is the encoded form that the `Authorization: ApiKey` header takes."""

    url: str = Field(pattern=r"^https?://")
    api_key: SecretStr | None = None


class Kibana(_Section):
    """Where `make kibana` imports maps and dashboards; without a password it logs in as nobody."""

    url: str = Field(pattern=r"^https?://")
    user: str = Field(min_length=1)
    password: SecretStr | None = None


class Flink(_Section):
    """The cluster's REST address and how jobs run on it."""

    url: str = Field(pattern=r"^https?://")
    parallelism: int = Field(ge=1)
    checkpoint_interval_seconds: float = Field(gt=0)
    state_backend: Literal["rocksdb", "hashmap"]
    read_from: str = Field(pattern=r"^(earliest|partition:\d+,offset:\d+(;partition:\d+,offset:\d+)*)$")


class Topic(_Section):
    """How a topic is created; with `keep` its records are never deleted by age."""

    partitions: int = Field(ge=1)
    keep: bool = False


class Generator(_Section):
    """What a stream's generator produces; every share is of all records."""

    rate: float = Field(ge=0)
    count: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=2**64)
    start: datetime | None = None
    malformed_share: float = Field(ge=0, le=1)
    late_share: float = Field(ge=0, le=1)
    duplicate_share: float = Field(ge=0, le=1)
    processes: int = Field(ge=1)
    deadline_seconds: float = Field(gt=0)


class OrderGenerator(Generator):
    """The generator of orders: its rate may follow the hours of the day."""

    day_curve: bool


class Deliveries(_Section):
    """The deliveries job, and the generator of its orders."""

    ledger: Literal["staged", "upsert"]
    documents: bool
    python_mode: Literal["process", "thread"]
    duplicates_window_hours: float = Field(gt=0)
    combine_every_seconds: float = Field(gt=0)
    late_after_seconds: float = Field(ge=0)
    generator: OrderGenerator


class Carbon(_Section):
    """The carbon job."""

    heat: bool
    documents: bool
    state_backend: Literal["rocksdb", "hashmap"]
    gather_seconds: float = Field(gt=0)
    station: str = Field(min_length=1)
    stations: Stations


class TicketGenerator(Generator):
    """The generator of ticket sales: bursts when a show goes on sale, and what buyers and box offices do wrong."""

    burst_every_seconds: float = Field(ge=0)
    burst_factor: float = Field(ge=1)
    burst_seconds: float = Field(gt=0)
    cancelled_share: float = Field(ge=0, le=1)
    oversold_share: float = Field(ge=0, le=1)


class Tickets(_Section):
    """The tickets job, and the generator of its sales."""

    ledger: Literal["staged", "upsert"]
    documents: bool
    python_mode: Literal["process", "thread"]
    duplicates_window_hours: float = Field(gt=0)
    combine_every_seconds: float = Field(gt=0)
    late_after_seconds: int = Field(ge=0, le=86_400)
    disorder_seconds: int = Field(ge=0, le=86_400)
    idle_seconds: int = Field(ge=1, le=86_400)
    seat_days: float = Field(gt=0)
    generator: TicketGenerator


class Autoscaler(_Section):
    """Between which limits, and how soon, `make autoscale` changes a job's parallelism."""

    least: int = Field(ge=1)
    most: int = Field(ge=1)
    every_seconds: float = Field(gt=0)
    lag_seconds: float = Field(ge=0)
    busy_above: float = Field(gt=0, le=1)
    busy_below: float = Field(gt=0, le=1)
    up_after_seconds: float = Field(ge=0)
    down_after_seconds: float = Field(ge=0)
    pause_seconds: float = Field(ge=0)

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.least > self.most or self.busy_below >= self.busy_above:
            msg = "least is at most most, and busy_below is less than busy_above: else it would go to and fro"
            raise ValueError(msg)
        return self


class Addresses(_Section):
    """How addresses of positions are looked up."""

    path: str = Field(pattern=r"^/")
    daily_quota: int = Field(ge=1)
    rate_per_second: float = Field(gt=0)
    concurrency: int = Field(ge=1)
    attempts: int = Field(ge=1)
    longest_pause_seconds: float = Field(gt=0)
    put_off_seconds: float = Field(gt=0)
    keep_days: float = Field(gt=0)


class Coordinates(_Section):
    """The coordinates job."""

    python_mode: Literal["process", "thread"]
    addresses: Addresses


class Trip(_Section):
    """When one would fly to an event, in days; jobs/rules/events/lookups.py says how they are counted."""

    home: str = Field(pattern=r"^[A-Z]{3}$")
    out_before: int = Field(ge=0, le=30)
    out_after: int = Field(ge=0, le=30)
    back_after: int = Field(ge=0, le=30)
    most_days: int = Field(ge=1, le=60)
    ahead: int = Field(ge=1, le=360)


class LookUps(_Section):
    """How an API is asked for what is looked up, and how long its answers hold."""

    enabled: bool
    rate_per_second: float = Field(gt=0)
    concurrency: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)
    daily_quota: int = Field(ge=1)
    put_off_seconds: float = Field(gt=0)
    cached_days: float = Field(gt=0)


class PlacesKept(_Section):
    """For how many days what a provider of places told may be kept; by Google's terms, 30 at most."""

    overpass: float = Field(gt=0)
    google: float = Field(gt=0, le=30)


class PlaceLookUps(LookUps):
    """What is near events."""

    provider: Literal["overpass", "google"]
    keep_days: PlacesKept


class FlightLookUps(LookUps):
    """Flights to events and back."""

    keep_days: float = Field(gt=0)


class Events(_Section):
    """The job of world events."""

    ledger: Literal["staged", "upsert"]
    documents: bool
    state_backend: Literal["rocksdb", "hashmap"]
    keep_days: float = Field(ge=1)
    combine_every_seconds: float = Field(gt=0)
    trip: Trip
    places: PlaceLookUps
    flights: FlightLookUps


class Forecast(_Section):
    """The forecast of emission: where its models are, and what it is made from."""

    directory: Path
    coverage: float = Field(gt=0.5, lt=1)
    days: int = Field(ge=1, le=14)
    quiet_seconds: float = Field(gt=0)


class Board(_Section):
    """The city board and the forecast service; without a token, nothing can be done from its pages."""

    url: str = Field(pattern=r"^http://")
    token: SecretStr | None = None
    closed: bool
    prometheus_url: str | None = Field(default=None, pattern=r"^https?://")
    refresh_seconds: float = Field(gt=0)

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"[\x21-\x7e]{16,}", value.get_secret_value()):
            msg = "a token has at least 16 letters, digits and signs of ASCII, and no space"
            raise ValueError(msg)
        return value


Share = Annotated[float, Field(ge=0, le=1)]


class Trouble(_Section):
    """What the simulator gets wrong on purpose; a share is of the calls that would have been answered well."""

    timeouts: Share = 0
    errors: Share = 0
    malformed: Share = 0
    bombs: Share = 0
    html: Share = 0
    duplicate_pages: Share = 0
    unlisted: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    hang_seconds: float = Field(default=60, ge=0)
    slow_seconds: float = Field(default=0, ge=0)


class SimulatedEvents(_Section):
    """World events of the simulator, and the keys of the services that go with them."""

    count: int = Field(ge=0)
    first_day: date
    tokens: tuple[str, ...] = Field(min_length=1)
    expired_tokens: tuple[str, ...]
    unscoped_tokens: tuple[str, ...]
    most_rows: int = Field(ge=1)
    days_ahead: int = Field(ge=0)
    places_keys: tuple[str, ...] = Field(min_length=1)
    places_per_minute: int = Field(ge=0)
    flights_tokens: tuple[str, ...] = Field(min_length=1)
    flights_per_minute: int = Field(ge=0)


class Entered(_Section):
    """The share of the complexes that have an item whose office enters it at all."""

    electricity: Share
    gas: Share
    heat: Share
    hot_water: Share
    water: Share


class SimulatedEnergy(_Section):
    """How much becomes known of what the simulator's complexes use, and how late."""

    entered: Entered
    missing_share: Share
    silent_share: Share
    late_share: Share
    old_code_share: Share
    metered_share: Share
    unmetered_month_share: Share
    whole_dongs: bool


class SimulatedForecasts(_Section):
    """How long the simulator's weather forecasts are there, and what they lack."""

    short_days: float = Field(gt=0)
    mid_days: float = Field(gt=0)
    masked_share: Share


class Simulator(_Section):
    """The public APIs on this machine."""

    url: str = Field(pattern=r"^http://")
    seed: int = Field(ge=0)
    complexes: int = Field(ge=300, le=30_000)
    first_month: date
    today: date | None = None
    service_keys: tuple[str, ...] = Field(min_length=1)
    kakao_keys: tuple[str, ...] = Field(min_length=1)
    daily_quota: int = Field(ge=0)
    rate_per_second: float = Field(ge=0)
    energy: SimulatedEnergy
    forecasts: SimulatedForecasts
    events: SimulatedEvents
    trouble: Trouble

    @field_validator("first_month")
    @classmethod
    def _is_a_first_day(cls, value: date) -> date:
        if value.day != 1:
            msg = "a month is given by its first day, such as 2024-05-01"
            raise ValueError(msg)
        return value


class Operation(_Section):
    """An operation of a public API: its path below the API's address, and how many calls a day and key it may cost."""

    path: str = Field(pattern=r"^/")
    daily_quota: int = Field(ge=1)


class Operations(_Section):
    """What the pollers call."""

    complexes: Operation
    basis: Operation
    energy: Operation
    buildings_electricity: Operation
    buildings_gas: Operation
    weather: Operation
    forecast_short: Operation
    forecast_temperature: Operation
    forecast_land: Operation
    address: Operation


class ForecastPlace(_Section):
    """What is forecast for a weather station: its position, and the mid-term forecast's codes of its region."""

    lat: float = Field(ge=33, le=39)
    lon: float = Field(ge=124, le=132)
    temperature: str = Field(pattern=r"^[0-9A-Z]{8}$")
    land: str = Field(pattern=r"^[0-9A-Z]{8}$")


class Watch(_Section):
    """When and how far back `watch` looks; times and days are those of `time_zone`."""

    weather_at: time
    energy_at: time
    walk_back_months: int = Field(ge=1)
    correction_months: int = Field(ge=0)
    correction_days: float = Field(gt=0)
    weather_days: int = Field(ge=1)
    forecast_days: float = Field(gt=0)
    buildings_at: time
    buildings_months: int = Field(ge=0)
    buildings_days: float = Field(gt=0)
    complexes_days: float = Field(gt=0)
    basis_days: float = Field(gt=0)


class EventsPoller(_Section):
    """What is pulled of world events, and how often."""

    path: str = Field(pattern=r"^/")
    daily_quota: int = Field(ge=1)
    rate_per_second: float = Field(gt=0)
    countries: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = Field(min_length=1)
    categories: tuple[str, ...] = Field(min_length=1)
    least_rank: int = Field(ge=0, le=100)
    page_size: int = Field(ge=1, le=500)
    since: AwareDatetime | None = None
    overlap_minutes: float = Field(ge=0)
    at: time
    state_file: Path | None = None


class Pollers(_Section):
    """What calls the public APIs, and how often it may."""

    data_go_kr_url: str | None = Field(default=None, pattern=r"^https?://")
    kakao_url: str | None = Field(default=None, pattern=r"^https?://")
    service_key: SecretStr | None = None
    kakao_key: SecretStr | None = None
    predicthq_url: str | None = Field(default=None, pattern=r"^https?://")
    predicthq_tokens: SecretStr | None = None
    overpass_url: str | None = Field(default=None, pattern=r"^https?://")
    google_places_url: str | None = Field(default=None, pattern=r"^https?://")
    google_places_key: SecretStr | None = None
    duffel_url: str | None = Field(default=None, pattern=r"^https?://")
    duffel_token: SecretStr | None = None
    operations: Operations
    sido: str = Field(pattern=r"^[0-9]{2}$")
    page_size: int = Field(ge=1)
    assumed_complexes: int = Field(ge=1)
    stations: Stations = Field(min_length=1)
    forecasts: dict[str, ForecastPlace]
    rate_per_second: float = Field(gt=0)
    concurrency: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)
    attempts: int = Field(ge=1)
    longest_pause_seconds: float = Field(gt=0)
    malformed_attempts: int = Field(ge=1)
    put_off_seconds: float = Field(ge=0)
    deadline_seconds: float = Field(gt=0)
    state_file: Path | None = None
    shared_quotas: bool
    watch: Watch
    events: EventsPoller


class Ports(_Section):
    """The local stack's ports, before `port_offset` is added."""

    kafka: tuple[int, int, int]
    kafka_controllers: tuple[int, int, int]
    postgres: int
    elasticsearch: int
    elasticsearch_transport: int
    flink: int
    flink_rpc: int
    zookeeper: int
    metrics: int
    board: int
    simulator: int


class Stack(_Section):
    """The local stack."""

    directory: Path
    port_offset: int = 0
    ports: Ports
    task_managers: int = Field(ge=1)
    slots_per_task_manager: int = Field(ge=1)

    @model_validator(mode="after")
    def _has_possible_ports(self) -> Self:
        for name, value in self.ports:
            for number in value if isinstance(value, tuple) else (value,):
                # Each TaskManager has a port for metrics, after the JobManager's.
                last = number + self.port_offset + (self.task_managers if name == "metrics" else 0)
                if not number + self.port_offset >= 1024 or last > LAST_PORT:
                    msg = (
                        f"port_offset {self.port_offset} moves ports.{name} from {number} to "
                        f"{number + self.port_offset}; ports are 1024 to 65535"
                    )
                    raise ValueError(msg)
        return self

    @property
    def path(self) -> Path:
        """The stack's directory, absolute; a relative setting counts from the repository's root."""
        return ROOT / self.directory

    @property
    def temporary(self) -> Path:
        """What programs that act on the stack need for a moment; for its owner only."""
        return self.path / "tmp"

    def addresses(self) -> dict[str, str]:
        """Where its servers answer, by the names that all tools use; passwords are in its env file."""

        def at(port: int) -> str:
            return f"{HOST}:{port + self.port_offset}"

        return {
            "KAFKA_BOOTSTRAP_SERVERS": ",".join(map(at, self.ports.kafka)),
            "POSTGRES_URL": f"postgresql://citystream@{at(self.ports.postgres)}/citystream",
            "ELASTICSEARCH_URL": f"http://{at(self.ports.elasticsearch)}",
            "FLINK_URL": f"http://{at(self.ports.flink)}",
            "BOARD_URL": f"http://{at(self.ports.board)}",
            "SIMULATOR_URL": f"http://{at(self.ports.simulator)}",
        }


class Settings(BaseSettings):
    """All settings, validated. Read them with `load()`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, yaml_file=FILE
    )

    time_zone: str
    kafka: Kafka
    postgres: Postgres
    elasticsearch: Elasticsearch
    kibana: Kibana
    flink: Flink
    topics: dict[str, Topic]
    deliveries: Deliveries
    carbon: Carbon
    tickets: Tickets
    autoscaler: Autoscaler
    coordinates: Coordinates
    events: Events
    forecast: Forecast
    board: Board
    simulator: Simulator
    pollers: Pollers
    stack: Stack

    @field_validator("time_zone")
    @classmethod
    def _is_known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            msg = f"no such time zone: {value}; take one like Asia/Seoul"
            raise ValueError(msg) from error
        return value

    @property
    def models(self) -> Path:
        """Where the forecast's models are; a relative setting counts from the stack's directory."""
        return self.stack.path / self.forecast.directory

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First wins: the environment, the chosen stack's env file, the file, and last the chosen stack's ports."""
        return (
            InitSettingsSource(settings_cls, _by_section(os.environ)),
            env_settings,
            _EnvFile(settings_cls),
            YamlConfigSettingsSource(settings_cls),
            _StackAddresses(settings_cls),
        )


class _Chosen(BaseModel):
    """The part of the settings that says which local stack is meant."""

    stack: Stack


class _StackSource(PydanticBaseSettingsSource):
    """Settings that come from the stack which the others choose."""

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the sections are made as a whole


class _EnvFile(_StackSource):
    """Addresses and secrets of the stack while it is up."""

    def __call__(self) -> dict[str, Any]:
        directory = self.current_state.get("stack", {}).get("directory")
        if directory is None:
            directory = YamlConfigSettingsSource(self.settings_cls)()["stack"]["directory"]
        return _by_section(read_env_file(ROOT / directory / "env"))


class _StackAddresses(_StackSource):
    """Where the stack's servers would answer."""

    def __call__(self) -> dict[str, Any]:
        return _by_section(_Chosen.model_validate(self.current_state).stack.addresses())


def read_env_file(path: Path) -> dict[str, str]:
    """The KEY=VALUE lines of the env file that `make up` leaves; empty when there is none."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _by_section(known: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Server addresses and secrets, put where they belong in the settings."""
    found: dict[str, dict[str, Any]] = {}
    for name, (section, key) in ADDRESSES.items():
        if known.get(name):
            found.setdefault(section, {})[key] = known[name]
    return found


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The environment variable of each setting; a `*` stands for a key of one's own."""
    for name, field in model.model_fields.items():
        yield (variable := f"{prefix}{name.upper()}")
        kinds = [field.annotation, *get_args(field.annotation)]
        own_keys = get_origin(field.annotation) is dict
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _names(kind, f"{variable}__*__" if own_keys else f"{variable}__")
        if own_keys:
            yield f"{variable}__*"


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """A misspelt variable would have no effect, in silence."""
    known = tuple(_names(Settings, _PREFIX))
    for name in sorted(environment):
        upper = name.upper()
        if not upper.startswith("CITYSTREAM_") or upper in _OTHERS:
            continue
        if not any(fnmatch.fnmatchcase(upper, pattern) for pattern in known):
            msg = f"The environment has {name}, which is no setting: {_nearest(upper, known)}"
            raise SettingsError(msg)


def load() -> Settings:
    """Read and validate all settings.

    Raises:
        SettingsError: names each key or variable that is missing, unknown or out of range.
    """
    _refuse_unknown_variables(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        what = f"settings ({FILE.relative_to(ROOT)} or the environment)"
        raise SettingsError.of(what, error) from None
    except yaml.YAMLError as error:
        message = f"{FILE.relative_to(ROOT)} is not valid YAML: {error}"
        raise SettingsError(message) from None


def serving(*sections: str) -> Settings:
    """All settings, for a command that is about to talk to servers; says on standard error whose they are.

    Args:
        sections: those of the servers, such as `kafka`.

    Raises:
        SettingsError: a setting is wrong, or the chosen stack is down and the environment does not name a server.
    """
    settings = load()
    needed = [name for name, (section, key) in ADDRESSES.items() if section in sections and key.endswith(_ADDRESS)]
    named = [name for name in needed if os.environ.get(name) or _variable(name) in os.environ]
    missing = [name for name in needed if name not in {*named, *read_env_file(settings.stack.path / "env")}]
    if missing:
        message = (
            f"The stack in {settings.stack.directory} is down: `make up` starts it. For servers of your own, set "
            f"{', '.join(missing)}."
        )
        raise SettingsError(message)
    whose = [] if len(named) == len(needed) else [f"the stack in {settings.stack.directory}"]
    whose += [f"the servers in {', '.join(named)}"] if named else []
    print(f"Acting on {' and '.join(whose)}.", file=sys.stderr)
    return settings


def _variable(name: str) -> str:
    """The variable of a setting that also has a name of its own."""
    return _PREFIX + "__".join(ADDRESSES[name]).upper()
