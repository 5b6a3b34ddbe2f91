"""Is a new type found from five images, and are images of unknown types told at all? On X-SDD.

Candidates: each of the seven classes in turn is new to five of the others, 20 draws each: which
five, which five images show it, which half of the known images is labelled. Ranked are its other
images among the known ones that are not labelled; found are those that stand before a tenth of
these. What it costs: the share of known images rightly told by their nearest class, before and
after the new type takes those that it is likelier of. Features are of the published network, each
image looked at once; and of a `last_block` training on the five others, as a line has them whose
model does not know the type yet: one training a class, 20 draws of the five images. Then a training
learns the new type from the same five images, one draw a class.

Novelty: every pair of classes is unknown in turn to a `last_block` network trained on 300 images
of the five others; how well does each score tell the images of the pair from the known ones that
it has not seen? It is `bench_triage.py`'s training, whose recipe was chosen on X-SDD as a whole.

    LACQUER_TEST_DATA=... LACQUER_WEIGHTS_DIR=... python tests/benchmarks/bench_new_types.py
"""

import itertools
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from bench_triage import (
    ACTIVATIONS,
    BACKBONE,
    FLIPS,
    N_REFERENCE,
    N_TRAIN,
    PIXELS,
    ROWS_AT_ONCE,
    compute_activations,
    list_images,
    pool,
    save_pixels,
    tell,
    train_model,
)
from figures import report, row
from sklearn.metrics import roc_auc_score

from core.latent.backbones import get_backbone
from core.latent.neighbors import nearest_among
from core.latent.novel_groups import find_novel_groups
from core.latent.reduction import unit_rows
from core.latent.weights import ResolvedWeights, resolve_weights
from core.learning.calibration import softmax
from core.learning.mixed_cluster import nearest_center
from core.learning.networks import build_classifier, cut_before_last_block
from core.learning.prototypes import fit_prototype, rank_candidates

N_DRAWS, N_EXAMPLES, N_OTHERS = 20, 5, 5
BEFORE = 0.1  # of the known candidates
PURE, GROUPED = "strange groups: of the commonest class", "strange groups: of the unknown, in one"
LEAST_FOUND, MOST_LOST, LEAST_AUROC = 0.80, 0.01, 0.96


def bench(data: Path, weights_dir: Path) -> list[dict]:
    """A row a figure: what was measured, its value, its limit if any, and whether it holds."""
    began = time.perf_counter()
    files, labels = list_images(data / "x-sdd", None)
    targets = np.unique(labels, return_inverse=True)[1]
    weights = resolve_weights(BACKBONE, weights_dirs=[weights_dir], offline=True)
    n_classes = int(targets.max()) + 1
    with tempfile.TemporaryDirectory() as folder, pool() as workers:
        place = Path(folder)
        save_pixels(files, place / PIXELS)
        list(workers.map(partial(compute_activations, weights, place), range(len(FLIPS))))
        frozen = frozen_features(weights, np.load(place / ACTIVATIONS.format(0)))
        rows = prototypes(frozen, targets)
        rows += unlearned(
            list(workers.map(partial(try_unlearned, place, weights, targets), range(n_classes)))
        )
        tuned = list(workers.map(partial(try_class, place, weights, targets), range(n_classes)))
        rows += retrained(tuned)
        pairs = list(itertools.combinations(range(n_classes), 2))
        rows += novelty(list(workers.map(partial(try_pair, place, weights, targets), pairs)))
    rows.append(row("minutes", (time.perf_counter() - began) / 60, n_images=len(files)))
    return rows


