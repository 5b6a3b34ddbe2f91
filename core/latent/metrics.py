"""Which metrics are there to compare images by, and what does each of them tell?

The eighteen of the paper's Table 1, where Rogers-Tanimoto and Sokal-Michener are one entry. Light
enough for a page; `distances` computes them.

Source:
    Almhaithawi et al. (2025), "Investigating the potential of latent space for the classification
    of paint defects", Table 1, doi:10.3390/jimaging11020033.
"""

from dataclasses import dataclass

BINARISATIONS = {
    "nonzero": "a feature counts as active where it is not 0",
    "median": "a feature counts as active where it is above its median over the images",
}


@dataclass(frozen=True)
class Metric:
    """One way to say how far two vectors are apart.

    Attributes:
        name: how configs call it.
        title: how a page calls it.
        tells: one line on what makes two images far apart.
        boolean: whether it sees only which features are active.
        takes_nan: whether it is defined where features are missing.
        aliases: other names of the same distance.
    """

    name: str
    title: str
    tells: str
    boolean: bool = False
    takes_nan: bool = False
    aliases: tuple[str, ...] = ()


# In the order of the paper's Table 1.
METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "euclidean",
            "Euclidean",
            "The straight line between two images; what K-means makes small.",
            aliases=("l2",),
        ),
        Metric(
            "cosine",
            "Cosine",
            "The angle only: the same pattern of features, however strong, is near.",
        ),
        Metric(
            "cityblock",
            "City block",
            "The sum over features: many small differences weigh as much as one large one.",
            aliases=("l1", "manhattan"),
        ),
        Metric(
            "braycurtis",
            "Bray–Curtis",
            "The city block distance as a share of what both images hold together.",
        ),
        Metric(
            "canberra",
            "Canberra",
            "Relative differences: weak features weigh as much as strong ones.",
        ),
        Metric("chebyshev", "Chebyshev", "The one feature that differs most; all others are mute."),
        Metric(
            "correlation",
            "Correlation",
            "The angle after each image's mean is taken away: strength and offset do not matter.",
        ),
        Metric(
            "dice",
            "Dice",
            "Unlike active features, those that are active in both counted twice.",
            boolean=True,
        ),
        Metric(
            "hamming",
            "Hamming",
            "The share of features whose values are not exactly equal: nearly only those that are "
            "0 in both are, so it sees what is silent in common.",
        ),
        Metric(
            "jaccard",
            "Jaccard",
            "The share of unlike features among those that are active in either image.",
            boolean=True,
        ),
        Metric(
            "minkowski",
            "Minkowski",
            "At power 2, scikit-learn's default and the paper's: Euclidean by another name.",
        ),
        Metric(
            "rogerstanimoto",
            "Rogers–Tanimoto / Sokal–Michener",
            "Unlike features counted twice against all that agree, active or silent. SciPy gave "
            "both names one formula.",
            boolean=True,
            aliases=("sokalmichener",),
        ),
        Metric(
            "russellrao",
            "Russell–Rao",
            "The share of features that are not active in both: weak activity alone makes far.",
            boolean=True,
        ),
        Metric(
            "seuclidean",
            "Standardised Euclidean",
            "Euclidean after each feature is divided by its spread: quiet features speak up.",
        ),
        Metric(
            "sokalsneath",
            "Sokal–Sneath",
            "Jaccard with unlike features counted twice.",
            boolean=True,
        ),
        Metric(
            "sqeuclidean",
            "Squared Euclidean",
            "The sum that K-means makes small; squaring stretches gaps, so its silhouette is "
            "higher than Euclidean's for the same groups.",
        ),
        Metric(
            "yule",
            "Yule",
            "Whether activity in one image goes with activity in the other, by odds.",
            boolean=True,
        ),
        Metric(
            "nan_euclidean",
            "Euclidean with gaps",
            "Euclidean over the features that both images have, scaled up for those missing.",
            takes_nan=True,
        ),
    )
}
_BY_ALIAS = {alias: metric for metric in METRICS.values() for alias in metric.aliases}


@dataclass(frozen=True)
class MetricOptions:
    """What some metrics leave open; recorded with every result.

    Args:
        binarise: a key of `BINARISATIONS`: when a feature is active for a boolean metric. SciPy's
            conversion, and so the paper's, is `nonzero`: after a ReLU, whether the network responds
            at all. Features without a ReLU are hardly ever 0: `median` tells more of those.

    Raises:
        ValueError: it is none.
    """

    binarise: str = "nonzero"

    def __post_init__(self) -> None:
        if self.binarise not in BINARISATIONS:
            allowed = ", ".join(BINARISATIONS)
            raise ValueError(f"binarise must be one of {allowed}, got {self.binarise!r}")


def find_metric(name: str) -> Metric:
    """The metric of a name or an alias.

    Raises:
        ValueError: there is none.
    """
    found = METRICS.get(name) or _BY_ALIAS.get(name)
    if found is None:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    return found
