"""Rows with their predictions in a .parquet."""

from collections.abc import Sequence
from pathlib import Path

from spam_classifier.data.parquet import pa
from spam_classifier.data.rows import Row
from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Prediction
from spam_classifier.judging.columns import prediction_columns, with_prediction


class ParquetOutput:
    """A .parquet that grows by a row group for each chunk; without a schema, all columns of the rows are strings."""

    def __init__(self, path: Path, columns: Sequence[str], schema: "pa.Schema | None", classes: Sequence[str]) -> None:
        own = schema or pa.schema([(name, pa.string()) for name in columns])
        self.as_strings = len(own) if schema is None else 0  # so many columns are written as strings
        kinds = [pa.string(), *[pa.float64()] * (len(classes) + 2), pa.bool_()]
        self.schema = pa.schema([*own, *map(pa.field, prediction_columns(classes), kinds)])
        self._writer = pa.parquet.ParquetWriter(path, self.schema)

    def append(self, rows: Sequence[Row], predictions: Sequence[Prediction]) -> None:
        """Write a chunk; refuses a column that can't be written as it was read."""
        if not rows:
            return
        columns = [list(column) for column in zip(*map(with_prediction, rows, predictions), strict=True)]
        for index in range(self.as_strings):
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
        """Write the end of the file."""
        self._writer.close()
