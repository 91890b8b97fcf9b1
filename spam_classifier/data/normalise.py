"""Text as it looks: disguised letters and invisible characters become what a reader takes them for."""

import re
import unicodedata
from functools import cache

LAST_LATIN = 0x24F  # of the Latin blocks
# joiners shape emoji, Arabic and Indic letters, and are kept there
INVISIBLE_JOINERS = re.compile(f"(?<![^\\0-{chr(LAST_LATIN)}])[\u200c\u200d]|[\u200c\u200d](?=[\\0-{chr(LAST_LATIN)}])")
WORD = re.compile(r"\w+")  # so that the Cyrillic half of SMS-сообщение stays


def normalise(text: str) -> str:
    """A text in Unicode's form NFKC, without invisible format characters, and with the Latin letters that others mimic.

    Only in a word that has Latin letters do letters of other scripts become the Latin ones that look the same, by
    Unicode's table of confusables (Unicode Technical Standard 39). A word in another script stays as it is.
    """
    if text.isascii():
        return text
    text = INVISIBLE_JOINERS.sub("", unicodedata.normalize("NFKC", text))
    text = "".join(one for one in text if unicodedata.category(one) != "Cf" or one in "\u200c\u200d")
    # once more, as a mark behind a mapped letter may now be part of it
    return unicodedata.normalize("NFKC", WORD.sub(lambda word: _in_latin(word[0]), text))


def _in_latin(word: str) -> str:
    if word.isascii() or not any(one.isalpha() and ord(one) <= LAST_LATIN for one in word):
        return word
    return word.translate(_latin_twins())


@cache
def _latin_twins() -> dict[int, str]:
    """The ASCII letter that looks like a letter of another script, by its code point."""
    from confusable_homoglyphs import confusables  # loads a table

    twins: dict[int, str] = {}
    for letter, alike in confusables.confusables_data.items():
        latin = [other["c"] for other in alike if other["c"].isascii() and other["c"].isalpha()]
        if len(letter) == 1 and letter.isalpha() and ord(letter) > LAST_LATIN and latin:
            twins[ord(letter)] = latin[0]
    return twins
