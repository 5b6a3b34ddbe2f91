"""What each analysis leaves in the workspace, and that nothing is computed twice."""

import json
from typing import Any

import numpy as np
import pytest

from core.jobs.configs import (
    AnalyseSpace,
    ClusterImages,
    CompareSets,
    FindAnomalies,
    FindLabelErrors,
    JobConfig,
    MeasureKDistances,
    MeasureSeparability,
    MeasureStability,
    ReadLayout,
)
from core.latent.metrics import METRICS
from core.state import labels, runs, selections
from core.state.workspace import Workspace
from tests.blobs import N_PER_CLASS, Blobs, add_blobs
from tests.factories import fill, new_image
from tests.samples import do, fake_projection, keep_embedding


@pytest.fixture
def blobs(workspace: Workspace) -> Blobs:
    """Three tight classes, one odd image, one slip."""
    return add_blobs(workspace)


def answer(workspace: Workspace, config: JobConfig) -> dict[str, Any]:
    """The result of a job that must succeed, as JSON brings it back."""
    job = do(workspace, config)
    assert job.status == "succeeded", job.error
    result: dict[str, Any] = json.loads(json.dumps(job.result))
    return result


def refusal(workspace: Workspace, config: JobConfig) -> str:
    """What a job that must fail says: a sentence for a person, no fault of the software."""
    job = do(workspace, config)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["title"].endswith((".", "!"))
    assert "fault" not in job.error["title"]
    return f"{job.error['title']} {job.error['detail']}"


# Clusters


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("kmeans", {"n_clusters": 3}),
        ("dbscan", {"eps": 0.2}),
        ("hdbscan", {"min_cluster_size": 15}),
        ("agglomerative", {"n_clusters": 4, "linkage": "average", "metric": "cosine"}),
    ],
)
def test_every_method_finds_the_three_classes(
    method: str, parameters: dict[str, Any], workspace: Workspace, blobs: Blobs
) -> None:
    config = ClusterImages(blobs.embedding.id, method, tuple(parameters.items()))
    result = answer(workspace, config)
    assert sorted(result["sizes"], reverse=True)[:3] == pytest.approx([N_PER_CLASS] * 3, abs=1)
    assert result["ari"] > 0.9
    assert min(result[name] for name in ("ami", "homogeneity", "v_measure")) > 0.8
    assert answer(workspace, config)["run"] == result["run"]
    run = runs.get_run(workspace, result["run"])
    assert parameters.items() <= run.config.items()
    first = run.result["examples"][0]
    assert len(set(first["centre"])) == len(first["furthest"]) == 12


def test_dbscan_takes_its_reach_from_the_knee_and_keeps_the_curve(
    workspace: Workspace, blobs: Blobs
) -> None:
    result = answer(workspace, ClusterImages(blobs.embedding.id, "dbscan"))
    curve = runs.get_run(workspace, result["k_distances"])
    assert runs.get_run(workspace, result["run"]).config["eps"] == curve.result["eps"] > 0
    assert (np.diff(runs.load_array(workspace, curve, "distances")) >= 0).all()
    assert answer(workspace, MeasureKDistances(blobs.embedding.id))["run"] == curve.id


def test_noise_has_no_distance_to_a_centre(workspace: Workspace, blobs: Blobs) -> None:
    config = ClusterImages(blobs.embedding.id, "dbscan", (("eps", 0.2),))
    run = runs.get_run(workspace, answer(workspace, config)["run"])
    is_noise = runs.load_array(workspace, run, "labels") < 0
    assert np.flatnonzero(is_noise).tolist() == [blobs.ids.index(blobs.odd)]
    np.testing.assert_array_equal(np.isnan(runs.load_array(workspace, run, "distances")), is_noise)


