"""Does the risk rule keep its promise on real images, and how many does it label?

X-SDD and NEU-DET, every pair of their classes held back as unknown in turn. Of the other classes
300 images train a `last_block` MobileNetV2, 60 of them as validation. Then five times: 300 other
images calibrate, a tenth of them unknown, and the rest is the stream, a tenth unknown likewise. An
unknown image that is labelled is wrong, and a plan that promises nothing labels nothing. All is
done by the product's own functions, but that what the frozen layers see is computed once for all
models. Beside it stand the same rule on features of one look at each image, not averaged over its
flips, and the paper's rule, fitted to the calibration images.

The rule, its thresholds and where its search begins were chosen by trials on the same images of
X-SDD, as a whole; on NEU-DET nothing was chosen that X-SDD had not chosen. The five runs of a pair
share its model and much of their images: their errors go together.

    LACQUER_TEST_DATA=... LACQUER_WEIGHTS_DIR=... python tests/benchmarks/bench_triage.py
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from figures import report, row

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.latent.backbones import get_backbone, load_preprocessing
from core.latent.embedding import available_cores, decode_image
from core.latent.novelty import fit_novelty_scorer
from core.latent.weights import ResolvedWeights, resolve_weights
from core.learning.calibration import fit_temperature, softmax
from core.learning.fine_tuning import Examples, fine_tune
from core.learning.inputs import ActivationInputs, PixelInputs
from core.learning.mixed_cluster import apply_cluster_rule, fit_cluster_rule
from core.learning.networks import Head, build_classifier, cut_before_last_block, freeze
from core.learning.recipe import Recipe
from core.triage.routing import Scores, plan_by_risk

if TYPE_CHECKING:
    import torch

BACKBONE = "mobilenet_v2"
RECIPE = Recipe(
    backbone=BACKBONE,
    mode="last_block",
    epochs=15,
    batch_size=16,
    learning_rate=0.003,
    schedule="cosine",
    freeze_batch_norm=True,
)
PROMISES = {0.05: 0.85, 0.03: 0.70}  # tolerated error: share of the stream to be labelled at least
DELTA = 0.05
MOST_BROKEN = 0.08  # of the runs
N_SPLITS = 5
N_TRAIN, N_REFERENCE, N_CALIBRATION, UNKNOWN_SHARE = 240, 60, 300, 0.1
MOST_A_CLASS = {"x-sdd": None, "neu-det": 200}  # images, drawn at random; None for all
FLIPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # steps through rows and columns; the second mirrors
PIXELS, ACTIVATIONS = "pixels.npy", "activations-{}.npy"
ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Split:
    """What one model is tried on: rows by what they are for."""

    calibration: np.ndarray
    stream: np.ndarray


@dataclass(frozen=True)
class Told:
    """What a model says of all images, row by row.

    Attributes:
        features: float32 (n_images, n_features).
        scores: confidence and novelty.
        is_wrong: bool (n_images,), whether its label would be wrong.
    """

    features: np.ndarray
    scores: Scores
    is_wrong: np.ndarray


def bench(data: Path, weights_dir: Path) -> list[dict]:
    """A row a figure: what was measured, its value, its limit if any, and whether it holds."""
    rows = []
    for name, most in MOST_A_CLASS.items():
        began = time.perf_counter()
        files, labels = list_images(data / name, most)
        weights = resolve_weights(BACKBONE, weights_dirs=[weights_dir], offline=True)
        with tempfile.TemporaryDirectory() as folder, pool() as workers:
            place = Path(folder)
            save_pixels(files, place / PIXELS)
            list(workers.map(partial(compute_activations, weights, place), range(len(FLIPS))))
            pairs = list(itertools.combinations(range(len(set(labels.tolist()))), 2))
            found = workers.map(partial(try_pair, place, weights, labels), pairs)
            rows += told(name, list(itertools.chain.from_iterable(found)))
        minutes = (time.perf_counter() - began) / 60
        rows.append(row(f"{name}: minutes", minutes, n_images=len(files), n_models=len(pairs)))
    return rows


def told(name: str, measured: list[tuple[str, float | None, float, float]]) -> list[dict]:
    """The rows of one set of images; `measured` holds (rule, promise, share labelled, error)."""
    rows = []
    for rule, promise in dict.fromkeys((rule, promise) for rule, promise, *_ in measured):
        shares, errors = np.array(
            [(share, error) for *which, share, error in measured if which == [rule, promise]]
        ).T
        title = f"{name}: {rule}" + (f", promise {promise}" if promise else "")
        is_bound = rule == "risk"
        rows.append(
            row(
                f"{title}: share labelled",
                shares.mean(),
                at_least=PROMISES[promise] if is_bound else None,
                n_runs=len(shares),
                nothing_labelled=round(float((shares == 0).mean()), 3),
            )
        )
        rows.append(row(f"{title}: wrong among them, mean", errors.mean()))
        if promise:
            broken = (errors > promise).mean()
            at_most = MOST_BROKEN if is_bound else None
            rows.append(row(f"{title}: runs that broke the promise", broken, at_most=at_most))
    return rows


def try_pair(
    folder: Path, weights: ResolvedWeights, labels: np.ndarray, pair: tuple[int, int]
) -> list[tuple[str, float | None, float, float]]:
    """Hold a pair of classes back, train, and route what is left, split by split."""
    import torch

    torch.set_num_threads(1)
    activations = np.stack([np.load(folder / ACTIVATIONS.format(i)) for i in range(len(FLIPS))])
    classes = sorted(set(labels.tolist()))
    known_names = [name for place, name in enumerate(classes) if place not in pair]
    targets = np.array([known_names.index(x) if x in known_names else -1 for x in labels])
    rng = np.random.default_rng(pair)
    known = rng.permutation(np.flatnonzero(targets >= 0))
    train, reference, rest = np.split(known, [N_TRAIN, N_TRAIN + N_REFERENCE])
    head, features = train_model(weights, torch.from_numpy(activations), targets, train, reference)
    measured = []
    for rule, seen in (("risk", features.mean(axis=0)), ("risk, one look", features[0])):
        model = tell(head, seen, targets, train, reference)
        for split in splits(rest, np.flatnonzero(targets < 0), rng_seed=pair):
            for promise in PROMISES:
                plan = plan_by_risk(
                    of(model.scores, reference),
                    of(model.scores, split.calibration),
                    model.is_wrong[split.calibration],
                    of(model.scores, split.stream),
                    max_error=promise,
                    delta=DELTA,
                    curve_errors=(),
                )
                wrong = model.is_wrong[split.stream]
                measured.append((rule, promise, *share_and_error(plan.is_auto, wrong)))
            if rule == "risk":
                is_auto, wrong = by_the_paper(model.features, labels, known_names, split)
                measured.append(("the paper's rule", None, *share_and_error(is_auto, wrong)))
    return measured


def train_model(
    weights: ResolvedWeights,
    activations: "torch.Tensor",
    targets: np.ndarray,
    train: np.ndarray,
    reference: np.ndarray,
) -> tuple[Head, np.ndarray]:
    """A head, and float32 features (n_flips, n_images, n_features) of all images."""
    import torch

    backbone = get_backbone(BACKBONE)
    network = build_classifier(weights, int(targets.max()) + 1, seed=RECIPE.seed)
    freeze(network, backbone, RECIPE.mode)
    trained = cut_before_last_block(network, backbone).trained

    def examples(rows: np.ndarray) -> Examples:
        # The image as it is and mirrored, as training in the product sees it.
        return Examples(ActivationInputs([activations[:2, rows]], device="cpu"), targets[rows])

    with tempfile.TemporaryDirectory() as checkpoints:
        fine_tune(
            trained,
            examples(train),
            examples(reference),
            RECIPE,
            n_classes=int(targets.max()) + 1,
            device="cpu",
            checkpoints=Path(checkpoints),
            question="",
            on_epoch=lambda _: None,
            on_step=lambda *_: None,
        )
    layer = trained.get_submodule(backbone.head)
    head = Head(layer.weight.detach().numpy(), layer.bias.detach().numpy())
    trained.set_submodule(backbone.head, torch.nn.Identity())
    trained.eval()
    with torch.inference_mode():
        features = [
            torch.cat([trained(some) for some in view.split(ROWS_AT_ONCE)]) for view in activations
        ]
    return head, torch.stack(features).numpy()


def tell(
    head: Head,
    features: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    reference: np.ndarray,
) -> Told:
    """Confidence after temperature, and the distance from the classes as they were trained."""
    logits = head.logits(features)
    temperature = fit_temperature(logits[reference], targets[reference]).value
    probabilities = softmax(logits, temperature=temperature)
    novelty = fit_novelty_scorer(features[train], targets[train]).score(features)
    scores = Scores(probabilities.max(axis=1), novelty)
    return Told(features, scores, probabilities.argmax(axis=1) != targets)


def splits(rest: np.ndarray, unknown: np.ndarray, *, rng_seed: tuple[int, ...]) -> Iterator[Split]:
    """Calibration and stream, a tenth of each of no known class, drawn anew each time."""
    n_unknown = round(N_CALIBRATION * UNKNOWN_SHARE)
    for number in range(N_SPLITS):
        rng = np.random.default_rng([number, *rng_seed])
        calibration, stream = np.split(rng.permutation(rest), [N_CALIBRATION - n_unknown])
        strange = rng.permutation(unknown)
        n_in_stream = round(len(stream) * UNKNOWN_SHARE / (1 - UNKNOWN_SHARE))
        assert len(unknown) >= n_unknown + n_in_stream
        yield Split(
            np.r_[calibration, strange[:n_unknown]],
            np.r_[stream, strange[n_unknown : n_unknown + n_in_stream]],
        )


def by_the_paper(
    features: np.ndarray, labels: np.ndarray, known_names: list[str], split: Split
) -> tuple[np.ndarray, np.ndarray]:
    """Who is labelled by the paper's rule, and whose label would be wrong.

    It sees what its authors had: images to fit to, unknown ones among them.
    """
    rule = fit_cluster_rule(
        features[split.calibration], labels[split.calibration].tolist(), tuple(known_names)
    )
    routed = apply_cluster_rule(rule, features[split.stream], labels[split.stream].tolist())
    given = np.array([label or "" for label in routed.auto_labels])
    return given != "", given != labels[split.stream]


def share_and_error(is_auto: np.ndarray, is_wrong: np.ndarray) -> tuple[float, float]:
    return float(is_auto.mean()), float(is_wrong[is_auto].mean()) if is_auto.any() else 0.0


def of(scores: Scores, rows: np.ndarray) -> Scores:
    return Scores(scores.confidence[rows], scores.novelty[rows])


def list_images(folder: Path, most: int | None) -> tuple[list[Path], np.ndarray]:
    """Image files, and what they show by the folder's name or, if that is a split's, the file's."""
    files = np.array(
        sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    )
    by_name = any(file.parent.name == "images" for file in files)
    labels = np.array(
        [file.stem.rpartition("_")[0] if by_name else file.parent.name for file in files]
    )
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(labels == name))[:most] for name in np.unique(labels)]
    chosen = np.sort(np.concatenate(rows))
    return files[chosen].tolist(), labels[chosen]


