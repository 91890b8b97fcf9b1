"""What to type after a training or an evaluation."""

from pathlib import Path

from spam_classifier import hints
from spam_classifier.data.corpora import LABELS
from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import VALIDATION
from spam_classifier.errors import escape_control
from spam_classifier.runs.find import flags_for


def next_commands(
    directory: Path | None, checkpoint: str, data: SpamDataModule, *, tested: bool, logged: bool
) -> list[str]:
    """Commands for the run, to be typed in the current directory.

    Args:
        directory: The run directory; without one there are no settings to rebuild the model from.
        checkpoint: Path of the checkpoint that was evaluated; "" where none was kept.
        data: The run's data.
        tested: Whether test or validate has just run, not fit.
        logged: Whether the run has new logs for TensorBoard.
    """
    if directory is None:
        return []
    following = []
    if checkpoint:
        flags = flags_for(Path(checkpoint))
        commands: list[tuple[str, ...]] = [("predict", example_text(data)), ("serve",)]
        if not tested:
            commands.insert(0, ("test",))
        following = [hints.command_line(*command, *flags) for command in commands]
    logs = hints.quoted(hints.relative(directory.parent))
    board = [f"{hints.tensorboard()} --logdir {logs}"] if logged else []
    return [*following, *board]


def example_text(data: SpamDataModule) -> str:
    """A text to try a classifier of these classes on: a spam, or the start of a validation message."""
    if set(data.label_names) == set(LABELS) or data.splits[VALIDATION].empty:
        return hints.EXAMPLE
    words = str(data.splits[VALIDATION]["text"].iloc[0]).lstrip("-").split()
    return escape_control(" ".join(words[:8]))[:60] or hints.EXAMPLE
