"""Copies: one image from several files, those that disagree about its label first."""

from core.report.copies import Copies, common_folder, list_copies, list_look_alikes
from tests.facts import make_facts


def test_files_that_disagree_stand_first() -> None:
    facts = make_facts(
        n_images=3,
        duplicates={1: ("/a", "/b"), 2: ("/c", "/d")},
        conflicts={2: (("/c", "dirt"), ("/d", "drop"))},
    )
    assert list_copies(facts) == (
        Copies(2, ("/c", "/d"), ("dirt", "drop"), is_open=True),
        Copies(1, ("/a", "/b"), (), is_open=False),
    )


def test_what_a_person_has_labelled_is_settled() -> None:
    facts = make_facts(
        n_images=2,
        duplicates={1: ("/a", "/b")},
        conflicts={2: (("/c", "dirt"), ("/c", "drop"), ("/c", None))},
        decided=[2],
    )
    assert list_copies(facts) == (
        Copies(1, ("/a", "/b"), (), is_open=False),
        Copies(2, ("/c",), ("dirt", "drop"), is_open=False),
    )


def test_the_folder_that_all_paths_share() -> None:
    assert common_folder(["/data/line/a.png", "/data/line/more/b.png"]) == "/data/line/"
    assert common_folder(["/data/line1/a.png", "/data/line2/a.png"]) == "/data/"
    assert common_folder(["a.png", "b.png"]) == common_folder([]) == ""
    assert common_folder(["/data/a.png"]) == "/data/"


def test_look_alikes_that_straddle_come_first_then_those_with_several_labels() -> None:
    facts = make_facts(
        ["a", "a", "a", "b", "a", "a"],
        ["train", "train", "train", "train", "train", "test"],
        look_alikes=[1, 1, 2, 2, 3, 3],
    )
    found = list_look_alikes(facts)
    assert [each.image_ids for each in found] == [(5, 6), (3, 4), (1, 2)]
    assert found[0].splits == ("train", "test")
    assert found[1].labels == ("a", "b")


def test_images_that_look_like_no_other_are_in_no_group() -> None:
    assert list_look_alikes(make_facts(n_images=3)) == ()
    assert list_look_alikes(make_facts()) == ()
