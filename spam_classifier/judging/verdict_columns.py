"""How verdicts stand beside a row's own columns, in a .csv or a .jsonl."""

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from spam_classifier.data.rows import Json, Row
from spam_classifier.evaluation.predictions import PREFIX
from spam_classifier.inference.classifier import Prediction


def verdict_columns(classes: Sequence[str]) -> list[str]:
    """The columns of a verdict: the class, its probability, each class's, the threshold, whether the text was cut."""
    return ["predicted", "probability", *(f"{PREFIX}{name}" for name in classes), "threshold", "truncated"]


def is_verdict_column(name: str) -> bool:
    """Whether verdicts have such a column, whatever the classes are."""
    return name in verdict_columns([]) or name.startswith(PREFIX)


def verdict_values(prediction: Prediction) -> list[Any]:
    """What stands in them."""
    probabilities = prediction.probabilities.values()
    return [prediction.label, prediction.probability, *probabilities, prediction.threshold, prediction.truncated]


def csv_lines(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV: strings in quotes, to the letter; whatever is no number is a string."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
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
    """Rows and their verdicts as JSON, an object on each line; ``columns`` are those of ``verdict_columns``."""
    lines = []
    for row, prediction in zip(rows, predictions, strict=True):
        pairs = zip([*row.names, *columns], [*row.values, *verdict_values(prediction)], strict=True)
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
