"""Connections to a workspace's database, and its upgrade when it is opened.

Every access is one of two contexts: `reading` sees one consistent snapshot, `writing` commits as a
whole or not at all. SQLite runs in WAL mode with full synchronisation, so that what was committed
survives a crash of the machine, not only of the process; writers queue for the lock at their
first statement (BEGIN IMMEDIATE), for a read that turns into a write later would fail instead.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from core.errors import OperatorError
from core.state.clock import now
from core.state.schema import HEAD, metadata
from core.state.workspace import Workspace

DATABASE_FILE = "lacquer.db"
_BUSY_TIMEOUT_S = 60
_VERSIONS = sa.Table(  # Alembic's own
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_KEPT_BACKUPS = 5
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}

log = logging.getLogger(__name__)
_engines: dict[tuple[Path, str, str | None], sa.Engine] = {}
_engines_lock = threading.Lock()


@contextmanager
def reading(workspace: Workspace) -> Iterator[sa.Connection]:
    """A connection for reads: one snapshot, never blocked by a writer."""
    with _engine(workspace).connect() as connection:
        if workspace.database_url:  # by default each statement would see a snapshot of its own
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def writing(workspace: Workspace) -> Iterator[sa.Connection]:
    """A connection in a transaction: committed when the block ends, undone when it raises."""
    with (
        _engine(workspace).connect().execution_options(lacquer_writes=True) as connection,
        connection.begin(),
    ):
        yield connection


def is_one_of(
    connection: sa.Connection, column: sa.ColumnElement[int], ids: Iterable[int]
) -> sa.ColumnElement[bool]:
    """`column IN ids` for any number of ids: one bound parameter, whatever their count."""
    values = [int(value) for value in ids]
    if connection.dialect.name == "postgresql":
        return column == sa.func.any(sa.bindparam(None, values, type_=sa.ARRAY(sa.Integer)))
    as_json = sa.func.json_each(str(values)).table_valued("value")
    return column.in_(sa.select(as_json.c.value))


def insert_new(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, passing over those that somebody has inserted already, or does just now."""
    # Each dialect costs a start 60 ms, and one of the two is never needed.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        connection.execute(postgresql_insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).on_conflict_do_nothing(), rows)


def upgrade(workspace: Workspace) -> None:
    """Bring the database to the current schema version, under a lock and after a copy.

    Raises:
        OperatorError: the database was written by a newer version, or cannot be reached.
    """
    if _current_version(workspace) == HEAD:
        return
    with _upgrade_lock(workspace):
        version = _current_version(workspace)
        if version == HEAD:
            return  # somebody else did it while we waited
        if version is not None:
            _refuse_newer(workspace, version)
            back_up(workspace, f"before-{HEAD}")
        _bring_to_head(workspace)
    log.info("%s: database at version %s", workspace.name, HEAD)


