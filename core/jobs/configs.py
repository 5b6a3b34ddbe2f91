"""What each kind of job is asked: one frozen dataclass a kind, stored with its result.

They load nothing heavy, so that pages can submit; `core.jobs.steps` names the function that does
each kind, imported only where it runs.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from core.learning.recipe import Recipe

TRIAGE_RULES = ("risk", "cluster")
TRIAGE_IMAGES = ("unlabelled", "test")
OUTPUT_SUFFIXES = (".csv", ".jsonl")

Parameters = tuple[tuple[str, float | int | str], ...]  # of a method: (name, value)


@dataclass(frozen=True)
class JobConfig:
    """What every kind has: its name in the database, its title, its lane."""

    kind: ClassVar[str]
    title: ClassVar[str]
    lane: ClassVar[str] = "batch"


@dataclass(frozen=True)
class LookThrough(JobConfig):
    """See what a source holds before anything of it is taken.

    Attributes:
        source: path of the folder, table or zip.
        format: `auto`, or the name of an importer.
        within: the folder that the source must lie in; empty where any will do.
        shown_as: what to call the source; the path where empty.
        is_upload: the source is an upload, which waits for an import or to be discarded.
    """

    kind = "look_through"
    title = "Look through a source"
    lane = "interactive"

    source: str
    format: str = "auto"
    within: str = ""
    shown_as: str = ""
    is_upload: bool = False


@dataclass(frozen=True)
class ImportImages(JobConfig):
    """Take images in from a folder or a CSV on this machine, or from an uploaded archive.

    Attributes:
        source: path of the folder, CSV or zip.
        format: `auto`, or the name of an importer.
        split: `keep` the source's, `auto` (keep it where there is one, else draw), or the shares
            `train/validation/calibration/test` such as `60/15/10/15` to draw.
        seed: of the draw.
        reference: leave files where they are instead of copying them in.
        crops: `whole` takes every image as it is, `boxes` cuts out each box that is drawn on it.
        crop_margin: margin around a box, a share of its longer side, 0 or more.
        group_by: what tells shots of one thing: a column of the source, or a regular expression
            on the files' paths; empty for what the source itself says.
        shown_as: what to call the source; the path where empty.
        within: a folder that the source must lie in, links followed; empty for anywhere.
    """

    kind = "import"
    title = "Import images"

    source: str
    format: str = "auto"
    split: str = "auto"
    seed: int = 0
    reference: bool = False
    crops: str = "whole"
    crop_margin: float = 0.25
    group_by: str = ""
    shown_as: str = ""
    within: str = ""


@dataclass(frozen=True)
class FindNearDuplicates(JobConfig):
    """Find images that show the same thing, among all of the workspace."""

    kind = "find_near_duplicates"
    title = "Find near-duplicates"


@dataclass(frozen=True)
class GenerateImages(JobConfig):
    """Add synthetic paint defects: a whole data set, training images, or what a line brings.

    Attributes:
        n_images: how many, at least 1.
        seed: images of the same seed are the same.
        training_only: put every image into the training split; the only choice beside real images.
        of_line: one half labelled, to calibrate by, the other without a label, to triage.

    Raises:
        ValueError: both `training_only` and `of_line` are asked for.
    """

    kind = "generate"
    title = "Generate synthetic images"

    n_images: int = 344
    seed: int = 0
    training_only: bool = False
    of_line: bool = False

    def __post_init__(self) -> None:
        if self.training_only and self.of_line:
            raise ValueError("training_only and of_line exclude each other, got both")


@dataclass(frozen=True)
class EmbedImages(JobConfig):
    """Compute the features of every image that has none by these weights.

    Attributes:
        backbone: a name of the registry.
        device: `auto`, or a name that torch knows.
        weights: the user's own: the name of a file in the workspace's folder `weights`, or a whole
            path; empty for the first that is found in the usual order.
        model: id of a model of the registry whose backbone and weights run instead.
        average_flips: average the features of an image as it is, mirrored left to right, top to
            bottom, and both; steadier, and four times the work.
    """

    kind = "embed"
    title = "Embed images"

    backbone: str = "resnet50"
    device: str = "auto"
    weights: str = ""
    model: str = ""
    average_flips: bool = False


@dataclass(frozen=True)
class ProjectEmbedding(JobConfig):
    """Lay an embedding out on a plane. A parameter that is None takes the method's default."""

    kind = "project"
    title = "Project onto a plane"

    embedding: str
    method: str = "umap"
    parameters: Parameters = ()
    seed: int = 0


