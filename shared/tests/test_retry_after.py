"""What other systems ask for when they are too busy."""

from datetime import timedelta

import pytest

from shared.retry_after import retry_after


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "17"}, timedelta(seconds=17)),
        ({"Retry-After": "0"}, timedelta()),
        (
            {
                "Retry-After": "Sat, 21 Nov 2026 07:01:00 GMT",
                "Date": "Sat, 21 Nov 2026 07:00:00 GMT",
            },
            timedelta(minutes=1),
        ),
        (
            {
                "Retry-After": "Sat, 21 Nov 2026 06:00:00 GMT",
                "Date": "Sat, 21 Nov 2026 07:00:00 GMT",
            },
            timedelta(),
        ),
        ({"Retry-After": "Sat, 21 Nov 2026 07:01:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "\u0663"}, None),
        ({}, None),
    ],
)
def test_the_wish_to_be_left_alone(headers: dict[str, str], expected: timedelta | None) -> None:
    assert retry_after(headers) == expected
