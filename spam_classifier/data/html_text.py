"""The text that a mail program shows of HTML."""

import re
from html import unescape
from html.parser import HTMLParser

from typing_extensions import override

HIDDEN = {"script", "style", "title", "template"}
LINES = {"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "div"}
LINES |= {"dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"}
LINES |= {"header", "hr", "legend", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tr", "ul"}
SPACES = {"img", "option", "td", "th"}
EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# Elements whose end tag may be left out, and what ends them, but for the end of what they are in.
ENDED_BY = {
    "p": LINES - {"br"},
    "li": {"li"},
    "dt": {"dd", "dt"},
    "dd": {"dd", "dt"},
    "option": {"option"},
    "td": {"td", "th", "tr"},
    "th": {"td", "th", "tr"},
    "tr": {"tr"},
}
_ENDS = set().union(*ENDED_BY.values())

UNCLOSED = 1_000_000  # number of "<" after the last closed tag, times the characters there: the parser's time
LONGEST_STYLE = 20_000  # characters; of more the rest is not read
DEEPEST = 100  # elements within a hidden one

_ZERO = r"(?:0+(?:\.0*)?|\.0+)(?:px|pt|r?em|ex|%|cm|mm|in|pc|vw|vh)?(?![\w.%])"
_GONE = re.compile(
    rf"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?<![\w-])opacity\s*:\s*{_ZERO}|mso-hide\s*:\s*all", re.I
)
_FLAT = re.compile(rf"(?<![\w-])(?:max-)?(?:height|width)\s*:\s*{_ZERO}", re.I)
_CUT = re.compile(r"overflow\s*:\s*hidden", re.I)
_SIZE = re.compile(r"(?<![\w-])font(?:-size)?\s*:\s*([^;]*)", re.I)
_NO_SIZE = re.compile(rf"(?:^|\s){_ZERO}(?:\s*/|\s|!|$)", re.I)
_BLOCK = re.compile(r"display\s*:\s*(?:block|table|flex|grid|list-item)", re.I)
_STYLE_COMMENTS = re.compile(r"/\*.*?\*/|<!--|-->", re.S)
_AT_RULES = re.compile(r"@[^{}@;]*(?:;|\{(?:[^{}]*\{[^{}]*\})*[^{}]*\})")  # such as those for small screens
_RULES = re.compile(r"([^{}]*)\{([^{}]*)\}")
_NAME = re.compile(r"\w*([.#][\w-]+)")
_INVISIBLE = re.compile("[\u00ad\u034f\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
# Joiners between letters and emoji of other scripts have a meaning. Elsewhere they hide something.
_OTHER_LETTERS = "\u0300-\u1fff\u2070-\U0010ffff"
_JOINERS = re.compile(f"(?<![{_OTHER_LETTERS}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_OTHER_LETTERS}])")


def visible(text: str) -> str:
    """A text without soft hyphens and other characters of no width."""
    return text if text.isascii() else _JOINERS.sub("", _INVISIBLE.sub("", text))


def html_text(markup: str) -> str:
    """HTML as text: entities decoded, a line for each block; no scripts and styles, nothing hidden or of size 0."""
    try:
        return _Text.of(markup)
    except AssertionError:  # a declaration that the parser does not know
        return _Text.of(markup.replace("<![", "&lt;!["))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.styles: dict[str, str] = {}  # by class and id, of those that hide
        self.style_text = ""
        self.blocks: list[str] = []  # open elements that only their style makes blocks
        # Open elements from the outermost hidden one inwards, and how each shows its text: "gone" whatever is within
        # it, "small" unless something within it has a size, or "shown".
        self.within: list[tuple[str, str]] = []

    @classmethod
    def of(cls, markup: str) -> str:
        parser = cls()
        parser.feed(markup)
        rest: str = parser.rawdata  # that no tag closes
        if len(rest) * rest.count("<") > UNCLOSED:
            parser.handle_data(unescape(rest))
            parser.rawdata = ""
        parser.close()
        lines = (" ".join(line.split()) for line in visible("".join(parser.pieces)).split("\0"))
        return "\n".join(line for line in lines if line)

    @override
    def updatepos(self, i: int, j: int) -> int:
        return j  # counting lines takes time

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        style = self._style(tag, attrs) if attrs else ""
        if tag in LINES:
            self.pieces.append("\0")
        elif tag in SPACES:
            self.pieces.append(" ")
        elif style and _BLOCK.search(style):
            self.pieces.append("\0")
            self.blocks = [*self.blocks[-DEEPEST:], tag]
        if not (style or self.within or tag in HIDDEN):
            return
        if tag in EMPTY:
            return
        if self.within and tag in _ENDS:
            self._end_others(tag)
        outer = self.within[-1][1] if self.within else "shown"
        shown = "gone" if outer == "gone" or tag in HIDDEN else _shown(tag, style) or outer
        if (self.within or shown != "shown") and len(self.within) < DEEPEST:
            self.within.append((tag, shown))

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # the slash means nothing in HTML

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in LINES:
            self.pieces.append("\0")
        elif tag in SPACES:
            self.pieces.append(" ")
        elif self.blocks and self.blocks[-1] == tag:
            self.pieces.append("\0")
            self.blocks.pop()
        if not self.within:
            return
        if tag == "style":
            self.styles |= _hiding_rules(self.style_text)
            self.style_text = ""
        places = [place for place, (open_tag, _) in enumerate(self.within) if open_tag == tag]
        if places:
            del self.within[places[-1] :]
        elif tag in LINES or tag in ENDED_BY or tag in ("head", "html"):  # ends what the hidden element is in
            self.within.clear()

    def _end_others(self, tag: str) -> None:
        """End the open elements that end where one of this name begins."""
        for place in range(len(self.within) - 1, -1, -1):
            open_tag = self.within[place][0]
            if tag in ENDED_BY.get(open_tag, ()):
                del self.within[place:]
            elif open_tag in LINES or open_tag in SPACES:
                return

    @override
    def handle_data(self, data: str) -> None:
        if not self.within or self.within[-1][1] == "shown":
            self.pieces.append(data.replace("\0", " "))
        elif self.within[-1][0] == "style" and len(self.style_text) < LONGEST_STYLE:
            self.style_text += data[:LONGEST_STYLE]

    def _style(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        """The declarations for an element, those of its other attributes among them."""
        style = ""
        for name, value in attrs:
            if name == "style" and value:
                style += ";" + value[:LONGEST_STYLE]
            elif name == "hidden":
                style = "display:none;" + style
            elif name == "size" and tag == "font" and value and (self.within or value.strip() == "0"):
                style = f"font-size:{value[:9]};{style}"
            elif self.styles and value and name in ("class", "id"):
                mark = "." if name == "class" else "#"
                style = ";".join(self.styles.get(mark + word, "") for word in value.split()) + style
        return style


def _shown(tag: str, style: str) -> str:
    """How a style shows an element's text; "" if it does as the element around it."""
    gone = _GONE.search(style)
    # A button's text is often a link that only Outlook hides, as it gets another one.
    if gone and not (tag == "a" and gone[0].lower().startswith("mso")):
        return "gone"
    if _FLAT.search(style) and _CUT.search(style):
        return "gone"
    sizes = _SIZE.findall(style)
    return ("small" if _NO_SIZE.search(sizes[-1]) else "shown") if sizes else ""


def _hiding_rules(style: str) -> dict[str, str]:
    """Declarations by class (``.name``) or id (``#name``), of simple rules that hide text on any screen."""
    found = {}
    for selectors, declarations in _RULES.findall(_AT_RULES.sub("", _STYLE_COMMENTS.sub("", style))):
        if _shown("", declarations) in ("gone", "small"):
            for selector in selectors.split(","):
                if name := _NAME.fullmatch(selector.strip()):
                    found[name[1]] = declarations
    return found
