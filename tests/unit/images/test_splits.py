"""Splits: each label is shared out evenly, groups stay together, the seed decides."""

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.splits import (
    DEFAULT_RATIOS,
    SPLITS,
    assign_splits,
    parse_ratios,
    split_named,
    split_off_calibration,
)

WEIGHTS = st.lists(st.floats(0, 1000), min_size=4, max_size=4).filter(lambda w: sum(w) > 1e-3)
FIXED = st.sampled_from([None, None, None, *SPLITS])
LABELS = st.lists(st.sampled_from(["dirt", "drop", "scratch", None]), max_size=60)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("70/10/10/10", (0.7, 0.1, 0.1, 0.1)),
        ("70/15/0/15", (0.7, 0.15, 0.0, 0.15)),
        ("0.5/0.25/0.25", (0.5, 0.25, 0.0, 0.25)),
        (" 3 / 0 / 0 / 1 ", (0.75, 0.0, 0.0, 0.25)),
        ("0/0/0/5", (0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_ratios_are_read_as_weights(text: str, shares: tuple[float, ...]) -> None:
    assert parse_ratios(text) == pytest.approx(dict(zip(SPLITS, shares, strict=True)))


@pytest.mark.parametrize(
    "text", ["", "70", "70/30", "1/2/3/4/5", "a/b/c", "0/0/0", "-1/1/1", "nan/1/1", "inf/1/1", "//"]
)
def test_ratios_that_make_no_sense_are_refused_with_their_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"split|weight"):
        parse_ratios(text)


@given(WEIGHTS)
def test_ratios_written_out_are_read_back(weights: list[float]) -> None:
    shares = parse_ratios("/".join(map(repr, weights)))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares) == list(SPLITS)


@given(st.text(max_size=12))
def test_any_text_is_ratios_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert set(parse_ratios(text)) == set(SPLITS)


def test_the_default_ratios_keep_the_papers_training_and_test_shares() -> None:
    assert sum(DEFAULT_RATIOS.values()) == pytest.approx(1.0)
    assert DEFAULT_RATIOS["train"] == pytest.approx(240 / 344, abs=0.01)
    assert DEFAULT_RATIOS["test"] == pytest.approx(34 / 344, abs=0.01)


def test_each_label_is_shared_out_exactly_where_it_divides() -> None:
    labels = ["dirt"] * 10 + ["drop"] * 20
    splits = assign_splits(labels, ratios=parse_ratios("60/20/10/10"), seed=0)
    counts = Counter(zip(labels, splits, strict=True))
    assert [counts["dirt", split] for split in SPLITS] == [6, 2, 1, 1]
    assert [counts["drop", split] for split in SPLITS] == [12, 4, 2, 2]


def test_tiny_classes_do_not_all_fall_into_the_same_splits() -> None:
    labels = [f"class {i // 3}" for i in range(90)]  # 30 classes of 3 images
    splits = Counter(assign_splits(labels, ratios=DEFAULT_RATIOS, seed=0))
    assert splits["train"] == 60
    assert [splits[split] for split in SPLITS[1:]] == [10, 10, 10]


@given(labels=LABELS, weights=WEIGHTS, seed=st.integers(0, 5))
def test_every_label_is_less_than_one_image_off_its_share(
    labels: list[str | None], weights: list[float], seed: int
) -> None:
    shares = parse_ratios("/".join(map(repr, weights)))
    splits = assign_splits(labels, ratios=shares, seed=seed)
    assert len(splits) == len(labels)
    counts = Counter(zip(labels, splits, strict=True))
    for label, n in Counter(labels).items():
        for split, share in shares.items():
            assert abs(counts[label, split] - n * share) < 1 + 1e-6
            assert share > 0 or counts[label, split] == 0


@given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("uvwxyz")), max_size=60))
def test_a_group_never_straddles_a_split(rows: list[tuple[str, str]]) -> None:
    groups = [group for _, group in rows]
    splits = assign_splits([label for label, _ in rows], seed=0, groups=groups)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))


