"""Files and directories that are there whole or not at all."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from spam_classifier.errors import UserError
from spam_classifier.files import writing

OVERWRITE = "name another place, or add --overwrite"


@contextmanager
def whole_directory(directory: Path, replaceable: Collection[str], *, overwrite: bool) -> Iterator[Path]:
    """Give a directory to write into, which takes its name when all is written.

    Args:
        directory: The name.
        replaceable: Names of the files that a directory in its place may hold; one with others is not touched.
        overwrite: Whether a directory may be in its place.

    Yields:
        An empty directory beside it; nothing is left of it after an error.

    Raises:
        UserError: Something is in its place that must not be replaced.
    """
    target = directory.resolve()
    if target.exists():
        if not overwrite:
            raise UserError(f"{directory} is there already: {OVERWRITE}")
        others = sorted({path.name for path in target.iterdir()} - set(replaceable)) if target.is_dir() else None
        if others is None or others:
            what = f"holds {others[0]}, which no export wrote" if others else "is no directory"
            raise UserError(f"{directory} {what}, and is not overwritten: name another directory")
    with _staging(target) as staging:
        written = staging / "written"
        written.mkdir()
        yield written
        if target.exists():
            target.rename(staging / "former")
        written.rename(target)


@contextmanager
def whole_files(main: Path, others: Collection[Path], *, overwrite: bool) -> Iterator[Path]:
    """Give a directory to write files into, which are moved to their places when all are written, ``main`` last.

    Args:
        main: The file that is of no use without the others.
        others: Files beside it that may or may not be written; former ones are removed.
        overwrite: Whether files may be in their places.

    Yields:
        An empty directory beside them; nothing is left of it after an error.

    Raises:
        UserError: Something is in a place that must not be replaced.
    """
    target = main.resolve()
    places = [target, *(path.resolve() for path in others)]
    for place in places:
        if place.is_dir():
            raise UserError(f"{place} is a directory: name another file")
        if place.exists() and not overwrite:
            raise UserError(f"{place} is there already: {OVERWRITE}")
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
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)  # of an export that was killed
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
