"""Tables to plotly figures: every chart of every page is made here."""

from core.figures.anomalies import anomaly_scores
from core.figures.clusters import (
    FEW,
    band_over_k,
    cluster_sizes,
    contingency_map,
    k_distance_plot,
    spreads,
    sweep_of_k,
)
from core.figures.dataset import (
    disk_use,
    histogram,
    image_sizes,
    images_by_class,
    labels_by_split,
)
from core.figures.distances import PAPER_TABLE_1, silhouettes_by_metric
from core.figures.drift import camera_over_time, drift_over_time, shares_over_time
from core.figures.evaluation import (
    ComparedBackbone,
    backbone_comparison,
    class_scores,
    confusion_matrix,
    reliability_diagram,
    training_curves,
)
from core.figures.inbox import class_probabilities
from core.figures.maps import small_map
from core.figures.models import confusion_change, recall_by_class
from core.figures.regions import (
    class_purity,
    class_spreads,
    separability_matrix,
    split_distances,
)
from core.figures.triage import (
    RulePoint,
    agreement_matrix,
    audit_over_time,
    risk_coverage,
    suggestion_changes,
)

__all__ = [
    "FEW",
    "PAPER_TABLE_1",
    "ComparedBackbone",
    "RulePoint",
    "agreement_matrix",
    "anomaly_scores",
    "audit_over_time",
    "backbone_comparison",
    "band_over_k",
    "camera_over_time",
    "class_probabilities",
    "class_purity",
    "class_scores",
    "class_spreads",
    "cluster_sizes",
    "confusion_change",
    "confusion_matrix",
    "contingency_map",
    "disk_use",
    "drift_over_time",
    "histogram",
    "image_sizes",
    "images_by_class",
    "k_distance_plot",
    "labels_by_split",
    "recall_by_class",
    "reliability_diagram",
    "risk_coverage",
    "separability_matrix",
    "shares_over_time",
    "silhouettes_by_metric",
    "small_map",
    "split_distances",
    "spreads",
    "suggestion_changes",
    "sweep_of_k",
    "training_curves",
]
