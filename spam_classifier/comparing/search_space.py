"""The space of a search: settings of ``fit``, each with a range or a list of choices."""

import io
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spam_classifier.errors import UserError
from spam_classifier.training.parser import check_settings

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution

# other settings of data and trainer would give trials other messages, or other losses of the same predictions
OF_DATA = {"batch_size", "batch_by_length", "max_length", "keep", "padding"}
OF_TRAINER = {"max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"}
WITHOUT_EFFECT = {"threshold", "max_false_positive_rate"}  # on the loss


def read_space(path: Path, settings: Mapping[str, Any]) -> tuple[dict[str, Distribution], list[str]]:
    """Read a space, widened so that it holds the settings' own values.

    Returns distributions by the setting's name, as ``model.learning_rate``, and notes about what was widened. Raises a
    UserError if the file is no space, or names a setting that can't be searched or a value that ``fit`` would refuse.
    """
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}") from error
    if not isinstance(stated, dict) or not stated:
        raise UserError(
            f"{path} holds no settings: write lines as in model.learning_rate: {{low: 1.0e-5, high: 1.0e-3}}"
        )
    space: dict[str, Distribution] = {}
    notes: list[str] = []
    for name, values in stated.items():
        place = f"{path}: {name}"
        _refuse_name(place, settings, str(name), values)
        own = value_of(settings, name)
        try:
            space[name] = _distribution(values, own)
            if space[name] != _distribution(values):
                notes.append(f"The config's own {name} {own} was added to the space.")
        except (TypeError, ValueError) as error:
            raise UserError(f"{place}: {error}; the config's own value, {own}, has to fit, too") from error
    return space, notes


def value_of(settings: Mapping[str, Any], name: str) -> Any:
    """The value of a setting such as ``model.learning_rate``."""
    group, _, setting = name.partition(".")
    return settings[group][setting]


def with_values(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with other values of those that are named as ``model.learning_rate``."""
    changed = {group: dict(named) if isinstance(named, Mapping) else named for group, named in settings.items()}
    for name, value in values.items():
        group, _, setting = name.partition(".")
        changed.setdefault(group, {})[setting] = value
    return changed


def _refuse_name(place: str, settings: Mapping[str, Any], name: str, values: Any) -> None:
    """Refuse a setting that does not exist or can't be searched, and values that ``fit`` would refuse."""
    is_range = isinstance(values, dict) and {"low", "high"} <= values.keys() <= {"low", "high", "log", "step"}
    if not is_range and not (isinstance(values, list) and values):
        raise UserError(f"{place}: give a list of choices, or a range as in {{low: 1, high: 8}}, with log or step")
    group, _, setting = name.partition(".")
    tried = values if isinstance(values, list) else [values["low"], values["high"]]
    for value in tried if isinstance(settings.get(group, {}), Mapping) else []:
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                check_settings([with_values(settings, {name: value})], [])
        except (SystemExit, UserError) as error:
            reason = said.getvalue().removeprefix("error: ").strip() or error
            raise UserError(f"{place} {value}: {reason}") from None
    searched = {"model": settings["model"].keys() - WITHOUT_EFFECT, "data": OF_DATA, "trainer": OF_TRAINER}
    if setting not in searched.get(group, ()):
        raise UserError(
            f"{place} can't be searched: trials are compared by their loss on the same validation messages; search "
            f"settings of the model, but not {' or '.join(sorted(WITHOUT_EFFECT))}, and of data and trainer "
            f"{', '.join(sorted(OF_DATA | OF_TRAINER))}"
        )


def _distribution(values: Any, *own: Any) -> Distribution:
    """A distribution of the values, and of the config's own; a TypeError or ValueError if there is none."""
    if isinstance(values, list):
        if any(isinstance(value, list | dict) for value in [*values, *own]):
            raise ValueError("choices are single values, not lists")
        return CategoricalDistribution([*values, *(value for value in own if value not in values)])
    low, high = (float(value) if isinstance(value, str) else value for value in (values["low"], values["high"]))  # 1e-5
    step, log = values.get("step"), values.get("log", False)
    numbers = (low, high, *own)
    if not all(isinstance(value, int | float) for value in numbers) or low > high or (low >= 0 > min(numbers)):
        raise ValueError(f"{low} to {high} is no range of numbers that holds all values, or can be made wider to")
    if step is not None:
        for value in (high, *own):
            if step <= 0 or not low <= value <= high or abs((value - low) / step - round((value - low) / step)) > 1e-8:
                raise ValueError(f"{value} is not reached from {low} in steps of {step}")
    if all(isinstance(value, int) for value in numbers):
        return IntDistribution(int(min(numbers)), int(max(numbers)), log=log, step=step or 1)
    return FloatDistribution(min(numbers), max(numbers), log=log, step=step)
