"""Compare a run with linear baselines on its own splits: ``python -m spam_classifier.baseline``."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from spam_classifier.data.splits import LEFT_OVER, TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.evaluation.predictions import predictions_of, predictions_path, read_messages, read_predictions
from spam_classifier.evaluation.report import write_report
from spam_classifier.runs.find import find_checkpoint, read_settings, run_directory
from spam_classifier.runs.metrics import read_metrics, update_metrics

DESCRIPTION = """Train TF-IDF words with logistic regression and TF-IDF characters with a linear SVM on the splits of a
run, compare them with its classifier, and add the comparison to the run's report. The test split is compared once
`train test` has looked at it."""
EVALUATE = {
    VALIDATION: "python -m spam_classifier.train validate",
    TEST: "python -m spam_classifier.train test",
    LEFT_OVER: "python -m spam_classifier.train test",
}


def compare(directory: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Train and compare the baselines; figures by the split's name and the baseline's, kept in the run's directory.

    Raises:
        UserError: scikit-learn is missing, or the directory holds no evaluated run.
    """
    from spam_classifier.comparing.baselines import (
        baseline_figures,
        mcnemar,
        predict_baselines,
        with_natural_shares,
    )

    metrics = read_metrics(directory)
    paths = {name: predictions_path(directory, name) for name in (VALIDATION, TEST, LEFT_OVER)}
    evaluated = [name for name, path in paths.items() if path.is_file() and name in metrics]
    if VALIDATION not in evaluated:
        raise UserError(f"{directory} holds no predictions to compare with: run {EVALUATE[VALIDATION]}")
    classes, shares = metrics["classes"], metrics.get("natural", {}).get("shares")
    splits: dict[str, pd.DataFrame] = {name: read_messages(directory / f"{name}.csv") for name in (TRAIN, *evaluated)}
    balanced = read_settings(directory)["data"]["balance"] == "class_weight"
    tables = {name: read_predictions(paths[name]) for name in evaluated}
    for name, table in tables.items():
        if list(table["text"]) != list(splits[name]["text"]):
            raise UserError(f"{paths[name]} is not of {name}.csv beside it: run {EVALUATE[name]} again")
    own = {name: predictions_of(table, classes) for name, table in tables.items()}
    model = with_natural_shares(own, shares)
    compared: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in model}
    for title, predictions in predict_baselines(splits, classes, balanced=balanced).items():
        for name, of_split in with_natural_shares(predictions, shares).items():
            compared[name][title] = {**baseline_figures(of_split), "against": mcnemar(of_split, model[name])}
    update_metrics(directory, {"baselines": compared})
    write_report(directory)
    return compared


def comparison_table(metrics: dict[str, Any], compared: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The comparison as text."""
    lines = []
    for split, baselines in compared.items():
        lines.append(f"{split:<28}{'accuracy':>10}{'balanced':>10}{'F1':>10}{'p':>9}")
        for title, figures in {"GPT-2": metrics[split], **baselines}.items():
            shown = "".join(
                f"{figures[name]:>10.2%}" if name in figures else f"{'-':>10}" for name in ("acc", "balanced_acc", "f1")
            )
            p = f"{figures['against']['p']:>9.3g}" if "against" in figures else ""
            lines.append(f"{title:<28}{shown}{p}")
        lines.append("")
    lines.append("p: McNemar's exact test against GPT-2 on the same messages")
    return "\n".join(lines)


def main() -> None:
    """Print the comparison for a run."""
    parser = argparse.ArgumentParser(prog="python -m spam_classifier.baseline", description=DESCRIPTION)
    parser.add_argument("--ckpt_path", help="a checkpoint of the run, best or last (default: the newest run)")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="directory that holds lightning_logs (default: this one)"
    )
    arguments = parser.parse_args()
    with one_line_errors():
        directory = run_directory(find_checkpoint(arguments.ckpt_path, arguments.root))
        compared = compare(directory)
        print(comparison_table(read_metrics(directory), compared))
        print(f"report: {directory / 'report.html'}")


if __name__ == "__main__":
    main()
