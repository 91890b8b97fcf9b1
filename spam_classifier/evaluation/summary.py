"""What ``fit``, ``validate`` and ``test`` print at their end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from spam_classifier.data.splits import LEFT_OVER, SPLITS
from spam_classifier.errors import escape_control
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.report import REPORT_FILE
from spam_classifier.evaluation.text_tables import (
    aligned_table,
    counted,
    interval,
    percent,
    share_of,
    table_with_texts,
    two_columns,
)
from spam_classifier.hints import relative

Metrics = Mapping[str, Any]
MOST_MISTAKES = 3


def metrics_table(metrics: Mapping[str, Metrics]) -> str:
    """Messages, accuracy with its interval, F1, precision, recall and loss, a line for each split."""
    return aligned_table(
        {
            "split": split,
            "messages": f"{figures['messages']:,}",
            "accuracy": percent(figures["acc"]),
            "95% interval": interval(figures["acc_interval"]),
            "F1": percent(figures.get("f1")),
            "precision": percent(figures.get("precision")),
            "recall": percent(figures.get("recall")),
            "loss": f"{figures['loss']:.4f}",
        }
        for split, figures in metrics.items()
    )


def counts_table(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """How the messages of each class were predicted: all counts of two classes, else those of each class."""
    if len(classes) == 2:
        return aligned_table(
            {
                "label": name,
                **{f"predicted {other}": f"{count:,}" for other, count in zip(classes, row, strict=True)},
            }
            for name, row in zip(classes, confusion, strict=True)
        )
    return aligned_table(
        {
            "label": name,
            "messages": f"{sum(confusion[place]):,}",
            "right": f"{confusion[place][place]:,}",
            "predicted": f"{sum(row[place] for row in confusion):,}",
        }
        for place, name in enumerate(classes)
    )


def mistakes_table(predictions: Predictions, texts: Sequence[str], classes: Sequence[str], width: int) -> str:
    """The most confident mistakes on a split, for a terminal: texts are cut to its width, control characters escaped.

    The columns are label, predicted label, probability (of the second of two classes, else of the predicted one) and
    text; "" without a mistake. ``texts`` are the split's messages, in its order.
    """
    wrong = (predictions.predicted != predictions.labels).nonzero().flatten()
    confidence = predictions.probabilities[wrong, predictions.predicted[wrong]]
    rows = []
    for place in wrong[confidence.argsort(descending=True, stable=True)][:MOST_MISTAKES].tolist():
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


def evaluation_summary(
    known: Mapping[str, Metrics],
    figures: Mapping[str, Metrics],
    classes: Sequence[str],
    *,
    mistakes: str,
    notes: Sequence[str],
    report: Path | None,
    following: Sequence[str],
) -> str:
    """What ``validate`` and ``test`` print.

    ``known`` are figures of the other splits, ``figures`` those of the split and of what was evaluated along with it,
    both by name. ``notes`` are what a reader has to know and ``following`` commands to type next, a line each.
    """
    classes = [escape_control(name) for name in classes]
    (name, split), *_ = figures.items()
    in_order = {other: known[other] for other in SPLITS if other in known and other != name}
    tables = [metrics_table({**in_order, name: split}), counts_table(split["confusion"], classes)]
    if mistakes:
        tables.append(f"most confident mistakes\n{mistakes}")
    rows = {}
    if "false_positives" in split:
        rows[f"{classes[0]} taken for {classes[1]}"] = share_of(split["false_positives"])
        rows["threshold"] = f"{split['threshold']:.4f}"
    if "at_coverage" in split:
        surest = [point for point in split["at_coverage"] if point["coverage"] < 1]
        said = ", ".join(f"{percent(point['acc'])} of the surest {point['coverage']:.0%}" for point in surest)
        rows["right of the surest"] = said
    if clean := split.get("without_exact_leak"):
        leaked = split["messages"] - clean["messages"]
        rows["without leaked messages"] = (
            f"accuracy {percent(clean['acc'])}: {leaked} of the {split['messages']} are also in the train split"
        )
    if padding := figures.get("padding"):
        rows["padding matters"] = f"{share_of(padding)} change their label padded to {padding['padded_length']} tokens"
    if exact := figures.get("in_float32"):
        rows["not in float32"] = (
            f"{exact['hits']:,} of {exact['messages']:,} labels differ from float32's, probabilities by up to "
            f"{exact['largest_change']:.4f}"
        )
    if left_over := figures.get(LEFT_OVER):
        rows["left over by balancing"] = f"wrong: {share_of(left_over['errors'])}"
    if natural := figures.get("natural"):
        shares = ", ".join(f"{percent(share)} {label}" for label, share in zip(classes, natural["shares"], strict=True))
        f1 = f", F1 {percent(natural['f1'])}, precision {percent(natural['precision'])}" if "f1" in natural else ""
        rows["at natural shares"] = (
            f"accuracy {percent(natural['acc'])}{f1} ({natural['messages']:,} messages: {shares})"
        )
    rows["note"] = "\n".join(notes)
    rows["report"] = relative(report) if report else ""
    rows["next"] = "\n".join(following)
    return "\n\n".join([*tables, two_columns({title: value for title, value in rows.items() if value})])


def fit_summary(
    trainer: pl.Trainer,
    run_directory: Path | None,
    time: str,
    metrics: Mapping[str, Metrics],
    checkpoint: str,
    notes: Sequence[str],
    following: Sequence[str],
) -> str:
    """What ``fit`` prints, after the Trainer has fitted a SpamClassifier to a SpamDataModule.

    ``checkpoint`` is the one that was evaluated, "" where none was kept; the rest as for ``evaluation_summary``.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    sizes = {name: len(data.splits[name]) for name in SPLITS}
    left_over = len(data.splits.get(LEFT_OVER, []))
    cut = sum(data.truncated[name] for name in SPLITS)
    parameters = list(trainer.lightning_module.parameters())
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    done = f"{counted(trainer.current_epoch, 'epoch')}, {counted(trainer.global_step, 'step')}"
    rows = {
        "messages": f"{' / '.join(f'{size:,}' for size in sizes.values())} ({' / '.join(sizes)}), "
        f"up to {data.max_length} tokens" + (f", {cut:,} longer cut" if cut else ""),
        "left over": f"{left_over:,} by balancing, evaluated by test" if left_over else "",
        "classes": ", ".join(map(escape_control, data.label_names)),
        "parameters": f"{learning:,} learning of {sum(parameter.numel() for parameter in parameters):,}",
        "time": f"{time}, {done}",
        "result": metrics_table(metrics),
        "note": "\n".join(notes),
        "checkpoint": relative(Path(checkpoint)) if checkpoint else "none kept",
        "report": relative(run_directory / REPORT_FILE) if run_directory else "none kept",
        "next": "\n".join(following),
    }
    return two_columns({name: value for name, value in rows.items() if value})
