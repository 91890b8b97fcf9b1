"""Exports that appear when they are complete, and replace nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spam_classifier.errors import UserError
from spam_classifier.files import writing


@contextmanager
def complete(main: Path, *others: Path) -> Iterator[Path]:
    """Give a temporary directory; at the end, what it holds under these names is renamed to them, ``main`` last.

    Raises a UserError if a name is taken, or can't be written.
    """
    targets = [path.resolve() for path in (main, *others)]
    for target in targets:
        if target.exists():
            raise UserError(f"{target} exists already: remove it, or name another place")
    staging = targets[0].with_name(f".{targets[0].name}.incomplete")
    with writing(main):
        shutil.rmtree(staging, ignore_errors=True)  # left by an export that was killed
        staging.mkdir(parents=True)
        try:
            yield staging
            for target in reversed(targets):
                if (staging / target.name).exists():
                    (staging / target.name).rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
