"""What `make install` does on machines that lack a program, or have several Pythons; programs are scripts here."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import other_python

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make") or "make"
JAVAC = 'echo "javac 17.0.15"'
UV = """echo "uv $*" >> "$LOG"
case "$*" in venv*) mkdir -p .venv/bin && touch .venv/bin/python && chmod +x .venv/bin/python ;; esac"""
MVN = "mkdir -p sinks/java/target && touch sinks/java/target/citystream-sinks.jar"


def python(version: str) -> str:
    """A Python with venv; whatever it is to run, it writes down."""
    return f"""echo "$0 $*" >> "$LOG"
case "$*" in
    --version) echo "Python {version}" ;;
    "-c import ensurepip"*) {"exit 0" if version in ("3.11", "3.12") else "exit 1"} ;;
    "-c import pyflink"*) echo /pyflink ;;
    "-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac"""


@dataclass(frozen=True)
class Machine:
    """A folder with the Makefile, and the programs that are on the PATH."""

    folder: Path

    def has(self, **programs: str) -> None:
        for name, script in programs.items():
            file = self.folder / "bin" / name.replace("_", ".")
            file.write_text(f"#!/bin/bash\nset -e\n{script}\n", encoding="utf-8")
            file.chmod(0o755)

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.folder / "bin"), "LOG": str(self.folder / "log")}
        command = [MAKE, "--no-print-directory", "install", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    @property
    def log(self) -> str:
        log = self.folder / "log"
        return log.read_text(encoding="utf-8") if log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for file in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "sinks/java/src").mkdir(parents=True)
    (tmp_path / "sinks/java/pom.xml").touch()
    (tmp_path / "bin").mkdir()
    for program in ("bash", "awk", "sed", "find", "ln", "touch", "mkdir", "cp", "chmod"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or program)
    return Machine(tmp_path)


def test_java_and_maven_are_looked_for_before_anything_is_installed(machine: Machine) -> None:
    machine.has(python3_11=python("3.11"))
    done = machine.install()
    assert done.returncode != 0
    assert "A JDK 17 or newer is missing (javac): apt install openjdk-17-jdk" in done.stderr
    machine.has(javac='echo "javac 1.8.0_392" >&2')
    assert "A JDK 17 or newer is missing" in machine.install().stderr
    machine.has(javac=JAVAC)
    assert "Maven is missing: apt install maven" in machine.install().stderr
    assert machine.log == ""


def test_without_a_python_one_sentence_names_the_ways(machine: Machine) -> None:
    machine.has(javac=JAVAC, mvn=MVN, python3_12="exit 127", python3_13=python("3.13"))
    done = machine.install()
    assert done.returncode != 0
    [sentence] = [line for line in done.stderr.splitlines() if "Python" in line]
    for way in ("uv", "apt install", "brew install", "PYTHON="):
        assert way in sentence
    assert not (machine.folder / ".venv").exists()


@pytest.mark.parametrize(("there", "taken"), [(["3.11", "3.12"], "3.11"), (["3.12", "3.13"], "3.12")])
def test_a_python_that_is_there_is_taken(machine: Machine, there: list[str], taken: str) -> None:
    machine.has(javac=JAVAC, mvn=MVN, **{f"python{version.replace('.', '_')}": python(version) for version in there})
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert f"bin/python{taken} -m venv .venv" in machine.log
    assert (
        ".venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock"
        in machine.log
    )
    assert (machine.folder / "sinks/java/target/citystream-sinks.jar").exists()


def test_uv_comes_first_and_fetches_a_python(machine: Machine) -> None:
    machine.has(javac=JAVAC, mvn=MVN, python3_11=python("3.11"), uv=UV)
    machine.install()
    calls = machine.log.splitlines()
    assert calls[0] == "uv venv --quiet --seed --python >=3.11,<3.13 .venv"
    assert calls[1] == "uv pip install --python .venv/bin/python --require-hashes -r requirements.lock"


def test_PYTHON_overrides_uv(machine: Machine) -> None:
    machine.has(
        javac=JAVAC, mvn=MVN, python3_11=python("3.11"), python3_12=python("3.12"), python3_13=python("3.13"), uv=UV
    )
    assert "PYTHON=python3.13 is no Python 3.11 or 3.12" in machine.install("PYTHON=python3.13").stderr
    machine.install("PYTHON=python3.12")
    assert "bin/python3.12 -m venv .venv" in machine.log
    assert "uv venv" not in machine.log


def test_another_PYTHON_than_that_of_the_environment_is_refused(machine: Machine) -> None:
    machine.has(javac=JAVAC, mvn=MVN, python3_11=python("3.11"), python3_12=python("3.12"))
    assert machine.install("PYTHON=python3.11").returncode == 0
    done = machine.install("PYTHON=python3.12")
    assert done.returncode != 0
    assert ".venv has Python 3.11: remove it (rm -r .venv), and PYTHON=python3.12 makes it anew." in done.stderr
    assert machine.install().returncode == 0


def test_the_locks_are_for_both_pythons() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert "make lock" in text.splitlines()[1]
        assert "://" not in text
    assert 'requires-python = ">=3.11,<3.13"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_other_python_is_a_whole_one_of_its_version(tmp_path: Path) -> None:
    own = "{}.{}".format(*sys.version_info)
    assert other_python.is_complete(sys.executable, own)
    assert not other_python.is_complete(sys.executable, "3.10")
    assert not other_python.is_complete("no-such-program", own)
    shim = tmp_path / "python"  # as pyenv's, where the version is not the active one
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    assert not other_python.is_complete(str(shim), own)


def test_without_another_python_the_run_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(other_python, "interpreters", lambda version: iter(["no-such-program"]))
    assert other_python.main(["tests/unit"]) == 0
    own, other = ("3.11", "3.12") if sys.version_info[:2] == (3, 11) else ("3.12", "3.11")
    assert capsys.readouterr().out == f"Python {other} is not here: unit tests ran on {own} only\n"
