"""Charts of clusterings and metrics: what a click carries, what is marked, what stays small."""

import numpy as np
import pytest
from plotly.graph_objects import Figure

from core import figures
from core.latent.metrics import METRICS, MetricOptions
from core.latent.separability import Separability, Silhouette
from core.latent.stability import Spread


def separability(values: dict[str, float | None], *, n_draws: int = 1) -> Separability:
    """One labelling; metrics that are not named have 0."""
    scores = []
    for metric in METRICS:
        value = values.get(metric, 0.0)
        low, high = (None, None) if value is None else (value - 0.01, value + 0.02)
        why = "Some features are missing <NaN>." if value is None else ""
        scores.append(Silhouette(metric, value, low, high, why))
    best = max((s for s in scores if s.value is not None), key=lambda s: s.value).metric
    return Separability(
        tuple(scores), best, 3, 10, 0, 10, n_draws, MetricOptions(), ("compare under one metric",)
    )


def words(figure: Figure) -> list[str]:
    return [word for trace in figure.data if trace.text is not None for word in trace.text]


def test_a_cell_carries_what_opens_its_images_and_says_its_share() -> None:
    figure = figures.contingency_map(
        np.array([[3, 0], [1, 4]]),
        labels=["dirt", None],
        clusters=["0 · <b>long</b>", "noise"],
        carried=[["a", "b"], ["c", "d"]],
    )
    cells, numbers = figure.data
    assert list(cells.customdata) == ["a", "b", "c", "d"]
    assert list(cells.y) == ["dirt", "dirt", "unlabelled", "unlabelled"]
    assert cells.hovertext[0] == "dirt in 0 · &lt;b>long&lt;/b>: 3 images, 75.0% of the cluster"
    assert list(numbers.text) == ["3", "", "1", "4"]


def test_cells_are_shaded_by_the_share_that_was_asked_for() -> None:
    def strengths(share_of: str) -> list[float]:
        figure = figures.contingency_map(
            np.array([[9, 1], [0, 1]]),
            labels=["dirt", "drop"],
            clusters=["0", "1"],
            carried=[["", ""], ["", ""]],
            share_of=share_of,
        )
        return [float(colour.split(",")[-1].rstrip(")")) for colour in figure.data[0].marker.color]

    of_cluster, of_label = strengths("cluster"), strengths("label")
    assert of_cluster == pytest.approx([0.65, 0.35, 0.05, 0.35])
    assert of_label == pytest.approx([0.59, 0.11, 0.05, 0.65])
    with pytest.raises(ValueError, match="share_of must be cluster or label, got 'all'"):
        strengths("all")


def test_the_cell_that_is_open_stands_out() -> None:
    figure = figures.contingency_map(
        np.ones((2, 2), int),
        labels=["a", "b"],
        clusters=["0", "1"],
        carried=[["", ""], ["", ""]],
        chosen=(1, 0),
    )
    transparent = "rgba(0,0,0,0)"
    lines = figure.data[0].marker.line.color
    assert [colour != transparent for colour in lines] == [False, False, True, False]


def test_clusters_without_any_label_make_an_empty_table() -> None:
    figure = figures.contingency_map(
        np.zeros((0, 0), int), labels=[], clusters=[], carried=[], share_of="label"
    )
    assert list(figure.data[0].y) == []


def test_cells_too_narrow_for_a_number_have_it_on_hover() -> None:
    def drawn(n_clusters: int) -> Figure:
        return figures.contingency_map(
            np.ones((1, n_clusters), int),
            labels=["a"],
            clusters=[str(place) for place in range(n_clusters)],
            carried=[[""] * n_clusters],
        )

    assert len(words(drawn(10))) == 10
    assert words(drawn(40)) == []
    assert "1 images" in drawn(40).data[0].hovertext[0]


def test_noise_is_the_last_bar_and_grey() -> None:
    figure = figures.cluster_sizes(
        [("0", 6, "a"), ("1 · x<y", 2, "b")], n_images=20, noise=(2, "c")
    )
    (bar,) = figure.data
    assert list(bar.y) == ["0", "1 · x&lt;y", "noise"]
    assert list(bar.text) == ["6 · 30%", "2 · 10%", "2 · 10%"]
    assert list(bar.customdata) == ["a", "b", "c"]
    assert len(set(bar.marker.color)) == 3


