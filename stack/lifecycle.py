"""Up, down, clean and restart: what the commands do, without how they look."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conf.settings import LAST_PORT, Stack
from stack import artifacts, health, preflight, supervision
from stack.artifacts import Programs, Report
from stack.credentials import Credentials, private_folder, write_private
from stack.errors import StackError
from stack.layout import Layout, PortPlan
from stack.servers import board, elasticsearch, feed, flink, kafka, postgres, simulator
from stack.services import Context, Java, Service

_HEALTHY_SECONDS = 300
_STOP_SECONDS = 40
_LOG_LINES = 15
# How many TaskManagers there are, where `scale` has changed it.
_TASK_MANAGERS = "task_managers"

Show = Callable[[str, health.Answer], None]


@dataclass(frozen=True)
class LocalStack:
    """One local stack: its layout, and who looks after its processes."""

    settings: Stack
    layout: Layout
    supervisor: supervision.Supervisor

    @classmethod
    def of(cls, settings: Stack) -> "LocalStack":
        """The stack that the settings describe."""
        layout = Layout.of(settings)
        return cls(settings, layout, supervision.Supervisor(layout))

    def up(self, report: Report, show: Show) -> bool:
        """Bring every server up and wait until each answers.

        Returns:
            Whether anything had to be started.

        Raises:
            StackError: the one sentence that says why not.
        """
        platform = preflight.platform()
        java = preflight.java()
        flink.home()
        preflight.writable(self.layout)
        with self._alone():
            was_up = self.supervisor.is_up()
            if not was_up:
                preflight.disk(self.layout)
                preflight.create_account(self.layout)
                close(self.layout)
                self._clear_away(report)
            programs = Programs.under(self.layout.cache, platform)
            if not programs.complete:
                programs = artifacts.fetch(self.layout.cache, platform, preflight.maven(), java.home, report)
            context = self._context(programs, java)
            services = list(all_services(context))
            text = supervision.configuration(self.layout, services)
            if was_up:
                started = self._verify_running(services, text)
            else:
                preflight.ports(services)
                preflight.readable(self.layout, (programs.elasticsearch, programs.postgres, java.home))
                self._prepare(context, services, report)
                report("Starting the servers")
                self.supervisor.start(text)
                started = True
            self._wait(services, show)
            write_private(self.layout.env_file, env_text(addresses(context)))
        return started

    def down(self, report: Report) -> bool:
        """Stop everything, gracefully first; return whether anything was there to stop."""
        was_up = self.supervisor.is_up()
        if was_up:
            report("Stopping the servers")
            self.supervisor.stop(_STOP_SECONDS)
        left = supervision.leftovers(self.layout)
        if left:
            report(f"Ending {len(left)} processes that were left behind")
            supervision.end(left)
        supervision.remove_stale_files(self.layout)
        self.layout.env_file.unlink(missing_ok=True)
        (self.layout.run / _TASK_MANAGERS).unlink(missing_ok=True)
        return was_up or bool(left)

    def clean(self, report: Report) -> None:
        """Stop everything and forget all data, logs and passwords; the downloaded programs stay."""
        self.down(report)
        for folder in (self.layout.data, self.layout.directory):
            if folder.exists():
                try:
                    shutil.rmtree(folder)
                except OSError as error:
                    msg = f"{error.filename} can't be removed ({error.strerror}): remove {folder} as its owner."
                    raise StackError(msg) from None

    def restart(self, name: str, show: Show) -> None:
        """Stop one service, start it again and wait until it answers."""
        services = {service.name: service for service in self.services()}
        self.require(name)
        self.supervisor.stop_service(name)
        self.supervisor.start_service(name)
        self._wait([services[name]], show)

    def scale(self, count: int, show: Show) -> int:
        """Have so many TaskManagers from now on until the stack goes down; return how many there were.

        Raises:
            StackError: the stack is down, there is no port for so many, or one does not answer.
        """
        if not self.supervisor.is_up():
            msg = "The stack is down: `make up` starts it, with `stack.task_managers` TaskManagers."
            raise StackError(msg)
        with self._alone():
            before = self._task_managers()
            if count < 1 or PortPlan(self.settings).metrics(count).number > LAST_PORT:
                msg = f"{count} TaskManagers can't be: at least one, and a port for metrics for each."
                raise StackError(msg)
            preflight.memory_for(count - before, flink.task_manager_bytes())
            (self.layout.run / _TASK_MANAGERS).write_text(str(count), encoding="utf-8")
            programs, java = Programs.under(self.layout.cache, preflight.platform()), preflight.java()
            context = self._context(programs, java)
            services = list(all_services(context))
            new = [flink.task_manager(number) for number in range(before + 1, count + 1)]
            for number, name in enumerate(new, before + 1):
                self.layout.working_directory(name).mkdir(parents=True, exist_ok=True)
                flink.clear_temporary(context, number)
            self.supervisor.change(
                supervision.configuration(self.layout, services),
                added=new,
                removed=[flink.task_manager(number) for number in range(count + 1, before + 1)],
            )
            self._wait([service for service in services if service.name in new], show)
        return before

    def _task_managers(self) -> int:
        """As many as `scale` was asked for since the stack came up, else as the setting says."""
        try:
            return int((self.layout.run / _TASK_MANAGERS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return self.settings.task_managers

    def services(self) -> list[Service]:
        """The services as the settings describe them."""
        programs = Programs.under(self.layout.cache, preflight.platform())
        return list(all_services(self._context(programs, preflight.java())))

    def require(self, name: str) -> supervision.State:
        """The state of a running stack's service.

        Raises:
            StackError: there is no such service, or the stack is down.
        """
        if not self.supervisor.is_up():
            msg = "The stack is down: `make up` starts it."
            raise StackError(msg)
        states = {state.name: state for state in self.supervisor.states()}
        if name not in states:
            msg = f"There is no service {name}: take one of {', '.join(states)}."
            raise StackError(msg)
        return states[name]

    def _context(self, programs: Programs, java: Java) -> Context:
        return Context(
            settings=self.settings.model_copy(update={"task_managers": self._task_managers()}),
            layout=self.layout,
            ports=PortPlan(self.settings),
            programs=programs,
            credentials=Credentials(self.layout.credentials),
            java=java,
        )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a second `up` of the same stack out."""
        self.layout.run.mkdir(parents=True, exist_ok=True)
        with (self.layout.run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                msg = f"Another `up` is at work in {self.layout.directory}: wait for it."
                raise StackError(msg) from None
            yield

    def _clear_away(self, report: Report) -> None:
        """Remove what a killed supervisord left behind: its files, and servers nobody looks after."""
        stale = supervision.remove_stale_files(self.layout)
        if stale:
            report(f"Removed what a killed run left behind: {', '.join(path.name for path in stale)}")
        left = supervision.leftovers(self.layout)
        if left:
            report(f"Ending {len(left)} processes that a killed run left behind")
            supervision.end(left, seconds=30)

    def _prepare(self, context: Context, services: list[Service], report: Report) -> None:
        report("Preparing data folders and configuration")
        for service in services:
            self.layout.working_directory(service.name).mkdir(parents=True, exist_ok=True)
        for prepare in (kafka.prepare, postgres.prepare, elasticsearch.prepare, flink.prepare):
            prepare(context)

    def _verify_running(self, services: list[Service], text: str) -> bool:
        """Start what is stopped; refuse when the settings have changed under the running stack."""
        running = self.supervisor.configuration_file.read_text(encoding="utf-8")
        if supervision.programs_of(running) != supervision.programs_of(text):
            msg = "The settings have changed since this stack came up: `make down up` applies them."
            raise StackError(msg)
        servers = {service.name for service in services if service.autostart}
        stopped = [
            state
            for state in self.supervisor.states()
            if state.name in servers and state.state in ("STOPPED", "EXITED", "FATAL")
        ]
        for state in stopped:
            self.supervisor.start_service(state.name)
        return bool(stopped)

    def _wait(self, services: list[Service], show: Show) -> None:
        try:
            health.wait(
                [service for service in services if service.autostart], self.supervisor.states, _HEALTHY_SECONDS, show
            )
        except health.UnansweredError as error:
            log = self.layout.logs / f"{error.service}.log"
            lines = "\n".join(f"    {line}" for line in last_lines(log, _LOG_LINES))
            msg = (
                f"{error.service} doesn't answer: {error.trouble}. Its last lines:\n{lines}\n"
                f"All of it is in {log}. `make doctor` looks for the cause; `make up` goes on from here."
            )
            raise StackError(msg) from None


def close(layout: Layout) -> None:
    """Let nobody else into the stack's folders; the servers' account passes through root's to what it owns."""
    private_folder(layout.directory)
    data = private_folder(layout.data)
    if layout.account:
        shutil.chown(data, group=layout.account)
        data.chmod(0o750)


def all_services(context: Context) -> Iterator[Service]:
    """Every service, in the order in which `status` lists them."""
    for module in (kafka, postgres, elasticsearch, flink, simulator, board, feed):
        yield from module.services(context)


def addresses(context: Context) -> dict[str, str]:
    """What a client has to know, by the names that all tools use."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers(context),
        "POSTGRES_URL": postgres.url(context),
        "ELASTICSEARCH_URL": elasticsearch.url(context),
        "ELASTICSEARCH_API_KEY": context.credentials.api_key or "",
        "FLINK_URL": flink.url(context),
        "BOARD_URL": board.url(context),
        "BOARD_TOKEN": context.credentials.board,
        "SIMULATOR_URL": simulator.url(context),
    }


def env_text(values: dict[str, str]) -> str:
    """The env file: one KEY=VALUE a line."""
    return "".join(f"{key}={value}\n" for key, value in values.items())


def last_lines(log: Path, count: int) -> list[str]:
    """The end of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - count * 1000))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def follow(log: Path) -> Iterator[str]:
    """New lines of a log as they come, also after supervisord has begun a new file."""
    file = log.open("rb")
    file.seek(0, os.SEEK_END)
    rest = b""
    while True:
        chunk = file.read()
        if chunk:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
            continue
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_ino != os.fstat(file.fileno()).st_ino:
                file.close()
                file = log.open("rb")
                continue
        time.sleep(0.3)
