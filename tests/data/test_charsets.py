"""Bytes become the text that a browser or mail program shows, whatever is stated about their encoding."""

import codecs
import encodings.aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.charsets import codec, decoded, guess


@pytest.mark.parametrize(
    ("label", "raw", "text"),
    [
        ("latin-1", b"\x93now\x94 \x80", "“now” €"),
        ("us-ascii", b"\x93now\x94 \x80", "“now” €"),
        ("GB2312", "镕囧".encode("gb18030"), "镕囧"),
        ("shift_jis", "①㈱".encode("cp932"), "①㈱"),
        ("EUC-JP", b"\xad\xa1", "①"),
        ("ks_c_5601-1987", "똠방".encode("cp949"), "똠방"),
        ("big5", "着".encode("big5hkscs"), "着"),
        (' "UTF8" ', "é".encode(), "é"),
        ("cp437", b"\x82", "é"),  # no browser knows it
        ("hz-gb-2312", b"~{<:Ky2;~}", "己所不"),  # a browser refuses it
        ("utf-7", b"+AOk-", "é"),
    ],
)
def test_labels(label: str, raw: bytes, text: str) -> None:
    name = codec(label)
    assert name is not None
    assert raw.decode(name) == text


@pytest.mark.parametrize(
    "label", ["", "none", "zlib", "hex", "rot13", "punycode", "idna", "undefined", "a\0b", "é", "\ud800", "x" * 10**6]
)
def test_labels_of_no_charset(label: str) -> None:
    assert codec(label) is None


SMS = "Had your mobile 10 mths? Call {} to claim your £500 prize, only £1.50 a minute\n"
GUESSED = {
    "windows-1252": [
        "thé – 5 €",
        "“Only today” for 5 €",
        "Grüße aus Köln, wir freuen uns",
        "È già lunedì, perché no?",
        "Vous êtes invité à la réunion",
        "¿Dónde está la fiesta de año nuevo?",
        "Não perca: amanhã às 10h",
        "Vi hörs på måndag",
        "così è la vita",
        "© 2004 Acme®, only £9.99",
        SMS.format("now"),
        "".join(SMS.format(number) for number in range(500)),
    ],
    "windows-1250": ["Zażółć gęślą jaźń, dziękuję", "Příliš žluťoučký kůň", "Árvíztűrő tükörfúrógép"],
    "iso-8859-2": ["Dziękuję, proszę o odpowiedź jeszcze dziś", "Zažádejte si o půjčku ještě dnes"],
    "windows-1251": ["Поздравляем, вы выиграли"],
    "koi8-r": ["Поздравляем, вы выиграли"],
    "ibm866": ["Поздравляем, вы выиграли"],
    "windows-1253": ["Συγχαρητήρια, κερδίσατε"],
    "windows-1254": ["Teşekkür ederim, yarın görüşürüz"],
    "windows-1255": ["הפגישה תתקיים מחר בשעה עשר"],
    "windows-1256": ["الاجتماع غدا في الساعة العاشرة صباحا"],
    "gb18030": ["恭喜您中奖了", "明天下午三点开会，请带上报告。"],
    "big5": ["明天下午三點開會，請帶上報告。"],
    "shift_jis": ["未承諾広告※当選おめでとうございます"],
    "euc-jp": ["本日限りの特別価格をご案内します。"],
    "iso-2022-jp": ["会議は明日です"],
    "euc-kr": ["회의는 내일 오후 세 시입니다."],
}
ENGLISH = "Dear customer, your order has been sent.\nPlease call the office if you have any questions.\n"


@pytest.mark.parametrize(("encoding", "text"), [(name, text) for name, texts in GUESSED.items() for text in texts])
def test_unknown_encodings_are_guessed(encoding: str, text: str) -> None:
    """Alone, and amid English lines."""
    name = codec(encoding)
    assert name is not None
    for whole in (text, ENGLISH * 3 + text + "\n" + ENGLISH):
        raw = whole.encode(name)
        found = codec(guess(raw))
        assert found is not None
        assert raw.decode(found) == whole


def test_guess_of_a_large_file_takes_no_time_and_no_part_of_a_character() -> None:
    assert guess("明天下午三点开会".encode("gb18030") * 1_000_000) == "gb18030"
    assert guess("x明天下午三点开会".encode("gb18030") * 1_000_000) == "gb18030"


@pytest.mark.parametrize(
    ("raw", "label", "text", "lost"),
    [
        (b"plain", None, "plain", 0),
        (b"plain", "utf-16", "plain", 0),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "latin-1", "café", 0),
        ("café".encode("utf-16"), None, "café", 0),
        ("café".encode("utf-16le"), "utf-16", "café", 0),
        (b"caf\xe9 now", "latin-1", "café now", 0),
        ("明天下午三点".encode(), "gb2312", "明天下午三点", 0),
        ("明天朱镕基".encode("gbk"), "gb2312", "明天朱镕基", 0),
        ("未承諾広告を案内します".encode("cp932"), "us-ascii", "未承諾広告を案内します", 0),
        ("未承諾広告を案内します".encode("cp932"), "iso-2022-jp", "未承諾広告を案内します", 0),
        ("会議は明日です".encode("iso2022_jp"), "iso-2022-jp", "会議は明日です", 0),
        ("Поздравляем".encode("koi8-r"), "utf-8", "Поздравляем", 0),
        ("Für Sie: Straßenfest".encode("latin-1"), None, "Für Sie: Straßenfest", 0),
        ("Für Sie: Straßenfest".encode("latin-1"), "no-such", "Für Sie: Straßenfest", 0),
        ("通知".encode("gbk"), "gb2312", "通知", 0),  # UTF-8 by chance
        ("é – ü".encode(), "gb2312", "é – ü", 0),
        ("Да".encode() + b"\xd0", None, "Да\ufffd", 1),
        ("Поздравляем вас".encode()[:-1], "latin-1", "Поздравляем ва\ufffd", 1),  # cut within a character
        ("明天下午三点开会，请带上".encode("gbk")[:-1], "gb2312", "明天下午三点开会，请带\ufffd", 1),
        (b"caf\xe9 \x81", "latin-1", "caf\xe9 \ufffd", 1),  # an undefined byte
        ("a \ufffd".encode(), "utf-8", "a \ufffd", 0),  # lost before it came here
        (b"half +2AA-", "utf-7", "half \ufffd", 1),
    ],
)
def test_decoded(raw: bytes, label: str | None, text: str, lost: int) -> None:
    assert decoded(raw, label) == (text, lost)


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp932", "今後広告をご希望されない方はここへ"), ("gbk", "明天下午三点开会，请带上报告")]
)
def test_a_damaged_character_costs_no_other_ones(encoding: str, text: str) -> None:
    raw = (text * 3).encode(encoding) + b"\x85\n" + (text * 3).encode(encoding)
    assert decoded(raw, None) == (f"{text * 3}\ufffd\n{text * 3}", 1)


@given(
    raw=st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "ignore"))),
    label=st.one_of(
        st.none(),
        st.text(max_size=20),
        st.sampled_from([*encodings.aliases.aliases, *encodings.aliases.aliases.values()]),
    ),
)
def test_any_bytes_are_text(raw: bytes, label: str | None) -> None:
    text, lost = decoded(raw, label)
    text.encode()
    assert lost <= text.count("\ufffd")
    if not lost and not raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        assert len(text) <= len(raw)
