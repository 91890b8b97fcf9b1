"""Every promise of SECURITY.md has a test, and its command works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_promise_has_a_test_that_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", tests, flags=re.MULTILINE))
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))]
    assert len(rows) > 15
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named, row
        assert named <= defined, row


def test_all_packages_can_be_listed() -> None:
    (command,) = re.findall(r"```bash\n(.*?)\n```", TEXT, flags=re.DOTALL)
    program, *arguments = shlex.split(command)
    assert program == "python"
    listed = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
    for name in ("torch: ", "anyio: ", "sympy: "):
        assert re.search(rf"^{name}.*\w", listed, flags=re.MULTILINE)
