"""Rows for pages and programs: lists that the database sorts and pages, and all about one thing; each also as CSV."""

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime, BeforeValidator, Strict
from pydantic_core import to_json

from board.app import ProblemError, problems
from board.database import MissingError, Row
from board.view import Listing, View
from sinks.errors import NotReadyError

MOST_ROWS = 500
# Further than so many rows nobody pages; a file has at most so many.
FARTHEST = 10_000
CSV_ROWS = 50_000
_LINES_AT_ONCE = 1_000
EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

# What is a time with no offset is no day.
Day = Annotated[date, Strict()]
Rows = Callable[[str, Mapping[str, Any]], list[Row]]


class Json(Response):
    """Rows as JSON: times with their offset, numbers as numbers."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The bytes."""
        return to_json(content)


def sql_of(
    listing: Listing,
    *,
    sort: str,
    descending: bool,
    filters: Iterable[str],
    search: bool,
) -> str:
    """The query of a page of a listing.

    Its parameters are `from`, `to`, `q`, `limit`, `offset` and each filter's value under `f_<column>`.

    Raises:
        ValueError: a column is none of the listing's, or not to be asked for.
    """
    filters = list(filters)
    for column, known in [(sort, listing.columns), *((name, listing.filters) for name in filters)]:
        if column not in known:
            message = f"there is no column {column} to ask for: {', '.join(known)}"
            raise ValueError(message)
    conditions = [f"{column} = %(f_{column})s" for column in filters]
    if listing.time:
        conditions.append(f"{listing.time} >= %(from)s AND {listing.time} < %(to)s")
    if search and listing.search:
        # What is looked for is text, not a pattern.
        found = " OR ".join(f"position(lower(%(q)s) IN lower({column})) > 0" for column in listing.search)
        conditions.append(f"({found})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = f"{sort} {'DESC NULLS LAST' if descending else 'ASC NULLS LAST'}"
    keys = "".join(f", {column}" for column in listing.key if column != sort)
    return (
        f"SELECT {', '.join(listing.columns)} FROM {listing.source}{where}"  # noqa: S608 - names of our own
        f" ORDER BY {order}{keys} LIMIT %(limit)s OFFSET %(offset)s"
    )


def window(listing: Listing, begin: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The range of times that is read.

    Raises:
        ValueError: it is longer than the listing allows.
    """
    if listing.default_hours is None:
        return begin or EVER[0], end or EVER[1]
    end = end or (begin + timedelta(hours=listing.default_hours) if begin else now + timedelta(minutes=1))
    begin = begin or end - timedelta(hours=listing.default_hours)
    if listing.most_hours is not None and end - begin > timedelta(hours=listing.most_hours, minutes=1):
        message = f"from and to are more than {listing.most_hours:g} h apart: ask for a shorter time"
        raise ValueError(message)
    return begin, end


def as_csv(rows: Iterable[Row], columns: Iterable[str]) -> Iterator[str]:
    """Rows as CSV, line by line; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    columns = list(columns)
    line = io.StringIO()
    writer = csv.writer(line)
    for cells in ([*columns], *([row[column] for column in columns] for row in rows)):
        writer.writerow([_cell(cell) for cell in cells])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _cell(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _iso_day(value: object) -> object:
    return value or None


def _day_or_time(value: object) -> object:
    with contextlib.suppress(ValueError):
        return date.fromisoformat(str(value))
    return value or None


def moment(given: datetime | date | None, zone: Callable[[], tzinfo], *, after: bool = False) -> datetime | None:
    """A time as it is; a day's beginning, or, for the end of a range, what comes right after the day."""
    if given is None or isinstance(given, datetime):
        return given
    return datetime.combine(given + timedelta(days=after), time.min, zone())


def routes(
    views: Mapping[str, View], rows: Rows, known: Callable[[str, str], bool], zone: Callable[[], tzinfo]
) -> APIRouter:
    """The answers.

    Args:
        views: what the streams bring.
        rows: runs a query.
        known: whether a thing of a kind (`regions`, `27260`) is known, even where no table has a row of it.
        zone: whose days are meant.
    """
    router = APIRouter(prefix="/api")
    listings = {name: listing for view in views.values() for name, listing in view.listings.items()}
    subjects: dict[str, dict[str, str]] = {}
    for view in views.values():
        for subject, queries in view.details.items():
            subjects.setdefault(subject, {}).update(queries)
    away = problems({404: "there is none of this name", 422: "a value that can't be", 503: "the database is away"})

    def asked(query: str, parameters: Mapping[str, Any]) -> list[Row]:
        try:
            return rows(query, parameters)
        except NotReadyError as error:
            raise ProblemError(503, str(error)) from None

    def page(
        name: str,
        request: Request,
        sort: str | None,
        descending: bool,
        q: str,
        begin: datetime | date | None,
        end: datetime | date | None,
        limit: int,
        offset: int,
    ) -> tuple[Listing, list[Row], datetime, datetime]:
        if (listing := listings.get(name)) is None:
            raise ProblemError(404, f"there is no list {name}; there are {', '.join(sorted(listings)) or 'none yet'}")
        filters = {column: request.query_params[column] for column in listing.filters if column in request.query_params}
        try:
            since, until = window(listing, moment(begin, zone), moment(end, zone, after=True), datetime.now(UTC))
            query = sql_of(listing, sort=sort or listing.order, descending=descending, filters=filters, search=bool(q))
        except (ValueError, OverflowError) as error:
            raise ProblemError(422, str(error)) from None
        parameters = {"from": since, "to": until, "q": q, "limit": limit, "offset": offset}
        parameters |= {f"f_{column}": value for column, value in filters.items()}
        return listing, asked(query, {key: _clean(value) for key, value in parameters.items()}), since, until

    Sort = Annotated[str | None, Query(description="a column; default: the list's own")]
    Descending = Annotated[bool, Query()]
    Search = Annotated[str, Query(max_length=200, description="a part of a text")]
    told = "a time with its offset, or a day, 2026-11-21"
    From = Annotated[AwareDatetime | Day | None, BeforeValidator(_day_or_time), Query(alias="from", description=told)]
    To = Annotated[AwareDatetime | Day | None, BeforeValidator(_day_or_time), Query(alias="to", description=told)]

    @router.get("/lists/{name}.csv", responses=away, response_class=Response)
    def listed_csv(
        name: str,
        request: Request,
        sort: Sort = None,
        descending: Descending = True,
        q: Search = "",
        begin: From = None,
        end: To = None,
    ) -> StreamingResponse:
        """A list as CSV: at most 50,000 rows."""
        listing, found, _, _ = page(name, request, sort, descending, q, begin, end, CSV_ROWS, 0)
        return _file(name, as_csv(found, listing.columns))

    @router.get("/lists/{name}", responses=away, response_class=Json)
    def listed(
        name: str,
        request: Request,
        sort: Sort = None,
        descending: Descending = True,
        q: Search = "",
        begin: From = None,
        end: To = None,
        size: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
        offset: Annotated[int, Query(ge=0, le=FARTHEST)] = 0,
    ) -> Json:
        """A page of a list; a parameter with the name of a column that may be filtered asks for that value."""
        listing, found, since, until = page(name, request, sort, descending, q, begin, end, size + 1, offset)
        return Json(
            {
                "columns": listing.columns,
                "filters": listing.filters,
                "sort": sort or listing.order,
                "time": listing.time,
                "from": since,
                "to": until,
                "rows": found[:size],
                "more": len(found) > size and offset + size <= FARTHEST,
                "at": datetime.now(UTC),
            }
        )

    def about(subject: str, id: str, begin: date | None, end: date | None, names: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            try:
                found[name] = asked_or_missing(subjects[subject][name], {"id": _clean(id), "from": begin, "to": end})
            except MissingError:
                found[name] = None
        return found

    def asked_or_missing(query: str, parameters: Mapping[str, Any]) -> list[Row]:
        try:
            return rows(query, parameters)
        except MissingError:
            raise
        except NotReadyError as error:
            raise ProblemError(503, str(error)) from None

    FromDay = Annotated[date | None, BeforeValidator(_iso_day), Query(alias="from", description="a day, 2026-11-21")]
    ToDay = Annotated[date | None, BeforeValidator(_iso_day), Query(alias="to")]

    @router.get("/{subject}/{id}/{name}.csv", responses=away, response_class=Response)
    def part_csv(subject: str, id: str, name: str, begin: FromDay = None, end: ToDay = None) -> StreamingResponse:
        """Rows about one thing as CSV."""
        if name not in subjects.get(subject, {}):
            raise ProblemError(404, f"nothing is called {name} of {subject}")
        found = about(subject, id, begin, end, [name])[name]
        return _file(f"{subject}-{name}", as_csv(found or [], (found or [{}])[0]))

    @router.get("/{subject}/{id}", responses=away, response_class=Json)
    def all_about(subject: str, id: str, begin: FromDay = None, end: ToDay = None) -> Json:
        """Everything about one thing: rows by what they tell; null where a table is not there."""
        if subject not in subjects:
            raise ProblemError(404, f"nothing is known of {subject}; there are {', '.join(sorted(subjects))}")
        found = about(subject, id, begin, end, subjects[subject])
        if not any(found.values()) and not known(subject, id):
            raise ProblemError(404, f"nothing is known of {id} among {subject}")
        return Json({"id": id, "at": datetime.now(UTC), "parts": found})

    return router


def _clean(value: object) -> object:
    """A text without NUL, which PostgreSQL takes for no text."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _file(name: str, lines: Iterator[str]) -> StreamingResponse:
    def parts() -> Iterator[str]:
        yield "\ufeff"  # tells spreadsheets that it is UTF-8
        while many := "".join(islice(lines, _LINES_AT_ONCE)):  # each part is a way through a thread and back
            yield many

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(parts(), media_type="text/csv; charset=utf-8", headers=headers)
