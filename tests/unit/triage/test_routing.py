"""The sure images are labelled by the model, the doubtful and the strange ones go to people."""

import numpy as np
import pytest

from core.triage.routing import RiskPlan, Scores, fit_scale, plan_by_risk


def scores(*pairs: tuple[float, float]) -> Scores:
    confidence, novelty = np.array(pairs, float).reshape(-1, 2).T
    return Scores(confidence, novelty)


def even(n: int) -> Scores:
    """Images from the least to the most sure, the surest the most familiar."""
    return Scores(np.linspace(0, 1, n), np.linspace(1, 0, n))


def plan(*, max_error: float = 0.05, n_calibration: int = 400, images: Scores) -> RiskPlan:
    """The least sure fifth of the calibration images is wrong."""
    return plan_by_risk(
        even(100),
        even(n_calibration),
        np.arange(n_calibration) < n_calibration / 5,
        images,
        max_error=max_error,
        delta=0.05,
    )


def test_an_image_is_as_sure_as_the_worse_of_its_two_ranks() -> None:
    scale = fit_scale(scores((0.2, 9), (0.4, 7), (0.6, 5), (0.8, 3)))
    measured = scale.measure(scores((0.9, 1), (0.9, 8), (0.5, 1), (0.1, 1)))
    assert measured.tolist() == [1.0, 0.25, 0.5, 0.0]


def test_a_sure_answer_about_a_strange_image_goes_to_people() -> None:
    found = plan(images=scores((0.9, 0.1), (0.9, 5.0), (0.05, 0.1)))
    assert found.is_auto.tolist() == [True, False, False]


def test_a_stricter_promise_labels_no_more() -> None:
    found = plan(images=even(200))
    shares = [point.auto_share for point in found.curve]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1.0
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


def test_no_images_are_routed_nowhere() -> None:
    found = plan(images=Scores(np.empty(0), np.empty(0)))
    assert found.is_auto.shape == (0,)
    assert {point.auto_share for point in found.curve} == {0.0}


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
