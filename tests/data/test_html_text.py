"""The text of HTML is what a mail program shows of it."""

import pytest

from spam_classifier.data.html_text import html_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<style>p {}</style><p>Caf&eacute; &amp; bar</p><script>go()</script><p>Call", "Café & bar\nCall"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<center>a</center>b<div>c</div><h2>d</h2>e<br>f<hr>g", "a\nb\nc\nd\ne\nf\ng"),
        ("w<b>or</b>d, w<font color=red>o</font>rd, a<img src=x>b", "word, word, a b"),
        ("<a style='display: block'>a</a><span style='display:inline'>b</span>c", "a\nbc"),
        ("<select size=0><option>a<option>b</select>", "a b"),
        ("a\0b&nbsp;&#160;c", "a b c"),
        ("<title>no</title><body>yes<title/></body>", "yes"),
    ],
)
def test_blocks_and_cells_are_separated(markup: str, text: str) -> None:
    assert html_text(markup) == text


HIDING = [
    "style='display:none'",
    "style='color:red; DISPLAY : none!important'",
    "style='visibility:hidden'",
    "style='font-size:0'",
    "style='font-size:0.0px;'",
    "style='font:0/0 a'",
    "style='opacity:0'",
    "style='opacity: .0'",
    "style='mso-hide:all'",
    "style='max-height:0;overflow:hidden'",
    "hidden",
    "hidden='hidden' class=a",
]


@pytest.mark.parametrize("attribute", HIDING)
@pytest.mark.parametrize("tag", ["div", "span", "p", "td"])
def test_hidden_text_is_left_out(tag: str, attribute: str) -> None:
    hidden = f"<{tag} {attribute}>WIN <b>a</b><br><span>prize</span></{tag}>"
    hidden = f"<table><tr>{hidden}</table>" if tag == "td" else hidden
    assert html_text(f"<p>minutes</p>{hidden}<p>end</p>") == "minutes\nend"


@pytest.mark.parametrize(
    "attribute",
    [
        "style='font-size:0.8em'",
        "style='opacity:0.9'",
        "style='line-height:0;overflow:hidden'",
        "style='font-size:10px'",
        "style='display:inline'",
        "style='max-height:0'",
        "style='font-family:0'",
        "style=''",
        "style",
        "aria-hidden=true",
        "class=gone",
    ],
)
def test_other_styles_hide_nothing(attribute: str) -> None:
    assert html_text(f"<p {attribute}>call now") == "call now"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<font size=0>prize</font><font size='+0'>a</font><font size=1>b</font>", "ab"),
        # Layouts set the size to 0, so that no white space is between cells, and set it again within these.
        ("<td style='font-size:0'>gone<div style='font-size:13px'>shown</div> gone<td>shown", "shown\nshown"),
        ("<div style='font-size:0'><div style='display:none;font-size:9px'>gone</div><font size=3>a</font></div>", "a"),
        ("<a style='mso-hide:all'>Click here</a>", "Click here"),  # a button in all programs but Outlook
        ("<style>.a, p.b {display:none} #c{font-size:0}</style><p class='x a'>1<p class=b>2<p id=c>3<p class=c>4", "4"),
        (
            "<style>@media (width:9px) {.a{display:none} .b{}} .c{display:none}</style><i class=a>1</i><i class=c>2",
            "1",
        ),
        ("<style>/* .a{display:none} */ div .b{display:none}</style><i class=a>1</i><i class=b>2", "12"),
        # What is hidden ends with what it is in, and where an element ends that needs no end tag.
        ("<div><span style='display:none'>a</div>b", "b"),
        ("<p hidden>a<p>b", "b"),
        ("<p hidden><b>a<p>b", "b"),
        ("<div hidden><div>a</div>b</div>c", "c"),
        ("<ul><li hidden>a<li>b</ul>c", "b\nc"),
        ("<table><tr><td hidden>a<td>b<tr hidden><td>c<tr><td>d</table>e", "b\nd\ne"),
        ("<div hidden>a<b>b<i>c</b>d</div>e", "e"),
        ("<div hidden>a<br>b<img>c<div/>d</div>e</div>f", "f"),
    ],
)
def test_what_is_hidden_ends(markup: str, text: str) -> None:
    assert html_text(markup) == text


def test_markup_that_the_parser_refuses() -> None:
    assert html_text("<p>Call <![foo[ now ]]></p>").startswith("Call")


@pytest.mark.parametrize("pattern", ["<a/", "<a x='", '<a "', "<!--", "<a b "])
def test_markup_that_is_never_closed(pattern: str) -> None:
    """The parser alone would read it anew from each of its beginnings, for hours."""
    markup = "<p>Call now</p>" + pattern * (1_000_000 // len(pattern))
    assert html_text(markup).startswith("Call now")


@pytest.mark.parametrize(
    "pattern",
    [
        "<p hidden>{}</p>".format("<b>" * 100_000),
        "<p hidden>{}</p>".format("<i><div>" + "<b>" * 98 + "</i>" * 100_000),
        "<p style='opacity:{}'>".format("0" * 300_000),
        "<p style='{}'>".format("font: " * 100_000),
        "<p style='{}'>".format("display" + " " * 300_000),
        "<style>{}</style>".format("@a{" * 100_000),
        "<style>{}</style>".format("@a{" + "b{}" * 100_000),
        "<style>{}</style>".format("/*" * 100_000),
        "<style>{}</style>".format("a{" * 100_000),
    ],
    ids=lambda pattern: pattern[:20],
)
def test_styles_without_end(pattern: str) -> None:
    """Searches that begin anew at each of their characters would take minutes."""
    assert html_text(pattern + "<p>Call now").endswith("Call now")
