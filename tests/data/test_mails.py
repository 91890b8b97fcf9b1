"""The text of an e-mail is what a mail program shows, whatever is wrong with the mail."""

import base64
import contextlib
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.mails import MailError, looks_like_mail, mail_row, read_mail
from spam_classifier.data.rows import Notes, Rejected


def text_of(raw: bytes) -> str:
    return read_mail(raw).text


def message(subject: str = "Prize") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = subject
    return mail


OFFER = "<p>Claim the <b>voucher</b> of 500 euro before midnight.</p>"
OFFERED = "Claim the voucher of 500 euro before midnight."


@pytest.mark.parametrize(
    ("plain", "text"),
    [
        ("Claim the voucher.", "Claim the voucher."),
        (" ", OFFERED),
        ("Please use a mail program that shows HTML.", OFFERED),
        ("Ihr Mailprogramm zeigt kein HTML", OFFERED),
        ("offer", OFFERED),  # the HTML is several times as long
        ("We speak of HTML here. " * 20, ("We speak of HTML here. " * 20).strip()),
    ],
)
@pytest.mark.parametrize("pictures", [False, True])
def test_plain_text_is_preferred_unless_it_is_a_stub(plain: str, text: str, pictures: bool) -> None:
    mail = message()
    mail.set_content(plain)
    mail.add_alternative(OFFER, subtype="html")
    if pictures:
        mail.get_payload()[1].add_related(b"GIF", maintype="image", subtype="gif", filename="a.gif")
    read = read_mail(mail.as_bytes())
    assert read.text == f"Prize\n{text}"
    assert list(read.left_out) == ["attachment a.gif"] * pictures


def test_html_comes_before_plain_text() -> None:
    mail = message()
    mail.set_content(OFFER, subtype="html")
    mail.add_alternative("Claim the voucher of 500 euro.\n")
    assert text_of(mail.as_bytes()) == "Prize\nClaim the voucher of 500 euro."


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
        ("Content-Type: text/plain; charset=unicode_escape", b"half \\ud800", "half \\ud800"),
        ("Content-Type: text/plain; charset=punycode", "Café-kva".encode(), "Café-kva"),
        ("Content-Type: text/plain; charset=gb2312", "明天下午三点开会".encode(), "明天下午三点开会"),
        ("Content-Type: text/plain; charset=gb2312", "會議通知，明天開會".encode("gbk"), "會議通知，明天開會"),
        (
            "Content-Type: text/plain; charset=us-ascii",
            "未承諾広告を案内します".encode("cp932"),
            "未承諾広告を案内します",
        ),
        ("Content-Type: text/plain; charset=iso-8859-1", b"\x93Only today\x94 for 5 \x80", "“Only today” for 5 €"),
        ("Content-Type: text/plain; charset=iso-2022-jp", "会議は明日".encode("iso2022_jp"), "会議は明日"),
        ("Content-Type: text/html", b"<meta charset=koi8-r>" + "Да".encode("koi8-r"), "Да"),
        ("Content-Type: text/html", b"<meta content='text/html; charset=big5'>" + "您好".encode("big5"), "您好"),
        ("X-A: b\nContent-Transfer-Encoding: Quoted-Printable; (7bit)", b"caf=C3=A9", "café"),
        ("X-A: b\nContent-Transfer-Encoding: base64", b"Y2Fm\nw6k=\n____\nA list's footer.\n", "café"),
        ("X-A: b\nContent-Transfer-Encoding: base64", b"This is none at all.\nCall\n", "This is none at all.\nCall"),
        ("X-A: b\nContent-Transfer-Encoding: base64", b"Y2Fmw6kg", "café"),
    ],
)
def test_encodings(head: str, body: bytes, text: str) -> None:
    assert text_of(head.encode() + b"\n\n" + body) == text


@pytest.mark.parametrize("charset", ["no-such", "hex", "utf-8\0", "rot13", '"', "us-ascii", "utf-8", "x" * 10**5])
def test_broken_charset_is_passed_over(charset: str) -> None:
    raw = f"Subject: Prize\nContent-Type: text/plain; charset={charset}\n\nFür Sie: Straßenfest".encode("latin-1")
    assert read_mail(raw) == ("Prize\nFür Sie: Straßenfest", 0, [])


def test_lost_characters_are_counted() -> None:
    raw = b"Subject: =?utf-8?b?4pyT4p?=\nContent-Type: text/plain; charset=latin-1\n\ncaf\xe9 \x81\n"
    assert read_mail(raw) == ("✓\ufffd\ncafé \ufffd", 2, [])


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("=?utf-8?q?Caf=C3=A9_?=\n =?utf-8?q?now?= =?UTF-8*en?Q?!?=", "Café now!"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?b?5piO?= =?utf-8?b?5aQ=?=\n\t=?utf-8?b?qQ==?=", "明天"),  # a character in two words
        ("=?gb2312?b?" + base64.b64encode("明天".encode()).decode() + "?=", "明天"),  # not the charset that it says
        ("=?us-ascii?q?Gr=FC=DFe?= =?no-such?q?Gr=FC=DFe?=", "GrüßeGrüße"),
        ("=?utf-8?q?Call now?=", "Call now"),
        ("=?utf-8?b?w6k?=", "é"),
        ("=?utf-8?b?w6k??= =?utf-8?x?a?= =?a?=", "é =?utf-8?x?a?= =?a?="),
    ],
)
def test_encoded_words(subject: str, text: str) -> None:
    assert text_of(f"Subject: {subject}\n\n".encode()) == text


