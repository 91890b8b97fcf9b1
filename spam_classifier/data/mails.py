"""The mails of a file, and the text of each: its subject on a line, then the text that a mail program shows."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from email import message_from_bytes, policy
from email.message import Message
from functools import partial
from itertools import chain, pairwise
from typing import IO, NamedTuple

from typing_extensions import override

from spam_classifier.data.charsets import base64_bytes, decoded, guess, header_text
from spam_classifier.data.html_text import html_text, visible
from spam_classifier.data.rows import Input, Notes, Rejected, Row, Rows, Source, checked_row

# The libraries' time grows with the square of the size, or the product of two of these:
MOST_BYTES = 2**25
MOST_LINES = 1_000_000
MOST_MULTIPARTS = 100
MOST_PARTS = 1_000
LONGEST_HEADER = 10_000  # characters; the rest is cut off

MOST_LEFT_OUT = 10  # that are named
LONGEST_NAME = 80  # characters of an attachment's name
COLUMNS = ("text", "lost_characters", "left_out")

STUB = 300  # characters; a plain part that is longer is no stub
FULLER = 4  # times the text of the plain part, where the HTML is the mail and the plain part a stub

LONGEST_REPAIRED = 2**20  # bytes of a part, to be parsed once more

SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
ENCRYPTED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
FORWARDED = {"message/rfc822", "message/global", "message/news"}
NO_FILES = ("text/", "multipart/", "message/", *SIGNATURES)  # kinds of parts

HEADERS = b"from to cc bcc subject date received return-path message-id delivered-to mime-version content-type"
HEADERS += b" reply-to sender in-reply-to references envelope-to content-transfer-encoding received-spf"
HEADERS += b" dkim-signature authentication-results list-id list-unsubscribe importance status x-mailer"
_KNOWN = frozenset(HEADERS.split())
ENVELOPE = re.compile(rb"From (?:.*\d:\d\d|\S+@\S+\s*$|-\s*$)")  # of a mailbox: when a mail came, from whom, or "-"
ENVELOPE_NAME = b"From "
_ENVELOPES = re.compile(rb"(?:>?From [^\n]*\n)*")
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:|[ \t]")
NO_MAILS = {  # how other files begin
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an Outlook .msg or Office file", "save it as .eml or .txt from Outlook"),
    b"%PDF-": ("a PDF", ""),
    b"PK\3\4": ("a .zip or Office file", "unpack it"),
    b"\x1f\x8b": ("a .gz", "unpack it"),
    b"\x89PNG\r\n": ("a picture", ""),
    b"GIF8": ("a picture", ""),
    b"\xff\xd8\xff": ("a picture", ""),
    b"!BDN": ("an Outlook .pst", "save its mails as .eml or .mbox"),
}
_TOKEN = re.compile(r"\s*\"?([\w-]+)")
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/=]*[ \t]*(?:\r?\n|\r|\Z))++")  # before a footer that a list adds
_PGP = re.compile(r"-----BEGIN PGP MESSAGE-----.*?(?:-----END PGP MESSAGE-----|\Z)", re.S)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]+)", re.I)
_LOST_BOUNDARY = re.compile(rb"^--([^\r\n\"\\]{1,200}?)[ \t]*\r?\ncontent-", re.I | re.M)
_LOOKS_LIKE_HTML = re.compile(rb"\s*<(?:!doctype|html|head|body|table|div|p)\b", re.I)

MAILBOXES = (".mbox", ".mbx")
SUFFIXES = (".eml", *MAILBOXES)
LONGEST_LINE = 2**16  # bytes read at once
AT_ONCE = 2**20
_HEADER_LINE = re.compile(rb">?From |[!-9;-~]+:")
_QUOTED_LINE = re.compile(rb"^>(>*From )", re.M)


class Mail(NamedTuple):
    """What is judged of a mail, and what is not."""

    text: str
    lost: int  # characters that the bytes do not tell: U+FFFD
    left_out: Sequence[str]  # such as "attachment offer.pdf"


NOTHING = Mail("", 0, ())


class MailError(ValueError):
    """Bytes are no mail, or one that can't be read."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy or "move it, or delete it"


