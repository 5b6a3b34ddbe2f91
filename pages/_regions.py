"""The view Regions, reading the space: do two sets differ in it, and how do classes and splits lie?

A map is a picture of the features: two patches of it may be one in the features, and one patch two.
So sets of images are compared in the full latent space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from core import figures, queries
from core.analysis.clusterings import cluster_ids
from core.analysis.comparisons import Comparison, list_comparisons, read_comparison
from core.analysis.layouts import Layout, read_layout
from core.analysis.reading import effect_in_words, hardest_pair, p_in_words, shift_in_words
from core.errors import OperatorError
from core.jobs.configs import CompareSets, ReadLayout
from core.state import catalog, runs, selections
from core.state.catalog import ImageFilter
from core.state.cluster_names import cluster_names
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS, SPLITS
from pages._analyses import find_or_offer, offer_again
from pages._map_view import held_selection, show_on_maps
from pages._shared import counted, go_to, plain, submit, told_apart

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_KEY = "clusters_and_anomalies.regions"
_KEPT = f"{_KEY}.kept"  # digests of selections to choose from, the newest last
_MOST_KEPT = 6
BY_LABEL, BY_CLUSTER, BY_SELECTION, THE_REST = (
    "Labels and splits",
    "Clusters",
    "A selection on the map",
    "All other images",
)


@dataclass(frozen=True)
class ImageSet:
    """Images and what a person calls them.

    Attributes:
        ids: int64, ascending.
    """

    name: str
    ids: np.ndarray


def show_regions(workspace: Workspace, embedding: Run) -> None:
    """The comparison of two sets, and how classes and splits lie."""
    show_maker(workspace, embedding)
    show_comparisons(workspace, embedding)
    config = ReadLayout(embedding.id)
    st.subheader("How classes and splits lie", anchor=False)
    standing = find_or_offer(
        workspace,
        embedding,
        "layout",
        config,
        missing="How the classes and the splits lie has not been measured yet.",
        label="Measure it",
    )
    if standing:
        offer_again(
            workspace, standing, config, "Labels or splits have changed since this was measured."
        )
        layout = read_layout(workspace, standing.run)
        show_layout(layout, catalog.list_classes(workspace))


def offer_comparison(workspace: Workspace, embedding: Run, ids: np.ndarray) -> None:
    """On a page with a map: compare what is selected with the rest, or with another selection."""
    digest = selections.save_selection(workspace, ids)
    others = [each for each in st.session_state.get(_KEPT, ()) if each != digest]
    with st.popover("Compare", icon=":material/compare_arrows:"):
        st.caption("Does this region differ in the full latent space, or only on the picture?")
        st.button(
            "With all other images",
            key=f"{_KEY}.with_rest",
            on_click=_choose_sets,
            args=(digest, None),
        )
        st.button(
            "With the selection kept before",
            key=f"{_KEY}.with_kept",
            disabled=not others,
            on_click=_choose_sets,
            args=(others[-1] if others else digest, digest),
        )
        st.button(
            "Keep it, and select another",
            key=f"{_KEY}.keep",
            on_click=_keep,
            args=(digest,),
        )
    if st.session_state.pop(f"{_KEY}.go", False):
        st.session_state["clusters_and_anomalies.features"] = embedding.id
        view = {"clusters_and_anomalies.view": "Regions"}
        go_to("clusters_and_anomalies.py", workspace, **view)


def show_maker(workspace: Workspace, embedding: Run) -> None:
    """Two sets to choose, and the button that compares them."""
    st.subheader("Do two sets of images differ?", anchor=False)
    st.caption(
        "Tested in the full latent space, not on a map: whether any difference shows (maximum mean "
        "discrepancy) and how well an unseen image's set can be told (a linear classifier)."
    )
    known = runs.load_array(workspace, embedding, "image_ids")
    left, right = st.columns(2)
    with left, st.container(border=True):
        first = choose_set(workspace, embedding, known, "first")
    with right, st.container(border=True):
        second = choose_set(workspace, embedding, known, "second", rest_of=first)
    shared = np.intersect1d(first.ids, second.ids)
    second = ImageSet(second.name, np.setdiff1d(second.ids, shared))
    if len(shared):
        st.caption(f"{counted(len(shared), 'image')} in both: counted to the first set alone.")
    if st.button(
        "Compare",
        type="primary",
        icon=":material/compare_arrows:",
        disabled=not (len(first.ids) and len(second.ids)),
        key=f"{_KEY}.compare",
    ):
        config = CompareSets(
            embedding.id,
            first=selections.save_selection(workspace, first.ids),
            second=selections.save_selection(workspace, second.ids),
            first_name=first.name,
            second_name=second.name,
        )
        submit(workspace, config)
        st.rerun()


def choose_set(
    workspace: Workspace,
    embedding: Run,
    known: np.ndarray,
    place: str,
    *,
    rest_of: ImageSet | None = None,
) -> ImageSet:
    """One set of images, those without features left out; with `rest_of` all others are a choice.

    Args:
        known: int64 ids of the images that have features, ascending.
        place: `first` or `second`.
    """
    choices: dict[str, Callable[[], ImageSet]] = {
        BY_LABEL: lambda: _by_label(workspace, place),
        BY_CLUSTER: lambda: _by_cluster(workspace, embedding, place),
        BY_SELECTION: lambda: _by_selection(workspace, place),
    }
    if rest_of is not None:
        rest = ImageSet("all other images", np.setdiff1d(known, rest_of.ids))
        choices[THE_REST] = lambda: rest
    key = f"{_KEY}.{place}.kind"
    st.session_state.setdefault(key, BY_LABEL if rest_of is None else THE_REST)
    kind = st.selectbox(f"The {place} set", list(choices), key=key)
    chosen = choices[kind]()
    chosen = ImageSet(chosen.name, np.intersect1d(chosen.ids, known))
    st.markdown(
        f"**{counted(len(chosen.ids), 'image')}**" + f": {plain(chosen.name)}" * bool(chosen.name)
    )
    return chosen


def show_comparisons(workspace: Workspace, embedding: Run) -> None:
    """The newest comparison, or the one chosen among all."""
    made = list_comparisons(workspace, embedding)
    if not made:
        return
    chosen = made[0]
    if len(made) > 1:
        with st.expander(f"Earlier comparisons ({len(made) - 1})", icon=":material/history:"):
            picked = st.dataframe(
                pd.DataFrame([_row(run) for run in made]),
                hide_index=True,
                column_config={
                    name: st.column_config.NumberColumn(format="%.3f")
                    for name in ("AUC", "p of the AUC", "p of the discrepancy")
                },
                on_select="rerun",
                selection_mode="single-row",
                key=f"{_KEY}.made.{len(made)}",
            ).selection.rows
            st.caption("Choose a row to see what it said.")
        chosen = made[picked[0]] if picked else chosen
    with st.container(border=True):
        show_comparison(workspace, embedding, chosen)


def show_comparison(workspace: Workspace, embedding: Run, run: Run) -> None:
    """What the test of two sets said: the answer, the figures, and what to beware of."""
    compared: Comparison = read_comparison(workspace, run)
    test = compared.test
    first, second = plain(compared.first_name), plain(compared.second_name)
    st.markdown(f"##### {first} · {test.n_first:,}  against  {second} · {test.n_second:,}")
    st.markdown(f"**{test.verdict}**")
    with st.container(horizontal=True):
        st.metric(
            "Unseen images told apart",
            f"{test.auc:.2f}",
            border=True,
            help="AUC of a linear classifier in cross-validation: 0.5 cannot tell, 1 always can.",
        )
        st.metric("Effect", effect_in_words(test), border=True, help="By the AUC.")
        st.metric(
            "Any difference (MMD²)",
            f"{test.mmd_squared:.3f}",
            border=True,
            help="Squared maximum mean discrepancy: about 0 is no difference, higher is more.",
        )
        st.metric(
            "Lies between the sets",
            f"{test.separation:.0%}",
            border=True,
            help="The share of the variation, along the direction that separates the sets, that "
            "lies between them.",
        )
    st.markdown(
        f"Classifier {p_in_words(test.auc_p)} · discrepancy {p_in_words(test.mmd_p)} · one even "
        f"cloud cut in two would have {test.cloud_separation:.0%} between its parts (for more than "
        f"that: {p_in_words(test.cloud_p)})."
    )
    for caveat in test.caveats:
        st.caption(f":material/warning: {plain(caveat)}")
    with st.container(horizontal=True):
        for place, name, ids in (
            ("first", first, compared.first),
            ("second", second, compared.second),
        ):
            if st.button(
                f"{name} on the map",
                icon=":material/scatter_plot:",
                key=f"{_KEY}.map.{place}.{run.id}",
            ):
                show_on_maps(workspace, embedding, ids)


def show_layout(layout: Layout, classes: Sequence[str]) -> None:
    """Spread, purity and separability of the classes, and the splits' distance from training."""
    if layout.classes:
        left, right = st.columns(2)
        with left:
            st.markdown("**How widely each class is spread**")
            _chart("spreads", figures.class_spreads(layout.classes, classes=classes))
            st.caption("Lines: 95% interval of the mean. Higher = wider, more varied images.")
        with right:
            st.markdown("**How pure the neighbourhoods are**")
            _chart(
                "purity",
                figures.class_purity(
                    layout.classes, classes=classes, n_neighbors=layout.n_neighbors
                ),
            )
            st.caption("Diamonds: what neighbours drawn by chance would give. Higher = purer.")
    left, right = st.columns(2)
    with left:
        st.markdown("**How well each two classes can be told apart**")
        show_separability(layout)
    with right:
        st.markdown("**How far the splits lie from training**")
        show_shifts(layout)
    for note in layout.notes:
        st.caption(plain(note))


