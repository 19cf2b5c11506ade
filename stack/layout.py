"""Where the stack keeps its files, and which ports its servers take."""

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from conf.settings import Stack

# Elasticsearch and PostgreSQL refuse to run as root; root's stack runs them under this system account.
ACCOUNT = "citystream"

# A unix socket's path has to fit into sockaddr_un: 108 bytes on Linux, 104 on macOS; supervisord binds a longer name
# (with its pid) first and renames it.
_SOCKET_PATH_LIMIT = 90


@dataclass(frozen=True)
class Layout:
    """The folders of one stack. Two stacks with different directories share nothing but the program cache."""

    directory: Path
    as_root: bool

    @classmethod
    def of(cls, stack: Stack) -> "Layout":
        """The layout of the stack that the settings describe, for whoever runs this process."""
        return cls(directory=stack.path.resolve(), as_root=os.geteuid() == 0)

    @property
    def identity(self) -> str:
        """A short name for this stack, the same in every run; it marks the processes that belong to it."""
        return hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]

    @property
    def data(self) -> Path:
        """What the servers keep. Root's is outside the checkout, which other accounts may not be able to read."""
        return Path("/var/lib/citystream") / self.identity if self.as_root else self.directory / "data"

    @property
    def cache(self) -> Path:
        """Unpacked programs, shared by all checkouts."""
        return Path("/var/cache/citystream") if self.as_root else Path.home() / ".cache" / "citystream"

    @property
    def account(self) -> str | None:
        """The account for servers that refuse root; None where they run as the caller."""
        return ACCOUNT if self.as_root else None

    @property
    def env_file(self) -> Path:
        """Addresses and secrets, one KEY=VALUE a line, for any client."""
        return self.directory / "env"

    @property
    def logs(self) -> Path:
        """One log per service."""
        return self.directory / "logs"

    @property
    def run(self) -> Path:
        """What supervisord needs: its configuration, pid and lock."""
        return self.directory / "run"

    @property
    def generated(self) -> Path:
        """Generated server configuration; beside the data, so that the servers' account can read it."""
        return self.data / "conf"

    @property
    def credentials(self) -> Path:
        """Generated passwords; beside the data they belong to, and forgotten with it."""
        return self.data / "credentials.json"

    @property
    def supervisor_socket(self) -> Path:
        """Supervisord's control socket, in /tmp where the stack's own path is too long for a socket."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        return Path("/tmp") / f"citystream-{os.geteuid()}-{self.identity}.sock"  # noqa: S108 - mode 0700, owner checked

    def working_directory(self, service: str) -> Path:
        """A folder of the service's own: a file in a Python worker's folder would shadow the standard library."""
        return self.data / "cwd" / service


@dataclass(frozen=True)
class Port:
    """A port that a service listens on, and the setting that changes it."""

    number: int
    setting: str


@dataclass(frozen=True)
class PortPlan:
    """All ports of a stack, the offset added."""

    stack: Stack

    def _port(self, number: int, setting: str) -> Port:
        return Port(number + self.stack.port_offset, f"stack.ports.{setting}")

    @property
    def brokers(self) -> list[Port]:
        """What clients of Kafka connect to."""
        return [self._port(number, "kafka") for number in self.stack.ports.kafka]

    @property
    def controllers(self) -> list[Port]:
        """What the Kafka nodes vote over."""
        return [self._port(number, "kafka_controllers") for number in self.stack.ports.kafka_controllers]

    @property
    def postgres(self) -> Port:
        """PostgreSQL."""
        return self._port(self.stack.ports.postgres, "postgres")

    @property
    def elasticsearch(self) -> Port:
        """Elasticsearch over HTTP."""
        return self._port(self.stack.ports.elasticsearch, "elasticsearch")

    @property
    def elasticsearch_transport(self) -> Port:
        """Elasticsearch between nodes; unused with one node, but it listens."""
        return self._port(self.stack.ports.elasticsearch_transport, "elasticsearch_transport")

    @property
    def flink(self) -> Port:
        """Flink's REST API and web page."""
        return self._port(self.stack.ports.flink, "flink")

    @property
    def flink_rpc(self) -> Port:
        """The JobManager, for TaskManagers."""
        return self._port(self.stack.ports.flink_rpc, "flink_rpc")

    @property
    def zookeeper(self) -> Port:
        """What Flink's JobManager comes back with."""
        return self._port(self.stack.ports.zookeeper, "zookeeper")

    def metrics(self, task_manager: int = 0) -> Port:
        """Prometheus: the JobManager's with 0, then one per TaskManager."""
        return self._port(self.stack.ports.metrics + task_manager, "metrics")

    @property
    def board(self) -> Port:
        """The board, and the forecast service."""
        return self._port(self.stack.ports.board, "board")

    @property
    def simulator(self) -> Port:
        """The simulated public APIs."""
        return self._port(self.stack.ports.simulator, "simulator")


def postgres_platform() -> str | None:
    """This machine in the names of PostgreSQL's archives; None where there is none."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(
        platform.machine().lower()
    )
    return f"{system}-{machine}" if system and machine else None
