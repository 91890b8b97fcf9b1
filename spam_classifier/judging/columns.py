"""The columns that a prediction adds to a row, and rows with them as CSV and JSON lines."""

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from spam_classifier.data.rows import Json, Row
from spam_classifier.inference.classifier import Prediction

PREFIX = "probability_"  # as in a run's own predictions


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """The label, the probability of a Prediction, that of each class, the threshold, and whether the text was cut."""
    return ["predicted", "probability", *(f"{PREFIX}{name}" for name in classes), "threshold", "truncated"]


def is_prediction_column(name: str) -> bool:
    """Whether predictions add such a column, whatever the classes are."""
    return name in prediction_columns([]) or name.startswith(PREFIX)


def with_prediction(row: Row, prediction: Prediction) -> list[Any]:
    """The values of a row, and of ``prediction_columns``."""
    probabilities = prediction.probabilities.values()
    own = [prediction.label, prediction.probability, *probabilities, prediction.threshold, prediction.truncated]
    return [*row.values, *own]


def csv_lines(rows: Sequence[Sequence[Any]], separator: str = ",") -> str:
    """Rows as CSV: strings in quotes, exactly as they are; whatever is not a number is a string."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return written.getvalue()


def _csv_cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


def json_lines(rows: Sequence[Row], predictions: Sequence[Prediction], columns: Sequence[str]) -> str:
    """Rows with their predictions, a JSON object on each line; ``columns`` are the ``prediction_columns``."""
    lines = []
    for row, prediction in zip(rows, predictions, strict=True):
        pairs = zip([*row.names, *columns], with_prediction(row, prediction), strict=True)
        members = (f"{json.dumps(name, ensure_ascii=False)}: {_json_cell(value)}" for name, value in pairs)
        lines.append(f"{{{', '.join(members)}}}\n")
    return "".join(lines)


def _json_cell(value: Any) -> str:
    if isinstance(value, Json):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:  # infinite inside a list
        return json.dumps(str(value), ensure_ascii=False)
