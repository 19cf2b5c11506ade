"""Who may do what: actions need the token of BOARD_TOKEN; where `board.closed` says so, reading needs it, too.

A program sends the token with each request, `Authorization: Bearer TOKEN`. A browser sends it once, to `/api/session`,
and gets a cookie that no script reads. It holds no token, only when it ends and a proof that who made it had the token,
so that nothing is kept here, and another token ends all sessions (docs/decisions/0073).
"""

import functools
import hmac
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

from board.app import Part, ProblemError, problems
from conf.settings import Settings

COOKIE = "citystream_session"
SESSION_SECONDS = 12 * 3600
# What nobody needs a token for: to give one, to get the page that asks for it, and to see that the service is up.
OPEN = ("/api/session", "/static/", "/health")
ABOUT = "The token that actions need: entered once by a person, sent with each request by a program."
OFF = "Actions are off, since no token is set: `make up` makes one; elsewhere set BOARD_TOKEN."
REFUSED = problems({401: "the token is missing or wrong", 403: "no token is set, or another site's page asks"})


class Session(BaseModel):
    """What whoever asks may do."""

    actions: bool = Field(description="whether a token is set: without one, actions are off")
    closed: bool = Field(description="whether reading needs the token, too")
    known: bool = Field(description="whether the request came with the token, or a session")


class Access:
    """Judges requests by the token of the settings.

    Args:
        load: gives the settings; read until they hold a token, since the stack's may come after the service.
    """

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self._token: bytes | None = None

    @functools.cached_property
    def closed(self) -> bool:
        """Whether reading needs the token, too."""
        return self._load().board.closed

    def token(self) -> bytes | None:
        """The token; None where none is set."""
        if self._token is None and (found := self._load().board.token):
            self._token = found.get_secret_value().encode()
        return self._token

    def knows(self, request: Request) -> bool:
        """Whether a request comes with the token, or in a session."""
        return (token := self.token()) is not None and (_told(request, token) or _in_session(request, token))

    def need_token(self, request: Request) -> None:
        """Let only those through who have the token.

        Raises:
            ProblemError: 403 where none is set, 401 where the request has not this one.
        """
        if self.token() is None:
            raise ProblemError(403, OFF)
        if not self.knows(request):
            raise ProblemError(401, "The token of BOARD_TOKEN is missing or wrong (`make up` leaves it in .stack/env).")

    def admit(self, request: Request) -> None:
        """Let a request through where reading is open, or it may read; raises as `need_token` does."""
        if self.closed and not request.url.path.startswith(OPEN):
            self.need_token(request)


def _told(request: Request, token: bytes) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token)


def _in_session(request: Request, token: bytes) -> bool:
    end, _, proof = request.cookies.get(COOKIE, "").partition(".")
    return (
        hmac.compare_digest(proof.encode(), _proof(end, token).encode()) and end.isdecimal() and int(end) > time.time()
    )


def _proof(end: str, token: bytes) -> str:
    return hmac.digest(token, f"a session of the board until {end}".encode(), "sha256").hex()


def part(load: Callable[[], Settings]) -> Part:
    """The part."""
    access = Access(load)
    routes = APIRouter(prefix="/api")
    told = Annotated[object, Depends(HTTPBearer(auto_error=False))]  # so that /docs asks for it

    def session(known: bool) -> Session:
        return Session(actions=access.token() is not None, closed=access.closed, known=known)

    @routes.get("/session")
    def look(request: Request, _: told) -> Session:
        """What whoever asks may do."""
        return session(access.knows(request))

    @routes.post("/session", responses=REFUSED)
    def begin(request: Request, response: Response, _: told) -> Session:
        """With the token: begin a session, whose cookie stands for it for half a day, or until the browser closes."""
        access.need_token(request)
        end = str(int(time.time()) + SESSION_SECONDS)
        proof = _proof(end, access.token() or b"")
        response.set_cookie(
            COOKIE, f"{end}.{proof}", httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return session(True)

    @routes.delete("/session")
    def leave(response: Response) -> Session:
        """End the session in this browser."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return session(False)

    return Part("Access", ABOUT, routes, admit=access.admit)
