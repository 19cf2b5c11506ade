"""What a service of the stack is, and what all of them are given."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conf.settings import HOST as HOST
from conf.settings import Stack
from stack.artifacts import Programs
from stack.credentials import Credentials
from stack.errors import StackError
from stack.layout import Layout, Port, PortPlan


@dataclass(frozen=True)
class Java:
    """The Java that the servers run on."""

    home: Path
    version: int

    @property
    def program(self) -> str:
        """Its `java`."""
        return str(self.home / "bin" / "java")


@dataclass(frozen=True)
class Service:
    """One supervised server.

    Attributes:
        name: what `status`, `logs` and `restart` call it.
        command: the program in the foreground, and its arguments.
        address: where clients reach it.
        ports: what it listens on.
        answers: speaks the server's protocol and raises while the server isn't ready for clients.
        account: the account it runs under; None: the caller's.
        stop_seconds: how long it may take to stop by itself before it is killed.
        autostart: whether it comes up with the stack; otherwise it starts when asked for, and nobody waits for it.
    """

    name: str
    command: Sequence[str]
    address: str
    ports: Sequence[Port]
    answers: Callable[[], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    autostart: bool = True


@dataclass(frozen=True)
class Context:
    """What a server's module needs to lay out its files and to say how it is started."""

    settings: Stack
    layout: Layout
    ports: PortPlan
    programs: Programs
    credentials: Credentials
    java: Java

    def write(self, name: str, text: str) -> Path:
        """Write a generated configuration file, readable by the servers' account."""
        path = self.layout.generated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def own(self, folder: Path) -> Path:
        """Create a private folder that belongs to the servers' account."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.give(folder)

    def give(self, path: Path) -> Path:
        """Make a file or folder the servers' account's own."""
        if self.layout.account:
            shutil.chown(path, self.layout.account, self.layout.account)
        return path

    def run_once(self, command: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> None:
        """Run a set-up program under the servers' account.

        Raises:
            StackError: it failed; the sentence ends with its last line.
        """
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.layout.data,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **environment},
            user=self.layout.account,
            group=self.layout.account,
            extra_groups=[] if self.layout.account else None,
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            msg = f"{Path(command[0]).name} failed while setting up: {lines[-1] if lines else 'no output'}"
            raise StackError(msg)


def properties(values: Mapping[str, object]) -> str:
    """The text of a .properties file."""
    return "".join(f"{key}={value}\n" for key, value in values.items())