@dataclass(frozen=True)
class ClusterImages(JobConfig):
    """Group images by their features (an embedding), or by their places on a map (a projection).

    Attributes:
        run: the embedding or projection.
        method: a name in `core.latent.clustering_methods.METHODS`.
        parameters: of the method, by name; those left out take its defaults, but DBSCAN's `eps` the
            knee of the k-distance plot.
        components: principal components that are clustered instead of an embedding's features: 0
            for the features as they are, a whole number from 1 for so many, a share below 1 for as
            many as hold that share of the variance.
        sweep: k-means alone: try every k up to `largest` and take that of the best silhouette.
        largest: the greatest k of a sweep.
        seed: of k-means' starts and of random subsets.
    """

    kind = "cluster"
    title = "Cluster"

    run: str
    method: str = "kmeans"
    parameters: Parameters = ()
    components: float = 0.0
    sweep: bool = False
    largest: int = 12
    seed: int = 0


@dataclass(frozen=True)
class MeasureKDistances(JobConfig):
    """Measure how far neighbours are, whose knee is a reach (`eps`) for DBSCAN.

    Attributes:
        run: the embedding or projection that is to be clustered.
        min_samples: DBSCAN's, at least 2.
        metric: DBSCAN's.
        components: as `ClusterImages`.
        seed: of the images that are measured in a large set.
    """

    kind = "k_distances"
    title = "Measure k-distances"

    run: str
    min_samples: int = 5
    metric: str = "cosine"
    components: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class MeasureSeparability(JobConfig):
    """Measure silhouettes under all metrics: of clusterings, and of the labels as they are now.

    Attributes:
        embedding: whose features are measured.
        clusterings: of this embedding or of its maps.
        with_labels: the labels as well.
        binarise: when a feature counts as active for a boolean metric, a key of
            `core.latent.metrics.BINARISATIONS`.
        seed: of the draws from a large set.
    """

    kind = "separability"
    title = "Compare metrics"

    embedding: str
    clusterings: tuple[str, ...] = ()
    with_labels: bool = True
    binarise: str = "nonzero"
    seed: int = 0


@dataclass(frozen=True)
class MeasureStability(JobConfig):
    """Repeat a clustering over seeds and resamples; one that swept k, over its ks as well.

    Attributes:
        clustering: the run to repeat.
        n_runs: over seeds, and as many over resamples, at least 2.
        seed: of the draws.
    """

    kind = "stability"
    title = "Measure stability"

    clustering: str
    n_runs: int = 5
    seed: int = 0


@dataclass(frozen=True)
class FindAnomalies(JobConfig):
    """Score how unlike the others each image is; `core.latent.anomalies.AnomalyConfig` explains.

    Attributes:
        embedding: whose features are looked at.
        contamination: share of images called anomalous, where the method sets no threshold itself.
        min_samples: DBSCAN's.
        eps: DBSCAN's; 0 takes the knee of the curve of distances.
        n_neighbors: of the mean distance to the nearest.
        seed: of the random methods.
    """

    kind = "anomalies"
    title = "Find anomalies"

    embedding: str
    contamination: float = 0.05
    min_samples: int = 5
    eps: float = 0.0
    n_neighbors: int = 10
    seed: int = 0


@dataclass(frozen=True)
class FindLabelErrors(JobConfig):
    """Rank the labels, as they are now, by how likely each is wrong.

    Attributes:
        embedding: whose features tell.
        seed: of the folds.
    """

    kind = "label_errors"
    title = "Find label errors"

    embedding: str
    seed: int = 0