def looks_like_mail(head: bytes) -> bool:
    """Whether a file that begins like this holds mails: two of a mail's usual headers, or a mailbox's first line."""
    names = _known_headers(head)
    first = next(names, None)
    return any(name != first for name in names)


def mail_row(raw: bytes, place: int | str, column: str, notes: Notes, label: str | None = None) -> Row | Rejected:
    """The row of a mail: its place under the column's name, then ``COLUMNS``. Notes what was lost and left out."""
    try:
        mail = read_mail(raw)
    except MailError as error:
        return Rejected(place, str(error), error.remedy)
    left_out = "; ".join(mail.left_out)
    row = checked_row(place, mail.text, [column, *COLUMNS], [place, mail.text, mail.lost, left_out], label)
    if isinstance(row, Rejected):
        return row._replace(reason=f"{row.reason}; left out: {left_out}") if left_out else row
    if mail.lost:
        notes.count("mails with lost characters", f"{column} {place}" if isinstance(place, int) else place)
    if mail.left_out:
        notes.count("mails with parts left out", f"{column} {place}" if isinstance(place, int) else place)
    return row


def read_mail(raw: bytes) -> Mail:
    """Subject and text of a message and of those it forwards.

    Raises a MailError if it is no e-mail, can't be read as one, or is too large.
    """
    _refuse_unbounded(raw)
    _refuse_others(raw)
    raw = _ENVELOPES.sub(b"", raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"), count=1)
    try:
        message = message_from_bytes(raw, policy=_Headers())
        if sum(1 for _ in message.walk()) > MOST_PARTS:
            reason = f"more than {MOST_PARTS:,} parts"
        else:
            mail = _mail(message, raw)
            more = len(mail.left_out) - MOST_LEFT_OUT
            named = [*mail.left_out[:MOST_LEFT_OUT], *([f"{more:,} more"] if more > 0 else [])]
            return mail._replace(text=mail.text.encode("utf-8", "replace").decode(), left_out=named)
    except MailError:
        raise
    except Exception as error:  # broken mail raises exceptions of many kinds
        reason = type(error).__name__
    raise MailError(f"cannot be read as an e-mail ({reason})")


def _refuse_unbounded(raw: bytes) -> None:
    for what, size, most in (
        ("bytes", len(raw), MOST_BYTES),
        ("lines", max(raw.count(b"\n"), raw.count(b"\r")), MOST_LINES),
        ("multiparts", raw.lower().count(b"multipart/"), MOST_MULTIPARTS),
    ):
        if size > most:
            raise MailError(f"cannot be read as an e-mail (more than {most:,} {what})")


def _refuse_others(raw: bytes) -> None:
    if any(name != ENVELOPE_NAME for name in _known_headers(raw[:LONGEST_HEADER])):
        return
    for signature, (what, remedy) in NO_MAILS.items():
        if raw.startswith(signature):
            raise MailError(f"no e-mail but {what}", remedy)
    raise MailError("no e-mail: it does not begin with headers such as From: and Subject:")


def _known_headers(head: bytes) -> Iterator[bytes]:
    """The usual headers of mails among the lines that a file begins with; one or two lines may stand before them."""
    lines = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").splitlines()
    for number, line in enumerate(lines):
        if number < 2 and line.startswith((b"From ", b">From ")):
            if ENVELOPE.match(line):
                yield ENVELOPE_NAME
            continue
        header = _HEADER.match(line)
        if header is None:
            break
        name = (header[1] or b"").lower()
        if name in _KNOWN:
            yield name
        elif name.startswith(b"x-"):
            yield b"x-"


class _Headers(policy.Compat32):
    """Gives headers as they are, and cut: the library's newer rules take minutes for a long one."""

    @override
    def header_fetch_parse(self, name: str, value: str) -> str:
        return value[:LONGEST_HEADER]


def _mail(message: Message, raw: bytes) -> Mail:
    """Subject and body of a message, whole or forwarded in another one; ``raw`` has it all."""
    body = _shown(message)
    value = next((str(value) for name, value in message.raw_items() if name.lower() == "subject"), "")
    subject, lost = header_text(
        value[:LONGEST_HEADER], lambda: _stated_anywhere(message) or (guess(raw) if raw else None)
    )
    text = "\n".join(part for part in (subject, body.text) if part)
    is_empty = subject and not body.text and not body.left_out
    return Mail(text, lost + body.lost, ["empty body"] if is_empty else body.left_out)


def _shown(part: Message) -> Mail:
    """The text of a part as a mail program shows it, with the mails it forwards."""
    kind = part.get_content_type()
    if kind in SIGNATURES:
        return NOTHING
    if kind in ENCRYPTED:
        return Mail("", 0, ["encrypted part"])
    if part.is_multipart():
        parts: list[Message] = part.get_payload()  # type: ignore[assignment]
        if kind == "multipart/alternative":
            return _best(parts)
        if kind in FORWARDED:
            return _joined([_mail(own, b"") for own in map(_unpacked, parts, [part] * len(parts))])
        return Mail("", 0, [kind]) if kind.startswith("message/") else _joined([_shown(own) for own in parts])
    if kind.startswith("multipart/") or len(part.get_all("content-type", [])) > 1:
        return _repaired(part)
    if not _is_text(part, kind):
        return Mail("", 0, [_name(part, kind)])
    raw = _content(part)
    is_html = kind.endswith("html") or (kind != "text/plain" and _LOOKS_LIKE_HTML.match(raw) is not None)
    return _text(part, raw, is_html)


def _is_text(part: Message, kind: str) -> bool:
    """Whether a mail program shows a part as text. It shows text of a kind that it does not know as it is."""
    if part.get_content_disposition() == "attachment":
        return False
    known = kind.endswith(("/plain", "html"))
    return kind.startswith("text/") and (known or (kind != "text/calendar" and not part.get_filename()))


def _best(parts: Sequence[Message]) -> Mail:
    """The text of one of several alternatives.

    The plain one, which has no tricks of layout, unless it is a stub and the HTML is the mail: it is empty, or short
    and speaks of HTML ("your program does not show HTML"), or short and the HTML has several times its text.
    """
    parts = sorted(parts, key=lambda part: part.get_content_type() != "text/plain")
    chosen, best = -1, NOTHING
    for place, part in enumerate(parts):
        if best.text and (len(best.text) > STUB or part.get_content_type() == "text/plain"):
            break
        shown = _shown(part)
        speaks_of_html = "html" in best.text.lower()
        if shown.text and (speaks_of_html or len(shown.text) > FULLER * len(best.text)):
            chosen, best = place, shown
            if part.get_content_type() != "text/plain":
                break
    others = (own for place, part in enumerate(parts) if place != chosen for own in part.walk())
    unseen = [_name(own, kind) for own in others if not (kind := own.get_content_type()).startswith(NO_FILES)]
    return best._replace(left_out=[*best.left_out, *unseen])


def _joined(shown: Sequence[Mail]) -> Mail:
    text = "\n".join(one.text for one in shown if one.text)
    return Mail(text, sum(one.lost for one in shown), [name for one in shown for name in one.left_out])


def _text(part: Message, raw: bytes, is_html: bool) -> Mail:
    label = _charset(part)
    if is_html and label is None:
        found = _META_CHARSET.search(raw[:LONGEST_HEADER])
        label = found and found[1].decode()
    text, lost = decoded(raw, label)
    text = html_text(text) if is_html else visible(text.replace("\r\n", "\n")).strip()
    if "-----BEGIN PGP MESSAGE-----" not in text:
        return Mail(text, lost, ())
    return Mail(_PGP.sub("", text).strip(), lost, ["encrypted part"])


def _content(part: Message) -> bytes:
    """The bytes of a part, once: its encoding is taken off."""
    stated = str(part.get("content-transfer-encoding", ""))
    word = _TOKEN.match(stated)  # without comments and other things after it
    encoding = word[1].lower() if word else ""
    if encoding == "base64" or encoding != stated.lower():
        del part["content-transfer-encoding"]
        part["content-transfer-encoding"] = "8bit" if encoding == "base64" else encoding
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return b""
    digits = _BASE64_LINES.match(content) if encoding == "base64" else None
    return base64_bytes(digits[0]) if digits and digits[0].strip() else content


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, ValueError, TypeError):
        return None


