"""The nearest images are found, of all and of one label, and never the image itself."""

import numpy as np
import pytest

from core.latent.neighbors import nearest, nearest_among, nearest_of_label

# Directions at 0, 10, 20, 90 and 100 degrees.
ANGLES = np.radians([0, 10, 20, 90, 100])
VECTORS = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)]).astype(np.float32)
LABELS = ["a", "a", "b", "b", None]


def test_the_nearest_come_first_and_the_image_itself_never():
    rows, distances = nearest(VECTORS, 1, n_neighbors=3)
    assert rows.tolist()[-1] == 3
    assert set(rows.tolist()) == {0, 2, 3}
    np.testing.assert_allclose(distances[0], 1 - np.cos(np.radians(10)), atol=1e-6)


def test_an_image_alone_has_no_neighbours():
    rows, distances = nearest(VECTORS[:1], 0, n_neighbors=3)
    assert len(rows) == len(distances) == 0


def test_neighbours_of_a_label_are_its_images_only():
    found, distances = nearest_of_label(
        VECTORS, np.array([1, 4]), ["b", "a"], LABELS, n_neighbors=2
    )
    np.testing.assert_array_equal(found, [[2, 3], [1, 0]])
    np.testing.assert_allclose(distances[0], 1 - np.cos(np.radians([10, 80])), atol=1e-6)


def test_a_label_with_too_few_images_leaves_places_empty():
    found, distances = nearest_of_label(
        VECTORS, np.array([0, 3]), ["a", "nowhere"], LABELS, n_neighbors=2
    )
    np.testing.assert_array_equal(found, [[1, -1], [-1, -1]])
    assert np.isnan(distances[found < 0]).all()


def test_neighbours_of_no_rows_are_none():
    found, _ = nearest_of_label(VECTORS, np.array([], np.int64), [], LABELS, n_neighbors=2)
    assert found.shape == (0, 2)


@pytest.mark.parametrize(
    ("rows", "wanted", "labels", "n", "message"),
    [
        ([0], [], LABELS, 1, "1 rows, but 0 wanted labels"),
        ([0], ["a"], ["a"], 1, "1 labels, but 5 vectors"),
        ([5], ["a"], LABELS, 1, r"rows must lie in \[0, 4\]"),
        ([0], ["a"], LABELS, 0, "n_neighbors must be at least 1, got 0"),
    ],
)
def test_wrong_calls_are_refused(rows, wanted, labels, n, message):
    with pytest.raises(ValueError, match=message):
        nearest_of_label(VECTORS, np.array(rows), wanted, labels, n_neighbors=n)


def test_the_nearest_among_known_images_come_in_order_with_their_distances() -> None:
    known = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    rows, distances = nearest_among(np.array([[3.0, 0.0], [0.0, 1.0]]), known, n_neighbors=2)
    assert rows.tolist() == [[0, 2], [1, 2]]
    assert distances == pytest.approx(np.array([[0.0, 1 - 2**-0.5]] * 2), abs=1e-6)


def test_fewer_known_images_than_asked_for_are_all_given() -> None:
    rows, distances = nearest_among(np.eye(3), np.eye(3)[:1], n_neighbors=5)
    assert rows.shape == distances.shape == (3, 1)
    assert nearest_among(np.eye(3), np.zeros((0, 3)), n_neighbors=5)[0].shape == (3, 0)
    with pytest.raises(ValueError, match="n_neighbors"):
        nearest_among(np.eye(3), np.eye(3), n_neighbors=0)