def test_components_make_another_run_and_say_what_they_hold(
    workspace: Workspace, blobs: Blobs
) -> None:
    k = (("n_clusters", 3),)
    whole = answer(workspace, ClusterImages(blobs.embedding.id, parameters=k))
    few = answer(workspace, ClusterImages(blobs.embedding.id, parameters=k, components=2))
    share = answer(workspace, ClusterImages(blobs.embedding.id, parameters=k, components=0.5))
    assert len({whole["run"], few["run"], share["run"]}) == 3
    assert few["notes"][0].startswith("2 principal component(s) hold ")
    centers = runs.load_array(workspace, runs.get_run(workspace, few["run"]), "centers")
    assert centers.shape == (3, 2)


def test_places_on_a_map_come_with_a_warning(workspace: Workspace, blobs: Blobs) -> None:
    projection = fake_projection(workspace, blobs.embedding)
    result = answer(workspace, ClusterImages(projection.id, parameters=(("n_clusters", 2),)))
    assert result["notes"] == ["Distances on a map are the picture's, not the images'."]


@pytest.mark.parametrize(
    "config",
    [
        ClusterImages("embedding-", "dbscan", sweep=True),
        ClusterImages("embedding-", parameters=(("n_clusters", 2),), sweep=True),
        ClusterImages("embedding-", parameters=(("eps", 0.5),)),
        ClusterImages("embedding-", components=1.5),
        ClusterImages("embedding-", components=-1),
        MeasureSeparability("embedding-", binarise="nonsense"),
        MeasureStability("embedding-"),
        FindAnomalies("embedding-", contamination=2.0),
        FindAnomalies("nowhere"),
        MeasureSeparability("embedding-", with_labels=False),
        MeasureSeparability("embedding-", clusterings=("embedding-",)),
    ],
)
def test_a_question_that_makes_no_sense_leaves_nothing(
    config: JobConfig, workspace: Workspace, blobs: Blobs
) -> None:
    assert do(workspace, config).status == "failed"
    assert [run.kind for run in runs.list_runs(workspace)] == ["embedding"]


# Separability and stability


def test_each_labelling_is_measured_once_however_it_is_asked_for(
    workspace: Workspace, blobs: Blobs
) -> None:
    k3 = ClusterImages(blobs.embedding.id, parameters=(("n_clusters", 3),))
    clustering = answer(workspace, k3)["run"]
    alone = answer(workspace, MeasureSeparability(blobs.embedding.id))
    both = answer(workspace, MeasureSeparability(blobs.embedding.id, (clustering,)))
    assert both["runs"]["labels"] == alone["runs"]["labels"]
    assert len(runs.list_runs(workspace, "separability")) == 2
    assert set(both["scores"][clustering]) == set(METRICS)
    assert both["scores"][clustering]["cosine"] > both["scores"]["labels"]["cosine"] > 0


def test_changed_labels_are_measured_anew(workspace: Workspace, blobs: Blobs) -> None:
    config = MeasureSeparability(blobs.embedding.id)
    before = answer(workspace, config)
    labels.relabel(workspace, [blobs.slip], "scratch", actor="Ada")
    after = answer(workspace, config)
    assert after["runs"]["labels"] != before["runs"]["labels"]
    assert after["scores"]["labels"]["cosine"] > before["scores"]["labels"]["cosine"]


def test_a_clustering_of_other_images_is_refused(workspace: Workspace, blobs: Blobs) -> None:
    some = keep_embedding(workspace, np.array(blobs.ids[:9]), np.eye(9, 4, dtype=np.float32))
    config = ClusterImages(some.id, parameters=(("n_clusters", 2),))
    clustering = answer(workspace, config)["run"]
    said = refusal(workspace, MeasureSeparability(blobs.embedding.id, (clustering,)))
    assert "no clustering of the images of" in said


def test_clear_clusters_come_out_again_and_a_sweep_has_its_bands(
    workspace: Workspace, blobs: Blobs
) -> None:
    config = ClusterImages(blobs.embedding.id, sweep=True, largest=5)
    clustering = answer(workspace, config)["run"]
    result = answer(workspace, MeasureStability(clustering, n_runs=3))
    assert result["seeds"]["mean"] == 1.0
    assert result["resamples"]["mean"] > 0.9
    assert [band["k"] for band in result["bands"]] == [2, 3, 4, 5]
    run = runs.get_run(workspace, result["run"])
    assert run.parent_id == blobs.embedding.id
    assert answer(workspace, MeasureStability(clustering, n_runs=3))["run"] == run.id