@dataclass(frozen=True)
class ReadLayout(JobConfig):
    """See how the classes lie in the latent space, and how far the splits lie from training.

    Attributes:
        embedding: whose features are looked at.
        seed: of subsets and folds.
    """

    kind = "layout"
    title = "Read the layout"

    embedding: str
    seed: int = 0


@dataclass(frozen=True)
class CompareSets(JobConfig):
    """Test whether two sets of images differ in the full latent space.

    Attributes:
        embedding: whose features tell.
        first: a kept selection, by its digest.
        second: another, without an image of the first.
        first_name: what a person calls it.
        second_name: what a person calls it.
        seed: of subsets, permutations and folds.
    """

    kind = "comparison"
    title = "Compare two sets"

    embedding: str
    first: str
    second: str
    first_name: str = "the first set"
    second_name: str = "the second set"
    seed: int = 0


@dataclass(frozen=True)
class AnalyseSpace(JobConfig):
    """All of the unsupervised analysis: separability, anomalies, label errors and layout.

    Each is kept as a run of its own, and what is there already is not computed again.

    Attributes:
        embedding: whose features are analysed.
        clustering: whose separability is measured beside that of the labels; the newest where
            empty, if there is one.
    """

    kind = "analyse"
    title = "Analyse the latent space"

    embedding: str
    clustering: str = ""


@dataclass(frozen=True)
class ChosenImages:
    """Which images a model learns from, and where it starts.

    Attributes:
        classes: the classes to tell apart; empty for every class that has training images.
        per_class: so many training images of each of `classes`, drawn with the seed from all
            splits; the rest of these classes validates. Empty trains on the split `train` and
            validates on `validation`.
        without_anomalies: an `anomalies` run whose anomalous images are left out of training; empty
            leaves none out.
        start_from: id of an earlier model; empty for the backbone's published weights.
        weights: as `EmbedImages`.
        device: `auto`, or a name that torch knows.
    """

    classes: tuple[str, ...] = ()
    per_class: tuple[int, ...] = ()
    without_anomalies: str = ""
    start_from: str = ""
    weights: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class FineTune(ChosenImages, Recipe, JobConfig):
    """Train a classifier; `Recipe` says how, `ChosenImages` on what.

    Attributes:
        notes: what a person wants to remember of it.
    """

    kind = "fine_tune"
    title = "Fine-tune"

    notes: str = ""


@dataclass(frozen=True)
class ForecastTraining(ChosenImages, Recipe, JobConfig):
    """Measure a few steps of a training to say how long all of it will take."""

    kind = "forecast"
    title = "Forecast a training"
    lane = "interactive"


@dataclass(frozen=True)
class CompareBackbones(ChosenImages, Recipe, JobConfig):
    """Train several backbones in turn under one recipe; `backbone` itself is not used.

    Attributes:
        backbones: names of the registry.
    """

    kind = "compare_backbones"
    title = "Compare backbones"

    backbones: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvaluateModel(JobConfig):
    """Embed all images with a model and measure what it gets right, and how its space lies.

    Attributes:
        model: id in the registry.
        device: `auto`, or a name that torch knows.
        seed: of k-means, intervals and subsets.
    """

    kind = "evaluate"
    title = "Evaluate a model"

    model: str
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class CompareModels(JobConfig):
    """Measure two models on the same test images, which neither has seen.

    Attributes:
        old: id in the registry: the model at work, where one is to take its place.
        new: id of the other.
        promote: put the new one to work at once, unless it is worse beyond chance.
        reason: why, kept with the promotion.
        device: `auto`, or a name that torch knows.
    """

    kind = "compare_models"
    title = "Compare two models"

    old: str
    new: str
    promote: bool = False
    reason: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class CompareMaps(JobConfig):
    """Draw the map before and after fine-tuning, the second aligned to the first.

    Attributes:
        model: id in the registry.
        method: of projection.
        seed: of the projections.
    """

    kind = "compare_maps"
    title = "Map before and after"

    model: str
    method: str = "umap"
    seed: int = 0


