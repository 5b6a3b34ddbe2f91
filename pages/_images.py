"""Images in pages: a gallery turned page by page, and what can be done with those picked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from core.palette import SPLIT_COLOURS, UNKNOWN_COLOUR, class_colour
from core.state import catalog, labels
from core.state.catalog import Image, ImageFilter
from core.state.change_log import Batch
from core.state.label_book import list_offered
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS, SPLITS
from pages._gallery import Badge, GalleryItem, GallerySelection, gallery
from pages._shared import acting, changed, go_to, image_urls, plain
from pages._types_shared import EXAMPLES, FEWEST, MOST

PAGE_SIZES = (24, 48, 96, 192)
_NONE = "(none)"
_SORT_TITLES = {
    "newest": "newest first",
    "oldest": "oldest first",
    "name": "by name",
    "label": "by label",
    "brightness": "darkest first",
    "contrast": "lowest contrast first",
    "sharpness": "least sharp first",
    "saturation": "least colourful first",
    "dark_share": "least black first",
    "bright_share": "least white first",
}


@dataclass(frozen=True)
class Heat:
    """Heat maps over enlarged images.

    Attributes:
        url: address of an image's, with "{id}".
        explain: has one computed, by the image's id.
    """

    url: str
    explain: Callable[[int], None]


def filter_images(workspace: Workspace, *, key: str) -> ImageFilter:
    """A row of choices that narrow the images down; they stand in the page's address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen_labels = st.multiselect(
            "Label",
            [*catalog.list_classes(workspace), *RESERVED_LABELS, _NONE],
            placeholder="any",
            key=f"{key}.label",
            bind="query-params",
            width=280,
        )
        splits = st.multiselect(
            "Split",
            [*SPLITS, _NONE],
            placeholder="any",
            key=f"{key}.split",
            bind="query-params",
            width=240,
        )
        state = st.selectbox(
            "State", list(_STATES), key=f"{key}.state", bind="query-params", width=200
        )
        text = st.text_input(
            "Name contains", key=f"{key}.name", bind="query-params", width=180, live=True
        )
        attributes = _filter_attributes(workspace, key=key)
    return ImageFilter(
        labels=tuple(None if label == _NONE else label for label in chosen_labels),
        splits=tuple(None if split == _NONE else split for split in splits),
        text=text or "",
        attributes=tuple(attributes),
        **_STATES[state],
    )


