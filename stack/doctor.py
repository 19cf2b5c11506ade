"""`doctor`: everything that can be checked, each finding with what to do about it."""

import importlib.metadata
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from conf import factors
from conf.errors import CitystreamError
from conf.settings import Settings
from control import checks
from control.facts import Facts, facts
from sinks import postgres
from sinks.errors import NotReadyError
from sinks.jar import fingerprint
from stack import artifacts, health, preflight, supervision
from stack.artifacts import Programs
from stack.errors import StackError
from stack.lifecycle import LocalStack
from stack.services import Service

_OLD_CHECKPOINT_SECONDS = 120


@dataclass(frozen=True)
class Finding:
    """What a check found; `text` is the fix when it isn't fine."""

    subject: str
    text: str
    fine: bool


def findings(stack: LocalStack, settings: Settings) -> Iterator[Finding]:
    """Run every check; one that fails doesn't keep the others from running."""
    layout = stack.layout
    yield from _checked(
        [
            ("platform", preflight.platform),
            ("python", _python),
            ("java", lambda: f"{preflight.java().version} ({preflight.java().home})"),
            ("servers", lambda: _servers(stack)),
            ("folder", lambda: preflight.writable(layout)),
            ("disk", lambda: preflight.disk(layout)),
            ("factors", lambda: f"{len(factors.load())} emission factors"),
        ]
    )
    try:
        services = stack.services()
    except StackError:  # no Java: found above
        return
    if not stack.supervisor.is_up():
        yield from _down(stack, services)
        return
    states = {state.name: state for state in stack.supervisor.states()}
    for service in services:
        answer = health.check(service)
        state = states.get(service.name)
        text = f"answers at {service.address}"
        if not answer.fine:
            process = f"its process is {state.state}" if state else "it is not among the running services"
            text = f"doesn't answer ({answer.trouble}); {process}: see `make logs SERVICE={service.name}`, "
            text += f"then `make restart SERVICE={service.name}`."
        yield Finding(service.name, text, answer.fine)
    yield from _checked(
        [
            ("brokers", lambda: checks.brokers(settings)),
            ("topics", lambda: checks.topics(settings)),
            ("transactions", lambda: checks.transactions(settings)),
            ("migrations", lambda: _migrations(settings)),
            ("staging", lambda: checks.staged(settings)),
            ("templates", lambda: checks.index_templates(settings)),
            ("clocks", lambda: checks.clocks(settings)),
        ]
    )
    try:
        yield from (judged(job, settings) for job in facts(settings))
    except CitystreamError as error:
        yield Finding("jobs", str(error), fine=False)


def _checked(checks: Iterable[tuple[str, Callable[[], object]]]) -> Iterator[Finding]:
    for subject, check in checks:
        try:
            yield Finding(subject, str(check()), fine=True)
        except CitystreamError as error:
            yield Finding(subject, str(error), fine=False)


def _down(stack: LocalStack, services: Iterable[Service]) -> Iterator[Finding]:
    """A stack that is down can come up, or needs to after its supervisord was killed."""
    if left := supervision.leftovers(stack.layout):
        text = f"its supervisord is gone and left {len(left)} processes: `make up` ends them and starts the stack."
        yield Finding("stack", text, fine=False)
        return
    yield from _checked([("memory", preflight.memory), ("ports", lambda: preflight.ports(services))])
    yield Finding("stack", "down: `make up` starts it", fine=True)


def _migrations(settings: Settings) -> str:
    wanted = {path.stem for path in postgres.MIGRATIONS.glob("[0-9]*.sql")}
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('schema_migrations') IS NOT NULL")
        if cursor.fetchone() == (True,):
            cursor.execute("SELECT name FROM schema_migrations")
            wanted -= {name for (name,) in cursor.fetchall()}
    if wanted:
        msg = f"PostgreSQL lacks {', '.join(sorted(wanted))}: run `make prepare`."
        raise NotReadyError(msg)
    return "all applied"


def judged(job: Facts, settings: Settings) -> Finding:
    """Whether a job does what it was submitted for."""
    if job.others:
        text = f"{1 + len(job.others)} jobs of this name run: stop all but one at {settings.flink.url}."
    elif job.wanted and not job.runs:
        why = f" ({job.failure})" if job.failure else ""
        text = f"should run and is {job.state or 'not there'}{why}: `make resume JOB={job.job}`."
    elif not job.runs:
        return Finding(job.job, f"not running, as wished: `make submit JOB={job.job}` starts it", fine=True)
    elif job.checkpoint_age is not None and job.checkpoint_age > _OLD_CHECKPOINT_SECONDS:
        text = (
            f"runs, but its last checkpoint was {job.checkpoint_age:,.0f} s ago, and nothing becomes visible without: "
            f"see which server is away above, or `make logs SERVICE=taskmanager-1`."
        )
    elif job.checkpoint_failure:
        text = f"runs, and its last checkpoint failed ({job.checkpoint_failure}): see its page at {settings.flink.url}."
    elif job.jar is not None and job.jar != (built := fingerprint()):
        text = (
            f"runs with another jar ({job.jar}) than the one that is built here ({built}): "
            f"`make stop JOB={job.job}`, then `make resume JOB={job.job}`, brings it to this one."
        )
    else:
        return Finding(job.job, f"runs, {job.restarts or 0} restarts since it was submitted", fine=True)
    return Finding(job.job, text, fine=False)


def _python() -> str:
    return f"{preflight.python()}, apache-flink {importlib.metadata.version('apache-flink')}"


def _servers(stack: LocalStack) -> str:
    programs = Programs.under(stack.layout.cache, preflight.platform())
    shown = ", ".join(f"{name} {version}" for name, version in artifacts.versions().items())
    if programs.complete:
        return f"{shown} in {stack.layout.cache}"
    preflight.maven()
    return f"{shown}: not downloaded yet, `make up` does it ({shutil.which('mvn')})"
