"""Rows of .parquet files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spam_classifier.data.parquet import batches, holds_strings, pa, unreadable
from spam_classifier.data.rows import Rejected, Row, checked_row
from spam_classifier.data.table_rows import text_column_of
from spam_classifier.errors import UserError

ROWS_AT_ONCE = 4_096
_UNDECODABLE = object()


def parquet_table(path: Path, text_column: str) -> tuple["pa.Schema", int, Iterator[Row | Rejected]]:
    """The columns of a .parquet, how many rows there are, and the rows.

    Raises:
        UserError: The file can't be read, or its texts are missing or no strings.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            schema, total = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise unreadable(path, error) from error
    column = text_column_of(str(path), schema.names, text_column)
    if not holds_strings(schema.field(column).type):
        raise UserError(f"{path}: the texts are of type {schema.field(column).type}: make them strings")
    return schema, total, _rows(path, schema, column)


def _rows(path: Path, schema: "pa.Schema", column: int) -> Iterator[Row | Rejected]:
    number = 0
    names = schema.names
    try:
        for batch in batches(path, schema, ROWS_AT_ONCE):
            for values in zip(*(_values(own) for own in batch.columns), strict=True):
                number += 1
                if any(value is _UNDECODABLE for value in values):
                    yield Rejected(number, "not UTF-8")
                else:
                    yield checked_row(number, values[column], names, values)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def _values(column: "pa.Array") -> list[Any]:
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: "pa.Scalar") -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return _UNDECODABLE
