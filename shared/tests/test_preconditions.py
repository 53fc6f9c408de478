"""If-Match: which states a request may change."""

import pytest

from shared.errors import Stale
from shared.fields import Answer
from shared.preconditions import Precondition, etag_of


class Thing(Answer):
    name: str


NOW = etag_of(Thing(name="a"))


def test_an_etag_is_another_when_anything_in_the_answer_is() -> None:
    assert etag_of(Thing(name="a")) == NOW
    assert etag_of(Thing(name="b")) != NOW


@pytest.mark.parametrize("header", [None, "*", " * ", NOW, f'"x", {NOW}', f'"a,b",{NOW} , W/"y"'])
def test_a_request_that_names_the_present_state_or_none_may_change_it(header: str | None) -> None:
    Precondition(header).check(NOW)


@pytest.mark.parametrize(
    "header", ["", '"x"', f"W/{NOW}", NOW.strip('"'), '"', "x*", "\x00", "'*'"]
)
def test_a_request_that_names_another_state_may_not(header: str) -> None:
    with pytest.raises(Stale):
        Precondition(header).check(NOW)
