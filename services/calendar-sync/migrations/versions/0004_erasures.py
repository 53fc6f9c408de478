"""Erasures that were carried out here."""

from alembic import op

from shared.migrations import erasures_v1

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    erasures_v1(op)
