"""Charts of the triage: what is promised is told apart from what was measured."""

from dataclasses import replace

import pytest
from plotly.graph_objects import Figure

from core import figures
from core.figures.triage import _MOST_POINTS
from core.learning.evaluation import Estimate
from core.palette import CLASS_COLOURS
from core.triage.agreement import Judgement, SuggestionCount, measure_agreement
from core.triage.audit import Checked, measure_audit
from core.triage.routing import CurvePoint

UNTRUSTED = "<b>drop"
CURVE = (CurvePoint(0.005, 0.0), CurvePoint(0.05, 0.8), CurvePoint(0.3, 1.0))


def trace(figure: Figure, name: str) -> object:
    return next(each for each in figure.data if each.name and each.name.startswith(name))


def audited(*wrong: bool) -> list[Checked]:
    return [
        Checked(f"2026-01-01T{i // 60:02d}:{i % 60:02d}:00.000Z", "dirt", "drop" if it else "dirt")
        for i, it in enumerate(wrong)
    ]


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def colour_of(cell: str) -> tuple[int, ...]:
    return tuple(int(part) for part in cell.removeprefix("rgba(").split(",")[:3])


def test_a_looser_promise_leaves_fewer_images_and_a_click_carries_it() -> None:
    figure = figures.risk_coverage(CURVE, CURVE[1], None, n_images=50)
    line = figure.data[0]
    assert list(line.x) == list(line.customdata) == [0.005, 0.05, 0.3]
    assert list(line.y) == pytest.approx([1.0, 0.2, 0.0])
    assert line.hovertext[0] == "at most 0.5% wrong: 100.0% left for people, 50 images"
    assert line.hovertext[1] == "at most 5% wrong: 20.0% left for people, 10 images"
    assert list(figure.layout.yaxis.ticktext) == [
        "0% · 0",
        "25% · 12",
        "50% · 25",
        "75% · 38",
        "100% · 50",
    ]


def test_the_chosen_promise_is_marked_though_the_curve_does_not_hold_it() -> None:
    figure = figures.risk_coverage(CURVE, CurvePoint(0.4, 1.0), None, n_images=50)
    star = trace(figure, "chosen: 40%")
    assert (list(star.x), list(star.y)) == ([0.4], [0.0])
    assert len(figure.layout.shapes) == 1
    assert figure.layout.xaxis.range[1] > 0.4


def test_the_other_rule_stands_at_its_measured_error_with_the_interval() -> None:
    rule = figures.RulePoint("<i>paper", 0.75, Estimate(0.25, 0.2, 0.35, 90))
    figure = figures.risk_coverage(CURVE[:2], None, rule, n_images=100)
    point = trace(figure, "&lt;i>paper (measured error)")
    assert (list(point.x), list(point.y)) == ([0.25], [0.25])
    assert point.error_x.array[0] == pytest.approx(0.1)
    assert point.error_x.arrayminus[0] == pytest.approx(0.05)
    assert "25.0% wrong (20.0% to 35.0%, n = 90)" in point.hovertext[0]
    assert figure.layout.xaxis.range[1] > 0.35


@pytest.mark.parametrize("error", [None, Estimate(None, None, None, 0, "None was checked.")])
def test_a_rule_whose_error_was_not_measured_is_a_line_and_no_point(error: Estimate | None) -> None:
    rule = figures.RulePoint("the paper's rule", 0.75, error)
    line = trace(figures.risk_coverage(CURVE, None, rule, n_images=100), "the paper's rule")
    assert line.name == "the paper's rule (error not measured)"
    assert line.mode == "lines"
    assert list(line.y) == [0.25, 0.25]


def test_a_curve_of_nothing_can_be_drawn() -> None:
    figure = figures.risk_coverage((), None, None, n_images=0)
    assert [len(each.x) for each in figure.data] == [0]
    assert not figure.layout.shapes


def test_the_measured_error_stands_in_its_interval_beside_the_promise() -> None:
    measure = measure_audit(audited(True, False, False, True), promised=0.05, delta=0.05)
    figure = figures.audit_over_time(measure, 0.05)
    band, line, limit = figure.data
    assert list(line.y) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2])
    points, forth = measure.over_time, len(band.x) // 2
    assert list(band.x)[:forth] == list(band.x)[: forth - 1 : -1]
    # From each outcome to the next the band is as wide as the outcome left it.
    assert list(band.x)[:forth:2] == [point.at for point in points]
    assert list(band.y)[1:forth:2] == [point.high for point in points[:-1]]
    assert list(band.y)[forth - 1] == points[-1].high
    assert list(band.y)[forth] == points[-1].low
    assert list(band.y)[-1] == points[0].low
    assert list(limit.y) == [point.anytime_low for point in measure.over_time]
    assert band.name == "95% interval"
    assert line.hovertext[3].startswith("2 of 4 wrong: 50.0% (")
    assert [shape.y0 for shape in figure.layout.shapes] == [0.05]
    assert figure.layout.annotations[0].text == "promised: 5%"


