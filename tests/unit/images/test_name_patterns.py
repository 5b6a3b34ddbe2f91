"""Name patterns: what they pick, and that a hostile one holds nobody up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.name_patterns import MAX_PATTERN_LENGTH, picked_by_pattern


@pytest.mark.parametrize(
    ("pattern", "picked"),
    [
        (r"panel_(\d+)", ["12", "12", "7", None]),
        (r"panel_\d+", ["panel_12", "panel_12", "panel_7", None]),
        (r"^line(?P<line>\w)/.*_(?P<panel>\d+)_", ["A | 12", "A | 12", "B | 7", None]),
        (r"(?:line(.)/)?(other)?", ["A | ", "A | ", "B | ", " | other"]),
        (r"(x?)", [None, None, None, None]),
    ],
)
def test_a_pattern_picks_its_groups_or_else_its_match(
    pattern: str, picked: list[str | None]
) -> None:
    names = ["lineA/panel_12_a.jpg", "lineA/panel_12_b.jpg", "lineB/panel_7_a.jpg", "other.jpg"]
    assert picked_by_pattern(names, pattern) == picked


def test_names_in_any_script_and_undecodable_ones_are_matched() -> None:
    names = ["plåt_7/räka.jpg", "板_7.png", "\udcff_7.jpg"]
    assert picked_by_pattern(names, r"(\d)") == ["7", "7", "7"]
    assert picked_by_pattern(names, r"^(.)") == ["p", "板", "\ufffd"]


def test_no_names_give_no_groups() -> None:
    assert picked_by_pattern([], r"(\d+)") == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "must not be empty"),
        ("(", "is not a regular expression: missing"),
        ("a{1000}{1000}", "is not a regular expression"),
        ("x" * (MAX_PATTERN_LENGTH + 1), f"at most {MAX_PATTERN_LENGTH} characters, got 201"),
    ],
)
def test_what_is_no_usable_pattern_is_refused_with_a_reason(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        picked_by_pattern(["a"], pattern)


def test_a_pattern_that_would_never_end_elsewhere_ends_here() -> None:
    assert picked_by_pattern(["a" * 10_000 + "b"], "(a+)+$") == [None]


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1"])
def test_what_cannot_be_matched_in_linear_time_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        picked_by_pattern(["a"], pattern)


@given(pattern=st.text(max_size=8), names=st.lists(st.text(max_size=8), max_size=3))
def test_any_pattern_gives_a_part_of_each_name_or_a_value_error(
    pattern: str, names: list[str]
) -> None:
    try:
        picked = picked_by_pattern(names, pattern)
    except ValueError:
        return
    assert len(picked) == len(names)
    assert all(part is None or part for part in picked)
