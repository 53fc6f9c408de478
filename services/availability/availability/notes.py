"""Which times a provider's last changes were about, beside the version that they counted up.

Whoever knows the bookable times as of an older version learns from the notes which of them may be
others by now. A change that is about no certain time counts the version up and writes no note:
then, and when there have been more changes than are kept, everything may be another.
"""

from collections.abc import Sequence
from struct import Struct

from availability.domain.intervals import Interval

_MOST = 40
_NOTE = Struct(">qqq")


def noted(ranges: str) -> str:
    """The new value of ``notes`` where ``version`` is counted up by one: SQL.

    ``ranges`` is a relation of a few ``starts_at`` and ``ends_at`` that the change is about, not
    of time between them.
    """
    kept = (_MOST - 1) * _NOTE.size
    return f"""
    coalesce(substring(notes FROM greatest(1, length(notes) - {kept} + 1)) || (
        SELECT string_agg(
            int8send(version + 1)
            || int8send(floor(extract(epoch FROM starts_at) / 60)::bigint)
            || int8send(ceil(extract(epoch FROM ends_at) / 60)::bigint), ''
        ) FROM {ranges}
    ), notes)
    """


def changed_between(notes: bytes, known: int, version: int) -> Sequence[Interval] | None:
    """The minutes that the changes from one version to another were about; None is any."""
    newer = [note for note in _NOTE.iter_unpack(notes) if note[0] > known]
    if len({counted for counted, _, _ in newer}) != version - known:
        return None
    return [(start, end) for _, start, end in newer]