def back_up(workspace: Workspace, reason: str) -> Path | None:
    """Copy the SQLite database, consistent even while it is written; the newest five are kept.

    Returns:
        The copy, or None with PostgreSQL, whose own tools make backups.
    """
    if workspace.database_url:
        return None
    folder = workspace.folder("backups")
    stamp = now().replace(":", "").replace(".", "")
    copy = folder / f"{stamp}-{reason}.db"
    with (
        closing(sqlite3.connect(workspace.path / DATABASE_FILE)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    for old in sorted(folder.glob("*.db"))[:-_KEPT_BACKUPS]:
        old.unlink()
    return copy


def drop(workspace: Workspace) -> None:
    """Close the connections and, on PostgreSQL, drop the workspace's schema."""
    engine = _engine(workspace)
    if workspace.database_url:
        with writing(workspace) as connection:
            connection.execute(sa.schema.DropSchema(workspace.schema_name, cascade=True))
    engine.dispose()
    with _engines_lock:
        _engines.pop(_key(workspace), None)


def check_integrity(workspace: Workspace) -> list[str]:
    """What the database says is wrong with itself; empty where nothing is."""
    if workspace.database_url:
        return []
    with reading(workspace) as connection:
        answers = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    problems = [] if answers == ["ok"] else answers
    return problems + [f"row {row[1]} of {row[0]} points at a missing {row[2]}" for row in orphans]


def _engine(workspace: Workspace) -> sa.Engine:
    key = _key(workspace)
    with _engines_lock:
        if key not in _engines:
            make = _postgresql_engine if workspace.database_url else _sqlite_engine
            _engines[key] = make(workspace)
        return _engines[key]


def _key(workspace: Workspace) -> tuple[Path, str, str | None]:
    # With the uid: a workspace made where another was deleted is not that one.
    return (workspace.path, workspace.uid, workspace.database_url)


def _sqlite_engine(workspace: Workspace) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{workspace.path / DATABASE_FILE}",
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the begin hook below starts transactions
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("lacquer_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql_engine(workspace: Workspace) -> sa.Engine:
    try:
        url = sa.make_url(workspace.database_url or "")
    except sa.exc.ArgumentError:
        url = sa.URL.create("no database")
    if url.get_backend_name() != "postgresql":
        raise OperatorError(
            f"LACQUER_DATABASE_URL names {url.get_backend_name()!r}.",
            "Facts are kept in SQLite (leave it unset) or in PostgreSQL.",
            "Give a URL such as postgresql://user@host/database.",
        )
    return sa.create_engine(
        url.set(drivername=_DRIVERS["postgresql"]),
        connect_args={"options": f"-csearch_path={workspace.schema_name}"},
        pool_pre_ping=True,
    )


def _current_version(workspace: Workspace) -> str | None:
    if not workspace.database_url and not (workspace.path / DATABASE_FILE).exists():
        return None
    try:
        with reading(workspace) as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except sa.exc.OperationalError as error:
        where = "LACQUER_DATABASE_URL" if workspace.database_url else workspace.path / DATABASE_FILE
        raise OperatorError(
            "The database cannot be reached.",
            str(error.orig).strip().splitlines()[0],
            f"Check {where}.",
        ) from error
    except sa.exc.DatabaseError as error:
        raise OperatorError(
            f"{workspace.path / DATABASE_FILE} is damaged.",
            str(error.orig).strip().splitlines()[0],
            f"Restore the newest copy in {workspace.path / 'backups'}.",
        ) from error


def _upgrade_lock(workspace: Workspace) -> Any:
    if workspace.database_url:
        return nullcontext()  # an advisory lock is taken with the tables
    return FileLock(workspace.path / ".upgrade.lock", timeout=_BUSY_TIMEOUT_S)


def _alembic_config() -> Any:
    from alembic.config import Config  # a quarter of a second that most starts need not spend

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _refuse_newer(workspace: Workspace, version: str) -> None:
    from alembic.script import ScriptDirectory

    known = {
        script.revision
        for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()
    }
    if version not in known:
        raise OperatorError(
            f"{workspace.name} was last opened by a newer Lacquer (schema {version}).",
            f"This one knows versions up to {HEAD}.",
            "Update Lacquer, or restore a copy from the workspace's backups.",
        )


def _bring_to_head(workspace: Workspace) -> None:
    with writing(workspace) as connection:
        if workspace.database_url:
            connection.execute(
                sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"),
                {"name": workspace.schema_name},
            )
            connection.execute(sa.schema.CreateSchema(workspace.schema_name, if_not_exists=True))
        is_new = not sa.inspect(connection).has_table(_VERSIONS.name)
        (_create_tables if is_new else _migrate)(connection)


def _create_tables(connection: sa.Connection) -> None:
    """The tables as they are now, which a test compares with what all migrations make of none."""
    statements = _definition(connection.dialect.name)
    if connection.dialect.name == "postgresql":
        statements = (";\n".join(statements),)  # one way there and back for all of them
    for statement in statements:
        connection.exec_driver_sql(statement)
    connection.execute(_VERSIONS.insert().values(version_num=HEAD))


@cache
def _definition(dialect: str) -> tuple[str, ...]:
    """Statements that make all tables: to put them into words takes longer than to run them."""
    statements: list[str] = []

    def keep(statement: Any, *_: Any, **__: Any) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = sa.create_mock_engine(f"{_DRIVERS[dialect]}://", keep)
    metadata.create_all(engine, checkfirst=False)
    _VERSIONS.create(engine, checkfirst=False)
    return tuple(statements)


def _migrate(connection: sa.Connection) -> None:
    from alembic import command

    config = _alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
