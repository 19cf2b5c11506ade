"""What comes back of a batch: its columns, its sheets, and a row for each row of the file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from generators.coordinates.cells import Cell

# The columns of results, behind the original ones.
COLUMNS = ("lon", "lat", "address", "region", "legal_code", "status", "error")
DONE, WAITING, FAILED, UNSEEN = "done", "waiting", "failed", "not yet converted"


class Result(NamedTuple):
    """A row: its number and cells as they were in the file, and what was found.

    Attributes:
        status: `done`; `waiting` for its address; `failed`; or `not yet converted`.
        error: why it failed, or why there is no address.
    """

    number: int
    cells: Sequence[Cell]
    lon: float | None
    lat: float | None
    address: str | None
    region: str | None
    legal_code: str | None
    status: str
    error: str | None

    @property
    def found(self) -> tuple[Cell, ...]:
        """The values of `COLUMNS`."""
        return self[2:]


@dataclass(frozen=True)
class Batch:
    """A batch and how far it is.

    Attributes:
        about: what a person wants to know of it, for the summary.
        header: the names of the original columns.
        sheets: each key with how many rows it has, in the order of the file.
        rows: the rows of a key, in the order of the file.
        counts: rows by status.
    """

    batch_id: str
    about: Sequence[tuple[str, str]]
    header: Sequence[str]
    sheets: Sequence[tuple[str, int]]
    rows: Callable[[str], Iterator[Result]]
    counts: dict[str, int]

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will come."""
        return not (self.counts.get(WAITING) or self.counts.get(UNSEEN))
