"""Groups: by name, by column, by likeness; joined where they overlap, told where they straddle."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.grouping import (
    GroupSizes,
    StraddlingGroup,
    describe_groups,
    group_by_attribute,
    group_by_pattern,
    group_by_rows,
    joined_groups,
    straddling,
)
from core.images.splits import assign_splits

GROUPINGS = st.integers(0, 12).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([None, "a", "b", "c", "image 0"]), min_size=n, max_size=n),
        min_size=1,
        max_size=3,
    )
)


def test_images_are_grouped_by_a_part_of_their_path() -> None:
    names = ["dirt/panel_1_top.jpg", "dirt/panel_2_top.jpg", "drop/panel_1_side.jpg", "x.jpg"]
    assert group_by_pattern(names, r"panel_(\d+)") == ["1", "2", "1", None]


def test_images_are_grouped_by_the_text_of_a_column() -> None:
    values = [3, 3.0, " 3 ", "A7", 2.5, None, float("nan"), "", "  "]
    assert group_by_attribute(values) == ["3", "3", "3", "A7", "2.5", None, None, None, None]


def test_large_numbers_of_a_column_stay_apart() -> None:
    assert len(set(group_by_attribute([12345678.0, 12345679.0, 1e300]))) == 3


def test_images_are_grouped_by_lists_of_rows() -> None:
    assert group_by_rows(5, [[0, 3], [1, 4]]) == ["alike 1", "alike 2", None, "alike 1", "alike 2"]


@pytest.mark.parametrize("groups", [[[5]], [[-1]], [[0, 1], [1, 2]], [[2, 2]]])
def test_rows_that_are_not_there_or_in_two_groups_are_refused(groups: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="row"):
        group_by_rows(5, groups)


def test_groups_that_overlap_become_one() -> None:
    by_panel = ["panel 1", "panel 1", "panel 2", None, None, None]
    by_likeness = [None, "alike 1", "alike 1", "alike 2", "alike 2", None]
    assert joined_groups(by_panel, by_likeness) == [
        *["panel 1"] * 3,
        *["alike 2"] * 2,
        "image 5",
    ]


def test_groups_of_one_name_from_two_groupings_stay_apart() -> None:
    assert joined_groups(["7", None, None], [None, "7", "7"]) == ["7", "7 (1)", "7 (1)"]
    assert joined_groups([None, "image 0"]) == ["image 0", "image 0 (1)"]


@given(GROUPINGS)
def test_joined_groups_are_the_finest_that_no_grouping_divides(
    groupings: list[list[str | None]],
) -> None:
    n = len(groupings[0])
    reached = [{row} for row in range(n)]
    for one, other in combinations(range(n), 2):
        if any(g[one] is not None and g[one] == g[other] for g in groupings):
            together = reached[one] | reached[other]
            for row in together:
                reached[row] = together
    joined = joined_groups(*groupings)
    for one, other in combinations(range(n), 2):
        assert (joined[one] == joined[other]) == (other in reached[one])


@pytest.mark.parametrize("groupings", [(), (["a"], ["a", "b"])])
def test_groupings_that_do_not_match_are_refused(groupings: tuple[list[str], ...]) -> None:
    with pytest.raises(ValueError, match="one length"):
        joined_groups(*groupings)


def test_groups_in_several_splits_are_told_with_their_counts_the_largest_first() -> None:
    groups = ["a", "a", "b", "b", "b", "c", "c", None, None]
    splits = ["test", "train", "train", "validation", "train", "test", None, "train", "test"]
    assert straddling(groups, splits) == (
        StraddlingGroup("b", (2, 3, 4), {"train": 2, "validation": 1}),
        StraddlingGroup("a", (0, 1), {"train": 1, "test": 1}),
    )


def test_splits_drawn_by_group_straddle_nothing() -> None:
    groups = [f"panel {i // 3}" for i in range(90)]
    labels = ["dirt", "drop", None] * 30
    assert straddling(groups, assign_splits(labels, seed=0, groups=groups)) == ()
    assert straddling(groups, assign_splits(labels, seed=0)) != ()


def test_straddling_wants_a_split_for_each_image() -> None:
    with pytest.raises(ValueError, match="shorter"):
        straddling(["a", "a"], ["train"])


def test_a_person_sees_how_large_the_groups_are_before_splits_are_drawn() -> None:
    groups = ["a"] * 12 + ["b"] * 5 + ["c"] * 2 + [f"image {i}" for i in range(81)]
    sizes = describe_groups(groups)
    assert sizes == GroupSizes(
        n_images=100,
        n_groups=84,
        n_grouped=19,
        smallest=1,
        median=1,
        largest=12,
        n_oversized=1,  # 12 of 100 images do not fit into a split of 10 %
    )
    assert sizes.largest_share == pytest.approx(0.12)
    assert describe_groups(groups, ratios={"train": 3, "test": 1, "validation": 0}).n_oversized == 0


def test_images_that_stand_alone_are_never_too_large_a_group() -> None:
    assert describe_groups(["image 0", "image 1"]).n_oversized == 0


def test_no_images_have_no_groups() -> None:
    assert describe_groups([]) == GroupSizes(0, 0, 0, 0, 0, 0, 0)
    assert describe_groups([]).largest_share == 0.0
    assert joined_groups([]) == []