def prototypes(features: np.ndarray, targets: np.ndarray) -> list[dict]:
    """The step with five images: what is found, and what the known classes lose."""
    measured: dict[str, list[float]] = {"prototype": [], "cosine": [], "before": [], "after": []}
    for new, draw in itertools.product(range(int(targets.max()) + 1), range(N_DRAWS)):
        examples, known, images, is_new = draw_type(targets, new, draw)
        known_targets = np.unique(targets[known], return_inverse=True)[1]
        ranked = rank_candidates(
            features[examples], features[known], known_targets, features[images]
        )
        measured["prototype"].append(found_before(ranked.scores, is_new))
        mean = features[examples].mean(axis=0, keepdims=True)
        near = unit_rows(features[images]) @ unit_rows(mean)[0]
        measured["cosine"].append(found_before(near, is_new))
        prototype = fit_prototype(features[examples], features[known], known_targets)
        places = (features[images].astype(np.float64) - prototype.mean) @ prototype.directions
        nearest = nearest_center(places, prototype.known_centers)
        is_right = np.unique(targets[known])[nearest] == targets[images]
        measured["before"].append(is_right[~is_new].mean())
        measured["after"].append((is_right & (ranked.scores <= 0))[~is_new].mean())
    by_class = np.reshape(measured["prototype"], (-1, N_DRAWS)).mean(axis=1)
    before, after = np.mean(measured["before"]), np.mean(measured["after"])
    return [
        row(
            "five images: found before a tenth of the known",
            np.mean(measured["prototype"]),
            at_least=LEAST_FOUND,
            n_runs=len(measured["prototype"]),
            worst_class=round(float(by_class.min()), 3),
        ),
        row("five images: the same by plain cosine", np.mean(measured["cosine"])),
        row("five images: known rightly told, before", before),
        row("five images: lost by the known classes", before - after, at_most=MOST_LOST),
    ]


def unlearned(measured: list[tuple[float, float]]) -> list[dict]:
    """The step with five images by features of a model that does not know the type."""
    once, averaged = np.mean(measured, axis=0)
    title = "five images, by the features of a model that has not learned the type"
    return [
        row(title, once, at_least=LEAST_FOUND, n_runs=len(measured) * N_DRAWS),
        row(f"{title}, averaged over flips", averaged),
    ]


def retrained(measured: list[tuple[float, float, float]]) -> list[dict]:
    """The same once a training has learned the type from the same five images."""
    found, taken, right = np.mean(measured, axis=0)
    return [
        row("trained: found before a tenth of the known", found, n_runs=len(measured)),
        row("trained: of the new type, rightly told", taken),
        row("trained: known rightly told", right),
    ]


def novelty(measured: list[dict[str, float]]) -> list[dict]:
    """AUROC of each score and what the groups are worth, as means over the pairs."""
    rows = []
    for name in measured[0]:
        title = name if name in (PURE, GROUPED) else f"novelty AUROC: {name}"
        values = [each[name] for each in measured]
        limit = LEAST_AUROC if name == "product" else None
        details = {"n_pairs": len(values), "worst": round(min(values), 3)}
        rows.append(row(title, np.mean(values), at_least=limit, **details))
    return rows