@dataclass(frozen=True)
class ExplainImage(JobConfig):
    """Compute the heat map that shows where a model looks in one image.

    Attributes:
        model: id in the registry.
        image: its number.
        label: the class that is explained; the predicted one where empty.
    """

    kind = "explain"
    title = "Heat map"
    lane = "interactive"

    model: str
    image: int
    label: str = ""


@dataclass(frozen=True)
class Predict(JobConfig):
    """Say what a model makes of image files that need not belong to the workspace.

    Attributes:
        model: id in the registry.
        paths: of files and folders.
        device: `auto`, or a name that torch knows.
        within: as `ImportImages`.
    """

    kind = "predict"
    title = "Predict"
    lane = "interactive"

    model: str
    paths: tuple[str, ...]
    device: str = "auto"
    within: str = ""


@dataclass(frozen=True)
class ExportModel(JobConfig):
    """Write a model out as ONNX, checked against torch.

    Attributes:
        model: id in the registry.
        target: file to write; empty for the workspace's `exports`.
    """

    kind = "export_model"
    title = "Export a model"
    lane = "interactive"

    model: str
    target: str = ""


@dataclass(frozen=True)
class ImportModel(JobConfig):
    """Take a classifier that was trained elsewhere into the registry.

    Attributes:
        source: a file with its state dict, the head included.
        backbone: a name of the registry.
        classes: of its head, in the order of its rows.
        notes: what a person wants to remember of it.
    """

    kind = "import_model"
    title = "Import a model"
    lane = "interactive"

    source: str
    backbone: str
    classes: tuple[str, ...]
    notes: str = ""


@dataclass(frozen=True)
class CheckDrift(JobConfig):
    """Compare the images that came in since the last look with the calibration images."""

    kind = "check_drift"
    title = "Look for drift"
    lane = "interactive"


@dataclass(frozen=True)
class GroupStrange(JobConfig):
    """Group the images without a person's label that are like none of the types.

    Attributes:
        embedding: whose features tell.
        most_known: an image is strange where at most this share of the known ones is as far from
            all types, in (0, 1).
        seed: of folds and subsets.
    """

    kind = "group_strange"
    title = "Find strange images"
    lane = "interactive"

    embedding: str
    most_known: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class FindCandidates(JobConfig):
    """Rank the images without a person's label by how likely they are of one type.

    Attributes:
        name: of the type.
        embedding: whose features tell.
        n_most: of the likeliest that are told.
    """

    kind = "find_candidates"
    title = "Find more of a type"
    lane = "interactive"

    name: str
    embedding: str
    n_most: int = 480


