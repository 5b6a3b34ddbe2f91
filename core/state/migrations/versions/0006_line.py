"""Defect types as a versioned label book; what a line brings in, and whether it has drifted."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _extend_classes()
    _add_label_book()
    _add_inbox()
    with op.batch_alter_table("promotions") as table:
        table.add_column(sa.Column("comparison", sa.Text(), nullable=True))
        table.add_column(
            sa.Column("is_overruled", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )


def _extend_classes() -> None:
    with op.batch_alter_table("classes") as table:
        table.add_column(sa.Column("place", sa.Integer(), nullable=True))
        table.add_column(sa.Column("shortcut", sa.Text(), nullable=True))
        table.add_column(sa.Column("definition", sa.Text(), server_default="", nullable=False))
        table.add_column(
            sa.Column("is_retired", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )
        table.add_column(sa.Column("merged_into", sa.Integer(), nullable=True))
        table.create_foreign_key(op.f("fk_classes_merged_into"), "classes", ["merged_into"], ["id"])


def _add_label_book() -> None:
    op.create_table(
        "class_images",
        sa.Column("class_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["classes.id"], name=op.f("fk_class_images_class_id")
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_class_images_image_id")),
        sa.PrimaryKeyConstraint("class_id", "image_id", name=op.f("pk_class_images")),
    )
    op.create_table(
        "label_book",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entry", sa.JSON(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_label_book_batch_id")),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name=op.f("fk_label_book_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_book")),
    )
    op.create_index(op.f("ix_label_book_batch_id"), "label_book", ["batch_id"])
    op.create_index(op.f("ix_label_book_class_id"), "label_book", ["class_id"])


def _add_inbox() -> None:
    op.create_table(
        "application_batches",
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_application_batches_application_id"),
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_application_batches_batch_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_application_batches")),
    )
    op.create_index(
        op.f("ix_application_batches_application_id"), "application_batches", ["application_id"]
    )
    op.create_table(
        "arrivals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("novelty", sa.Float(), nullable=True),
        sa.Column("sureness", sa.Float(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_arrivals_image_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrivals")),
    )
    op.create_index(op.f("ix_arrivals_image_id"), "arrivals", ["image_id"])
    op.create_index("uq_arrivals_file", "arrivals", ["source", "path", "fingerprint"], unique=True)
    op.create_table(
        "drift_windows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("first_arrival", sa.Integer(), nullable=False),
        sa.Column("last_arrival", sa.Integer(), nullable=False),
        sa.Column("n_images", sa.Integer(), nullable=False),
        sa.Column("is_alarm", sa.Boolean(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["first_arrival"], ["arrivals.id"], name=op.f("fk_drift_windows_first_arrival")
        ),
        sa.ForeignKeyConstraint(
            ["last_arrival"], ["arrivals.id"], name=op.f("fk_drift_windows_last_arrival")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_windows")),
    )
