"""Which ways to group images are there, and what can be set about each?

Light enough for a page, which makes its controls from `METHODS`; `clustering` runs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from core.latent.methods import Parameter
from core.latent.metrics import METRICS

LINKAGES = ("ward", "average", "complete")
# A missing feature has no place in a cluster.
_METRICS = tuple(name for name in METRICS if name != "nan_euclidean")


class _Config:
    """Checks every parameter that `METHODS` describes."""

    method: ClassVar[str]

    def __post_init__(self) -> None:
        for parameter in METHODS[self.method].parameters:
            parameter.check(getattr(self, parameter.name))


@dataclass(frozen=True)
class KMeansConfig(_Config):
    """K-means with k-means++ starts.

    Raises:
        ValueError: a parameter is out of the range that `METHODS` gives.
    """

    method: ClassVar[str] = "kmeans"

    n_clusters: int = 4
    n_init: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must lie in [0, 4294967295], got {self.seed!r}")


@dataclass(frozen=True)
class DBSCANConfig(_Config):
    """DBSCAN; `density.k_distances` suggests an `eps` for the images at hand.

    Raises:
        ValueError: a parameter is out of the range that `METHODS` gives.

    Source:
        Ester et al. (1996), "A density-based algorithm for discovering clusters".
    """

    method: ClassVar[str] = "dbscan"

    eps: float = 0.2
    min_samples: int = 5
    metric: str = "cosine"


@dataclass(frozen=True)
class HDBSCANConfig(_Config):
    """HDBSCAN, by excess of mass.

    Raises:
        ValueError: a parameter is out of the range that `METHODS` gives.

    Source:
        Campello, Moulavi & Sander (2013), "Density-based clustering based on hierarchical density
        estimates", doi:10.1007/978-3-642-37456-2_14.
    """

    method: ClassVar[str] = "hdbscan"

    min_cluster_size: int = 10
    min_samples: int = 5
    metric: str = "cosine"


@dataclass(frozen=True)
class AgglomerativeConfig(_Config):
    """Agglomerative clustering, cut at a number of clusters or at a distance.

    Raises:
        ValueError: a parameter is out of the range that `METHODS` gives, or Ward's linkage meets
            another metric than the Euclidean.
    """

    method: ClassVar[str] = "agglomerative"

    n_clusters: int = 4
    max_distance: float = 0.0
    linkage: str = "ward"
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.linkage == "ward" and self.metric != "euclidean":
            raise ValueError(f"metric must be euclidean for Ward's linkage, got {self.metric!r}")


ClusteringConfig = KMeansConfig | DBSCANConfig | HDBSCANConfig | AgglomerativeConfig


@dataclass(frozen=True)
class ClusteringMethod:
    """One way to group vectors.

    Attributes:
        name: how configs call it.
        title: how a page calls it.
        shows: one line on what its groups mean.
        parameters: what can be set, in the order of a page's widgets.
        config: the class that holds them.
    """

    name: str
    title: str
    shows: str
    parameters: tuple[Parameter, ...]
    config: type[ClusteringConfig]


_N_CLUSTERS = Parameter(
    name="n_clusters",
    title="Clusters",
    default=4,
    explanation="How many groups. The paper takes one more than there are classes.",
    minimum=1,
    maximum=100,
)
_MIN_SAMPLES = Parameter(
    name="min_samples",
    title="Images in a dense spot",
    default=5,
    explanation="So many within reach, itself included, make an image the core of a group.",
    minimum=1,
    maximum=200,
)
_METRIC = Parameter(
    name="metric",
    title="Metric",
    default="cosine",
    explanation="What near means. The paper takes cosine.",
    choices=_METRICS,
)

METHODS = {
    method.name: method
    for method in (
        ClusteringMethod(
            name="kmeans",
            title="K-means",
            shows="Round groups of similar extent; every image belongs to one.",
            parameters=(
                _N_CLUSTERS,
                Parameter(
                    name="n_init",
                    title="Restarts",
                    default=10,
                    explanation="The best of so many random starts is kept.",
                    minimum=1,
                    maximum=100,
                ),
            ),
            config=KMeansConfig,
        ),
        ClusteringMethod(
            name="dbscan",
            title="DBSCAN",
            shows="Dense groups of any shape; what lies alone is noise.",
            parameters=(
                Parameter(
                    name="eps",
                    title="Reach (eps)",
                    default=0.2,
                    explanation="Images nearer than this are neighbours: the knee of the "
                    "k-distance plot is a start.",
                    minimum=1e-9,
                    maximum=1e15,
                    step=0.01,
                ),
                _MIN_SAMPLES,
                _METRIC,
            ),
            config=DBSCANConfig,
        ),
        ClusteringMethod(
            name="hdbscan",
            title="HDBSCAN",
            shows="Dense groups of unlike density, without a reach to choose; the rest is noise.",
            parameters=(
                Parameter(
                    name="min_cluster_size",
                    title="Smallest group",
                    default=10,
                    explanation="Fewer images are no group but noise.",
                    minimum=2,
                    maximum=1_000,
                ),
                _MIN_SAMPLES,
                _METRIC,
            ),
            config=HDBSCANConfig,
        ),
        ClusteringMethod(
            name="agglomerative",
            title="Agglomerative",
            shows="Images joined two by two into ever larger groups; every image belongs to one.",
            parameters=(
                _N_CLUSTERS,
                Parameter(
                    name="max_distance",
                    title="Greatest distance",
                    default=0.0,
                    explanation="Groups farther apart are not joined, whatever their number; "
                    "0 goes by the number of clusters.",
                    minimum=0.0,
                    maximum=1e15,
                    step=0.01,
                ),
                Parameter(
                    name="linkage",
                    title="Linkage",
                    default="ward",
                    explanation="Distance of two groups: Ward's growth of variance (Euclidean "
                    "only), the mean over pairs, which tends to one great group, or the greatest.",
                    choices=LINKAGES,
                ),
                replace(_METRIC, default="euclidean", explanation="What near means."),
            ),
            config=AgglomerativeConfig,
        ),
    )
}


def make_config(
    method: str, parameters: Mapping[str, float | int | str], *, seed: int = 0
) -> ClusteringConfig:
    """The config of a method by its name; parameters that are left out take their defaults.

    Args:
        method: a key of `METHODS`.
        parameters: values by name.
        seed: of K-means' starts; the other methods take none.

    Raises:
        ValueError: the method or a parameter is unknown, or a value is out of range.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    known = {parameter.name for parameter in METHODS[method].parameters}
    for name in parameters:
        if name not in known:
            allowed = ", ".join(sorted(known))
            raise ValueError(f"a parameter of {method} must be one of {allowed}, got {name!r}")
    values: dict[str, Any] = dict(parameters)
    if method == "kmeans":
        return KMeansConfig(**values, seed=seed)
    return METHODS[method].config(**values)


def read_config(settings: Mapping[str, Any]) -> ClusteringConfig:
    """The config that a stored clustering was made with; what its settings leave out is a default.

    Args:
        settings: `method`, its parameters, and what else was stored beside them.

    Raises:
        ValueError: the method is unknown, or a value is of the wrong type or out of range.
    """
    method, seed = settings.get("method"), settings.get("seed", 0)
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if not isinstance(seed, int):
        raise ValueError(f"seed must be a whole number, got {seed!r}")
    names = (parameter.name for parameter in METHODS[method].parameters)
    given = {name: settings[name] for name in names if name in settings}
    return make_config(method, given, seed=seed)
