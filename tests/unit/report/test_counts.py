"""Counts: every bar holds exactly the images that it opens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.report.counts import N_BINS, count_labels, count_sizes, count_values, scale, tabulate
from core.report.facts import MEASURES, Facts
from core.report.subsets import HasOtherSize, HasSize, InCell, ids_of
from tests.facts import make_facts


def test_labels_are_counted_by_split() -> None:
    facts = make_facts(["a", "a", "b", None], ["train", "train", None, "test"])
    assert set(count_labels(facts, with_excluded=False)) == {
        ("a", "train", 2),
        ("b", None, 1),
        (None, "test", 1),
    }


def test_excluded_images_are_counted_when_asked_for() -> None:
    facts = make_facts(["a", "a"], excluded=[1])
    assert count_labels(facts, with_excluded=False) == (("a", None, 1),)
    assert count_labels(facts, with_excluded=True) == (("a", None, 2),)


def test_a_table_has_the_empty_cells_too() -> None:
    rows = [("b", "test", 1), (None, "train", 2), ("multiple", None, 3), ("a", "train", 4)]
    table = tabulate(rows, classes=["b", "a", "not here"])
    assert table.labels == ("b", "a", "multiple", None)
    assert table.splits == ("train", "test", None)
    assert table.counts.tolist() == [[0, 1, 0], [4, 0, 0], [0, 0, 3], [2, 0, 0]]
    assert table.cell(2, 2) == InCell("multiple", None)
    assert tabulate([], classes=["a"]).counts.shape == (0, 0)


def test_values_fall_between_round_edges() -> None:
    counted = count_values(make_facts(brightness=[0.21, 0.39]), "brightness", with_excluded=False)
    assert (counted.edges[0], counted.edges[-1]) == (0.21, 0.395)
    np.testing.assert_allclose(np.diff(counted.edges), 0.005)
    assert counted.counts.sum() == 2
    assert counted.counts[0] == counted.counts[-1] == 1


def test_white_images_stand_in_the_last_bar_that_there_can_be() -> None:
    counted = count_values(make_facts(brightness=[0.0, 1.0]), "brightness", with_excluded=False)
    assert (counted.edges[0], counted.edges[-1]) == (0.0, 1.0)
    assert counted.counts[-1] == 1


def test_images_without_any_sharpness_have_a_bar() -> None:
    facts = make_facts(sharpness=[0.0, 0.0, 1000.0])
    counted = count_values(facts, "sharpness", with_excluded=False)
    assert counted.edges[0] == 0.0
    assert counted.counts[0] == 2


def test_no_bar_divides_a_pixel_and_a_lone_one_has_room_around_it() -> None:
    facts = make_facts(sizes=[(50, 50), (51, 51)])
    counted = count_values(facts, "shorter_side", with_excluded=False)
    assert counted.edges.tolist() == list(range(46, 57))
    assert counted.counts.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]


def test_what_is_not_measured_is_in_no_bar() -> None:
    facts = make_facts(contrast=[0.5, float("nan")])
    assert count_values(facts, "contrast", with_excluded=False).counts.sum() == 1
    nothing = make_facts(contrast=[float("nan")])
    assert count_values(nothing, "contrast", with_excluded=False).counts.sum() == 0


def test_flagged_images_are_counted_with_the_threshold_that_flags_them() -> None:
    facts = make_facts(brightness=[0.01, 0.5, 0.99])
    counted = count_values(facts, "brightness", with_excluded=False)
    assert counted.limits == (0.06, 0.94)
    assert counted.flagged.sum() == 2
    assert (counted.flagged <= counted.counts).all()


@pytest.mark.parametrize("measure", MEASURES)
@given(data=st.data())
def test_every_bar_opens_as_many_images_as_it_shows(measure: str, data: st.DataObject) -> None:
    if measure in ("aspect_ratio", "shorter_side"):
        side = st.integers(1, 20_000)
        facts = make_facts(sizes=data.draw(st.lists(st.tuples(side, side), max_size=12)))
    else:
        highest = MEASURES[measure].range[1] or 1e6
        values = st.floats(0, highest) | st.sampled_from([0.0, float(highest), float("nan")])
        facts = make_facts(**{measure: data.draw(st.lists(values, max_size=12))})
    counted = count_values(facts, measure, with_excluded=False)
    assert (np.diff(counted.edges) > 0).all()
    assert 1 <= len(counted.counts) <= N_BINS
    assert counted.counts.sum() == np.isfinite(facts.measures[measure]).sum()
    for place, n_images in enumerate(counted.counts):
        assert len(ids_of(facts, (counted.bin(place),), with_excluded=False)) == n_images


def opened(facts: Facts, bar: HasSize | HasOtherSize) -> int:
    return len(ids_of(facts, (bar,), with_excluded=False))


def test_the_commonest_sizes_have_a_bar_each_and_the_others_one_together() -> None:
    sizes = [(10 * n, 10) for n in range(1, 12) for _ in range(20 - n)]
    facts = make_facts(sizes=sizes)
    bars = count_sizes(facts, with_excluded=False)
    assert [part for part, _ in bars] == [
        *[HasSize(10 * n, 10) for n in range(1, 9)],
        HasOtherSize(),
    ]
    assert [n_images for _, n_images in bars] == [opened(facts, part) for part, _ in bars]
    assert sum(n_images for _, n_images in bars) == len(sizes)


def test_sizes_that_nobody_uses_any_more_have_no_bar() -> None:
    facts = make_facts(sizes=[(10, 10), (20, 20)], excluded=[1])
    assert count_sizes(facts, with_excluded=False) == ((HasSize(20, 20), 1),)
    assert count_sizes(make_facts(), with_excluded=False) == ()


def test_nothing_falls_off_a_logarithmic_axis() -> None:
    sharpness = MEASURES["sharpness"]
    assert scale(np.array([0.0, 9.0, 99.0]), sharpness).tolist() == [0.0, 1.0, 2.0]
