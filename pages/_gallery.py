"""The gallery: one page of images to look at, select, enlarge and find others like.

Thumbnails, previews and cards come from the app's routes, in the formats of `pages._latent_map`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from pages._components import asset_url, ignore_change, register_component

MAX_ITEMS = 200  # so that the ids selected stay few, and a page stays light


@dataclass(frozen=True)
class Badge:
    """A short word on a tile with a mark of its colour, "#rrggbb"."""

    text: str
    color: str


@dataclass(frozen=True)
class GalleryItem:
    """One image; its texts are never read as markup. A remark is a sentence below the tile."""

    id: int
    title: str
    badges: tuple[Badge, ...] = ()
    remark: str = ""
    flagged: bool = False


@dataclass(frozen=True)
class GallerySelection:
    """What a person has picked on this page of images.

    Attributes:
        selected: ids in the order of the page.
        opened: the image that is shown large, or None.
    """

    selected: tuple[int, ...] = ()
    opened: int | None = None


_mount = register_component("gallery")


def gallery(
    items: Sequence[GalleryItem],
    *,
    thumbnail_url: str,
    preview_url: str,
    image_url: str,
    card_url: str,
    key: str,
    heat_url: str = "",
    selectable: bool = True,
    on_find_similar: Callable[[int], None] | None = None,
    on_explain: Callable[[int], None] | None = None,
    on_change: Callable[[], None] | None = None,
) -> GallerySelection:
    """Show one page of images, and return what is selected on it.

    Another page of images starts with nothing selected.

    Args:
        items: at most 200, no id twice.
        thumbnail_url: address of a small image, with "{id}" for the image's id.
        preview_url: of a larger one, shown first when an image is enlarged.
        image_url: of the whole image, shown as soon as it is there.
        card_url: of what is known of an image.
        heat_url: of a picture laid over the enlarged image; it may answer that there is none yet,
            and is asked again then. Empty where there are none.
        selectable: whether a click selects; it enlarges otherwise.
        on_find_similar: called with an image's id, before the rerun, when a person asks for
            images like it; None leaves that action out.
        on_explain: called with an image's id, before the rerun, when its heat map is wanted and is
            not there yet.
        on_change: called before the rerun that a new selection causes.

    Raises:
        ValueError: there are more than 200 items.
    """
    if len(items) > MAX_ITEMS:
        raise ValueError(f"a gallery shows at most {MAX_ITEMS} images a page, got {len(items)}")
    ids = [item.id for item in items]

    def asked(what: str, answer: Callable[[int], None] | None) -> None:
        wanted = st.session_state[key].get(what)
        if answer is not None and wanted and wanted.get("id") in ids:
            answer(wanted["id"])

    result = _mount(
        key=key,
        data={
            "script_url": asset_url("gallery/gallery.js"),
            "style_url": asset_url("gallery/gallery.css"),
            "items": [asdict(item) for item in items],
            "thumbnail_url": thumbnail_url,
            "preview_url": preview_url,
            "image_url": image_url,
            "card_url": card_url,
            "heat_url": heat_url,
            "selectable": selectable,
            "find_similar": on_find_similar is not None,
        },
        on_selection_change=on_change or ignore_change,
        on_opened_change=ignore_change,
        on_similar_change=lambda: asked("similar", on_find_similar),
        on_explain_change=lambda: asked("explain", on_explain),
    )
    return GallerySelection(
        selected=tuple(_known(result.selection or (), ids)),
        opened=next(iter(_known([result.opened], ids)), None),
    )


def _known(picked: Sequence[Any], ids: Sequence[int]) -> list[int]:
    """Those of `ids` that were picked: a page turned since, or a forged id, counts for nothing."""
    chosen = {each for each in picked if isinstance(each, int)}
    return [each for each in ids if each in chosen]
