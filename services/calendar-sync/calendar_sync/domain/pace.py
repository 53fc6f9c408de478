"""When an account is visited again: regularly, not all at once, and not while it wants peace."""

from datetime import timedelta

_FIRST, _LONGEST = timedelta(seconds=20), timedelta(minutes=30)
_MOST_ASKED_FOR = timedelta(days=1)
_SHORTEST, _JITTER = 0.9, 0.2


def next_poll(every: timedelta, chance: float) -> timedelta:
    """Around ``every``; ``chance`` from 0 to 1 keeps accounts from being visited all at once."""
    return every * (_SHORTEST + _JITTER * chance)


def back_off(failures: int, asked_for: timedelta | None, chance: float) -> timedelta:
    """The pause after so many failures in a row, at least what the provider has asked for."""
    grown = min(_FIRST * (1 << min(failures - 1, 20)), _LONGEST)
    wanted = min(max(asked_for or timedelta(), timedelta()), _MOST_ASKED_FOR)
    return max(grown, wanted) + grown * _JITTER * chance