def test_groups_of_equal_size_are_shared_out_by_label_too() -> None:
    groups = [f"panel {i // 4}" for i in range(160)]  # 40 panels of 4 shots
    labels = ["dirt" if i < 80 else "drop" for i in range(160)]
    counts = Counter(zip(labels, assign_splits(labels, seed=3, groups=groups), strict=True))
    for label in ("dirt", "drop"):
        assert [counts[label, split] for split in SPLITS] == [56, 8, 8, 8]


def test_the_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    labels = ["dirt"] * 100
    assert assign_splits(labels, seed=1) == assign_splits(labels, seed=1)
    assert assign_splits(labels, seed=1) != assign_splits(labels, seed=2)


def test_calibration_can_be_split_off_validation_alone() -> None:
    splits = assign_splits(["dirt"] * 10, ratios={"validation": 1, "calibration": 1}, seed=0)
    assert Counter(splits) == {"validation": 5, "calibration": 5}


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["dirt", "drop", None]), st.sampled_from("uvwxyz"), FIXED),
        max_size=60,
    ),
    seed=st.integers(0, 3),
)
def test_fixed_splits_never_change_and_only_they_divide_a_group(
    rows: list[tuple[str | None, str, str | None]], seed: int
) -> None:
    labels, groups, fixed = ([row[i] for row in rows] for i in range(3))
    splits = assign_splits(labels, seed=seed, groups=groups, fixed=fixed)
    for group in set(groups):
        of_group = [(f, s) for f, s, g in zip(fixed, splits, groups, strict=True) if g == group]
        assert all(f in (None, s) for f, s in of_group)
        drawn = {s for f, s in of_group if f is None}
        decided = {f for f, _ in of_group} - {None}
        assert len(drawn) <= 1
        assert not decided or drawn <= {min(decided, key=SPLITS.index)}


@given(
    sizes=st.lists(st.integers(1, 4), min_size=30, max_size=60),
    n_fixed=st.integers(0, 20),
    seed=st.integers(0, 3),
)
def test_shares_of_all_images_are_kept_within_the_largest_group(
    sizes: list[int], n_fixed: int, seed: int
) -> None:
    groups = [f"panel {i}" for i, size in enumerate(sizes) for _ in range(size)]
    fixed = ["train" if int(group.split()[1]) < n_fixed else None for group in groups]
    counts = Counter(assign_splits(["dirt"] * len(groups), seed=seed, groups=groups, fixed=fixed))
    expected = {split: len(groups) * share for split, share in DEFAULT_RATIOS.items()}
    if fixed.count("train") <= expected["train"]:
        for split, n in expected.items():
            assert abs(counts[split] - n) <= 4


def test_images_that_come_later_fill_up_what_the_earlier_ones_lack() -> None:
    fixed = ["train"] * 70 + [None] * 30
    splits = Counter(assign_splits(["dirt"] * 100, seed=0, fixed=fixed))
    assert [splits[split] for split in SPLITS] == [70, 10, 10, 10]


def test_a_fixed_split_that_is_not_drawn_is_kept() -> None:
    splits = assign_splits(["dirt"] * 4, ratios={"train": 1}, seed=0, fixed=["test", *[None] * 3])
    assert splits == ["test", "train", "train", "train"]


def test_a_further_shot_follows_the_shots_that_are_there() -> None:
    splits = assign_splits(["dirt"] * 3, seed=0, groups=["a"] * 3, fixed=[None, "test", None])
    assert splits == ["test"] * 3


def test_a_further_shot_of_a_group_that_leaks_adds_nothing_to_the_later_split() -> None:
    fixed = ["test", "test", "train", None]
    assert assign_splits(["dirt"] * 4, seed=0, groups=["a"] * 4, fixed=fixed)[3] == "train"
    fixed = ["test", "calibration", "calibration", None]
    assert assign_splits(["dirt"] * 4, seed=0, groups=["a"] * 4, fixed=fixed)[3] == "calibration"


