"""Writes ``sample.tsv``, the corpus that ships with the package: made-up messages, the same on every run.

Run as ``python -m spam_classifier.data.sample_generator``. The words are in ``sample_phrases``; this module
fills in the templates and then roughens the messages the way thumbs do.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

from spam_classifier.data import sample_phrases as phrases
from spam_classifier.errors import UserError, one_line_errors

SAMPLE_PATH = Path(__file__).with_name("sample.tsv")
MAX_CHARACTERS = 1000

PLAIN = "@"
CHAT = "[|||{hello} ]@[|||| {bye}| {bye}]"
REPLY = "@[||||| {bye}]"
PITCH = "[||||{hello} ]@[| {nudge}]"


class Section(NamedTuple):
    """So many messages made from one list of templates; each takes the place of ``@`` in the frame."""

    label: str
    size: int
    templates: list[str]
    frame: str
    manner: str


SECTIONS = [
    Section("ham", 210, phrases.HAM_SHORT, PLAIN, "casual"),
    Section("ham", 367, phrases.HAM_CHAT, CHAT, "casual"),
    Section("ham", 175, phrases.HAM_FAMILY, REPLY, "casual"),
    Section("ham", 115, phrases.HAM_DATING, CHAT, "casual"),
    Section("ham", 174, phrases.HAM_WORK, CHAT, "casual"),
    Section("ham", 120, phrases.HAM_STUDY, CHAT, "casual"),
    Section("ham", 155, phrases.HAM_LOGISTICS, CHAT, "casual"),
    Section("ham", 100, phrases.HAM_SPORT, CHAT, "casual"),
    Section("ham", 100, phrases.HAM_FOOD, CHAT, "casual"),
    Section("ham", 100, phrases.HAM_JOKES, CHAT, "casual"),
    Section("ham", 75, phrases.HAM_SORRY, CHAT, "casual"),
    Section("ham", 75, phrases.HAM_HEALTH, CHAT, "casual"),
    Section("ham", 150, phrases.HAM_LOOKALIKE, CHAT, "casual"),
    Section("ham", 145, phrases.HAM_SERVICE, PLAIN, "official"),
    Section("ham", 105, phrases.HAM_LONG, PLAIN, "careful"),
    Section("ham", 55, phrases.HAM_LANGUAGES, PLAIN, "careful"),
    Section("ham", 35, phrases.HAM_ODDITIES, PLAIN, "official"),
    Section("spam", 78, phrases.SPAM_PRIZE, PITCH, "pushy"),
    Section("spam", 55, phrases.SPAM_PREMIUM, PITCH, "pushy"),
    Section("spam", 55, phrases.SPAM_LOAN, PITCH, "pushy"),
    Section("spam", 42, phrases.SPAM_PILLS, PITCH, "pushy"),
    Section("spam", 42, phrases.SPAM_CRYPTO, PITCH, "pushy"),
    Section("spam", 42, phrases.SPAM_JOB, PITCH, "pushy"),
    Section("spam", 46, phrases.SPAM_PARCEL, PLAIN, "pushy"),
    Section("spam", 58, phrases.SPAM_BANK, PLAIN, "pushy"),
    Section("spam", 45, phrases.SPAM_DATING, REPLY, "casual"),
    Section("spam", 40, phrases.SPAM_PLEA, REPLY, "casual"),
    Section("spam", 42, phrases.SPAM_CASUAL, CHAT, "casual"),
    Section("spam", 30, phrases.SPAM_SHORT, PLAIN, "casual"),
    Section("spam", 49, phrases.SPAM_LONG, PLAIN, "careful"),
    Section("spam", 18, phrases.SPAM_LANGUAGES, PLAIN, "careful"),
    Section("spam", 22, phrases.SPAM_ODDITIES, PLAIN, "official"),
]
PAIR_COUNT = 32
# An inbox holds some messages twice, and the removal of repeats needs something to remove.
REPEATS = {"ham": 12, "spam": 4}

SLOT_OR_CHOICE = re.compile(r"\{([^{}]+)\}|\[([^\[\]{}]*)\]")
NUMBER_RANGE = re.compile(r"(\d+)-(\d+)")
TWO_READINGS = re.compile(r"<<(.*?)\|\|(.*?)>>")


def expand(template: str, rng: Random) -> str:
    """A template with its slots and choices filled in, no entry twice while there are others."""
    used: list[str] = []

    def fill(match: re.Match[str]) -> str:
        slot, choices = match.groups()
        if slot is None:
            return rng.choice(choices.split("|"))
        if number_range := NUMBER_RANGE.fullmatch(slot):
            low, high = number_range.groups()
            return str(rng.randrange(int(low), int(high) + 1)).zfill(len(low))
        entries = phrases.WORDS[slot]
        entry = rng.choice([entry for entry in entries if entry not in used] or entries)
        used.append(entry)
        return entry

    while SLOT_OR_CHOICE.search(template):
        template = SLOT_OR_CHOICE.sub(fill, template)
    return tidy(template)


def tidy(text: str) -> str:
    """Mends the seams between pieces: spaces, doubled marks, and capitals after a full stop."""
    text = " ".join(text.split())
    text = re.sub(r" ([,.!?])(?= |$)", r"\1", text)
    text = re.sub(r"(?<!\.)([.!?])[.,](?![.,])", r"\1", text)
    if text[0].isupper():
        text = re.sub(r"([.!?] )([a-z])(?!\S*example)", lambda match: match[1] + match[2].upper(), text)
    return text


LOOKALIKES = str.maketrans({"a": "4", "e": "3", "i": "1", "o": "0", "s": "$"})


def change_words(text: str, change: Callable[[str], str]) -> str:
    """The text with each word changed, save those that carry digits, markup or an address."""
    return " ".join(word if re.search(r"example|[\d<>&@]", word) else change(word) for word in text.split(" "))


def change_one_word(text: str, rng: Random, wanted: Callable[[str], bool], change: Callable[[str], str]) -> str:
    """The text with one of the wanted words changed, if it has any."""
    words = text.split(" ")
    if places := [place for place, word in enumerate(words) if wanted(word)]:
        place = rng.choice(places)
        words[place] = change(words[place])
    return " ".join(words)


def slang(text: str, rng: Random) -> str:
    """Half of the words that have a short form, shortened."""
    return change_words(text, lambda word: phrases.SLANG.get(word.lower(), word) if rng.random() < 0.5 else word)


def typo(text: str, rng: Random) -> str:
    """One letter of a word lost, doubled or swapped with the next."""

    def slip(word: str) -> str:
        at = rng.randrange(1, len(word) - 1)
        one, two = word[at], word[at + 1]
        return word[:at] + rng.choice([two, one + one + two, two + one]) + word[at + 2 :]

    return change_one_word(text, rng, lambda word: len(word) > 4 and word.isascii() and word.isalpha(), slip)


def disguise(text: str, rng: Random) -> str:
    """One loud word spelled to slip past a filter."""

    def mask(word: str) -> str:
        masked = [word.lower().translate(LOOKALIKES), ".".join(word), "-".join(word.upper()), "*".join(word)]
        return rng.choice(masked)

    return change_one_word(text, rng, lambda word: word.lower() in phrases.LOUD_WORDS, mask)


def emphatic(text: str, rng: Random) -> str:
    """Every stop that ends a sentence made longer."""
    return re.sub(r"(?<![.!?])[.!](?= |$)", rng.choice(["!!", "!!!", "...", ".."]), text)


def stray_quote(text: str, rng: Random) -> str:
    """A double quotation mark that nothing closes."""
    return change_one_word(text, rng, str.isalpha, lambda word: '"' + word)


TRICKS: dict[str, Callable[[str, Random], str]] = {
    "slang": slang,
    "typo": typo,
    "disguise": disguise,
    "emphatic": emphatic,
    "no_last_stop": lambda text, rng: re.sub(r"(?<=\w)[.!?]+$", "", text),
    "lower_case": lambda text, rng: change_words(text, str.lower),
    "capitals": lambda text, rng: change_words(text, str.upper),
    "entity": lambda text, rng: re.sub(r" (and|n) ", " &amp; ", text),
    "stray_quote": stray_quote,
    "no_apostrophes": lambda text, rng: re.sub(r"(?<=\w)'(?=\w)", "", text),
    "curly_apostrophes": lambda text, rng: text.replace("'", "’"),
    "emoji": lambda text, rng: f"{text} {rng.choice(phrases.WORDS['emoji'])}",
}
# How likely each trick is, for each manner of writing.
MANNERS = {
    "casual": {
        "slang": 0.18, "typo": 0.08, "emphatic": 0.08, "no_last_stop": 0.35, "lower_case": 0.3,
        "capitals": 0.02, "entity": 0.03, "stray_quote": 0.01, "no_apostrophes": 0.2,
        "curly_apostrophes": 0.15, "emoji": 0.1,
    },
    "pushy": {
        "slang": 0.15, "typo": 0.06, "disguise": 0.15, "emphatic": 0.1, "no_last_stop": 0.25,
        "lower_case": 0.2, "capitals": 0.1, "entity": 0.04, "stray_quote": 0.02, "no_apostrophes": 0.15,
        "curly_apostrophes": 0.1, "emoji": 0.1,
    },
    "careful": {"typo": 0.04, "no_last_stop": 0.15, "lower_case": 0.1, "curly_apostrophes": 0.25},
    "official": {"curly_apostrophes": 0.1},
}  # fmt: skip


def roughen(text: str, manner: str, rng: Random) -> str:
    """The text as somebody with that manner would type it."""
    for trick, chance in MANNERS[manner].items():
        if rng.random() < chance:
            text = TRICKS[trick](text, rng)
    return text


def draft_section(section: Section, rng: Random) -> Iterator[tuple[str, str]]:
    """Messages of one section without end, each template as often as any other."""
    templates = section.templates.copy()
    while True:
        rng.shuffle(templates)
        for template in templates:
            text = expand(section.frame.replace("@", template), rng)
            yield section.label, roughen(text, section.manner, rng)


def draft_pairs(rng: Random) -> Iterator[tuple[str, str]]:
    """Ham and spam in turn without end, each two alike but for what tells them apart."""
    templates = phrases.PAIRS.copy()
    while True:
        rng.shuffle(templates)
        for template in templates:
            text = expand(template, rng)
            for label, reading in (("ham", r"\1"), ("spam", r"\2")):
                yield label, roughen(tidy(TWO_READINGS.sub(reading, text)), "careful", rng)


def generate_sample(seed: int = 123) -> list[tuple[str, str]]:
    """The messages of the sample corpus, shuffled.

    Args:
        seed: Of the generator behind every choice; only ``random``, ``choice``, ``randrange`` and ``shuffle``
            draw from it, so that a seed means the same messages on every Python.

    Returns:
        (label, text) for each message, the label ``ham`` or ``spam``.
    """
    rng = Random(seed)
    messages: list[tuple[str, str]] = []
    seen: set[str] = set()
    drafts = [(draft_section(section, rng), section.size) for section in SECTIONS]
    for draft, count in [*drafts, (draft_pairs(rng), 2 * PAIR_COUNT)]:
        wanted = len(messages) + count
        while len(messages) < wanted:
            label, text = next(draft)
            if text.casefold() not in seen and len(text) <= MAX_CHARACTERS:
                seen.add(text.casefold())
                messages.append((label, text))
    for repeated, count in REPEATS.items():
        candidates = [message for message in messages if message[0] == repeated]
        messages += [rng.choice(candidates) for _ in range(count)]
    rng.shuffle(messages)
    return messages


def write_sample(output: Path, seed: int = 123) -> None:
    """Writes the sample corpus: ``label<TAB>text`` lines, UTF-8, no header, no quoting.

    Args:
        output: The file to write; it appears whole or not at all.
        seed: See ``generate_sample``.

    Raises:
        UserError: If the file cannot be written.
    """
    lines = "".join(f"{label}\t{text}\n" for label, text in generate_sample(seed))
    unfinished = output.parent / f"{output.name}.part"
    try:
        unfinished.write_bytes(lines.encode())
        unfinished.replace(output)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise UserError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the embedded sample corpus.")
    parser.add_argument("--output", type=Path, default=SAMPLE_PATH, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=123, help="default: %(default)s")
    arguments = parser.parse_args(argv)
    with one_line_errors():
        write_sample(arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
