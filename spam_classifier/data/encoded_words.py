"""The text of a header, which may hold encoded words (RFC 2047) or, against the rules, raw bytes."""

import binascii
import re
from collections.abc import Callable

from spam_classifier.data.charsets import decoded
from spam_classifier.data.html_text import visible

_ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([bq])\?(.*?)\?=", re.I | re.S)


def header_text(value: str, charset: Callable[[], str | None]) -> tuple[str, int]:
    """A header's text and how many characters of it are lost.

    Args:
        value: The header, with surrogates for its bytes beyond ASCII.
        charset: Tells the charset of such bytes, if it is known.
    """
    pieces: list[tuple[bytes, str | None]] = []  # bytes and their charset; None where it is not stated
    end, value = 0, re.sub(r"[\r\n]+", "", value)
    for word in _ENCODED_WORD.finditer(value):
        between = value[end : word.start()]
        if not pieces or between.strip():
            pieces.append((between.encode("utf-8", "surrogateescape"), None))
        content, label = _word(word[2], word[3]), word[1].partition("*")[0]
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


def _word(encoding: str, text: str) -> bytes:
    """The bytes of an encoded word."""
    raw = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    return base64_bytes(raw)


def base64_bytes(raw: bytes) -> bytes:
    """Decoded up to the first padding, whatever else is wrong with it."""
    digits = re.sub(rb"[^A-Za-z0-9+/]", b"", raw.partition(b"=")[0])
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
