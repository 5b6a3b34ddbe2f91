"""What does fine-tuning cost over the bare steps, and what does it reach on real images?

Steps: the product's own training step against the same model, loss and optimiser on tensors in
memory, in turn. Accuracy: X-SDD with three classes at the paper's counts, `full`, `last_block` and
`head`, five seeds, which draw the images too; vehicle damage, which is hard, `full` against a
logistic probe on frozen features. The latter two need the real data and MobileNetV2's weights.

    LACQUER_TEST_DATA=... LACQUER_WEIGHTS_DIR=... python tests/benchmarks/bench_training.py
    ... bench_training.py steps xsdd vehicle      (some of its parts)
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.jobs import queue
from core.jobs.configs import EmbedImages, EvaluateModel, FineTune, ImportImages, JobConfig
from core.jobs.worker import run_job
from core.learning.recipe import Recipe
from core.state import catalog, runs
from core.state.workspace import Workspace, create_workspace

SEEDS = range(5)
MIN_FULL_ACCURACY = 0.97
MAX_STEP_RATIO = 1.1
MAX_LAST_BLOCK_LOSS = 0.01
MAX_LAST_BLOCK_TIME = 0.2
MAX_HEAD_SECONDS = 10.0
N_STEPS = 12
BACKBONE = "mobilenet_v2"
PAPERS = {  # the paper's counts of dirt, drop and scratch on X-SDD's classes of that size
    "oxide_scale_of_plate_system": 36,
    "finishing_roll_printing": 83,
    "surface_scratch": 82,
}
VEHICLE_PER_CLASS, VEHICLE_EPOCHS = 300, 5


def bench_steps() -> list[dict[str, Any]]:
    """The product's step over the bare one: median of the ratios, pair by pair."""
    import torch

    from core.latent.backbones import get_backbone, load_preprocessing
    from core.latent.weights import resolve_weights
    from core.learning.fine_tuning import loss_function, make_optimiser, train_step
    from core.learning.inputs import PixelInputs, draw_epoch
    from core.learning.networks import build_classifier, train_mode

    recipe = Recipe(backbone=BACKBONE)
    weights = resolve_weights(BACKBONE, offline=True)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 224, 224, 3), dtype=np.uint8)
    targets = np.arange(64) % 3
    inputs = PixelInputs(
        pixels,
        load_preprocessing(get_backbone(BACKBONE)),
        augmentations=recipe.augmentations,
        device="cpu",
    )
    draw = draw_epoch(64, recipe.augmentations, seed=0, epoch=1)
    ours, bare = (
        build_classifier(weights, 3, seed=0).to(memory_format=torch.channels_last) for _ in range(2)
    )
    optimiser = make_optimiser(ours, recipe)
    loss_of = loss_function(targets, recipe, n_classes=3, device="cpu")
    bare_optimiser = torch.optim.SGD(bare.parameters(), lr=0.001, momentum=0.9)
    images = inputs.batch(draw.order[:8], None)[0]
    wanted = torch.from_numpy(targets[draw.order[:8]])
    train_mode(ours, freeze_batch_norm=False)
    bare.train()

    def bare_step() -> None:
        loss = torch.nn.functional.cross_entropy(bare(images), wanted)
        bare_optimiser.zero_grad()
        loss.backward()
        bare_optimiser.step()

    def our_step(number: int) -> None:
        rows = draw.order[8 * (number % 8) : 8 * (number % 8) + 8]
        batch = inputs.batch(rows, draw)
        train_step(ours, batch, torch.from_numpy(targets[rows]), optimiser, loss_of)

    bare_step(), our_step(0)
    pairs = []
    for number in range(N_STEPS):
        began = time.process_time()
        bare_step()
        middle = time.process_time()
        our_step(number)
        pairs.append((middle - began, time.process_time() - middle))
    ratio = statistics.median(ours / bare for bare, ours in pairs)
    return [
        _row(
            "training step / bare training step",
            ratio,
            at_most=MAX_STEP_RATIO,
            bare_ms=round(1000 * statistics.median(bare for bare, _ in pairs)),
        )
    ]