# Anomalies, label errors, layout


def test_the_odd_image_is_above_the_threshold_of_every_method(
    workspace: Workspace, blobs: Blobs
) -> None:
    result = answer(workspace, FindAnomalies(blobs.embedding.id))
    run = runs.get_run(workspace, result["run"])
    ids = runs.load_array(workspace, run, "image_ids")
    for method, threshold in result["thresholds"].items():
        scores = runs.load_array(workspace, run, f"scores_{method}")
        assert blobs.odd in ids[scores > threshold]
        assert (scores > threshold).sum() == result["n_above"][method] <= 4
    assert result["n_both"] >= 1
    assert runs.get_run(workspace, result["graph"]).result["is_exact"]


def test_the_slip_is_the_most_doubtful_label_next_to_the_class_it_should_be(
    workspace: Workspace, blobs: Blobs
) -> None:
    result = answer(workspace, FindLabelErrors(blobs.embedding.id))
    run = runs.get_run(workspace, result["run"])
    worst = int(runs.load_array(workspace, run, "scores").argmax())
    assert runs.load_array(workspace, run, "image_ids")[worst] == blobs.slip
    given, suggested = (
        result["classes"][runs.load_array(workspace, run, name)[worst]]
        for name in ("given", "suggested")
    )
    assert (given, suggested) == ("dirt", "scratch")
    nearest = runs.load_array(workspace, run, "nearest")[worst]
    assert set(nearest.tolist()) <= set(blobs.ids[2 * N_PER_CLASS : -2])
    assert (result["n_judged"], result["n_issues"]) == (60, 1)


def test_a_layout_knows_classes_and_splits(workspace: Workspace, blobs: Blobs) -> None:
    result = answer(workspace, ReadLayout(blobs.embedding.id))
    purity = {each["label"]: each["purity"] for each in result["classes"]}
    assert purity["drop"] == 1.0 > purity["dirt"] > 0.9
    assert [shift["split"] for shift in result["shifts"]] == ["train", "test", "validation"]
    run = runs.get_run(workspace, result["run"])
    assert runs.load_array(workspace, run, "separability").shape == (3, 3)
    assert runs.load_array(workspace, run, "centroids").shape == (3, 12)


def test_excluded_images_are_no_training_images(workspace: Workspace, blobs: Blobs) -> None:
    before = answer(workspace, ReadLayout(blobs.embedding.id))
    labels.set_excluded(workspace, [blobs.odd], True, actor="Ada")
    after = answer(workspace, ReadLayout(blobs.embedding.id))
    assert after["run"] != before["run"]
    assert after["shifts"][0]["n_images"] == before["shifts"][0]["n_images"] - 1
    assert after["notes"] == ["1 images are excluded or have no split."]


def test_two_classes_differ_and_a_set_is_known_by_its_images(
    workspace: Workspace, blobs: Blobs
) -> None:
    first = selections.save_selection(workspace, np.array(blobs.ids[:20]))
    second = selections.save_selection(workspace, np.array(blobs.ids[20:40]))
    config = CompareSets(blobs.embedding.id, first, second, "the dirt", "the drops")
    result = answer(workspace, config)
    assert (result["auc"], result["n_first"], result["n_second"]) == (1.0, 20, 20)
    run = runs.get_run(workspace, result["run"])
    assert runs.load_array(workspace, run, "in_second").sum() == 20
    overlap = CompareSets(blobs.embedding.id, first, first)
    assert "share 20 images" in refusal(workspace, overlap)


def test_images_without_features_cannot_be_compared(workspace: Workspace, blobs: Blobs) -> None:
    (late,) = fill(workspace, new_image(99))
    first = selections.save_selection(workspace, np.array([*blobs.ids[:5], late]))
    second = selections.save_selection(workspace, np.array(blobs.ids[20:40]))
    said = refusal(workspace, CompareSets(blobs.embedding.id, first, second))
    assert said.startswith("1 of the selected images have no features yet.")


# All of it


