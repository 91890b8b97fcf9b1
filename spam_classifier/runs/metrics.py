"""``metrics.json``: what a run directory keeps about its run."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from spam_classifier.files import atomic_write

METRICS_FILE = "metrics.json"


def read_metrics(run_directory: Path) -> dict[str, Any]:
    """All that is kept so far; empty without a file."""
    path = run_directory / METRICS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def update_metrics(run_directory: Path, figures: Mapping[str, Any], *, outdated: Collection[str] = ()) -> None:
    """Replace the entries of the same names, and remove those that are outdated."""
    known = {name: value for name, value in read_metrics(run_directory).items() if name not in outdated}
    known |= _finite(figures)
    path = run_directory / METRICS_FILE
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """NaN and infinity become null, as JSON has neither."""
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
