"""Which words push a text towards a class: the text is classified again without each of them.

Leaving out parts of the input and comparing the scores is called occlusion (Zeiler and Fergus 2014, "Visualizing and
Understanding Convolutional Networks"); for words see Li, Monroe and Jurafsky 2016, "Understanding Neural Networks
through Representation Erasure" (arXiv:1612.08220).
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch

from spam_classifier.data.encoding import PADDING_ID, UNKNOWN_LABEL, EncodedMessages, Keep

MOST_PIECES = 64  # so an explanation costs at most 65 texts
WORD = re.compile(r"(\s*)(\S*)")  # with the white space before it, as GPT-2's tokens have it


class Part(NamedTuple):
    """A part of a text.

    Attributes:
        text: Its characters.
        influence: How far the log-odds of the class fall when it is left out; None for white space, and for what the
            model does not read because the text is too long.
    """

    text: str
    influence: float | None


class Occlusion:
    """A text, and the same text without each of its pieces.

    A piece is a word with the white space before it, so the other words keep their tokens. If there are more than
    ``MOST_PIECES`` words, neighbours make up a piece, the same number in each but the last. A text that is too long is
    cut first: nothing moves into the place of a piece that is left out.

    Args:
        text: The text, not blank.
        max_length: Tokens that it is cut to.
        keep: What is kept of a longer one, as in training.

    Attributes:
        remaining: The text as the model reads it, then the text without each piece; ``<|endoftext|>`` alone if no
            token remains.
    """

    def __init__(self, text: str, max_length: int, keep: Keep) -> None:
        self._words: list[tuple[str, str]] = WORD.findall(text)[:-1]  # the pattern's last match is empty
        encoded = EncodedMessages.from_texts([space + word for space, word in self._words])
        own = EncodedMessages.from_texts([_as_token(space, word) for space, word in self._words])
        place = torch.arange(len(self._words)).repeat_interleave(encoded.lengths)  # of each token's word
        in_space = torch.arange(len(place)) < (encoded.offsets[1:] - own.lengths)[place]
        tokens, place, in_space = (_cut(values.int(), max_length, keep) for values in (encoded.tokens, place, in_space))
        read = place[in_space == 0].unique().tolist()
        size = max(1, -(-len(read) // MOST_PIECES))
        self._piece_of = {word: number // size for number, word in enumerate(read)}
        pieces = torch.tensor([self._piece_of.get(word, -1) for word in place.tolist()])
        nothing = torch.tensor([PADDING_ID], dtype=torch.int32)
        remaining = [tokens]
        for piece in range(-(-len(read) // size)):
            rest = tokens[pieces != piece]
            remaining.append(rest if len(rest) else nothing)
        offsets = torch.tensor([0, *(len(rest) for rest in remaining)]).cumsum(0)
        self.remaining = EncodedMessages(torch.cat(remaining), offsets, torch.full((len(remaining),), UNKNOWN_LABEL))

    def parts(self, scores: Sequence[float]) -> list[Part]:
        """The parts of the text, end to end, from the score of each of ``remaining``."""
        whole, *without = scores
        fragments: list[tuple[str, int | None]] = []
        before = None
        for number, (space, word) in enumerate(self._words):
            piece = self._piece_of.get(number)
            fragments += [(space, piece if piece == before else None), (word, piece)]
            before = piece
        return [
            Part("".join(fragment for fragment, _ in run), None if piece is None else whole - without[piece])
            for piece, run in groupby((own for own in fragments if own[0]), key=lambda own: own[1])
        ]


def _as_token(space: str, word: str) -> str:
    """The word with the space that belongs to its first token, if there is one."""
    return f" {word}" if word and space.endswith(" ") else word


def _cut(values: torch.Tensor, max_length: int, keep: Keep) -> torch.Tensor:
    """Cut the values of a text's tokens as the tokens themselves are cut: int32 [T] to the same."""
    text = EncodedMessages(values, torch.tensor([0, len(values)]), torch.tensor([UNKNOWN_LABEL]))
    return text.batch(torch.tensor([0]), max_length, keep=keep).input_ids[0].int()
