"""docs/security.md names for every line the tests that keep it."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "security.md"
LINES = range(1, 16)


def rows() -> dict[int, list[str]]:
    """Line to the files that its row links to."""
    found = re.findall(r"(?m)^\| (\d+) \|.*\|(.*)\|$", PAGE.read_text())
    return {int(line): re.findall(r"\]\((.+?)\)", tests) for line, tests in found}


def test_every_line_has_tests() -> None:
    assert list(rows()) == list(LINES)
    assert all(rows().values())


def test_every_named_file_is_there_and_has_tests() -> None:
    for tests in rows().values():
        for link in tests:
            assert "def test_" in (PAGE.parent / link).read_text(), link


def test_every_file_of_a_line_is_named() -> None:
    named = {(PAGE.parent / link).resolve() for tests in rows().values() for link in tests}
    own = set(Path(__file__).parent.glob("test_[0-9]*.py"))

    assert own <= named


def test_whoever_finds_something_knows_where_to_write() -> None:
    assert "docs/security.md" in (CHECKOUT / "SECURITY.md").read_text()
    assert "@" in (CHECKOUT / "SECURITY.md").read_text()
