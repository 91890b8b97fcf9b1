"""Text of bytes whose encoding is stated, stated wrongly or unknown, as browsers and mail programs read it.

Labels mean what the WHATWG's Encoding Standard says: ``latin-1`` and ``ascii`` are windows-1252, ``gb2312`` is gb18030.
"""

import binascii
import codecs
import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache

import webencodings

from spam_classifier.data.html_text import visible

WESTERN = "windows-1252"
LONGEST_LABEL = 100
PYTHONS = {  # codecs that decode what the WHATWG's encoding does, where Python's of that name decodes less
    "gbk": "gb18030",
    "euc-jp": "euc_jis_2004",
    "iso-2022-jp": "iso2022_jp_ext",
    "utf-16le": "utf_16_le",
    "utf-16be": "utf_16_be",
}
NO_DECODER = ("replacement", "x-user-defined")  # nothing that a mail would be read by
NO_TEXT = {"charmap", "idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
SEVEN_BITS = re.compile("iso2022|hz|utf.?7|utf.?(16|32)")  # bytes of ASCII that may be other characters
MARKS = ((codecs.BOM_UTF16_LE, "utf_16_le"), (codecs.BOM_UTF16_BE, "utf_16_be"))
TWO_BYTES = ("gb18030", "big5hkscs", "cp949", "cp932", "euc_jis_2004")
MOST_LOST = 0.1  # of the characters beyond ASCII, where an encoding is believed
_BEYOND_ASCII = re.compile(r"[^\0-\x7f]")
_NO_CHARACTERS = re.compile(r"[\x80-\x9f\ud800-\udfff]")  # controls of C1 and surrogates

# What ``guess`` chooses from: chardet's names of the encodings that browsers know.
LATIN = {
    **{f"cp{number}": f"windows-{number}" for number in (1250, 1252, 1254, 1257)},
    "iso8859-2": "iso-8859-2",
    "big5hkscs": "big5",
    "cp932": "shift_jis",
    "cp949": "euc-kr",
    "euc_jis_2004": "euc-jp",
    "gb18030": "gb18030",
    "iso2022_jp_2": "iso-2022-jp",
}
OTHER_SCRIPTS = {
    **{f"cp{number}": f"windows-{number}" for number in (874, 1251, 1253, 1255, 1256)},
    **{f"iso8859-{number}": f"iso-8859-{number}" for number in (5, 6, 7, 8)},
    "cp866": "ibm866",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
}
GUESSED_FROM = 2**16  # bytes
ON_A_PAR = 0.7  # of the best confidence
_ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([bq])\?(.*?)\?=", re.I | re.S)
_RUNS = re.compile(rb"[\x80-\xff]+")
_LATIN_RUNS = re.compile(
    rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])|(?<=[A-Za-z])[\xc0-\xff]+|[\xc0-\xff]+(?=[A-Za-z])"
)


@lru_cache(maxsize=100)
def codec(label: str) -> str | None:
    """Python's codec for a charset's label, or None if there is none for text."""
    label = label.strip(" \t\r\n\f\"'").lower()
    if not label.isascii() or not label.isprintable() or len(label) > LONGEST_LABEL:
        return None
    name, known = label, webencodings.lookup(label)
    if known is None or known.name in NO_DECODER:
        try:
            name = codecs.lookup(label).name.replace("_", "-")
            b"a".decode(name, "ignore")  # fails for codecs that are not for text
        except (LookupError, ValueError):
            return None
        known = webencodings.lookup(name)  # such as that of iso8859-1, for the label latin-1
    if known is None:
        return None if name in NO_TEXT else name
    return PYTHONS.get(known.name, known.codec_info.name)


def guess(raw: bytes) -> str:
    """The most likely encoding of bytes that are not UTF-8, by its WHATWG name in lower case."""
    sample = raw if b"\x1b" in raw else b"\n".join(line for line in raw.splitlines() if not line.isascii())
    sample = sample[:GUESSED_FROM]
    # Most bytes beyond ASCII stand alone, or are in words of ASCII's letters: the script is Latin.
    latin = 2 * len(_LATIN_RUNS.findall(sample)) > len(_RUNS.findall(sample))
    names = LATIN if latin else LATIN | OTHER_SCRIPTS
    scores = _scores(sample, names)
    if not latin or not _fits(*_replaced(sample, _best(scores))):
        # One damaged character rules out the true encoding where a character has two bytes.
        for name in TWO_BYTES:
            if name in scores:
                continue
            mended = sample.decode(name, "ignore").encode(name)
            if len(mended) >= (1 - MOST_LOST) * len(sample):
                scores |= _scores(mended, [name])
    best = _best(scores)
    # A few bytes say little: the commonest encoding wins a close race.
    return WESTERN if scores.get("cp1252", -1) >= ON_A_PAR * scores.get(best, 0) else names[best]


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda name: scores[name], default="cp1252")


