"""Messages that say nearly the same: templates with another number, prize or sender, texts with a word more.

Two messages are near-duplicates where the sets of their words, in lower case and with every number the same, overlap by
a Jaccard similarity of at least NEAR. Candidates are found by prefix filtering (Chaudhuri, Ganti and Kaushik 2006,
"A Primitive Operator for Similarity Joins in Data Cleaning"): two sets that overlap so much share one of the few
rarest words of each. The search is exact, needs no random numbers, and compares hardly more pairs than are similar.
In languages written without spaces a clause counts as a word, so that hardly more than exact repeats are found.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import regex

NEAR = 0.8
WORD = regex.compile(r"\w+")  # with the marks that vowels are in many scripts, unlike in the standard library
NUMBER = regex.compile(r"\d+")

Words = frozenset[str]


def words_of(text: str) -> Words:
    """The words of a text in lower case, every run of digits as one 0; a text without words is its own word."""
    folded = NUMBER.sub("0", text.casefold())
    return frozenset(WORD.findall(folded)) or frozenset(["".join(folded.split())])


def near_duplicates(texts: Sequence[str]) -> list[int | None]:
    """For each text the place of an earlier one that it nearly repeats, else None.

    Only texts that repeat none are compared with: whoever drops all that do is left with texts of which no two are
    near-duplicates.
    """
    words = [words_of(text) for text in texts]
    index = _Index(words)
    found: list[int | None] = []
    for place, own in enumerate(words):
        found.append(index.find(own))
        if found[-1] is None:
            index.add(place, own)
    return found


def near_any(texts: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Whether each text is a near-duplicate of any of the others."""
    words, words_of_others = [words_of(text) for text in texts], [words_of(text) for text in others]
    index = _Index([*words, *words_of_others])
    for place, own in enumerate(words_of_others):
        index.add(place, own)
    return [index.find(own) is not None for own in words]


class _Index:
    """Sets of words by their rarest words.

    Args:
        vocabulary: All sets that will be added or looked for.
    """

    def __init__(self, vocabulary: Iterable[Words]) -> None:
        self.frequency = Counter(word for words in vocabulary for word in words)
        self.by_word: dict[str, list[int]] = defaultdict(list)
        self.sets: dict[int, Words] = {}

    def _rarest(self, words: Words) -> list[str]:
        """As many of the rarest words that a set without any of them shares too few with this one."""
        shared = math.ceil(NEAR * len(words) - 1e-9)  # 0.8 * 5 is a little more than 4 in floats
        return sorted(words, key=lambda word: (self.frequency[word], word))[: len(words) - shared + 1]

    def add(self, place: int, words: Words) -> None:
        self.sets[place] = words
        for word in self._rarest(words):
            self.by_word[word].append(place)

    def find(self, words: Words) -> int | None:
        """The place of a similar set."""
        compared = set()
        for word in self._rarest(words):
            for place in self.by_word.get(word, ()):
                if place in compared:
                    continue
                compared.add(place)
                other = self.sets[place]
                if len(words & other) >= NEAR * len(words | other) - 1e-9:
                    return place
        return None
