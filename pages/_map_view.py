"""A map of a projection with its colours, and the selection that all maps of a page share."""

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from core import queries
from core.errors import OperatorError
from core.palette import (
    RESERVED_MARKS,
    SCORE_COLOURS,
    SPLIT_COLOURS,
    UNKNOWN_COLOUR,
    category_colour,
    category_symbol,
)
from core.selection import parse_selection
from core.state import catalog, runs, selections
from core.state.cluster_names import cluster_names
from core.state.colourings import Category as Legend
from core.state.colourings import Colouring, colour, list_colourings
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._latent_map import Category, Frame, Resource, ScoreScale, StoredSelection, latent_map
from pages._shared import go_to, image_urls, plain, routes_of, told_apart

_SELECTION = "latent_space.selection"  # (digest, seq of the map's message or None)


def show_map(
    workspace: Workspace, embedding: Run, projections: Sequence[Run], *, place: str, height: int
) -> None:
    """One map with its choices; `place` tells the maps of a page apart."""
    by_id = {run.id: run for run in projections}
    titles = told_apart(list_colourings(workspace, embedding))
    maps = told_apart({id: queries.describe_run(run) for id, run in by_id.items()})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Map",
            list(by_id),
            index=min(int(place == "right"), len(by_id) - 1),
            format_func=maps.__getitem__,
            key=f"latent_space.map.{place}",
            bind="query-params",
        )
        colour_by = st.selectbox(
            "Colour by",
            list(titles),
            format_func=titles.__getitem__,
            key=f"latent_space.colour.{place}",
            bind="query-params",
        )
    draw_map(
        workspace,
        by_id[chosen],
        colour_by,
        title=f"By {titles[colour_by].lower()}",
        group=embedding.id,
        height=height,
        key=f"latent_space.points.{place}",
    )


def draw_map(
    workspace: Workspace,
    projection: Run,
    colour_by: str,
    *,
    title: str,
    group: str,
    height: int,
    key: str,
    frame: Frame | None = None,
    glide_from: Run | None = None,
) -> None:
    """One map; maps of one group are linked, and all share the selection.

    Args:
        colour_by: the name of a colouring.
        key: of the component.
        frame: what it shows at first; None for all of its points.
        glide_from: another map, from whose places the points glide to their own.
    """
    version = catalog.fingerprint(workspace)
    kind, _, clustering = colour_by.partition(":")
    names = cluster_names(workspace, clustering) if kind == "cluster" else {}
    shown = _legend(
        workspace, workspace.uid, projection.id, colour_by, version, tuple(names.items())
    )
    address = routes_of(workspace)
    latent_map(
        points=_points(address, projection),
        glide_from=None if glide_from is None else _points(address, glide_from),
        colours=Resource(
            f"{address}/colours/{projection.id}?{urlencode({'by': colour_by, 'v': version})}",
            f"{projection.id}/{colour_by}@{version}",
        ),
        legend=_scale(shown) if shown.is_score else _categories(shown),
        title=title,
        note=_note(projection),
        group=group,
        height=height,
        frame=frame,
        selection=_stored(workspace),
        on_change=lambda: _take_selection(workspace, key),
        key=key,
        **image_urls(workspace, map=projection.id, by=colour_by),
    )
    for note in projection.result["notes"]:
        st.caption(plain(note))


def frame_of(workspace: Workspace, projections: Sequence[Run]) -> Frame:
    """What shows all points of several maps that share their coordinates."""
    places = np.concatenate([runs.load_array(workspace, run, "coordinates") for run in projections])
    (left, low), (right, high) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return Frame(left, right, low, high)


def selected_ids(workspace: Workspace) -> np.ndarray:
    """int64 ids of the images that are selected, of those that are still there."""
    digest, seq = _held()
    if not digest:
        return np.empty(0, np.int64)
    try:
        ids = selections.load_selection(workspace, digest)
    except OperatorError as error:
        clear_selection()
        st.toast(plain(str(error)))
        return np.empty(0, np.int64)
    _hold(digest, seq)  # a reload forgets the session, a visit to another page the address
    return ids


def show_on_maps(workspace: Workspace, embedding: Run, ids: Sequence[int] | np.ndarray) -> None:
    """Go to the maps of an embedding, with these images selected."""
    digest = selections.save_selection(workspace, np.asarray(ids, np.int64))
    st.session_state[_SELECTION] = (digest, None)
    st.session_state["latent_space.features"] = embedding.id
    go_to("latent_space.py", workspace)


def held_selection() -> str:
    """The kept selection that the maps show, by its digest; empty where they show none."""
    return _held()[0]


def clear_selection() -> None:
    """Select nothing."""
    _hold("", None)


def _held() -> tuple[str, int | None]:
    return st.session_state.get(_SELECTION) or (st.query_params.get("selected", ""), None)


def _hold(digest: str, seq: int | None) -> None:
    st.session_state[_SELECTION] = (digest, seq)
    if digest:
        st.query_params["selected"] = digest
    else:
        st.query_params.pop("selected", None)


def _take_selection(workspace: Workspace, key: str) -> None:
    try:
        selection = parse_selection(st.session_state[key]["selection"])
        ids = queries.resolve_on_map(workspace, selection)
    except (OperatorError, ValueError) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    digest = selections.save_selection(workspace, ids) if len(ids) else ""
    _hold(digest, selection.seq)


def _stored(workspace: Workspace) -> StoredSelection | None:
    digest, seq = _held()
    if not digest:
        return None
    url = f"{routes_of(workspace)}/selection/{digest}"
    return StoredSelection(url, digest, seq)


@st.cache_data(max_entries=32, show_spinner=False)
def _legend(
    _workspace: Workspace,
    uid: str,
    projection: str,
    colour_by: str,
    version: str,
    names: tuple[tuple[int, str], ...],  # of clusters: a version, too
) -> Colouring:
    # By uid too: the same images imported elsewhere make the same map, under other labels.
    run = runs.get_run(_workspace, projection)
    return colour(_workspace, runs.load_array(_workspace, run, "image_ids"), colour_by)


def _points(address: str, projection: Run) -> Resource:
    return Resource(f"{address}/points/{projection.id}", projection.id)


def _categories(colouring: Colouring) -> list[Category]:
    return [
        Category(entry.name, _colour(colouring, entry), entry.count, _symbol(entry))
        for entry in colouring.categories
    ]


def _colour(colouring: Colouring, entry: Legend) -> str:
    is_of_splits = colouring.name.partition(":")[0] in ("split", "role")
    if is_of_splits and entry.name in SPLIT_COLOURS:
        return SPLIT_COLOURS[entry.name]
    if entry.place is None:
        return RESERVED_MARKS.get(entry.name, (UNKNOWN_COLOUR, ""))[0]
    return category_colour(entry.place)


def _symbol(entry: Legend) -> str:
    if entry.place is None:
        return RESERVED_MARKS.get(entry.name, ("", "circle"))[1]
    return category_symbol(entry.place)


def _scale(colouring: Colouring) -> ScoreScale:
    return ScoreScale(colouring.title, colouring.low, colouring.high, SCORE_COLOURS)


def _note(projection: Run) -> str:
    trust = projection.result["trustworthiness"]
    method = queries.projection_methods()[projection.config["method"]][0]
    return method if trust is None else f"{method} · trustworthiness {trust:.3f}"
