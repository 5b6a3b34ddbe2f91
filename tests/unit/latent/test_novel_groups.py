"""Strange images are found and grouped; what is known is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.latent.novel_groups import MIN_GROUP, find_novel_groups
from tests.blobs import spots


@pytest.fixture
def space() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Three known classes of 60, and images to look at: 40 of them and two spots of 15 and 8."""
    vectors = spots(80, 80, 80, 15, 8)
    classes = np.repeat([0, 1, 2, 3, 4], [80, 80, 80, 15, 8])
    is_known = (classes < 3) & (np.arange(len(classes)) % 80 < 60)
    return vectors[is_known], classes[is_known], vectors[~is_known], classes[~is_known]


def test_two_unknown_kinds_become_two_groups_the_larger_first(space):
    known, targets, images, classes = space
    found = find_novel_groups(images, known, targets)
    for number, kind in ((0, 3), (1, 4)):
        assert (classes[found.groups == number] == kind).all()
        assert (found.groups == number).sum() >= 0.8 * (classes == kind).sum()
    assert (classes[found.groups > 1] < 3).all()  # odd images of a known class may be alike
    assert found.n_known == len(known)


def test_few_known_images_are_called_strange_and_as_few_as_is_asked_for(space):
    known, targets, images, classes = space
    found = find_novel_groups(images, known, targets, most_known=0.05)
    of_known = classes < 3
    assert (found.groups[of_known] > -2).mean() <= 0.15
    assert (found.known_share[classes == 3] == 0).all()
    assert ((found.groups > -2) == (found.known_share <= 0.05)).all()


@given(n=st.integers(0, 12), seed=st.integers(0, 3))
def test_every_image_has_a_group_of_at_least_the_smallest_size_or_none(n, seed):
    rng = np.random.default_rng(seed)
    known, targets = rng.normal(size=(20, 5)), np.arange(20) % 2
    found = find_novel_groups(rng.normal(0, 9, (n, 5)), known, targets, seed=seed)
    assert found.groups.shape == found.novelty.shape == found.known_share.shape == (n,)
    sizes = np.bincount(found.groups[found.groups >= 0]) if (found.groups >= 0).any() else []
    assert all(size >= MIN_GROUP for size in sizes)
    assert list(sizes) == sorted(sizes, reverse=True)


def test_too_little_to_go_by_is_said(space):
    known, targets, images, _ = space
    with pytest.raises(ValueError, match="at least 10 known images, got 9"):
        find_novel_groups(images, known[:9], targets[:9])
    with pytest.raises(ValueError, match="most_known must lie in"):
        find_novel_groups(images, known, targets, most_known=1.0)
