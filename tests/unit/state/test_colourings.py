"""What a map is coloured by, and what its hover card says."""

import os

import numpy as np
import pytest

from core.annotations import Box, Crop
from core.errors import OperatorError
from core.state import cards, catalog, labels, runs, selections
from core.state.cluster_names import name_cluster
from core.state.colourings import (
    NO_CATEGORY,
    Category,
    clusterings_of,
    colour,
    list_colourings,
)
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.factories import fill, new_image


@pytest.fixture
def ids(workspace: Workspace) -> np.ndarray:
    """A scratch, two dirts, and one without label, attributes or quality."""
    measured = dict.fromkeys(catalog.QUALITY_MEASURES, 0.5)
    return np.array(
        fill(
            workspace,
            new_image(1, label="scratch", split="test", quality=measured | {"contrast": 0.1}),
            new_image(2, label="dirt", split="train", attributes={"line": "A", "mm": 2.0}),
            new_image(3, label="dirt", split="train", attributes={"line": "", "mm": 3.0}),
            new_image(4, quality=measured | {"contrast": 0.9}),
        )
    )


def _run(workspace: Workspace, kind: str, parent: Run | None, **arrays: np.ndarray) -> Run:
    id = runs.run_id(kind, {"parent": parent.id if parent else None})
    with runs.new_artefact(workspace, kind, id) as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
    return runs.add_run(
        workspace,
        id=id,
        kind=kind,
        parent_id=parent.id if parent else None,
        config={"space": "latent"},
        result={"n_clusters": 2},
        n_images=3,
        actor="eve",
        job_id=None,
    )


@pytest.fixture
def clustering(workspace: Workspace, ids: np.ndarray) -> Run:
    """Images 1 to 3 in two clusters, of an embedding that knows no image 4."""
    embedding = _run(workspace, "embedding", None)
    return _run(
        workspace,
        "clustering",
        embedding,
        image_ids=ids[:3],
        labels=np.array([1, 0, 1]),
        distances=np.array([0.5, 0.25, 1.5], np.float32),
    )


def test_labels_keep_the_places_of_their_classes(workspace: Workspace, ids: np.ndarray) -> None:
    labels.relabel(workspace, ids[1:3].tolist(), "drop", actor="eve")
    shown = colour(workspace, ids, "label")
    assert shown.categories == (
        Category("scratch", 1, 1),
        Category("drop", 2, 2),
        Category("none", None, 1),
    )
    assert shown.values.tolist() == [0, 1, 1, 2]
    assert shown.values.dtype == np.uint8
    assert not shown.is_score


def test_values_follow_the_order_of_the_ids(workspace: Workspace, ids: np.ndarray) -> None:
    shown = colour(workspace, ids[::-1], "split")
    names = [shown.categories[value].name for value in shown.values]
    assert names == ["none", "train", "train", "test"]


def test_noise_is_a_category_of_its_own_and_takes_no_colour(
    workspace: Workspace, ids: np.ndarray
) -> None:
    embedding = _run(workspace, "embedding", None)
    clustering = _run(
        workspace,
        "clustering",
        embedding,
        image_ids=ids[:3],
        labels=np.array([-1, 0, 0]),
        distances=np.array([np.nan, 0.25, 1.5], np.float32),
    )
    shown = colour(workspace, ids, f"cluster:{clustering.id}")
    assert shown.categories == (
        Category("0", 0, 2),
        Category("noise", None, 1),
        Category("none", None, 1),
    )
    assert shown.values.tolist() == [1, 0, 0, 2]


def test_a_name_stands_beside_the_clusters_number_and_keeps_its_colour(
    workspace: Workspace, ids: np.ndarray, clustering: Run
) -> None:
    before = colour(workspace, ids, f"cluster:{clustering.id}")
    name_cluster(workspace, clustering.id, 1, "long scratches")
    shown = colour(workspace, ids, f"cluster:{clustering.id}")
    assert [each.name for each in shown.categories] == ["0", "1 · long scratches", "none"]
    assert [each.place for each in shown.categories] == [each.place for each in before.categories]
    assert shown.values.tolist() == before.values.tolist()