def test_the_confidence_of_the_interval_is_the_one_it_was_made_with() -> None:
    measure = measure_audit(audited(True, False), promised=0.05, delta=0.01)
    assert figures.audit_over_time(measure, 0.05).data[0].name == "99% interval"


def test_a_single_outcome_has_its_interval_too() -> None:
    measure = measure_audit(audited(False), promised=0.05, delta=0.05)
    figure = figures.audit_over_time(measure, 0.05)
    line = figure.data[1]
    assert "markers" in line.mode
    assert list(figure.layout.xaxis.tickvals) == [measure.over_time[0].at]
    assert line.error_y.array[0] == measure.high == pytest.approx(0.975)
    assert line.error_y.arrayminus[0] == 0


def test_of_many_outcomes_some_are_drawn_the_last_among_them() -> None:
    wrong = [i % 50 == 0 for i in range(3 * _MOST_POINTS)]
    measure = measure_audit(audited(*wrong), promised=0.05, delta=0.05)
    line = figures.audit_over_time(measure, 0.05).data[1]
    assert len(line.x) == _MOST_POINTS
    assert (line.x[0], line.x[-1]) == (measure.over_time[0].at, measure.over_time[-1].at)
    assert line.y[-1] == measure.share


def test_the_first_outcomes_do_not_squash_the_axis_and_what_is_known_now_fits() -> None:
    measure = measure_audit(audited(True, *[False] * 300), promised=0.02, delta=0.05)
    top = figures.audit_over_time(measure, 0.02).layout.yaxis.range[1]
    assert max(measure.high, 0.02) < top < 0.1
    wide = figures.audit_over_time(replace(measure, high=0.9), 0.02).layout.yaxis.range[1]
    assert 0.9 < wide <= 1.02


def test_an_audit_without_an_outcome_shows_the_promise_alone() -> None:
    figure = figures.audit_over_time(measure_audit([], promised=0.05, delta=0.05), 0.05)
    assert [len(each.x) for each in figure.data] == [0, 0, 0]
    assert len(figure.layout.shapes) == 1


def test_two_people_meet_in_two_cells_and_nobody_meets_themselves() -> None:
    said = {UNTRUSTED: "dirt drop dirt drop", "ada": "dirt drop dirt dirt", "cem": "dirt"}
    measure = measure_agreement(
        Judgement(item, person, label)
        for person, labels in said.items()
        for item, label in enumerate(labels.split())
    )
    cells, texts = figures.agreement_matrix(measure.pairs).data
    kappa = measure.pairs[0].kappa.value
    assert [list(row) for row in cells.z] == [
        [None, kappa, None],
        [kappa, None, None],
        [None, None, None],
    ]
    assert sorted(texts.text) == ["0.50", "0.50", "–", "–", "–", "–"]
    assert cells.hovertext[0][1].startswith("&lt;b>drop and ada: kappa 0.50 (")
    assert cells.hovertext[0][1].endswith("the same label for 3 of 4 images")
    assert "kappa not defined" in cells.hovertext[0][2]


def test_a_matrix_of_nobody_can_be_drawn() -> None:
    cells, texts = figures.agreement_matrix(()).data
    assert (len(cells.z), len(texts.x)) == (0, 0)


def test_confirmed_suggestions_stand_on_the_diagonal_in_a_colour_of_their_own() -> None:
    figure = figures.suggestion_changes(
        [
            SuggestionCount("dirt", "dirt", 3),
            SuggestionCount("dirt", "multiple", 1),
            SuggestionCount(UNTRUSTED, "dirt", 2),
        ]
    )
    cells = figure.data[0]
    assert list(figure.layout.xaxis.ticktext) == ["&lt;b>drop", "dirt", "multiple"]
    assert list(figure.data[1].text) == ["", "2", "", "", "3", "1"]
    blue = [colour_of(colour) == rgb(CLASS_COLOURS[0]) for colour in cells.marker.color]
    assert blue == [True, False, False, False, True, False]
    assert cells.hovertext[5] == "suggested dirt, decided multiple: 1 of 4 (25.0%)"


def test_no_suggestion_at_all_can_be_drawn() -> None:
    assert len(figures.suggestion_changes([]).data[0].x) == 0
