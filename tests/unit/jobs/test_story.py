"""The story's plot: what a copy lacks next, and that nothing is asked for twice."""

from pathlib import Path

import numpy as np
import pytest

from core.analysis.story import alike_pairs, late_arrivals
from core.jobs import story as plot
from core.jobs.configs import (
    CompareMaps,
    EmbedImages,
    EvaluateModel,
    JobConfig,
    PlanTriage,
    to_json,
)
from core.jobs.processes import this_process
from core.settings import Settings
from core.state import catalog, job_rows, models, runs, story
from core.state.runs import Run
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.classifiers import add_model
from tests.factories import fill, new_image

LABELS = ("dirt", "dirt", "drop", "drop", "multiple")


@pytest.fixture
def copy(home: Path) -> Workspace:
    """Five images; the second dirt and the first drop lie together."""
    made = create_workspace(home / "copy", settings=Settings(home=home))
    ids = fill(made, *(new_image(number, label=label) for number, label in enumerate(LABELS)))
    vectors = np.array([[9, 0, 0], [0, 9, 0.5], [0, 9, 0], [0, 0, 9], [0, 9, 0.2]], np.float32)
    samples.keep_embedding(made, np.array(ids), vectors)
    return made


def ended(copy: Workspace, config: JobConfig, status: str) -> None:
    """A job that somebody asked for, as it ended."""
    made = job_rows.add_job(
        copy, kind=config.kind, lane=config.lane, config=to_json(config), actor="a visitor"
    )
    job_rows.finish(copy, job_rows.claim(copy, made.id, this_process()), status)


def keep_run(copy: Workspace, kind: str, model: str) -> Run:
    id = runs.run_id(kind, {"model": model})
    return runs.add_run(
        copy,
        id=id,
        kind=kind,
        parent_id=None,
        config={"model": model},
        result={},
        n_images=0,
        actor="tester",
        job_id=None,
    )


def test_before_anything_is_tuned_nothing_follows(copy: Workspace) -> None:
    assert plot.next_job(copy) is None
    add_model(copy, mode="head")
    assert plot.next_job(copy) is None


def test_a_tuned_model_is_mapped_then_measured_then_planned_with(copy: Workspace) -> None:
    model = add_model(copy, mode="last_block")
    assert plot.next_job(copy) == CompareMaps(model.id, method=plot.MAP)
    keep_run(copy, "movement", model.id)
    assert plot.next_job(copy) == EvaluateModel(model.id)
    keep_run(copy, "evaluation", model.id)
    assert plot.next_job(copy) == PlanTriage(model.id, max_error=0.05, average_flips=False)
    keep_run(copy, "triage_plan", model.id)
    assert plot.next_job(copy) is None


def test_what_came_late_is_seen_by_the_tuned_network(copy: Workspace) -> None:
    model = add_model(copy, mode="last_block")
    for kind in ("movement", "evaluation", "triage_plan"):
        keep_run(copy, kind, model.id)
    ended(copy, plot.take_arrivals(copy), "succeeded")
    assert plot.next_job(copy) == EmbedImages(backbone=model.backbone, model=model.id)


def test_nothing_is_asked_for_while_a_job_waits(copy: Workspace) -> None:
    config = plot.compare_maps(add_model(copy, mode="last_block").id)
    job_rows.add_job(
        copy, kind=config.kind, lane=config.lane, config=to_json(config), actor="a visitor"
    )
    assert plot.next_job(copy) is None


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_has_failed_waits_for_a_person(copy: Workspace, status: str) -> None:
    ended(copy, plot.compare_maps(add_model(copy, mode="last_block").id), status)
    assert plot.next_job(copy) is None


def test_the_tuned_model_is_put_to_work_once(copy: Workspace) -> None:
    plot.put_to_work(copy, actor="Ada")
    assert models.promoted(copy) is None
    model = add_model(copy, mode="last_block")
    for _ in range(2):
        plot.put_to_work(copy, actor="Ada")
    assert [each.model_id for each in models.list_promotions(copy)] == [model.id]


def test_pairs_are_of_unlike_types_and_nearest_first(copy: Workspace) -> None:
    embedding = runs.list_runs(copy, "embedding")[0]
    ids = catalog.image_ids(copy).tolist()
    pairs = alike_pairs(copy, embedding, n_pairs=5)
    assert {pairs[0].first.id, pairs[0].second.id} == {ids[1], ids[2]}
    assert len(pairs) == 2  # each image in one pair, the one with several defects in none
    assert all(pair.first.label != pair.second.label for pair in pairs)
    assert pairs[0].similarity > pairs[1].similarity


def test_there_are_no_pairs_where_all_show_the_same(home: Path) -> None:
    made = create_workspace(home / "one", settings=Settings(home=home))
    ids = fill(made, *(new_image(number, label="dirt") for number in range(3)))
    embedding = samples.keep_embedding(made, np.array(ids), np.eye(3, dtype=np.float32))
    assert alike_pairs(made, embedding, n_pairs=5) == []


def test_what_came_late_stands_with_the_strange_first(copy: Workspace, tmp_path: Path) -> None:
    folder = copy.folder(story.ARRIVALS)
    for number in range(3):
        samples.save_image(folder / f"arrival_{number:04}.jpg", (90 * number, 20, 200))
    assert late_arrivals(copy, None) == []
    job = samples.do(copy, plot.take_arrivals(copy))
    assert job.status == "succeeded", job.error
    assert plot.has_taken_arrivals(copy)
    usual = late_arrivals(copy, None)
    assert [each.is_strange for each in usual] == [False] * 3
    ids = np.array([each.image.id for each in usual], np.int64)
    id = runs.run_id("novel_groups", {"of": ids.tolist()})
    with runs.new_artefact(copy, "novel_groups", id) as written:
        np.save(written / "image_ids.npy", ids)
        np.save(written / "groups.npy", np.array([-2, 0, -1]))
    strange = runs.add_run(
        copy,
        id=id,
        kind="novel_groups",
        parent_id=None,
        config={},
        result={},
        n_images=3,
        actor="tester",
        job_id=None,
    )
    found = late_arrivals(copy, strange)
    assert [each.is_strange for each in found] == [True, True, False]
    assert found[0].image.id == ids[1]  # of a group, before the one that is like no other
