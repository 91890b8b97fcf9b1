"""What ``fit``, ``validate`` and ``test`` print at their end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from spam_classifier.data.splits import LEFT_OVER, SPLITS
from spam_classifier.errors import escape_control
from spam_classifier.evaluation.report import REPORT_FILE
from spam_classifier.evaluation.text_tables import interval, markdown_table, percent, share_of, two_columns

Metrics = Mapping[str, Any]


def metrics_table(metrics: Mapping[str, Metrics]) -> str:
    """Messages, loss, accuracy with its interval, F1 and balanced accuracy, a line for each split."""
    return markdown_table(
        {
            "split": split,
            "messages": f"{figures['messages']:,}",
            "loss": f"{figures['loss']:.4f}",
            "accuracy": percent(figures["acc"]),
            "95 % interval": interval(figures["acc_interval"]),
            "F1": percent(figures.get("f1")),
            "balanced accuracy": percent(figures.get("balanced_acc")),
        }
        for split, figures in metrics.items()
    )


def evaluation_summary(figures: Mapping[str, Metrics], classes: Sequence[str], whole: bool) -> str:
    """What ``validate`` and ``test`` print of figures by the split's name; ``whole`` if they are of the whole split."""
    classes = [escape_control(name) for name in classes]
    (name, split), *_ = figures.items()
    part = f"{'' if whole else 'a part of it, '}{split['messages']:,} messages"
    headline = (
        f"{name} split, {part}: accuracy {percent(split['acc'])} (95 % interval {interval(split['acc_interval'])})"
    )
    rows = {}
    if "f1" in split:
        rows["balanced accuracy, F1"] = f"{percent(split['balanced_acc'])}, {percent(split['f1'])}"
    if "false_positives" in split:
        rows[f"{classes[0]} taken for {classes[1]}"] = share_of(split["false_positives"])
        rows["threshold"] = f"{split['threshold']:.4f}"
    rows["loss"] = f"{split['loss']:.4f}"
    if clean := split.get("without_exact_leak"):
        leaked = split["messages"] - clean["messages"]
        rows["without leaked messages"] = (
            f"accuracy {percent(clean['acc'])}: {leaked} of the {split['messages']} are also in the train split"
        )
    if padding := figures.get("padding"):
        rows["padding matters"] = f"{share_of(padding)} change their label padded to {padding['padded_length']} tokens"
    if left_over := figures.get("left_over"):
        rows["left over by balancing"] = f"wrong: {share_of(left_over['errors'])}"
    if natural := figures.get("natural"):
        shares = ", ".join(f"{share:.1%} {label}" for label, share in zip(classes, natural["shares"], strict=True))
        f1 = f", F1 {percent(natural['f1'])}, precision {percent(natural['precision'])}" if "f1" in natural else ""
        rows["at natural shares"] = (
            f"accuracy {percent(natural['acc'])}{f1} ({natural['messages']:,} messages: {shares})"
        )
    return f"{headline}\n{two_columns(rows)}"


def duration(seconds: float) -> str:
    """Seconds as ``48 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def fit_summary(
    trainer: pl.Trainer,
    run_directory: Path | None,
    seconds: float,
    metrics: Mapping[str, Metrics],
    checkpoint: str,
    following: Sequence[str],
) -> str:
    """What ``fit`` prints.

    Args:
        trainer: Has just fitted a SpamClassifier to a SpamDataModule.
        run_directory: The run directory, if there is one.
        seconds: Time of the training.
        metrics: Figures by the split's name.
        checkpoint: Path of the checkpoint that was evaluated; "" where none was kept.
        following: Commands to type next.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    sizes = {name: len(data.splits[name]) for name in SPLITS}
    left_over = len(data.splits.get(LEFT_OVER, []))
    cut = sum(data.truncated[name] for name in SPLITS)
    parameters = list(trainer.lightning_module.parameters())
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    rows = {
        "messages": f"{' / '.join(f'{size:,}' for size in sizes.values())} ({' / '.join(sizes)}), "
        f"up to {data.max_length} tokens" + (f", {cut} longer ones cut" if cut else ""),
        "left over": f"{left_over:,} by balancing, evaluated by test" if left_over else "",
        "classes": ", ".join(map(escape_control, data.label_names)),
        "parameters": f"{learning:,} learning of {sum(parameter.numel() for parameter in parameters):,}",
        "time": f"{duration(seconds)}, {trainer.current_epoch} epochs, {trainer.global_step} steps",
        "result": metrics_table(metrics),
        "checkpoint": checkpoint or "none kept",
        "report": str(run_directory / REPORT_FILE) if run_directory else "none kept",
        "next": "\n".join(following),
    }
    return two_columns({name: value for name, value in rows.items() if value})
