"""What the points of a map can be coloured by: one value an image, and what the values mean."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import OperatorError
from core.state import catalog, runs
from core.state.cluster_names import cluster_names
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import QUALITY_MEASURES, RESERVED_LABELS, SPLITS

NO_CATEGORY = 255
_MOST_CATEGORIES = 60  # a legend with more is no legend

_TITLES = {
    "label": "Label",
    "split": "Split",
    "label_origin": "Labelled by",
    "excluded": "Excluded from training",
    "queued": "In triage",
    "brightness": "Brightness",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "saturation": "Saturation",
    "dark_share": "Share of black pixels",
    "bright_share": "Share of white pixels",
}
_METHODS = {"kmeans": "k-means", "dbscan": "DBSCAN", "hdbscan": "HDBSCAN"}
_ANOMALY_TITLES = {
    "density": "Anomaly: sparse surroundings",
    "dbscan": "Anomaly: DBSCAN noise",
    "isolation": "Anomaly: Isolation Forest",
    "knn": "Anomaly: distance to the nearest",
}
_EVALUATION_TITLES = {
    "prediction": "Predicted class",
    "outcome": "Right or wrong",
    "confidence": "Confidence",
    "role": "Role for the model",
}
_MOVEMENT_TITLE = "Movement since before fine-tuning"
_PURITY_TITLE = "Share of neighbours with the same label"
_OUTCOMES = ("right", "wrong", "a label that the model does not know")
_NOISE, _NOT_CLUSTERED = -1, -2


@dataclass(frozen=True)
class Category:
    """One entry of a legend; `place` fixes its colour, None is for what is no class of its own."""

    name: str
    place: int | None
    count: int


@dataclass(frozen=True)
class Colouring:
    """Values for the points of one projection, in their order.

    Attributes:
        name: what the colouring is asked for by.
        title: what a person calls it.
        is_score: whether `values` are numbers; categories otherwise.
        values: float32 (n_images,), NaN where there is none; or uint8 (n_images,), a place in
            `categories`, 255 where there is none.
        categories: the legend; empty for scores.
        low: smallest value of a score.
        high: largest value of a score.
    """

    name: str
    title: str
    is_score: bool
    values: np.ndarray
    categories: tuple[Category, ...] = ()
    low: float = 0.0
    high: float = 0.0


def list_colourings(workspace: Workspace, embedding: Run) -> dict[str, str]:
    """Title by name, of every colouring that images of this embedding have."""
    found = {name: _TITLES[name] for name in ("label", "split")}
    for clustering in clusterings_of(workspace, embedding):
        what = _in_words(clustering)
        found[f"cluster:{clustering.id}"] = f"Cluster ({what})"
        found[f"distance:{clustering.id}"] = f"Distance to cluster centre ({what})"
    for scored in runs.list_runs(workspace, "anomalies", parent_id=embedding.id)[:1]:
        for method, title in _ANOMALY_TITLES.items():
            found[f"anomaly-{method}:{scored.id}"] = title
    for layout in runs.list_runs(workspace, "layout", parent_id=embedding.id)[:1]:
        found[f"purity:{layout.id}"] = _PURITY_TITLE
    for evaluation in runs.list_runs(workspace, "evaluation", parent_id=embedding.id)[:1]:
        for what, title in _EVALUATION_TITLES.items():
            found[f"{what}:{evaluation.id}"] = title
    for movement in runs.list_runs(workspace, "movement", parent_id=embedding.id)[:1]:
        found[f"movement:{movement.id}"] = _MOVEMENT_TITLE
    found |= {f"attribute:{name}": name for name in catalog.list_attributes(workspace)}
    more = ("label_origin", "excluded", "queued", *QUALITY_MEASURES)
    return found | {name: _TITLES[name] for name in more}


def clusterings_of(workspace: Workspace, embedding: Run) -> list[Run]:
    """Clusterings of an embedding or of one of its maps, newest first."""
    maps = {run.id for run in runs.list_runs(workspace, "projection", parent_id=embedding.id)}
    return [
        run
        for run in runs.list_runs(workspace, "clustering")
        if run.parent_id == embedding.id or run.parent_id in maps
    ]


def colour(workspace: Workspace, image_ids: np.ndarray, name: str) -> Colouring:
    """The values of one colouring for `image_ids`, in their order.

    Raises:
        OperatorError: the run that it names is gone.
        ValueError: there is no such colouring.
    """
    kind, _, rest = name.partition(":")
    if kind == "cluster":
        return _by_cluster(workspace, image_ids, name, rest)
    if kind == "distance":
        distances = _of_run(workspace, image_ids, rest, "distances", np.float32, np.nan)
        return _score(name, "Distance to centre", distances)
    method = kind.removeprefix("anomaly-")
    if method in _ANOMALY_TITLES:
        scores = _of_run(workspace, image_ids, rest, f"scores_{method}", np.float32, np.nan)
        return _score(name, _ANOMALY_TITLES[method], scores)
    if kind == "purity":
        purity = _of_run(workspace, image_ids, rest, "purity", np.float32, np.nan)
        return _score(name, _PURITY_TITLE, purity)
    if kind == "movement":
        movement = _of_run(workspace, image_ids, rest, "movement", np.float32, np.nan)
        return _score(name, _MOVEMENT_TITLE, movement)
    if kind in _EVALUATION_TITLES:
        return _by_evaluation(workspace, image_ids, name)
    values = catalog.column(workspace, image_ids, name)
    if name in QUALITY_MEASURES:
        return _score(name, _TITLES[name], _as_numbers(values))
    if kind == "attribute":
        if catalog.list_attributes(workspace).get(rest) == "number":
            return _score(name, rest, _as_numbers(values))
        return _category(name, rest, [_text(value) for value in values])
    if name == "label":
        order = catalog.list_classes(workspace)
        return _category(name, "Label", values, order=order, apart=RESERVED_LABELS)
    if name == "split":
        return _category(name, "Split", values, order=SPLITS)
    if name in ("excluded", "queued"):
        words = ["yes" if value else "no" for value in values]
        return _category(name, _TITLES[name], words, order=("no", "yes"))
    return _category(name, _TITLES.get(name, name), [_text(value) for value in values])


def _by_cluster(workspace: Workspace, image_ids: np.ndarray, name: str, run_id: str) -> Colouring:
    places = _of_run(workspace, image_ids, run_id, "labels", np.int64, _NOT_CLUSTERED)
    special = {_NOISE: "noise", _NOT_CLUSTERED: None}
    words = [special.get(place, str(place)) for place in places.tolist()]
    order = [str(place) for place in range(int(places.max(initial=-1)) + 1)]
    found = _category(name, "Cluster", words, order=order, apart=("noise",))
    # The number stays in front: two clusters may have one name, and it fixes the colour.
    called = {
        str(cluster): f"{cluster} · {text}"
        for cluster, text in cluster_names(workspace, run_id).items()
    }
    named = [replace(each, name=called.get(each.name, each.name)) for each in found.categories]
    return replace(found, categories=tuple(named))


def _by_evaluation(workspace: Workspace, image_ids: np.ndarray, name: str) -> Colouring:
    """What a model says of images, beside their labels as they are now."""
    kind, _, run_id = name.partition(":")
    title = _EVALUATION_TITLES[kind]
    if kind == "role":
        codes = _of_run(workspace, image_ids, run_id, "roles", np.int64, -1)
        roles = [SPLITS[code] if code >= 0 else None for code in codes.tolist()]
        return _category(name, title, roles, order=SPLITS)
    places = _of_run(workspace, image_ids, run_id, "predicted", np.int64, -1)
    run = runs.get_run(workspace, run_id)
    classes: Sequence[str] = run.result["classes"]
    if kind == "confidence":
        ids = runs.load_array(workspace, run, "image_ids")
        surest = runs.load_array(workspace, run, "probabilities").max(axis=1)
        return _score(name, title, _values_of(ids, surest, image_ids, np.nan).astype(np.float32))
    given = [classes[place] if place >= 0 else None for place in places.tolist()]
    if kind == "prediction":
        return _category(name, title, given, order=catalog.list_classes(workspace))
    labels = catalog.column(workspace, image_ids, "label")
    outcomes = [_outcome(*each, classes) for each in zip(given, labels, strict=True)]
    return _category(name, title, outcomes, order=_OUTCOMES[:2], apart=_OUTCOMES[2:])


def _outcome(given: str | None, label: str | None, classes: Sequence[str]) -> str | None:
    if given is None or not label:
        return None
    right, wrong, unknown = _OUTCOMES
    return unknown if label not in classes else right if given == label else wrong


def _in_words(clustering: Run) -> str:
    """`k-means, k = 4, on a map`."""
    method = clustering.config.get("method", "kmeans")
    n_clusters = clustering.result["n_clusters"]
    found = f"k = {n_clusters}" if method == "kmeans" else f"{n_clusters} clusters"
    where = ", on components" if clustering.config.get("components") else ""
    where = ", on a map" if clustering.config["space"] == "projection" else where
    return f"{_METHODS.get(method, method)}, {found}{where}"


def _of_run(
    workspace: Workspace,
    image_ids: np.ndarray,
    run_id: str,
    array: str,
    dtype: type,
    missing: float,
) -> np.ndarray:
    """A run's values for these images, which need not be the run's."""
    run = runs.find_run(workspace, run_id)
    if run is None:
        raise OperatorError("What it shows has been deleted.", next_step="Choose another colour.")
    known = runs.load_array(workspace, run, "image_ids", mapped=True)  # ascending in every run
    values = runs.load_array(workspace, run, array, mapped=True)
    return _values_of(known, values, image_ids, missing).astype(dtype)


def _values_of(
    known: np.ndarray, values: np.ndarray, image_ids: np.ndarray, missing: float
) -> np.ndarray:
    """The values of these images, of which `known`, ascending, have one each."""
    rows = np.searchsorted(known, image_ids).clip(max=len(known) - 1)
    return np.where(known[rows] == image_ids, values[rows], missing)


def _as_numbers(values: Sequence) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values], np.float32)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _score(name: str, title: str, values: np.ndarray) -> Colouring:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return Colouring(name, title, True, values.astype(np.float32), low=low, high=high)


def _category(
    name: str,
    title: str,
    words: Sequence[str | None],
    *,
    order: Sequence[str] = (),
    apart: Sequence[str] = (),
) -> Colouring:
    """Number the words by `order`, then by frequency; what finds no room is "other".

    Words `apart` come last and take no place among the colours.
    """
    counts = Counter(word for word in words if word is not None)
    n_none = len(words) - counts.total()
    rest = [word for word, _ in counts.most_common() if word not in (*order, *apart)]
    places = {word: place for place, word in enumerate([*order, *rest])}
    shown = [word for word in (*places, *apart) if counts[word]]
    shown, other = shown[:_MOST_CATEGORIES], shown[_MOST_CATEGORIES:]
    rows = {word: row for row, word in enumerate(shown)}
    categories = [Category(word, places.get(word), counts[word]) for word in shown]
    if other or n_none:
        n_other = sum(counts[word] for word in other) + n_none
        categories.append(Category("other or none" if other else "none", None, n_other))
    last = len(categories) - 1 if other or n_none else NO_CATEGORY
    values = np.array([last if word is None else rows.get(word, last) for word in words], np.uint8)
    return Colouring(name, title, False, values, tuple(categories))
