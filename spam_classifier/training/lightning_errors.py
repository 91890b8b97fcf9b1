"""What Lightning refuses, in one line."""

import inspect
import re
import traceback

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from spam_classifier.training.logger import RunLogger

OF_MISTAKES = (MisconfigurationException, ValueError, TypeError, RuntimeError, ImportError)
OF_TRAINER = frozenset(inspect.signature(pl.Trainer).parameters)
DEVICES = re.compile("accelerator|device|strategy|FSDP|GPU|CUDA|MPS|TPU|XLA", re.IGNORECASE)
PYTHON = {"None": "null", "True": "true", "False": "false"}  # as a flag has them


def refusal(error: Exception) -> str | None:
    """What to tell a user whose flags Lightning refuses; None for an error of another kind.

    An error counts as Lightning's if its own code raised it, not what it calls, or if a logger did.
    """
    while isinstance(error.__cause__, Exception):  # jsonargparse wraps those of the classes that it makes
        error = error.__cause__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    objects = [frame.f_locals.get("self") for frame in frames]
    if any(isinstance(one, Logger) and not isinstance(one, RunLogger) for one in objects):
        return f"the logger fails: {error} (--trainer.logger true logs to TensorBoard alone)"
    raised_in = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    if not isinstance(error, OF_MISTAKES) or raised_in.partition(".")[0] != "lightning":
        return None
    text = re.sub(r"`(\w+)(?:=(\w+))?`", _as_flag, str(error))
    remedy = " (--trainer.accelerator auto and --trainer.devices auto take what this machine has)"
    return f"the Trainer refuses its flags: {text}{remedy if DEVICES.search(text) else ''}"


def _as_flag(named: re.Match[str]) -> str:
    """A parameter of the Trainer as the flag that a user types."""
    name, value = named[1], named[2]
    if name not in OF_TRAINER:
        return named[0]
    return f"--trainer.{name}" + (f" {PYTHON.get(value, value)}" if value else "")
