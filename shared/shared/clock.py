"""The one clock that decides: the database's.

Services may run on machines whose clocks differ; expiry, notice and cut-off are judged by
``now()`` of the transaction that acts on them. Pure code takes the instant as an argument.
"""

from datetime import datetime
from typing import Annotated

from fastapi import Depends
from sqlalchemy import func, select

from shared.db import Connection, Transaction


async def database_now(connection: Connection) -> datetime:
    """The instant at which this transaction began, aware and in UTC."""
    instant: datetime = await connection.fetchval("SELECT now()")
    return instant


async def _now(session: Transaction) -> datetime:
    return (await session.execute(select(func.now()))).scalar_one()


Now = Annotated[datetime, Depends(_now)]
