"""`doctor`: everything that can be checked, each finding with what to do about it."""

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stack import artifacts, health, preflight
from stack.artifacts import Programs
from stack.errors import StackError
from stack.lifecycle import LocalStack


@dataclass(frozen=True)
class Finding:
    """What a check found; `text` is the fix when it isn't fine."""

    subject: str
    text: str
    fine: bool


def findings(stack: LocalStack) -> Iterator[Finding]:
    """Run every check; one that fails doesn't keep the others from running."""
    layout = stack.layout
    checks: list[tuple[str, Callable[[], object]]] = [
        ("platform", preflight.platform),
        ("python", _python),
        ("java", lambda: f"{preflight.java().version} ({preflight.java().home})"),
        ("servers", lambda: _servers(stack)),
        ("folder", lambda: preflight.writable(layout)),
        ("disk", lambda: preflight.disk(layout)),
    ]
    for subject, check in checks:
        yield _finding(subject, check)
    try:
        services = stack.services()
    except StackError:  # no Java: found above
        return
    if not stack.supervisor.is_up():
        yield _finding("memory", preflight.memory)
        yield _finding("ports", lambda: preflight.ports(services))
        return
    states = {state.name: state for state in stack.supervisor.states()}
    for service in services:
        answer = health.check(service)
        state = states.get(service.name)
        text = f"answers at {service.address}"
        if not answer.fine:
            process = f"its process is {state.state}" if state else "it is not among the running services"
            text = f"doesn't answer ({answer.trouble}); {process}: see `python -m stack logs {service.name}`, "
            text += f"then `python -m stack restart {service.name}`."
        yield Finding(service.name, text, answer.fine)


def _finding(subject: str, check: Callable[[], object]) -> Finding:
    try:
        return Finding(subject, str(check()), fine=True)
    except StackError as error:
        return Finding(subject, str(error), fine=False)


def _python() -> str:
    return f"{preflight.python()}, apache-flink {importlib.metadata.version('apache-flink')}"


def _servers(stack: LocalStack) -> str:
    programs = Programs.under(stack.layout.cache, preflight.platform())
    shown = ", ".join(f"{name} {version}" for name, version in artifacts.versions().items())
    if programs.complete:
        return f"{shown} in {stack.layout.cache}"
    preflight.maven()
    return f"{shown}: not downloaded yet, `make up` does it ({shutil.which('mvn')})"