def test_anomaly_scores_and_purity_colour_a_map(workspace: Workspace, ids: np.ndarray) -> None:
    embedding = _run(workspace, "embedding", None)
    scores = np.array([0.1, 0.2, 0.9], np.float32)
    anomalies = _run(workspace, "anomalies", embedding, image_ids=ids[:3], scores_knn=scores)
    layout = _run(workspace, "layout", embedding, image_ids=ids[:3], purity=scores[::-1])
    listed = list_colourings(workspace, embedding)
    name = f"anomaly-knn:{anomalies.id}"
    assert listed[name] == "Anomaly: distance to the nearest"
    assert f"purity:{layout.id}" in listed
    shown = colour(workspace, ids, name)
    np.testing.assert_array_equal(shown.values, [*scores, np.nan])
    assert colour(workspace, ids[:1], f"purity:{layout.id}").values == scores[2]
    runs.delete_run(workspace, anomalies.id)
    with pytest.raises(OperatorError, match="has been deleted"):
        colour(workspace, ids, name)


def test_a_score_has_its_range_and_nan_where_there_is_none(
    workspace: Workspace, ids: np.ndarray
) -> None:
    shown = colour(workspace, ids, "contrast")
    np.testing.assert_array_equal(shown.values, np.array([0.1, np.nan, np.nan, 0.9], np.float32))
    assert (shown.low, shown.high) == pytest.approx((0.1, 0.9))
    empty = colour(workspace, ids[1:3], "contrast")
    assert (empty.low, empty.high) == (0.0, 0.0)


def test_a_column_of_numbers_is_a_score_and_one_of_words_a_legend(
    workspace: Workspace, ids: np.ndarray
) -> None:
    assert colour(workspace, ids[1:3], "attribute:mm").values.tolist() == [2.0, 3.0]
    words = colour(workspace, ids, "attribute:line")
    assert [words.categories[value].name for value in words.values] == ["none", "A", "", "none"]


def test_being_excluded_or_queued_is_yes_or_no(workspace: Workspace, ids: np.ndarray) -> None:
    labels.set_queued(workspace, ids[:1].tolist(), True, actor="eve")
    shown = colour(workspace, ids, "queued")
    assert shown.categories == (Category("no", 0, 3), Category("yes", 1, 1))
    assert shown.values.tolist() == [1, 0, 0, 0]
    assert NO_CATEGORY not in shown.values


def test_clusters_are_numbered_and_images_outside_have_none(
    workspace: Workspace, ids: np.ndarray, clustering: Run
) -> None:
    shown = colour(workspace, ids, f"cluster:{clustering.id}")
    assert [(c.name, c.place, c.count) for c in shown.categories] == [
        ("0", 0, 1),
        ("1", 1, 2),
        ("none", None, 1),
    ]
    assert shown.values.tolist() == [1, 0, 1, 2]
    distances = colour(workspace, ids, f"distance:{clustering.id}").values
    np.testing.assert_array_equal(distances, np.array([0.5, 0.25, 1.5, np.nan], np.float32))


def test_more_words_than_a_legend_holds_end_in_other(workspace: Workspace) -> None:
    several = [new_image(n, attributes={"panel": f"p{n // 2:03}"}) for n in range(200)]
    ids = np.array(fill(workspace, *several))
    shown = colour(workspace, ids, "attribute:panel")
    assert shown.categories[-1] == Category("other or none", None, 80)
    assert sum(category.count for category in shown.categories) == 200
    assert int(shown.values.max()) == len(shown.categories) - 1


def test_every_listed_colouring_can_be_shown(
    workspace: Workspace, ids: np.ndarray, clustering: Run
) -> None:
    embedding = runs.get_run(workspace, clustering.parent_id or "")
    assert clusterings_of(workspace, embedding) == [clustering]
    listed = list_colourings(workspace, embedding)
    assert {"label", "split", f"cluster:{clustering.id}", "attribute:mm"} < set(listed)
    for name in listed:
        assert len(colour(workspace, ids, name).values) == len(ids)