def test_metrics_are_sorted_and_the_best_is_marked() -> None:
    figure = figures.silhouettes_by_metric({"K": separability({"cosine": 0.2, "yule": -0.1})})
    bars = figure.data[0]
    assert len(bars.y) == 18
    assert (bars.y[0], bars.y[-1]) == ("Cosine", "Yule")
    assert [word for word in words(figure) if "best" in word] == ["  <b>0.200 · best</b>"]
    assert bars.error_x.array is None


def test_draws_of_a_large_set_are_shown_as_intervals() -> None:
    measured = separability({"cosine": 0.2}, n_draws=5)
    for shown in ({"K": measured}, {"K": measured, "L": measured}):
        error = figures.silhouettes_by_metric(shown).data[0].error_x
        assert error.array[0] == pytest.approx(0.02)
        assert error.arrayminus[0] == pytest.approx(0.01)


def test_an_undefined_metric_comes_last_and_says_why() -> None:
    figure = figures.silhouettes_by_metric({"K": separability({"euclidean": None})})
    bars = figure.data[0]
    assert bars.y[-1] == "Euclidean"
    assert bars.hovertext[-1].endswith("not defined<br>Some features are missing &lt;NaN>.")
    assert words(figure)[-1] == "  not defined"


def test_several_groupings_share_the_order_of_the_first() -> None:
    figure = figures.silhouettes_by_metric(
        {"A": separability({"cosine": 0.2}), "<B>": separability({"yule": 0.3})}
    )
    first, second = figure.data
    assert first.y == second.y
    assert [trace.name for trace in figure.data] == ["A (best: Cosine)", "&lt;B> (best: Yule)"]
    assert first.marker.symbol != second.marker.symbol
    assert first.marker.size[0] == max(first.marker.size) > min(first.marker.size)


def test_the_paper_has_a_value_for_every_metric_and_stands_beside_only_when_asked() -> None:
    assert set(figures.PAPER_TABLE_1) == set(METRICS)
    assert max(figures.PAPER_TABLE_1, key=figures.PAPER_TABLE_1.__getitem__) == "sqeuclidean"
    measured = {"K": separability({"cosine": 0.2})}
    names = [trace.name for trace in figures.silhouettes_by_metric(measured, with_paper=True).data]
    assert "the paper's data" in names
    assert "the paper's data" not in [
        trace.name for trace in figures.silhouettes_by_metric(measured).data
    ]


def test_a_long_curve_of_distances_is_thinned_and_keeps_its_ends_and_knee() -> None:
    distances = np.linspace(0, 1, 100_000) ** 8
    figure = figures.k_distance_plot(distances, k=4, knee=75_000, eps=0.3)
    curve, knee = figure.data
    assert len(curve.x) == 400
    assert (curve.x[0], curve.x[-1]) == (1, 100_000)
    assert (knee.x[0], knee.y[0]) == (75_001, distances[75_000])
    assert len(figure.layout.shapes) == 1
    flat = figures.k_distance_plot(np.ones(3), k=4, knee=None, eps=None)
    assert len(flat.data) == 1
    assert not flat.layout.shapes


def test_a_band_goes_up_along_the_highest_and_back_along_the_lowest() -> None:
    bands = [(2, Spread(0.5, 0.4, 0.6, (0.4, 0.6))), (3, Spread(0.3, 0.2, 0.4, (0.2, 0.4)))]
    band, mean = figures.band_over_k(bands, title="silhouette", chosen=3).data
    assert list(band.x) == [2, 3, 3, 2]
    assert list(band.y) == [0.6, 0.4, 0.2, 0.4]
    assert list(mean.y) == [0.5, 0.3]


def test_every_value_of_a_spread_is_shown_and_its_mean() -> None:
    figure = figures.spreads([("5 seeds", Spread(0.8, -0.1, 1.0, (-0.1, 0.9, 1.0)))])
    line, values, mean = figure.data
    assert list(line.x) == [-0.1, 1.0]
    assert list(values.x) == [-0.1, 0.9, 1.0]
    assert list(mean.x) == [0.8]
    assert figure.layout.xaxis.range[0] < -0.1
