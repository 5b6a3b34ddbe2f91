r"""What are the bundled backbone's frozen features worth beside a random and an ImageNet network?

Protocol: features of the whole image by `core.latent.embedding`, each image once. Logistic
regression on standardised features; its C is chosen in each training part by a quarter held out of
it, by balanced accuracy. Four stratified folds for each of two seeds; the figure is the mean
balanced accuracy over the eight. X-SDD whole, 1,360 images of seven classes; of vehicle damage
1,200 images, 400 a class, drawn with a seed. The random MobileNetV2 is that of
`core.latent.random_network` with seed 0, whose activations do not vanish; the ImageNet one is the
file in LACQUER_WEIGHTS_DIR.

The bundled backbone has to close three quarters of the gap between those two on X-SDD, and half of
it on vehicle damage.

    PYTHONPATH=. LACQUER_TEST_DATA=... LACQUER_WEIGHTS_DIR=... \
        python tests/benchmarks/bench_bundled_backbone.py
"""

import warnings
from pathlib import Path

import numpy as np
from figures import report, row
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from core.latent.embedding import embed_images, load_extractor
from core.latent.weights import (
    ResolvedWeights,
    bundled_weights,
    random_weights,
    resolve_weights,
)

# By data set: the most images of a class, and the share of the gap to close.
DATA_SETS = {"x-sdd": (None, 0.75), "vehicle-damage": (400, 0.5)}
SEEDS, N_FOLDS = (0, 1), 4
STRENGTHS = (0.001, 0.01, 0.1)  # C of the logistic regression
MAX_PIXELS = 50_000_000


def bench(data: Path, weights_dir: Path) -> list[dict]:
    """A row a figure: what was measured, its value, its limit if any, and whether it holds."""
    networks = {
        "random MobileNetV2": random_weights("mobilenet_v2", seed=0),
        "ImageNet MobileNetV2": resolve_weights(
            "mobilenet_v2", weights_dirs=[weights_dir], offline=True
        ),
        "bundled": bundled_weights(),
    }
    if networks["ImageNet MobileNetV2"].source != "file":
        raise SystemExit(f"No weights of MobileNetV2 lie in {weights_dir}.")
    rows = []
    for name, (most, share) in DATA_SETS.items():
        files, labels = list_images(data / name, most)
        found = {}
        for title, weights in networks.items():
            features, speed = embed(files, weights)
            accuracies = probe(features, labels)
            found[title] = float(accuracies.mean())
            rows.append(
                row(
                    f"{name}, {title}: balanced accuracy",
                    found[title],
                    standard_deviation=round(float(accuracies.std()), 3),
                    n_images=len(files),
                    n_features=features.shape[1],
                    images_per_second=round(speed, 1),
                )
            )
        low, high, ours = found.values()
        closed = (ours - low) / (high - low)
        rows.append(row(f"{name}: share of the gap that is closed", closed, at_least=share))
    return rows


def list_images(folder: Path, most: int | None) -> tuple[list[Path], np.ndarray]:
    """Image files and their classes, which are the names of their folders."""
    suffixes = {".jpg", ".jpeg", ".png"}
    files = np.array(sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes))
    labels = np.array([file.parent.name for file in files])
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(labels == name))[:most] for name in np.unique(labels)]
    chosen = np.sort(np.concatenate(rows))
    return files[chosen].tolist(), labels[chosen]


def embed(files: list[Path], weights: ResolvedWeights) -> tuple[np.ndarray, float]:
    """Features (n_images, n_features) of images, all of which can be read, and images a second."""
    chunks: list[np.ndarray] = []
    report = embed_images(
        files,
        load_extractor(weights, device="cpu"),
        max_pixels=MAX_PIXELS,
        on_chunk=lambda chunk: chunks.append(chunk.features),
    )
    if report.failed:
        raise SystemExit(f"{len(report.failed)} images could not be read.")
    return np.concatenate(chunks), report.images_per_second


def probe(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Balanced accuracy (n_seeds * n_folds,) of a linear classifier, in [0, 1], higher = better."""
    accuracies = []
    for seed in SEEDS:
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
        for train, test in folds.split(features, labels):
            inner, held_out = train_test_split(
                train, test_size=0.25, stratify=labels[train], random_state=seed
            )
            best = max(STRENGTHS, key=lambda c: fit(c, features, labels, inner, held_out))
            accuracies.append(fit(best, features, labels, train, test))
    return np.array(accuracies)


def fit(
    strength: float, features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> float:
    """Balanced accuracy on `test` of a classifier of that C fitted on `train`."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
    # Threads of small matrix products wait for one another where the machine has other work.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(features[train], labels[train])
    return float(balanced_accuracy_score(labels[test], classifier.predict(features[test])))


if __name__ == "__main__":
    report(bench)
