"""The directory that a command with many runs keeps to itself, and its YAML files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from spam_classifier.errors import UserError
from spam_classifier.files import locked, write_text, writing


@contextmanager
def own_directory(directory: Path, marker: str, what: str) -> Iterator[None]:
    """Make and lock a directory of runs, and say after Ctrl-C how to continue.

    ``marker`` is a file that the command writes there at once: a directory with other files is refused, as one in use.
    ``what`` says in that refusal what the command keeps there.
    """
    with writing(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
    lock = directory.with_name(f".{directory.name}.lock")
    busy = f"another command is at work in this directory ({lock}): wait for it, or choose another --name"
    with locked(lock, lock, busy):
        if directory.exists() and any(directory.iterdir()) and not (directory / marker).is_file():
            raise UserError(f"{directory} holds other files than {what}: choose another --name")
        try:
            yield
        except KeyboardInterrupt:
            print(f"\nfinished runs are kept in {directory}: the same command continues", file=sys.stderr)
            raise


def write_yaml(path: Path, contents: Any) -> None:
    """Write a file of settings."""
    write_text(path, yaml.safe_dump(contents, sort_keys=False, allow_unicode=True))
