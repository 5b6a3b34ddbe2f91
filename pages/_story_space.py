"""The story's first half: defects that look alike, the space that mixes them, and the tuned one."""

from __future__ import annotations

from html import escape

import streamlit as st

from core import queries
from core.analysis.evaluations import Movement, newest_movement
from core.analysis.story import Pair, alike_pairs
from core.errors import OperatorError
from core.jobs import story as plot
from core.jobs.configs import CompareMaps
from core.state import runs
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._map_view import draw_map
from pages._shared import as_duration, image_urls, noted_metric, plain
from pages._story_copy import CHARTS, KEY, has_finished_model, need_model, offer_model, wait_for
from pages._training_run import show_curves

_N_PAIRS = 5
_MAP_HEIGHT = 390  # with what stands above and below it, all fits on a laptop's screen
_LEAST_GAIN = 0.1  # of the ARI, for the story to say that the defects have come apart
_COLOURS = {"label": "Defect", "cluster": "Cluster"}


def show_alike(copy: Workspace) -> None:
    """Pairs of images of different defects that a generic network holds for alike."""
    st.markdown(
        "Dirt under the clear coat, a run of paint, a scratch, a dried drop of water: on a curved, "
        "shining panel **the reflections are louder than the defect**. Each column holds two "
        "images that a network which has never seen paint takes for near relatives. They show "
        "different defects. Could you sort them, a thousand a day?"
    )
    told = st.toggle("Tell me what they show", key=f"{KEY}.told")
    embedding = _generic(copy)
    pairs = _pairs(copy, copy.uid, embedding.id)
    with st.container(key=f"{KEY}.pairs"):
        columns = st.columns(len(pairs))
    for column, pair in zip(columns, pairs, strict=True):
        with column:
            _show_pair(copy, pair, told=told)


def show_mixed(copy: Workspace) -> None:
    """The map of the generic features, and how little their clusters say."""
    st.markdown(
        "The network turns each image into a list of numbers, and near means alike **to the "
        "network**. Nobody has taught it what a paint defect is: the colours lie mixed, and "
        "clusters are groups of panels, not of defects. Hover over points to see for yourself."
    )
    embedding = _generic(copy)
    _show_notice(embedding)
    clustering = _newest(copy, "clustering", embedding)
    reader = plot.reading_model(copy)
    with st.container(key=f"{KEY}.beside"):
        left, right = st.columns([3, 1], gap="medium")
    with right:
        by = st.segmented_control(
            "Colour",
            list(_COLOURS),
            default="label",
            required=True,
            format_func=_COLOURS.__getitem__,
            key=f"{KEY}.colour",
        )
        if clustering is not None:
            (measured,) = queries.clustering_table(copy, [clustering])
            ari = measured["ARI"]
            noted_metric(
                "ARI of the clusters",
                _index(ari),
                "0 is chance, 1 the labels",
                help="Adjusted Rand index: how far k-means on the features finds the labels.",
            )
        if reader is not None:
            noted_metric(
                "Accuracy, head alone",
                _share(reader),
                f"of {reader.result['n_validation']} validation images",
                help="A linear layer that learned to read these features, which stay as they are: "
                "the paper's feature extraction.",
            )
    with left:
        projection = _newest(copy, "projection", embedding)
        if projection is None:
            raise OperatorError("The map is gone.", next_step="Start the story again.")
        colour_by = "label" if by == "label" or clustering is None else f"cluster:{clustering.id}"
        draw_map(
            copy,
            projection,
            colour_by,
            title="Before fine-tuning",
            group=embedding.id,
            height=_MAP_HEIGHT,
            key=f"{KEY}.map.before",
        )


def show_tuning(copy: Workspace) -> None:
    """The training, live; or how it went."""
    st.markdown(
        "So the network is taught: on the labelled panels it learns to tell the four defects "
        "apart, and **the features move** with it. The paper trains for 100 epochs; these twenty "
        "take a minute or two."
    )
    model = plot.tuned_model(copy)
    if model is None:
        offer_model(copy)
        return
    epochs = model.result["history"]
    seconds = model.result["caching_seconds"] + sum(epoch["seconds"] for epoch in epochs)
    when = "when the demo was made" if has_finished_model(copy) else "just now, here"
    st.markdown(
        f":green[:material/check_circle:] **{plain(model.id)}**, trained {when} in "
        f"{as_duration(seconds)}, gets **{_share(model)}** of {model.result['n_validation']} "
        "validation images right. Next: what has that done to the map?"
    )
    with st.container(key=CHARTS):
        show_curves(epochs, best_epoch=model.result["best_epoch"], key=f"{KEY}.curves")


