"""Does every backbone of the registry leave as an ONNX file that computes what torch computes?

Real images with LACQUER_TEST_DATA, generated ones without; weights from LACQUER_WEIGHTS_DIR where
they lie there, else drawn at random.

    python tests/benchmarks/bench_onnx.py
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.latent.backbones import BACKBONES, Backbone, load_preprocessing
from core.latent.embedding import decode_into
from core.latent.weights import load_backbone, resolve_weights
from core.learning.onnx_export import AGREEMENT, export_onnx

N_IMAGES = 8
CLASSES = ("dirt", "drop", "scratch")


def bench() -> Iterator[dict]:
    """A row a backbone: the larger of its two differences, its limit, and whether it holds."""
    for backbone in BACKBONES.values():
        preprocessing = load_preprocessing(backbone)
        pixels = _read_pixels(backbone)
        network, weights = _load(backbone)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            check = export_onnx(
                network,
                Path(folder) / "model.onnx",
                head=backbone.head,
                preprocessing=preprocessing,
                classes=CLASSES,
                temperature=1.0,
                title=backbone.name,
                sample_pixels=pixels,
            )
        difference = max(check.probabilities, check.features)
        yield {
            "name": f"onnx {backbone.name}: largest difference from torch",
            "value": difference,
            "limit": AGREEMENT,
            "holds": difference <= AGREEMENT,
            "weights": weights,
            "n_images": check.n_images,
            "megabytes": round(check.n_bytes / 1e6, 1),
            "seconds": round(time.perf_counter() - began, 1),
        }


def _load(backbone: Backbone) -> tuple[nn.Module, str]:
    """A classifier in evaluation mode, and where its weights come from."""
    placed = os.environ.get("LACQUER_WEIGHTS_DIR")
    resolved = resolve_weights(
        backbone.name, weights_dirs=[Path(placed)] if placed else [], offline=True
    )
    network = load_backbone(resolved)
    torch.manual_seed(0)
    network.set_submodule(backbone.head, nn.Linear(backbone.n_features, len(CLASSES)))
    return network.eval().requires_grad_(False), resolved.source


def _read_pixels(backbone: Backbone) -> np.ndarray:
    """Images as the network takes them: uint8 (n_images, size, size, 3)."""
    size = backbone.input_size_px
    data = os.environ.get("LACQUER_TEST_DATA")
    if not data:
        return np.random.default_rng(0).integers(0, 256, (N_IMAGES, size, size, 3), dtype=np.uint8)
    files = sorted((Path(data) / "x-sdd").rglob("*.jpg"))
    pixels = np.empty((N_IMAGES, size, size, 3), dtype=np.uint8)
    for row, file in enumerate(files[:: len(files) // N_IMAGES][:N_IMAGES]):
        decode_into(pixels[row], file, load_preprocessing(backbone), max_pixels=10_000_000)
    return pixels


if __name__ == "__main__":
    failed = 0
    for row in bench():
        print(row, flush=True)
        failed += not row["holds"]
    sys.exit(1 if failed else 0)
