"""What a command says at its end: a short table, and the same figures as JSON in the run's directory."""

import json
from collections.abc import Mapping
from pathlib import Path

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
    lines += [f"{split:<12}{figures['loss']:>8.4f}{figures['acc']:>11.2%}" for split, figures in metrics.items()]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``48 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def update_metrics_file(run_directory: Path, metrics: Mapping[str, Metrics]) -> None:
    """Put splits' figures into ``metrics.json``, keeping those of other splits that it holds."""
    path = run_directory / METRICS_FILE
    known = json.loads(path.read_text()) if path.is_file() else {}
    known.update({split: dict(figures) for split, figures in metrics.items()})
    path.write_text(json.dumps(known, indent=2) + "\n")