def show_apart(copy: Workspace) -> None:
    """The same images on the map after fine-tuning, gliding there from where they lay."""
    model = need_model(copy)
    movement = newest_movement(copy, model, plot.MAP)
    if movement is None or movement.before is None or movement.after is None:
        wait_for(copy, "All images are run through the tuned network.", (CompareMaps,))
        return
    st.markdown(
        "**The same images, seen by the tuned network.** Each point glides from where it lay to "
        "where it lies now"
        + (
            ": what looked alike comes apart by what it is, and what stays in between are the "
            "doubtful ones, as in the paper's mixed cluster."
            if _has_come_apart(movement)
            else ". **Little has come apart**: the figures say so, whatever the map looks like."
        )
    )
    with st.container(key=f"{KEY}.beside"):
        left, right = st.columns([3, 1], gap="medium")
    with right:
        when = st.segmented_control(
            "Map",
            ["Before", "After"],
            default="After",
            required=True,
            key=f"{KEY}.when",
        )
        _show_gain(copy, model, movement)
    before, after = movement.before, movement.after
    shown, other = (after, before) if when == "After" else (before, after)
    with left:
        draw_map(
            copy,
            shown,
            "label",
            title=f"{when} fine-tuning",
            group=movement.run.id,
            height=_MAP_HEIGHT,
            key=f"{KEY}.map.after",
            glide_from=other,
        )


def _has_come_apart(movement: Movement) -> bool:
    was, now = (each.adjusted_rand_index for each in movement.separation["validation"])
    return was is not None and now is not None and now - was > _LEAST_GAIN


def _show_gain(copy: Workspace, model: Model, movement: Movement) -> None:
    for name, title in (("validation", "validation images"), ("all", "all labelled images")):
        was, now = movement.separation[name]
        noted_metric(
            f"ARI, {title}",
            _index(now.adjusted_rand_index),
            f"before {_index(was.adjusted_rand_index)}"
            + ("; paper 0.89" if name == "validation" else ""),
            help=f"Of k-means on the features and the labels of {now.n_images} images: 0 is "
            "chance, 1 the labels. The paper measured its validation images after 100 epochs of "
            "a ResNet-50.",
        )
    reader = plot.reading_model(copy)
    before = f"before {_share(reader)}; " if reader else ""
    noted_metric(
        "Accuracy, validation",
        _share(model),
        f"{before}paper 92.3%",
        help="Before: a head alone on the generic features. After: the fine-tuned network.",
    )


def _show_pair(copy: Workspace, pair: Pair, *, told: bool) -> None:
    urls = image_urls(copy)
    pictures = "".join(
        f'<figure class="lq-story-image"><img alt="" '
        f'src="{escape(urls["preview_url"].format(id=image.id))}">'
        f"<figcaption>{escape(image.label or '') if told else '&nbsp;'}</figcaption></figure>"
        for image in (pair.first, pair.second)
    )
    st.html(pictures)


@st.cache_data(max_entries=16, show_spinner=False)
def _pairs(_copy: Workspace, uid: str, embedding: str) -> list[Pair]:
    return alike_pairs(_copy, runs.get_run(_copy, embedding), n_pairs=_N_PAIRS)


def _generic(copy: Workspace) -> Run:
    """The generic features.

    Raises:
        OperatorError: a visitor has deleted them.
    """
    embedding = plot.generic_embedding(copy)
    if embedding is None:
        raise OperatorError("The features are gone.", next_step="Start the story again.")
    return embedding


def _newest(copy: Workspace, kind: str, embedding: Run) -> Run | None:
    return next(iter(runs.list_runs(copy, kind, parent_id=embedding.id)), None)


def _show_notice(embedding: Run) -> None:
    notice = embedding.result["weights"]["notice"]
    if notice:
        st.caption(f":orange[:material/casino: {plain(notice)}]")


def _share(model: Model) -> str:
    share = model.result["val_accuracy"]
    return "–" if share is None else f"{share:.1%}"


def _index(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"  # never -0.00
