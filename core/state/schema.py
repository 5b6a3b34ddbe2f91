"""The tables of a workspace's database.

Facts that change over time are kept as append-only `changes`, grouped in `batches` that can be
undone whole. The columns `label`, `label_origin`, `split` and `excluded` of `images` hold what
those changes add up to, written in the same transaction, so that 100,000 images are one read.

Times are ISO 8601 texts in UTC, which sort alike in SQLite and PostgreSQL; `heartbeat` alone is
seconds since the epoch, for it is compared with a clock.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

HEAD = "0004"  # the newest migration; a test compares it with Alembic's own answer

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

imports = Table(
    "imports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("n_imported", Integer, nullable=False, server_default="0"),
    Column("n_duplicates", Integer, nullable=False, server_default="0"),
    Column("n_known", Integer, nullable=False, server_default="0"),
    Column("n_rejected", Integer, nullable=False, server_default="0"),
    Column("finished_at", Text),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("import_id", ForeignKey("imports.id"), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),  # path below the import's root, for people
    Column("storage", Text, nullable=False),  # copied | referenced
    Column("location", Text, nullable=False),  # below the workspace if copied, else absolute
    Column("modified_ns", BigInteger, nullable=False, server_default="0"),
    Column("format", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("condition", Text, nullable=False, server_default="ok"),  # ok | missing | changed
    Column("label", Text),
    Column("label_origin", Text),  # imported | human | automatic
    Column("split", Text, index=True),  # train | validation | calibration | test
    Column("excluded", Boolean, nullable=False, server_default=text("false")),
    Column("shot_group", Text),  # shots of one thing share it; no draw of splits divides them
    Column("perceptual_hash", Text),  # 16 hex digits; none for what an older version took in
    Column("import_id", ForeignKey("imports.id"), nullable=False, index=True),
    Index("ix_images_counts", "label", "split", "excluded", "condition"),  # covers every count
)

sources = Table(  # every path an image came from: a duplicate is a second source of one image
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False, index=True),
    Column("import_id", ForeignKey("imports.id"), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("label", Text),
    Column("fingerprint", Text),  # of the file, and of the place in it; the image's hash where none
)

boxes = Table(  # around defects, in pixels of the upright image
    "boxes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
)

crops = Table(  # images that were cut out of others, and where, in pixels of the upright whole
    "crops",
    metadata,
    Column("image_id", ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("source_sha256", Text, nullable=False, index=True),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
)

near_duplicates = Table(  # what the newest search found: images that look alike share a number
    "near_duplicates",
    metadata,
    Column("image_id", ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False, index=True),
)

quality = Table(
    "quality",
    metadata,
    Column("image_id", ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("brightness", Float, nullable=False),
    Column("contrast", Float, nullable=False),
    Column("sharpness", Float, nullable=False),
    Column("saturation", Float, nullable=False),
    Column("dark_share", Float, nullable=False),
    Column("bright_share", Float, nullable=False),
)

attributes = Table(  # further columns of a CSV: filters and colourings
    "attributes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # number | text
)

classes = Table(  # the row's position fixes the class's colour on every page
    "classes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),  # relabel | split | exclude | include | enqueue | undo
    Column("detail", JSON, nullable=False),
    Column("n_changes", Integer, nullable=False),
    Column("undoes", ForeignKey("batches.id"), unique=True),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batches.id"), nullable=False, index=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("field", Text, nullable=False),  # label | split | excluded | queued
    Column("old", Text),
    Column("new", Text),
    Column("old_origin", Text),
    Column("new_origin", Text),
    Column("model", Text),
    Column("score", Float),
    Column("seconds", Float),
    Column("reason", Text),
    Column("decided_at", Text),  # elsewhere, before it was imported; else the batch's time holds
    Index("ix_changes_image_field", "image_id", "field", "id"),
)

queue = Table(
    "queue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending | withdrawn
    Column("added_at", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Index(
        "uq_queue_pending",
        "image_id",
        unique=True,
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),  # hash of all that changes the result
    Column("kind", Text, nullable=False, index=True),  # a key of `core.state.runs.FOLDERS`
    Column("parent_id", ForeignKey("runs.id"), index=True),
    Column("config", JSON, nullable=False),
    Column("result", JSON, nullable=False),
    Column("n_images", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("job_id", Integer),
)

cluster_names = Table(  # what people call the clusters of a run; -1 is its noise
    "cluster_names",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("cluster", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),  # backbone and number: `mobilenet_v2-3`
    Column("number", Integer, nullable=False, unique=True),
    Column("backbone", Text, nullable=False),
    Column("mode", Text, nullable=False),  # full | last_block | head | imported
    Column("classes", JSON, nullable=False),  # in the order of the head's rows
    Column("config", JSON, nullable=False),
    Column("result", JSON, nullable=False),
    Column("start_from", ForeignKey("models.id")),
    Column("weights_sha256", Text, nullable=False),
    Column("notes", Text, nullable=False, server_default=""),
    Column("created_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("job_id", Integer, index=True),
    Column("deleted_at", Text),  # the row stays, for what descends from it and was decided by it
    Column("deleted_by", Text),
)

promotions = Table(  # append-only: which model is at work since when, and who said so
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("rolls_back", ForeignKey("promotions.id"), unique=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),  # interactive | batch
    Column("config", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("progress", Float, nullable=False, server_default="0"),
    Column("step", Text, nullable=False, server_default=""),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("host", Text),
    Column("pid", Integer),
    Column("pid_started", Float),
    Column("heartbeat", Float),
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("error", JSON),
    Column("result", JSON),
)
