"""An analysis holds for the labels, splits and groups that it was computed from."""

import pytest

from core.analysis.standing import newest
from core.jobs.configs import FindAnomalies, FindLabelErrors, ReadLayout
from core.state import labels, near_duplicates, runs
from core.state.workspace import Workspace
from tests.blobs import Blobs, add_blobs
from tests.samples import do


@pytest.fixture
def blobs(workspace: Workspace) -> Blobs:
    """Analysed once."""
    blobs = add_blobs(workspace)
    for question in (FindAnomalies, FindLabelErrors, ReadLayout):
        assert do(workspace, question(blobs.embedding.id)).status == "succeeded"
    return blobs


def holding(workspace: Workspace, blobs: Blobs) -> set[str]:
    """The kinds of the analyses that still hold."""
    kinds = ("anomalies", "label_errors", "layout")
    standings = {kind: newest(workspace, blobs.embedding, kind) for kind in kinds}
    return {kind for kind, standing in standings.items() if standing and standing.is_current}


def test_what_is_not_there_is_none(workspace: Workspace, blobs: Blobs) -> None:
    assert newest(workspace, blobs.embedding, "comparison") is None


def test_a_changed_label_makes_what_depends_on_labels_old(
    workspace: Workspace, blobs: Blobs
) -> None:
    assert holding(workspace, blobs) == {"anomalies", "label_errors", "layout"}
    labels.relabel(workspace, [blobs.slip], "scratch", actor="Ada")
    assert holding(workspace, blobs) == {"anomalies"}


def test_confirming_a_label_changes_nothing_that_was_computed(
    workspace: Workspace, blobs: Blobs
) -> None:
    labels.relabel(workspace, [blobs.ids[0]], "dirt", actor="Ada")
    assert holding(workspace, blobs) == {"anomalies", "label_errors", "layout"}


def test_a_changed_split_or_exclusion_makes_the_layout_old(
    workspace: Workspace, blobs: Blobs
) -> None:
    labels.set_excluded(workspace, [blobs.odd], True, actor="Ada")
    assert holding(workspace, blobs) == {"anomalies", "label_errors"}
    labels.set_excluded(workspace, [blobs.odd], False, actor="Ada")
    assert holding(workspace, blobs) == {"anomalies", "label_errors", "layout"}


def test_other_near_duplicates_make_old_what_keeps_copies_together(
    workspace: Workspace, blobs: Blobs
) -> None:
    near_duplicates.replace_groups(workspace, [])
    assert holding(workspace, blobs) == {"anomalies"}


def test_labels_taken_back_bring_the_run_of_these_labels_back(
    workspace: Workspace, blobs: Blobs
) -> None:
    before = newest(workspace, blobs.embedding, "label_errors")
    batch = labels.relabel(workspace, [blobs.slip], "scratch", actor="Ada")
    after = runs.get_run(
        workspace, do(workspace, FindLabelErrors(blobs.embedding.id)).result["run"]
    )
    shown = newest(workspace, blobs.embedding, "label_errors")
    assert shown is not None
    assert shown.run == after
    labels.undo(workspace, batch.id, actor="Ada")
    assert newest(workspace, blobs.embedding, "label_errors") == before