def test_half_of_validation_becomes_calibration_label_by_label() -> None:
    labels = ["dirt"] * 30 + ["drop"] * 50
    splits = (["train"] * 20 + ["validation"] * 8 + ["test"] * 2) + (
        ["train"] * 34 + ["validation"] * 12 + ["test"] * 4
    )
    after = split_off_calibration(labels, splits, seed=0)
    assert {(old, new) for old, new in zip(splits, after, strict=True) if old != new} == {
        ("validation", "calibration")
    }
    counts = Counter(zip(labels, after, strict=True))
    assert [counts["dirt", split] for split in SPLITS] == [20, 4, 4, 2]
    assert [counts["drop", split] for split in SPLITS] == [34, 6, 6, 4]


def test_calibration_takes_whole_groups_and_the_share_asked_for() -> None:
    groups = [f"panel {i // 4}" for i in range(80)]
    after = split_off_calibration([None] * 80, ["validation"] * 80, groups, share=0.25, seed=1)
    assert Counter(after) == {"validation": 60, "calibration": 20}
    assert len(set(zip(groups, after, strict=True))) == 20


def test_calibration_takes_no_image_whose_group_is_trained_on() -> None:
    splits = ["train", "validation", "validation", "validation", None]
    after = split_off_calibration(["dirt"] * 5, splits, ["a", "a", "b", "c", "b"], seed=0)
    assert after[:2] == ["train", "validation"]
    assert "calibration" in after[2:4]
    assert after[4] is None


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("uvwxyz"), st.sampled_from([None, *SPLITS])), max_size=40
    )
)
def test_splitting_off_calibration_makes_no_group_straddle_that_did_not(
    rows: list[tuple[str, str | None]],
) -> None:
    groups, splits = [group for group, _ in rows], [split for _, split in rows]
    after = split_off_calibration([None] * len(rows), splits, groups, seed=0)
    for group in set(groups):
        old = {s for s, g in zip(splits, groups, strict=True) if g == group} - {None}
        new = {s for s, g in zip(after, groups, strict=True) if g == group} - {None}
        assert new == old or (old, new) == ({"validation"}, {"calibration"})


def test_without_validation_there_is_nothing_to_split_off() -> None:
    assert split_off_calibration(["dirt"] * 2, ["train", None], seed=0) == ["train", None]
    assert split_off_calibration([], [], seed=0) == []


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_of_validation_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"share must lie in \(0, 1\)"):
        split_off_calibration(["dirt"], ["validation"], share=share, seed=0)


def test_fixed_splits_of_another_length_or_name_are_refused() -> None:
    with pytest.raises(ValueError, match="fixed has 1 entries for 2 labels"):
        assign_splits(["dirt", "drop"], seed=0, fixed=["train"])
    with pytest.raises(ValueError, match="got 'holdout'"):
        assign_splits(["dirt"], seed=0, fixed=["holdout"])
    with pytest.raises(ValueError, match="splits has 1 entries for 2 labels"):
        split_off_calibration(["dirt", "drop"], ["train"], seed=0)
    with pytest.raises(ValueError, match="got 'holdout'"):
        split_off_calibration(["dirt"], ["holdout"], seed=0)


@pytest.mark.parametrize(
    "ratios", [{}, {"train": 0.0}, {"train": -1.0}, {"train": float("nan")}, {"holdout": 1.0}]
)
def test_impossible_ratios_are_refused(ratios: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"split|weight"):
        assign_splits(["dirt"], ratios=ratios, seed=0)


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 entries for 2 labels"):
        assign_splits(["dirt", "drop"], seed=0, groups=["a"])


def test_split_names_are_known_in_any_case() -> None:
    assert split_named(" VALID ") == "validation"
    assert split_named("scratch") is None