def show_separability(layout: Layout) -> None:
    """A cell for each two classes, and the hardest pair in a sentence."""
    if layout.separability is None:
        st.info("Fewer than two classes have enough images to be told apart.")
        return
    labels = [place.label for place in layout.classes]
    _chart("separability", figures.separability_matrix(labels, layout.separability))
    pair = hardest_pair(layout)
    if pair:
        first, second, auc = pair
        st.caption(
            f"AUC of a linear classifier in cross-validation: 0.5 alike, 1 wholly apart. Hardest: "
            f"**{plain(first)}** and **{plain(second)}** ({auc:.3f})."
        )


def show_shifts(layout: Layout) -> None:
    """A box a split, and what it means for each."""
    if not layout.shifts:
        st.info("There are no training images: split the images on the page Dataset.")
        return
    _chart("shifts", figures.split_distances(layout.shifts))
    st.caption("Boxes hold the middle half of the images, whiskers nine tenths.")
    for shift in layout.shifts:
        if shift.is_shifted:
            st.warning(plain(shift_in_words(shift)), icon=":material/trending_up:")
    others = [shift_in_words(shift) for shift in layout.shifts if not shift.is_shifted]
    st.caption(plain(" ".join(filter(None, others))))


def _by_label(workspace: Workspace, place: str) -> ImageSet:
    left, right = st.columns(2)
    names = left.multiselect(
        "Labels",
        [*catalog.list_classes(workspace), *RESERVED_LABELS],
        placeholder="Any",
        key=f"{_KEY}.{place}.labels",
    )
    splits = right.multiselect("Splits", SPLITS, placeholder="Any", key=f"{_KEY}.{place}.splits")
    if not (names or splits):
        return ImageSet("", np.empty(0, np.int64))
    chosen = ImageFilter(labels=tuple(names), splits=tuple(splits))
    parts = [" or ".join(names)] * bool(names) + [" or ".join(splits)] * bool(splits)
    return ImageSet(" in ".join(parts), catalog.image_ids(workspace, chosen))


