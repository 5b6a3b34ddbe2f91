"""What people call the clusters of a run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "cluster_names",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_cluster_names_run_id")),
        sa.PrimaryKeyConstraint("run_id", "cluster", name=op.f("pk_cluster_names")),
    )
