"""What `make vulnerabilities` makes of an answer."""

from typing import Any

import pytest

from local.vulnerabilities import FOUND, NOTHING_KNOWN, NOTHING_LEARNT, verdict

CLEAN = {"name": "orjson", "version": "3", "vulns": []}
BAD = {"name": "jinja2", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SILENT = {"name": "yarl", "skip_reason": "Dependency not found and could not be audited"}


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([CLEAN], NOTHING_KNOWN),
        ([CLEAN, BAD], FOUND),
        ([CLEAN, SILENT], NOTHING_LEARNT),
        ([SILENT, BAD], FOUND),
        ([], NOTHING_LEARNT),
    ],
)
def test_silence_is_no_good_news(entries: list[dict[str, Any]], code: int) -> None:
    assert verdict({"dependencies": entries})[0] == code


def test_what_is_known_is_named_with_its_cure() -> None:
    assert verdict({"dependencies": [BAD]})[1] == ["jinja2 2: CVE-1, mended in 3"]
