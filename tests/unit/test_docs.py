"""What the pages say is there: links, headings, targets, settings, variables, modules and files."""

import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from conf.settings import ADDRESSES, FILE, Settings
from tests import pictures

ROOT = Path(__file__).resolve().parents[2]
# Decision records are history: their links have to lead somewhere, what else they name may be gone.
RECORDS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
GUIDES = sorted(
    {*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "generators/simulator/README.md"} - {*RECORDS}
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
# Named for other programs to read, so nothing of ours does.
FOREIGN = {"DOCKER_DEFAULT_PLATFORM"}

_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """Inline code, a line break in it a blank."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose(text))]


def code(text: str) -> list[str]:
    """Inline code, and each line of code blocks without its comment."""
    lines = [line.split(" #")[0] for block in _FENCE.finditer(text) for line in block[0].splitlines()[1:-1]]
    return spans(text) + lines


def slugs(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """Links within the tree that lead nowhere."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        there = file.exists() and file.is_relative_to(ROOT)
        if not there or (anchor and anchor not in slugs(file.read_text(encoding="utf-8") if path else text)):
            broken.append(target)
    return broken


def unknown_targets(text: str) -> list[str]:
    """Words after `make` that are no target of ours, and NAME= that the Makefile does not read."""
    unknown = []
    for words in (
        match[1].split() for line in code(text) for match in re.finditer(r"(?:^|[ =(])make((?: [\w=-]+)+)", line)
    ):
        for word in words:
            name, given, _ = word.partition("=")
            known = re.search(rf"\$\({name}\)|^{name} \?=", MAKEFILE, re.MULTILINE) if given else name in TARGETS
            if not known:
                unknown.append(word)
    return unknown


def _has(path: list[str]) -> bool:
    """Whether there is a setting of this path."""
    model: Any = Settings
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            # Below a mapping its keys are the user's own.
            return "dict" in str(model).lower() or "Mapping" in str(model)
        if part not in model.model_fields:
            return False
        annotation = model.model_fields[part].annotation
        classes = [a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
        model = classes[0] if classes else annotation
    return True


def unknown_settings(text: str) -> list[str]:
    """`section.key` and CITYSTREAM__SECTION__KEY that are no setting; a topic's name may look like one."""
    dotted = [s for s in spans(text) if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", s)]
    files = ("py", "sql", "yaml", "yml", "sqlite", "md")
    named = [s for s in dotted if s.split(".")[0] in Settings.model_fields and s.split(".")[-1] not in files]
    variables = re.findall(r"\bCITYSTREAM__[A-Z_]*[A-Z]\b", text)
    paths = [v.removeprefix("CITYSTREAM__").lower().split("__") for v in variables if v != "CITYSTREAM__SECTION__KEY"]
    topics = yaml.safe_load(FILE.read_text(encoding="utf-8"))["topics"]
    return [s for s in named if s not in topics and not _has(s.split("."))] + [
        "__".join(p) for p in paths if not _has(p)
    ]


@cache
def _sources() -> str:
    """Everything of ours that reads variables of the environment."""
    files = [
        ROOT / "Makefile",
        ROOT / "docker-compose.yml",
        ROOT / ".env.example",
        *ROOT.glob("*/**/*.py"),
        *ROOT.glob("*/*.py"),
    ]
    ours = [file for file in files if not file.relative_to(ROOT).parts[0].startswith((".venv", ".stack", "build"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in ours if file != Path(__file__))


def unknown_variables(text: str) -> list[str]:
    """NAMES_OF_VARIABLES in code that nothing of ours reads."""
    names = {n for line in code(text) for n in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", line) if "__" not in n}
    return sorted(n for n in names - FOREIGN - ADDRESSES.keys() if not re.search(rf"\b{n}\b", _sources()))


def missing_files(text: str) -> list[str]:
    """Modules that `python -m` is to run, and paths from the root, that are not there. CAPITALS stand for any name."""
    modules = {m for line in code(text) for m in re.findall(r"\bpython -m ([a-z_.]+)(?![\w.])", line)} - {
        "pip",
        "pytest",
        "venv",
    }
    paths = {s for s in spans(text) if re.fullmatch(r"[a-z]+/[\w./-]*", s) and (ROOT / s.split("/")[0]).is_dir()}
    candidates = {m: [m.replace(".", "/") + ".py", m.replace(".", "/") + "/__main__.py"] for m in modules}
    candidates |= {p: [p] for p in paths if not re.search(r"[A-Z]{4}", p.replace("README", ""))}
    return sorted(name for name, files in candidates.items() if not any((ROOT / file).exists() for file in files))


def wrong_defaults(text: str) -> list[str]:
    """Rows `setting | default` whose default is not that of conf/citystream.yaml."""
    wrong = []
    for setting, shown in re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)*)` \| ([^|]+) \|", text, re.MULTILINE):
        if setting.split(".")[0] not in Settings.model_fields:
            continue
        value: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        for part in setting.split("."):
            value = value[part]
        if str(yaml.safe_load(shown.strip().strip("`"))) != str(value):
            wrong.append(f"{setting}: {value}")
    return wrong


@pytest.mark.parametrize("page", [*GUIDES, *RECORDS], ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", GUIDES, ids=_name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert unknown_targets(text) == []
    assert unknown_settings(text) == []
    assert unknown_variables(text) == []
    assert missing_files(text) == []
    assert wrong_defaults(text) == []


def test_the_checks_find_what_is_wrong() -> None:
    page = ROOT / "README.md"
    assert broken_links(page, "[a](docs/none.md), [b](#none), [c](CHANGELOG.md#none), [d](../x)") != []
    assert broken_links(page, "# Two words\n[a](#two-words) [b](https://example.org)") == []
    assert unknown_targets("`make dance`, `make up down`, `make submit JOP=carbon`, we make it") == [
        "dance",
        "JOP=carbon",
    ]
    assert unknown_targets("```sh\nFOO=1 make dance   # make sense\n```") == ["dance"]
    assert unknown_settings("`flink.paralelism` `flink.parallelism` `deliveries.py` CITYSTREAM__STACK__PORT") == [
        "flink.paralelism",
        "stack__port",
    ]
    assert unknown_variables("`NO_SUCH_VARIABLE` `POSTGRES_URL`") == ["NO_SUCH_VARIABLE"]
    assert missing_files("`python -m stack.dance`, `jobs/none.py`, `jobs/NAME.py`, `jobs/`") == [
        "jobs/none.py",
        "stack.dance",
    ]
    assert wrong_defaults("| `flink.parallelism` | 3 | x |") == ["flink.parallelism: 2"]


def test_pages_are_short() -> None:
    lengths = {
        _name(page): len(page.read_text(encoding="utf-8").splitlines())
        for page in GUIDES
        if page.name != "CHANGELOG.md"
    }
    assert lengths["README.md"] <= 150
    assert {page: length for page, length in lengths.items() if length >= 200} == {}


def test_every_page_is_on_the_start_page() -> None:
    start = ROOT / "docs" / "README.md"
    linked = {
        (start.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", start.read_text(encoding="utf-8"))
    }
    assert {_name(page) for page in (ROOT / "docs").rglob("*.md") if page not in linked | {start, *RECORDS}} == set()
    assert "(docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_target_is_explained() -> None:
    explained = set(re.findall(r"`make ([a-z-]+)`", (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")))
    assert explained == TARGETS


def test_every_folder_is_in_the_layout() -> None:
    layout = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    generated = {"build"} | {folder.name for folder in ROOT.glob("*.egg-info")}
    folders = {file.parent.name for file in ROOT.glob("[!.]*/*") if file.is_file()} - generated
    assert {folder for folder in folders if not re.search(rf"^{folder}/", layout, re.MULTILINE)} == set()


def test_pictures_are_shown_and_small() -> None:
    files = sorted(pictures.FOLDER.iterdir())
    assert [path.stem for path in files] == sorted(pictures.PICTURES)
    assert sum(path.stat().st_size for path in files) < 1_500_000
    shown = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs" / "board.md").read_text(encoding="utf-8")
    assert [path.name for path in files if f"pictures/{path.name})" not in shown] == []
