"""What a command says at its end: a short table, and the same figures as JSON in the run's directory."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import lightning.pytorch as pl

from spam_classifier.evaluation.learning_curves import FILE_NAME as CURVES_FILE

METRICS_FILE = "metrics.json"
Metrics = Mapping[str, float]


def two_columns(rows: Mapping[str, str]) -> str:
    """Rows of ``name  value``, the values aligned; a value of several lines keeps its indent."""
    width = max(map(len, rows)) + 2
    indent = "\n" + " " * width
    return "\n".join(f"{name:<{width}}{value.replace(chr(10), indent)}" for name, value in rows.items())


def metrics_table(metrics: Mapping[str, Metrics]) -> str:
    """Loss and accuracy of each split, one line each."""
    lines = [f"{'':<12}{'loss':>8}{'accuracy':>12}"]
    lines += [f"{split:<12}{figures['loss']:>8.4f}{figures['acc']:>12.2%}" for split, figures in metrics.items()]
    return "\n".join(lines)


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
    sizes = {name: len(rows) for name, rows in data.splits.items()}
    cut = sum(data.truncated.values())
    parameters = list(trainer.lightning_module.parameters())
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    following = []
    if checkpoint:
        following.append(f"python -m spam_classifier.train test{next_flag}")
        following.append(f'python -m spam_classifier.predict "You have won a prize, call now"{next_flag}')
    if run_directory is not None:
        following.append(f"tensorboard --logdir {shlex.quote(str(run_directory.parent))}")
    rows = {
        "messages": f"{' / '.join(f'{size:,}' for size in sizes.values())} ({' / '.join(sizes)}), "
        f"up to {data.max_length} tokens" + (f", {cut} longer cut" if cut else ""),
        "classes": ", ".join(data.label_names),
        "parameters": f"{learning:,} learning of {sum(parameter.numel() for parameter in parameters):,}",
        "time": f"{duration(seconds)}, {trainer.current_epoch} epochs, {trainer.global_step} steps",
        "result": metrics_table(metrics),
        "checkpoint": checkpoint or "none kept",
        "logs": f"{run_directory} (figure: {CURVES_FILE})" if run_directory else "none kept",
        "next": "\n".join(following),
    }
    return two_columns(rows)


def update_metrics_file(run_directory: Path, metrics: Mapping[str, Metrics], checkpoint: str) -> None:
    """Put splits' figures into ``metrics.json`` with the checkpoint's name, keeping those of other splits."""
    path = run_directory / METRICS_FILE
    known = json.loads(path.read_text()) if path.is_file() else {}
    name = Path(checkpoint).name
    known.update({split: {**figures, "checkpoint": name} for split, figures in metrics.items()})
    unfinished = path.with_suffix(".incomplete")
    unfinished.write_text(json.dumps(known, indent=2) + "\n")
    unfinished.replace(path)
