"""Tricks by which spammers hide what a message says from a filter, but not from its reader."""

import math
import random
import re
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from html import escape

import pandas as pd

from spam_classifier.data.encoding import EncodedMessages, Keep
from spam_classifier.data.mails import read_mail
from spam_classifier.data.tokenizer import ENDOFTEXT

Trick = Callable[[str, random.Random], str]

TWINS = str.maketrans("aceiopsxyABCEHKMOPTX", "асеіорѕхуАВСЕНКМОРТХ")  # Cyrillic letters that look like Latin ones
DIGITS = str.maketrans("aeiostAEIOST", "431057431057")
EMOJI = {
    **{"free": "🆓", "call": "📞", "prize": "🎁", "cash": "💰", "money": "💰"},
    **dict.fromkeys(("win", "won", "winner"), "🏆"),
    **{"text": "💬", "txt": "💬", "now": "⏰", "mobile": "📱", "phone": "📱", "urgent": "🚨", "new": "🆕", "hot": "🔥"},
    **{"reply": "↩️", "stop": "🛑", "offer": "🏷️", "guaranteed": "✅", "claim": "🎫", "love": "❤️", "£": "💷"},
}
LETTERS = re.compile(r"[^\W\d_]")
LONG_WORD = re.compile(r"[^\W\d_]{4,}")
ANY_WORD = re.compile(r"[^\W\d_]+|£")
FILLING = "\n." * 60


def homoglyphs(text: str, draw: random.Random) -> str:
    """Half of the letters that have a Cyrillic twin become it."""
    return LETTERS.sub(lambda found: found[0].translate(TWINS) if draw.random() < 0.5 else found[0], text)


def zero_width(text: str, draw: random.Random) -> str:
    """A zero-width space in every word of four letters or more."""
    return _inside("\u200b", text, draw)


def soft_hyphens(text: str, draw: random.Random) -> str:
    """A soft hyphen in every word of four letters or more."""
    return _inside("\u00ad", text, draw)


def dots(text: str, draw: random.Random) -> str:
    """A full stop in every word of four letters or more."""
    return _inside(".", text, draw)


def spaces(text: str, draw: random.Random) -> str:
    """Spaces between all letters of half the words of four letters or more."""
    return LONG_WORD.sub(lambda found: " ".join(found[0]) if draw.random() < 0.5 else found[0], text)


def digits(text: str, draw: random.Random) -> str:
    """Half of the letters that look like a digit become it."""
    return LETTERS.sub(lambda found: found[0].translate(DIGITS) if draw.random() < 0.5 else found[0], text)


def case(text: str, draw: random.Random) -> str:
    """Every letter is upper or lower case by chance."""
    return "".join(one.upper() if draw.random() < 0.5 else one.lower() for one in text)


def typos(text: str, draw: random.Random) -> str:
    """Two neighbouring letters change places in every word of four letters or more."""

    def swapped(found: re.Match[str]) -> str:
        word, place = found[0], draw.randrange(1, len(found[0]) - 1)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]

    return LONG_WORD.sub(swapped, text)


def emoji(text: str, draw: random.Random) -> str:
    """Words that have an emoji are replaced by it."""
    return ANY_WORD.sub(lambda found: EMOJI.get(found[0].lower(), found[0]), text)


def padding(text: str, draw: random.Random) -> str:
    """Sixty lines of a full stop follow."""
    return text + FILLING


def end_of_text(text: str, draw: random.Random) -> str:
    """GPT-2's ``<|endoftext|>`` is written out before, within and behind the message."""
    words = text.split(" ")
    middle = draw.randrange(len(words) + 1)
    return " ".join([ENDOFTEXT, *words[:middle], ENDOFTEXT, *words[middle:], ENDOFTEXT])


OF_TEXT: dict[str, Trick] = {
    "homoglyphs": homoglyphs,
    "zero-width spaces": zero_width,
    "soft hyphens": soft_hyphens,
    "dots in words": dots,
    "spaced words": spaces,
    "digits for letters": digits,
    "random case": case,
    "typos": typos,
    "emoji": emoji,
    "padding": padding,
    "<|endoftext|>": end_of_text,
}


