"""Why an image is in front of a person: said from scores alone, so that checks stay unseen."""

from dataclasses import dataclass, replace

import pytest

from core.triage.wording import BLIND, describe_scores, label_name, why_here


@dataclass(frozen=True)
class Item:
    kind: str = "ambiguous"
    reason: str = ""
    is_blind: bool = False
    opinion: int = 1
    top: tuple[tuple[str, float], ...] = (("scratch", 0.54), ("drop", 0.41), ("dirt", 0.05))
    novelty: float | None = 0.4


def test_an_image_between_two_classes_names_both() -> None:
    assert why_here(Item()) == "Looks like scratch 0.54 and drop 0.41."


def test_an_image_of_a_class_that_is_sure_names_it_alone() -> None:
    assert describe_scores([("scratch", 0.93), ("drop", 0.07)]) == "scratch 0.93"


@pytest.mark.parametrize(
    ("novelty", "share"),
    [(0.99, "99% of the validation images"), (1.0, "all validation images")],
)
def test_a_strange_image_is_told_by_how_far_it_lies(novelty: float, share: str) -> None:
    expected = f"Far from everything labelled: farther than {share}; nearest to scratch."
    assert why_here(Item(novelty=novelty)) == expected


def test_a_picked_image_gives_the_reason_of_whoever_picked_it() -> None:
    assert why_here(Item(kind="picked", reason="odd streak")) == "Picked by hand: odd streak."
    assert why_here(Item(kind="picked")) == "Picked by hand."


@pytest.mark.parametrize("kind", ["novel", "audit", "gold"])
@pytest.mark.parametrize("is_blind", [True, False])
def test_audited_and_known_images_read_like_all_others(kind: str, is_blind: bool) -> None:
    usual = Item(is_blind=is_blind)
    assert why_here(replace(usual, kind=kind, reason="audit of 2 %")) == why_here(usual)


def test_a_blind_item_tells_no_score() -> None:
    assert why_here(Item(is_blind=True)) == BLIND


def test_a_second_opinion_says_that_it_is_one() -> None:
    assert why_here(Item(opinion=2)).startswith("A second opinion is wanted. Looks like")


def test_an_image_that_no_model_has_seen_says_so() -> None:
    assert why_here(Item(top=(), novelty=None)) == "No model has seen it."


def test_reserved_labels_have_names_for_people() -> None:
    assert label_name("not_a_defect") == "Not a defect"
    assert label_name("scratch") == "scratch"
