"""The service's application: what its parts have in common.

A part brings its routes and what it does in the background. Errors of all of them have one form, problem details (RFC
9457); `/docs` describes the interface, with its scripts from a package, so that it works without the internet; what
pages are made of is served from `static`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

PROBLEM = "application/problem+json"
STATIC = Path(__file__).with_name("static")
# The page at all addresses of pages.
SHELL = STATIC / "index.html"
# Scripts and styles are files of ours, and nothing else is asked of anybody. The map draws pictures of its own (blob:).
SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # What has not changed is not sent again; what has, is seen at once.
    "Cache-Control": "no-cache",
}
# These pages come from a package, with a script in the page.
DESCRIBED = ("/docs", "/static-offline-docs")


class Problem(BaseModel):
    """Why there is no answer (RFC 9457); some say more, in fields of their own."""

    model_config = ConfigDict(extra="allow")
    title: str
    status: int
    detail: str


class ProblemError(HTTPException):
    """An answer that is none, with a sentence, and more where it helps."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:  # noqa: ANN401 - whatever JSON takes
        # Each 401 says how it is overcome.
        super().__init__(status, detail, {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None)
        self.more = more


class Part(NamedTuple):
    """A part of the service.

    Attributes:
        title, description: for people.
        routes: its answers.
        keep: runs in the background as long as the service does; None: nothing does.
        pages: first parts of addresses at which a person gets a page, whatever programs get there.
        admit: judges each request to whatever part, and raises ProblemError where it is refused; None: all are let in.
    """

    title: str
    description: str
    routes: APIRouter
    keep: Callable[[], Coroutine[Any, Any, None]] | None = None
    pages: tuple[str, ...] = ()
    admit: Callable[[Request], None] | None = None


def create(*parts: Part) -> FastAPI:
    """The service with these parts."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(part.keep()) for part in parts if part.keep]
        yield
        for task in tasks:
            task.cancel()

    description = "\n\n".join(part.description for part in parts)
    app = FastAPIOffline(title="Citystream", description=description, redoc_url=None, lifespan=lifespan)
    for part in parts:
        app.include_router(part.routes, tags=[part.title])
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    pages = {page for part in parts for page in part.pages}

    def refusal(request: Request) -> Response | None:
        try:
            if _by_another_site(request):
                raise ProblemError(403, "A page of another site asks for this, and may not.")
            for part in parts:
                if part.admit:
                    part.admit(request)
        except ProblemError as error:
            return _problem(error.status_code, str(error.detail), error.headers, error.more)
        return None

    @app.middleware("http")
    async def safe(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        is_page = request.method == "GET" and _by_a_person(request) and f"/{request.url.path.split('/')[1]}" in pages
        if is_page:
            response: Response = FileResponse(SHELL, media_type="text/html")
        else:
            response = refusal(request) or await answer(request)
        if not request.url.path.startswith(DESCRIBED):
            for name, value in SAFE.items():
                response.headers.setdefault(name, value)
        return response

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.NOT_FOUND and _by_a_person(request):
            return FileResponse(SHELL, error.status_code, media_type="text/html")  # it says so to a person
        return _problem(error.status_code, str(error.detail), error.headers, getattr(error, "more", {}))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
        return _problem(422, "; ".join(wrong))

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:  # it is in the log, too
        return _problem(500, f"the service failed: {type(error).__name__}")

    return app


def problems(described: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Which problems a route answers with, as FastAPI takes it for its description."""
    content = {PROBLEM: {"schema": Problem.model_json_schema()}}
    return {status: {"description": when, "content": content} for status, when in described.items()}


def _by_a_person(request: Request) -> bool:
    """Whether a browser asks for a page; programs ask for anything, or for JSON."""
    return "text/html" in request.headers.get("accept", "")


def _by_another_site(request: Request) -> bool:
    """Whether a page that is not ours asks for more than reading: a browser says so, and a program is no page.

    A cookie that is SameSite would still come from another port of this machine. The rule is that of Go's
    net/http.CrossOriginProtection.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return False
    if site := request.headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None
) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **(more or {}))
    return JSONResponse(problem.model_dump(mode="json"), status, headers, PROBLEM)