def save_pixels(files: list[Path], path: Path) -> None:
    preprocessing = load_preprocessing(get_backbone(BACKBONE))
    images = [decode_image(file, preprocessing, max_pixels=10_000_000) for file in files]
    np.save(path, np.stack(images))


def compute_activations(weights: ResolvedWeights, folder: Path, number: int) -> None:
    """What the layers that stay frozen make of every image, flipped in one way."""
    import torch

    torch.set_num_threads(1)
    backbone = get_backbone(BACKBONE)
    network = build_classifier(weights, 2, seed=0)
    frozen = cut_before_last_block(network, backbone).frozen
    down, across = FLIPS[number]
    pixels = np.load(folder / PIXELS, mmap_mode="r")[:, ::down, ::across]
    inputs = PixelInputs(pixels, load_preprocessing(backbone), augmentations=(), device="cpu")
    found = []
    with torch.inference_mode():
        for start in range(0, len(pixels), ROWS_AT_ONCE):
            rows = np.arange(start, min(start + ROWS_AT_ONCE, len(pixels)))
            (crossing,) = frozen(*inputs.batch(rows, None))
            found.append(crossing.numpy())
    np.save(folder / ACTIVATIONS.format(number), np.concatenate(found))


def pool() -> ProcessPoolExecutor:
    """A process a core: dropout is drawn from a process's one generator."""
    return ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn"))


if __name__ == "__main__":
    report(bench)
