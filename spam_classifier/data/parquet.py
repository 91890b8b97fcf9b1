"""Messages out of .parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spam_classifier.data.records import Record, find_columns, missing_columns
from spam_classifier.errors import UserError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise UserError(
        "a .parquet needs pyarrow: pip install 'spam_classifier[parquet]', or in a checkout pip install -e '.[parquet]'"
    ) from error

ROWS_AT_ONCE = 10_000
MOST_AT_ONCE = 2**28  # bytes of the rows that are unpacked at once
MOST_UNPACKED = 100  # times the size of a file are its texts, if they are more than MOST_AT_ONCE


def parquet_records(path: Path, label_column: str, text_column: str) -> Iterator[Record]:
    """The messages of a .parquet, by their row; a label may be a string, an integer or a boolean.

    Raises:
        UserError: The file can't be read, lacks the columns, or they are of other types.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
        yield from _records(path, schema, label_column, text_column)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise unreadable(path, error) from error


def batches(
    path: Path, schema: "pa.Schema", rows: int, columns: Sequence[str] | None = None
) -> Iterator["pa.RecordBatch"]:
    """The rows of a file, so many at a time.

    A string that repeats stands in the file once. It is repeated only after a look at how much that makes: a few
    kilobytes may stand for more than any memory holds.

    Args:
        path: The file.
        schema: Its columns' types.
        rows: Most rows of a batch.
        columns: The columns to read; default: all.

    Raises:
        UserError: The rows of a batch are larger than any texts are.
    """
    strings = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    with pa.parquet.ParquetFile(path, read_dictionary=strings) as file:
        for batch in file.iter_batches(rows, columns=columns):
            if sum(map(_unpacked, batch.columns)) > MOST_AT_ONCE:
                raise _too_large(path)
            whole = [
                column.dictionary_decode() if name in strings and pa.types.is_dictionary(column.type) else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(whole, names=batch.schema.names)


def _unpacked(column: "pa.Array") -> int:
    """Bytes of a column, those of a repeated string counted each time."""
    kind = column.type
    if pa.types.is_dictionary(kind) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    ):
        return pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
    return column.nbytes


def _too_large(path: Path) -> UserError:
    return UserError(f"{path} unpacks to far more than its size: it is no file of messages, or write it as .csv")


def unreadable(path: Path, error: Exception) -> UserError:
    """The refusal of a file that is no Parquet, or a damaged one."""
    reason = str(error).partition("\n")[0]
    return UserError(f"{path} cannot be read as Parquet ({reason}): write it anew")


def _records(path: Path, schema: "pa.Schema", label_column: str, text_column: str) -> Iterator[Record]:
    name = str(path)
    columns = find_columns(schema.names, label_column, text_column)
    if columns is None:
        raise missing_columns(name, schema.names, label_column, text_column)
    label, text = (schema.field(column) for column in columns)
    if not holds_strings(label.type):
        kind = _values(label.type)
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise UserError(f"{name}: the labels are of type {label.type}: make them strings, integers or booleans")
    if not holds_strings(text.type):
        raise UserError(f"{name}: the texts are of type {text.type}: make them strings")
    row = 0
    room = max(MOST_AT_ONCE, MOST_UNPACKED * path.stat().st_size)
    for batch in batches(path, schema, ROWS_AT_ONCE, [label.name, text.name]):
        room -= batch.nbytes
        if room < 0:
            raise _too_large(path)
        labels, texts = (batch.column(column.name).to_pylist() for column in (label, text))
        for own_label, own_text in zip(labels, texts, strict=True):
            row += 1
            yield row, _written(own_label), own_text or ""


def _values(kind: "pa.DataType") -> "pa.DataType":
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def holds_strings(kind: "pa.DataType") -> bool:
    """Whether a column of this type holds strings."""
    kind = _values(kind)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _written(label: str | int | bool | None) -> str:
    if label is None:
        return ""
    return str(label).lower() if isinstance(label, bool) else str(label)