@dataclass(frozen=True)
class PlanTriage(JobConfig):
    """Say which images a model may label itself, and which go to people; nothing is changed.

    Attributes:
        model: id in the registry.
        rule: `risk` (calibrated thresholds) or `cluster` (the paper's mixed cluster).
        max_error: tolerated share of wrong automatic labels, in (0, 1).
        delta: chance that the promise fails, in (0, 1).
        of: `unlabelled` routes the images without a label; `test` those of the split test, as if
            they had none.
        device: `auto`, or a name that torch knows.
        seed: of k-means.
        average_flips: as `EmbedImages`: the first plan of a model embeds all images four times
            over, and may label more of them within the same promise.

    Raises:
        ValueError: the rule or the images are unknown, or a share lies outside (0, 1).
    """

    kind = "plan_triage"
    title = "Plan the triage"
    lane = "interactive"

    model: str
    rule: str = "risk"
    max_error: float = 0.05
    delta: float = 0.05
    of: str = "unlabelled"
    device: str = "auto"
    seed: int = 0
    average_flips: bool = True

    def __post_init__(self) -> None:
        for name, known in (("rule", TRIAGE_RULES), ("of", TRIAGE_IMAGES)):
            if getattr(self, name) not in known:
                value = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name in ("max_error", "delta"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in (0, 1), got {getattr(self, name)}")


@dataclass(frozen=True)
class ApplyTriage(JobConfig):
    """Let the model label what a plan leaves to it, and put the rest into the queue.

    Attributes:
        plan: id of the plan's run.
        max_error: tolerated share of wrong labels, in (0, 1), where it is not the plan's: then a
            plan like that one is made for it, and applied; 0 for the plan's own.
        audit_share: of the automatic labels that people check, in [0, 1].
        gold_share: images of known label that are mixed in, as a share of those left to people.
        second_share: of those left to people that two of them judge, in [0, 1].
        seed: of the draws.

    Raises:
        ValueError: a share lies outside [0, 1].
    """

    kind = "apply_triage"
    title = "Apply the plan"
    lane = "interactive"

    plan: str
    max_error: float = 0.0
    audit_share: float = 0.02
    gold_share: float = 0.02
    second_share: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.max_error < 1:
            raise ValueError(f"max_error must lie in [0, 1), got {self.max_error}")
        for name in ("audit_share", "gold_share", "second_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True)
class DescribeQueue(JobConfig):
    """Let a model look at the images in the queue that none has looked at.

    Attributes:
        model: id in the registry.
        device: `auto`, or a name that torch knows.
    """

    kind = "describe_queue"
    title = "Look at the queue"
    lane = "interactive"

    model: str
    device: str = "auto"


@dataclass(frozen=True)
class WatchFolder(JobConfig):
    """Take the images of a camera's folder in as they come, and answer each.

    Attributes:
        folder: an absolute path; its subfolders count.
        output: a file that ends in `.csv` or `.jsonl`, which gets a line for each image that was
            taken; empty for none.
        once: end when every file that is there is settled.
        grace_s: seconds without a change after which a file that cannot be read is refused.
        device: `auto`, or a name that torch knows.
        within: as `ImportImages`.
        process: number of the process that it ends with, such as a terminal's; 0 for a watcher
            that a worker takes up again when it was killed.

    Raises:
        ValueError: `output` has another ending, or `grace_s` is negative.
    """

    kind = "watch"
    title = "Watch a folder"
    lane = "watch"

    folder: str
    output: str = ""
    once: bool = False
    grace_s: float = 5.0
    device: str = "auto"
    within: str = ""
    process: int = 0

    def __post_init__(self) -> None:
        if self.output and not self.output.lower().endswith(OUTPUT_SUFFIXES):
            known = " or ".join(OUTPUT_SUFFIXES)
            raise ValueError(f"output must end in {known}, got {self.output!r}")
        if not self.grace_s >= 0:
            raise ValueError(f"grace_s must be at least 0, got {self.grace_s}")


@dataclass(frozen=True)
class AnswerDropped(JobConfig):
    """Take image files in that a person has dropped, and say what the model makes of each.

    Attributes:
        files: (path of the upload, name that it had).
        device: `auto`, or a name that torch knows.
    """

    kind = "answer_dropped"
    title = "Answer dropped images"
    lane = "interactive"

    files: tuple[tuple[str, str], ...]
    device: str = "auto"


@dataclass(frozen=True)
class CheckFiles(JobConfig):
    """Look whether every file is still there and unchanged."""

    kind = "check_files"
    title = "Check files"


@dataclass(frozen=True)
class ExportImages(JobConfig):
    """Write images out with all that is known of them, for other tools and to be imported again.

    Attributes:
        format: `folder` (a folder a class), `csv`, `parquet` (with embeddings, maps and clusters),
            `coco` or `label-studio`.
        target: folder to write to; empty writes an archive to the workspace's `exports`.
    """

    kind = "export"
    title = "Export"

    format: str = "folder"
    target: str = ""


def to_json(config: JobConfig) -> dict[str, Any]:
    """The config as it is stored."""
    return asdict(config)


def from_json(config_class: type[JobConfig], stored: dict[str, Any]) -> JobConfig:
    """The config as it was before it was stored; lists are tuples again."""
    known = {field.name for field in fields(config_class)}
    return config_class(**{k: _as_tuple(v) for k, v in stored.items() if k in known})


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value
