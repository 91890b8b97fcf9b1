"""Tables as Markdown."""

import pandas as pd


def to_markdown(table: pd.DataFrame) -> str:
    """A frame as a Markdown table; what is missing is ``-``."""
    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    for row in table.to_numpy():
        rows.append(["-" if pd.isna(cell) else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row])
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
