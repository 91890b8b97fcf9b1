"""Which words push a text towards a class: Shapley values of its words.

The value of some of the words is the log-odds of the class for the text with these words alone. A word's influence is
what it adds to the words before it, as the mean over all orders of the words (Shapley 1953). So the influences of all
words add up to the log-odds of the text less those of the text without any words.

Of a text with few words all subsets are computed. For others the influences are those whose sums fit the values of
random subsets best (Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions"). Each subset is
drawn together with the words that it lacks, which lowers the error (Covert and Lee 2021, "Improving KernelSHAP").
Orders drawn at random (Castro, Gómez and Tejada 2009) needed more than twice as many subsets for the same error.
"""

import math
import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch

from spam_classifier.data.encoding import UNKNOWN_LABEL, EncodedMessages, Keep

MOST_PIECES = 64
MOST_EXACT = 8  # pieces; of more the subsets are drawn
PAIRS = 240  # of subsets; with half the words in each, they cost as much as classifying 240 texts of this length
SEED = 0  # the same text has the same explanation
WORD = re.compile(r"(\s*)(\S*)")  # with the white space before it, as GPT-2's tokens have it


class Part(NamedTuple):
    """A part of a text; white space and what the model does not read have no influence."""

    text: str
    influence: float | None  # what it adds to the log-odds of the class
    error: float | None  # standard error of the influence, 0 where all subsets were computed


