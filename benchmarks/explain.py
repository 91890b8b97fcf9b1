"""Whether the words that an explanation names matter more than others, and what an explanation costs.

    python benchmarks/explain.py
    python benchmarks/explain.py --corpus sample --messages 50 -- --trainer.max_steps 100    # seconds

Trains configs/from_scratch.yaml (flags of `fit` after --) and explains the label of each test message. The deletion
test takes k words out at once: those with the highest influence, those whose absence alone lowers the log-odds most
(leave-one-out), or random ones. The table shows how far the log-odds of the predicted class fall, and how often the
label changes. Words are split at white space and joined by single spaces, so this shares no code with the explanations.

With k = 1 leave-one-out can't be beaten: it looks for the word whose absence lowers the log-odds most.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median

import pandas as pd

from spam_classifier import Classifier, Explanation, load_classifier
from spam_classifier.command_line import flags_behind_dashes
from spam_classifier.comparing.launch import launch_fit
from spam_classifier.inference.word_influence import MOST_PIECES

CONFIG = Path(__file__).parents[1] / "configs/from_scratch.yaml"
COUNTS = (1, 2, 3, 5)  # words taken out at once
FEWEST_WORDS = 4
DRAWS = 10  # of random words, for each message
CLEAR = 0.9  # probability of the label


def words_of(explanation: Explanation) -> list[str]:
    """The words of the text."""
    return [part.text for part in explanation.parts if part.influence is not None]


def scored(classifier: Classifier, texts: list[str], labels: list[str]) -> list[tuple[float, bool]]:
    """For each text the log-odds of the given label, and whether that is predicted."""
    scores = []
    for prediction, label in zip(classifier.predict(texts), labels, strict=True):
        others = sum(probability for name, probability in prediction.probabilities.items() if name != label)
        scores.append((math.log(prediction.probabilities[label]) - math.log(others), prediction.label == label))
    return scores


def without(words: list[str], places: list[int]) -> str:
    """The words except those at these places."""
    return " ".join(word for place, word in enumerate(words) if place not in places)


def descending(values: list[float]) -> list[int]:
    """The places of the values, the highest first."""
    return sorted(range(len(values)), key=lambda place: -values[place])


def by_leaving_one_out(classifier: Classifier, explanations: list[Explanation]) -> list[list[int]]:
    """The places of each text's words, first that whose absence alone lowers the log-odds most."""
    texts, labels = [], []
    for explanation in explanations:
        words = words_of(explanation)
        texts += [without(words, [place]) for place in range(len(words))]
        labels += [explanation.label] * len(words)
    scores = iter(scored(classifier, texts, labels))
    return [descending([-next(scores)[0] for _ in words_of(explanation)]) for explanation in explanations]


def row(classifier: Classifier, explanations: list[Explanation], orders: dict[str, list[list[int]]], count: int) -> str:
    """A row of the table: the fall of the log-odds and the changed labels with ``count`` words taken out."""
    draw = random.Random(count)
    texts, labels, kinds = [], [], []
    for number, explanation in enumerate(explanations):
        words = words_of(explanation)
        if len(words) <= count:
            continue
        taken = [("whole", []), *((name, order[number][:count]) for name, order in orders.items())]
        taken += [("random", draw.sample(range(len(words)), count)) for _ in range(DRAWS)]
        kinds += [name for name, _ in taken]
        texts += [without(words, places) for _, places in taken]
        labels += [explanation.label] * len(taken)
    falls: dict[str, list[float]] = {name: [] for name in (*orders, "random")}
    flips: dict[str, list[bool]] = {name: [] for name in falls}
    whole = 0.0
    for kind, (score, kept) in zip(kinds, scored(classifier, texts, labels), strict=True):
        if kind == "whole":
            whole = score
        else:
            falls[kind].append(whole - score)
            flips[kind].append(not kept)
    cells = [f"{mean(own):.2f}" for own in falls.values()] + [f"{mean(own):.1%}" for own in flips.values()]
    return f"| {count} | {kinds.count('whole'):,} | {' | '.join(cells)} |"


def main() -> None:
    """Train, explain, and print a table."""
    own, flags = flags_behind_dashes(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="uci", help="uci, sample, or the path of a corpus")
    parser.add_argument("--messages", type=int, default=1_000, help="of the test split")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(own)
    with tempfile.TemporaryDirectory() as directory:
        flags = ["--data.corpus", arguments.corpus, *flags]
        run = launch_fit(CONFIG, arguments.seed, flags, Path(directory))
        classifier = load_classifier(run)
        texts = pd.read_csv(run / "test.csv", dtype=str, keep_default_na=False)["text"].tolist()
    classifier.explain(texts[0])  # loads the tokenizer
    explanations, seconds = [], []
    for text in texts[: arguments.messages]:
        start = time.perf_counter()
        explanations.append(classifier.explain(text))
        seconds.append(time.perf_counter() - start)
    print(f"an explanation takes {median(seconds) * 1e3:.0f} ms, at most {max(seconds) * 1e3:.0f} ms")
    sums = [
        abs(one.log_odds - one.without_words - sum(part.influence or 0 for part in one.parts)) for one in explanations
    ]
    print(f"the influences miss their sum by {max(sums):.1g} at most")
    clear = [one for one in explanations if one.prediction.probabilities[one.label] >= CLEAR]
    for label in classifier.labels:
        of_label = [one for one in clear if one.label == label]
        towards = sum(any((part.influence or 0) > 0 for part in one.parts) for one in of_label)
        print(f"{label} with a probability of {CLEAR} or more: {towards:,} of {len(of_label):,} have a word towards it")
    errors = [part.error for one in explanations for part in one.parts if part.error]
    sizes = [abs(part.influence) for one in explanations for part in one.parts if part.error]
    if errors:
        print(f"mean standard error of an influence {mean(errors):.3f}, mean size {mean(sizes):.3f}")
    chosen = [
        one
        for one in explanations
        if FEWEST_WORDS <= len(words_of(one)) <= MOST_PIECES and not one.prediction.truncated
    ]
    print(f"\nof {len(seconds):,} messages, those with {FEWEST_WORDS} to {MOST_PIECES} words, none truncated:\n")
    for label in [None, *classifier.labels]:
        own_label = [one for one in chosen if label in (None, one.label)]
        print(f"{'all labels' if label is None else label}\n")
        if not own_label:
            continue
        orders = {
            "Shapley": [
                descending([part.influence for part in one.parts if part.influence is not None]) for one in own_label
            ],
            "leave-one-out": by_leaving_one_out(classifier, own_label),
        }
        names = " | ".join([*orders, "random"] * 2)
        print(
            "| words taken out | messages | log-odds fall: " + names.replace("random |", "random | label changes:", 1)
        )
        print("| ---: " * 8 + "|")
        for count in COUNTS:
            print(row(classifier, own_label, orders, count))
        print()


if __name__ == "__main__":
    main()