def paged_gallery(
    workspace: Workspace,
    chosen: ImageFilter,
    *,
    key: str,
    sort: bool = True,
    on_find_similar: Callable[[int], None] | None = None,
) -> tuple[GallerySelection, int]:
    """One page of the images that the filter chooses, with the means to turn it.

    Returns:
        What is picked on the page, and how many images the filter chooses in all.
    """
    n_images = catalog.count_images(workspace, chosen)
    if not n_images:
        st.info("No image matches.", icon=":material/search_off:")
        return GallerySelection(), 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown(f"**{n_images:,}** images", width="content")
        order = "newest"
        if sort:
            order = st.selectbox(
                "Order",
                catalog.SORTS,
                format_func=_SORT_TITLES.__getitem__,
                key=f"{key}.sort",
                label_visibility="collapsed",
                width=210,
            )
        size = st.segmented_control(
            "Images a page",
            PAGE_SIZES,
            default=PAGE_SIZES[1],
            required=True,
            key=f"{key}.size",
            label_visibility="collapsed",
        )
        n_pages = -(-n_images // size)
        page = st.pagination(n_pages, key=f"{key}.page") if n_pages > 1 else 1
    images = catalog.list_images(
        workspace, chosen, sort=order, offset=(page - 1) * size, limit=size
    )
    return show_gallery(workspace, images, key=key, on_find_similar=on_find_similar), n_images


def ranked_gallery(
    workspace: Workspace,
    ids: np.ndarray,
    *,
    key: str,
    remarks_for: Callable[[Sequence[int]], Sequence[str]],
    order: str = "the worst first",
    heat: Heat | None = None,
    evaluation: str = "",
    on_find_similar: Callable[[int], None] | None = None,
) -> GallerySelection:
    """Images in the order given, page by page, with a sentence under each.

    Args:
        ids: int array (n_images,), of images that are there.
        remarks_for: a sentence for each of the images of one page.
        order: what the order is, in words.
        heat: heat maps over enlarged images.
        evaluation: of a model, whose probabilities stand beside enlarged images.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown(f"**{len(ids):,}** images, {order}", width="content")
        n_pages = -(-len(ids) // PAGE_SIZES[0])
        page = st.pagination(n_pages, key=f"{key}.page") if n_pages > 1 else 1
    shown = ids[(page - 1) * PAGE_SIZES[0] : page * PAGE_SIZES[0]].tolist()
    return show_gallery(
        workspace,
        catalog.list_in_order(workspace, shown),
        key=key,
        remarks=remarks_for(shown),
        heat=heat,
        evaluation=evaluation,
        on_find_similar=on_find_similar,
    )


def show_gallery(
    workspace: Workspace,
    images: Sequence[Image],
    *,
    key: str,
    captions: Sequence[str] = (),
    remarks: Sequence[str] = (),
    heat: Heat | None = None,
    evaluation: str = "",
    on_find_similar: Callable[[int], None] | None = None,
) -> GallerySelection:
    """These images as tiles with their label, split and state.

    Args:
        captions: a word more an image, such as a distance.
        remarks: a sentence an image, such as why it is shown.
        heat: heat maps over enlarged images.
        evaluation: of a model, whose probabilities stand beside enlarged images.
    """
    order = catalog.list_classes(workspace)
    queued = set(
        catalog.image_ids(
            workspace, ImageFilter(ids=tuple(i.id for i in images), queued=True)
        ).tolist()
    )
    urls = image_urls(workspace, **({"evaluation": evaluation} if evaluation else {}))
    return gallery(
        [
            replace(
                _item(image, order, image.id in queued, captions[i] if captions else ""),
                remark=remarks[i] if remarks else "",
            )
            for i, image in enumerate(images)
        ],
        key=f"{key}.gallery",
        image_url=urls["preview_url"].replace("/preview/", "/image/"),
        heat_url=heat.url if heat else "",
        on_find_similar=on_find_similar,
        on_explain=heat.explain if heat else None,
        **urls,
    )


def image_actions(
    workspace: Workspace, ids: Sequence[int], *, key: str, what: str, queue_reason: str
) -> None:
    """What can be done with picked images: relabel, move, exclude, send to triage, download.

    Args:
        ids: the images; with none, the actions are shown but cannot be used.
        what: who picked them, for the download's file name.
        queue_reason: why they go to triage, in a few words.
    """
    n_images, nothing, key = len(ids), not len(ids), f"{key}.act"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox(
            f"Label for {n_images:,} images",
            [*list_offered(workspace), *RESERVED_LABELS],
            index=None,
            placeholder="Choose or type a label",
            accept_new_options=True,
            key=f"{key}.label",
            width=250,
        )
        if st.button(
            "Relabel",
            type="primary",
            icon=":material/label:",
            disabled=nothing or not label,
            key=f"{key}.relabel",
        ):
            batch = labels.relabel(workspace, ids, label, actor=acting().name, reason=what)
            _done(workspace, batch, f"Labelled {label}")
        if st.button(
            "Exclude",
            icon=":material/block:",
            disabled=nothing,
            key=f"{key}.exclude",
            help="Leave these images out of training; reversible.",
        ):
            batch = labels.set_excluded(workspace, ids, True, actor=acting().name, reason=what)
            _done(workspace, batch, "Excluded from training")
        if st.button(
            "Include",
            icon=":material/add_circle:",
            disabled=nothing,
            key=f"{key}.include",
            help="Let excluded images take part in training again.",
        ):
            batch = labels.set_excluded(workspace, ids, False, actor=acting().name, reason=what)
            _done(workspace, batch, "Taken into training again")
        if st.button(
            "Send to triage",
            icon=":material/inbox:",
            disabled=nothing,
            key=f"{key}.triage",
            help="Put these images into the queue for a person to decide.",
        ):
            batch = labels.set_queued(
                workspace, ids, True, actor=acting().name, reason=queue_reason
            )
            _done(workspace, batch, "Sent to triage")
        with st.popover("More", icon=":material/more_horiz:", disabled=nothing):
            _more_actions(workspace, ids, key=key, what=what)


def _more_actions(workspace: Workspace, ids: Sequence[int], *, key: str, what: str) -> None:
    split = st.segmented_control("Move to split", SPLITS, key=f"{key}.split")
    if st.button("Move", disabled=not split, key=f"{key}.move"):
        batch = labels.set_split(workspace, ids, split, actor=acting("data scientist").name)
        _done(workspace, batch, f"Moved to {split}")
    if st.button("Withdraw from triage", key=f"{key}.withdraw"):
        batch = labels.set_queued(workspace, ids, False, actor=acting().name, reason=what)
        _done(workspace, batch, "Withdrawn from triage")
    if st.button("Take the label away", key=f"{key}.unlabel"):
        batch = labels.relabel(workspace, ids, None, actor=acting().name, reason=what)
        _done(workspace, batch, "Label taken away")
    if st.button(
        "Begin a new type",
        disabled=not FEWEST <= len(ids) <= MOST,
        help=f"A new type of defect, shown by these images: {FEWEST} to {MOST} of them.",
        key=f"{key}.type",
    ):
        st.session_state[EXAMPLES] = tuple(ids)
        go_to("defect_types.py", workspace, view="New type")
    st.download_button(
        "Download as CSV",
        lambda: as_csv(workspace, ids),
        file_name=f"{what.replace(' ', '-')}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}.csv",
    )


def as_csv(workspace: Workspace, ids: Sequence[int]) -> bytes:
    """The images as a table for other tools."""
    rows = [
        {
            "id": image.id,
            "path": image.name,
            "label": image.label,
            "label_origin": image.label_origin,
            "split": image.split,
            "excluded": image.excluded,
            **image.attributes,
            "width": image.width,
            "height": image.height,
            "sha256": image.sha256,
        }
        for image in catalog.list_images(workspace, ImageFilter(ids=tuple(map(int, ids))))
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode()


_STATES: dict[str, dict] = {
    "all": {},
    "labelled by a person": {"origins": ("human",)},
    "labelled by the source": {"origins": ("imported",)},
    "labelled automatically": {"origins": ("automatic",)},
    "excluded": {"excluded": True},
    "in triage": {"queued": True},
    "file missing": {"condition": "missing"},
    "file changed": {"condition": "changed"},
}


def _done(workspace: Workspace, batch: Batch, text: str) -> None:
    changed(workspace, batch, text)
    st.rerun()


def _filter_attributes(workspace: Workspace, *, key: str) -> list[tuple[str, str]]:
    kinds = catalog.list_attributes(workspace)
    chosen = []
    for name in [name for name, kind in kinds.items() if kind == "text"][:4]:
        value = st.selectbox(
            plain(name),
            catalog.attribute_values(workspace, name),
            index=None,
            placeholder="any",
            key=f"{key}.attribute.{name}",
            width=150,
        )
        if value is not None:
            chosen.append((name, value))
    return chosen


def _item(image: Image, order: Sequence[str], queued: bool, caption: str) -> GalleryItem:
    badges = [Badge(image.label or "unlabelled", class_colour(image.label, order))]
    if image.split:
        badges.append(Badge(image.split, SPLIT_COLOURS[image.split]))
    if queued:
        badges.append(Badge("in triage", UNKNOWN_COLOUR))
    if image.excluded:
        badges.append(Badge("excluded", UNKNOWN_COLOUR))
    if image.condition != "ok":
        badges.append(Badge(f"file {image.condition}", UNKNOWN_COLOUR))
    title = f"{caption} · {image.name}" if caption else image.name
    return GalleryItem(image.id, title, tuple(badges), flagged=image.excluded)