def bench_xsdd(data: Path) -> list[dict[str, Any]]:
    """The three modes on the paper's counts, mean of the seeds, every seed told."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    with _workspace(data / "x-sdd") as workspace:
        _do(workspace, EmbedImages(backbone=BACKBONE))
        head_seconds = []
        for seed in SEEDS:
            for mode in ("full", "last_block", "head"):
                began = time.perf_counter()
                config = FineTune(
                    backbone=BACKBONE,
                    mode=mode,
                    epochs=10,
                    classes=tuple(PAPERS),
                    per_class=tuple(PAPERS.values()),
                    seed=seed,
                )
                found.setdefault(mode, []).append(_do(workspace, config))
                if mode == "head":
                    head_seconds.append(time.perf_counter() - began)
    accuracy = {
        mode: statistics.mean(result["val_accuracy"] for result in results)
        for mode, results in found.items()
    }
    seconds = {
        mode: statistics.median(result["epoch_seconds"] for result in results)
        for mode, results in found.items()
    }
    caching = statistics.median(result["caching_seconds"] for result in found["last_block"])
    every = {
        f"seed_{seed}": round(result["val_accuracy"], 4)
        for seed, result in enumerate(found["full"])
    }
    return [
        _row("X-SDD, full: accuracy", accuracy["full"], at_least=MIN_FULL_ACCURACY, **every),
        _row(
            "X-SDD, last_block: accuracy below full",
            accuracy["full"] - accuracy["last_block"],
            at_most=MAX_LAST_BLOCK_LOSS,
            last_block=round(accuracy["last_block"], 4),
        ),
        _row(
            "X-SDD, last_block: time of an epoch / full's",
            seconds["last_block"] / seconds["full"],
            at_most=MAX_LAST_BLOCK_TIME,
            full_s=round(seconds["full"], 2),
            caching_s=round(caching, 1),
        ),
        _row(
            "X-SDD, head: seconds in all, once embedded",
            statistics.median(head_seconds),
            at_most=MAX_HEAD_SECONDS,
            accuracy=round(accuracy["head"], 4),
        ),
    ]


def bench_vehicle(data: Path) -> list[dict[str, Any]]:
    """Balanced accuracy on a hard set: told, not judged."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from core.jobs.training_set import choose_training_set

    with _workspace(data / "vehicle-damage") as workspace:
        classes = tuple(catalog.list_classes(workspace))
        config = FineTune(
            backbone=BACKBONE,
            epochs=VEHICLE_EPOCHS,
            classes=classes,
            per_class=(VEHICLE_PER_CLASS,) * len(classes),
        )
        chosen = choose_training_set(workspace, config)
        embedded = runs.get_run(workspace, _do(workspace, EmbedImages(backbone=BACKBONE))["run"])
        ids = runs.load_array(workspace, embedded, "image_ids")
        vectors = runs.load_array(workspace, embedded, "vectors")
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        probe.fit(vectors[np.searchsorted(ids, chosen.train_ids)], chosen.train_targets)
        told = probe.predict(vectors[np.searchsorted(ids, chosen.validation_ids)])
        of_probe = float(balanced_accuracy_score(chosen.validation_targets, told))
        trained = _do(workspace, config)
        measured = _do(workspace, EvaluateModel(trained["model"]))
    return [
        _row("vehicle damage, probe on frozen features: balanced accuracy", of_probe),
        _row(
            "vehicle damage, full: balanced accuracy",
            measured["balanced_accuracy"],
            n=measured["n"],
            accuracy=round(measured["accuracy"], 3),
            epochs=VEHICLE_EPOCHS,
            images_a_class=VEHICLE_PER_CLASS,
        ),
    ]


class _workspace:
    """A workspace with all images of a folder, gone afterwards."""

    def __init__(self, images: Path) -> None:
        self._images = images
        self._scratch = tempfile.TemporaryDirectory()

    def __enter__(self) -> Workspace:
        os.environ["LACQUER_HOME"] = self._scratch.name
        os.environ["LACQUER_OFFLINE"] = "1"
        workspace = create_workspace(Path(self._scratch.name) / "bench", name="bench")
        _do(workspace, ImportImages(source=str(self._images)))
        return workspace

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()


def _do(workspace: Workspace, config: JobConfig) -> Mapping[str, Any]:
    job = queue.submit(workspace, config, actor="bench", start=False)
    ended = run_job(workspace, job.id)
    if ended.status != "succeeded" or ended.result is None:
        raise RuntimeError(f"{config.kind}: {ended.error}")
    return ended.result


def _row(
    name: str,
    value: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    **details: float,
) -> dict[str, Any]:
    holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    limit = at_least if at_least is not None else at_most
    return {"name": name, "value": round(value, 4), "limit": limit, "holds": holds, **details}


def main(parts: list[str]) -> int:
    """Print a row a figure; 1 where one misses its limit."""
    data, weights = os.environ.get("LACQUER_TEST_DATA"), os.environ.get("LACQUER_WEIGHTS_DIR")
    wanted = parts or ["steps", "xsdd", "vehicle"]
    rows = bench_steps() if "steps" in wanted else []
    for row in rows:
        print(row, flush=True)
    if not (data and weights):
        print("LACQUER_TEST_DATA and LACQUER_WEIGHTS_DIR name no real data: steps only")
        return int(not all(row["holds"] for row in rows))
    for name, bench in (("xsdd", bench_xsdd), ("vehicle", bench_vehicle)):
        for row in bench(Path(data)) if name in wanted else []:
            print(row, flush=True)
            rows.append(row)
    return int(not all(row["holds"] for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
