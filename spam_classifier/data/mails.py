"""The text of an e-mail: its subject on a line, then the text that a mail program shows."""

import re
from email import message_from_bytes, policy
from email.message import Message
from html import unescape
from html.parser import HTMLParser
from typing import Any

from typing_extensions import override

from spam_classifier.data.rows import Rejected, Row, Source, checked_row

HIDDEN = {"script", "style", "title", "template"}
LINES = {"address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3", "h4"}
LINES |= {"h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
SPACES = {"td", "th"}

# The libraries' time grows with the square of the size, or the product of two of these:
MOST_BYTES = 2**25
MOST_LINES = 1_000_000
MOST_MULTIPARTS = 100
MOST_PARTS = 1_000
LONGEST_HEADER = 10_000  # characters; the rest is cut off
UNCLOSED = 1_000_000  # number of "<" after the last closed tag, times the characters there
SLOW_CHARSETS = ("punycode", "idna")


def email_row(source: Source) -> Row | Rejected:
    """The row of an e-mail's file, with its path and its text."""
    try:
        with source.open() as file:
            text = email_text(file.read(MOST_BYTES + 1))
    except OSError as error:
        return Rejected(source.name, str(error.strerror))
    except ValueError as error:
        return Rejected(source.name, str(error))
    return checked_row(source.name, text, ["file", "text"], [source.name, text])


def email_text(raw: bytes) -> str:
    """Subject and text of a message; of alternatives the plain one, else the HTML as text. No attachments.

    Bytes that don't fit the stated encoding become U+FFFD.

    Raises:
        ValueError: It can't be read as an e-mail, or is too large.
    """
    _refuse_unbounded(raw)
    try:
        message = message_from_bytes(raw, policy=_BoundedHeaders())
        source = next((str(value) for name, value in message.raw_items() if name.lower() == "subject"), "")
        subject = " ".join(str(policy.default.header_fetch_parse("subject", source[:LONGEST_HEADER])).split())
        parts = sum(1 for _ in message.walk())
        body = _shown(message) if parts <= MOST_PARTS else ""
    except Exception as error:  # broken mail raises exceptions of many kinds
        raise ValueError(f"cannot be read as an e-mail ({type(error).__name__})") from error
    if parts > MOST_PARTS:
        raise ValueError(f"cannot be read as an e-mail (more than {MOST_PARTS:,} parts)")
    text = "\n".join(part for part in (subject, body) if part)
    return text.encode("utf-8", "replace").decode()  # some codecs give surrogates


def _refuse_unbounded(raw: bytes) -> None:
    for what, size, most in (
        ("bytes", len(raw), MOST_BYTES),
        ("lines", max(raw.count(b"\n"), raw.count(b"\r")), MOST_LINES),
        ("multiparts", raw.lower().count(b"multipart/"), MOST_MULTIPARTS),
    ):
        if size > most:
            raise ValueError(f"cannot be read as an e-mail (more than {most:,} {what})")


class _BoundedHeaders(policy.Compat32):
    """Parses the headers that describe parts by the old rules: by the new ones a long header takes minutes."""

    @override
    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value[:LONGEST_HEADER])


def _shown(part: Message) -> str:
    if part.get_content_disposition() == "attachment":
        return ""
    kind = part.get_content_type()
    if part.is_multipart():
        parts: list[Message] = part.get_payload()  # type: ignore[assignment]
        if kind == "multipart/alternative":
            parts = sorted(parts, key=lambda own: own.get_content_type() != "text/plain")
            return next((text for own in parts if (text := _shown(own))), "")
        return "\n".join(text for own in parts if (text := _shown(own)))
    if kind == "text/html":
        return html_text(_decoded(part))
    return _decoded(part) if kind == "text/plain" else ""


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        charset = part.get_content_charset("utf-8")
        text = raw.decode("utf-8" if charset in SLOW_CHARSETS else charset, "replace")
    except (LookupError, ValueError):  # no such charset, or a codec that is not for text
        text = raw.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").strip()


def html_text(markup: str) -> str:
    """HTML as text: entities decoded, a line for each block, no scripts and styles."""
    try:
        return _Text.of(markup)
    except AssertionError:  # a declaration that the parser does not know
        return _Text.of(markup.replace("<![", "&lt;!["))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.hidden = ""

    @classmethod
    def of(cls, markup: str) -> str:
        parser = cls()
        parser.feed(markup)
        rest: str = parser.rawdata  # that no tag closes
        if len(rest) * rest.count("<") > UNCLOSED:
            parser.handle_data(unescape(rest))
            parser.rawdata = ""
        parser.close()
        lines = (re.sub(r"\s+", " ", line).strip() for line in "".join(parser.pieces).split("\0"))
        return "\n".join(line for line in lines if line)

    @override
    def handle_starttag(self, tag: str, attrs: object) -> None:
        if not self.hidden and tag in HIDDEN:
            self.hidden = tag
        self._divide(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.hidden = ""
        self._divide(tag)

    @override
    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(data.replace("\0", " "))

    def _divide(self, tag: str) -> None:
        if tag in LINES:
            self.pieces.append("\0")
        elif tag in SPACES:
            self.pieces.append(" ")
