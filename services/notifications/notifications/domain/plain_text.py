"""Text that other people wrote, made harmless for a header or a line of a message."""

import unicodedata

_LONGEST = 80
_MOST_MARKS = 3
_JOINERS = "\u200c\u200d"


def one_line(text: str | None, longest: int = _LONGEST) -> str:
    """The text on one line of bounded length: what is invisible, or would turn others' text around,
    is gone; everything else is taken literally."""
    if not text:
        return ""
    if len(text) <= longest and _is_plain(text):
        return text
    words = "".join(_visible(character) for character in text[: longest * 8]).split()
    line = _few_marks(unicodedata.normalize("NFC", " ".join(words)))
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _is_plain(text: str) -> bool:
    """Nothing in it has to be changed; true of most names."""
    if not text.isprintable() or "  " in text or text.strip() != text:
        return False
    return text.isascii() or (
        unicodedata.is_normalized("NFC", text) and not any(map(unicodedata.combining, text))
    )


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp", "Cc"):
        return " "
    if character in _JOINERS:
        return character
    return "" if category in ("Cf", "Cs", "Co", "Cn") else character


def _few_marks(text: str) -> str:
    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
