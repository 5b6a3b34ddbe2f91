"""Charts of a data set: its classes and splits, the measures of its images, its files on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from core.figures.drawing import WARNING_COLOUR, finish, plain_text, tint
from core.palette import CLASS_COLOURS, SPLIT_COLOURS, UNKNOWN_COLOUR, class_colour
from core.report.counts import Histogram, LabelCount, scale, tabulate
from core.report.subsets import HasOtherSize, HasSize, Part, Subset, covers, encode

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def images_by_class(
    rows: Sequence[LabelCount], *, classes: Sequence[str], chosen: Subset = ()
) -> Figure:
    """Bars of images a class, stacked by split; each piece carries its subset.

    Args:
        rows: (label, split, n_images).
        classes: the classes in the order of the bars; unlabelled images come last.
        chosen: the subset whose pieces stand out.
    """
    import plotly.graph_objects as go

    table = tabulate(rows, classes=classes)
    names = [plain_text(label or "unlabelled") for label in table.labels]
    totals = table.counts.sum(axis=1)
    figure = go.Figure()
    for column, split in enumerate(table.splits):
        parts = [table.cell(row, column) for row in range(len(names))]
        figure.add_bar(
            y=names,
            x=table.counts[:, column].tolist(),
            name=split or "no split",
            orientation="h",
            marker_color=SPLIT_COLOURS.get(split or "", UNKNOWN_COLOUR),
            hovertemplate="%{y}: %{x:,} images<extra>%{fullData.name}</extra>",
            **_clickable(parts, chosen),
        )
    figure.add_scatter(
        y=names,
        x=totals.tolist(),
        text=[f" {total:,}" for total in totals],
        mode="text",
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )
    figure.update_yaxes(autorange="reversed", title=None, type="category")  # classes may be "1"
    figure.update_xaxes(title="images", range=[0, 1.12 * max(totals, default=1)])
    height = 120 + 30 * len(names)
    return finish(figure, height=height, barmode="stack", legend_traceorder="normal")


def labels_by_split(
    rows: Sequence[LabelCount], *, classes: Sequence[str], chosen: Subset = ()
) -> Figure:
    """A cell for each label and split: how large a part of the split, in the colour of the label.

    Labels shared out alike have rows of one tint; a cell without any image is hatched.

    Args:
        rows: (label, split, n_images).
        classes: in the order of their colours.
        chosen: the subset whose cells stand out.
    """
    import plotly.graph_objects as go

    table = tabulate(rows, classes=classes)
    names = [plain_text(label or "unlabelled") for label in table.labels]
    totals = table.counts.sum(axis=0)
    shares = table.counts / totals  # a split that is there has images
    strengths = shares / shares.max(initial=1e-9)
    figure = go.Figure()
    for column, split in enumerate(table.splits):
        empty = table.counts[:, column] == 0
        figure.add_bar(
            y=names,
            x=[0.96] * len(names),
            base=[column - 0.48] * len(names),
            width=0.92,
            orientation="h",
            marker={
                "color": [
                    tint(class_colour(label, classes), 0.08 + 0.52 * strength)
                    for label, strength in zip(table.labels, strengths[:, column], strict=True)
                ],
                "pattern": {
                    "shape": ["/" if none else "" for none in empty],
                    "fgcolor": WARNING_COLOUR,
                    "size": 7,
                    "solidity": 0.25,
                },
                "line": {
                    "color": [WARNING_COLOUR if none else "rgba(0,0,0,0)" for none in empty],
                    "width": 1,
                },
            },
            hovertext=[
                f"{name}: {count:,} images, {share:.1%} of {split or 'those in no split'}"
                for name, count, share in zip(
                    names, table.counts[:, column], shares[:, column], strict=True
                )
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            **_clickable([table.cell(row, column) for row in range(len(names))], chosen),
        )
        figure.add_scatter(
            y=names,
            x=[column] * len(names),
            text=[
                "none" if none else f"{count:,} · {share:.0%}"
                for none, count, share in zip(
                    empty, table.counts[:, column], shares[:, column], strict=True
                )
            ],
            mode="text",
            hoverinfo="skip",
        )
    figure.update_yaxes(autorange="reversed", title=None, type="category", showgrid=False)
    figure.update_xaxes(
        title=None,
        side="top",
        tickvals=list(range(len(totals))),
        ticktext=[
            f"{split or 'no split'}<br>{total:,}"
            for split, total in zip(table.splits, totals, strict=True)
        ],
        range=[-0.5, len(totals) - 0.5],
        showgrid=False,
        zeroline=False,
    )
    return finish(figure, height=120 + 30 * len(names), barmode="overlay", showlegend=False)


def histogram(counted: Histogram, *, height: int, chosen: Subset = ()) -> Figure:
    """Bars of a measure, those flagged by it in another colour; each bar carries its range.

    Dotted lines stand where the flags begin.

    Args:
        height: in pixels.
        chosen: the subset whose bars stand out.
    """
    import plotly.graph_objects as go

    measure, edges = counted.measure, counted.edges
    places = scale(edges, measure)
    parts = [counted.bin(place) for place in range(len(counted.counts))]
    texts = [
        f"{low} to {high}: {n_images:,} images" + f", {n_flagged:,} flagged" * bool(n_flagged)
        for (low, high), n_images, n_flagged in zip(
            pairwise(measure.format.format(edge) for edge in edges),
            counted.counts,
            counted.flagged,
            strict=True,
        )
    ]
    figure = go.Figure()
    for counts, colour in (
        (counted.flagged, WARNING_COLOUR),
        (counted.counts - counted.flagged, CLASS_COLOURS[0]),
    ):
        figure.add_bar(
            x=((places[:-1] + places[1:]) / 2).tolist(),
            y=counts.tolist(),
            width=np.diff(places).tolist(),
            # A line around it shows a bar of one image beside one of thousands.
            marker={"color": colour, "line": {"color": colour, "width": (counts > 0) * 1.5}},
            hovertext=texts,
            hoverinfo="text" if colour == CLASS_COLOURS[0] else "none",
            **_clickable(parts, chosen),
        )
    for limit in scale(np.array(counted.limits), measure):
        if places[0] <= limit <= places[-1]:
            figure.add_vline(x=float(limit), line_dash="dot", line_color=WARNING_COLOUR)
    figure.update_xaxes(
        title=measure.title.lower(),
        range=[float(places[0]), float(places[-1])],
        tickangle=0,
        **_ticks(counted),
    )
    figure.update_yaxes(title="images", rangemode="tozero")
    return finish(
        figure,
        height=height,
        barmode="stack",
        bargap=0.0,
        showlegend=False,
        hovermode="x",  # anywhere above a bar is on it: a bar of one image is too low to hit
        selectdirection="h",  # a box is a range, however high it is drawn
    )


def image_sizes(
    bars: Sequence[tuple[HasSize | HasOtherSize, int]], *, height: int, chosen: Subset = ()
) -> Figure:
    """Bars of images a width and height.

    Args:
        bars: the sizes with their numbers of images, the commonest first.
        height: in pixels.
        chosen: the subset whose bars stand out.
    """
    import plotly.graph_objects as go

    names = [
        f"{part.width:,} × {part.height:,}" if isinstance(part, HasSize) else "rarer sizes"
        for part, _ in bars
    ]
    counts = [n_images for _, n_images in bars]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=counts,
            orientation="h",
            marker_color=CLASS_COLOURS[0],
            text=[f"{count:,}" for count in counts],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:,} images<extra></extra>",
            **_clickable([part for part, _ in bars], chosen),
        )
    )
    figure.update_yaxes(autorange="reversed", title=None, type="category")
    figure.update_xaxes(title="images", range=[0, 1.2 * max(counts, default=1)])
    return finish(figure, height=height, hovermode="y", showlegend=False)


def disk_use(parts: Mapping[str, int]) -> Figure:
    """Bars of bytes on disk a part, the largest first."""
    import plotly.graph_objects as go

    order = sorted(parts, key=lambda part: -parts[part])
    figure = go.Figure(
        go.Bar(
            y=order,
            x=[parts[part] / 1e6 for part in order],
            orientation="h",
            marker_color=CLASS_COLOURS[0],
            hovertemplate="%{y}: %{x:,.1f} MB<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title=None)
    figure.update_xaxes(title="MB")
    return finish(figure, height=90 + 26 * len(order))


def _clickable(parts: Sequence[Part], chosen: Subset) -> dict[str, Any]:
    """What lets a page know the images of a bar that is clicked, and marks those chosen."""
    kinds = {type(part) for part in parts}
    is_here = any(type(part) in kinds for part in chosen)  # else the chart would fade as a whole
    marked = [place for place, part in enumerate(parts) if covers(chosen, part)]
    return {
        "customdata": [encode((part,)) for part in parts],
        "selectedpoints": marked if is_here else None,
        "unselected_marker_opacity": 0.35,
    }


def _ticks(counted: Histogram) -> dict[str, Any]:
    """Round values where plotly, which sees only places on the axis, would write logarithms."""
    if not counted.measure.log_scale:
        return {}
    low, high = float(counted.edges[0]), float(counted.edges[-1])
    powers = 10.0 ** np.arange(np.ceil(np.log10(high + 1)))  # from 1, where the scale opens out
    for factors in ((1, 2, 5), (1,)):
        values = np.array([0.0, *sorted(f * power for power in powers for f in factors)])
        values = values[(values >= low) & (values <= high)]
        if len(values) <= 8:
            break
    places = scale(values, counted.measure)
    return {"tickvals": places.tolist(), "ticktext": [f"{value:,g}" for value in values]}