class Subsets:
    """A text of which only some pieces are left.

    A piece is a word with the white space before it, so the other words keep their tokens. If there are more than
    ``MOST_PIECES`` words, neighbours make up a piece, the same number in each but the last. A text that is too long is
    cut first, as in training: nothing moves into the place of a piece that is left out.

    Attributes:
        remaining: What is left with each subset of the pieces, each once: first without any piece, at last the text as
            the model reads it. Where no token is left it is ``<|endoftext|>`` alone.
    """

    def __init__(self, text: str, max_length: int, keep: Keep, tokenizer: str | None = None) -> None:
        self._words: list[tuple[str, str]] = WORD.findall(text)[:-1]  # the pattern's last match is empty
        encoded = EncodedMessages.from_texts([space + word for space, word in self._words], tokenizer=tokenizer)
        own = EncodedMessages.from_texts([_as_token(space, word) for space, word in self._words], tokenizer=tokenizer)
        place = torch.arange(len(self._words)).repeat_interleave(encoded.lengths)  # of each token's word
        in_space = torch.arange(len(place)) < (encoded.offsets[1:] - own.lengths)[place]
        tokens, place, in_space = (_cut(values.int(), max_length, keep) for values in (encoded.tokens, place, in_space))
        read = place[in_space == 0].unique().tolist()
        size = max(1, -(-len(read) // MOST_PIECES))
        self._piece_of = {word: number // size for number, word in enumerate(read)}
        self.pieces = -(-len(read) // size)
        self._kept, self._drawn = (_all_subsets if self.pieces <= MOST_EXACT else _draw_subsets)(self.pieces)
        of_token = torch.tensor([self._piece_of.get(word, self.pieces) for word in place.tolist()])
        stays = torch.from_numpy(np.pad(self._kept, ((0, 0), (0, 1)), constant_values=True))[:, of_token]
        nothing = torch.tensor([encoded.padding], dtype=torch.int32)
        remaining = [tokens[row] if bool(row.any()) else nothing for row in stays]
        offsets = torch.tensor([0, *(len(rest) for rest in remaining)]).cumsum(0)
        unknown = torch.full((len(remaining),), UNKNOWN_LABEL)
        self.remaining = EncodedMessages(torch.cat(remaining), offsets, unknown, encoded.padding)

    def influences(self, scores: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Shapley value of each piece and its standard error, float64 [pieces], from the score of each subset."""
        values = np.asarray(scores, dtype=float)
        if self.pieces <= MOST_EXACT:
            return _exact(self._kept, values), np.zeros(self.pieces)
        return _fitted(self._kept[self._drawn].astype(float), values[self._drawn] - values[0], values[-1] - values[0])

    def parts(self, scores: Sequence[float]) -> list[Part]:
        """The parts of the text, end to end, from the score of each of ``remaining``."""
        influences, errors = (values.tolist() for values in self.influences(scores))
        fragments: list[tuple[str, int | None]] = []
        before = None
        for number, (space, word) in enumerate(self._words):
            piece = self._piece_of.get(number)
            fragments += [(space, piece if piece == before else None), (word, piece)]
            before = piece
        return [
            Part(
                "".join(text for text, _ in run),
                *((None, None) if piece is None else (influences[piece], errors[piece])),
            )
            for piece, run in groupby((own for own in fragments if own[0]), key=lambda own: own[1])
        ]


def _all_subsets(pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pieces are in each subset, bool [subsets, pieces]: piece k where bit k of the subset's number is set."""
    numbers = np.arange(2**pieces)
    return (numbers[:, None] >> np.arange(pieces) & 1).astype(bool), numbers


def _draw_subsets(pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pieces are in each subset, none in the first and all in the last; and the numbers of the drawn ones.

    A subset of s of n pieces counts as 1 / (s (n - s)) of its size, so the fit gives Shapley values. The second half of
    the drawn ones is what the first half lacks.
    """
    draw, sizes = np.random.default_rng(SEED), np.arange(1, pieces)
    shares = np.cumsum(1 / (sizes * (pieces - sizes)))
    # evenly spread sizes have less error than drawn ones
    chosen = sizes[np.searchsorted(shares / shares[-1], (np.arange(PAIRS) + 0.5) / PAIRS)]
    half = draw.permuted(np.tile(np.arange(pieces), (PAIRS, 1)), axis=1) < chosen[:, None]
    whole = np.ones((1, pieces), dtype=bool)
    kept, number_of = np.unique(np.concatenate([half, ~half, ~whole, whole]), axis=0, return_inverse=True)
    return kept, number_of.reshape(-1)[:-2]


def _exact(kept: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Shapley values from the values of ``_all_subsets``."""
    subsets, pieces = kept.shape
    sizes = kept.sum(axis=1)
    weights = np.array([1 / (pieces * math.comb(pieces - 1, size)) for size in range(pieces)])
    influences = np.zeros(pieces)
    for piece in range(pieces):
        without = np.arange(subsets)[~kept[:, piece]]
        influences[piece] = weights[sizes[without]] @ (values[without + 2**piece] - values[without])
    return influences


def _fitted(kept: np.ndarray, values: np.ndarray, whole: float) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares fit of the values, float [2 pairs], whose sum is ``whole``; and its standard errors.

    The errors are those of White 1980 for clusters of two, a subset and what it lacks.
    """
    pairs, pieces = len(kept) // 2, kept.shape[1]
    inverse = np.linalg.inv(kept.T @ kept)
    sums = inverse.sum(axis=0)
    projected = inverse - np.outer(sums, sums) / sums.sum()  # the sum of its columns is 0
    influences = projected @ (kept.T @ values) + sums / sums.sum() * whole
    scores = kept * (values - kept @ influences)[:, None]
    scores = scores[:pairs] + scores[pairs:]
    variance = projected @ (scores.T @ scores) @ projected * pairs / (pairs - pieces + 1)
    return influences, np.sqrt(np.maximum(np.diag(variance), 0))  # rounding


def _as_token(space: str, word: str) -> str:
    """The word with the space that belongs to its first token, if there is one."""
    return f" {word}" if word and space.endswith(" ") else word


def _cut(values: torch.Tensor, max_length: int, keep: Keep) -> torch.Tensor:
    """Cut the values of a text's tokens as the tokens themselves are cut: int32 [T] to the same."""
    text = EncodedMessages(values, torch.tensor([0, len(values)]), torch.tensor([UNKNOWN_LABEL]))
    return text.batch(torch.tensor([0]), max_length, keep=keep).input_ids[0].int()
