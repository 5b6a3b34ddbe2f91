"""What an import brings, all at once or not at all."""

import threading

import pytest

from core.annotations import Box, Crop, Decision
from core.state import annotations, catalog, intake, labels
from core.state.catalog import ImageFilter
from core.state.intake import NewImage
from core.state.workspace import Workspace
from tests.factories import begin_import, fill, new_image


def test_the_same_content_is_one_image_with_several_sources(workspace: Workspace) -> None:
    import_id = begin_import(workspace)
    first = new_image(1, source="/a.png", label="dirt")
    same = new_image(1, source="/b.png", label="drop")
    assert intake.add_images(workspace, import_id, [first, same]) == (1, 1)
    assert intake.add_images(workspace, import_id, [same]) == (0, 1)
    [image] = catalog.list_images(workspace)
    assert (image.label, image.label_origin) == ("dirt", "imported")
    assert catalog.list_duplicates(workspace) == [(image.id, ("/a.png", "/b.png"))]
    assert {image.sha256 for image in catalog.list_images(workspace)} == {first.sha256}


def test_an_image_from_one_path_twice_is_no_duplicate(workspace: Workspace) -> None:
    fill(workspace, new_image(1))
    fill(workspace, new_image(1))
    assert catalog.list_duplicates(workspace) == []


def test_an_import_counts_what_it_brought_and_what_it_refused(workspace: Workspace) -> None:
    import_id = begin_import(workspace)
    intake.add_images(workspace, import_id, [new_image(1), new_image(2)])
    intake.add_images(workspace, import_id, [new_image(2, source="/again.png"), new_image(3)])
    intake.add_rejections(workspace, import_id, [("x.png", "empty"), ("y.png", "truncated")])
    intake.add_rejections(workspace, import_id, [])
    done = intake.finish_import(workspace, import_id, n_known=4)
    assert (done.n_imported, done.n_duplicates, done.n_rejected, done.n_known) == (3, 1, 2, 4)
    assert done.finished_at
    assert intake.list_imports(workspace) == [done]
    assert intake.list_rejections(workspace, import_id) == [
        ("x.png", "empty"),
        ("y.png", "truncated"),
    ]


def test_a_batch_in_which_nothing_was_new_changes_nothing(workspace: Workspace) -> None:
    assert intake.add_images(workspace, begin_import(workspace), []) == (0, 0)


def test_a_batch_that_fails_leaves_no_image_behind(workspace: Workspace) -> None:
    with pytest.raises(Exception, match=r"(?i)null"):
        intake.add_images(
            workspace, begin_import(workspace), [new_image(1), new_image(2, width=None)]
        )
    assert catalog.count_images(workspace) == 0


def test_imports_that_run_at_once_store_each_content_once(workspace: Workspace) -> None:
    found = [new_image(number, label=f"class {number % 3}") for number in range(30)]
    counts: list[tuple[int, int]] = []

    def take_in(images: list[NewImage]) -> None:
        import_id = begin_import(workspace)
        counts.extend(
            intake.add_images(workspace, import_id, images[first : first + 5])
            for first in range(0, 30, 5)
        )

    threads = [
        threading.Thread(target=take_in, args=[images])
        for images in (found, found[::-1], found[15:] + found[:15])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new for new, _ in counts) == 30
    assert sum(same for _, same in counts) == 60
    assert catalog.count_images(workspace) == 30
    assert sorted(catalog.list_classes(workspace)) == ["class 0", "class 1", "class 2"]


def test_known_sources_tell_the_content_that_a_path_had_last(workspace: Workspace) -> None:
    fill(workspace, new_image(1, source="/a.png"), new_image(2, source="/b.png"))
    fill(workspace, new_image(3, source="/a.png"))
    assert intake.known_sources(workspace, ["/a.png", "/new.png"]) == {"/a.png": f"{3:064x}"}


def test_a_changed_file_is_told_by_its_fingerprint(workspace: Workspace) -> None:
    fill(workspace, new_image(1, source="/a.png/box-1.png", fingerprint="f1"))
    assert intake.known_sources(workspace, ["/a.png/box-1.png"]) == {"/a.png/box-1.png": "f1"}


