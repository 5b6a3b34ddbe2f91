"""Workspaces: made only where nothing is, renamed, measured, deleted whole."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import OperatorError
from core.settings import load_settings
from core.state import catalog, job_rows, labels
from core.state import workspace as workspaces
from core.state.database import reading
from core.state.job_rows import Owner
from core.state.workspace import (
    Workspace,
    create_workspace,
    delete_workspace,
    disk_use,
    find_workspace,
    list_workspaces,
    open_or_create,
    open_workspace,
    rename_workspace,
)
from tests.factories import fill, new_image


def test_a_new_workspace_is_empty_found_and_opened(home: Path, database: str) -> None:
    made = create_workspace(home / "line-1", name="Line 1")
    assert catalog.summarise(made).n_images == 0
    assert open_workspace(made.path) == made
    assert open_or_create(made.path) == made
    assert find_workspace(made.uid) == made
    assert find_workspace("0" * 16) is None
    assert list_workspaces() == [made]


def test_two_workspaces_share_no_facts(home: Path, database: str) -> None:
    one, two = create_workspace(home / "one"), create_workspace(home / "two")
    fill(one, new_image(1, label="dirt"))
    assert catalog.count_images(two) == 0
    assert catalog.list_classes(two) == []


def test_a_workspace_stays_where_its_facts_are_whatever_the_settings_say(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_workspace(home / "one")
    fill(made, new_image(1))
    elsewhere = "postgresql://nobody@127.0.0.1:1/none"
    monkeypatch.setenv("LACQUER_DATABASE_URL", elsewhere)
    opened = open_workspace(made.path)
    assert opened.database_url is None
    assert catalog.count_images(opened) == 1
    marker = made.path / workspaces.MARKER
    marker.write_text(marker.read_text().replace('"sqlite"', '"postgresql"'))
    assert list_workspaces()[0].database_url == elsewhere
    monkeypatch.delenv("LACQUER_DATABASE_URL")
    with pytest.raises(OperatorError, match="are in PostgreSQL"):
        open_workspace(made.path)


def test_a_folder_with_files_or_a_workspace_in_it_is_refused(home: Path) -> None:
    made = create_workspace(home / "one")
    with pytest.raises(OperatorError, match=r"workspace in .* already"):
        create_workspace(made.path)
    other = home / "photos"
    other.mkdir()
    (other / "a.png").write_bytes(b"")
    for path in (other, other / "a.png"):
        with pytest.raises(OperatorError, match="not an empty folder"):
            create_workspace(path)
    assert [entry.name for entry in other.iterdir()] == ["a.png"]


def test_a_place_that_cannot_be_written_is_for_a_person_to_mend(home: Path) -> None:
    home.mkdir()
    (home / "file").write_bytes(b"")
    with pytest.raises(OperatorError, match="cannot be written"):
        create_workspace(home / "file" / "below")


def test_an_empty_folder_may_become_a_workspace(home: Path) -> None:
    (home / "one").mkdir(parents=True)
    assert create_workspace(home / "one").name == "one"


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        (None, "no workspace in"),
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"uid": "0123456789abcdef"}', "cannot be read"),
        ('{"uid": "../../etc", "name": "x", "created_at": "x"}', "no valid uid"),
        ('{"uid": null, "name": "x", "created_at": "x"}', "no valid uid"),
    ],
)
def test_a_missing_or_damaged_marker_is_told_and_not_listed(
    home: Path, marker: str | None, says: str
) -> None:
    good = create_workspace(home / "good")
    folder = home / "bad"
    folder.mkdir()
    if marker is not None:
        (folder / "workspace.json").write_text(marker)
    with pytest.raises(OperatorError, match=says):
        open_workspace(folder)
    assert list_workspaces() == [good]


def test_workspaces_are_listed_by_name_with_the_one_of_the_settings(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_workspace(home / "1", name="beta")
    create_workspace(home / "2", name="Alpha")
    (home / "a file").write_bytes(b"")
    elsewhere = create_workspace(tmp_path / "elsewhere", name="Gamma")
    assert [w.name for w in list_workspaces()] == ["Alpha", "beta"]
    monkeypatch.setenv("LACQUER_WORKSPACE", str(elsewhere.path))
    assert [w.name for w in list_workspaces()] == ["Alpha", "beta", "Gamma"]
    monkeypatch.setenv("LACQUER_HOME", str(tmp_path / "nowhere"))
    assert [w.name for w in list_workspaces()] == ["Gamma"]


def test_a_renamed_workspace_keeps_folder_uid_and_facts(workspace: Workspace) -> None:
    fill(workspace, new_image(1))
    renamed = rename_workspace(workspace, "  Halle 3 – Lack\n")
    assert (renamed.name, renamed.uid, renamed.path) == (
        "Halle 3 – Lack",
        workspace.uid,
        workspace.path,
    )
    assert open_workspace(workspace.path) == renamed
    assert catalog.count_images(renamed) == 1


def test_a_renamed_workspace_stays_on_the_database_that_it_was_opened_with(home: Path) -> None:
    settings = load_settings({"LACQUER_HOME": str(home)})
    made = create_workspace(home / "one", settings=settings)
    assert rename_workspace(made, "Other").database_url is made.database_url


@pytest.mark.parametrize("name", ["", " \t", "\n", "x" * 81])
def test_a_blank_or_overlong_name_is_refused(home: Path, name: str) -> None:
    made = create_workspace(home / "one")
    with pytest.raises(OperatorError, match="name"):
        rename_workspace(made, name)
    assert open_workspace(made.path).name == "one"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Line 1 / Shift B", "line-1-shift-b"),
        ("Türen_2", "turen_2"),
        ("../..", None),
        ("缺陷", None),
    ],
)
def test_a_folder_name_is_plain_ascii_whatever_the_name(name: str, folder: str | None) -> None:
    made = workspaces.folder_name(name)
    assert made == folder if folder else made.startswith("w-")


def test_a_deleted_workspace_leaves_nothing(workspace: Workspace) -> None:
    fill(workspace, new_image(1))
    delete_workspace(workspace)
    assert list(workspace.path.parent.iterdir()) == []
    assert list_workspaces() == []
    with pytest.raises(OperatorError, match="no workspace"):
        open_workspace(workspace.path)


def test_deleting_a_workspace_on_postgresql_drops_its_schema_only(
    home: Path, database: str
) -> None:
    doomed, kept = create_workspace(home / "one"), create_workspace(home / "two")
    fill(kept, new_image(1))
    delete_workspace(doomed)
    assert catalog.count_images(kept) == 1
    if kept.database_url:
        with reading(kept) as connection:
            names = sa.inspect(connection).get_schema_names()
        assert kept.schema_name in names
        assert doomed.schema_name not in names


def test_a_workspace_is_not_deleted_while_a_job_runs(workspace: Workspace) -> None:
    job_rows.add_job(workspace, kind="practice", lane="batch", config={}, actor="eve")
    job = job_rows.claim_next(workspace, "batch", Owner("here", 1, 0.0))
    assert job
    with pytest.raises(OperatorError, match=r"1 job.* running in Paint shop"):
        delete_workspace(workspace)
    job_rows.finish(workspace, job, "succeeded")
    delete_workspace(workspace)
    assert not workspace.path.exists()


def test_files_imported_by_reference_outlive_their_workspace(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"kept")
    made = create_workspace(home / "one")
    fill(made, new_image(1, storage="referenced", location=str(outside)))
    delete_workspace(made)
    assert outside.read_bytes() == b"kept"


def test_disk_use_is_told_for_each_part(home: Path) -> None:
    made = create_workspace(home / "one")
    (made.folder("images", "ab") / "1.png").write_bytes(b"x" * 1000)
    (made.folder("images", "cd") / "2.png").write_bytes(b"x" * 500)
    (made.folder("exports") / "link").symlink_to(made.path / "images" / "ab" / "1.png")
    used = disk_use(made)
    assert used["images"] == 1500
    assert used["exports"] < 500
    assert used["workspace.json"] == len((made.path / "workspace.json").read_bytes())
    assert not any(name.startswith(".") for name in used)


def test_a_workspace_can_be_moved(home: Path) -> None:
    made = create_workspace(home / "one")
    [image] = fill(made, new_image(1))
    moved = made.path.rename(home / "two")
    again = open_workspace(moved)
    assert again.uid == made.uid
    path = catalog.image_path(again, catalog.get_image(again, image))
    assert path == moved / "images" / "00001.png"
    labels.relabel(again, [image], "dirt", actor="eve")


def test_the_marker_says_what_the_workspace_is(home: Path) -> None:
    made = create_workspace(home / "one", name="Eins")
    marker = json.loads((made.path / "workspace.json").read_text())
    assert (marker["uid"], marker["name"], marker["created_at"]) == (
        made.uid,
        "Eins",
        made.created_at,
    )
