"""What a command says at its end: a short table."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from spam_classifier.data.splits import LEFT_OVER, SPLITS
from spam_classifier.errors import escape_control
from spam_classifier.evaluation.report import REPORT_FILE

Metrics = Mapping[str, Any]


def two_columns(rows: Mapping[str, str]) -> str:
    """Rows of ``name  value``, the values aligned; a value of several lines keeps its indent."""
    width = max(map(len, rows)) + 2
    indent = "\n" + " " * width
    return "\n".join(f"{name:<{width}}{value.replace(chr(10), indent)}" for name, value in rows.items())


def metrics_table(metrics: Mapping[str, Metrics]) -> str:
    """Messages, loss, accuracy with its interval, F1 and balanced accuracy of each split, one line each."""
    lines = [f"{'':<12}{'messages':>8}{'loss':>10}{'accuracy':>10}{'95 % interval':>18}{'F1':>9}{'balanced':>10}"]
    for split, figures in metrics.items():
        low, high = figures["acc_interval"]
        f1, balanced = (f"{figures[name]:.2%}" if name in figures else "-" for name in ("f1", "balanced_acc"))
        lines.append(
            f"{split:<12}{figures['messages']:>8,}{figures['loss']:>10.4f}{figures['acc']:>10.2%}"
            f"{f'{low:.2%} - {high:.2%}':>18}{f1:>9}{balanced:>10}"
        )
    return "\n".join(lines)


def evaluation_summary(figures: Mapping[str, Metrics], classes: Sequence[str], whole: bool) -> str:
    """What ``validate`` and ``test`` say.

    Args:
        figures: As ``RunEvaluation`` gives them.
        classes: Names of the classes.
        whole: Whether the whole split was evaluated.
    """
    classes = [escape_control(name) for name in classes]
    (name, split), *_ = figures.items()
    part = f"{split['messages']:,} messages" if whole else f"a part of it, {split['messages']:,} messages"
    low, high = split["acc_interval"]
    lines = [f"{name} split, {part}: accuracy {split['acc']:.2%} (95 % interval {low:.2%} to {high:.2%})"]
    rows = {}
    if "f1" in split:
        rows["balanced accuracy, F1"] = f"{split['balanced_acc']:.2%}, {split['f1']:.2%}"
    if "false_positives" in split:
        rows[f"{classes[0]} taken for {classes[1]}"] = _share(split["false_positives"])
        rows["threshold"] = f"{split['threshold']:.4f}"
    rows["loss"] = f"{split['loss']:.4f}"
    if clean := split.get("without_exact_leak"):
        leaked = split["messages"] - clean["messages"]
        rows["without leaked messages"] = (
            f"accuracy {clean['acc']:.2%}: {leaked} of the {split['messages']} also stand in the train split"
        )
    if padding := figures.get("padding"):
        rows["padding matters"] = f"{_share(padding)} change their verdict padded to {padding['padded_length']} tokens"
    if left_over := figures.get("left_over"):
        rows["left over by balancing"] = f"wrong: {_share(left_over['errors'])}"
    if natural := figures.get("natural"):
        shares = ", ".join(f"{share:.1%} {label}" for label, share in zip(classes, natural["shares"], strict=True))
        score = f", F1 {natural['f1']:.2%}, precision {natural['precision']:.2%}" if "f1" in natural else ""
        rows["at natural shares"] = f"accuracy {natural['acc']:.2%}{score} ({natural['messages']:,} messages: {shares})"
    return "\n".join([*lines, two_columns(rows)])


def _share(share: Metrics) -> str:
    low, high = share["interval"]
    return f"{share['hits']} of {share['messages']:,}, {share['share']:.2%} ({low:.2%} to {high:.2%})"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``48 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def fit_summary(
    trainer: pl.Trainer,
    run_directory: Path | None,
    seconds: float,
    metrics: Mapping[str, Metrics],
    checkpoint: str,
    next_flag: str,
) -> str:
    """What ``fit`` says at its end.

    Args:
        trainer: Has just fitted a SpamClassifier to a SpamDataModule.
        run_directory: Where the run was logged, if it was.
        seconds: Time the training took.
        metrics: Loss and accuracy of splits.
        checkpoint: Path of the checkpoint to which the metrics belong; "" where none was kept.
        next_flag: The flag by which the next commands find it; "" where they find it without.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    sizes = {name: len(data.splits[name]) for name in SPLITS}
    cut = sum(data.truncated[name] for name in SPLITS)
    parameters = list(trainer.lightning_module.parameters())
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    following = []
    if checkpoint and run_directory is not None:  # the settings lie there
        following.append(f"python -m spam_classifier.train test{next_flag}")
        following.append(f'python -m spam_classifier.predict "You have won a prize, call now"{next_flag}')
    if run_directory is not None:
        following.append(f"tensorboard --logdir {shlex.quote(str(run_directory.parent))}")
    rows = {
        "messages": f"{' / '.join(f'{size:,}' for size in sizes.values())} ({' / '.join(sizes)}), "
        f"up to {data.max_length} tokens" + (f", {cut} longer cut" if cut else ""),
        "left over": f"{len(data.splits[LEFT_OVER]):,} by balancing, evaluated by test"
        if LEFT_OVER in data.splits
        else "",
        "classes": ", ".join(map(escape_control, data.label_names)),
        "parameters": f"{learning:,} learning of {sum(parameter.numel() for parameter in parameters):,}",
        "time": f"{duration(seconds)}, {trainer.current_epoch} epochs, {trainer.global_step} steps",
        "result": metrics_table(metrics),
        "checkpoint": checkpoint or "none kept",
        "report": str(run_directory / REPORT_FILE) if run_directory else "none kept",
        "next": "\n".join(following),
    }
    return two_columns({name: value for name, value in rows.items() if value})
