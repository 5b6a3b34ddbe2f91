"""The doctor sets columns right that say something else than the changes."""

import sqlalchemy as sa

from core.state import catalog, labels
from core.state.database import writing
from core.state.schema import images
from core.state.upkeep import Disagreement, follow_changes, source_paths
from core.state.workspace import Workspace
from tests.factories import fill, new_image


def test_columns_that_say_what_the_changes_say_are_left_alone(workspace: Workspace) -> None:
    ids = fill(workspace, new_image(1, label="dirt", split="train"), new_image(2))
    batch = labels.relabel(workspace, ids, "drop", actor="eve")
    labels.set_split(workspace, ids, "test", actor="eve")
    labels.set_excluded(workspace, ids, True, actor="eve")
    labels.set_queued(workspace, ids, True, actor="eve")
    labels.undo(workspace, batch.id, actor="eve")
    assert follow_changes(workspace) == []


def test_columns_that_say_something_else_follow_the_latest_change(workspace: Workspace) -> None:
    changed, imported = fill(
        workspace, new_image(1, label="dirt"), new_image(2, label="dirt", split="train")
    )
    labels.relabel(workspace, [changed], "drop", actor="eve")
    labels.set_excluded(workspace, [changed], True, actor="eve")
    before = catalog.get_image(workspace, changed)
    with writing(workspace) as connection:
        damage = sa.update(images).where(images.c.id == changed)
        connection.execute(damage.values(label="scratch", label_origin=None, excluded=False))
    assert set(follow_changes(workspace)) == {
        Disagreement(changed, "label", "scratch", "drop"),
        Disagreement(changed, "excluded", "false", "true"),
    }
    assert catalog.get_image(workspace, changed) == before
    assert catalog.get_image(workspace, imported).label == "dirt"
    assert follow_changes(workspace) == []


def test_the_paths_of_an_image_are_listed_newest_first(workspace: Workspace) -> None:
    [image_id] = fill(workspace, new_image(1, source="/a.png"))
    fill(workspace, new_image(1, source="/b.png"))
    assert source_paths(workspace, image_id) == ["/b.png", "/a.png"]
