"""Erasures that were carried out here."""

from alembic import op

from shared.migrations import erasures_v1

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    erasures_v1(op)
