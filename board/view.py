"""What a stream brings to the board: rows that pages show live, rows about one thing, and lists of things.

All of it is SQL over the stream's tables, as data: `board/views/<stream>.py` has a `VIEW`, and its front end is
`board/static/streams/<stream>.js`. A view whose tables are not there yet shows nothing and breaks nothing.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field

from conf.streams import STREAMS


@dataclass(frozen=True)
class Query:
    """A section's rows: see `board.live.Section`; `%(seconds)s` in the SQL is how far back to read."""

    sql: str
    every: float = 1
    key: str | None = None
    order: str = ""
    window: float = 0
    edge: float = 0
    keep: int = 0


@dataclass(frozen=True)
class Listing:
    """A list that is sorted, filtered and paged by the database, and given as CSV.

    Attributes:
        source: what stands after FROM; `%(from)s` and `%(to)s` may stand in it, times or null.
        columns: their names.
        order: the column that it is sorted by first, greatest first.
        key: columns that tell rows apart, which settle the order of equals.
        filters: columns that a value may be asked of.
        search: columns that a part of a text may be asked of.
        time: the column of the range of times.
        default_hours: how long a range is where none is asked for; None: all times.
    most_hours: how long a range is at most: a ledger is long.
    """

    source: str
    columns: tuple[str, ...]
    order: str
    key: tuple[str, ...]
    filters: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    time: str | None = None
    default_hours: float | None = 24
    most_hours: float | None = None


@dataclass(frozen=True)
class View:
    """What a stream brings.

    Attributes:
        sections: live rows, by name.
        details: by what they are about (`regions`, `complexes`, `shows`, ...) and by name, queries of the rows about
            one; `%(id)s` is whose, `%(from)s` and `%(to)s` are days or null.
        listings: lists, by name.
        pages: addresses of the stream's own pages, such as `/shows`, and what they are called in the dictionaries;
            each page is the module of its name in `board/static/pages`.
    """

    sections: Mapping[str, Query] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    listings: Mapping[str, Listing] = field(default_factory=dict)
    pages: tuple[str, ...] = ()


def views() -> dict[str, View]:
    """The views of the streams that have one, in the streams' order."""
    return {
        name: importlib.import_module(f"board.views.{name}").VIEW
        for name in STREAMS
        if importlib.util.find_spec(f"board.views.{name}")
    }
