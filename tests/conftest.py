"""The suite's own local stack, beside whatever runs already, and the clean slate that a test of the job starts from."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import yaml

from conf.settings import ADDRESSES

ROOT = Path(__file__).resolve().parent.parent
# No example fails for being slow: how long it takes says how busy the machine is.
hypothesis.settings.register_profile("citystream", deadline=None)
hypothesis.settings.load_profile("citystream")
# libyaml reads the same ten times faster, and tests read the settings hundreds of times.
yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[misc]
SERVICES = {"kafka", "postgres", "elasticsearch", "flink", "chaos"}

# Before anything reads the settings: this suite has ports and data of its own.
os.environ.setdefault("CITYSTREAM__STACK__DIRECTORY", ".stack-test")
os.environ.setdefault("CITYSTREAM__STACK__PORT_OFFSET", "1000")
# Models are small here, and processes many: more threads than processors only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The gateway's JVM, for tests that put a job together without submitting it.
os.environ["HADOOP_CLASSPATH"] = str(ROOT / "sinks" / "java" / "target" / "citystream-sinks.jar")
for name in ADDRESSES:
    os.environ.pop(name, None)


def stack(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the local stack."""
    return subprocess.run(
        [sys.executable, "-m", "stack", *arguments], cwd=ROOT, text=True, capture_output=True, check=False
    )


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """All servers, up and prepared. A stack that was up before stays up; one that was not is forgotten again."""
    was_up = stack("status").returncode == 0
    up = stack("up")
    assert up.returncode == 0, up.stdout + up.stderr
    from sinks import prepare

    assert prepare.main([]) == 0
    yield
    if not was_up:
        stack("down")
        stack("clean")


@pytest.fixture(autouse=True)
def _servers_where_marked(request: pytest.FixtureRequest) -> None:
    if SERVICES & {mark.name for mark in request.node.iter_markers()}:
        request.getfixturevalue("servers")
