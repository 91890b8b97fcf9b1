"""Messages out of .parquet files."""

from collections.abc import Iterator
from pathlib import Path

from spam_classifier.data.records import Record, find_columns, missing_columns
from spam_classifier.errors import UserError

try:
    import pyarrow as pa
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise UserError(
        "a .parquet needs pyarrow: pip install 'spam_classifier[parquet]', or in a checkout pip install -e '.[parquet]'"
    ) from error

ROWS_AT_ONCE = 10_000


def parquet_records(path: Path, label_column: str, text_column: str) -> Iterator[Record]:
    """The messages of a .parquet, by their row; a label may be a string, an integer or a boolean.

    Raises:
        UserError: The file can't be read, lacks the columns, or they are of other types.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            yield from _records(file, str(path), label_column, text_column)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    """The refusal of a file that is no Parquet, or a damaged one."""
    reason = str(error).partition("\n")[0]
    return UserError(f"{path} cannot be read as Parquet ({reason}): write it anew")


def _records(file: "pa.parquet.ParquetFile", name: str, label_column: str, text_column: str) -> Iterator[Record]:
    schema = file.schema_arrow
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
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[label.name, text.name]):
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
