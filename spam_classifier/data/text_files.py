"""The encoding of a text file: its byte order mark, else UTF-8, else one guess for the whole file."""

import codecs
import io
from typing import IO, NamedTuple, TextIO

from spam_classifier.data.charsets import codec, guess
from spam_classifier.data.rows import Notes, Rejected, Source
from spam_classifier.errors import UserError

MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16"),
)
PIECE = 2**18  # bytes that are decoded at a time
START = 2**12  # bytes that show an unmarked UTF-16
FOR_A_GUESS = 2**16  # bytes of lines that are not UTF-8


class Encoding(NamedTuple):
    """How a file's bytes become text."""

    name: str  # as users write it
    codec: str  # Python's
    marked: bool = False  # by a byte order mark
    guessed: bool = False
    damaged: bool = False  # whether some bytes are not in it
    escaped_quotes: bool = False  # whether a backslash stands before a quote somewhere
    leading_quotes: bool = False  # whether a field that a tab or a line end precedes begins with a quote

    @property
    def marked_output(self) -> bool:
        """Whether a .csv made from this file begins with a byte order mark: Excel reads no other UTF-8 right."""
        return self.marked or self.name != "utf-8"


UTF_8 = Encoding("utf-8", "utf-8-sig")


def marked_encoding(start: bytes) -> Encoding:
    """The encoding of a file by its first four bytes: that of its byte order mark, else UTF-8."""
    found = (Encoding(name, python_name, marked=True) for mark, name, python_name in MARKS if start.startswith(mark))
    return next(found, UTF_8)


def named_encoding(given: str, flag: str) -> Encoding:
    """The encoding that the user named; refuses an unknown one."""
    python_name = codec(given)
    if python_name is None:
        raise UserError(f"{flag} {given}: unknown encoding; give one such as utf-8, windows-1252, utf-16 or gb18030")
    return Encoding(given.lower(), "utf-8-sig" if python_name == "utf-8" else python_name)


def find_encoding(source: Source, given: str | None, flag: str) -> Encoding:
    """Find out how a file is encoded; reads it once, or twice if it is not UTF-8."""
    with source.open() as file:
        start = file.read(START)
    marked = marked_encoding(start)
    if given is not None:
        named = named_encoding(given, flag)
        if marked.marked and _is_wide(named) and _is_wide(marked):
            named = marked  # its mark tells the order of the bytes
        found = _surveyed(source, named._replace(marked=marked.marked))
        if found is None:
            raise UserError(
                f"{source.name} is not {given}: correct {flag}, or leave it out and the encoding is guessed"
            )
        return found
    if marked.marked and marked.name != "utf-8":
        return _whole(source, marked)
    wide = _unmarked_utf_16(start)
    if wide is not None:
        return _whole(source, Encoding(wide, wide, guessed=True))
    found = _surveyed(source, marked)
    if found is not None:
        return found
    other = None if marked.marked else _other_lines(source)
    if other is not None:
        name = guess(other)
        marked = Encoding(name, codec(name) or "cp1252", guessed=True)
        found = _surveyed(source, marked)
    if found is not None:
        return found
    damaged = marked._replace(damaged=True)  # such lines are rejected
    return _surveyed(source, damaged, errors="replace") or damaged


def _whole(source: Source, encoding: Encoding) -> Encoding:
    """The surveyed encoding; refuses a damaged UTF-16 or UTF-32, of which no later line can be trusted."""
    found = _surveyed(source, encoding) or _surveyed(source, encoding._replace(damaged=True), errors=_errors(encoding))
    if found is None:
        raise UserError(f"{source.name} begins as {encoding.name.upper()} and is damaged: write or copy it again")
    return found


def _unmarked_utf_16(start: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of ASCII characters is 0."""
    pairs = len(start) // 2
    if pairs:
        for name, zeros in (("utf-16-le", start[1::2].count(0)), ("utf-16-be", start[::2].count(0))):
            if zeros > pairs / 2 and start.count(0) < zeros * 1.1:
                return name
    return None


def _surveyed(source: Source, encoding: Encoding, errors: str = "strict") -> Encoding | None:
    """The encoding with what the text shows of quotes; None if the bytes are not in it."""
    decoder = codecs.getincrementaldecoder(encoding.codec)(errors)
    wide = _is_wide(encoding)
    escaped = leading = False
    last = b"\n"
    with source.open() as file:
        while True:
            piece = file.read(PIECE)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeError:
                return None
            shown = last + (text.encode("utf-8", "surrogatepass") if wide else piece)
            escaped = escaped or b'\\"' in shown
            leading = leading or b'\t"' in shown or b'\n"' in shown
            last = shown[-1:]
            if not piece:
                return encoding._replace(escaped_quotes=escaped, leading_quotes=leading)


def _other_lines(source: Source) -> bytes | None:
    """The first lines that are not UTF-8; None if most lines that are not ASCII are UTF-8."""
    found, utf_8, other = bytearray(), 0, 0
    with source.open() as file:
        while line := file.readline(PIECE):
            if line.isascii():
                continue
            try:
                line.decode()
                utf_8 += 1
            except UnicodeDecodeError:
                other += 1
                found += line[: max(0, FOR_A_GUESS - len(found))]
    return None if utf_8 > other else bytes(found)


def said_encoding(source: Source, given: str | None, flag: str) -> tuple[Encoding, Notes]:
    """The encoding of a file as ``find_encoding`` tells it, and notes that begin with it if it is a guess."""
    notes, encoding = Notes(), find_encoding(source, given, flag)
    if encoding.guessed:
        notes.assume(f"read as {encoding.name}, a guess ({flag})")
    return encoding, notes


def opened_text(file: IO[bytes], encoding: Encoding, newline: str) -> TextIO:
    """The file as text; bytes that are not in the encoding become surrogates, so that their line can be rejected."""
    return io.TextIOWrapper(file, encoding=encoding.codec, errors=_errors(encoding), newline=newline)


def _errors(encoding: Encoding) -> str:
    return "surrogatepass" if _is_wide(encoding) else "surrogateescape"


def _is_wide(encoding: Encoding) -> bool:
    """Whether even an ASCII character takes more than a byte."""
    return encoding.codec.startswith(("utf-16", "utf_16", "utf-32", "utf_32"))


def undecodable(place: int | str, encoding: Encoding, flag: str) -> Rejected:
    """The rejection of a row with bytes that are not in the file's encoding."""
    return Rejected(place, f"not {encoding.name}", f"correct it, or name the file's encoding with {flag}")
