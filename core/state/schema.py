"""The tables of a workspace's database.

Facts that change over time are kept as append-only `changes`, grouped in `batches` that can be
undone whole. The columns `label`, `label_origin`, `split` and `excluded` of `images` hold what
those changes add up to, written in the same transaction, so that 100,000 images are one read.

Times are ISO 8601 texts in UTC, which sort alike in SQLite and PostgreSQL; `heartbeat` alone is
seconds since the epoch, for it is compared with a clock.
"""

from typing import Any

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

HEAD = "0006"  # the newest migration; a test compares it with Alembic's own answer

OPEN_STATES = ("pending", "conflict", "flagged")  # of the queue: a person is still needed


def _where(condition: str) -> dict[str, Any]:
    """A partial index, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


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

classes = Table(  # what the label book adds up to; it is written in the same transaction
    "classes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
    Column("place", Integer),  # fixes its colour on every page; the id where none was exchanged
    Column("shortcut", Text),  # the key that gives it in triage; by its place where none
    Column("definition", Text, nullable=False, server_default=""),
    Column("is_retired", Boolean, nullable=False, server_default=text("false")),  # offered no more
    Column("merged_into", ForeignKey("classes.id")),
)

class_images = Table(  # of the label book: images that show what a class is, and what it is not
    "class_images",
    metadata,
    Column("class_id", ForeignKey("classes.id"), primary_key=True, autoincrement=False),
    Column("image_id", ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),  # example | counter_example | borderline
)

label_book = Table(  # append-only: every version of every class's entry
    "label_book",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", ForeignKey("classes.id"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),  # add | define | rename | merge | split | retire | undo
    Column("entry", JSON, nullable=False),  # all that the class's row and images say since then
    Column("batch_id", ForeignKey("batches.id"), index=True),  # what it changed besides
)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column(
        "action", Text, nullable=False
    ),  # relabel | auto_label | decide | split | exclude | include | enqueue | retype | undo
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

queue = Table(  # images that wait for a person, or waited
    "queue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),  # decided | withdrawn | one of `OPEN_STATES`
    Column("added_at", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="picked"),  # a key of triage_queue.KINDS
    Column("is_blind", Boolean, nullable=False, server_default=text("false")),
    Column("n_opinions", Integer, nullable=False, server_default="1"),
    Column("suggested", Text),
    Column("truth", Text),  # of audited images the automatic label, of gold ones the known one
    Column("facts", JSON(none_as_null=True)),  # what the card shows beside: scores, nearest images
    Column("model", Text),
    Column("application_id", ForeignKey("applications.id"), index=True),
    Column("alike", Integer),  # images that look alike and are suggested one label share a number
    # Places in each order of work, lower first; what nobody has looked at comes last.
    Column("by_uncertainty", Float, nullable=False, server_default="1"),
    Column("by_novelty", Float, nullable=False, server_default="1"),
    Column("by_diversity", Float, nullable=False, server_default="1"),
    Column("label_batch_id", ForeignKey("batches.id")),  # the label that its decisions have given
    # No index begins with the state: SQLite would take it, and sort 100,000 rows for the first 24.
    Index("ix_queue_oldest", "added_at", "id", **_where("state = 'pending'")),
    Index("ix_queue_undescribed", "image_id", **_where("state = 'pending' AND facts IS NULL")),
    Index("ix_queue_alike", "alike", **_where("state = 'pending'")),
    Index("ix_queue_decided", "added_at", **_where("state = 'decided'")),
    Index("ix_queue_unsettled", "id", **_where("state IN ('conflict', 'flagged')")),
    Index("uq_queue_open", "image_id", unique=True, **_where(f"state IN {OPEN_STATES}")),
    *(
        Index(f"ix_queue_{order}", f"by_{order}", "id", **_where("state = 'pending'"))
        for order in ("uncertainty", "novelty", "diversity")
    ),
)

opinions = Table(  # one row for every opinion that is wanted of an item; a lease is on an opinion
    "opinions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", ForeignKey("queue.id"), nullable=False),
    Column("number", Integer, nullable=False),  # 1, or 2 for a second opinion
    Column("holder", Text),
    Column("leased_until", Float),  # seconds since the epoch
    Column("decision_id", ForeignKey("decisions.id")),
    Index("uq_opinions_item_id_number", "item_id", "number", unique=True),
    Index("ix_opinions_holder", "holder", **_where("decision_id IS NULL")),
)

decisions = Table(  # append-only: what people said of items, and what they took back
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", ForeignKey("queue.id"), nullable=False, index=True),
    Column("image_id", ForeignKey("images.id"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),  # label | skip | flag | settle | undo
    Column("opinion", Integer),  # its number; none where all that were wanted had been given
    Column("label", Text),
    Column("old_label", Text),
    Column("old_origin", Text),
    Column("suggested", Text),
    Column("model", Text),
    Column("scores", JSON(none_as_null=True)),
    Column("seconds", Float),
    Column("comment", Text, nullable=False, server_default=""),
    Column("is_contested", Boolean, nullable=False, server_default=text("false")),
    Column("standing", Text, nullable=False),  # saved | agreed | conflict | yours
    Column("told", Text, nullable=False, server_default=""),
    Column("log", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("undoes", ForeignKey("decisions.id"), unique=True),
    Index("uq_decisions_log_seq", "log", "seq", unique=True),
    Index("ix_decisions_actor_id", "actor", "id"),
)

applications = Table(  # plans that were carried out: what a model labelled, and by which rule
    "applications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("plan", Text, nullable=False),  # the run that says who labels what
    Column("model", Text, nullable=False),
    Column("rule", Text, nullable=False),  # risk | cluster
    Column("max_error", Float, nullable=False),
    Column("delta", Float, nullable=False),
    Column("options", JSON, nullable=False),
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("n_labelled", Integer, nullable=False),
    Column("n_queued", Integer, nullable=False),
    Column("n_audited", Integer, nullable=False),
    Column("reverted_at", Text),
    Column("reverted_by", Text),
)

application_batches = Table(  # what came in later and was labelled by an applied plan
    "application_batches",
    metadata,
    Column("application_id", ForeignKey("applications.id"), nullable=False, index=True),
    Column("batch_id", ForeignKey("batches.id"), primary_key=True, autoincrement=False),
)

arrivals = Table(  # append-only: every file that came into a watched folder or was dropped
    "arrivals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("source", Text, nullable=False),  # the watched folder; `dropped` for the browser
    Column("path", Text, nullable=False),  # below the watched folder
    Column("fingerprint", Text, nullable=False),  # tells a file from another under its name
    Column("sha256", Text),  # none where it could not be read to its end
    Column("status", Text, nullable=False),  # taken | known | refused
    Column("reason", Text, nullable=False, server_default=""),
    Column("image_id", ForeignKey("images.id"), index=True),
    Column("label", Text),  # the model's; the label of the image only where the route is auto
    Column("confidence", Float),
    Column("novelty", Float),
    Column("sureness", Float),
    Column("route", Text),  # auto | operator
    Column("model", Text),
    Column("plan", Text),
    Column("seconds", Float),  # from the file's last change to its answer
    Index("uq_arrivals_file", "source", "path", "fingerprint", unique=True),
)

drift_windows = Table(  # append-only: images that came in one after another, against the usual
    "drift_windows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("plan", Text),
    Column("first_arrival", ForeignKey("arrivals.id"), nullable=False),
    Column("last_arrival", ForeignKey("arrivals.id"), nullable=False),
    Column("n_images", Integer, nullable=False),
    Column("is_alarm", Boolean, nullable=False),
    Column("result", JSON, nullable=False),  # tests, shares and rates; see `core.triage.drift`
)

pauses = Table(  # append-only: when automatic labelling stopped and went on, and why
    "pauses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
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
    Column("comparison", Text),  # the run that compares it with the model from before
    Column("is_overruled", Boolean, nullable=False, server_default=text("false")),
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
