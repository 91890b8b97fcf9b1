"""What SECURITY.md says."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")]
PROMISES = [row for row in ROWS if len(row) == 2 and row[0] not in ("promise", "---")]
LICENCES = {row[0]: row[1] for row in ROWS if len(row) == 3 and row[0] not in ("package", "---")}
FAMILY = re.compile(r"Apache|MIT|MPL|Mozilla|0BSD|BSD|BSL|Zlib|CC0|CNRI|PSF|Python Software Foundation|\w*GPL")
SAME = {"Mozilla": "MPL", "Python Software Foundation": "PSF"}


def families(stated: str) -> set[str]:
    return {SAME.get(name, name) for name in FAMILY.findall(stated)}


def test_every_promise_has_a_test_that_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", tests, flags=re.MULTILINE))
    assert len(PROMISES) > 15
    for promise, held_by in PROMISES:
        named = set(re.findall(r"`(test_\w+)`", held_by))
        assert named, promise
        assert named <= defined


def test_licences_are_those_the_packages_state() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    optional = [*project["optional-dependencies"].values(), *settings["dependency-groups"].values()]
    asked = [*project["dependencies"], *(name for names in optional for name in names)]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in asked}
    assert set(LICENCES) == names
    for name in names:
        try:
            own = metadata(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
        stated = own["License-Expression"] or " ".join(
            [
                *(line for line in own.get_all("Classifier", []) if line.startswith("License")),
                (own["License"] or "")[:99],
            ]
        )
        assert families(stated), f"{name} states no licence that is known here: {stated}"
        assert families(stated) <= families(LICENCES[name]), name
        assert not any("GPL" in family for family in families(LICENCES[name]))


def test_all_packages_can_be_listed() -> None:
    (command,) = re.findall(r"```bash\n(.*?)\n```", TEXT, flags=re.DOTALL)
    program, *arguments = shlex.split(command)
    assert program == "python"
    listed = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
    for name in ("torch: ", "anyio: ", "sympy: "):
        assert re.search(rf"^{name}.*\w", listed, flags=re.MULTILINE)