def test_a_colouring_that_is_gone_or_never_was_is_told(
    workspace: Workspace, ids: np.ndarray, clustering: Run
) -> None:
    runs.delete_run(workspace, clustering.id)
    with pytest.raises(OperatorError, match="has been deleted"):
        colour(workspace, ids, f"cluster:{clustering.id}")
    with pytest.raises(ValueError, match="'mood' is no column"):
        colour(workspace, ids, "mood")


def test_a_card_says_what_is_known_of_an_image(
    workspace: Workspace, ids: np.ndarray, clustering: Run
) -> None:
    projection = _run(workspace, "projection", runs.get_run(workspace, clustering.parent_id or ""))
    second = int(ids[1])
    labels.relabel(workspace, [second], "drop", actor="eve")
    labels.set_excluded(workspace, [second], True, actor="eve")
    catalog.set_conditions(workspace, {second: "missing"})
    card = cards.describe_image(
        workspace, second, projection=projection.id, colouring="attribute:mm"
    )
    assert card == {
        "title": "00002.png",
        "rows": [
            ["Label", "drop (by a person)"],
            ["Split", "train"],
            ["Cluster", "0"],
            ["Distance to centre", "0.25"],
            ["Training", "excluded"],
            ["line", "A"],
            ["mm", "2"],
            ["Size", "64 x 48"],
            ["File", "missing"],
        ],
        "size": [64, 48],
        "boxes": [],
    }


def test_a_card_says_what_is_drawn_and_where_it_was_cut_out(workspace: Workspace) -> None:
    dirt, drop = Box("dirt", 1, 2, 3, 4), Box("drop", 5, 6, 7, 8)
    crop = Crop("panel.jpg", "ab", 10, 20, 30, 40)
    [image_id] = fill(workspace, new_image(1, boxes=(dirt, dirt, drop), crop=crop))
    card = cards.describe_image(workspace, image_id)
    assert ["Boxes", "2 x dirt, drop"] in card["rows"]
    assert ["Cut out of", "panel.jpg"] in card["rows"]
    assert ["Place there", "30 x 40 at 10, 20"] in card["rows"]
    assert card["boxes"][2] == {"label": "drop", "x": 5, "y": 6, "width": 7, "height": 8}


def test_a_card_passes_over_a_colouring_that_is_gone(workspace: Workspace, ids: np.ndarray) -> None:
    card = cards.describe_image(workspace, int(ids[3]), projection="gone", colouring="cluster:gone")
    assert card["rows"] == [["Label", "unlabelled"], ["Split", "none"], ["Size", "64 x 48"]]
    with pytest.raises(OperatorError, match="no image 999"):
        cards.describe_image(workspace, 999)


def test_a_selection_is_kept_by_its_content(workspace: Workspace) -> None:
    name = selections.save_selection(workspace, np.array([3, 1, 2, 3]))
    assert name == selections.save_selection(workspace, np.array([1, 2, 3]))
    assert name != selections.save_selection(workspace, np.array([1, 2]))
    loaded = selections.load_selection(workspace, name)
    assert loaded.tolist() == [1, 2, 3]
    assert loaded.dtype == np.int64
    empty = selections.save_selection(workspace, np.array([], int))
    assert selections.load_selection(workspace, empty).size == 0


def test_the_oldest_selections_are_dropped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "_KEPT", 3)
    folder = workspace.folder("selections")
    names = []
    for number in range(5):
        names.append(selections.save_selection(workspace, np.array([number])))
        os.utime(folder / names[-1], (number, number))
    assert {path.name for path in folder.iterdir()} == set(names[2:])


@pytest.mark.parametrize("name", ["0" * 32, "../workspace.json", "", "."])
def test_a_selection_that_is_not_kept_is_told(workspace: Workspace, name: str) -> None:
    selections.save_selection(workspace, np.array([1]))
    with pytest.raises(OperatorError, match="no longer kept"):
        selections.load_selection(workspace, name)
