"""Which images does a selection on the map hold?

The browser sends how it was drawn: boxes, lassos, single ids, each on top of the last. The points
never travel back, so a selection of 100,000 images is as small as one of ten. The geometry is that
of `assets/latent_map/geometry.js`, operation for operation, so that the ids which light up in the
browser are the ids found here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAX_STEPS = 1_000
MAX_CORNERS = 1_024
MAX_IDS = 200


@dataclass(frozen=True)
class Points:
    """One map's points: row i of each array is the image `ids[i]`.

    Attributes:
        x: float32 (n_points,), NaN where an image has no place.
        y: float32 (n_points,).
        ids: int32 (n_points,), no id twice.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    ids: NDArray[np.int32]


@dataclass(frozen=True)
class SelectionStep:
    """One step of a selection, as the browser drew it.

    Attributes:
        op: what the images found do to the selection so far.
        kind: "box" and "lasso" enclose points, "ids" names images, "stored" names a selection
            that the server has kept.
        points: version of the points that the shape was drawn over.
        path: corners (x, y) in data units; two opposite ones for a box.
        ids: the images of an "ids" step.
        stored: version of the kept selection of a "stored" step.
        colours: version of the categories that `hidden` refers to; None where nothing was hidden.
        hidden: category indices that were hidden, hence not selected.
    """

    op: Literal["replace", "add", "remove"]
    kind: Literal["box", "lasso", "ids", "stored"]
    points: str = ""
    path: tuple[tuple[float, float], ...] = ()
    ids: tuple[int, ...] = ()
    stored: str = ""
    colours: str | None = None
    hidden: tuple[int, ...] = ()


@dataclass(frozen=True)
class MapSelection:
    """What a map last reported.

    Attributes:
        seq: grows with every change a person makes, over all maps of a page: the larger is newer.
        steps: how the selection came about; empty where nothing is selected.
    """

    seq: int
    steps: tuple[SelectionStep, ...]


def parse_selection(value: Any) -> MapSelection:
    """Check a value that came from a browser, where anyone could have written it.

    Raises:
        ValueError: it is not what the map component sends; the offending part is named.
    """
    if not isinstance(value, Mapping) or not _is_int(value.get("seq")):
        raise ValueError(f"a selection must have an integer 'seq', got {value!r:.80}")
    steps = value.get("ops")
    if not isinstance(steps, Sequence) or isinstance(steps, str) or len(steps) > MAX_STEPS:
        raise ValueError(f"'ops' must be a list of at most {MAX_STEPS} steps")
    return MapSelection(seq=value["seq"], steps=tuple(_parse_step(step) for step in steps))


def resolve_selection(
    steps: Sequence[SelectionStep],
    *,
    points_for: Callable[[str], Points],
    categories_for: Callable[[str], NDArray[np.uint8]],
    stored_for: Callable[[str], NDArray[np.int32]],
) -> NDArray[np.int32]:
    """Ids of the images that are selected after all steps.

    Args:
        steps: as parsed from the browser.
        points_for: the points of a version; raises where the version is unknown.
        categories_for: uint8 (n_points,), the category of each point under a version of colours.
        stored_for: int32 ids of a selection that was kept earlier.

    Returns:
        int32 (n_selected,), ascending, each id once. Ids of an "ids" step are not checked against
        any points: the caller knows which images there are.
    """
    selected = np.empty(0, np.int32)
    for step in steps:
        if step.kind == "ids":
            found = np.array(step.ids, np.int32)
        elif step.kind == "stored":
            found = np.asarray(stored_for(step.stored), np.int32)
        else:
            points = points_for(step.points)
            inside = points_inside(points.x, points.y, kind=step.kind, path=step.path)
            if step.hidden and step.colours is not None:
                inside &= ~np.isin(categories_for(step.colours), step.hidden)
            found = points.ids[inside]
        if step.op == "replace":
            selected = np.unique(found)
        elif step.op == "add":
            selected = np.union1d(selected, found)
        else:
            selected = np.setdiff1d(selected, found)
    return selected.astype(np.int32)


