"""The mixed cluster is known by what it holds, and is applied as it was fitted."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from core.errors import OperatorError
from core.learning.mixed_cluster import ClusterRule, apply_cluster_rule, fit_cluster_rule
from core.vocabulary import MULTIPLE

NAMES = ("dirt", "drop", "scratch")
CORNERS = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])


def images(sizes: tuple[int, int, int, int], *, seed: int = 0) -> np.ndarray:
    """Points around four corners, so many each."""
    places = np.repeat(CORNERS, sizes, axis=0)
    return places + np.random.default_rng(seed).normal(0, 0.3, (sum(sizes), 2))


@pytest.fixture
def validation() -> tuple[np.ndarray, list[str | None]]:
    """Three pure clusters of 20, and one of 8 that holds a bit of everything."""
    labels = ["dirt"] * 20 + ["drop"] * 20 + ["scratch"] * 20
    mixed = [MULTIPLE] * 4 + ["crater", "dirt", "drop", "drop"]
    return images((20, 20, 20, 8)), [*labels, *mixed]


def test_the_mixed_cluster_goes_to_the_operator_and_the_others_are_labelled(validation) -> None:
    features, labels = validation
    rule = fit_cluster_rule(features, labels, NAMES)
    routed = apply_cluster_rule(rule, features, labels)
    assert routed.routes == ("auto",) * 60 + ("operator",) * 8
    assert routed.auto_labels == (*labels[:60], *[None] * 8)
    assert set(routed.cluster_labels[60:]) == {rule.mixed}
    measure = routed.measure
    assert (measure.mixed_share.value, measure.mixed_share.n) == (8 / 68, 68)
    assert (measure.auto_error.value, measure.auto_error.n) == (0, 60)
    mixed = measure.clusters[rule.mixed]
    assert mixed.labels == ((MULTIPLE, 4), ("drop", 2), ("crater", 1), ("dirt", 1))
    assert (mixed.name, mixed.purity.value, mixed.is_mixed) == ("drop", 2 / 8, True)
    assert rule.p_value < 1e-4
    assert measure.notes == ()


def test_it_is_found_whatever_its_number_and_its_size(validation) -> None:
    sizes = (8, 9, 10, 40)  # now the mixed one is the largest, number 0
    labels = ["dirt"] * 8 + ["drop"] * 9 + ["scratch"] * 10 + [MULTIPLE, "dirt"] * 20
    rule = fit_cluster_rule(images(sizes), labels, NAMES)
    assert rule.mixed == 0
    features, labels = validation
    assert fit_cluster_rule(features, labels, NAMES).mixed == 3


def test_agreement_is_scikit_learns_with_all_unknown_labels_as_one(validation) -> None:
    features, labels = validation
    labels[0] = None
    measure = apply_cluster_rule(
        fit_cluster_rule(features, labels, NAMES), features, labels
    ).measure
    found = KMeans(4, n_init=10, random_state=0).fit_predict(features)
    united = ["unknown" if label in (MULTIPLE, "crater") else label for label in labels]
    assert measure.adjusted_rand_index == pytest.approx(adjusted_rand_score(united[1:], found[1:]))
    assert (measure.n_labelled, measure.n_images) == (67, 68)


def test_new_images_go_by_the_centres_that_were_fitted_and_errors_are_counted(validation) -> None:
    rule = fit_cluster_rule(*validation, NAMES)
    truth = ["dirt", "drop", MULTIPLE, None, "scratch", "dirt"]
    features = CORNERS[[0, 1, 1, 1, 3, 1]] + 0.4
    routed = apply_cluster_rule(rule, features, truth)
    assert routed.auto_labels == ("dirt", "drop", "drop", "drop", None, "drop")
    # `multiple` and the dirt among the drops are wrong; the image without a label is not judged
    assert (routed.measure.auto_error.value, routed.measure.auto_error.n) == (2 / 4, 4)
    assert routed.measure.mixed_share.value == 1 / 6
    blind = apply_cluster_rule(rule, features)
    assert blind.routes == routed.routes
    assert blind.measure.auto_error.why == "No image labelled automatically has a label."
    assert blind.measure.adjusted_rand_index is None


def test_a_rule_that_was_stored_does_the_same(validation, tmp_path) -> None:
    features, labels = validation
    rule = fit_cluster_rule(features, labels, NAMES)
    np.save(tmp_path / "centers.npy", rule.centers)
    values = json.loads(json.dumps({"names": rule.names, "mixed": rule.mixed}))
    centers = np.load(tmp_path / "centers.npy", allow_pickle=False)
    again = ClusterRule(centers, tuple(values["names"]), values["mixed"], None, NAMES, 0)
    assert apply_cluster_rule(again, features).routes == apply_cluster_rule(rule, features).routes


def test_where_all_clusters_are_equally_pure_none_is_mixed() -> None:
    labels = ["dirt"] * 12 + ["drop"] * 10 + ["scratch"] * 16  # dirt and drop, and scratch in two
    rule = fit_cluster_rule(images((12, 10, 8, 8)), labels, NAMES)
    assert (rule.mixed, rule.p_value) == (None, None)
    measure = apply_cluster_rule(rule, images((12, 10, 8, 8)), labels).measure
    assert (measure.mixed_share.value, measure.operator_share.value) == (0, 0)
    assert measure.notes == ("No cluster is mixed: on the validation images all are equally pure.",)


def test_of_two_that_are_equally_impure_the_larger_is_mixed() -> None:
    labels = ["dirt"] * 20 + ["drop"] * 18 + ["scratch", MULTIPLE] * 2 + ["scratch", MULTIPLE] * 5
    rule = fit_cluster_rule(images((20, 18, 4, 10)), labels, NAMES)
    assert rule.assign(CORNERS[3:])[0] == rule.mixed


def test_a_cluster_that_is_mixed_by_chance_says_so() -> None:
    labels = ["dirt"] * 30 + ["drop"] * 29 + ["scratch"] * 27 + ["scratch"] * 24 + ["drop"]
    features = images((30, 29, 27, 25))
    rule = fit_cluster_rule(features, labels, NAMES)
    assert rule.assign(CORNERS[3:])[0] == rule.mixed
    assert rule.p_value == pytest.approx(25 / 111 * 4)
    (note,) = apply_cluster_rule(rule, features, labels).measure.notes
    assert note.endswith("by no more than chance would give (p = 0.90).")


def test_a_cluster_without_any_class_goes_to_the_operator() -> None:
    labels = ["dirt"] * 10 + ["drop"] * 9 + [MULTIPLE] * 8 + [None] * 7
    rule = fit_cluster_rule(images((10, 9, 8, 7)), labels, NAMES)
    assert rule.names == ("dirt", "drop", None, None)
    assert rule.mixed == 2  # nothing in it is of a class; the last has no purity at all
    measure = apply_cluster_rule(rule, images((10, 9, 8, 7)), labels).measure
    assert measure.mixed_share.value == 8 / 34
    assert measure.operator_share.value == 15 / 34
    assert measure.notes == (
        "No cluster labels images automatically as scratch.",
        "Clusters without a labelled validation image of any class, which go to the operator: 1.",
    )


def test_too_few_images_and_arrays_that_do_not_match_are_refused() -> None:
    with pytest.raises(OperatorError, match="3 validation images cannot form 4 clusters"):
        fit_cluster_rule(np.ones((3, 2)), ["dirt"] * 3, NAMES)
    with pytest.raises(ValueError, match="4 rows of features, but 3 labels"):
        fit_cluster_rule(np.ones((4, 2)), ["dirt"] * 3, NAMES)
    with pytest.raises(ValueError, match="at least one class"):
        fit_cluster_rule(np.ones((4, 2)), ["dirt"] * 4, ())
    rule = ClusterRule(np.zeros((2, 5), np.float32), ("dirt", None), None, None, ("dirt",), 0)
    with pytest.raises(ValueError, match=r"shape \(n_images, 5\), got \(1, 2\)"):
        apply_cluster_rule(rule, np.ones((1, 2)))
    nothing = apply_cluster_rule(rule, np.ones((0, 5)))
    assert nothing.measure.mixed_share.why == "There are no images."


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_no_features_and_no_labels_give_nan(data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 10))
    features = data.draw(arrays(np.float32, (n, 2), elements=st.integers(-2, 2)))
    labels = data.draw(
        st.lists(st.sampled_from([None, "", MULTIPLE, *NAMES]), min_size=n, max_size=n)
    )
    rule = fit_cluster_rule(features, labels, NAMES)
    routed = apply_cluster_rule(rule, features, labels)
    measure = routed.measure
    purities = [each.purity.value for each in measure.clusters if each.purity.value is not None]
    if rule.mixed is None:
        assert len(set(purities)) < 2
    else:
        assert measure.clusters[rule.mixed].purity.value == min(purities) < max(purities)
        assert 0 <= rule.p_value <= 1
    assert sum(each.n_images for each in measure.clusters) == n
    for route, label in zip(routed.routes, routed.auto_labels, strict=True):
        assert (route == "auto") == (label is not None)
    json.dumps(asdict(measure), allow_nan=False)
