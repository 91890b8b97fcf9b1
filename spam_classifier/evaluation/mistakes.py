"""The mistakes of which a classifier was most confident."""

from collections.abc import Sequence

from spam_classifier.errors import escape_control
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.text_tables import aligned_table, shortened

MOST = 3
NARROWEST = 20  # columns of a text, at least


def mistakes_table(predictions: Predictions, texts: Sequence[str], classes: Sequence[str], width: int) -> str:
    """The most confident mistakes on a split, for a terminal: texts are cut to its width, control characters escaped.

    Args:
        predictions: Those of the split.
        texts: The split's messages, in its order.
        classes: The names of the classes, in the order of their indices.
        width: Columns of the terminal.

    Returns:
        A table of label, predicted label, probability (of the second of two classes, else of the predicted one) and
        text; "" without a mistake.
    """
    names = [escape_control(name) for name in classes]
    wrong = (predictions.predicted != predictions.labels).nonzero().flatten()
    confidence = predictions.probabilities[wrong, predictions.predicted[wrong]]
    rows = []
    for place in wrong[confidence.argsort(descending=True, stable=True)][:MOST].tolist():
        label, predicted = int(predictions.labels[place]), int(predictions.predicted[place])
        shown, title = (1, f"P({names[1]})") if len(names) == 2 else (predicted, "probability")
        rows.append(
            {
                "label": names[label],
                "predicted": names[predicted],
                title: f"{float(predictions.probabilities[place, shown]):.4f}",
                "text": texts[int(predictions.rows[place])],
            }
        )
    if not rows:
        return ""
    taken = len(aligned_table({**row, "text": ""} for row in rows).partition("\n")[0])
    room = max(NARROWEST, width - taken - 3)
    return aligned_table({**row, "text": shortened(escape_control(row["text"][: 4 * room]), room)} for row in rows)
