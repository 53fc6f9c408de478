"""Names as other people wrote them, on one harmless line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.domain.plain_text import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, ""),
        ("  Anna \t Nowak ", "Anna Nowak"),
        ("Anna\r\nBcc: all@example.com", "Anna Bcc: all@example.com"),
        ("Anna\x00\x1b[31m", "Anna [31m"),
        ("A\u2028B\u2029C\x85D", "A B C D"),
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("Zoe\u0308", "Zoë"),
        ("Z" + "\u0301\u0302\u0303\u0304\u0305\u0306" * 50, "\u0179\u0302\u0303\u0304"),
        ("{{7*7}} %(x)s <b>", "{{7*7}} %(x)s <b>"),
        ("مريم", "مريم"),
        ("👩\u200d⚕️", "👩\u200d⚕️"),
    ],
)
def test_names_become_one_line(text: str | None, line: str) -> None:
    assert one_line(text) == line


def test_huge_names_are_cut() -> None:
    line = one_line("A" * 1_000_000)

    assert line == "A" * 79 + "…"


@given(st.text(st.characters(), max_size=300), st.integers(1, 120))
def test_whatever_is_written_fits_one_header(text: str, longest: int) -> None:
    line = one_line(text, longest)

    assert len(line) <= longest
    assert line == line.strip()
    assert not {unicodedata.category(each) for each in line} & {"Cc", "Cs", "Zl", "Zp"}
    line.encode()