def _stated_anywhere(message: Message) -> str | None:
    return next((charset for part in message.walk() if (charset := _charset(part))), None)


def _unpacked(message: Message, part: Message) -> Message:
    """A forwarded mail, which may be encoded as a whole against the rules."""
    if message.keys() or "content-transfer-encoding" not in part:
        return message
    message["content-transfer-encoding"] = part["content-transfer-encoding"]
    raw = _content(message)
    _refuse_unbounded(raw)
    return message_from_bytes(raw, policy=_Headers())


def _repaired(part: Message) -> Mail:
    """The text of a part whose structure is not as stated: by the boundary found in it, or else as it is."""
    raw = _content(part)
    if len(raw) < LONGEST_REPAIRED and (found := _LOST_BOUNDARY.search(raw)):
        kind = b"alternative" if part.get_content_type() == "multipart/alternative" else b"mixed"
        head = b'Content-Type: multipart/%s; boundary="%s"\n\n' % (kind, found[1])
        message = message_from_bytes(head + raw, policy=_Headers())
        if message.is_multipart():
            return _shown(message)
    return _text(part, raw, is_html=bool(_LOOKS_LIKE_HTML.match(raw)))


def _name(part: Message, kind: str) -> str:
    """How the output names a part that is left out."""
    name, _ = header_text(part.get_filename() or "", lambda: _charset(part))
    if kind.endswith("ms-tnef") or name.lower() == "winmail.dat":
        return "winmail.dat"
    name = "".join(letter for letter in name or kind if letter.isprintable())
    return f"attachment {name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + '...'}"


