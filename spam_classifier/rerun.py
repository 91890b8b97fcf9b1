"""Train a run again from its directory and compare: ``python -m spam_classifier.rerun lightning_logs/version_3``."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from spam_classifier.comparing.launch import OUTPUT_FILE, flags_behind_dashes, launch_fit, launch_test
from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import TEST
from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.files import claim_directory
from spam_classifier.models.pretrained import fetch_weights, weights_sha256
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import (
    CHECKPOINTS_DIRECTORY,
    CONFIG_FILE,
    LAST_CHECKPOINT,
    checkpoint_of,
    read_settings,
)
from spam_classifier.runs.metrics import METRICS_FILE, read_metrics
from spam_classifier.runs.provenance import PROVENANCE, git_revision, versions

DESCRIPTION = """Train a run again, from the settings and the seed in its directory, test it if the run was tested, and
compare: on the same machine with the same versions the weights are the same, bit for bit, and so are the figures.
The new run is put beside the old one, into rerun_0 or the next that is free. What stands behind -- are flags of fit,
over the run's own settings. It ends with status 0 if all is the same, else with 1."""
UNLIKE = ("seconds", "peak_memory")  # of no two runs alike
NOT_COMPARED = (PROVENANCE, "baselines")


def refuse_other_sources(settings: Mapping[str, Any], made_with: Mapping[str, Any]) -> None:
    """Refuse to train on other messages or from other weights than the run did.

    Args:
        settings: The run's settings.
        made_with: Its provenance.

    Raises:
        UserError: The corpus or the weights are missing or have changed.
    """
    data, weights = SpamDataModule(**settings["data"]), settings["model"]["weights"]
    data.prepare_data()
    fetch_weights(weights)
    found = data.sources_sha256() | weights_sha256(weights)
    for name, sha256 in {**made_with["corpus_sha256"], **(made_with["weights_sha256"] or {})}.items():
        if found.get(name) != sha256:
            raise UserError(
                f"{name} has SHA-256 {found.get(name)}, in the run it had {sha256}: put it back as it was, or "
                "train a new run"
            )


def other_versions(made_with: Mapping[str, Any]) -> list[str]:
    """What is not as in the run, a line each: it may change the last digits."""
    now = {**versions(), "git": git_revision()}
    then = {**made_with["versions"], "git": made_with["git"]}
    return [f"{name} was {then.get(name)}, is {now[name]}" for name in now if then.get(name) != now[name]]


def differences(first: object, second: object, name: str = "") -> Iterator[str]:
    """What two runs know of themselves differently, a line each."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys((*first, *second)):
            if key not in (UNLIKE if name == "run" else NOT_COMPARED if not name else ()):
                yield from differences(first.get(key), second.get(key), f"{name} {key}".strip())
    elif first != second:
        yield f"{name}: {first}, now {second}"


def same_weights(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same weights, bit for bit."""
    last = [run / CHECKPOINTS_DIRECTORY / LAST_CHECKPOINT for run in (first, second)]
    paths = last if all(path.is_file() for path in last) else [checkpoint_of(run) for run in (first, second)]
    one, other = (read_checkpoint(path)["state_dict"] for path in paths)
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def main() -> None:
    """Check, train, compare."""
    own, flags = flags_behind_dashes(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.rerun", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("run", type=Path, help="the run's directory")
    run = parser.parse_args(own).run.resolve()
    with one_line_errors():
        settings, metrics = read_settings(run), read_metrics(run)
        if PROVENANCE not in metrics or "run" not in metrics:
            raise UserError(f"{run / METRICS_FILE} does not tell of a finished run: nothing to compare with")
        refuse_other_sources(settings, metrics[PROVENANCE])
        for line in other_versions(metrics[PROVENANCE]):
            print(f"not as in the run: {line}")
        root = claim_directory(run.parent, "rerun_")
        print(f"training again, see {root / OUTPUT_FILE}", flush=True)
        again = launch_fit(run / CONFIG_FILE, None, flags, root)
        if TEST in metrics:
            launch_test(root)
        same = same_weights(run, again)
        other = list(differences(metrics, read_metrics(again)))
        print(f"{again}: {'the same weights, bit for bit' if same else 'other weights'}")
        print("\n".join(other) if other else "all figures are the same")
        sys.exit(0 if same and not other else 1)


if __name__ == "__main__":
    main()
