"""Configs by name: ``--config recommended`` is the file ``recommended.yaml`` that comes with the package."""

from pathlib import Path
from typing import Any

from spam_classifier.errors import UserError, did_you_mean

EXPERIMENTS = "experiments"  # the folder with the book's table


def packaged_folder() -> Path:
    """The configs in an installed package, or at the top of a checkout."""
    installed = Path(__file__).with_name("configs")
    return installed if installed.is_dir() else Path(__file__).parents[1] / "configs"


def packaged_names() -> list[str]:
    """The names of all packaged configs, ``recommended`` or ``experiments/03_head_only``."""
    folder = packaged_folder()
    paths = sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.parts), path))
    return [path.relative_to(folder).with_suffix("").as_posix() for path in paths]


def find_config(name: str, flag: str = "--config", *, folders: bool = False) -> Path:
    """The config that a flag names: a file, else a packaged config with or without ``configs/`` and ``.yaml``.

    With ``folders`` a folder of configs will do.
    """
    path = Path(name)
    if path.is_file() or (folders and path.is_dir()):
        return path
    short = name.rstrip("/").removeprefix("configs/").removesuffix(".yaml")
    packaged = packaged_folder() / f"{short}.yaml"
    names = packaged_names()
    if short in names:
        return packaged
    if folders and short == EXPERIMENTS:
        return packaged.with_suffix("")
    of_table = [known for known in names if "/" in known]
    if path.is_dir() or short == EXPERIMENTS:
        inside = ", ".join(of_table if short == EXPERIMENTS else map(str, sorted(path.glob("*.yaml"))))
        raise UserError(f"{flag} {name} is a folder: name a config in it{f', one of {inside}' if inside else ''}")
    listed = [known for known in names if "/" not in known]
    listed += [f"{of_table[0]} to {of_table[-1]}"] if of_table else []
    hint = did_you_mean(short, [*names, *([EXPERIMENTS] if folders else [])])
    raise UserError(f"{flag} {name}: no such file or packaged config{hint or ';'} packaged are {', '.join(listed)}")


def read_config(name: str) -> dict[str, Any]:
    """The settings of a config by section: ``SpamClassifier`` takes those of ``model``, ``SpamDataModule`` of ``data``.

    ``name`` is a file or the name of a packaged config. Raises a UserError that lists the names if it is neither.
    """
    import yaml

    return {"trainer": {}, "model": {}, "data": {}} | yaml.safe_load(find_config(name, "the config").read_text("utf-8"))
