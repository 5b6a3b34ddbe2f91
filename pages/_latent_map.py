"""The latent map: images as points that show themselves on hover and can be selected.

Names, versions and addresses go to the browser; points, colours and images it fetches over HTTP,
once. Formats, little-endian, one entry a point, the same order in each:

- points: float32 x[n], then float32 y[n], then int32 image id[n];
- colours: uint8 category[n] (255 = none), or float32 score[n] (NaN = none);
- a stored selection: int32 image id[n_selected];
- a card: JSON `{"title": str, "rows": [[name, value], ...]}`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from core.selection import MapSelection, parse_selection
from pages._components import asset_url, ignore_change, register_component

log = logging.getLogger(__name__)

MAX_CATEGORIES = 254  # one byte a point, and 255 is none


@dataclass(frozen=True)
class Resource:
    """Something immutable to fetch: its address, and the version that names its content."""

    url: str
    version: str


@dataclass(frozen=True)
class Category:
    """One entry of the legend; its place in the legend is its index in the colours.

    Attributes:
        color: "#rrggbb".
        symbol: a plotly marker symbol, so that colour is not the only mark.
    """

    name: str
    color: str
    count: int
    symbol: str = "circle"


@dataclass(frozen=True)
class ScoreScale:
    """The colours of a score, evenly spaced from `min` to `max`, each "#rrggbb"."""

    title: str
    min: float
    max: float
    colors: tuple[str, ...]


@dataclass(frozen=True)
class StoredSelection:
    """A selection that the server keeps: the map lights it after a reload.

    Attributes:
        url: where its ids are fetched.
        version: names its content; comes back as `SelectionStep.stored`.
        seq: that of the `MapSelection` it was resolved from, so that a map which has moved on is
            not thrown back; None for a selection that no map made, which every map takes over.
    """

    url: str
    version: str
    seq: int | None = None


@dataclass(frozen=True)
class Frame:
    """The part of the plane that a map shows at first, in the coordinates of its points."""

    left: float
    right: float
    low: float
    high: float


_mount = register_component("latent_map")


def latent_map(
    *,
    points: Resource,
    colours: Resource,
    legend: Sequence[Category] | ScoreScale,
    thumbnail_url: str,
    preview_url: str,
    card_url: str,
    key: str,
    title: str = "",
    note: str = "",
    group: str = "",
    height: int = 560,
    frame: Frame | None = None,
    glide_from: Resource | None = None,
    selection: StoredSelection | None = None,
    on_change: Callable[[], None] | None = None,
) -> MapSelection | None:
    """Show a map, and return what a person has selected on it.

    Args:
        points: in the format above.
        colours: likewise; categories where `legend` is a sequence, scores where it is a scale.
        thumbnail_url: address of a small image, with "{id}" for the image's id.
        preview_url: of a larger one, shown when the pointer rests.
        card_url: of what is known of an image.
        title: shown above the map; never read as markup, like all text here.
        note: what the axes are, shown in the corner.
        group: maps of one group share hover and selection, in the browser, at once.
        height: of the map in px.
        frame: what it shows at first; None for all of its points.
        glide_from: points of another map, from whose places those of this one glide to their own.
        selection: what Python holds as selected; None where it holds nothing.
        on_change: called before the rerun that a new selection causes.

    Returns:
        The selection as steps for `core.selection.resolve_selection`; None before the first one,
        and where what the browser sent is none.

    Raises:
        ValueError: there are more than 254 categories.
    """
    if isinstance(legend, ScoreScale):
        kind = "score"
        described: object = asdict(legend)
    else:
        if len(legend) > MAX_CATEGORIES:
            raise ValueError(f"a map shows at most {MAX_CATEGORIES} categories, got {len(legend)}")
        kind = "category"
        described = [asdict(entry) for entry in legend]
    result = _mount(
        key=key,
        data={
            "script_url": asset_url("latent_map/latent_map.js"),
            "style_url": asset_url("latent_map/latent_map.css"),
            "plotly_url": asset_url("vendor/plotly-gl2d.min.js"),
            "version": points.version,
            "points_url": points.url,
            "colours_url": colours.url,
            "colours_version": colours.version,
            "glide_from_url": "" if glide_from is None else glide_from.url,
            "kind": kind,
            "legend": described,
            "thumbnail_url": thumbnail_url,
            "preview_url": preview_url,
            "card_url": card_url,
            "frame": None if frame is None else asdict(frame),
            "selection": None if selection is None else asdict(selection),
            "title": title,
            "note": note,
            "group": group,
            "height": height,
        },
        on_selection_change=on_change or ignore_change,
    )
    try:
        return None if result.selection is None else parse_selection(result.selection)
    except ValueError as error:
        log.warning("a map sent no selection: %s", error)
        return None


def latest_selection(*selections: MapSelection | None) -> MapSelection | None:
    """The newest of what several linked maps returned."""
    made = [selection for selection in selections if selection is not None]
    return max(made, key=lambda selection: selection.seq, default=None)