def test_first_splits_leave_other_imports_alone(workspace: Workspace) -> None:
    fill(workspace, new_image(1, shot_group="panel 1"))
    import_id = begin_import(workspace)
    intake.add_images(
        workspace, import_id, [new_image(2, label="dirt"), new_image(3, split="test"), new_image(4)]
    )
    rows = intake.split_rows(workspace)
    assert [row.shot_group for row in rows] == ["panel 1", None, None, None]
    waiting = [row for row in rows if row.import_id == import_id and row.split is None]
    assert [row.label for row in waiting] == ["dirt", None]
    intake.set_imported_splits(workspace, {row.id: "train" for row in waiting})
    listed = catalog.list_images(workspace, sort="oldest")
    assert [image.split for image in listed] == [None, "train", "test", "train"]


def test_boxes_and_crops_come_with_their_images(workspace: Workspace) -> None:
    box = Box("dirt", 1.5, 2.0, 10.0, 4.0)
    crop = Crop("panel.jpg", "ab" * 32, 3, 4, 20, 10)
    whole, cut = fill(workspace, new_image(1, boxes=(box, box)), new_image(2, crop=crop))
    assert annotations.list_boxes(workspace) == {whole: (box, box)}
    assert annotations.list_boxes(workspace, (cut,)) == {}
    assert annotations.list_crops(workspace) == {cut: crop}
    assert annotations.list_crops(workspace, (whole,)) == {}


def test_a_duplicate_adds_a_source_and_nothing_else(workspace: Workspace) -> None:
    box = Box("dirt", 1, 2, 10, 4)
    decision = Decision("dirt", "human", "anna")
    first = new_image(1, boxes=(box,), label="dirt", decisions=(decision,), queued="odd")
    fill(workspace, first)
    fill(workspace, new_image(1, source="/b.png", boxes=(box,), decisions=(decision,), queued="x"))
    [boxes] = annotations.list_boxes(workspace).values()
    [decisions] = annotations.list_decisions(workspace).values()
    assert (len(boxes), len(decisions)) == (1, 1)
    assert catalog.count_images(workspace, ImageFilter(queued=True)) == 1


def test_decisions_made_elsewhere_keep_their_makers_and_times(workspace: Workspace) -> None:
    said = (
        Decision("dirt", "automatic", "model 3", "2026-01-01T08:00:00.000Z", 0.75),
        Decision("drop", "human", "anna", "2026-01-02T08:00:00.000Z"),
        Decision("dirt", "automatic", "model 3", "2026-01-03T08:00:00.000Z", 0.5),
    )
    one, other = fill(
        workspace,
        new_image(1, label="dirt", label_origin="automatic", decisions=said),
        new_image(2, label="drop", label_origin="human", decisions=said[1:2]),
    )
    assert annotations.list_decisions(workspace) == {one: said, other: said[1:2]}
    assert catalog.get_image(workspace, one).label_origin == "automatic"
    by_actor = {batch.actor: batch for batch in labels.list_batches(workspace)}
    n_of = {actor: batch.n_changes for actor, batch in by_actor.items()}
    assert n_of == {"model 3": 2, "anna": 2}
    newest = labels.list_changes(workspace, image_id=one)[0]
    assert (newest.at, newest.actor, newest.old) == ("2026-01-03T08:00:00.000Z", "model 3", "drop")


def test_one_who_decided_has_one_batch_however_long_the_import(workspace: Workspace) -> None:
    import_id = begin_import(workspace)
    said = (Decision("dirt", "human", "anna"),)
    for number in range(3):
        found = [new_image(number, label="dirt", decisions=said)]
        intake.add_images(workspace, import_id, found)
    [batch] = labels.list_batches(workspace)
    assert (batch.actor, batch.n_changes, batch.action) == ("anna", 3, "import")


def test_an_imported_decision_can_be_taken_back(workspace: Workspace) -> None:
    said = (Decision("dirt", "human", "anna"), Decision("drop", "human", "ben"))
    [one] = fill(workspace, new_image(1, label="drop", label_origin="human", decisions=said))
    of_ben = next(batch for batch in labels.list_batches(workspace) if batch.actor == "ben")
    labels.undo(workspace, of_ben.id, actor="eve")
    assert catalog.get_image(workspace, one).label == "dirt"


def test_what_waits_for_an_operator_waits_with_its_reason(workspace: Workspace) -> None:
    [one] = fill(workspace, new_image(1, queued="anna and ben disagree"))
    chosen = catalog.image_ids(workspace, ImageFilter(queued=True))
    assert chosen.tolist() == [one]
