"""What a new user does wrong: every command of the Makefile says so in a sentence, with an exit code that is not 0."""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from conf.settings import ADDRESSES, ROOT

DIRECTORY = ".stack-first-hour"
# They run until they are stopped, or do without servers and settings, or fetch from a registry.
NOT_WALKED = {"simulate", "dashboard", "vendor"}
# What they do where there is no stack is to bring one up.
BRING_UP = {"up", "demo", "bench"}

WITH = ("SERVICE=taskmanager-1", "N=3", "PARALLELISM=4", "TOPIC=deliveries.dead-letters")

pytestmark = pytest.mark.timeout(600)


def commands() -> dict[str, list[str]]:
    """Each target's own command, as make would run it."""
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    found: dict[str, list[str]] = {}
    for target in targets:
        make = ["make", "--dry-run", target, *WITH]
        # As if no make ran the tests.
        plain = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        done = subprocess.run(make, cwd=ROOT, env=plain, text=True, capture_output=True, check=True)
        shown = done.stdout.splitlines()
        if shown and shown[-1].startswith(".venv/bin/python -m "):
            found[target] = shlex.split(shown[-1])[1:]
    others = ("pip", "pytest", "tests.compose", "tests.other_python")
    return {target: command for target, command in found.items() if command[1] not in others}


COMMANDS = commands()


def walk(targets: set[str], **environment: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run the commands of these targets side by side, on a stack that was never up."""
    plain = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    own = {"CITYSTREAM__STACK__DIRECTORY": DIRECTORY, "CITYSTREAM__STACK__PORT_OFFSET": "9000"}

    def run(target: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *COMMANDS[target], *(["--wait", "0"] if target == "kibana" else [])]
        return subprocess.run(
            command, cwd=ROOT, env={**plain, **own, **environment}, text=True, capture_output=True, check=False
        )

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(targets, pool.map(run, targets), strict=True))


def check(done: dict[str, subprocess.CompletedProcess[str]], expected: dict[str, int]) -> None:
    for target, process in done.items():
        output = process.stdout + process.stderr
        assert "Traceback" not in output, f"make {target}: {output}"
        assert process.returncode == expected.get(target, 1), f"make {target} ended with {process.returncode}: {output}"
        assert output.strip(), f"make {target} says nothing"


def test_every_target_is_walked() -> None:
    assert {"up", "status", "submit", "generate", "backfill", "reconcile", "demo", "train"} <= COMMANDS.keys()


def test_with_the_stack_down() -> None:
    done = walk(COMMANDS.keys() - NOT_WALKED - BRING_UP)
    # Doctor may find that this machine's memory is taken.
    check(done, {"down": 0, "clean": 0, "status": 3, "doctor": done["doctor"].returncode})
    for target in (
        "prepare",
        "submit",
        "stop",
        "resume",
        "generate",
        "backfill",
        "poll",
        "train",
        "backtest",
        "reconcile",
    ):
        assert f"The stack in {DIRECTORY} is down: `make up` starts it" in done[target].stderr, target
    assert not (ROOT / DIRECTORY).exists() or not list((ROOT / DIRECTORY).glob("jobs/*"))


def test_with_a_broken_setting() -> None:
    done = walk(COMMANDS.keys() - NOT_WALKED, CITYSTREAM__FORCAST__DAYS="3")
    check(done, {})
    for target, process in done.items():
        assert "did you mean CITYSTREAM__FORECAST__DAYS?" in process.stderr, target


def test_with_ports_that_can_not_be() -> None:
    done = walk({"up", "status", "submit", "generate"}, CITYSTREAM__STACK__PORT_OFFSET="60000")
    check(done, {})
    for target, process in done.items():
        assert "port_offset 60000 moves ports.kafka" in process.stderr, target


def test_with_a_folder_that_can_not_be_written() -> None:
    done = walk({"up", "demo", "doctor", "submit"}, CITYSTREAM__STACK__DIRECTORY="/proc/none")
    check(done, {})
    assert "/proc/none can't be written" in done["up"].stderr
