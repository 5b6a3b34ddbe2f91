"""A subset names images by what they have in common, and its link means the same tomorrow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.report.facts import Facts
from core.report.subsets import (
    CameTwice,
    FileIs,
    HasFlag,
    HasLookAlikes,
    HasOtherSize,
    HasSize,
    InCell,
    InConflict,
    InRange,
    Part,
    Subset,
    covers,
    decode,
    describe,
    encode,
    explain,
    ids_of,
    join,
)
from tests.facts import make_facts


def chosen(facts: Facts, *subset: Part) -> list[int]:
    return ids_of(facts, subset, with_excluded=False).tolist()


def test_a_range_holds_its_lower_end_and_not_its_upper() -> None:
    facts = make_facts(sharpness=[10, 20, 30, float("nan")])
    assert chosen(facts, InRange("sharpness", 10, 30)) == [1, 2]
    assert chosen(facts, InRange("sharpness", 0, 10)) == []


def test_a_range_up_to_the_most_there_can_be_holds_that_too() -> None:
    facts = make_facts(brightness=[0.97, 0.98, 1.0])
    assert chosen(facts, InRange("brightness", 0.98, 1.0)) == [2, 3]


def test_shapes_are_measures_as_well() -> None:
    facts = make_facts(sizes=[(100, 50), (50, 100), (80, 80)])
    assert chosen(facts, InRange("aspect_ratio", 1.0, 3.0)) == [1, 3]
    assert chosen(facts, InRange("shorter_side", 50, 60)) == [1, 2]


def test_a_cell_is_a_label_in_a_split_and_either_may_be_any_or_none() -> None:
    facts = make_facts(["a", "a", "b", None], ["train", "test", "train", None])
    assert chosen(facts, InCell("a", "train")) == [1]
    assert chosen(facts, InCell("a", "*")) == [1, 2]
    assert chosen(facts, InCell("*", "train")) == [1, 3]
    assert chosen(facts, InCell(None, "*")) == chosen(facts, InCell("*", None)) == [4]
    assert chosen(facts, InCell("never seen", "*")) == []


def test_a_size_and_all_the_rarer_ones() -> None:
    sizes = [(n, n) for n in range(10, 18) for _ in range(2)] + [(99, 1), (98, 2)]
    facts = make_facts(sizes=sizes)
    assert chosen(facts, HasSize(10, 10)) == [1, 2]
    assert chosen(facts, HasOtherSize()) == [17, 18]


def test_lost_files_copies_and_open_conflicts() -> None:
    files = (("/a.png", "dirt"), ("/b.png", "drop"))
    facts = make_facts(
        conditions=["ok", "missing", "changed"],
        duplicates={1: ("/a.png", "/b.png")},
        conflicts={1: files, 3: files},
        decided=[3],
    )
    assert chosen(facts, FileIs("missing")) == [2]
    assert chosen(facts, FileIs("changed")) == [3]
    assert chosen(facts, CameTwice()) == [1]
    assert chosen(facts, InConflict()) == [1]  # of the third a person has said what it is


def test_what_is_called_unusable_is_not_flagged_any_more() -> None:
    facts = make_facts(["dirt", "unusable"], brightness=[0.01, 0.01])
    assert chosen(facts, HasFlag("too_dark")) == [1]


def test_excluded_images_are_left_out_unless_asked_for() -> None:
    facts = make_facts(["a", "a"], excluded=[2])
    assert chosen(facts, InCell("a", "*")) == [1]
    assert ids_of(facts, (InCell("a", "*"),), with_excluded=True).tolist() == [1, 2]


def test_a_subset_is_the_union_of_its_parts() -> None:
    facts = make_facts(["a", "b", "c"], ["train", "train", "test"])
    assert chosen(facts, InCell("a", "*"), InCell("*", "test"), InCell("c", "*")) == [1, 3]
    assert chosen(facts) == []


def test_neighbouring_bars_of_one_measure_become_one_range() -> None:
    first, last = InRange("contrast", 0.1, 0.2), InRange("contrast", 0.4, 0.5)
    assert join([(last,), (first,)]) == (InRange("contrast", 0.1, 0.5),)


def test_other_bars_are_taken_together_each_once() -> None:
    a, b = InCell("a", "train"), InCell("b", "train")
    assert join([(a,), (b,), (a,)]) == (a, b)
    mixed = join([(InRange("contrast", 0.1, 0.2),), (InRange("brightness", 0.1, 0.2),)])
    assert len(mixed) == 2
    assert join([]) == ()


def test_a_subset_covers_the_bars_within_it() -> None:
    assert covers((InRange("contrast", 0.1, 0.5),), InRange("contrast", 0.1, 0.2))
    assert not covers((InRange("contrast", 0.1, 0.5),), InRange("contrast", 0.4, 0.6))
    assert not covers((InRange("contrast", 0.1, 0.5),), InRange("brightness", 0.2, 0.3))
    assert covers((InCell("a", "*"),), InCell("a", "train"))
    assert not covers((InCell("a", "test"),), InCell("a", "train"))
    assert covers((InCell(None, "*"),), InCell(None, "test"))
    assert covers((HasSize(1, 2),), HasSize(1, 2))


EVERY_KIND: Subset = (
    HasFlag("blurred"),
    InRange("sharpness", 0.1, 12.5),
    InCell('Größe "2" <b>', None),
    InCell("*", "train"),
    HasSize(640, 480),
    HasOtherSize(),
    FileIs("missing"),
    CameTwice(),
    InConflict(),
)


def test_a_link_brings_back_what_was_open() -> None:
    assert decode(encode(EVERY_KIND)) == EVERY_KIND
    assert decode("") == ()


def test_every_part_has_words_for_people() -> None:
    words = [part.words() for part in EVERY_KIND]
    assert words[:3] == [
        "judged blurred beside the others",
        "with sharpness from 0.1 to 12.5",
        'labelled Größe "2" <b> in no split',
    ]
    assert all(words)
    assert HasLookAlikes("splits").words() == "that look alike in several splits"
    assert describe(EVERY_KIND[3:5]) == "in train, or of 640 × 480 pixels"
    assert describe(EVERY_KIND) == "of 9 bars of the chart"


def test_a_flag_is_explained_by_its_threshold_and_what_to_do() -> None:
    facts = make_facts(brightness=[0.01])
    (line,) = explain(facts, (HasFlag("too_dark"),))
    assert line.startswith("Judged by brightness: below 0.06. ")
    assert explain(facts, (InCell("a", "*"),)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "blurred",
        "[",
        "{}x",
        "3",
        "[3]",
        '[["nothing"]]',
        '[["flag","nothing"]]',
        '[["flag"]]',
        '[["range","nothing",0,1]]',
        '[["range","sharpness",2,1]]',
        '[["range","sharpness","0","1"]]',
        '[["range","sharpness",NaN,1]]',
        '[["range","sharpness",0,Infinity]]',
        '[["cell","a","nowhere"]]',
        '[["cell",["a"],"train"]]',
        '[["size","1",2]]',
        '[["file","ok"]]',
        "[" * 100_000,
    ],
)
def test_a_link_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no images"):
        decode(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([part.kind for part in EVERY_KIND]), st.lists(json_values, max_size=4)
        ),
        max_size=3,
    )
)
def test_whatever_a_link_says_is_refused_or_can_be_looked_up(parts: list) -> None:
    import json

    try:
        subset = decode(json.dumps([[kind, *values] for kind, values in parts]))
    except ValueError:
        return
    facts = make_facts(["a", None], ["train", None])
    assert np.isin(ids_of(facts, subset, with_excluded=True), [1, 2]).all()
    assert isinstance(describe(subset), str)
    assert covers(subset, InCell("a", "train")) in (True, False)
