"""The sure images are labelled by the model, the doubtful and the strange ones go to people."""

import numpy as np
import pytest

from core.triage.routing import (
    THRESHOLDS,
    RiskPlan,
    Scores,
    SurenessScale,
    fit_scale,
    plan_by_risk,
)


def scores(*pairs: tuple[float, float]) -> Scores:
    confidence, novelty = np.array(pairs, float).reshape(-1, 2).T
    return Scores(confidence, novelty)


def even(n: int) -> Scores:
    """Images from the least to the most sure, the surest the most familiar."""
    return Scores(np.linspace(0, 1, n), np.linspace(1, 0, n))


def plan(
    *,
    max_error: float = 0.05,
    n_calibration: int = 400,
    images: Scores,
    for_people: np.ndarray | None = None,
) -> RiskPlan:
    """The least sure fifth of the calibration images is wrong."""
    return plan_by_risk(
        even(100),
        even(n_calibration),
        np.arange(n_calibration) < n_calibration / 5,
        images,
        max_error=max_error,
        delta=0.05,
        for_people=for_people,
    )


def test_sureness_is_the_confidence_times_the_density_at_the_distance() -> None:
    scale = fit_scale(scores((0.9, 1), (0.9, 2), (0.9, 6)))  # 2 is usual
    measured = scale.measure(scores((0.8, 0), (0.8, 2), (1.0, 4), (0.5, 4)))
    expected = [0.8, 0.8 * np.exp(-0.5), np.exp(-2.0), 0.5 * np.exp(-2.0)]
    np.testing.assert_allclose(measured, expected)


def test_images_in_the_tail_beyond_all_reference_images_are_still_told_apart() -> None:
    scale = fit_scale(scores((0.99, 1), (0.99, 2), (0.99, 3)))
    nearer, farther = scale.measure(scores((0.9, 4), (0.9, 5)))
    assert nearer > farther > 0


def test_what_is_for_people_is_labelled_at_no_price() -> None:
    for_people = np.arange(50) == 49  # the surest
    free = plan(images=even(50))
    held = plan(images=even(50), for_people=for_people)
    assert held.is_auto.tolist() == (free.is_auto & ~for_people).tolist()
    assert free.is_auto[49]
    lost = [a.auto_share - b.auto_share for a, b in zip(free.curve, held.curve, strict=True)]
    assert {round(each, 9) for each in lost} == {0.0, 0.02}


def test_a_scale_made_again_from_what_is_kept_measures_the_same() -> None:
    found = plan(images=even(50))
    again = SurenessScale(found.scale.confidences.copy(), found.scale.familiarities.copy())
    assert again.measure(even(50)).tolist() == found.sureness.tolist()


def test_where_all_reference_images_lie_in_the_middle_all_others_are_strange() -> None:
    scale = fit_scale(scores((1, 0), (1, 0)))
    assert scale.measure(scores((1, 0), (1, 1e-3))).tolist() == [1.0, 0.0]


def test_what_lies_beyond_all_thresholds_is_never_labelled() -> None:
    reference = scores(*[(1.0, 1.0)] * 100)
    found = plan_by_risk(
        reference,
        scores(*[(1.0, 9.0)] * 400),
        np.zeros(400, bool),
        scores((1.0, 9.0)),
        max_error=0.05,
        delta=0.05,
    )
    assert not found.is_auto.any()
    assert list(THRESHOLDS) == sorted(THRESHOLDS, reverse=True)
    assert 0 < THRESHOLDS.min() < THRESHOLDS.max() < 1


def test_a_sure_answer_about_a_strange_image_goes_to_people() -> None:
    found = plan(images=scores((0.9, 0.1), (0.9, 5.0), (0.02, 0.1)))
    assert found.is_auto.tolist() == [True, False, False]


def test_a_stricter_promise_labels_no_more() -> None:
    found = plan(images=even(200))
    shares = [point.auto_share for point in found.curve]
    assert shares == sorted(shares)
    assert shares[0] < 0.9 < shares[-1]
    errors = [point.max_error for point in found.curve]
    assert errors == sorted(errors)


def test_the_plan_keeps_what_is_promised_on_images_like_the_calibration() -> None:
    found = plan(images=even(400))
    wrong = np.arange(400) < 80
    assert found.promise.is_feasible
    assert wrong[found.is_auto].mean() <= 0.05
    assert found.is_auto.mean() > 0.75


def test_an_infeasible_promise_labels_nothing() -> None:
    found = plan(max_error=0.001, n_calibration=50, images=even(20))
    assert not found.promise.is_feasible
    assert not found.is_auto.any()
    assert found.promise.n_needed > 50


def test_without_images_the_calibration_images_tell_the_price() -> None:
    found = plan(images=Scores(np.empty(0), np.empty(0)))
    assert found.is_auto.shape == (0,)
    assert found.auto_share == found.promise.n_accepted / found.promise.n_calibration
    assert found.auto_share in {point.auto_share for point in found.curve}


def test_without_a_reference_there_is_no_scale() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_scale(Scores(np.empty(0), np.empty(0)))


@pytest.mark.parametrize(
    ("confidence", "novelty", "said"),
    [(np.zeros(2), np.zeros(3), "one length"), (np.array([np.nan]), np.zeros(1), "confidence")],
)
def test_scores_that_do_not_fit_are_refused(
    confidence: np.ndarray, novelty: np.ndarray, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Scores(confidence, novelty)