def _by_cluster(workspace: Workspace, embedding: Run, place: str) -> ImageSet:
    clusterings = {run.id: run for run in clusterings_of(workspace, embedding)}
    if not clusterings:
        st.caption("There is no clustering yet: make one in the view Clusters.")
        return ImageSet("", np.empty(0, np.int64))
    titles = told_apart({id: queries.describe_run(run) for id, run in clusterings.items()})
    clustering = clusterings[
        st.selectbox(
            "Clustering",
            list(clusterings),
            format_func=titles.__getitem__,
            key=f"{_KEY}.{place}.clustering",
        )
    ]
    names = cluster_names(workspace, clustering.id)
    numbers = [-1] * bool(clustering.result.get("n_noise")) + list(
        range(clustering.result["n_clusters"])
    )

    def title(number: int) -> str:
        return names.get(number) or ("noise" if number < 0 else f"cluster {number}")

    chosen = st.multiselect(
        "Clusters", numbers, format_func=title, key=f"{_KEY}.{place}.clusters.{clustering.id}"
    )
    ids = [cluster_ids(workspace, clustering, number) for number in chosen]
    return ImageSet(" and ".join(map(title, chosen)), np.concatenate([*ids, np.empty(0, np.int64)]))


def _by_selection(workspace: Workspace, place: str) -> ImageSet:
    held = [*reversed(st.session_state.get(_KEPT, ())), held_selection()]
    found: dict[str, np.ndarray] = {}
    for digest in filter(None, held):
        try:
            found[digest] = selections.load_selection(workspace, digest)
        except OperatorError:
            continue  # dropped, for there have been many since
    if not found:
        st.caption("Select images on the page Latent space, and press Compare there.")
        return ImageSet("", np.empty(0, np.int64))
    titles = told_apart({digest: f"{len(ids):,} images" for digest, ids in found.items()})
    chosen = st.selectbox(
        "Selection", list(found), format_func=titles.__getitem__, key=f"{_KEY}.{place}.selection"
    )
    return ImageSet(f"selection of {len(found[chosen]):,}", found[chosen])


def _choose_sets(first: str, second: str | None) -> None:
    """Go and compare two kept selections, or one with the rest; for use as a callback."""
    for place, digest in (("first", first), ("second", second)):
        if digest is None:
            st.session_state[f"{_KEY}.{place}.kind"] = THE_REST
        else:
            _keep(digest)
            st.session_state[f"{_KEY}.{place}.kind"] = BY_SELECTION
            st.session_state[f"{_KEY}.{place}.selection"] = digest
    st.session_state[f"{_KEY}.go"] = True


def _keep(digest: str) -> None:
    kept = [each for each in st.session_state.get(_KEPT, ()) if each != digest]
    st.session_state[_KEPT] = [*kept, digest][-_MOST_KEPT:]


def _row(run: Run) -> dict[str, object]:
    return {
        "first": run.config["first_name"],
        "n": run.result["n_first"],
        "second": run.config["second_name"],
        "n ": run.result["n_second"],
        "AUC": run.result["auc"],
        "p of the AUC": run.result["auc_p"],
        "p of the discrepancy": run.result["mmd_p"],
        "made": run.created_at[:16].replace("T", " "),
    }


def _chart(name: str, figure: Figure) -> None:
    st.plotly_chart(figure, key=f"{_KEY}.{name}", config={"displayModeBar": False})
