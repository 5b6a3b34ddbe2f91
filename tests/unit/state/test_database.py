"""The database of a workspace: upgraded once, copied first, one snapshot a read."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.errors import OperatorError
from core.settings import PROJECT_ROOT, load_settings
from core.state import catalog, schema
from core.state import database as databases
from core.state.database import reading, writing
from core.state.workspace import Workspace, create_workspace, open_workspace
from tests.factories import fill, fill_many, new_image

_OPEN_AT = """
import sys, time
from pathlib import Path
from core.state.workspace import open_workspace
while time.time() < float(sys.argv[2]):
    pass
open_workspace(Path(sys.argv[1]))
"""


@pytest.fixture
def later_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A next version of the schema, as if this were a later Lacquer."""
    extra = tmp_path / "versions"
    extra.mkdir()
    (extra / "9999_next.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        "revision, down_revision = '9999', " + repr(schema.HEAD) + "\n"
        "def upgrade():\n"
        "    op.add_column('classes', sa.Column('shown_as', sa.Text()))\n"
        "    op.create_table('next', sa.Column('id', sa.Integer(), primary_key=True))\n"
    )
    make_config = databases._alembic_config

    def config_with_next() -> object:
        config = make_config()
        versions = Path(schema.__file__).parent / "migrations" / "versions"
        config.set_main_option("version_locations", os.pathsep.join([str(versions), str(extra)]))
        return config

    monkeypatch.setattr(databases, "_alembic_config", config_with_next)
    monkeypatch.setattr(databases, "HEAD", "9999")
    return "9999"


def _version(workspace: Workspace) -> str:
    with reading(workspace) as connection:
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()


def test_a_new_database_has_the_tables_that_the_code_expects(workspace: Workspace) -> None:
    with reading(workspace) as connection:
        # Alembic reads SQLite's empty default text as another one.
        options = {"compare_server_default": workspace.database_url is not None}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


def _structure(workspace: Workspace) -> dict[str, object]:
    """Tables with their columns, keys and indexes, whatever order they were made in."""
    with reading(workspace) as connection:
        inspector = sa.inspect(connection)
        return {
            table: {
                "columns": sorted(
                    (c["name"], str(c["type"]), c["nullable"], c["default"])
                    for c in inspector.get_columns(table)
                ),
                "primary key": inspector.get_pk_constraint(table)["constrained_columns"],
                "foreign keys": sorted(
                    (k["constrained_columns"], k["referred_table"], k["referred_columns"])
                    for k in inspector.get_foreign_keys(table)
                ),
                "unique": sorted(
                    u["column_names"] for u in inspector.get_unique_constraints(table)
                ),
                "indexes": sorted(
                    (str(i["name"]), i["column_names"], i["unique"], _condition(i))
                    for i in inspector.get_indexes(table)
                ),
            }
            for table in inspector.get_table_names()
        }


def _condition(index: Any) -> str:
    found = index.get("dialect_options", {})
    return str(found.get("sqlite_where", found.get("postgresql_where", "")))


def test_all_migrations_make_of_nothing_what_a_new_database_is(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_create_tables", databases._migrate)
    migrated = create_workspace(home / "migrated", name="Migrated")
    assert _structure(migrated) == _structure(workspace)


def test_the_newest_migration_is_the_one_that_the_code_expects() -> None:
    scripts = ScriptDirectory.from_config(databases._alembic_config())
    assert scripts.get_heads() == [schema.HEAD]


def test_an_older_database_is_copied_and_then_upgraded(
    workspace: Workspace, later_version: str
) -> None:
    [kept] = fill(workspace, new_image(1, label="scratch"))
    open_workspace(workspace.path)
    assert _version(workspace) == later_version
    assert catalog.get_image(workspace, kept).label == "scratch"
    if workspace.database_url is None:
        [copy] = (workspace.path / "backups").glob("*-before-9999.db")
        with closing(sqlite3.connect(copy)) as old:
            assert old.execute("SELECT version_num FROM alembic_version").fetchall() == [
                (schema.HEAD,)
            ]
            assert old.execute("SELECT label FROM images").fetchall() == [("scratch",)]


def test_an_upgrade_that_fails_half_way_changes_nothing(
    workspace: Workspace, later_version: str, tmp_path: Path
) -> None:
    with (tmp_path / "versions" / "9999_next.py").open("a") as script:
        script.write("    raise RuntimeError('no')\n")
    with pytest.raises(RuntimeError, match="no"):
        open_workspace(workspace.path)
    assert _version(workspace) == schema.HEAD
    with reading(workspace) as connection:
        assert not sa.inspect(connection).has_table("next")
        assert "shown_as" not in {c["name"] for c in sa.inspect(connection).get_columns("classes")}


def test_a_database_of_a_newer_version_is_refused_and_left_alone(workspace: Workspace) -> None:
    with writing(workspace) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OperatorError, match="newer Lacquer"):
        open_workspace(workspace.path)
    assert _version(workspace) == "9999"
    assert not (workspace.path / "backups").exists()


