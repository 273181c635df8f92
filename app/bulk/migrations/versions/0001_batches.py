"""Partners' keys, batches, photos, and the Idempotency-Keys of requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "partners",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("photos_a_day", sa.Integer),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("revoked", sa.Double),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("table_columns", sa.LargeBinary),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("numbers", sa.Integer, nullable=False, server_default="0"),
        sa.Column("missing", sa.Integer, nullable=False, server_default="0"),
        sa.Column("received", sa.Integer, nullable=False, server_default="0"),
        sa.Column("done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("events", sa.Integer, nullable=False, server_default="0"),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("enqueued", sa.Integer, nullable=False, server_default="0"),
        sa.Column("touched", sa.Double, nullable=False),
        sa.Column("trouble", sa.Text),
        sa.Column("notify_at", sa.Double),
        sa.Column("notify_tries", sa.Integer, nullable=False, server_default="0"),
    )
    for column in ("partner", "expires", "notify_at"):
        op.create_index(f"ix_batches_{column}", "batches", [column])
    op.create_table(
        "photos",
        sa.Column("batch", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("folded", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("row", sa.LargeBinary),
        sa.Column("wishes", sa.LargeBinary),
        sa.Column("target", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
        sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
        sa.Column("event", sa.Integer, nullable=False, server_default="0"),
        sa.Column("finished", sa.Double),
        sa.Column("outcome", sa.LargeBinary),
        sa.UniqueConstraint("batch", "folded"),
    )
    op.create_index("photos_by_event", "photos", ["batch", "event"])
    op.create_index("photos_by_state", "photos", ["batch", "state", "number"])
    op.create_table(
        "requests",
        sa.Column("partner", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_index("ix_requests_batch", "requests", ["batch"])
