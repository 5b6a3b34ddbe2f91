"""Splits: each label is shared out evenly, groups stay together, the seed decides."""

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.splits import DEFAULT_RATIOS, SPLITS, assign_splits, parse_ratios, split_named

WEIGHTS = st.lists(st.floats(0, 1000), min_size=4, max_size=4).filter(lambda w: sum(w) > 1e-3)
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