def with_benign_text(benign: Sequence[str]) -> dict[str, Trick]:
    """The tricks that put benign messages before or behind the message."""

    def before(text: str, draw: random.Random) -> str:
        """A benign message of the training stands before the message."""
        return f"{draw.choice(benign)} {text}"

    def behind(text: str, draw: random.Random) -> str:
        """A benign message of the training follows."""
        return f"{text} {draw.choice(benign)}"

    return {"benign text before": before, "benign text behind": behind}


def behind_the_cut(
    benign: Sequence[str], max_length: int, keep: Keep, tokenizer: str | None = None
) -> dict[str, Trick]:
    """The trick that hides the message outside the tokens that the model reads, the head, the tail or both."""

    def filling(draw: random.Random) -> list[str]:
        drawn: list[str] = []
        tokens = 0
        while tokens <= max_length:
            drawn.append(draw.choice(benign))
            tokens += int(EncodedMessages.from_texts([f" {drawn[-1]}"], tokenizer=tokenizer).lengths[0])
        return drawn

    def hidden(text: str, draw: random.Random) -> str:
        """Benign messages stand around the message until it lies outside the tokens that the model reads."""
        before = [] if keep == "tail" else filling(draw)
        return " ".join([*before, text, *([] if keep == "head" else filling(draw))])

    return {"behind the cut": hidden}


def of_mails(benign: Sequence[str]) -> dict[str, Trick]:
    """Tricks of e-mails: the text as a mail in HTML, read back as ``predict`` reads mails."""

    def broken_words(text: str, draw: random.Random) -> str:
        """An e-mail in HTML, with empty tags and comments within words."""
        broken = LONG_WORD.sub(lambda found: _cut_by("<!-- x --><b></b>", found[0], draw), escape(text))
        return _read(f"<html><body><p>{broken}</p></body></html>")

    def hidden_text(text: str, draw: random.Random) -> str:
        """An e-mail in HTML, with benign text that is not displayed before and behind."""
        hidden = f'<div style="display:none;font-size:0">{escape(draw.choice(benign))}</div>'
        return _read(f"<html><body>{hidden}<p>{escape(text)}</p>{hidden}</body></html>")

    def entities(text: str, draw: random.Random) -> str:
        """An e-mail in HTML, with every letter as a numeric entity, in quoted-printable."""
        coded = "".join(f"&#{ord(one)};" if one.isalpha() else escape(one) for one in text)
        return _read(f"<html><body><p>{coded}</p></body></html>")

    return {"HTML tags in words": broken_words, "hidden HTML text": hidden_text, "quoted-printable entities": entities}


def altered(text: str, name: str, trick: Trick, seed: object) -> str:
    """A text with a trick; the same seed gives the same result."""
    return trick(text, random.Random(f"{seed} {name} {text}"))


def with_altered(messages: pd.DataFrame, share: float, seed: int, benign_label: str) -> pd.DataFrame:
    """Training messages and, behind them, altered copies of this share of them, as many times as it is above 1.

    The copies keep their labels, and each has one trick; the column ``trick`` is "" for the messages themselves. Benign
    text is that of the messages with ``benign_label``.
    """
    draw = random.Random(f"augment {seed}")
    benign = messages.loc[messages["label"] == benign_label, "text"].tolist()
    tricks = [*{**OF_TEXT, **with_benign_text(benign)}.items()]
    rows = [*zip(messages["label"], messages["text"], strict=True)] * math.ceil(share)
    copies = []
    for label, text in draw.sample(rows, round(share * len(messages))):
        name, trick = draw.choice(tricks)
        copies.append({"label": label, "text": trick(text, draw), "trick": name})
    return pd.concat([messages.assign(trick=""), pd.DataFrame(copies)], ignore_index=True)


def without_altered(messages: pd.DataFrame) -> pd.DataFrame:
    """A training split without the copies of ``with_altered``, if it has any."""
    return messages[messages["trick"] == ""].drop(columns="trick") if "trick" in messages else messages


def _inside(character: str, text: str, draw: random.Random) -> str:
    return LONG_WORD.sub(lambda found: _cut_by(character, found[0], draw), text)


def _cut_by(inserted: str, word: str, draw: random.Random) -> str:
    place = draw.randrange(1, len(word))
    return word[:place] + inserted + word[place:]


def _read(html: str) -> str:
    mail = EmailMessage()
    mail.set_content(html, subtype="html", cte="quoted-printable")
    return read_mail(b"Subject: \r\nFrom: a@example.org\r\n" + mail.as_bytes()).text
