"""Commands to show the user, in the form that works where they are printed."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

CONSOLE_SCRIPT = "spam-classifier"
PACKAGE = __name__.partition(".")[0]
EXAMPLE = "You have won a prize, call now"  # a text to classify
OF_TRAIN = ("fit", "validate", "test")
CHANGED_BY_A_SHELL = re.compile(r'["$`!\\]')  # even between double quotes


def package_program() -> str:
    """How to start the list of commands: ``spam-classifier``, or ``python -m spam_classifier``."""
    started = Path(sys.orig_argv[1]) if len(sys.orig_argv) > 1 else Path()
    if started.stem != CONSOLE_SCRIPT:
        return f"{python()} -m {PACKAGE}"
    found = shutil.which(CONSOLE_SCRIPT)
    on_path = found is not None and Path(found).resolve() == started.resolve()
    return CONSOLE_SCRIPT if on_path else shown(started)


def program(command: str) -> str:
    """How to start a command: ``spam-classifier test``, or ``python -m spam_classifier.train test``."""
    package = package_program()
    if not package.endswith(f"-m {PACKAGE}"):
        return f"{package} {command}"
    return f"{package}.{'train ' if command in OF_TRAIN else ''}{command}"


def command_line(command: str, *words: object) -> str:
    """A command of this package with its arguments, as it can be typed."""
    return " ".join([program(command), *(quoted(str(word)) for word in words)])


def same_command(*flags: str) -> str:
    """The command that runs now, with these flags and values; they alone where it is none of this package's."""
    started = list(_without(sys.orig_argv[1:], flags[::2]))
    words: list[str] = []
    if started[:1] == ["-m"] and started[1:2] and started[1].partition(".")[0] == PACKAGE:
        words = [python(), *started]
    elif started and Path(started[0]).stem == CONSOLE_SCRIPT:
        words = [*package_program().split(" "), *started[1:]]
    return " ".join([*words[:1], *(quoted(word) for word in [*words[1:], *flags])])


def _without(words: Sequence[str], flags: Sequence[str]) -> Iterator[str]:
    """The words without these flags and their values."""
    is_value = False
    for word in words:
        if is_value or word.partition("=")[0] in flags:
            is_value = not is_value and "=" not in word
        else:
            yield word


def quoted(word: str) -> str:
    """A word for a shell, in double quotes where these are enough: they work on Windows, too."""
    return f'"{word}"' if " " in word and not CHANGED_BY_A_SHELL.search(word) else shlex.quote(word)


def python() -> str:
    """The interpreter that runs this: ``python`` if that is the one on the PATH, else its path."""
    own = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        # a virtual environment's python is a link to another one: the directory has to be the same
        if found and Path(found).parent.resolve() == own.parent.resolve() and Path(found).samefile(own):
            return name
    return shown(own)


def tensorboard() -> str:
    """How to start TensorBoard."""
    return "tensorboard" if shutil.which("tensorboard") else f"{python()} -m tensorboard.main"


def shown(path: Path) -> str:
    """The path of a program, for a shell."""
    short = relative(path)
    return quoted(short if Path(short).name != short else f"./{short}")


def relative(path: Path) -> str:
    """A path, relative if it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def install(extra: str) -> str:
    """A pip command for the packages of an extra; this package itself is on no index."""
    from importlib import metadata  # slow to import

    try:
        requirements = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from its sources without an installation
        requirements = []
    of_extra = [line for line in requirements if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", line)]
    names = [match[0] for line in of_extra if (match := re.match(r"[\w.-]+", line))]
    own = [] if names else ["-e", quoted(f"{Path(__file__).parents[1]}[{extra}]")]
    return " ".join([python(), "-m pip install", *own, *names])
