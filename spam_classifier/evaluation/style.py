"""The colours and the look of all figures; the colours are those of ``palette.css``."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

PALETTE_FILE = "palette.css"


def palette() -> str:
    """The style sheet of the colours."""
    return files("spam_classifier").joinpath(PALETTE_FILE).read_text(encoding="utf-8")


# the light ones: a picture of its own has a white ground
COLOURS = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", palette().partition("@media")[0]))
SPLITS = {name: COLOURS[name] for name in ("train", "validation", "test")}
# a split is told apart without its colour, too
MARKS: dict[str, dict[str, Any]] = {
    "train": {"color": SPLITS["train"], "marker": "s", "linestyle": "--"},
    "validation": {"color": SPLITS["validation"], "marker": "D", "linestyle": "-"},
    "test": {"color": SPLITS["test"], "marker": "o", "linestyle": "-"},
}
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Segoe UI", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 10,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a class may be called $x$
    "axes.labelcolor": COLOURS["ink"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": COLOURS["edge"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[COLOURS[f"class-{number}"] for number in range(8)]),
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.8,
    "xtick.color": COLOURS["edge"],
    "ytick.color": COLOURS["edge"],
    "xtick.labelcolor": COLOURS["note"],
    "ytick.labelcolor": COLOURS["note"],
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": "small",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "report",  # the same page for the same run
}


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure that was made in this style; parts of it are made only now."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=120)


def with_variables(svg: str) -> str:
    """An SVG element whose colours follow the page that it is in, light or dark."""
    known = {value: name for name, value in reversed(COLOURS.items())}  # the first name of a value
    return re.sub(r"#[0-9a-f]{6}", lambda found: f"var(--{known[found[0]]})" if found[0] in known else found[0], svg)
