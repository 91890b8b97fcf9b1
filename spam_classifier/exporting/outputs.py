"""Export to files and directories that appear when they are complete."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from spam_classifier.errors import UserError
from spam_classifier.files import writing

OVERWRITE = "name another place, or add --overwrite"


@contextmanager
def whole_directory(directory: Path, replaceable: Collection[str], *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary directory that is renamed at the end, and removed after an error.

    With ``overwrite`` it replaces a former export, but no directory that holds others than ``replaceable``, which are
    paths in it, at most two names long.

    Raises:
        UserError: The name is taken by something that must not be replaced.
    """
    target = directory.resolve()
    if target.exists():
        if not overwrite:
            raise UserError(f"{directory} exists already: {OVERWRITE}")
        if not target.is_dir():
            raise UserError(f"{directory} is not a directory: name another place")
        held = {path.relative_to(target).as_posix() for path in (*target.glob("*"), *target.glob("*/*"))}
        for other in sorted(held - set(replaceable)):
            raise UserError(f"{directory} holds {other}, which is not of an export: name another place")
    with _staging(target) as staging:
        written = staging / "written"
        written.mkdir()
        yield written
        if target.exists():
            target.rename(staging / "former")
        written.rename(target)


@contextmanager
def whole_files(main: Path, others: Collection[Path], *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary directory whose files are moved to their places at the end; it is removed after an error.

    ``main`` is moved last, as it needs the others. With ``overwrite`` all files of a former export are replaced.

    Raises:
        UserError: A name is taken by something that must not be replaced.
    """
    target = main.resolve()
    places = [target, *(path.resolve() for path in others)]
    for place in places:
        if place.is_dir():
            raise UserError(f"{place} is a directory: name another file")
        if place.exists() and not overwrite:
            raise UserError(f"{place} exists already: {OVERWRITE}")
    with _staging(target) as staging:
        yield staging
        for place in places:
            place.unlink(missing_ok=True)
        for place in reversed(places):
            if (staging / place.name).exists():
                (staging / place.name).rename(place)


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    staging = target.with_name(f".{target.name}.incomplete")
    with writing(target):
        shutil.rmtree(staging, ignore_errors=True)  # left by an export that was killed
        staging.mkdir(parents=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
