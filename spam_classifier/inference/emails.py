"""The text of an e-mail: its subject on a line of its own, then what a reader of mail shows."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

HIDDEN = {"script", "style", "title", "template"}
LINES = {"address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3", "h4"}
LINES |= {"h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
SPACES = {"td", "th"}


def email_text(raw: bytes) -> str:
    """Subject and text of a message: of alternatives the plain one, else the HTML as text; attachments are left out.

    Bytes that are not what the message says they are become U+FFFD.

    Raises:
        ValueError: It can't be read as an e-mail.
    """
    try:
        message = message_from_bytes(raw, policy=policy.default)
        subject = " ".join(str(message.get("subject", "")).split())
        body = _shown(message)
    except Exception as error:  # the library raises all sorts of exceptions at mail that is broken enough
        raise ValueError(f"cannot be read as an e-mail ({type(error).__name__})") from error
    text = "\n".join(part for part in (subject, body) if part)
    return text.encode("utf-8", "replace").decode()  # some codecs give halves of surrogate pairs


def _shown(part: EmailMessage) -> str:
    if part.get_content_disposition() == "attachment":
        return ""
    kind = part.get_content_type()
    if part.is_multipart():
        parts: list[EmailMessage] = part.get_payload()  # type: ignore[assignment]
        if kind == "multipart/alternative":
            parts = sorted(parts, key=lambda own: own.get_content_type() != "text/plain")
            return next((text for own in parts if (text := _shown(own))), "")
        return "\n".join(text for own in parts if (text := _shown(own)))
    if kind == "text/html":
        return html_text(_decoded(part))
    return _decoded(part) if kind == "text/plain" else ""


def _decoded(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        text = raw.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):  # no such charset, or no bytes of it
        text = raw.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").strip()


def html_text(markup: str) -> str:
    """HTML as text: entities decoded, a line for each block, scripts and styles dropped."""
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
        parser.close()
        lines = (re.sub(r"\s+", " ", line).strip() for line in "".join(parser.pieces).split("\0"))
        return "\n".join(line for line in lines if line)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if not self.hidden and tag in HIDDEN:
            self.hidden = tag
        self._divide(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self._divide(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.hidden = ""
        self._divide(tag)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(data.replace("\0", " "))

    def _divide(self, tag: str) -> None:
        if tag in LINES:
            self.pieces.append("\0")
        elif tag in SPACES:
            self.pieces.append(" ")
