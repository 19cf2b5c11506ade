"""A Docker engine of the test's own: started by hand, with data of its own, and gone without a trace at the end."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Self

PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "debootstrap": "debootstrap",
    "iptables-save": "iptables",
    "iptables-restore": "iptables",
    "ip": "iproute2",
}


class TestFailedError(Exception):
    """What is wrong, in a sentence."""


def require() -> None:
    """Refuse to start where the test can't run.

    Raises:
        TestFailedError: says what to do.
    """
    if os.geteuid() != 0:
        msg = "`make test-compose` starts a Docker engine, so it has to run as root."
        raise TestFailedError(msg)
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if not compose():
        missing.add("docker-compose")
    if missing:
        msg = f"Programs are missing: apt-get install --no-install-recommends {' '.join(sorted(missing))}"
        raise TestFailedError(msg)
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        msg = "A Docker engine runs here: stop it first. Stand-ins have names of official images, and must not mix in."
        raise TestFailedError(msg)


def compose() -> list[str]:
    """Docker's own Compose where there is one, else Debian's."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


class Engine:
    """The engine, as a context: what it changed in the machine's network is set back at the end."""

    def __init__(self, data: Path, *, keep: bool) -> None:
        self.data = data
        self._keep = keep
        self._run = Path(tempfile.mkdtemp(prefix="citystream-compose-"))
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{self._run}/docker.sock",
            # Debian's engine and Compose build without BuildKit.
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        }
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._tables: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        for table in ("nat", "filter"):
            self._tables[table] = subprocess.run(
                ["iptables-save", "-t", table], capture_output=True, check=True
            ).stdout  # fmt: skip
        self._log = (self._run / "log").open("wb")
        command = ["dockerd", f"--data-root={self.data}", f"--exec-root={self._run}/exec"]
        command += [f"--pidfile={self._run}/pid", f"--host={self.environment['DOCKER_HOST']}"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, start_new_session=True)
        deadline = time.monotonic() + 60
        while self.docker("info", check=False).returncode != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                lines = (self._run / "log").read_text(errors="replace").splitlines()[-5:]
                self.__exit__()
                msg = "The Docker engine does not start:\n" + "\n".join(lines)
                raise TestFailedError(msg)
            time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._log is not None:
            self._log.close()
        for table, text in self._tables.items():
            subprocess.run(["iptables-restore", "-T", table], input=text, check=False)
        subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
        shutil.rmtree(self._run, ignore_errors=True)
        if not self._keep:
            shutil.rmtree(self.data, ignore_errors=True)

    def docker(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the Docker client.

        Raises:
            TestFailedError: it failed; ends with what it said.
        """
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["docker", *arguments], env=self.environment, capture_output=True, text=True, check=False, **options
        )
        if check and done.returncode != 0:
            msg = f"docker {' '.join(arguments)[:200]} failed:\n{(done.stdout + done.stderr)[-3000:]}"
            raise TestFailedError(msg)
        return done

    def disk(self) -> float:
        """GiB that images, containers and volumes take."""
        done = subprocess.run(["du", "-sxk", str(self.data)], capture_output=True, text=True, check=False)
        return int(done.stdout.split()[0]) / 1024**2 if done.stdout else 0.0
