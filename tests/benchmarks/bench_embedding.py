"""How much of what the cores allow does embedding from JPEG files reach?

Three rates, measured in turn, round after round, the best of each taken, so that what else the
machine does weighs little: the bare forward pass on tensors in memory, bare decoding and resizing,
and the whole way from files to features. Same network, dtype, memory format, threads and batch in
all three. With f and d images a second on all cores, the cores allow 1 / (1/f + 1/d).

    python tests/benchmarks/bench_embedding.py
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.latent.embedding import (
    FeatureExtractor,
    available_cores,
    decode_into,
    default_workers,
    embed_images,
    load_extractor,
    worker_pool,
)
from core.latent.weights import resolve_weights

MAX_PIXELS = 1_000_000
BATCH = 16
OF_THE_CORES = 0.90  # of 1 / (1/f + 1/d)
OF_THE_FORWARD_PASS = {"resnet50": 0.85}


def bench(*, n_images: int = 128, n_rounds: int = 8) -> list[dict]:
    """A row a figure: what was measured, its value, its limit, and whether it holds."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = _write_photographs(Path(folder), n_images)
        for backbone in ("resnet50", "mobilenet_v2"):
            placed = os.environ.get("LACQUER_WEIGHTS_DIR")
            weights = resolve_weights(
                backbone, weights_dirs=[Path(placed)] if placed else [], offline=True
            )
            rows += _bench_backbone(
                backbone, load_extractor(weights, device="cpu"), files, n_rounds, weights.source
            )
    return rows


def _bench_backbone(
    backbone: str, extractor: FeatureExtractor, files: list[Path], n_rounds: int, source: str
) -> list[dict]:
    n_workers = default_workers()
    size = extractor.preprocessing.size_px
    pixels = np.zeros((len(files), size, size, 3), dtype=np.uint8)

    def decode_one(row: int) -> None:
        decode_into(pixels[row], files[row], extractor.preprocessing, max_pixels=MAX_PIXELS)

    def decode() -> None:
        with worker_pool(n_workers) as pool:
            list(pool.map(decode_one, range(len(files))))

    decode()
    batches = [  # the first one settles the dtype
        extractor.normalise(pixels[i : i + BATCH]) for i in range(0, len(files), BATCH)
    ]

    def forward_one(images: torch.Tensor) -> None:
        with torch.inference_mode():
            extractor.forward(images)

    def forward() -> None:
        with worker_pool(n_workers) as pool:
            list(pool.map(forward_one, batches))

    def whole() -> None:
        embed_images(
            files,
            extractor,
            max_pixels=MAX_PIXELS,
            on_chunk=lambda chunk: None,
            batch_size=BATCH,
            n_workers=n_workers,
        )

    steps = (forward, decode, whole)
    forward()  # the first pass allocates
    rounds = [[_seconds(step) for step in steps] for _ in range(n_rounds)]
    f, d, w = (len(files) / min(seconds) for seconds in zip(*rounds, strict=True))
    of_the_cores = w * (1 / f + 1 / d)
    of_the_forward_pass = w / f
    common = {
        "backbone": backbone,
        "weights": source,
        "dtype": extractor.dtype,
        "cores": available_cores(),
        "forward_per_s": round(f, 1),
        "decode_per_s": round(d, 1),
        "embedding_per_s": round(w, 1),
    }
    rows = [_row("of what the cores allow", of_the_cores, OF_THE_CORES, common)]
    if backbone in OF_THE_FORWARD_PASS:
        limit = OF_THE_FORWARD_PASS[backbone]
        rows.append(_row("of the bare forward pass", of_the_forward_pass, limit, common))
    return rows


def _row(measure: str, value: float, limit: float, common: dict) -> dict:
    return {
        "name": f"embedding {common['backbone']}: {measure}",
        "value": round(value, 3),
        "limit": limit,
        "holds": value >= limit,
        **common,
    }


def _seconds(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _write_photographs(folder: Path, n: int) -> list[Path]:
    """JPEG files of 640 x 640 pixels with as much detail as photographs of paint: 60 to 80 kB."""
    rng = np.random.default_rng(0)
    files = []
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (10, 10, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((640, 640), Image.Resampling.BICUBIC), dtype=np.float32)
        grain = rng.normal(0, 6, (640, 640, 1)).astype(np.float32)
        image = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        files.append(folder / f"{i:04}.jpg")
        image.save(files[-1], quality=85)
    return files


if __name__ == "__main__":
    failed = 0
    for row in bench():
        print(row)
        failed += not row["holds"]
    sys.exit(1 if failed else 0)