def _scores(sample: bytes, names: Collection[str]) -> dict[str, float]:
    """Confidence in each of these encodings that all bytes fit."""
    import chardet  # takes a moment

    found = chardet.detect_all(sample, ignore_threshold=True, compat_names=False, include_encodings=[*names, "cp1252"])
    return {str(one["encoding"]): one["confidence"] for one in found if one["encoding"] in names}


def decoded(raw: bytes, label: str | None) -> tuple[str, int]:
    """Text of bytes whose charset may be stated, and how many characters are lost: U+FFFD replaces each.

    A byte order mark decides. Bytes that are UTF-8, whole or nearly, are read as UTF-8 whatever the label says. Else
    the label is believed if nearly all bytes fit it, unless it is ASCII, and else the encoding is guessed. Bytes that
    windows-1252 leaves undefined, and C1 controls, are lost.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    for mark, marked in MARKS:
        if raw.startswith(mark):
            return _replaced(raw[len(mark) :], marked)
    stated = codec(label) if label else None
    if stated and stated.startswith(("utf-16", "utf_16", "utf-32", "utf_32")) and b"\0" not in raw:
        stated = None
    if raw.isascii():
        return _replaced(raw, stated) if stated and SEVEN_BITS.match(stated) else (raw.decode("ascii"), 0)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not raw[: error.start].isascii():
            return _replaced(raw, "utf-8")  # cut within its last character
    else:
        if stated in TWO_BYTES and max(text) < "\u0800":  # of a few characters may be UTF-8 by chance
            other, lost = _replaced(raw, stated)
            if not lost:
                return other, 0
        return text, 0
    for name in _candidates(raw, None if _is_ascii(label) else stated):
        text, lost = _replaced(raw, name)
        if _fits(text, lost):
            return text, lost
    return _replaced(raw, stated or "cp1252")


def _fits(text: str, lost: int) -> bool:
    return lost <= MOST_LOST * len(_BEYOND_ASCII.findall(text))


def _candidates(raw: bytes, stated: str | None) -> Iterator[str]:
    yield "utf-8"
    if stated:
        yield stated
    yield codec(guess(raw)) or "cp1252"


def _is_ascii(label: str | None) -> bool:
    """Whether a label says ASCII, which browsers take for windows-1252: of bytes beyond ASCII it tells nothing."""
    try:
        return label is None or codecs.lookup(label).name == "ascii"
    except (LookupError, ValueError):
        return False


def _replaced(raw: bytes, name: str) -> tuple[str, int]:
    text = _NO_CHARACTERS.sub("\ufffd", raw.decode(name, "replace"))
    return text, text.count("\ufffd")


def header_text(value: str, charset: Callable[[], str | None]) -> tuple[str, int]:
    """The text of a header, and how many characters of it are lost.

    It may hold encoded words (RFC 2047) or, against the rules, raw bytes.
    """
    pieces: list[tuple[bytes, str | None]] = []  # bytes and their charset; None where it is not stated
    end, value = 0, re.sub(r"[\r\n]+", "", value)
    for word in _ENCODED_WORD.finditer(value):
        between = value[end : word.start()]
        if not pieces or between.strip():
            pieces.append((between.encode("utf-8", "surrogateescape"), None))
        raw, label = word[3].encode("utf-8", "surrogateescape"), word[1].partition("*")[0]
        content = binascii.a2b_qp(raw, header=True) if word[2] in "qQ" else base64_bytes(raw)
        if pieces[-1][1] == label:  # a character may begin in one word and end in the next
            content = pieces.pop()[0] + content
        pieces.append((content, label))
        end = word.end()
    pieces.append((value[end:].encode("utf-8", "surrogateescape"), None))
    texts = []
    for content, label in pieces:
        if label is None and not content.isascii():
            label = charset()
        texts.append(decoded(content, label))
    return " ".join(visible("".join(text for text, _ in texts)).split()), sum(lost for _, lost in texts)


def base64_bytes(raw: bytes) -> bytes:
    """Decoded up to the first padding, whatever else is wrong with it."""
    digits = re.sub(rb"[^A-Za-z0-9+/]", b"", raw.partition(b"=")[0])
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