def mail_input(source: Source) -> Input:
    """The mails of a file. Each of a mailbox is a row, and its place is its number, from 1."""
    notes = Notes()
    with source.open() as file:
        mails = split_mails(file)
        only = next(mails, b"")
        several = next(mails, None) is not None
    column = "mail" if several else "file"
    rows = _mailbox_rows(source, notes) if several else iter([mail_row(only, source.name, column, notes)])
    return Input(source.name, column, [column, *COLUMNS], rows, None if several else 1, notes=notes)


def _mailbox_rows(source: Source, notes: Notes) -> Rows:
    with source.open() as file:
        for number, mail in enumerate(split_mails(file), start=1):
            yield mail_row(mail, number, "mail", notes)


def split_mails(file: IO[bytes]) -> Iterator[bytes]:
    """The mails of a file, one at a time; of one that is too large no more than ``read_mail`` needs to refuse it.

    In a mailbox a line that begins with ``From `` precedes each mail, and lines of mails that begin so are quoted
    with ``>``. Not all programs quote, so such a line counts if a header follows, and it names a time, an address or
    just ``-``, as Mozilla's.
    """
    mark = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    file.seek(mark)
    head = file.read(AT_ONCE)
    if not head.startswith(ENVELOPE_NAME):
        yield head + file.read(MOST_BYTES + 1 - len(head))
        return
    if len(head) < AT_ONCE and b"\n" + ENVELOPE_NAME not in head:  # most often; the loop takes longer
        yield _QUOTED_LINE.sub(rb"\1", head.partition(b"\n")[2])
        return
    file.seek(mark)
    file.readline()
    mail: list[bytes] = []
    size, at_start = 0, True
    lines = iter(partial(file.readline, LONGEST_LINE), b"")
    for line, following in pairwise(chain(lines, [b""])):
        if at_start and line.startswith(ENVELOPE_NAME) and ENVELOPE.match(line) and _HEADER_LINE.match(following):
            yield _whole(mail)
            mail, size = [], 0
            continue
        if size <= MOST_BYTES:
            mail.append(_QUOTED_LINE.sub(rb"\1", line) if at_start and line.startswith(b">") else line)
            size += len(line)
        at_start = line.endswith(b"\n")
    yield _whole(mail)


def _whole(lines: list[bytes]) -> bytes:
    """A mail without the blank line that separates it from the next one."""
    return b"".join(lines[:-1] if lines and not lines[-1].strip(b"\r\n") else lines)