def test_one_job_answers_everything_and_a_second_finds_it_answered(
    workspace: Workspace, blobs: Blobs
) -> None:
    config = ClusterImages(blobs.embedding.id, parameters=(("n_clusters", 3),))
    clustering = answer(workspace, config)["run"]
    anomalies = answer(workspace, FindAnomalies(blobs.embedding.id))["run"]
    result = answer(workspace, AnalyseSpace(blobs.embedding.id))
    assert result["skipped"] == []
    assert result["runs"]["anomalies"] == anomalies
    assert set(result["runs"]) == {
        "graph",
        "anomalies",
        "label_errors",
        "layout",
        "separability of labels",
        f"separability of {clustering}",
    }
    n_runs = len(runs.list_runs(workspace))
    assert answer(workspace, AnalyseSpace(blobs.embedding.id))["runs"] == result["runs"]
    assert len(runs.list_runs(workspace)) == n_runs
    graphs = runs.list_runs(workspace, "graph")
    assert sorted(run.config["metric"] for run in graphs) == ["cosine", "euclidean"]


def test_what_has_no_answer_is_named_and_the_rest_is_answered(
    workspace: Workspace, blobs: Blobs
) -> None:
    labels.relabel(workspace, blobs.ids, None, actor="Ada")
    result = answer(workspace, AnalyseSpace(blobs.embedding.id))
    assert {each["part"] for each in result["skipped"]} == {"label_errors", "separability"}
    assert all(each["why"] for each in result["skipped"])
    assert {"graph", "anomalies", "layout"} == set(result["runs"])


QUESTIONS = (AnalyseSpace, FindAnomalies, FindLabelErrors, ReadLayout, MeasureSeparability)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("n_images", [1, 2, 12])
def test_copies_only_end_in_one_sentence(
    question: type[Any], n_images: int, workspace: Workspace
) -> None:
    ids = fill(workspace, *(new_image(n, label="dirt", split="train") for n in range(n_images)))
    alike = keep_embedding(workspace, np.array(ids), np.ones((n_images, 4), np.float32))
    said = refusal(workspace, question(alike.id))
    assert "nothing to be compared with" in said or "have the same features" in said


@pytest.mark.parametrize("question", [*QUESTIONS, ClusterImages])
def test_features_that_are_no_numbers_end_in_one_sentence(
    question: type[Any], workspace: Workspace
) -> None:
    ids = fill(workspace, *(new_image(n, label="ab"[n % 2], split="train") for n in range(12)))
    vectors = np.random.default_rng(0).random((12, 4)).astype(np.float32)
    vectors[3, 0] = np.nan
    broken = keep_embedding(workspace, np.array(ids), vectors)
    job = do(workspace, question(broken.id))
    if question is MeasureSeparability:  # one metric is defined for gaps
        assert job.result["best"] == {"labels": "nan_euclidean"}
    elif question is AnalyseSpace:
        assert set(job.result["runs"]) == {"separability of labels"}
        assert all("not finite" in each["why"] for each in job.result["skipped"])
    else:
        assert "not finite" in job.error["title"]


def test_three_images_get_the_answers_that_there_are(workspace: Workspace) -> None:
    ids = fill(workspace, *(new_image(n, label="dirt", split="train") for n in range(3)))
    three = keep_embedding(workspace, np.array(ids), np.eye(3, dtype=np.float32))
    result = answer(workspace, AnalyseSpace(three.id))
    assert {"anomalies", "layout"} <= set(result["runs"])
    assert {"label_errors", "separability"} == {each["part"] for each in result["skipped"]}


def test_deleting_an_embedding_takes_every_analysis_with_it(
    workspace: Workspace, blobs: Blobs
) -> None:
    answer(workspace, AnalyseSpace(blobs.embedding.id))
    assert set(runs.delete_run(workspace, blobs.embedding.id)) >= {blobs.embedding.id}
    assert runs.list_runs(workspace) == []
    folders = (workspace.path / folder for folder in runs.FOLDERS.values())
    assert [left for folder in folders if folder.exists() for left in folder.iterdir()] == []