def points_inside(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    kind: Literal["box", "lasso"],
    path: Sequence[tuple[float, float]],
) -> NDArray[np.bool_]:
    """Whether each point lies inside a shape.

    A box is [x0, x1) x [y0, y1). A lasso is what lies in its bounding box, half-open likewise,
    and inside its outline by the even-odd rule; it closes itself. NaN is never inside.

    Algorithm: with the points sorted by y, an edge concerns one contiguous run of them, those on
    its height; each edge to the right of a point turns that point's side over. The cost is the
    sort plus, for each edge, the points on its height.

    Args:
        x: float32 (n_points,), promoted to float64 as a browser does.
        y: float32 (n_points,).
        path: corners in data units; any two opposite ones for a box.

    Returns:
        bool (n_points,).
    """
    xs, ys = x.astype(np.float64), y.astype(np.float64)
    corners = np.asarray(path, np.float64).reshape(-1, 2)
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    inside = (xs >= left) & (xs < right) & (ys >= low) & (ys < high)
    if kind == "box":
        return inside

    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(ys[rows], kind="stable")]
    px, py = xs[rows], ys[rows]
    crossed_odd = np.zeros(len(rows), bool)
    for (xi, yi), (xj, yj) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        first, last = np.searchsorted(py, (min(yi, yj), max(yi, yj)))  # yi > y != yj > y
        run = slice(first, last)
        crossed_odd[run] ^= px[run] < ((xj - xi) * (py[run] - yi)) / (yj - yi) + xi
    inside[rows] = crossed_odd
    return inside


def _parse_step(step: Any) -> SelectionStep:
    if not isinstance(step, Mapping):
        raise ValueError(f"a step must be an object, got {step!r:.80}")
    op, kind = step.get("op"), step.get("kind")
    if op not in ("replace", "add", "remove"):
        raise ValueError(f"'op' must be replace, add or remove, got {op!r:.80}")
    if kind not in ("box", "lasso", "ids", "stored"):
        raise ValueError(f"'kind' must be box, lasso, ids or stored, got {kind!r:.80}")

    path: tuple[tuple[float, float], ...] = ()
    ids: tuple[int, ...] = ()
    if kind == "ids":
        ids = _integers(step.get("ids"), name="ids", low=0, high=2**31 - 1, at_most=MAX_IDS)
    elif kind != "stored":
        path = _corners(step.get("path"), kind)
    return SelectionStep(
        op=op,
        kind=kind,
        points=str(step.get("points", "")),
        path=path,
        ids=ids,
        stored=str(step.get("selection", "")),
        colours=None if step.get("colours") is None else str(step["colours"]),
        hidden=_integers(step.get("hidden", ()), name="hidden", low=0, high=255, at_most=256),
    )


def _corners(path: Any, kind: str) -> tuple[tuple[float, float], ...]:
    fewest, most = (2, 2) if kind == "box" else (3, MAX_CORNERS)
    if not isinstance(path, Sequence) or not fewest <= len(path) <= most:
        raise ValueError(f"the path of a {kind} must have {fewest} to {most} corners")
    for corner in path:
        if not isinstance(corner, Sequence) or len(corner) != 2 or not all(map(_is_finite, corner)):
            raise ValueError(f"a corner must be two finite numbers, got {corner!r:.80}")
    return tuple((float(cx), float(cy)) for cx, cy in path)


def _integers(values: Any, *, name: str, low: int, high: int, at_most: int) -> tuple[int, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) > at_most:
        raise ValueError(f"{name!r} must be a list of at most {at_most} integers")
    for value in values:
        if not _is_int(value) or not low <= value <= high:
            raise ValueError(f"{name!r} must hold integers from {low} to {high}, got {value!r:.80}")
    return tuple(values)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
