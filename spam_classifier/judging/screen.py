"""Predictions on a terminal. Texts may be hostile: their control characters are printed as escapes."""

import shutil
from collections.abc import Sequence
from typing import TextIO

from spam_classifier.data.rows import Rejected, Row
from spam_classifier.errors import escape_control
from spam_classifier.evaluation.text_tables import shortened
from spam_classifier.inference.classifier import Prediction
from spam_classifier.judging.abstain import UNSURE
from spam_classifier.judging.output import Tally

NARROWEST = 20  # columns of a text, at least


class Screen:
    """A table on a terminal, cut to its width; elsewhere label, probability and text, separated by tabs.

    The probability is that of the second class where there are two, else that of the label. Instead of a label that is
    not given stands ``unsure``.
    """

    def __init__(self, stream: TextIO, classes: Sequence[str], *, abstains: bool = False) -> None:
        self.stream = stream
        self.width = shutil.get_terminal_size().columns if stream.isatty() else None
        names = [*classes, UNSURE] if abstains else classes
        self.label_width = max(len("label"), *(len(escape_control(name)) for name in names))
        self.probability = f"P({escape_control(classes[1])})" if len(classes) == 2 else "probability"
        self.probability_width = max(len(self.probability), len("0.0000"))
        if self.width:
            print(f"{'label':<{self.label_width}}  {self.probability:>{self.probability_width}}  text", file=stream)

    def append(self, rows: Sequence[Row], predictions: Sequence[Prediction], rejected: Sequence[Rejected]) -> None:
        """Print a chunk."""
        for row, prediction in zip(rows, predictions, strict=True):
            label, probability = escape_control(prediction.label or UNSURE), prediction.probability
            text = f"{row.place}: {row.text}" if isinstance(row.place, str) else row.text  # which file it is
            if self.width:
                start = f"{label:<{self.label_width}}  {probability:>{self.probability_width}.4f}  "
                width = max(NARROWEST, self.width - len(start) - 1)
                print(start + shortened(escape_control(text[: 4 * width]), width), file=self.stream)
            else:
                print(f"{label}\t{probability:.4f}\t{escape_control(text)}", file=self.stream)
        self.stream.flush()

    def finish(self, tally: Tally) -> None:
        """Nothing to do."""

    def discard(self) -> None:
        """Nothing to do: what is printed stays."""
