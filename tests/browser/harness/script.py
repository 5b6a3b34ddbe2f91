"""The page under test; the address says which: `?view=map&n=1000`, or another view."""

import json
from dataclasses import asdict

import harness_data as data
import numpy as np
import streamlit as st

from core.selection import MapSelection, resolve_selection
from pages._gallery import Badge, GalleryItem, gallery
from pages._latent_map import (
    Category,
    Resource,
    ScoreScale,
    StoredSelection,
    latent_map,
    latest_selection,
)
from pages._triage_card import (
    Guess,
    Idle,
    Neighbour,
    TriageItem,
    TriageLabel,
    TriageProgress,
    parse_log,
    triage_card,
)

IMAGES = {
    "thumbnail_url": "images/thumbnail/{id}",
    "preview_url": "images/preview/{id}",
    "card_url": "cards/{id}",
}
NAMES = ("dirt", "drop", data.UNTRUSTED, "watermark", "orange peel", "crater")
VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def show_maps(n: int, kind: str, n_maps: int) -> None:
    """One map, or two linked ones, and the ids that Python finds selected."""
    if "selection" not in st.session_state:
        st.session_state.selection = held_in_address()
    if st.session_state.get("left"):
        st.button(
            "Come back", key="back", on_click=st.session_state.update, args=({"left": False},)
        )
        return
    columns = st.columns(n_maps)
    views = ("left", "right")[:n_maps]
    selections = []
    for column, view in zip(columns, views, strict=True):
        with column:
            selections.append(show_map(view, n, kind, height=520 if n_maps == 1 else 420))
    newest = latest_selection(*selections)
    held = st.session_state.selection
    if newest is not None and newest.seq > st.session_state.get("seq_seen", 0):
        st.session_state.seq_seen = newest.seq
        st.session_state.selection = store(newest, n)
        st.query_params["held"] = st.session_state.selection.version
        st.rerun()
    st.button("Rerun", key="rerun")
    st.button("Leave", key="leave", on_click=st.session_state.update, args=({"left": True},))
    if st.button("Clear from Python", key="clear"):
        st.session_state.selection = None
        st.rerun()
    if held is not None:
        st.text(f"resolved {held.version} seq {held.seq}")


def held_in_address() -> StoredSelection | None:
    version = st.query_params.get("held")
    return StoredSelection(url=f"selection/{version}", version=version) if version else None


def show_map(view: str, n: int, kind: str, height: int) -> MapSelection | None:
    categories = data.categories(n)
    legend = [
        Category(name=name, color=color, symbol=symbol, count=int((categories == index).sum()))
        for index, (name, color, symbol) in enumerate(
            zip(NAMES, data.PALETTE, data.SYMBOLS, strict=True)
        )
    ]
    scale = ScoreScale(title="Anomaly score (higher = stranger)", min=0, max=14, colors=VIRIDIS)
    return latent_map(
        points=Resource(url=f"points/{view}/{n}", version=view),
        colours=Resource(url=f"colours/{kind}/{n}", version=f"{kind}-{n}"),
        legend=scale if kind == "score" else legend,
        title="Before fine-tuning" if view == "left" else "After fine-tuning",
        note="UMAP · 15 neighbours · distances across gaps carry no meaning",
        group="harness",
        height=height,
        selection=st.session_state.selection,
        key=f"map.{view}",
        **IMAGES,
    )


def store(selection: MapSelection, n: int) -> StoredSelection:
    ids = resolve_selection(
        selection.steps,
        points_for=lambda view: data.points(view, n),
        categories_for=lambda _: data.categories(n),
        stored_for=data.kept_selections.__getitem__,
    )
    version = data.keep_selection(ids)
    return StoredSelection(url=f"selection/{version}", version=version, seq=selection.seq)


def show_stock_chart(n: int, kind: str) -> None:
    """What Streamlit has itself, to compare the map with."""
    import plotly.graph_objects as go

    points = data.points("left", n)
    colour = data.scores(n) if kind == "score" else data.categories(n)
    figure = go.Figure(
        go.Scattergl(
            x=points.x,
            y=points.y,
            mode="markers",
            marker={"color": colour, "size": 5},
            customdata=points.ids,
        )
    )
    st.plotly_chart(figure, height=520, on_select="rerun", key="stock")
    st.button("Rerun", key="rerun")


def show_gallery(n: int) -> None:
    ids = np.arange(n) + data.FIRST_ID
    items = [
        GalleryItem(
            id=int(image_id),
            title=data.card(int(image_id))["title"],
            badges=(Badge(text=NAMES[image_id % 2], color=data.PALETTE[image_id % 6]),),
            flagged=bool(image_id % 11 == 0),
        )
        for image_id in ids
    ]
    similar = st.session_state.setdefault("similar", [])
    chosen = gallery(
        items,
        image_url="images/full/{id}",
        on_find_similar=similar.append,
        key="gallery",
        **IMAGES,
    )
    st.text(f"selected {sorted(chosen.selected)}")
    st.text(f"opened {chosen.opened}")
    st.text(f"similar {similar}")


def show_triage(n: int, n_lost: int) -> None:
    """Items to judge; the first `n_lost` messages are written, and never answered."""
    written = st.session_state.setdefault("written", {})
    st.session_state.setdefault("acked", ("", 0))
    messages = st.session_state.setdefault("messages", [])

    def take() -> None:
        log, entries = parse_log(st.session_state.triage["log"])
        messages.append(log)
        for entry in entries:
            written.setdefault(entry.seq, entry)
        if len(messages) > n_lost:
            st.session_state.acked = (log, max(written))

    ids = [data.FIRST_ID + place for place in range(n)]
    decided = {entry.item_id for entry in written.values()}
    triage_card(
        [triage_item(i) for i in ids if i not in decided][:24],
        view="focus",
        labels=[
            TriageLabel(name, data.PALETTE[place], str(place + 1))
            for place, name in enumerate(NAMES)
        ],
        examples={name: [ids[place]] for place, name in enumerate(NAMES)},
        progress=TriageProgress(len(decided), n),
        idle=Idle("All done."),
        acked=st.session_state.acked,
        told=(),
        place="harness",
        thumbnail_url=IMAGES["thumbnail_url"],
        preview_url=IMAGES["preview_url"],
        image_url="images/full/{id}",
        key="triage",
        on_log=take,
    )
    st.text(json.dumps([asdict(written[seq]) for seq in sorted(written)]))


def triage_item(image_id: int) -> TriageItem:
    name, color = NAMES[2], data.PALETTE[2]
    return TriageItem(
        id=image_id,
        image_id=image_id,
        title=data.UNTRUSTED,
        seen=None,
        suggested=Badge(name, color),
        is_blind=False,
        top=(Guess(name, color, 0.6), Guess(NAMES[0], data.PALETTE[0], 0.3)),
        why=f"Looks like {name}.",
        nearest=(Neighbour(image_id + 1, name, color),),
        opinion=1,
        n_opinions=1,
    )


st.set_page_config(layout="wide", page_title="Harness")
n_shown = int(st.query_params.get("n", "1000"))
colour_kind = st.query_params.get("kind", "category")
match st.query_params.get("view", "map"):
    case "map":
        show_maps(n_shown, colour_kind, int(st.query_params.get("maps", "1")))
    case "gallery":
        show_gallery(n_shown)
    case "triage":
        show_triage(n_shown, int(st.query_params.get("deaf", "0")))
    case "stock":
        show_stock_chart(n_shown, colour_kind)
