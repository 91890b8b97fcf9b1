"""The figures published for the book's table of experiments, by the names of our rows.

Source: the README of ``ch06/02_bonus_additional-experiments`` in https://github.com/rasbt/LLMs-from-scratch, measured
with pretrained GPT-2 on an A100. Accuracies are in per cent. A row
without a run can have no effect; ``remark`` says why.
"""

from pathlib import Path

import pandas as pd

PUBLISHED = pd.read_csv(Path(__file__).with_name("published.csv"), index_col="name").fillna({"remark": ""})
