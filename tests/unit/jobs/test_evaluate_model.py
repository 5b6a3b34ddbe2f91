"""What an evaluation keeps of a model, which images count for what, and that it is made once."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.analysis.evaluations import newest_evaluation, newest_movement, read_evaluation
from core.jobs.configs import CompareMaps, EvaluateModel, ExplainImage, PlanTriage
from core.jobs.steps.predict import temperature_of
from core.state import catalog, labels, models, runs
from core.state.colourings import colour, list_colourings
from core.state.database import writing
from core.state.heat_maps import heat_map_path
from core.state.model_roles import image_roles
from core.state.models import Model
from core.state.schema import images
from core.state.workspace import Workspace, create_workspace
from tests import classifiers
from tests.blobs import N_PER_CLASS, Blobs, add_blobs
from tests.line_shop import add_trained
from tests.samples import do


@pytest.fixture
def workspace(home) -> Workspace:
    return create_workspace(home / "paint-shop", name="Paint shop")


@pytest.fixture
def blobs(workspace: Workspace) -> Blobs:
    """Dirt, drop and scratch far apart, a fifth of each in validation and a fifth in test."""
    return add_blobs(workspace)


@pytest.fixture
def model(workspace: Workspace, blobs: Blobs) -> Model:
    """It knows dirt and drop, and was trained and chosen on the images of these splits."""
    return classifiers.add_model(
        workspace,
        train=of_split(workspace, "train", *classifiers.CLASSES),
        validation=of_split(workspace, "validation", *classifiers.CLASSES),
    )


def of_split(workspace: Workspace, split: str, *names: str) -> list[int]:
    chosen = catalog.ImageFilter(splits=(split,), labels=names)
    return catalog.image_ids(workspace, chosen).tolist()


def roles_of(workspace: Workspace, model: Model, *ids: int) -> list[str | None]:
    return list(image_roles(workspace, model, np.array(ids)).roles)


# Roles


def test_the_snapshot_says_what_an_image_was_and_the_split_what_it_is_for(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    trained, chosen = of_split(workspace, "train", "dirt")[0], of_split(workspace, "test", "dirt")
    foreign = of_split(workspace, "validation", "scratch")[0]
    labels.set_split(workspace, [trained], "test", actor="ana")  # too late: it has been learned
    late = of_split(workspace, "train", "scratch")[0]
    assert roles_of(workspace, model, trained, chosen[0], foreign, late) == [
        "train",
        "test",
        "validation",
        None,
    ]


def test_an_image_that_a_model_labelled_measures_no_model(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    tested, other = of_split(workspace, "test", "drop")[:2]
    with writing(workspace) as connection:
        connection.execute(
            images.update().where(images.c.id == tested).values(label_origin="automatic")
        )
    assert roles_of(workspace, model, tested, other) == [None, "test"]


def test_what_an_ancestor_was_trained_on_tests_no_descendant(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    tested, other = of_split(workspace, "test", "drop")[:2]
    parent = classifiers.add_model(
        workspace, train=[tested, *of_split(workspace, "validation", "dirt")]
    )
    child = classifiers.add_model(
        workspace,
        train=of_split(workspace, "train", "dirt"),
        validation=of_split(workspace, "validation", "dirt"),
        start_from=parent.id,
    )
    assert roles_of(workspace, child, tested, other) == ["train", "test"]
    found = image_roles(workspace, child, np.array(of_split(workspace, "validation", "dirt")))
    assert set(found.roles) == {"validation"}
    assert "too good" in found.notes[0]
    models.delete_model(workspace, parent.id, actor="ana")
    assert "has been deleted" in image_roles(workspace, child, np.array([tested])).notes[0]


def test_of_a_model_from_elsewhere_the_splits_are_all_that_is_known(
    workspace: Workspace, blobs: Blobs
) -> None:
    foreign = classifiers.add_model(workspace)
    found = image_roles(workspace, foreign, np.array(blobs.ids))
    assert list(found.roles) == catalog.column(workspace, np.array(blobs.ids), "split")
    assert "trained elsewhere" in found.notes[0]


# Evaluation


def test_accuracy_is_over_known_classes_and_ari_over_all_labels(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    wrong = of_split(workspace, "validation", "dirt")[:1]
    result = classifiers.evaluate(workspace, model, blobs.embedding, wrong=wrong).result
    n_known = len(of_split(workspace, "validation", *classifiers.CLASSES))
    assert (result["n"], result["accuracy"]) == (n_known, 1 - 1 / n_known)
    measured = result["by_role"]["validation"]["evaluation"]
    assert measured["n_other"] == len(of_split(workspace, "validation", "scratch"))
    assert result["ari_n"] == n_known + measured["n_other"]
    assert result["ari"] == 1.0
    assert result["confusion"]["labels"] == ["dirt", "drop", "scratch"]
    assert result["by_role"]["test"]["evaluation"]["accuracy"]["value"] == 1.0
    assert result["temperature"]["n"] == n_known
    assert "calibration" not in result["by_role"]


def test_the_mixed_cluster_holds_what_the_model_does_not_know(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    run = classifiers.evaluate(workspace, model, blobs.embedding)
    found = read_evaluation(workspace, run)
    mixed = found.rule.mixed
    assert mixed is not None
    for role in ("validation", "test"):
        inside = found.cluster_ids(role, mixed).tolist()
        assert inside == [
            image_id
            for image_id in of_split(workspace, role, "scratch", "dirt")
            if image_id == blobs.slip or image_id in of_split(workspace, role, "scratch")
        ]
    assert runs.load_array(workspace, run, "centers").shape == (3, 12)


def test_an_evaluation_is_made_once_and_anew_where_a_label_changed(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    first = classifiers.evaluate(workspace, model, blobs.embedding)
    assert classifiers.evaluate(workspace, model, blobs.embedding) == first
    assert newest_evaluation(workspace, model).is_current
    labels.relabel(workspace, of_split(workspace, "test", "dirt")[:1], "drop", actor="ana")
    assert not newest_evaluation(workspace, model).is_current
    second = classifiers.evaluate(workspace, model, blobs.embedding)
    assert second.id != first.id
    assert newest_evaluation(workspace, model).run == second


def test_an_image_moved_into_the_test_split_makes_another_evaluation(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    first = classifiers.evaluate(workspace, model, blobs.embedding)
    labels.set_split(workspace, [blobs.odd], "test", actor="ana")
    assert not newest_evaluation(workspace, model).is_current
    assert classifiers.evaluate(workspace, model, blobs.embedding).id != first.id


def test_mistakes_come_with_the_surest_first_and_cells_hold_their_images(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    wrong = of_split(workspace, "validation", "dirt")[:2]
    found = read_evaluation(
        workspace, classifiers.evaluate(workspace, model, blobs.embedding, wrong=wrong)
    )
    rows = found.mistakes("validation")
    assert found.ids[rows].tolist() == wrong
    assert (np.diff(found.confidences[rows]) <= 0).all()
    assert found.cell_ids("validation", "dirt", "drop").tolist() == wrong
    assert found.verdicts(rows[:1]) == ["Given drop, 75% sure."]
    unknown = found.ids[found.unknown("validation")].tolist()
    assert sorted(unknown) == of_split(workspace, "validation", "scratch")


def test_too_few_validation_images_leave_the_rest_of_the_evaluation(
    workspace: Workspace, blobs: Blobs
) -> None:
    for split in ("validation", "test"):
        ids = of_split(workspace, split, "dirt", "drop", "scratch")
        labels.set_split(workspace, ids, None, actor="ana")
    few = classifiers.add_model(workspace, train=[blobs.ids[0]], validation=blobs.ids[1:3])
    result = classifiers.evaluate(workspace, few, blobs.embedding).result
    assert "cannot form 3 clusters" in result["clustering"]["why"]
    assert (result["ari"], result["mixed_cluster_share"]) == (None, None)
    assert result["accuracy"] == 1.0
    assert result["by_role"]["test"]["evaluation"]["accuracy"]["value"] is None


# Colourings


def test_maps_of_a_models_features_show_what_it_says(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    wrong = of_split(workspace, "validation", "dirt")[:1]
    run = classifiers.evaluate(workspace, model, blobs.embedding, wrong=wrong)
    ids = np.array(blobs.ids)
    shown = {name.partition(":")[0]: name for name in list_colourings(workspace, blobs.embedding)}
    outcome = colour(workspace, ids, shown["outcome"])
    counts = {each.name: each.count for each in outcome.categories}
    assert counts == {
        "right": 2 * N_PER_CLASS,  # the slip is called dirt, and is given dirt
        "wrong": 1,
        "a label that the model does not know": N_PER_CLASS - 1,
        "none": 1,
    }
    given = colour(workspace, ids, shown["prediction"])
    assert [each.name for each in given.categories] == ["dirt", "drop"]
    confidence = colour(workspace, ids, shown["confidence"])
    assert confidence.is_score
    np.testing.assert_allclose(
        confidence.values, runs.load_array(workspace, run, "probabilities").max(axis=1)
    )
    roles = colour(workspace, ids, shown["role"])
    assert {"train", "validation", "test", "none"} == {each.name for each in roles.categories}


# Maps before and after


def test_a_turned_map_is_laid_over_the_first_without_any_movement(
    workspace: Workspace, blobs: Blobs, model: Model
) -> None:
    tuned = classifiers.tuned_embedding(workspace, blobs.embedding)
    run = classifiers.compare(workspace, model, blobs.embedding, tuned)
    found = newest_movement(workspace, model, "pca")
    assert found is not None
    assert found.run == run
    assert found.disparity == pytest.approx(0.0, abs=1e-6)
    assert run.result["is_mirrored"]  # its axes had been swapped
    places = [
        runs.load_array(workspace, each, "coordinates") for each in (found.before, found.after)
    ]
    np.testing.assert_allclose(*places, atol=1e-4)
    assert runs.load_array(workspace, run, "movement").max() < 1e-4
    assert found.after.config["aligned_to"] == found.before.id
    before, after = found.separation["validation"]
    assert before.silhouette == pytest.approx(after.silhouette, abs=1e-6)
    assert before.n_images == len(of_split(workspace, "validation", "dirt", "drop", "scratch"))
    shown = [name for name in list_colourings(workspace, tuned) if name.startswith("movement:")]
    assert colour(workspace, np.array(blobs.ids), shown[0]).is_score


# With a real network


@pytest.fixture
def trained(workspace: Workspace, tmp_path) -> Model:
    """A head that tells flat colours apart, on the features of a random network."""
    return add_trained(workspace, tmp_path / "line")


def answer(workspace: Workspace, config: Any) -> dict[str, Any]:
    job = do(workspace, config)
    assert job.status == "succeeded", job.error
    result: dict[str, Any] = json.loads(json.dumps(job.result))
    return result


def test_a_model_is_embedded_evaluated_compared_and_explained(
    workspace: Workspace, trained: Model
) -> None:
    result = answer(workspace, EvaluateModel(trained.id))
    assert (result["accuracy"], result["n"]) == (1.0, 6)
    run = runs.get_run(workspace, result["run"])
    embedding = runs.get_run(workspace, run.parent_id)
    assert embedding.result["weights"]["sha256"] == trained.weights_sha256
    probabilities = runs.load_array(workspace, run, "probabilities")
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)

    moved = answer(workspace, CompareMaps(trained.id, method="pca"))
    assert moved["median_movement"] == pytest.approx(0.0, abs=1e-3)  # the backbone is the same

    image = catalog.list_images(workspace)[0]
    explained = answer(workspace, ExplainImage(trained.id, image.id))
    path = heat_map_path(workspace, trained, image)
    assert workspace.path / explained["file"] == path
    assert explained["label"] == image.label
    with Image.open(path) as overlay:
        assert overlay.mode == "RGBA"
        assert overlay.size == (image.width, image.height)  # smaller than the network's input
    other = next(name for name in trained.classes if name != image.label)
    of_other = answer(workspace, ExplainImage(trained.id, image.id, other))
    assert of_other["file"] != explained["file"]
    refused = do(workspace, ExplainImage(trained.id, image.id, "ghost"))
    assert "knows no class" in refused.error["title"]


def test_what_a_plan_evaluates_with_averaged_features_is_not_the_models_evaluation(
    workspace: Workspace, trained: Model
) -> None:
    shown = answer(workspace, EvaluateModel(trained.id))["run"]
    temperature = temperature_of(workspace, trained)
    do(workspace, PlanTriage(trained.id))  # there is nothing to route, but it has looked
    newest, earlier = runs.list_runs(workspace, "evaluation")
    assert (newest.config["average_flips"], earlier.id) == (True, shown)
    found = newest_evaluation(workspace, trained)
    assert found is not None
    assert found.run.id == shown
    assert temperature_of(workspace, trained) == temperature
    averaged, once = (runs.get_run(workspace, each.parent_id or "") for each in (newest, earlier))
    vectors = [runs.load_array(workspace, each, "vectors") for each in (averaged, once)]
    # Flat colours look alike however they are flipped.
    np.testing.assert_allclose(*vectors, rtol=0.05, atol=0.05)


def test_a_space_that_was_not_embedded_before_is_refused_where_its_weights_are_gone(
    workspace: Workspace, trained: Model
) -> None:
    other = keep_weights(workspace, trained)
    job = do(workspace, CompareMaps(other.id, method="pca"))
    assert job.status == "failed"
    assert "no longer here" in job.error["title"]


def keep_weights(workspace: Workspace, model: Model) -> Model:
    """The same model, said to have begun with weights that are nowhere."""
    with models.new_folder(workspace) as written:
        for file in models.folder(workspace, model.id).iterdir():
            (written / file.name).write_bytes(file.read_bytes())
        return models.add_model(
            workspace,
            written,
            backbone=model.backbone,
            mode=model.mode,
            classes=model.classes,
            config=model.config,
            result={"weights": {"sha256": "f" * 64}},
            weights_sha256=model.weights_sha256,
            start_from=None,
            notes="",
            actor="tester",
            job_id=None,
        )