def test_processes_that_open_a_new_workspace_at_once_upgrade_it_once(
    home: Path, database: str
) -> None:
    folder = home / "shared"
    folder.mkdir(parents=True)
    marker = {"uid": os.urandom(8).hex(), "name": "Shared", "created_at": "2026-01-01"}
    (folder / "workspace.json").write_text(json.dumps(marker))
    start = str(time.time() + 1.5)
    opening = [
        subprocess.Popen([sys.executable, "-c", _OPEN_AT, str(folder), start], cwd=PROJECT_ROOT)
        for _ in range(4)
    ]
    assert [process.wait(60) for process in opening] == [0, 0, 0, 0]
    assert _version(open_workspace(folder)) == schema.HEAD
    assert not (folder / "backups").exists()


def test_only_the_newest_five_copies_are_kept(workspace: Workspace) -> None:
    copies = [databases.back_up(workspace, f"copy-{number}") for number in range(7)]
    if workspace.database_url:
        assert copies == [None] * 7
    else:
        assert sorted((workspace.path / "backups").iterdir()) == copies[2:]


def test_a_block_that_raises_changes_nothing(workspace: Workspace) -> None:
    def fail_half_way() -> None:
        with writing(workspace) as connection:
            catalog.add_classes(connection, ["dirt"])
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    assert catalog.list_classes(workspace) == []


def test_a_read_sees_one_snapshot_however_many_statements_it_has(workspace: Workspace) -> None:
    n_images = sa.select(sa.func.count()).select_from(schema.images)
    with reading(workspace) as connection:
        before = connection.execute(n_images).scalar_one()
        fill(workspace, new_image(1))
        assert connection.execute(n_images).scalar_one() == before
    assert catalog.count_images(workspace) == before + 1


def test_any_number_of_ids_fits_into_one_query(workspace: Workspace) -> None:
    ids = fill_many(workspace, 50)
    chosen = catalog.ImageFilter(ids=(*ids[:3], *range(10**6, 10**6 + 100_000)))
    assert catalog.image_ids(workspace, chosen).tolist() == ids[:3]
    assert catalog.count_images(workspace, catalog.ImageFilter(ids=())) == 0


def test_a_workspace_made_where_another_was_deleted_does_not_see_its_facts(
    workspace: Workspace,
) -> None:
    fill(workspace, new_image(1))
    for file in workspace.path.iterdir():  # from outside, as `rm -r` would
        file.unlink()
    again = create_workspace(workspace.path)
    assert catalog.count_images(again) == 0
    databases.drop(workspace)


def test_a_damaged_database_is_named_with_the_place_of_its_copies(home: Path) -> None:
    made = create_workspace(home / "one")
    databases.drop(made)
    for beside in made.path.glob("lacquer.db*"):
        beside.write_bytes(b"not a database, for certain" * 100)
    with pytest.raises(OperatorError, match="is damaged") as raised:
        open_workspace(made.path)
    assert "backups" in raised.value.next_step


def test_what_the_database_says_is_wrong_with_itself_is_listed(workspace: Workspace) -> None:
    assert databases.check_integrity(workspace) == []
    if workspace.database_url is None:
        with closing(sqlite3.connect(workspace.path / "lacquer.db")) as outside:
            outside.execute("INSERT INTO rejections VALUES (1, 77, 'a.png', 'why')")
            outside.commit()
        assert databases.check_integrity(workspace) == [
            "row 1 of rejections points at a missing imports"
        ]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://host/db", "names 'mysql'"),
        ("nonsense", "LACQUER_DATABASE_URL"),
        ("postgresql://127.0.0.1:1/nobody", "cannot be reached"),
    ],
)
def test_a_database_url_that_leads_nowhere_is_for_a_person_to_mend(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    monkeypatch.setenv("LACQUER_DATABASE_URL", url)
    with pytest.raises(OperatorError, match=says):
        create_workspace(home / "one", settings=load_settings())
