"""Streams of rows: `DataStream`s of the table runtime's own binary rows (`RowData`), which Python never sees."""

from typing import Any

from pyflink.datastream import DataStream


def row_type(stream: DataStream) -> Any:  # noqa: ANN401 - a py4j object
    """The table runtime's row type of a stream of rows."""
    return stream._j_data_stream.getType().getDataType().getLogicalType()


def columns(stream: DataStream) -> dict[str, int]:
    """The columns of a stream of rows, each with its position."""
    names = row_type(stream).getFieldNames()
    return {names.get(position): position for position in range(names.size())}