@pytest.mark.parametrize(
    ("subject", "head", "body"),
    [
        ("Grüße vom Verein", b"", b"Call"),
        ("會議", b"Content-Type: text/plain; charset=gb2312", "通知".encode("gbk")),
        ("無料", b"X-A: b", "本日限りの特別価格をご案内します。".encode("euc_jp")),  # guessed from the body, too
    ],
)
def test_raw_bytes_in_headers(subject: str, head: bytes, body: bytes) -> None:
    codec = "gbk" if b"gb" in head else "latin-1" if not head else "euc_jp"
    raw = b"Subject: " + subject.encode(codec) + b"\n" + head + b"\n" * bool(head) + b"\n" + body
    assert text_of(raw) == f"{subject}\n{body.decode(codec)}"


def test_characters_without_width_are_left_out() -> None:
    raw = "Subject: pri\u200bze\n\n\ufeffmin\u00adutes v\u200ciagra \u034f\u200c \u200c\u2060\n".encode()
    assert text_of(raw) == "prize\nminutes viagra"
    kept = "می‌خواهم 👨‍👩‍👧 क्‍ष"  # joiners that other scripts and emoji need
    assert text_of(f"Subject: {kept}\n\n".encode()) == kept


def test_nested_parts_are_shown_and_attachments_are_not() -> None:
    mail = message()
    mail.set_content("Call now")
    mail.add_alternative("<p>Call later</p>", subtype="html")
    mail.add_attachment(b"all my secrets", maintype="text", subtype="plain", filename="a.txt")
    mail.add_attachment(b"PNG", maintype="image", subtype="png", filename="Café \n.png")
    mail.add_attachment(b"PNG", maintype="image", subtype="png")
    for disposition in ("inline", "attachment"):
        outer = message("Fwd")
        outer.set_content("see below")
        outer.add_attachment(mail, disposition=disposition)
        read = read_mail(outer.as_bytes())
        assert read.text == "Fwd\nsee below\nPrize\nCall now"
        assert list(read.left_out) == ["attachment a.txt", "attachment Café .png", "attachment image/png"]


def test_forwarded_mail_that_is_encoded_against_the_rules() -> None:
    head = b"Subject: Fwd\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    assert text_of(head + base64.encodebytes(b"Subject: Prize\n\nCall now")) == "Fwd\nPrize\nCall now"


PGP = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----"


@pytest.mark.parametrize(
    ("kind", "body", "text", "left_out"),
    [
        ("text/plain", "", "Prize", ["empty body"]),
        ("text/html", "<img src=x><p hidden>a", "Prize", ["empty body"]),
        ("text/plain", f"see\n{PGP}\nbye", "Prize\nsee\n\nbye", ["encrypted part"]),
        ("application/pkcs7-mime; name=smime.p7m", "MIAG", "Prize", ["encrypted part"]),
        ("multipart/encrypted; boundary=b", "--b\n\nVersion: 1\n--b\n\nMIAG\n--b--", "Prize", ["encrypted part"]),
        ("application/ms-tnef", "x", "Prize", ["winmail.dat"]),
        ("application/octet-stream; name=WINMAIL.DAT", "x", "Prize", ["winmail.dat"]),
        ("application/pdf; name*=utf-8''Caf%C3%A9.pdf", "x", "Prize", ["attachment Café.pdf"]),
        ("application/pdf; name=" + "x" * 200, "x", "Prize", ["attachment " + "x" * 77 + "..."]),
        ("text/calendar", "BEGIN:VCALENDAR", "Prize", ["attachment text/calendar"]),
        ("text/unknown", "Call", "Prize\nCall", []),
        (
            "multipart/mixed; boundary=b",
            "--b\nContent-Type: a/b\n\n" * 12,
            "Prize",
            ["attachment a/b"] * 10 + ["2 more"],
        ),
        (
            "multipart/signed; boundary=b",
            "--b\n\nCall\n--b\nContent-Type: application/pgp-signature\n\nx",
            "Prize\nCall",
            [],
        ),
    ],
)
def test_what_is_left_out_is_told(kind: str, body: str, text: str, left_out: list[str]) -> None:
    read = read_mail(f"Subject: Prize\nContent-Type: {kind}\n\n{body}".encode())
    assert (read.text, list(read.left_out)) == (text, left_out)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=zz", "Call now"),
        ("Content-Type: multipart/mixed; boundary=zz\nContent-Type: text/plain", "Call now"),
        ("Content-Type: multipart/mixed; boundary=zz\nContent-Type: text/html", "<html><p>Call <b>now</b>"),
        (
            "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=zz",
            "--zz\nContent-Type: text/html\n\n<p>Call now",
        ),
        ("Content-Type: multipart/mixed", "Call now"),
        ("Content-Type: multipart/mixed; boundary=zz", "Call now"),
        ("Content-Type: multipart/mixed; boundary=zz\nContent-Transfer-Encoding: base64", "Q2FsbCBub3c="),
        ("Content-Type: multipart/mixed", "--zz\nContent-Type: text/plain\n\nCall now\n--zz--"),
        (
            "Content-Type: multipart/alternative; boundary=other",
            "--z z\r\nContent-Type: text/plain\r\n\r\nCall now\r\n--z z--",
        ),
        ("Content-Type: multipart/mixed; boundary=zz", "--zz\nContent-Type: multipart/mixed\n\nCall now\n--zz--"),
        ("Content-Type: multipart/mixed; boundary=zz", "--zz\n\nCall now"),
        ("Content-Type: text", "Call now"),
        ("Content-Type: text/html/x; charset", "Call now"),
        ("Content-Type", "Call now"),
        ("Content-Type: ", "Call now"),
    ],
)
def test_malformed_structure_is_read(head: str, body: str) -> None:
    assert text_of(f"Subject: Prize\n{head}\n\n{body}".encode()).replace("Content-Type\n\n", "") == "Prize\nCall now"


