"""Boxes, crops, groups of shots, perceptual hashes, and when an imported decision was made."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("images", sa.Column("shot_group", sa.Text(), nullable=True))
    op.add_column("images", sa.Column("perceptual_hash", sa.Text(), nullable=True))
    op.add_column("sources", sa.Column("fingerprint", sa.Text(), nullable=True))
    op.add_column("changes", sa.Column("decided_at", sa.Text(), nullable=True))
    op.create_table(
        "boxes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("x", sa.Float(), nullable=False),
        sa.Column("y", sa.Float(), nullable=False),
        sa.Column("width", sa.Float(), nullable=False),
        sa.Column("height", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_boxes_image_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boxes")),
    )
    op.create_index(op.f("ix_boxes_image_id"), "boxes", ["image_id"], unique=False)
    op.create_table(
        "crops",
        sa.Column("image_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_crops_image_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_crops")),
    )
    op.create_index(op.f("ix_crops_source_sha256"), "crops", ["source_sha256"], unique=False)
    op.create_table(
        "near_duplicates",
        sa.Column("image_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_near_duplicates_image_id")
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_near_duplicates")),
    )
    op.create_index(op.f("ix_near_duplicates_number"), "near_duplicates", ["number"], unique=False)
