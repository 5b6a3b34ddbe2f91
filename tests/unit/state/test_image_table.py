"""The image table: every image as one row of arrays, and a version that tells when it is old."""

import numpy as np

from core.state import catalog, labels
from core.state.image_table import image_table_version, load_image_table, source_labels
from core.state.workspace import Workspace
from tests.factories import fill, new_image

QUALITY = dict.fromkeys(catalog.QUALITY_MEASURES, 0.25)


def test_rows_are_the_images_ascending_by_id(workspace: Workspace) -> None:
    ids = fill(
        workspace,
        new_image(1, label="dirt", split="train", width=10, height=20, quality=QUALITY),
        new_image(2),
    )
    labels.relabel(workspace, ids[1:], "drop", actor="ada")
    labels.set_excluded(workspace, ids[1:], True, actor="ada")
    catalog.set_conditions(workspace, {ids[1]: "missing"})
    table = load_image_table(workspace)
    assert table.ids.tolist() == sorted(ids)
    assert table.labels.equal("dirt").tolist() == [True, False]
    assert table.labels.equal("drop").tolist() == [False, True]
    assert table.labels.equal(None).tolist() == [False, False]
    assert table.splits.equal(None).tolist() == [False, True]
    assert table.conditions.equal("missing").tolist() == [False, True]
    assert table.is_excluded.tolist() == table.is_decided.tolist() == [False, True]
    assert (table.widths[0], table.heights[0]) == (10, 20)
    assert table.quality["contrast"][0] == 0.25
    assert np.isnan(table.quality["contrast"][1])


def test_an_empty_workspace_has_no_rows(workspace: Workspace) -> None:
    table = load_image_table(workspace)
    assert len(table.ids) == len(table.widths) == len(table.labels.codes) == 0
    assert set(table.quality) == set(catalog.QUALITY_MEASURES)
    assert table.labels.equal("dirt").tolist() == []


def test_the_version_follows_labels_and_lost_files(workspace: Workspace) -> None:
    first, second = fill(workspace, new_image(1), new_image(2))
    seen = [image_table_version(workspace)]

    def changed() -> bool:
        seen.append(image_table_version(workspace))
        return len(set(seen)) == len(seen)

    assert image_table_version(workspace) == seen[0]
    labels.relabel(workspace, [first], "dirt", actor="ada")
    assert changed()
    catalog.set_conditions(workspace, {first: "missing"})
    assert changed()
    catalog.set_conditions(workspace, {first: "ok", second: "missing"})  # as many as before
    assert changed()
    catalog.set_conditions(workspace, {second: "changed"})
    assert changed()


def test_labels_that_sources_disagree_on_are_found(workspace: Workspace) -> None:
    fill(workspace, new_image(1, source="/a", label="dirt"), new_image(2, source="/x", label="a"))
    again = new_image(1, source="/b", label="drop")
    fill(workspace, again, new_image(2, source="/y", label="a"))
    fill(workspace, new_image(2, source="/z"))  # says nothing, so it contradicts nothing
    (files,) = source_labels(workspace).values()
    assert files == (("/a", "dirt"), ("/b", "drop"))
