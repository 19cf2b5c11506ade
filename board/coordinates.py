"""Files of points: `POST /coordinates` takes one, `GET /coordinates/BATCH.xlsx` gives back what was found.

The same as `python -m generators.coordinates`, over HTTP: a file is checked before anything of it is sent, and the same
file again resumes the same batch. Whoever may reach the service may do both.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from board.app import Part, ProblemError, problems
from conf.settings import Settings
from generators.brokers import GeneratorError
from generators.coordinates import batches
from generators.coordinates.batches import Progress
from generators.coordinates.checking import Check, DoubtError, Options
from generators.coordinates.exporting import ENDINGS, export
from generators.coordinates.reading import MOST_BYTES, FileError, read
from generators.coordinates.sending import checked, send
from sinks.errors import NotReadyError

# Files that are read or written at the same time; others wait.
AT_ONCE = 2
ABOUT = (
    "Points of a CSV or XLSX file to WGS84 positions, regions and addresses, and back as a workbook with a sheet per "
    "key. The file is the request's body, as in `curl --data-binary @points.csv`."
)


class Uploaded(BaseModel):
    """What became of a file."""

    batch_id: str
    rows: int = Field(description="all that were sent, or had been before")
    good: int
    bad: int
    examples: list[str] = Field(description="some of the bad rows, and what is wrong with them")
    result: str = Field(description="where the workbook is, at any time")


class Far(BaseModel):
    """How far a batch is."""

    batch_id: str
    rows: int
    done: int
    waiting: int = Field(description="rows with a position and a region, whose address is to come")
    failed: int
    unseen: int = Field(description="rows not yet converted")
    estimated_end: str | None


def part(load: Callable[[], Settings]) -> Part:
    """The part; settings are read at each request, since the stack's addresses may come after the service."""
    routes, turn = APIRouter(), asyncio.Semaphore(AT_ONCE)

    async def in_turn(work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - whatever the work gives
        async with turn:
            return await run_in_threadpool(_answered, work, *arguments)

    @routes.post(
        "/coordinates",
        status_code=202,
        responses=problems({413: "the file is too large", 422: "the file can't be used", 503: "a server is away"}),
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}, "required": True}},
    )
    async def upload(
        request: Request,
        crs: Annotated[str, Query(description="EPSG:5174 or another that PROJ knows, KATEC, WTM, WCONGNAMUL, or auto")],
        name: Annotated[str, Query(description="the file's name, for the summary", max_length=200)] = "points",
        x: Annotated[str | None, Query(description="the column of x, longitude or easting")] = None,
        y: Annotated[str | None, Query(description="the column of y, latitude or northing")] = None,
        sheet_by: Annotated[str | None, Query(description="each value of this column becomes a sheet")] = None,
        anyway: Annotated[bool, Query(description="send points even where they are hardly in that system")] = False,
    ) -> Uploaded:
        """Check a file and send its rows; with `crs=auto` the likely systems are proposed, and nothing is sent."""
        with tempfile.TemporaryDirectory(prefix="citystream-") as folder:
            path = Path(folder) / _file_name(name)
            await _received(request.stream(), path)
            found: Uploaded = await in_turn(_upload, load, path, Options(crs, x, y, sheet_by), anyway)
        return found

    @routes.get("/coordinates/{batch_id}", responses=problems({404: "there is no such batch", 503: "a server is away"}))
    async def far(batch_id: str) -> Far:
        """How far a batch is."""
        found: Progress = await in_turn(_progress, load, batch_id)
        end = found.estimated_end and found.estimated_end.isoformat(timespec="seconds")
        return Far(batch_id=batch_id, **{**found._asdict(), "estimated_end": end})

    def result(ending: str) -> None:
        @routes.get(
            f"/coordinates/{{batch_id}}{ending}",
            response_class=FileResponse,
            responses=problems({404: "there is no such batch", 503: "a server is away"}),
        )
        async def file(batch_id: str) -> FileResponse:
            """What was found so far; the workbook's summary says whether more is to come."""
            folder = tempfile.TemporaryDirectory(prefix="citystream-")
            path = Path(folder.name) / f"result{ending}"
            try:
                await in_turn(_export, load, batch_id, path)
            except BaseException:
                folder.cleanup()
                raise
            return FileResponse(path, filename=f"{batch_id}{ending}", background=BackgroundTask(folder.cleanup))

    for ending in ENDINGS:
        result(ending)
    # Endings first: `b1.xlsx` is no batch's id.
    routes.routes.sort(key=lambda route: getattr(route, "path", "").endswith("{batch_id}"))
    return Part("Coordinates", ABOUT, routes)


def _file_name(name: str) -> str:
    """The last part of a name, as a name of one file here."""
    last = PurePosixPath(name.replace("\0", "").replace("\\", "/")).name
    return last.encode()[:200].decode(errors="ignore") if last.strip(".") else "points"


async def _received(chunks: AsyncIterator[bytes], path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > MOST_BYTES:
                raise ProblemError(413, f"the file has more than {MOST_BYTES >> 20:,} MB: split it")
            file.write(chunk)


def _answered(work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - whatever the work gives
    try:
        return work(*arguments)
    except DoubtError as error:
        raise ProblemError(422, str(error), proposals=[each._asdict() for each in error.proposals]) from None
    except FileError as error:
        raise ProblemError(422, str(error)) from None
    except (GeneratorError, NotReadyError) as error:
        raise ProblemError(503, str(error)) from None


def _upload(load: Callable[[], Settings], path: Path, options: Options, anyway: bool) -> Uploaded:
    table = read(path)
    found: Check = checked(table, options, anyway=anyway, say=_nobody)
    batch_id = send(table, options, found, load(), _nobody)
    return Uploaded(
        batch_id=batch_id,
        rows=found.rows,
        good=found.good,
        bad=found.rows - found.good,
        examples=found.examples,
        result=f"/coordinates/{batch_id}.xlsx",
    )


def _progress(load: Callable[[], Settings], batch_id: str) -> Progress:
    try:
        return batches.progress(load(), batch_id)
    except FileError as error:
        raise ProblemError(404, str(error)) from None


def _export(load: Callable[[], Settings], batch_id: str, path: Path) -> None:
    _progress(load, batch_id)
    with batches.opened(load(), batch_id) as batch:
        export(batch, path)


def _nobody(_: str) -> None:
    """Whom a request's checks are told: the answer says it all."""
