"""What do DBSCAN and the Isolation Forest find alone and together? The paper removes the union."""

from collections.abc import Mapping

import numpy as np

from core.analysis.anomalies import Anomalies

FIRST, SECOND = "dbscan", "isolation"
TITLES = {
    "either": "Either of the two",
    "both": "Both",
    "first": "DBSCAN alone",
    "second": "Isolation Forest alone",
}


def paper_sets(anomalies: Anomalies, thresholds: Mapping[str, float]) -> dict[str, np.ndarray]:
    """int64 ids by what found them, a key of `TITLES`; the worst first.

    The worse of the two is the image with the better place in the two rankings taken together.

    Args:
        anomalies: the scores.
        thresholds: of both methods.

    Source:
        Almhaithawi et al. (2025), "Investigating the potential of latent space for the
        classification of paint defects", section 3.4, doi:10.3390/jimaging11020033.
    """
    places = sum(_places(anomalies.by_method[method].scores) for method in (FIRST, SECOND))
    order = anomalies.ids[np.argsort(places, kind="stable")]
    in_first, in_second = (
        np.isin(order, anomalies.ids_above(method, thresholds[method]))
        for method in (FIRST, SECOND)
    )
    return {
        "either": order[in_first | in_second],
        "both": order[in_first & in_second],
        "first": order[in_first & ~in_second],
        "second": order[in_second & ~in_first],
    }


def _places(scores: np.ndarray) -> np.ndarray:
    """int64 (n_images,): 0 for the highest score."""
    places = np.empty(len(scores), np.int64)
    places[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return places
