"""What the parts of benchmarks/gpu.py have printed, as data, and all of it as Markdown."""

import xml.etree.ElementTree as ElementTree
from itertools import groupby
from pathlib import Path
from typing import Any

Table = list[dict[str, str]]


def tables_of(text: str) -> list[Table]:
    """The Markdown tables of a text, a dict for each row."""
    tables = []
    for of_table, lines in groupby(text.splitlines(), key=lambda line: line.startswith("|")):
        cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines] if of_table else []
        if len(cells) > 1:
            tables.append([dict(zip(cells[0], row, strict=False)) for row in cells[2:]])
    return tables


def results_of_tests(junit: Path) -> Table:
    """The result and the measured figures of each test in a JUnit file; no rows if there is none."""
    if not junit.exists():
        return []
    rows = []
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        measured = "; ".join(f"{found.get('name')} {found.get('value')}" for found in case.iter("property"))
        why = bad[0].get("message", "").splitlines()[:1] if bad else []
        rows.append(
            {
                "test": case.get("name", "").removeprefix("test_").replace("_", " "),
                "result": bad[0].tag if bad else "passed",
                "seconds": f"{float(case.get('time', 0)):.1f}",
                "measured": measured or "".join(why),
            }
        )
    return rows


def as_table(rows: Table) -> list[str]:
    """Rows as lines of Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row.get(name, "") for name in names] for row in rows)]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]


def markdown(record: dict[str, Any]) -> str:
    """The whole record: the machine, how each part ended, and each part's tables."""
    about = {**record["machine"], **(record["machine"]["git"] or {})}
    said = ", ".join(f"{name} {value}" for name, value in about.items() if name != "git")
    lines = [f"# {about.get('GPU', 'CPU, tiny sizes: these figures say nothing about speed')}", ""]
    lines += [f"{record['started']}, {record['seconds']} s in all; {said}", ""]
    overview = [
        {
            "part": name,
            "result": part["status"],
            "seconds": str(part.get("seconds", "")),
            "limit": str(part.get("limit", "")),
            "last line": part["last_line"],
        }
        for name, part in record["parts"].items()
    ]
    lines += as_table(overview)
    for name, part in record["parts"].items():
        for rows in filter(None, part["tables"]):
            lines += ["", f"## {name}", "", f"`{part['command']}`", "", *as_table(rows)]
    return "\n".join(lines) + "\n"
