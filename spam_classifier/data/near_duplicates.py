"""Messages that say nearly the same: templates with another number, prize or sender, texts with a word more.

Two messages are near-duplicates if the sets of their words, in lower case and with all numbers the same, have a Jaccard
similarity of at least NEAR. Similar sets share one of the rarest words of each, so only such sets are compared (prefix
filtering: Chaudhuri, Ganti and Kaushik 2006, "A Primitive Operator for Similarity Joins in Data Cleaning"), and only if
the position of that word in both leaves enough words to share (Xiao, Wang, Lin and Yu 2008, "Efficient Similarity Joins
for Near Duplicate Detection"). The search is exact. In languages written without spaces a clause counts as a word, so
little more than exact repeats is found there.
"""

from array import array
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import regex

NEAR = 0.8
ROUNDING = 1e-6  # of floats, far below the share that one word makes
WORD = regex.compile(r"\w+")  # unlike re's, it takes the marks that are vowels in many scripts
NUMBER = regex.compile(r"\d+")


def words_of(text: str) -> frozenset[str]:
    """The words of a text in lower case, every run of digits as one 0; a text without words is its own word."""
    folded = NUMBER.sub("0", text.casefold())
    return frozenset(WORD.findall(folded)) or frozenset(["".join(folded.split())])


def near_duplicates(texts: Sequence[str]) -> list[int | None]:
    """For each text the place of an earlier one that it nearly repeats, else None.

    Texts are compared with those that repeat none: without the others no two near-duplicates are left.
    """
    sets = _WordSets(texts)
    compared = np.zeros(len(texts), bool)
    found: list[int | None] = []
    for place in range(len(texts)):
        earlier = sets.first_equal(place)
        if earlier == place:
            found.append(sets.find_earlier(place, compared))
            compared[place] = found[-1] is None
        else:
            found.append(earlier if compared[earlier] else found[earlier])
    return found


def near_any(texts: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Whether each text is a near-duplicate of any of the others."""
    sets = _WordSets([*others, *texts])
    compared = np.arange(len(others) + len(texts)) < len(others)
    found = [True] * len(others)
    for place in range(len(others), len(compared)):
        earlier = sets.first_equal(place)
        found.append(found[earlier] if earlier != place else sets.find_earlier(place, compared) is not None)
    return found[len(others) :]


def near_groups(texts: Sequence[str]) -> list[int]:
    """For each text the place of the first one of its group: near-duplicates are in one, also by way of others."""
    sets = _WordSets(texts)
    compared = np.zeros(len(texts), bool)
    group = np.arange(len(texts))

    def first_of(place: int) -> int:
        while group[place] != place:
            group[place] = place = int(group[group[place]])
        return place

    for place in range(len(texts)):
        earlier = sets.first_equal(place)
        similar = sets.similar_to(place, compared) if earlier == place else np.array([earlier])
        compared[place] = earlier == place
        for other in np.unique(group[similar]).tolist():
            one, two = sorted((first_of(place), first_of(other)))
            group[two] = one
    return [first_of(place) for place in range(len(texts))]


class _WordSets:
    """The words of many texts as numbers, end to end: rare words have low numbers, and come first in each set."""

    def __init__(self, texts: Sequence[str]) -> None:
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        flat, sizes = array("q"), array("q")
        for text in texts:
            own = words_of(text)
            flat.extend([numbers[word] for word in own])
            sizes.append(len(own))
        words, self.sizes = np.array(flat, np.int64), np.array(sizes, np.int64)
        rarest_first = np.bincount(words, minlength=len(numbers)).argsort(kind="stable")
        rank = np.empty(len(numbers), np.int64)
        rank[rarest_first] = np.arange(len(numbers))
        owners = np.repeat(np.arange(len(texts)), self.sizes)
        self.words = rank[words][np.lexsort((rank[words], owners))].astype(np.int32)
        self.starts = self.sizes.cumsum() - self.sizes
        self._own = np.zeros(len(numbers), bool)  # whether a word is in the current set
        self._first: dict[bytes, int] = {}
        self._index(owners)

    def _index(self, owners: np.ndarray) -> None:
        """List for each word the sets that it is one of the rarest words of; a similar set must share one of those."""
        position = np.arange(len(self.words)) - self.starts[owners]
        shared = np.ceil(NEAR * self.sizes - ROUNDING).astype(np.int64)
        self.rarest = self.sizes - shared + 1
        listed = np.flatnonzero(position < self.rarest[owners])
        listed = listed[self.words[listed].argsort(kind="stable")]  # by word, then by set
        self.listed_set, self.listed_position = owners[listed], position[listed]
        words = self.words[listed]
        self.place_in_list = np.zeros(len(self.words), np.int64)
        self.place_in_list[listed] = np.arange(len(listed))
        self.list_start = np.zeros(len(self.words), np.int64)
        self.list_start[listed] = words.searchsorted(words)

    def first_equal(self, place: int) -> int:
        """The first set with the same words, among those that were asked for."""
        start = self.starts[place]
        return self._first.setdefault(self.words[start : start + self.sizes[place]].tobytes(), place)

    def find_earlier(self, place: int, compared: np.ndarray) -> int | None:
        """The place of the first set that ``similar_to`` finds."""
        similar = self.similar_to(place, compared)
        return int(similar[0]) if len(similar) else None

    def similar_to(self, place: int, compared: np.ndarray) -> np.ndarray:
        """The places of earlier sets that are similar, of those that are ``compared``, bool [N]."""
        start, size = self.starts[place], self.sizes[place]
        own = slice(start, start + self.rarest[place])
        earlier = self.place_in_list[own] - self.list_start[own]
        listed = _ranges(self.list_start[own], earlier)
        position = np.repeat(np.arange(len(earlier)), earlier)
        sets = self.listed_set[listed]
        most = np.minimum(size - position, self.sizes[sets] - self.listed_position[listed])  # words they can share
        enough = most >= (size + self.sizes[sets]) * (NEAR / (1 + NEAR)) - ROUNDING
        candidates = np.unique(sets[enough & compared[sets]])
        if not len(candidates):
            return candidates
        overlap = self._overlap(place, candidates)
        return candidates[overlap >= NEAR * (size + self.sizes[candidates] - overlap) - ROUNDING]

    def _overlap(self, place: int, candidates: np.ndarray) -> np.ndarray:
        """How many words each candidate shares with the set, int64 [candidates]."""
        own = self.words[self.starts[place] : self.starts[place] + self.sizes[place]]
        sizes = self.sizes[candidates]
        firsts = sizes.cumsum() - sizes
        words = self.words[_ranges(self.starts[candidates], sizes)]
        self._own[own] = True
        overlap = np.add.reduceat(self._own[words].astype(np.int64), firsts)
        self._own[own] = False
        return overlap


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The ranges from each start, of the given lengths, end to end, int64 [sum of lengths]."""
    return np.repeat(starts - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
