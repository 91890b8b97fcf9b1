"""The figures published for the book's table of experiments, by the names of our rows.

Source: the README of ``ch06/02_bonus_additional-experiments`` in https://github.com/rasbt/LLMs-from-scratch, measured
with pretrained GPT-2 on an A100.
"""

from typing import NamedTuple


class PublishedRow(NamedTuple):
    """Accuracies in per cent, and the time of the training."""

    train: float
    validation: float
    test: float
    minutes: float


PUBLISHED = {
    "01_last_token_last_block": PublishedRow(96.63, 99.33, 95.00, 0.28),
    "02_first_token": PublishedRow(78.46, 80.54, 75.00, 0.28),
    "03_head_only": PublishedRow(78.65, 79.87, 72.00, 0.25),
    "04_last_two_blocks": PublishedRow(98.85, 98.66, 98.33, 0.33),
    "05_all_layers": PublishedRow(99.62, 96.64, 96.67, 0.69),
    "06_gpt2_medium": PublishedRow(87.50, 91.28, 84.67, 0.75),
    "07_gpt2_large": PublishedRow(99.52, 98.66, 96.67, 1.50),
    # the book's README now repeats the train figure, 99.81, for validation: of 149 messages that is no possible share
    # (148 are 99.33, 149 are 100); an earlier version of the table has 99.33
    "08_gpt2_xl": PublishedRow(99.81, 99.33, 98.33, 2.83),
    "09_gpt2_xl_all_layers": PublishedRow(100.00, 98.66, 98.67, 8.12),
    "10_random_weights_all_layers": PublishedRow(100.00, 96.64, 93.67, 0.69),
    "11_lora_rank_16_alpha_16": PublishedRow(100.00, 97.32, 96.67, 0.75),
    "12_gpt2_xl_lora_rank_16_alpha_8": PublishedRow(100.00, 98.66, 98.33, 5.79),
    "13_padded_to_context": PublishedRow(83.08, 87.92, 78.33, 2.46),
    "14_no_padding_batch_1": PublishedRow(100.00, 98.66, 98.00, 1.75),
    "15_no_padding_accumulated_over_8": PublishedRow(99.33, 98.66, 98.33, 1.70),
    "16_last_real_token": PublishedRow(99.42, 98.66, 98.33, 0.30),
    "17_no_causal_mask": PublishedRow(99.23, 98.66, 95.33, 0.29),
    "18_padding_id_as_ignore_index": PublishedRow(96.63, 99.33, 95.00, 0.28),
    "19_mean_of_all_logits": PublishedRow(97.79, 99.33, 96.33, 0.32),
}

WITHOUT_RUN = {
    "18_padding_id_as_ignore_index": "no run of its own: the targets are 0 and 1, never the padding id 50256, so the "
    "loss of row 01 has nothing to ignore",
}
"""Rows that can have no effect, and why."""

PUBLISHED_NOTES = {
    "08_gpt2_xl": "the book's validation figure is that of an earlier version of its table: the present 99.81 is not "
    "possible with 149 messages",
}
"""What to know about a published row."""
