"""Whether leaving out the words that an explanation names changes the prediction more than leaving out random words.

    python benchmarks/explain.py
    python benchmarks/explain.py --corpus sample --messages 50 -- --trainer.max_steps 100    # seconds

Trains configs/from_scratch.yaml (flags of `fit` after --) and explains the label of each test message. Then k words are
left out at once: those with the highest influence, or k random ones. The table shows how far the log-odds of the
predicted class fall, and how often the label changes. Words are split at white space and joined by single spaces, so
that this shares no code with the explanations.

With k = 1 the named word wins almost by construction: it was found by leaving it out. Draws with the same fall, most of
them of the named words, count half.
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
MOST = 3  # words left out at once
DRAWS = 10  # of random words, for each message


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


def row(classifier: Classifier, explanations: list[Explanation], count: int) -> str:
    """A row of the table: ``count`` named words against as many random ones."""
    draw = random.Random(count)
    texts, labels = [], []
    for explanation in explanations:
        pushes = [(part.text, part.influence) for part in explanation.parts if part.influence is not None]
        words = [word for word, _ in pushes]
        named = sorted(range(len(words)), key=lambda place: -pushes[place][1])[:count]
        texts += [without(words, []), without(words, named)]
        texts += [without(words, draw.sample(range(len(words)), count)) for _ in range(DRAWS)]
        labels += [explanation.label] * (2 + DRAWS)
    scores = scored(classifier, texts, labels)
    falls: dict[str, list[float]] = {"named": [], "random": []}
    flips: dict[str, list[bool]] = {"named": [], "random": []}
    beaten = []
    for start in range(0, len(scores), 2 + DRAWS):
        (whole, _), (named_score, kept), *drawn = scores[start : start + 2 + DRAWS]
        random_falls = [whole - score for score, _ in drawn]
        falls["named"].append(whole - named_score)
        falls["random"].append(mean(random_falls))
        flips["named"].append(not kept)
        flips["random"] += [not same for _, same in drawn]
        beaten.append(mean((whole - named_score > fall) + 0.5 * (whole - named_score == fall) for fall in random_falls))
    return (
        f"| {count} | {mean(beaten):.1%} | {mean(falls['named']):.2f} | {mean(falls['random']):.2f} "
        f"| {mean(flips['named']):.1%} | {mean(flips['random']):.1%} |"
    )


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
        explanation = classifier.explain(text)
        seconds.append(time.perf_counter() - start)
        if MOST < len(text.split()) <= MOST_PIECES and not explanation.prediction.truncated:
            explanations.append(explanation)
    print(f"an explanation takes {median(seconds) * 1e3:.0f} ms, at most {max(seconds) * 1e3:.0f} ms")
    print(f"of {len(seconds):,} messages, those with {MOST + 1} to {MOST_PIECES} words, none truncated:\n")
    for label in [None, *classifier.labels]:
        chosen = [own for own in explanations if label in (None, own.label)]
        print(f"{'all labels' if label is None else label}: {len(chosen):,}\n")
        if not chosen:
            continue
        print("| words left out | named beat random | log-odds fall: named | random | label changes: named | random |")
        print("| --- | --- | --- | --- | --- | --- |")
        for count in range(1, MOST + 1):
            print(row(classifier, chosen, count))
        print()


if __name__ == "__main__":
    main()
