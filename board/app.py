"""The service's application: what its parts have in common.

A part brings its routes and what it does in the background. Errors of all of them have one form, problem details (RFC
9457); `/` says in a small page what there is; `/docs` describes the interface, with its scripts from a package, so that
both work without the internet.
"""

import asyncio
import contextlib
import html
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

PROBLEM = "application/problem+json"
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Citystream</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}</style>
<h1>Citystream</h1>
{parts}
<p><a href="docs">The interface, described and to be tried</a>;
for programs <a href="openapi.json">openapi.json</a>.</p>
</html>
"""


class Problem(BaseModel):
    """Why there is no answer (RFC 9457); some say more, in fields of their own."""

    model_config = ConfigDict(extra="allow")
    title: str
    status: int
    detail: str


class ProblemError(HTTPException):
    """An answer that is none, with a sentence, and more where it helps."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:  # noqa: ANN401 - whatever JSON takes
        super().__init__(status, detail)
        self.more = more


class Part(NamedTuple):
    """A part of the service.

    Attributes:
        title, description: for people.
        links: what to look at first: addresses, without the first slash, and what is there.
        routes: its answers.
        keep: runs in the background as long as the service does; None: nothing does.
    """

    title: str
    description: str
    links: Mapping[str, str]
    routes: APIRouter
    keep: Callable[[], Coroutine[Any, Any, None]] | None = None


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
    page = PAGE.format(parts="\n".join(_shown(part) for part in parts))

    @app.get("/", include_in_schema=False)
    async def start() -> HTMLResponse:
        return HTMLResponse(page)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
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


def _problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None
) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **(more or {}))
    return JSONResponse(problem.model_dump(mode="json"), status, headers, PROBLEM)


def _shown(part: Part) -> str:
    links = "".join(
        f'<li><a href="{html.escape(address)}">{html.escape(text)}</a></li>' for address, text in part.links.items()
    )
    return f"<h2>{html.escape(part.title)}</h2>\n<p>{html.escape(part.description)}</p>\n<ul>{links}</ul>"
