"""Rules of this code base that no linter knows."""

import ast
import math
import re
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

from conf.streams import STREAMS
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
    setting = re.compile(r"(?<!\bj_keyed)\.window\(|\.register_(processing|event)_time_timer\(")
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "jobs").rglob("*.py")}
    setters = {name for name, text in texts.items() if setting.search(text)}
    assert setters >= {"gather.py", "forecasts.py"}
    assert {name for name in setters if "timers_in_checkpoints(" not in texts[name]} == set()


# Where a stream is declared. All other files that name one have its name in their path, or that of a subject it alone
# has: only carbon's emission is forecast, and only events come from PredictHQ.
DECLARED = {"conf/streams.py", "conf/settings.py"}
SUBJECTS = {"forecast": "carbon", **dict.fromkeys(("predicthq", "overpass", "google_places", "duffel"), "events")}
JAVA = ROOT / "sinks" / "java" / "src" / "main"


class Prose(ast.NodeTransformer):
    """Takes the docstrings out."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def without_prose(path: str, text: str) -> str:
    """A source without comments and docstrings: those may well speak of deliveries and events."""
    if path.endswith(".java"):
        return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    return ast.unparse(Prose().visit(ast.parse(text)))


def named_streams(path: str, text: str) -> set[str]:
    """The streams that a source file names though it is no stream's own."""
    words = set(re.split(r"\W", path))
    if path in DECLARED or STREAMS.keys() & words:
        return set()
    own = {stream for subject, stream in SUBJECTS.items() if subject in words}
    return set(re.findall(r"\w+", without_prose(path, text))) & STREAMS.keys() - own


def test_no_shared_source_file_names_a_stream() -> None:
    """`bench` measures streams by name."""
    assert named_streams("stack/demo.py", 'JOB = "carbon"') == {"carbon"}
    assert named_streams("stack/demo.py", "settings.carbon.station") == {"carbon"}
    assert named_streams("stack/demo.py", '"""Of carbon."""\nx = 1  # of carbon') == set()
    assert named_streams("jobs/carbon.py", "carbon = deliveries") == set()
    assert named_streams("jobs/rules/carbon/energy.py", "carbon") == set()
    assert named_streams("kibana/lens.py", "hydrocarbon") == set()
    assert named_streams("forecast/tables.py", "carbon = deliveries") == {"deliveries"}
    assert named_streams("Streams.java", '/* carbon */ String name = "tickets"; // carbon') == {"tickets"}
    sources = [path for package in PACKAGES if package != "bench" for path in (ROOT / package).rglob("*.py")]
    found = {}
    for path in (*sources, *JAVA.rglob("*.java")):
        relative = str(path.relative_to(ROOT))
        if names := named_streams(relative, path.read_text(encoding="utf-8")):
            found[relative] = names
    assert found == {}


LINES, JOB_LINES = 400, 120


def too_long(path: str, text: str) -> bool:
    """Whether a file has more lines than it may; a longer one says why in its docstring: "Longer than ..., because"."""
    lines = text.count("\n")
    if re.fullmatch(r"jobs/\w+\.py", path):
        return lines > JOB_LINES
    return lines > LINES and "longer than" not in (ast.get_docstring(ast.parse(text)) or "").lower()


def test_a_file_has_one_subject() -> None:
    """A test module is as long as its cases are many; a job reads like a sentence."""
    assert too_long("stack/all.py", "x = 1\n" * 401)
    assert not too_long("stack/all.py", '"""Longer than the rule, because it is a table."""\n' + "x = 1\n" * 401)
    assert too_long("jobs/all.py", "x = 1\n" * 121)
    assert not too_long("jobs/rules/all.py", "x = 1\n" * 121)
    sources = {str(path.relative_to(ROOT)): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found = {name for name, path in sources.items() if too_long(name, path.read_text(encoding="utf-8"))}
    assert found == set()


def mains() -> dict[str, ast.FunctionDef]:
    """The `main` of every module that is a command of its own; that of a job is run by Flink's client."""
    found = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        job = "jobs" in path.relative_to(ROOT).parts
        if not job and 'if __name__ == "__main__"' in text:
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef) and node.name == "main":
                    found[str(path.relative_to(ROOT))] = node
    return found


def test_what_goes_wrong_in_a_command_is_a_sentence() -> None:
    """`conf.errors.command` prints it; nothing else turns errors into exit codes."""
    assert {"stack/__main__.py", "stack/control.py", "sinks/prepare.py", "forecast/train.py"} <= mains().keys()
    bare = {
        name
        for name, main in mains().items()
        if "command" not in {node.id for node in main.decorator_list if isinstance(node, ast.Name)}
    }
    assert bare == set()


def test_options_are_written_in_full() -> None:
    """`conf.errors.Parser` refuses shortened ones; argparse's own takes them in silence."""
    texts = {path: path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [path.name for path, text in texts.items() if "argparse.ArgumentParser(" in text] == []


def test_make_help_shows_every_target_under_its_group() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    groups = re.findall(r"^##@ (.+)$", makefile, re.MULTILINE)
    assert groups
    assert [line for line in shown.splitlines() if line in groups] == groups
    for target in re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE):
        assert f"make {target} " in shown, target
    assert "PYTHON=" in shown
    assert "/var/lib/citystream" in shown


def test_a_dead_letter_fits_its_topic() -> None:
    java = ROOT / "sinks" / "java" / "src" / "main" / "java" / "citystream" / "records" / "DeadLetter.java"
    largest = re.search(r"int MAX_BYTES = ([0-9* ]+);", java.read_text(encoding="utf-8"))
    assert largest is not None
    assert math.prod(map(int, largest[1].split("*"))) == DEAD_LETTER_BYTES
