"""Cards tell what the model found of an image, and where it stands in each order."""

import numpy as np

from core.triage.cards import Labelled, make_cards

CLASSES = ("dirt", "drop", "scratch", "watermark")


def test_a_card_has_the_three_surest_classes_and_the_nearest_labelled_images() -> None:
    features = np.array([[1.0, 0.0], [0.0, 1.0]])
    probabilities = np.array([[0.1, 0.5, 0.3, 0.1], [0.0, 0.02, 0.0, 0.98]])
    labelled = Labelled(np.array([10, 11, 12]), np.array([[1.0, 0.1], [0.1, 1.0], [0.7, 0.7]]))
    doubtful, sure = make_cards(
        np.array([1, 2]), features, probabilities, CLASSES, labelled, novelty=None, seed=0
    )
    assert doubtful.suggested == "drop"
    assert doubtful.top == (("drop", 0.5), ("scratch", 0.3), ("dirt", 0.1))
    assert doubtful.nearest == (10, 12, 11)
    assert doubtful.by_uncertainty < sure.by_uncertainty
    assert doubtful.novelty is None


def test_an_image_that_is_labelled_itself_is_not_its_own_neighbour() -> None:
    features = np.eye(3)
    (card,) = make_cards(
        np.array([5]),
        features[:1],
        np.array([[0.6, 0.4]]),
        CLASSES[:2],
        Labelled(np.array([5, 6, 7]), features),
        novelty=np.array([0.4]),
        seed=0,
    )
    assert set(card.nearest) == {6, 7}
    assert card.novelty == 0.4


def test_without_labelled_images_a_card_has_no_neighbours_and_no_images_have_no_cards() -> None:
    nothing = Labelled(np.zeros(0, np.int64), np.zeros((0, 2)))
    one, _ = make_cards(
        np.array([1, 2]),
        np.eye(2),
        np.full((2, 2), 0.5),
        CLASSES[:2],
        nothing,
        novelty=None,
        seed=0,
    )
    assert one.nearest == ()
    nobody = np.zeros(0, np.int64)
    assert not make_cards(
        nobody, np.zeros((0, 2)), np.zeros((0, 2)), CLASSES[:2], nothing, novelty=None, seed=0
    )