def draw_type(
    targets: np.ndarray, new: int, draw: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the examples, of the labelled known, of what is ranked, and which of that is new."""
    rng = np.random.default_rng([new, draw])
    others = rng.permutation([each for each in np.unique(targets) if each != new])[:N_OTHERS]
    of_new = rng.permutation(np.flatnonzero(targets == new))
    halves = [rng.permutation(np.flatnonzero(targets == each)) for each in others]
    known = np.concatenate([rows[: len(rows) // 2] for rows in halves])
    rest = np.concatenate([rows[len(rows) // 2 :] for rows in halves])
    images = np.concatenate([of_new[N_EXAMPLES:], rest])
    return of_new[:N_EXAMPLES], known, images, np.arange(len(images)) < len(of_new) - N_EXAMPLES


def found_before(scores: np.ndarray, is_new: np.ndarray) -> float:
    """Share of the new images that score above the best tenth of the known ones."""
    return float((scores[is_new] > np.quantile(scores[~is_new], 1 - BEFORE)).mean())


def numbered(targets: np.ndarray, names: list[int]) -> np.ndarray:
    """Classes by their place in `names`, int (n_images,); -1 for all that are not in it."""
    return np.array([names.index(each) if each in names else -1 for each in targets])


def try_unlearned(
    folder: Path, weights: ResolvedWeights, targets: np.ndarray, new: int
) -> tuple[float, float]:
    """Train on the five others: what five images of the new type find, by one look and by four."""
    _, known, images, is_new = draw_type(targets, new, 0)
    names, known_targets = np.unique(targets[known], return_inverse=True)
    learned = numbered(targets, names.tolist())
    reference, train = np.split(np.random.default_rng(new).permutation(known), [N_REFERENCE])
    _, looks = train_model(weights, load_activations(folder), learned, train, reference)
    of_new, rest = np.flatnonzero(targets == new), images[~is_new]
    found = []
    for draw in range(N_DRAWS):
        examples, left = np.split(
            np.random.default_rng([new, draw]).permutation(of_new), [N_EXAMPLES]
        )
        ranked = np.concatenate([left, rest])
        is_left = np.arange(len(ranked)) < len(left)
        found.append(
            [
                found_before(
                    rank_candidates(
                        features[examples], features[known], known_targets, features[ranked]
                    ).scores,
                    is_left,
                )
                for features in (looks[0], looks.mean(axis=0))
            ]
        )
    once, averaged = np.mean(found, axis=0)
    return float(once), float(averaged)


def try_class(
    folder: Path, weights: ResolvedWeights, targets: np.ndarray, new: int
) -> tuple[float, float, float]:
    """Train with the five images: found, of the new rightly told, of the known rightly told."""
    examples, known, images, is_new = draw_type(targets, new, 0)
    names = [*np.unique(targets[known]).tolist(), new]
    learned = numbered(targets, names)
    rng = np.random.default_rng(new)
    reference, train = np.split(rng.permutation(known), [N_REFERENCE])
    head, features = train_model(
        weights, load_activations(folder), learned, np.concatenate([train, examples]), reference
    )
    probabilities = softmax(head.logits(features.mean(axis=0)[images]), temperature=1.0)
    is_right = probabilities.argmax(axis=1) == learned[images]
    return (
        found_before(probabilities[:, -1], is_new),
        float(is_right[is_new].mean()),
        float(is_right[~is_new].mean()),
    )


def try_pair(
    folder: Path, weights: ResolvedWeights, targets: np.ndarray, pair: tuple[int, int]
) -> dict[str, float]:
    """AUROC by score, for one pair of unknown classes."""
    known_names = [each for each in np.unique(targets).tolist() if each not in pair]
    learned = numbered(targets, known_names)
    rng = np.random.default_rng(pair)
    known = rng.permutation(np.flatnonzero(learned >= 0))
    train, reference, rest = np.split(known, [N_TRAIN, N_TRAIN + N_REFERENCE])
    head, features = train_model(weights, load_activations(folder), learned, train, reference)
    asked = np.concatenate([rest, np.flatnonzero(learned < 0)])
    is_unknown = learned[asked] < 0
    averaged = features.mean(axis=0)
    flipped = tell(head, averaged, learned, train, reference)
    single = tell(head, features[0], learned, train, reference)
    nearest = nearest_among(averaged[asked], averaged[train], n_neighbors=1)[1][:, 0]
    scores = {
        "softmax": -single.scores.confidence[asked],
        "softmax, averaged over flips": -flipped.scores.confidence[asked],
        "nearest training image, cosine": nearest,
        "Mahalanobis, one look": single.scores.novelty[asked],
        "product": flipped.scores.novelty[asked],
    }
    found = find_novel_groups(averaged[asked], averaged[train], learned[train])
    pure, grouped = grouped_alike(found.groups, targets[asked], is_unknown)
    return {name: float(roc_auc_score(is_unknown, score)) for name, score in scores.items()} | {
        PURE: pure,
        GROUPED: grouped,
    }


def grouped_alike(
    groups: np.ndarray, targets: np.ndarray, is_unknown: np.ndarray
) -> tuple[float, float]:
    """Share of the grouped that are of their group's commonest class; of the unknown, grouped."""
    kept = groups >= 0
    commonest = [np.bincount(targets[groups == each]).max() for each in np.unique(groups[kept])]
    return float(np.sum(commonest) / max(1, kept.sum())), float(kept[is_unknown].mean())


def load_activations(folder: Path):  # type: ignore[no-untyped-def]
    import torch

    torch.set_num_threads(1)
    views = [np.load(folder / ACTIVATIONS.format(number)) for number in range(len(FLIPS))]
    return torch.from_numpy(np.stack(views))


def frozen_features(weights: ResolvedWeights, activations: np.ndarray) -> np.ndarray:
    """Features of the published network: float32 (n_images, n_features)."""
    import torch

    backbone = get_backbone(BACKBONE)
    trained = cut_before_last_block(build_classifier(weights, 2, seed=0), backbone).trained
    trained.set_submodule(backbone.head, torch.nn.Identity())
    trained.eval()
    with torch.inference_mode():
        found = [trained(some) for some in torch.from_numpy(activations).split(ROWS_AT_ONCE)]
    return torch.cat(found).numpy()


if __name__ == "__main__":
    report(bench)
