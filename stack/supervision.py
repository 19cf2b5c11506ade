"""Starting, watching and stopping the services: supervisord, and its XML-RPC over a unix socket.

Only processes of this stack are ever signalled. Each carries a mark in its environment, which its children inherit,
so that what a killed supervisord left behind is found again.
"""

import configparser
import contextlib
import os
import resource
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from shlex import quote
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from stack.errors import StackError
from stack.layout import Layout
from stack.services import Service

MARK = "CITYSTREAM_STACK"

_LOG_BYTES = 20 * 1024 * 1024
_FILES = 65536
_START_SECONDS = 15
_FAULT_NOT_RUNNING = 70
_FAULT_ALREADY_STARTED = 60


@dataclass(frozen=True)
class State:
    """What supervisord knows of one service."""

    name: str
    state: str
    pid: int
    started: float
    log: Path
    trouble: str

    @property
    def running(self) -> bool:
        """Whether its process is there and has stayed for a moment."""
        return self.state == "RUNNING"

    @property
    def coming(self) -> bool:
        """Whether its process is there, or will be without anybody's doing."""
        return self.state in ("STARTING", "RUNNING", "BACKOFF")

    @property
    def given_up(self) -> bool:
        """Whether supervisord will not start it again."""
        return self.state in ("FATAL", "UNKNOWN")


def configuration(layout: Layout, services: Iterable[Service]) -> str:
    """Supervisord's configuration for these services."""
    file = configparser.RawConfigParser()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    file["unix_http_server"] = {"file": str(layout.supervisor_socket), "chmod": "0700"}
    file["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    file["supervisord"] = {
        "identifier": f"citystream-{layout.identity}",
        "pidfile": str(_pid_file(layout)),
        "logfile": str(layout.logs / "supervisord.log"),
        "logfile_maxbytes": str(_LOG_BYTES),
        "logfile_backups": "1",
        "childlogdir": str(layout.logs),
        "directory": str(layout.data),
        # Servers open many files; supervisord raises its own limit to this and they inherit it.
        "minfds": str(_FILES if files == resource.RLIM_INFINITY else min(files, _FILES)),
    }
    if layout.as_root:
        file["supervisord"]["user"] = "root"
    for priority, service in enumerate(services, 1):
        file[f"program:{service.name}"] = {"priority": str(priority), **_program(layout, service)}
    lines: list[str] = []
    for section in file.sections():
        lines += [f"[{section}]", *(f"{key} = {value}".replace("%", "%%") for key, value in file[section].items()), ""]
    return "\n".join(lines)


def programs_of(text: str) -> str:
    """The services' part of a configuration; the part before it may differ with the caller's limits."""
    return text[text.index("[program:") :]


def _program(layout: Layout, service: Service) -> dict[str, str]:
    program = {
        "command": " ".join(quote(part) for part in service.command),
        "directory": str(layout.working_directory(service.name)),
        "environment": ",".join(f'{key}="{value}"' for key, value in service.environment.items()),
        "autostart": str(service.autostart).lower(),
        # A killed server comes back. One that ends right after its start is tried again after 1 s, 2 s, 3 s, ...:
        # a hundred times is more than an hour.
        "autorestart": "true",
        "startsecs": "2",
        "startretries": "100",
        "stopsignal": service.stop_signal,
        "stopwaitsecs": str(service.stop_seconds),
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(layout.logs / f"{service.name}.log"),
        "stdout_logfile_maxbytes": str(_LOG_BYTES),
        "stdout_logfile_backups": "2",
    }
    if service.account:
        program["user"] = service.account
    return program


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def configuration_file(self) -> Path:
        """Where its configuration is."""
        return self._layout.run / "supervisord.conf"

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            self._call("getState")
        except (OSError, HTTPException):
            return False
        return True

    def start(self, text: str) -> None:
        """Start it with this configuration, and with it every service.

        Raises:
            StackError: it didn't come up.
        """
        for folder in (self._layout.run, self._layout.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.configuration_file.write_text(text, encoding="utf-8")
        # PYTHONPATH stays behind: it would reach the Python workers and show them the caller's modules.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self.configuration_file)]
        done = subprocess.run(
            command,
            env={**environment, MARK: self._layout.identity},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + _START_SECONDS
        while done.returncode == 0 and time.monotonic() < deadline:
            if self.is_up():
                return
            time.sleep(0.1)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        msg = f"supervisord did not start: {lines[-1] if lines else f'see {self._layout.logs}/supervisord.log'}"
        raise StackError(msg)

    def states(self) -> list[State]:
        """Every service, in the order of the configuration."""
        return [
            State(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                started=info["start"],
                log=Path(info["stdout_logfile"]),
                trouble=info["spawnerr"],
            )
            for info in self._call("getAllProcessInfo")
        ]

    def processes(self, names: Iterable[str]) -> list[psutil.Process]:
        """The processes of those of these services that run."""
        wanted = set(names)
        return [psutil.Process(state.pid) for state in self.states() if state.name in wanted and state.pid]

    def start_service(self, name: str) -> None:
        """Start a service that is stopped or was given up."""
        with _tolerating(_FAULT_ALREADY_STARTED):
            self._call("startProcess", name, False)

    def stop_service(self, name: str) -> None:
        """Stop a service and wait until it has stopped."""
        with _tolerating(_FAULT_NOT_RUNNING):
            self._call("stopProcess", name, True)

    def change(self, text: str, *, added: Iterable[str], removed: Iterable[str]) -> None:
        """Take a configuration with other services while the rest goes on: stop what goes, start what comes."""
        for name in removed:
            self.stop_service(name)
            self._call("removeProcessGroup", name)
        self.configuration_file.write_text(text, encoding="utf-8")
        self._call("reloadConfig")
        for name in added:
            self._call("addProcessGroup", name)

    def stop(self, services_seconds: float) -> None:
        """Stop all services side by side, then supervisord itself."""
        self._call("stopAllProcesses", False)
        deadline = time.monotonic() + services_seconds
        while time.monotonic() < deadline and any(state.pid for state in self.states()):
            time.sleep(0.2)
        pid = int(self._call("getPID"))
        with contextlib.suppress(OSError, HTTPException):
            self._call("shutdown")
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            psutil.Process(pid).wait(timeout=10)

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - XML-RPC answers of every shape
        socket = self._layout.supervisor_socket
        if socket.stat().st_uid != os.geteuid():
            msg = f"{socket} belongs to another user: remove it, or set stack.directory to a shorter path."
            raise StackError(msg)
        transport = SupervisorTransport(None, None, f"unix://{socket}")
        # The host is never looked up: the transport connects to the socket.
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


@contextlib.contextmanager
def _tolerating(code: int) -> Iterator[None]:
    """Let one XML-RPC fault pass: the service is already as asked."""
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != code:
            raise StackError(fault.faultString) from None


def leftovers(layout: Layout) -> list[psutil.Process]:
    """Processes of this stack that no supervisord looks after; call it only when none is up."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == layout.identity and process.pid != os.getpid():
                found.append(process)
    return found


def end(processes: Sequence[psutil.Process], seconds: float = 10) -> None:
    """Ask these processes to stop, and kill what doesn't."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=seconds)


def remove_stale_files(layout: Layout) -> list[Path]:
    """Remove the pid file and socket of a supervisord that is gone; return what was there."""
    stale = [path for path in (_pid_file(layout), layout.supervisor_socket) if path.exists()]
    for path in stale:
        path.unlink()
    return stale


def _pid_file(layout: Layout) -> Path:
    return layout.run / "supervisord.pid"
