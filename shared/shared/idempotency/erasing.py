"""Stored answers of somebody who is erased. The keys stay: no retry takes effect twice."""

from collections.abc import Collection
from uuid import UUID

import orjson

from shared.db import Connection
from shared.errors import Conflict
from shared.idempotency.answers import StoredAnswer

# Compared as bytes: an answer is whatever went out.
_ERASE = """
    UPDATE idempotency_keys SET status = $4, headers = $5::text::jsonb, body = $6
    WHERE caller = $1 OR caller = ANY($2::uuid[]) AND EXISTS (
        SELECT FROM unnest($3::text[]) AS id
        WHERE position(convert_to(id, 'UTF8') IN body) > 0
    )
"""


class AnswerErased(Conflict):
    """The request took effect; what was answered held personal data of somebody erased since."""

    code = "answer_erased"
    title = "What was answered to this request has been erased"


async def erase_answers(
    db: Connection,
    person_id: UUID,
    *,
    callers: Collection[UUID] = (),
    naming: Collection[UUID] = (),
) -> None:
    """Of the person all answers, and of these other callers those that hold one of these ids."""
    erased = StoredAnswer.refusing(AnswerErased())
    await db.execute(
        _ERASE,
        person_id,
        list(callers),
        [str(id_) for id_ in naming],
        erased.status,
        orjson.dumps(erased.headers).decode(),
        erased.body,
    )
