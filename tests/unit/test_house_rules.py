"""Rules of this code base that no linter knows."""

import math
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

from sinks.kafka import DEAD_LETTER_BYTES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]


def test_no_bare_reduce_on_a_keyed_stream() -> None:
    # Its state gets a new name at every start, so a restart forgets it.
    bare = re.compile(r"\.key_by\((?:[^()]|\([^()]*\))*\)\s*\.(reduce|sum|min|max)\(", re.DOTALL)
    assert bare.search("stream.key_by(lambda a: a[0])\n    .reduce(f)")
    assert not bare.search("stream.key_by(f).window(w).reduce(g)")
    assert [path.name for path in (ROOT / "jobs").rglob("*.py") if bare.search(path.read_text())] == []


def test_the_flink_version_is_the_same_everywhere() -> None:
    pinned = next(d for d in PROJECT["project"]["dependencies"] if d.startswith("apache-flink=="))
    python = pinned.removeprefix("apache-flink==")
    pom = ET.parse(ROOT / "sinks" / "java" / "pom.xml")  # noqa: S314
    java = pom.findtext(".//{*}properties/{*}flink.version")
    locked = re.search(r"^apache-flink==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert python == java
    assert locked is not None
    assert locked[1] == python


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "sql" / "postgres").glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path.stem for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def test_whoever_sets_timers_in_python_has_them_in_checkpoints() -> None:
    """PyFlink registers them after the snapshot they belong into: see docs/decisions/0015."""
    setting = re.compile(r"\.window\(|\.register_(processing|event)_time_timer\(")
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "jobs").rglob("*.py")}
    setters = {name for name, text in texts.items() if setting.search(text)}
    assert setters >= {"gather.py", "forecasts.py"}
    assert {name for name in setters if "timers_in_checkpoints(" not in texts[name]} == set()


def test_a_dead_letter_fits_its_topic() -> None:
    java = ROOT / "sinks" / "java" / "src" / "main" / "java" / "citystream" / "records" / "DeadLetter.java"
    largest = re.search(r"int MAX_BYTES = ([0-9* ]+);", java.read_text(encoding="utf-8"))
    assert largest is not None
    assert math.prod(map(int, largest[1].split("*"))) == DEAD_LETTER_BYTES
