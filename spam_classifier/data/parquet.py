"""Rows of .parquet files."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spam_classifier import hints
from spam_classifier.data.columns import Layout, find_columns, say_columns
from spam_classifier.data.rows import BLANK_ROWS, Input, Notes, Rejected, Rows, Source, checked_row, is_blank
from spam_classifier.errors import UserError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise UserError(f"a .parquet needs pyarrow: {hints.install('parquet')}") from error

ROWS_AT_ONCE = 4_096
MOST_AT_ONCE = 2**28  # bytes of the rows that are unpacked at once
MOST_UNPACKED = 100  # times the size of the file: the texts of a corpus, if they are more than MOST_AT_ONCE
_UNDECODABLE = object()


def parquet_table(source: Source, layout: Layout) -> Input:
    """The rows of a .parquet; a label may be a string, a number or a boolean.

    Labels that the ``datasets`` library wrote as numbers get the names that it keeps in the file.
    """
    with _readable(source):
        with source.open() as opened, pa.parquet.ParquetFile(opened) as file:
            schema, total = file.schema_arrow, file.metadata.num_rows
        names = schema.names
        columns = find_columns(source.name, [names], layout, headed=True)
    notes = Notes()
    say_columns(notes, names, columns, layout)
    texts, label = columns.text, columns.label
    for text in texts:
        if not _holds_strings(schema.field(text).type):
            kind = schema.field(text).type
            raise UserError(f"{source.name}: the texts in {names[text]!r} are of type {kind}: make them strings")
    if label is None:
        rows = _rows(source, schema, names, (texts, None), [], notes)
        return Input(source.name, "row", names, rows, total, notes=notes)
    kind = schema.field(label).type
    if not _holds_labels(kind):
        raise UserError(f"{source.name}: the labels are of type {kind}: make them strings, numbers or booleans")
    class_names = _class_names(schema, names[label])
    if class_names:
        notes.assume(f"labels named as the file says: {', '.join(class_names)}")
    names = [*(names[text] for text in texts), names[label]]  # nothing else is used in training
    places = (tuple(range(len(texts))), len(texts))
    rows = _rows(source, schema, names, places, class_names, notes)
    return Input(source.name, "row", names, rows, total, notes=notes)


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    """The names of the classes 0, 1, ... of a column, as the ``datasets`` library keeps them; empty without any."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    """Refuse a file that is no Parquet, or a damaged one."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{source.name} cannot be read as Parquet ({reason}): write it again") from error


def _rows(
    source: Source,
    schema: "pa.Schema",
    names: Sequence[str],
    columns: tuple[tuple[int, ...], int | None],
    class_names: Sequence[str],
    notes: Notes,
) -> Rows:
    texts, label = columns
    place, size = 0, 0
    with _readable(source), source.open() as file:
        most = max(MOST_AT_ONCE, MOST_UNPACKED * file.seek(0, io.SEEK_END))
        for batch in _batches(source, file, schema, None if label is None else names):
            size += batch.nbytes
            if label is not None and size > most:  # in training all of them are held
                raise _too_large(source)
            for values in zip(*map(_values, batch.columns), strict=True):
                place += 1
                if any(value is _UNDECODABLE for value in values):
                    yield Rejected(place, "not UTF-8")
                elif all(map(is_blank, values)):
                    notes.count(BLANK_ROWS)
                else:
                    own_label = None if label is None else _written(values[label], class_names)
                    yield checked_row(place, _text(values, texts), names, values, own_label)


def _batches(
    source: Source, file: Any, schema: "pa.Schema", columns: Sequence[str] | None
) -> Iterator["pa.RecordBatch"]:
    """The rows, ROWS_AT_ONCE at a time, of these columns in their order, or of all.

    A string that repeats is stored once. It is repeated here only after a look at the size that this makes: a few
    kilobytes may unpack to more than any memory holds.
    """
    strings = [field.name for field in schema if _is_string(field.type)]
    for batch in pa.parquet.ParquetFile(file, read_dictionary=strings).iter_batches(ROWS_AT_ONCE, columns=columns):
        if columns is not None:
            batch = batch.select(columns)
        if sum(map(_unpacked, batch.columns)) > MOST_AT_ONCE:
            raise _too_large(source)
        whole = [
            column.dictionary_decode() if name in strings and pa.types.is_dictionary(column.type) else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(whole, names=batch.schema.names)


def _unpacked(column: "pa.Array") -> int:
    """Bytes of a column, those of a repeated string counted each time."""
    if pa.types.is_dictionary(column.type) and _is_string(column.type.value_type):
        return pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
    return column.nbytes


def _too_large(source: Source) -> UserError:
    return UserError(f"{source.name} unpacks to far more than its size: it is no file of messages, or write it as .csv")


def _is_string(kind: "pa.DataType") -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _holds_strings(kind: "pa.DataType") -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return _is_string(kind) or pa.types.is_string_view(kind)


def _holds_labels(kind: "pa.DataType") -> bool:
    own = kind.value_type if pa.types.is_dictionary(kind) else kind
    numbers = pa.types.is_integer(own) or pa.types.is_floating(own)
    return _holds_strings(kind) or numbers or pa.types.is_boolean(own)


def _text(values: Sequence[Any], texts: tuple[int, ...]) -> Any:
    if len(texts) == 1:
        return values[texts[0]]
    return "\n".join(text for place in texts if not is_blank(text := values[place]))


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


def _written(label: str | int | float | bool | None, class_names: Sequence[str]) -> str:
    if label is None:
        return ""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, int) and 0 <= label < len(class_names):
        return class_names[label]
    return str(label)
