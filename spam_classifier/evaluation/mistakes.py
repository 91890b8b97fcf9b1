"""The mistakes of which a classifier was most confident."""

from collections.abc import Sequence

from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.text_tables import table_with_texts

MOST = 3


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
    wrong = (predictions.predicted != predictions.labels).nonzero().flatten()
    confidence = predictions.probabilities[wrong, predictions.predicted[wrong]]
    rows = []
    for place in wrong[confidence.argsort(descending=True, stable=True)][:MOST].tolist():
        label, predicted = int(predictions.labels[place]), int(predictions.predicted[place])
        shown, title = (1, f"P({classes[1]})") if len(classes) == 2 else (predicted, "probability")
        rows.append(
            {
                "label": classes[label],
                "predicted": classes[predicted],
                title: f"{float(predictions.probabilities[place, shown]):.4f}",
                "text": texts[int(predictions.rows[place])],
            }
        )
    return table_with_texts(rows, width) if rows else ""
