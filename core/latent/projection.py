"""How do the latent vectors lie, drawn on a plane?

Five methods, each with its parameters as data (`METHODS`), one config that is valid and complete
once it exists, and `project`, which says how far the plane can be trusted.

Algorithm:
1. With the cosine metric, vectors are scaled to length one. Euclidean distance between such vectors
   is sqrt(2 (1 - cosine)): it orders neighbours as cosine does, and every method then takes the
   Euclidean path.
2. The method lays the points out. t-SNE and PaCMAP get fewer dimensions by PCA first, as their
   authors advise; Isomap is fitted on a subset of a large set.
3. Trustworthiness compares neighbours on the plane with neighbours in the latent space.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np

from core.errors import OperatorError
from core.latent.methods import Parameter
from core.latent.vectors import check_vectors, draw_subset

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]

# Isomap holds the geodesic distances between all fitted points, 8 bytes each: 200 MB at 5,000.
ISOMAP_FIT_LIMIT = 5_000
_ISOMAP_TRANSFORM_ROWS = 1_000

# Trustworthiness sorts all distances between the points, about 24 bytes each: 600 MB at 5,000.
TRUSTWORTHINESS_LIMIT = 5_000
TRUSTWORTHINESS_NEIGHBORS = 12

# "We start by using PCA to reduce the dimensionality": van der Maaten & Hinton (2008), "Visualizing
# data using t-SNE", section 4.2, with 30; scikit-learn's documentation advises 50.
_TSNE_DIMENSIONS = 50


@dataclass(frozen=True)
class ProjectionMethod:
    """One way to lay vectors out on a plane.

    Attributes:
        name: how configs call it.
        title: how a page calls it.
        shows: one line on what to read from its picture.
        parameters: what can be set, in the order of a page's widgets.
        min_images: below this many images the method has no layout and PCA draws the plane.
    """

    name: str
    title: str
    shows: str
    parameters: tuple[Parameter, ...]
    min_images: int


_METRIC = Parameter(
    name="metric",
    title="Metric",
    default="euclidean",
    explanation="Cosine compares directions and ignores how strong the features are.",
    choices=("euclidean", "cosine"),
)


def _neighbors(default: int) -> Parameter:
    return Parameter(
        name="n_neighbors",
        title="Neighbours",
        default=default,
        explanation="Few show fine structure, many the overall shape.",
        minimum=2,
        maximum=200,
    )


METHODS = {
    method.name: method
    for method in (
        ProjectionMethod(
            name="umap",
            title="UMAP",
            shows="Groups and how they join; distances between far groups mean little.",
            parameters=(
                _neighbors(15),
                Parameter(
                    name="min_dist",
                    title="Minimum distance",
                    default=0.1,
                    explanation="Small packs groups tightly, large spreads their points.",
                    minimum=0.0,
                    maximum=1.0,
                    step=0.05,
                ),
                _METRIC,
            ),
            min_images=5,
        ),
        ProjectionMethod(
            name="pacmap",
            title="PaCMAP",
            shows="Groups and, better than UMAP or t-SNE, where they lie towards each other.",
            parameters=(
                _neighbors(10),
                Parameter(
                    name="mid_near_ratio",
                    title="Mid-near pairs",
                    default=0.5,
                    explanation="Pairs a neighbour that hold the overall shape together.",
                    minimum=0.1,
                    maximum=2.0,
                    step=0.1,
                ),
                Parameter(
                    name="further_ratio",
                    title="Further pairs",
                    default=2.0,
                    explanation="Pairs a neighbour that push apart what is unlike.",
                    minimum=0.5,
                    maximum=5.0,
                    step=0.5,
                ),
                _METRIC,
            ),
            min_images=20,
        ),
        ProjectionMethod(
            name="tsne",
            title="t-SNE",
            shows="Local groups; their sizes and the distances between them mean nothing.",
            parameters=(
                Parameter(
                    name="perplexity",
                    title="Perplexity",
                    default=30.0,
                    explanation="About how many neighbours count for each image.",
                    minimum=2.0,
                    maximum=200.0,
                ),
                _METRIC,
            ),
            min_images=4,
        ),
        ProjectionMethod(
            name="isomap",
            title="Isomap",
            shows="Gradual change: distances along the surface that the images lie on.",
            parameters=(_neighbors(10), _METRIC),
            min_images=4,
        ),
        ProjectionMethod(
            name="pca",
            title="PCA",
            shows="The two directions of greatest variance; axes keep their meaning.",
            parameters=(_METRIC,),
            min_images=1,
        ),
    )
}


@dataclass(frozen=True)
class ProjectionConfig:
    """A method with its parameters; one that is not given takes the method's default.

    Once it exists it is complete and valid: every parameter of the method has a value, every other
    is None.

    Args:
        seed: repeats a layout exactly on the same machine. UMAP then runs on one thread.

    Raises:
        ValueError: there is no such method, it has no such parameter, or a value is out of range.
    """

    method: str
    n_neighbors: int | None = None
    min_dist: float | None = None
    perplexity: float | None = None
    mid_near_ratio: float | None = None
    further_ratio: float | None = None
    metric: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must lie in [0, 2147483647], got {self.seed!r}")
        known = {parameter.name: parameter for parameter in METHODS[self.method].parameters}
        for name in (field.name for field in fields(self) if field.name not in {"method", "seed"}):
            value = getattr(self, name)
            if name not in known:
                if value is not None:
                    raise ValueError(f"{self.method} has no parameter {name}, got {value!r}")
            elif value is None:
                object.__setattr__(self, name, known[name].default)
            else:
                known[name].check(value)


@dataclass(frozen=True)
class ProjectionResult:
    """Points on a plane, row i of the vectors in row i.

    Attributes:
        coordinates: float32 (n_images, 2), finite.
        trustworthiness: in [0, 1], higher is better: 1 where every neighbour on the plane is one in
            the latent space, 0.5 for a random plane. None where it is not defined: fewer than three
            images, or all vectors equal.
        trustworthiness_n: how many images it was measured on.
        trustworthiness_neighbors: how many neighbours of each were looked at.
        seconds: what the layout and the measure took.
        notes: what a person who reads the plane must know.
    """

    coordinates: np.ndarray
    trustworthiness: float | None
    trustworthiness_n: int
    trustworthiness_neighbors: int
    seconds: float
    notes: tuple[str, ...]


def project(
    vectors: np.ndarray, config: ProjectionConfig, *, on_progress: Progress | None = None
) -> ProjectionResult:
    """Lay vectors out on a plane and measure how far to trust it.

    The libraries report no progress from within, so progress moves from phase to phase.

    Args:
        vectors: float array (n_images, n_features).
        config: method, parameters and seed.
        on_progress: called with a fraction in [0, 1] and a line of text.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: the vectors are not finite, or the method finds no layout for them.
    """
    began = time.perf_counter()
    report = on_progress or (lambda fraction, step: None)
    method = METHODS[config.method]
    vectors = check_vectors(vectors)
    n, n_features = vectors.shape
    if n_features == 1:  # the libraries start from the first two principal components
        vectors = np.hstack([vectors, np.zeros_like(vectors)])
    if config.metric == "cosine":
        vectors = _unit_length(vectors)

    notes: list[str] = []
    if not (vectors != vectors[0]).any():
        coordinates = np.zeros((n, 2), dtype=np.float32)
        if n > 1:
            notes.append("All vectors are equal, so all points lie on each other.")
        report(1.0, method.title)
        return ProjectionResult(coordinates, None, 0, 0, time.perf_counter() - began, tuple(notes))

    if n < method.min_images:
        notes.append(
            f"{method.title} needs at least {method.min_images} images; PCA drew these {n}."
        )
    layout = _LAYOUTS[config.method if n >= method.min_images else "pca"]
    coordinates = layout(vectors, config, notes, report).astype(np.float32)
    if not np.isfinite(coordinates).all():
        raise OperatorError(
            f"{method.title} found no layout for these {n:,} images.",
            "Some of its coordinates are not finite, as can happen with many equal images.",
            "Try more neighbours, or another method.",
        )

    report(0.85, "Measuring trustworthiness")
    value, n_measured, n_neighbors = _trustworthiness(vectors, coordinates, seed=config.seed)
    if n_measured < n:
        notes.append(
            f"Trustworthiness was measured on {n_measured:,} of {n:,} images, drawn at random."
        )
    report(1.0, method.title)
    seconds = time.perf_counter() - began
    log.info("%s of %d images: trustworthiness %s, %.1f s", method.title, n, value, seconds)
    return ProjectionResult(coordinates, value, n_measured, n_neighbors, seconds, tuple(notes))


def _pca(
    vectors: np.ndarray, config: ProjectionConfig, notes: list[str], report: Progress
) -> np.ndarray:
    report(0.0, "Laying out by PCA")
    return _principal_components(vectors, 2, seed=config.seed)


def _tsne(
    vectors: np.ndarray, config: ProjectionConfig, notes: list[str], report: Progress
) -> np.ndarray:
    from sklearn.manifold import TSNE

    assert config.perplexity is not None
    if min(vectors.shape) > _TSNE_DIMENSIONS:
        report(0.0, f"Reducing to {_TSNE_DIMENSIONS} dimensions by PCA")
        vectors = _principal_components(vectors, _TSNE_DIMENSIONS, seed=config.seed)
        notes.append(f"Reduced to {_TSNE_DIMENSIONS} dimensions by PCA first.")
    # A perplexity near the number of images makes all of them neighbours of all.
    largest = max(1.0, (len(vectors) - 1) / 3)
    perplexity = min(config.perplexity, largest)
    if perplexity < config.perplexity:
        notes.append(f"Perplexity was lowered to {perplexity:.1f} for {len(vectors)} images.")
    report(0.05, "Laying out by t-SNE")
    # The random start of the gradient descent would lose the arrangement of the groups.
    return TSNE(
        perplexity=perplexity, init="pca", learning_rate="auto", random_state=config.seed
    ).fit_transform(vectors)


def _umap(
    vectors: np.ndarray, config: ProjectionConfig, notes: list[str], report: Progress
) -> np.ndarray:
    # No PCA first: UMAP's neighbour search takes thousands of dimensions as they are, and its
    # authors count needing no such preprocessing among its merits (McInnes, Healy & Melville 2018,
    # section 1).
    report(0.0, "Loading UMAP")
    import umap

    n_neighbors = _lowered_neighbors(config, len(vectors) - 1, len(vectors), notes)
    report(0.05, "Laying out by UMAP")
    with _library_warnings(notes, {"disconnected": "Some images are neighbours of no other."}):
        return umap.UMAP(
            n_neighbors=n_neighbors,
            min_dist=config.min_dist,
            random_state=config.seed,
            n_jobs=1,  # with a seed UMAP runs on one thread; asking for more only warns
        ).fit_transform(vectors)


def _pacmap(
    vectors: np.ndarray, config: ProjectionConfig, notes: list[str], report: Progress
) -> np.ndarray:
    report(0.0, "Loading PaCMAP")
    import pacmap

    if vectors.shape[1] > 100:
        notes.append("Reduced to 100 dimensions by PCA first.")  # PaCMAP does it itself
    # All pairs of an image must be with different others, or PaCMAP changes the ratios on its own.
    assert config.mid_near_ratio is not None
    assert config.further_ratio is not None
    pairs_a_neighbor = 1 + config.mid_near_ratio + config.further_ratio
    most = int((len(vectors) - 2) / pairs_a_neighbor)
    n_neighbors = _lowered_neighbors(config, most, len(vectors), notes)
    report(0.05, "Laying out by PaCMAP")
    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it warns that a seed is set
    return pacmap.PaCMAP(
        n_neighbors=n_neighbors,
        MN_ratio=config.mid_near_ratio,
        FP_ratio=config.further_ratio,
        random_state=config.seed,
    ).fit_transform(vectors, init="pca")


def _isomap(
    vectors: np.ndarray, config: ProjectionConfig, notes: list[str], report: Progress
) -> np.ndarray:
    from sklearn.manifold import Isomap

    fitted = draw_subset(len(vectors), ISOMAP_FIT_LIMIT, seed=config.seed)
    model = Isomap(n_neighbors=_lowered_neighbors(config, len(fitted) - 1, len(fitted), notes))
    report(0.0, f"Fitting Isomap on {len(fitted):,} images")
    joined = "The neighbour graph fell into parts that were joined at their closest points."
    with _library_warnings(notes, {"connected components": joined}), _numpy_seed(config.seed):
        model.fit(vectors[fitted])
    coordinates = np.empty((len(vectors), 2), dtype=np.float32)
    coordinates[fitted] = model.embedding_
    rest = np.setdiff1d(np.arange(len(vectors)), fitted)
    if len(rest):
        notes.append(
            f"Fitted on {len(fitted):,} images, drawn at random; the other {len(rest):,} were "
            "placed by their neighbours among them."
        )
    for start in range(0, len(rest), _ISOMAP_TRANSFORM_ROWS):
        report(0.4 + 0.45 * start / len(rest), "Placing the other images")
        rows = rest[start : start + _ISOMAP_TRANSFORM_ROWS]
        coordinates[rows] = model.transform(vectors[rows])
    return coordinates


_LAYOUTS: dict[str, Callable[[np.ndarray, ProjectionConfig, list[str], Progress], np.ndarray]] = {
    "umap": _umap,
    "pacmap": _pacmap,
    "tsne": _tsne,
    "isomap": _isomap,
    "pca": _pca,
}


def _principal_components(vectors: np.ndarray, n_components: int, *, seed: int) -> np.ndarray:
    """The first principal components; zeros where there are fewer than `n_components`."""
    from sklearn.decomposition import PCA

    n_found = min(n_components, *vectors.shape)
    components = np.zeros((len(vectors), n_components), dtype=np.float32)
    components[:, :n_found] = PCA(n_components=n_found, random_state=seed).fit_transform(vectors)
    return components


def _unit_length(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _lowered_neighbors(config: ProjectionConfig, most: int, n: int, notes: list[str]) -> int:
    assert config.n_neighbors is not None
    n_neighbors = min(config.n_neighbors, most)
    if n_neighbors < config.n_neighbors:
        notes.append(f"Neighbours were lowered to {n_neighbors} for {n} images.")
    return n_neighbors


@contextmanager
def _library_warnings(notes: list[str], known: dict[str, str]) -> Iterator[None]:
    """Turn a library's warnings into notes where they say what a reader of the plane must know."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        log.debug("%s", warning.message)
    for words, note in known.items():
        if any(words in str(warning.message) for warning in caught):
            notes.append(note)


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which starts Isomap's eigensolver: Isomap takes no seed."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _trustworthiness(
    vectors: np.ndarray, coordinates: np.ndarray, *, seed: int
) -> tuple[float | None, int, int]:
    """Venna & Kaski's trustworthiness, the images and the neighbours it was measured on."""
    from sklearn.manifold import trustworthiness

    rows = draw_subset(len(vectors), TRUSTWORTHINESS_LIMIT, seed=seed)
    n_neighbors = min(TRUSTWORTHINESS_NEIGHBORS, (len(rows) - 1) // 2)
    if n_neighbors < 1:
        return None, 0, 0
    value = trustworthiness(vectors[rows], coordinates[rows], n_neighbors=n_neighbors)
    return float(value), len(rows), n_neighbors