@pytest.mark.parametrize("before", ["\ufeff", "\n\r\n", "From a@example.com Mon Jan  1 10:00:00 2024\n", ">From x\n"])
def test_what_may_stand_before_a_mail(before: str) -> None:
    raw = f"{before}From: a@example.com\nSubject: Prize\n\nCall".encode()
    assert text_of(raw) == "Prize\nCall"
    assert looks_like_mail(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (bytes.fromhex("D0CF11E0A1B11AE1") + bytes(512), "no e-mail but an Outlook .msg"),
        (b"\x89PNG\r\n\x1a\n", "no e-mail but a picture"),
        (b"%PDF-1.7", "no e-mail but a PDF"),
        (b"", "no e-mail: it does not begin with headers"),
        (b"Hello Bob,\n\nthe subject: lunch", "no e-mail: it does not begin with headers"),
        (b"Note: buy milk\n\nSubject: a", "no e-mail: it does not begin with headers"),
        (b"From the start\nit was late", "no e-mail: it does not begin with headers"),
    ],
)
def test_what_is_no_mail_is_rejected(raw: bytes, reason: str) -> None:
    assert not looks_like_mail(raw)
    with pytest.raises(ValueError, match=reason):
        read_mail(raw)
    row = mail_row(raw, "a.eml", "file", Notes())
    assert isinstance(row, Rejected)
    assert row.remedy


def test_row_has_what_is_left_out_and_the_notes_count_it() -> None:
    notes = Notes()
    row = mail_row(b"Subject: Prize\nContent-Type: a/b\n\n", 7, "mail", notes, "spam")
    assert row == (
        7,
        "Prize",
        ["mail", "text", "lost_characters", "left_out"],
        [7, "Prize", 0, "attachment a/b"],
        "spam",
    )
    mail_row(b"Subject: =?utf-8?b?4pyT4g==?=\n\nCall", 8, "mail", notes)
    rejected = mail_row(b"Subject:\nContent-Type: a/b\n\n", 9, "mail", notes)
    assert rejected[:2] == (9, "no text; left out: attachment a/b")
    assert notes.line() == (
        "mails with parts left out: 1 (first: mail 7); mails with lost characters: 1 (first: mail 8)"
    )


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(raw: bytes) -> None:
    for head in (b"", b"Content-Type: multipart/mixed; boundary=a\n\n--a\n", b"Content-Type: text/html\n\n<"):
        with contextlib.suppress(MailError):
            text_of(head + raw).encode()


def test_endless_nesting_is_refused() -> None:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=a%d\n\n--a%d\n" % (n, n) for n in range(3_000))
    with pytest.raises(ValueError, match="cannot be read as an e-mail"):
        read_mail(parts)
    with pytest.raises(ValueError, match="cannot be read as an e-mail"):
        read_mail(b"Content-Type: message/rfc822\n\n" * 3_000)


@pytest.mark.parametrize("name", ["Content-Type", "Content-Disposition", "Subject", "Content-Transfer-Encoding"])
@pytest.mark.parametrize("pattern", [";", '"', "a*0*=utf-8''%41;", "=?utf-8?q?a?=", "=?a?q?", "\xe9", "filename=a;"])
def test_header_without_end(name: str, pattern: str) -> None:
    """The library's own reading of one takes minutes."""
    head = f"Subject: a\n{name}: {pattern * (300_000 // len(pattern))}\n\nCall now"
    assert text_of(head.encode()).endswith("Call now")


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
        read_mail(raw)
