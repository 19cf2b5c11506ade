"""The city board: its pages, what they show live, and the rows they ask for.

A page is `static/index.html` at every address that a page has, for who asks for HTML: the browser takes the page's
module from the address, and programs get at some of them what the page shows.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Header
from fastapi.responses import FileResponse, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from board import live, operations, prometheus, tables
from board.app import Part
from board.database import Database, Row
from board.gazetteer import places
from board.live import Feed, Look, Section, Sections
from board.tables import Json
from board.view import Query, views
from conf.city.places import BOUNDARIES_FILE, complexes, districts
from conf.settings import Settings

# Pages of no single stream; a stream's own are in its view.
PAGES = ("/", "/regions", "/complexes", "/operations", "/letters")
OPEN = ("localhost", "127.0.0.1", "::1")
# A viewer that takes nothing for so long is let go.
PATIENCE_SECONDS = 20
ABOUT = (
    "The city board: what pages show. `/api/live` sends `snapshot` once and `change` from then on; "
    "lists are sorted, filtered and paged by parameters, and each is also a CSV file."
)


class LiveResponse(StreamingResponse):
    """A stream of events that waits for a slow viewer, but not for ever."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the viewer has gone, or takes nothing any more."""

        async def patient(message: Message) -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, patient)
        except (TimeoutError, ClientDisconnect):
            return


def part(load: Callable[[], Settings]) -> Part:
    """The part; settings are read anew for each connection, since the stack's addresses may come after the service."""
    database, brought = Database(load), views()

    def section(query: Query) -> Section:
        def read(seconds: float) -> list[Row]:
            return database.rows(query.sql, {"seconds": seconds})

        return Section(read, query.every, query.key, query.window, query.edge, query.keep, query.order)

    of_streams = [{name: section(query) for name, query in view.sections.items()} for view in brought.values()]
    looks = [
        Look("postgres", live.of([*of_streams, operations.quotas(database)])),
        Look("flink", operations.flink(load)),
        Look("elasticsearch", operations.documents(load)),
        Look("prometheus", prometheus.sections(load)),
    ]
    sections = Sections(live.of([look.sections for look in looks]))
    feed = Feed(sections.all)

    async def keep() -> None:
        async with asyncio.TaskGroup() as tasks:
            for look in looks:
                tasks.create_task(live.watch(look, sections, feed))

    routes = APIRouter()
    api = APIRouter(prefix="/api")

    @api.get("/board", response_class=Json)
    def board() -> Json:
        """What there is to show: streams with a view, their pages, and the city's time zone."""
        settings = load()
        # An address that only other containers know leads nobody anywhere.
        pages = {"flink": settings.flink.url, "kibana": settings.kibana.url}
        return Json(
            {
                "streams": list(brought),
                "pages": [page for view in brought.values() for page in view.pages],
                "time_zone": settings.time_zone,
                "sections": {look.server: list(look.sections) for look in looks},
                "links": {name: url for name, url in pages.items() if urlsplit(url).hostname in OPEN},
            }
        )

    @api.get("/boundaries", response_class=FileResponse)
    def boundaries() -> FileResponse:
        """The districts' boundaries, as GeoJSON."""
        return FileResponse(BOUNDARIES_FILE, media_type="application/geo+json")

    @api.get("/places", response_class=Json)
    def all_places() -> Json:
        """Districts, complexes and venues: where they are, and what they are called."""
        return Json(places(database.rows))

    @api.get("/live", response_class=LiveResponse)
    async def look_on(last_event_id: Annotated[str | None, Header()] = None) -> LiveResponse:
        """Changes as they come; with the header Last-Event-ID, from there on."""
        return LiveResponse(_paced(feed, last_event_id))

    routes.include_router(api)
    routes.include_router(operations.routes(load))
    # Last: its addresses have any names.
    routes.include_router(tables.routes(brought, database.rows, _known, lambda: ZoneInfo(load().time_zone)))
    addresses = (*PAGES, *(page for view in brought.values() for page in view.pages))
    return Part("Board", ABOUT, routes, keep, addresses)


async def _paced(feed: Feed, last_id: str | None) -> AsyncIterator[bytes]:
    # Whoever is cut off comes back after this time.
    yield b"retry: 2000\n\n"
    async for message in feed.messages(last_id):
        yield message


def _known(subject: str, id: str) -> bool:
    known: dict[str, Any] = {
        "regions": {each.code for each in districts()},
        "complexes": {each.complex_id for each in complexes()},
    }
    return id in known.get(subject, ())
