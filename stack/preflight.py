"""What has to be true before the stack can start. Each check returns what it found, or raises the one sentence."""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from stack.errors import StackError
from stack.layout import Layout, Port, postgres_platform
from stack.services import HOST, Java, Service

JAVA_MINIMUM = 17
_DISK_GIGABYTES = 5
_MEMORY_GIGABYTES = 8
_INSTALL_JAVA = "apt install openjdk-17-jdk (macOS: brew install openjdk@17)"


def platform() -> str:
    """The platform, in the names of PostgreSQL's archives."""
    found = postgres_platform()
    if found is None:
        msg = "The local stack runs on Linux and macOS with an x86-64 or ARM processor only: use docker-compose here."
        raise StackError(msg)
    return found


def java() -> Java:
    """Java 17 or newer, from JAVA_HOME or the PATH."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    source = f"JAVA_HOME={home}" if home else "the PATH"
    if program is None or not os.access(program, os.X_OK):
        msg = f"Java is missing ({source} has none): install Java 17, e.g. {_INSTALL_JAVA}."
        raise StackError(msg)
    done = subprocess.run(
        [program, "-XshowSettings:properties", "-version"], capture_output=True, text=True, check=False
    )
    found = dict(re.findall(r"^\s*(java\.home|java\.specification\.version) = (.+?)\s*$", done.stderr, re.MULTILINE))
    version = found.get("java.specification.version", "unknown")
    if not version.isdigit() or int(version) < JAVA_MINIMUM:  # Java 8 calls itself 1.8
        msg = f"Java {version} ({program}) is too old: the stack needs 17 or newer, e.g. {_INSTALL_JAVA}."
        raise StackError(msg)
    return Java(home=Path(found["java.home"]), version=int(version))


def maven() -> str:
    """Maven, which fetches the servers."""
    program = shutil.which("mvn")
    if program is None:
        msg = "Maven is missing and the servers are not downloaded yet: apt install maven (macOS: brew install maven)."
        raise StackError(msg)
    return program


def writable(layout: Layout) -> str:
    """The stack's folders can be made and written."""
    for folder in (layout.directory, layout.data, layout.cache):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            change = "its permissions" if folder == layout.cache else "its permissions, or the setting stack.directory"
            msg = f"{folder} can't be written ({error.strerror}): change {change}."
            raise StackError(msg) from None
    return str(layout.directory)


def disk(layout: Layout) -> str:
    """Enough room for programs and data."""
    for folder in (layout.data, layout.cache):
        free = shutil.disk_usage(_existing(folder)).free / 1e9
        if free < _DISK_GIGABYTES:
            msg = (
                f"Only {free:.1f} GB are free where {folder} is, and the stack needs {_DISK_GIGABYTES} GB: make room "
                "(`make clean` forgets this stack's data), or set stack.directory to another disk."
            )
            raise StackError(msg)
    return f"{shutil.disk_usage(_existing(layout.data)).free / 1e9:.0f} GB free"


def memory() -> str:
    """Enough memory for all servers; said by `doctor` only, since it changes from minute to minute."""
    available = psutil.virtual_memory().available / 2**30
    if available < _MEMORY_GIGABYTES:
        msg = (
            f"Only {available:.1f} GiB of memory are available, and the stack takes up to {_MEMORY_GIGABYTES}: stop "
            "something, or lower the sizes in conf/flink.yaml and stack.task_managers."
        )
        raise StackError(msg)
    return f"{available:.0f} GiB available"


def memory_for(more: int, size: int) -> None:
    """Enough memory for so many more processes of this size in bytes."""
    available = psutil.virtual_memory().available
    if more > 0 and more * size > available:
        msg = (
            f"{more} more TaskManagers take {more * size / 2**30:.1f} GiB of memory and {available / 2**30:.1f} are "
            "available: take fewer, or lower taskmanager.memory.process.size in conf/flink.yaml."
        )
        raise StackError(msg)


def create_account(layout: Layout) -> None:
    """Make the account for the servers that refuse to run as root, where it is needed and missing."""
    name = layout.account
    if name is None:
        return
    with contextlib.suppress(KeyError):
        pwd.getpwnam(name)
        return
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    command = [program or "useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
        trouble = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError:
        trouble = "there is no useradd"
    if trouble:
        msg = f"The account {name} could not be made ({trouble}): make it, or run the stack as an ordinary user."
        raise StackError(msg)


def readable(layout: Layout, folders: Iterable[Path]) -> str:
    """The servers' account can read the programs that it runs."""
    if layout.account is None:
        return "not needed"
    for folder in folders:
        for part in (folder, *folder.parents):
            if not part.stat().st_mode & 0o001:
                msg = f"The account {layout.account} can't enter {part}, which it has to run: chmod o+rx {part}."
                raise StackError(msg)
    return ", ".join(str(folder) for folder in folders)


def ports(services: Iterable[Service]) -> str:
    """Every port is free."""
    count = 0
    for service in services:
        for port in service.ports:
            count += 1
            if _taken(port.number):
                raise StackError(taken_sentence(port, service.name, _listener(port.number)))
    return f"{count} ports free"


def taken_sentence(port: Port, service: str, listener: psutil.Process | None) -> str:
    """Who has the port, who wants it, and what changes that."""
    who = ""
    if listener is not None:
        name = "another program"
        with contextlib.suppress(psutil.Error):
            name = listener.name()
        who = f" by {name} (pid {listener.pid})"
    return (
        f"Port {port.number}, which {service} needs, is already taken{who}: stop that, or change {port.setting} in "
        "conf/citystream.yaml, or move all ports with CITYSTREAM__STACK__PORT_OFFSET=1000."
    )


def _taken(number: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that lingers from the last run doesn't count, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return True
    return False


def _listener(number: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens_at = connection.laddr[1] if connection.laddr and connection.status == psutil.CONN_LISTEN else None
            if listens_at == number and connection.pid:
                return psutil.Process(connection.pid)
    return None


def _existing(folder: Path) -> Path:
    return next(part for part in (folder, *folder.parents) if part.exists())


def python() -> str:
    """The Python that PyFlink's workers run on."""
    return f"{sys.version_info.major}.{sys.version_info.minor} ({sys.executable})"
