"""Train a run again and compare it with the first one."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from spam_classifier.comparing.directory import write_yaml
from spam_classifier.comparing.launch import OUTPUT_FILE, launch_fit, launch_test
from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import TEST
from spam_classifier.errors import UserError
from spam_classifier.files import claim_directory
from spam_classifier.models.pretrained import fetch_weights
from spam_classifier.runs import find
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.metrics import METRICS_FILE, read_metrics
from spam_classifier.runs.provenance import PRODUCTS, PROVENANCE, git_revision, versions
from spam_classifier.training.parser import check_settings
from spam_classifier.training.warm_start import digests_of

DIFFERS_ANYWAY = ("seconds", "peak_memory")
NOT_COMPARED = (PROVENANCE, "baselines", "label_errors")


def reproduce(run: Path, flags: Sequence[str]) -> bool:
    """Train a run again next to it, test it if the run was tested, and print what differs; True if nothing does.

    The flags of ``fit`` override the run's settings. Raises a UserError if the run is not finished, its corpus or
    weights have changed, or the new run fails.
    """
    settings, metrics = find.read_settings(run), read_metrics(run)
    if PROVENANCE not in metrics or "run" not in metrics:
        raise UserError(f"{run / METRICS_FILE} is not of a finished run: there is nothing to compare with")
    check_settings([settings], flags)
    refuse_other_sources(settings, metrics[PROVENANCE])
    for line in other_versions(metrics[PROVENANCE]):
        print(f"not as in the run: {line}")
    root = claim_directory(run.parent, "rerun_")
    config = root / find.CONFIG_FILE
    write_yaml(config, settings)  # the run's own file may hold settings of an older version
    print(f"training again, see {root / OUTPUT_FILE}", flush=True)
    again = launch_fit(config, None, flags, root)
    if TEST in metrics:
        launch_test(root)
    metrics_again = read_metrics(again)
    for line in other_products(metrics[PROVENANCE], metrics_again[PROVENANCE]):
        print(f"not as in the run: {line}")
    same, other = same_weights(run, again), list(differences(metrics, metrics_again))
    print(f"{again}: {'the same weights, bit for bit' if same else 'other weights'}")
    print("\n".join(other) if other else "all figures are the same")
    return same and not other


def refuse_other_sources(settings: Mapping[str, Any], made_with: Mapping[str, Any]) -> None:
    """Raise a UserError if the run's corpus or weights are missing or have changed since its provenance was kept."""
    data, weights = SpamDataModule(**settings["data"]), settings["model"]["weights"]
    data.prepare_data()
    fetch_weights(weights)
    found = data.sources_sha256() | digests_of(weights)
    for name, sha256 in {**made_with["corpus_sha256"], **(made_with["weights_sha256"] or {})}.items():
        if found.get(name) != sha256:
            raise UserError(
                f"{name} has SHA-256 {found.get(name)}, in the run it had {sha256}: restore it, or train a new run"
            )


def other_versions(made_with: Mapping[str, Any]) -> list[str]:
    """Versions that differ from the run's, a line each: they may change the last digits."""
    now = {**versions(), "git": git_revision()}
    then = {**made_with["versions"], "git": made_with["git"]}
    names = [name for name in now if name != PRODUCTS]  # those of the training's own process count
    return [f"{name} was {then.get(name)}, is {now[name]}" for name in names if then.get(name) != now[name]]


def other_products(made_with: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """A line if products of float32 matrices were computed otherwise in the second run; earlier versions kept none."""
    then, now = made_with["versions"].get(PRODUCTS), again["versions"][PRODUCTS]
    return [] if then in (None, now) else [f"{PRODUCTS} were {then}, are {now}"]


def differences(first: object, second: object, name: str = "") -> Iterator[str]:
    """Differences between the metrics of two runs, a line each."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys((*first, *second)):
            if key not in (DIFFERS_ANYWAY if name == "run" else NOT_COMPARED if not name else ()):
                yield from differences(first.get(key), second.get(key), f"{name} {key}".strip())
    elif first != second:
        yield f"{name}: {first}, now {second}"


def same_weights(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same weights, bit for bit."""
    last = [run / find.CHECKPOINTS_DIRECTORY / find.LAST_CHECKPOINT for run in (first, second)]
    paths = (
        last if all(path.is_file() for path in last) else [find.find_checkpoint(run, run) for run in (first, second)]
    )
    one, other = (read_checkpoint(path)["state_dict"] for path in paths)
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
