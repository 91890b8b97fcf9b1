"""What the pages of docs/ tell people to type, and where their links lead."""

import re
import shlex
from pathlib import Path

import pytest

from spam_classifier.experiments import parse

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("docs/*.md")), ROOT / "SECURITY.md"]
COMMANDS = {
    line.split("   #")[0].strip()
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
}


def commands(start: str) -> list[list[str]]:
    """The words of the commands that begin so, without the beginning."""
    found = [shlex.split(command.removeprefix(start)) for command in sorted(COMMANDS) if command.startswith(start)]
    assert found
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_scripts_have_the_flags() -> None:
    for script, *words in commands("python benchmarks/"):
        source = (ROOT / "benchmarks" / script).read_text(encoding="utf-8")
        for flag in (word for word in words if word.startswith("--")):
            assert f'"{flag}"' in source, f"{script} {flag}"


def test_every_script_says_how_to_run_it() -> None:
    for path in ROOT.glob("benchmarks/*.py"):
        source = path.read_text(encoding="utf-8")
        if "__main__" in source:
            assert f"\n    python benchmarks/{path.name}" in source.split('"""')[1], path.name


def test_experiments_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands("python -m spam_classifier.experiments"):
        arguments, _ = parse(words)
        assert all(config.exists() for config in arguments.configs)


def test_flags_of_fit_are_accepted() -> None:
    from spam_classifier.training.parser import settings_of
    from spam_classifier.training.typed import for_lightning

    for words in commands("python -m spam_classifier.train fit"):
        assert settings_of(for_lightning(["fit", *words])[1:])
    for words in commands("python -m spam_classifier.experiments"):
        if "--" in words:
            assert settings_of(words[words.index("--") + 1 :])
