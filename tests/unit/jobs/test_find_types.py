"""New types are found where nothing is known, and more of a type where a few images show it."""

import numpy as np
import pytest

from core.jobs.configs import FindCandidates, GroupStrange
from core.jobs.steps.feature_chunks import Chunks
from core.jobs.steps.find_types import suggest_new
from core.state import catalog, labels, retyping, runs
from core.state.workspace import Workspace, create_workspace
from tests.factories import fill, new_image
from tests.samples import do, keep_embedding

KINDS = ("dirt", "drop", "scratch")
N = 24


@pytest.fixture
def shop(home) -> tuple[Workspace, str, list[int]]:
    """Dirt and drops, half of them labelled; scratches that nobody has a word for."""
    workspace = create_workspace(home / "shop", name="Shop")
    kinds = np.repeat(np.arange(3), N)
    images = [
        new_image(n, label=KINDS[kind] if kind < 2 and n % 2 else None)
        for n, kind in enumerate(kinds.tolist())
    ]
    ids = fill(workspace, *images)
    vectors = np.random.default_rng(0).normal(0, 0.2, (len(ids), 8)).astype(np.float32)
    vectors[np.arange(len(ids)), kinds] += 3
    return workspace, keep_embedding(workspace, np.array(ids), vectors).id, ids


def test_what_is_like_no_type_is_one_group_and_is_kept_as_a_run(shop):
    workspace, embedding, ids = shop
    job = do(workspace, GroupStrange(embedding))
    assert job.result["sizes"][0] >= N - 4
    run = runs.get_run(workspace, job.result["run"])
    group = runs.load_array(workspace, run, "image_ids")[
        runs.load_array(workspace, run, "groups") == 0
    ]
    assert set(group.tolist()) <= set(ids[2 * N :])
    assert do(workspace, GroupStrange(embedding)).result["run"] == run.id
    labels.relabel(workspace, ids[:1], "drop", actor="Ada")  # another state, another answer
    assert do(workspace, GroupStrange(embedding)).result["run"] != run.id


def test_the_others_of_a_type_stand_before_all_else(shop):
    workspace, embedding, ids = shop
    retyping.add(workspace, "scratch", ids[2 * N : 2 * N + 4], actor="Ada")
    found = do(workspace, FindCandidates("scratch", embedding)).result
    ranked = [each["image"] for each in found["candidates"]]
    assert set(ranked[: N - 4]) == set(ids[2 * N + 4 :])
    assert (found["n_examples"], found["n_known"], found["n_likely"]) == (4, N, N - 4)
    assert found["left_out"] == [0.0] * 4
    assert len(ranked) == len(set(ranked)) == 2 * N - 4


def test_labels_of_a_model_are_neither_examples_nor_settled(shop):
    from core.state.change_log import NewLabel, append_labels, close_batch, open_batch
    from core.state.database import writing

    workspace, embedding, ids = shop
    retyping.add(workspace, "scratch", ids[2 * N : 2 * N + 4], actor="Ada")
    with writing(workspace) as connection:
        batch = open_batch(connection, action="auto_label", actor="model", detail={})
        append_labels(connection, batch, [NewLabel(ids[-1], "scratch")], origin="automatic")
        close_batch(connection, batch)
    found = do(workspace, FindCandidates("scratch", embedding)).result
    assert found["n_examples"] == 4
    assert ids[-1] in [each["image"] for each in found["candidates"]]
    assert catalog.get_image(workspace, ids[-1]).waits_for_a_person


def test_a_type_that_nothing_shows_or_that_is_none_is_refused(shop):
    workspace, embedding, _ = shop
    job = do(workspace, FindCandidates("blister", embedding))
    assert job.error["title"] == "There is no type of defect called blister."
    retyping.merge(workspace, "dirt", "drop", actor="Ada")
    job = do(workspace, FindCandidates("drop", embedding))
    assert job.error["title"] == f"{N} images show drop, 0 show other types."


def test_a_type_that_a_model_does_not_know_is_suggested_from_three_images_on(shop):
    workspace, embedding, ids = shop
    run = runs.get_run(workspace, embedding)
    features = runs.load_array(workspace, run, "vectors")
    retyping.add(workspace, "scratch", ids[2 * N : 2 * N + 2], actor="Ada")
    assert suggest_new(workspace, ("dirt", "drop"), run, features) == [None] * len(ids)
    labels.relabel(workspace, [ids[2 * N + 2]], "scratch", actor="Ada")
    found = suggest_new(workspace, ("dirt", "drop"), run, features)
    assert found[: 2 * N] == [None] * 2 * N
    assert found[2 * N :].count("scratch") >= N - 2
    assert set(suggest_new(workspace, KINDS, run, features)) == {None}
    retyping.retire(workspace, "scratch", actor="Ada")
    assert set(suggest_new(workspace, ("dirt", "drop"), run, features)) == {None}


def test_a_type_is_suggested_by_what_came_in_since_the_embedding(shop):
    workspace, embedding, ids = shop
    run = runs.get_run(workspace, embedding)
    features = runs.load_array(workspace, run, "vectors")
    arrived = fill(workspace, *(new_image(900 + n) for n in range(3)))
    Chunks(workspace, run.config).add(arrived, features[2 * N : 2 * N + 3])
    assert suggest_new(workspace, ("dirt", "drop"), run, features) == [None] * len(ids)
    labels.relabel(workspace, arrived, "scratch", actor="Ada")
    found = suggest_new(workspace, ("dirt", "drop"), run, features)
    assert found[: 2 * N] == [None] * 2 * N
    assert found[2 * N :].count("scratch") >= N - 2
