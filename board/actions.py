"""What can be done from the board: dead letters go back, jobs get another parallelism. Both need the token."""

import contextlib
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from board.access import REFUSED, Access
from board.app import Part, ProblemError, problems
from conf.settings import Settings
from conf.streams import STREAMS
from control.redrive import Choice, redrive
from control.scaling import scale
from sinks import kafka
from sinks.errors import NotReadyError

ABOUT = "What changes something, and needs the token: dead letters go back, jobs get another parallelism."
log = logging.getLogger(__name__)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Redrive(_Asked):
    """Which letters go back to the topic of their records, as they are; each goes once."""

    topic: str = Field(description="the dead letters' topic: TOPIC.dead-letters")
    reasons: list[str] = Field(default=[], description="those with one of these; none: all")
    first: int | None = Field(default=None, ge=0, description="the first offset in the dead letters' topic")
    last: int | None = Field(default=None, ge=0, description="and the last")
    since: AwareDatetime | None = Field(default=None, description="written then or later")
    until: AwareDatetime | None = Field(default=None, description="written before then")
    dry_run: bool = Field(default=False, description="count only")


class Redriven(BaseModel):
    """What went back, or would."""

    topic: str
    dry_run: bool
    sent: dict[str, int] = Field(description="letters by reason")
    before: int = Field(description="how many of the chosen had gone before")


class Scale(_Asked):
    """Which job gets which parallelism."""

    job: str
    parallelism: int = Field(ge=1)


class Scaled(BaseModel):
    """What a job has now, and had before."""

    job: str
    parallelism: int
    before: int


def part(load: Callable[[], Settings]) -> Part:
    """The part."""
    needed = Access(load).need_token
    # The scheme is for /docs, which asks for the token.
    with_token = [Depends(HTTPBearer(auto_error=False)), Depends(needed)]
    routes = APIRouter(prefix="/api/actions", dependencies=with_token)
    turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextlib.contextmanager
    def alone(request: Request, what: str, **asked: object) -> Iterator[None]:
        """Only one at a time does this."""
        if not (turn := turns[what]).acquire(blocking=False):
            raise ProblemError(409, f"{what} is at work already: wait for it.")
        try:
            log.info("%s asks: %s %s", request.client.host if request.client else "somebody", what, asked)
            yield
        except NotReadyError as error:
            raise ProblemError(503, str(error)) from None
        finally:
            turn.release()

    @routes.post(
        "/redrive",
        responses=REFUSED
        | problems(
            {
                404: "there is no such topic",
                409: "another redrive of it is at work",
                422: "it does not say which letters",
                503: "Kafka is away or refuses",
            }
        ),
    )
    def send_back(request: Request, asked: Redrive) -> Redriven:
        """Send dead letters back to the topic of their records, each once; a mend takes `make redrive`."""
        settings = load()
        sources = {kafka.dead_letter_topic(topic): topic for topic in settings.topics}
        if asked.topic not in sources:
            raise ProblemError(404, f"there is no topic {asked.topic}; there are {', '.join(sources)}")
        choice = Choice(frozenset(asked.reasons), asked.first, asked.last, asked.since, asked.until)
        if choice.all:
            raise ProblemError(422, "Say which letters go back: as they are, all of them would only come back.")
        with alone(request, f"A redrive of {asked.topic}", **asked.model_dump(exclude_defaults=True)):
            outcome = redrive(settings, sources[asked.topic], choice, dry_run=asked.dry_run)
        return Redriven(topic=asked.topic, dry_run=asked.dry_run, sent=dict(outcome.sent), before=outcome.before)

    @routes.post(
        "/scale",
        responses=REFUSED
        | problems(
            {404: "there is no such job", 409: "another one is at work", 503: "Flink is away, or can't do it now"}
        ),
    )
    def rescale(request: Request, asked: Scale) -> Scaled:
        """Give a running job another parallelism, at its next checkpoint; answers when all its tasks run so."""
        if asked.job not in STREAMS:
            raise ProblemError(404, f"there is no job {asked.job}; there are {', '.join(STREAMS)}")
        with alone(request, f"A rescaling of {asked.job}", parallelism=asked.parallelism):
            before = scale(load(), asked.job, asked.parallelism)
        return Scaled(job=asked.job, parallelism=asked.parallelism, before=before)

    return Part("Actions", ABOUT, routes)
