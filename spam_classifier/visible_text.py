"""Text of unknown origin, on its way to a terminal."""

LONGEST_LINE = 2_000  # characters of a message to the user


def visible(text: str) -> str:
    r"""The text on one line, all that is not printed (control characters, marks of direction) as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def one_line(text: str) -> str:
    """The text as one line of a message: white space as single spaces, nothing unprintable, no middle if it is long.

    What is wrong stands at a message's beginning, and what to do at its end.
    """
    return visible(" ".join(_shortened(text).split()))


def _shortened(text: str) -> str:
    half = LONGEST_LINE // 2
    return text if len(text) <= LONGEST_LINE else f"{text[:half]} … {text[-half:]}"
