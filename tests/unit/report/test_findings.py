"""Findings: what is wrong is named with the images that it is about, the gravest first."""

import pytest

from core.report.facts import Facts
from core.report.findings import find_problems
from core.report.subsets import ids_of
from tests.facts import make_facts

SPLITS = ("train", "validation", "calibration", "test")


def balanced(n_each: int = 10, labels: tuple[str, ...] = ("a", "b")) -> list[tuple[str, str]]:
    """(label, split) of images that nothing is wrong with."""
    return [(label, split) for label in labels for split in SPLITS for _ in range(n_each)]


def facts_of(cells: list[tuple[str | None, str | None]], **more: object) -> Facts:
    return make_facts([label for label, _ in cells], [split for _, split in cells], **more)


def texts(facts: Facts) -> list[str]:
    return [finding.text for finding in find_problems(facts, with_excluded=False)]


def opened(facts: Facts, place: int = 0) -> list[int]:
    finding = find_problems(facts, with_excluded=False)[place]
    return ids_of(facts, finding.subset, with_excluded=False).tolist()


def test_where_all_is_well_nothing_is_found() -> None:
    assert texts(facts_of(balanced())) == []


def test_an_empty_data_set_has_no_findings() -> None:
    assert texts(make_facts()) == []


def test_a_class_that_a_split_lacks_is_named_with_its_images() -> None:
    cells = [cell for cell in balanced() if cell != ("b", "validation")]
    facts = facts_of(cells)
    assert texts(facts) == ["Validation has no image of b"]
    assert opened(facts) == [i for i, (label, _) in enumerate(cells, 1) if label == "b"]


def test_what_training_lacks_is_grave() -> None:
    facts = facts_of([cell for cell in balanced() if cell != ("b", "train")])
    finding = find_problems(facts, with_excluded=False)[0]
    assert (finding.severity, finding.text) == ("error", "Train has no image of b")


def test_many_missing_classes_are_one_finding() -> None:
    labels = tuple("abcdefgh")
    cells = [cell for cell in balanced(labels=labels) if cell[1] != "test" or cell[0] == "a"]
    assert texts(facts_of(cells)) == ["Test has no image of b, c, d, e and 3 other classes"]


def test_splits_that_are_not_there_at_all_are_said_once() -> None:
    facts = facts_of([cell for cell in balanced() if cell[1] != "test"])
    assert texts(facts) == ["There is no test split"]
    assert texts(facts_of([("a", None)] * 20)) == ["No image belongs to a split"]


def test_a_small_class_is_counted_in_training_alone() -> None:
    small = [("rare", "train")] * 9 + [("rare", split) for split in SPLITS[1:]] * 3
    facts = facts_of([*balanced(), *small])
    assert texts(facts) == ["Fewer than 10 training images: rare (9)"]
    assert opened(facts) == list(range(81, 90))


def test_reserved_labels_are_no_classes() -> None:
    assert texts(facts_of([*balanced(), ("multiple", "test"), ("unusable", "train")])) == []


def test_a_class_ten_times_as_large_is_told() -> None:
    facts = facts_of([*balanced(), *[("a", "train")] * 400])
    assert texts(facts) == ["a has 11 times as many images as b"]


def test_lost_files_and_conflicts_come_first_and_copies_last() -> None:
    files = (("/1.png", "a"), ("/2.png", "b"))
    facts = facts_of(
        [*balanced(), (None, "train"), ("a", None)],
        conditions=["ok", "missing", "changed", *["ok"] * 79],
        brightness=[0.01, 0.99, *[0.5] * 80],
        duplicates={1: ("/1.png", "/2.png")},
        conflicts={1: files},
    )
    assert texts(facts) == [
        "1 image came with different labels from different files",
        "The file of 1 image is missing",
        "The file of 1 image was changed since it was imported",
        "1 image is too dark",
        "1 image is too bright",
        "1 image without a label",
        "1 image in no split",
        "1 image came from several files",
    ]
    found = find_problems(facts, with_excluded=False)
    assert [finding.severity for finding in found[:4]] == ["error", "error", "warning", "warning"]
    assert all(finding.advice.endswith(".") for finding in found)


@pytest.mark.parametrize("place", range(8))
def test_a_number_in_a_finding_is_the_number_of_images_it_opens(place: int) -> None:
    files = (("/1.png", "a"), ("/2.png", "b"))
    facts = facts_of(
        [*balanced(), (None, "train"), ("a", None)],
        conditions=["ok", "missing", "changed", *["ok"] * 79],
        brightness=[0.01, 0.99, *[0.5] * 80],
        duplicates={1: ("/1.png", "/2.png")},
        conflicts={1: files},
    )
    assert len(opened(facts, place)) == 1


def test_what_is_excluded_is_dealt_with() -> None:
    dark = [0.01, *[0.5] * 79]
    assert texts(facts_of(balanced(), brightness=dark)) == ["1 image is too dark"]
    facts = facts_of([("a", "train"), *balanced()], brightness=[*dark, 0.5], excluded=[1])
    assert texts(facts) == []
    assert len(find_problems(facts, with_excluded=True)) == 1


def test_without_calibration_it_is_to_be_split_off_validation() -> None:
    facts = facts_of([cell for cell in balanced() if cell[1] != "calibration"])
    assert texts(facts) == ["There is no calibration split"]
    assert len(opened(facts)) == 20


def test_look_alikes_in_several_splits_are_the_gravest() -> None:
    cells = [("a", "train"), ("a", "test"), ("a", "train"), ("b", "train"), ("b", "test")]
    facts = facts_of(cells, look_alikes=[7, 7, 3, 3, 0])
    assert texts(facts)[:2] == [
        "2 images look alike in several splits",
        "2 images look alike under several labels",
    ]
    assert opened(facts, 0) == [1, 2]
    assert opened(facts, 1) == [3, 4]
    assert texts(facts)[-1] == "4 images look like others"


def test_look_alikes_that_have_been_named_are_not_named_again() -> None:
    facts = facts_of([("a", "train"), ("a", "test")], look_alikes=[1, 1])
    assert not any("like others" in text for text in texts(facts))


def test_a_class_that_is_scarce_in_a_split_is_named_with_its_images_there() -> None:
    cells = [("a", "train")] * 60 + [("b", "train")] * 40
    cells += [("a", "test")] * 60 + [("b", "test")] * 3
    facts = facts_of([*cells, ("a", "validation"), ("b", "validation"), ("a", "calibration")])
    (found,) = [text for text in texts(facts) if "few images" in text]
    assert found == "Test has few images of b (3)"
    assert opened(facts, texts(facts).index(found)) == [161, 162, 163]


def test_a_small_split_is_not_called_uneven() -> None:
    cells = [*balanced(100), *[("c", split) for split in SPLITS for _ in range(10)]]
    assert texts(facts_of(cells)) == []


def test_an_excluded_look_alike_leaks_nothing() -> None:
    facts = facts_of([("a", "train"), ("a", "test")], look_alikes=[1, 1], excluded=[2])
    assert not any("several splits" in text for text in texts(facts))
