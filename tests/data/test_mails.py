"""The text of an e-mail is what a reader of mail shows, whatever is wrong with the mail."""

import base64
import contextlib
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.mails import email_text, html_text


def message(subject: str = "Prize") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = subject
    return mail


@pytest.mark.parametrize(("plain", "text"), [("Call now\n", "Prize\nCall now"), (" \n", "Prize\nCall later")])
def test_plain_text_is_preferred_unless_blank(plain: str, text: str) -> None:
    mail = message()
    mail.set_content(plain)
    mail.add_alternative("<p>Call <b>later</b></p>", subtype="html")
    assert email_text(mail.as_bytes()) == text


HTML = "<style>p {}</style><p>Caf&eacute; &amp; bar</p><script>go()</script><p>Call"


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        ("Subject: Prize\nContent-Type: text/html", HTML.encode(), "Prize\nCafé & bar\nCall"),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: base64", base64.encodebytes("Grüße".encode()), "Grüße"),
        (
            "Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\nContent-Type: text/plain; charset=iso-8859-1\n"
            "Content-Transfer-Encoding: quoted-printable",
            quopri.encodestring("Café".encode("latin-1")),
            "Grüße\nCafé",
        ),
        ("Subject: a prize\n for you", b"Call", "a prize for you\nCall"),
        ("Content-Type: text/plain; charset=unicode_escape", b"half \\ud800", "half ?"),
        ("Content-Type: text/plain; charset=punycode", "Café-kva".encode(), "Café-kva"),  # a slow codec: read as UTF-8
    ],
)
def test_encodings(head: str, body: bytes, text: str) -> None:
    assert email_text(head.encode() + b"\n\n" + body) == text


def test_nested_parts_are_shown_and_attachments_are_not() -> None:
    mail = message()
    mail.set_content("Call now")
    mail.add_alternative("<p>Call later</p>", subtype="html")
    mail.add_attachment(b"all my secrets", maintype="text", subtype="plain", filename="a.txt")
    outer = message("Fwd")
    outer.set_content("see below")
    outer.add_attachment(mail, disposition="inline")
    assert email_text(outer.as_bytes()) == "Fwd\nsee below\nCall now"


@pytest.mark.parametrize("charset", ["no-such", "hex", "utf-8\0", "rot13", '"', "us-ascii"])
def test_broken_charset_is_replaced(charset: str) -> None:
    raw = f"Subject: Prize\nContent-Type: text/plain; charset={charset}\n\ncall \xff now".encode("latin-1")
    text = email_text(raw)
    assert text.startswith("Prize\ncall ")
    assert "�" in text
    assert text.endswith(" now")


def test_markup_that_the_parser_refuses() -> None:
    assert html_text("<p>Call <![foo[ now ]]></p>").startswith("Call")


def test_cells_are_separated() -> None:
    assert html_text("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>") == "a b\nc"


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(raw: bytes) -> None:
    for head in (b"", b"Content-Type: multipart/mixed; boundary=a\n\n--a\n", b"Content-Type: text/html\n\n<"):
        with contextlib.suppress(ValueError):
            email_text(head + raw).encode()


def test_endless_nesting_is_refused() -> None:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=a%d\n\n--a%d\n" % (n, n) for n in range(3_000))
    with pytest.raises(ValueError, match="cannot be read as an e-mail"):
        email_text(parts)


@pytest.mark.parametrize("pattern", ["<a/", "<a x='", '<a "', "<!--", "<a b "])
def test_markup_that_is_never_closed(pattern: str) -> None:
    """The parser alone would read it anew from each of its beginnings, for hours."""
    markup = "<p>Call now</p>" + pattern * (1_000_000 // len(pattern))
    assert html_text(markup).startswith("Call now")


@pytest.mark.parametrize("name", ["Content-Type", "Content-Disposition", "Subject"])
@pytest.mark.parametrize("pattern", [";", '"', "a*0*=utf-8''%41;", "=?utf-8?q?a?="])
def test_header_without_end(name: str, pattern: str) -> None:
    """The library's own reading of one takes minutes."""
    head = f"{name}: {pattern * (300_000 // len(pattern))}\n\nCall now"
    assert email_text(head.encode()).endswith("Call now")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\n" * 1_000_001, "more than 1,000,000 lines"),
        (b"a" * (2**25 + 1), "more than 33,554,432 bytes"),
        (b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n\n" * 1_001, "more than 1,000 parts"),
    ],
)
def test_too_large_emails_are_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"cannot be read as an e-mail \({reason}\)"):
        email_text(raw)
