"""Calendar files that providers have imported."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from calendar_sync.models.metadata import Base, Instant

calendar_imports = Table(
    "calendar_imports",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("provider_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("file_hash", LargeBinary, nullable=False),
    Column("times_hash", LargeBinary, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("imported_event_count", Integer, nullable=False),
    Column("blocked_time_count", Integer, nullable=False),
    Column("skipped", JSONB, nullable=False),
    Column("unknown_zones", JSONB, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=text("now()")),
    Column("imported_at", Instant, nullable=False, server_default=text("now()")),
    Column("imported_by", Uuid, nullable=False),
    Column("deleted_at", Instant),
    Column("deleted_by", Uuid),
    Index(
        "calendar_imports_name_idx",
        "provider_id",
        "name",
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
    ),
)
"""``version`` counts the events told about it, and ``times_hash`` stands for the times that the
last of them told; neither the file nor the times are kept."""
