"""The random sample of what people judged: the same answer every time, and the share it says."""

import pytest

from core.triage.random_sample import is_drawn

IMAGES = [f"{number:064x}" for number in range(4_000)]


def drawn(plan: str, share: float) -> set[str]:
    return {sha256 for sha256 in IMAGES if is_drawn(sha256, plan, share)}


def test_the_share_is_kept_and_the_draw_is_the_same_again() -> None:
    found = drawn("plan", 0.1)
    assert 340 <= len(found) <= 460  # 400, within three standard deviations
    assert drawn("plan", 0.1) == found


def test_none_and_all_are_drawn_at_the_ends() -> None:
    assert drawn("plan", 0.0) == set()
    assert drawn("plan", 1.0) == set(IMAGES)


def test_a_larger_share_draws_more_of_the_same_and_another_plan_others() -> None:
    assert drawn("plan", 0.1) < drawn("plan", 0.2)
    both = drawn("plan", 0.5) & drawn("another", 0.5)
    assert 870 <= len(both) <= 1_130  # a quarter, as two independent draws have


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        is_drawn(IMAGES[0], "plan", share)
