"""The triage queue as people work on it: opinions that are leased, decisions, applied plans."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "applications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("max_error", sa.Float(), nullable=False),
        sa.Column("delta", sa.Float(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("n_labelled", sa.Integer(), nullable=False),
        sa.Column("n_queued", sa.Integer(), nullable=False),
        sa.Column("n_audited", sa.Integer(), nullable=False),
        sa.Column("reverted_at", sa.Text(), nullable=True),
        sa.Column("reverted_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_applications_batch_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_table(
        "pauses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    _extend_queue()
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("opinion", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("old_label", sa.Text(), nullable=True),
        sa.Column("old_origin", sa.Text(), nullable=True),
        sa.Column("suggested", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("scores", sa.JSON(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("is_contested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), server_default="", nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("undoes", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["queue.id"], name=op.f("fk_decisions_item_id")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_decisions_image_id")),
        sa.ForeignKeyConstraint(["undoes"], ["decisions.id"], name=op.f("fk_decisions_undoes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("undoes", name=op.f("uq_decisions_undoes")),
    )
    op.create_index(op.f("ix_decisions_item_id"), "decisions", ["item_id"])
    op.create_index(op.f("ix_decisions_image_id"), "decisions", ["image_id"])
    op.create_index("ix_decisions_actor_id", "decisions", ["actor", "id"])
    op.create_index("uq_decisions_log_seq", "decisions", ["log", "seq"], unique=True)
    op.create_table(
        "opinions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.Float(), nullable=True),
        sa.Column("decision_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["queue.id"], name=op.f("fk_opinions_item_id")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_opinions_decision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opinions")),
    )
    op.create_index("uq_opinions_item_id_number", "opinions", ["item_id", "number"], unique=True)
    op.create_index("ix_opinions_holder", "opinions", ["holder"], **_where("decision_id IS NULL"))
    op.execute(
        "INSERT INTO opinions (item_id, number) SELECT id, 1 FROM queue WHERE state = 'pending'"
    )


def _extend_queue() -> None:
    op.drop_index("uq_queue_pending", table_name="queue")
    with op.batch_alter_table("queue") as table:
        table.add_column(sa.Column("kind", sa.Text(), server_default="picked", nullable=False))
        table.add_column(
            sa.Column("is_blind", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )
        table.add_column(sa.Column("n_opinions", sa.Integer(), server_default="1", nullable=False))
        table.add_column(sa.Column("suggested", sa.Text(), nullable=True))
        table.add_column(sa.Column("truth", sa.Text(), nullable=True))
        table.add_column(sa.Column("facts", sa.JSON(), nullable=True))
        table.add_column(sa.Column("model", sa.Text(), nullable=True))
        table.add_column(sa.Column("application_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("alike", sa.Integer(), nullable=True))
        for order in ("uncertainty", "novelty", "diversity"):
            table.add_column(
                sa.Column(f"by_{order}", sa.Float(), server_default="1", nullable=False)
            )
        table.add_column(sa.Column("label_batch_id", sa.Integer(), nullable=True))
        table.create_foreign_key(
            op.f("fk_queue_application_id"), "applications", ["application_id"], ["id"]
        )
        table.create_foreign_key(
            op.f("fk_queue_label_batch_id"), "batches", ["label_batch_id"], ["id"]
        )
    op.create_index(op.f("ix_queue_image_id"), "queue", ["image_id"])
    op.create_index(op.f("ix_queue_application_id"), "queue", ["application_id"])
    op.create_index("ix_queue_oldest", "queue", ["added_at", "id"], **_where("state = 'pending'"))
    op.create_index(
        "ix_queue_undescribed",
        "queue",
        ["image_id"],
        **_where("state = 'pending' AND facts IS NULL"),
    )
    op.create_index("ix_queue_alike", "queue", ["alike"], **_where("state = 'pending'"))
    op.create_index("ix_queue_decided", "queue", ["added_at"], **_where("state = 'decided'"))
    op.create_index(
        "ix_queue_unsettled", "queue", ["id"], **_where("state IN ('conflict', 'flagged')")
    )
    for order in ("uncertainty", "novelty", "diversity"):
        op.create_index(
            f"ix_queue_{order}", "queue", [f"by_{order}", "id"], **_where("state = 'pending'")
        )
    op.create_index(
        "uq_queue_open",
        "queue",
        ["image_id"],
        unique=True,
        **_where("state IN ('pending', 'conflict', 'flagged')"),
    )


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
