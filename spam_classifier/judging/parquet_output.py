"""Verdicts beside a row's own columns, in a .parquet."""

from collections.abc import Sequence
from pathlib import Path

from spam_classifier.data.parquet import pa
from spam_classifier.data.rows import Row
from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Prediction
from spam_classifier.judging.verdict_columns import verdict_columns, verdict_values


class ParquetOutput:
    """A .parquet that is written a chunk at a time, a row group for each.

    Args:
        path: The file.
        columns: The rows' own columns.
        schema: Their types; None where they are all strings.
        classes: Names of the classes in the order of their indices.
    """

    def __init__(self, path: Path, columns: Sequence[str], schema: "pa.Schema | None", classes: Sequence[str]) -> None:
        self.own = schema or pa.schema([(name, pa.string()) for name in columns])
        self.as_strings = schema is None
        kinds = [pa.string(), *[pa.float64()] * (len(classes) + 2), pa.bool_()]
        verdicts = [pa.field(name, kind) for name, kind in zip(verdict_columns(classes), kinds, strict=True)]
        self.schema = pa.schema([*(self.own.field(index) for index in range(len(self.own))), *verdicts])
        self.path = path
        self._writer = pa.parquet.ParquetWriter(path, self.schema)

    def append(self, rows: Sequence[Row], predictions: Sequence[Prediction]) -> None:
        """Write a chunk.

        Raises:
            UserError: A column can't be written as it was read.
        """
        if not rows:
            return
        table = [[*row.values, *verdict_values(own)] for row, own in zip(rows, predictions, strict=True)]
        columns = [list(column) for column in zip(*table, strict=True)]
        if self.as_strings:
            for index in range(len(self.own)):
                columns[index] = [None if value is None else str(value) for value in columns[index]]
        try:
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
            self._writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        except (pa.ArrowException, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"the input's columns can't be written as Parquet ({reason}): make --output a .csv"
            ) from error

    def close(self) -> None:
        """Write what the file ends with."""
        self._writer.close()
