"""How does a classifier leave for a plant's own system? As one ONNX file that needs no torch.

The file takes RGB pixels as an image library gives them, of the whole image resized to the
network's square; normalisation, softmax and temperature are inside the graph. What is outside, the
resizing, is written into the file's metadata beside the class names. Each value there is JSON:

    model          the model's id
    classes        the class names, in the order of the probabilities
    temperature    what the logits were divided by
    preprocessing  {"size_px", "resize", "interpolation", "antialias", "channels"}

Decisions:
- The exporter is torch's older one, which traces. On the CPU it takes a second where the newer one,
  over torch.export, takes six to forty, both give all networks of the registry alike, and it needs
  two packages less. It warns that it will go; the tests would notice.
- Operators are those of opset 17, which runtimes since 2022 know; normalisation of layers needs it.
- No file appears whose numbers are not torch's: see `AGREEMENT`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import OperatorError
from core.latent.backbones import Preprocessing, normalise

if TYPE_CHECKING:
    import torch
    from torch import nn

AGREEMENT = 1e-4

_OPSET = 17
_INPUT = "pixels"
_OUTPUTS = ("probabilities", "features")
_BATCH_SIZE = 16


@dataclass(frozen=True)
class OnnxCheck:
    """How far onnxruntime is from torch on the images that were tried.

    Attributes:
        n_images: how many were tried.
        probabilities: largest difference between two probabilities.
        features: largest difference between two features, as a share of the largest feature where
            that is above 1.
        n_bytes: size of the file.
    """

    n_images: int
    probabilities: float
    features: float
    n_bytes: int


def export_onnx(
    network: nn.Module,
    path: Path,
    *,
    head: str,
    preprocessing: Preprocessing,
    classes: Sequence[str],
    temperature: float,
    title: str,
    sample_pixels: np.ndarray,
) -> OnnxCheck:
    """Write a classifier as ONNX, once onnxruntime has computed what torch computes.

    The graph takes `pixels`, uint8 (n, size, size, 3), and gives `probabilities`, float32
    (n, n_classes), after the temperature, and `features`, float32 (n, n_features); n is free.

    Args:
        network: (n, 3, size, size) float32 → logits (n, n_classes), in evaluation mode, on the CPU.
        path: the file to write; its folder must exist, and a file of that name is replaced.
        head: dotted name of the network's last linear layer, whose input are the features.
        preprocessing: what the network was trained on.
        classes: class names, in the order of the logits.
        temperature: what the logits are divided by, above 0.
        title: the model's id.
        sample_pixels: uint8 array (n_images, size, size, 3), at least one image to try.

    Returns:
        How well both agree.

    Raises:
        OperatorError: they differ by more than 1e-4; nothing is written.
        ValueError: there is no image to try, or the temperature is not above 0.
    """
    if not len(sample_pixels):
        raise ValueError("sample_pixels must hold at least one image")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    beside = path.with_name(f".{path.name}.part")
    try:
        with _deployed(network, head, preprocessing, temperature) as deployed:
            _write_graph(deployed, beside, preprocessing.size_px)
            _describe(beside, preprocessing, classes, temperature, title)
            check = _compare(deployed, beside, sample_pixels)
        # Asked this way round, a difference that is no number is one.
        if not all(found <= AGREEMENT for found in (check.probabilities, check.features)):
            raise OperatorError(
                "The exported model does not compute what the trained one computes.",
                f"On {check.n_images} images its probabilities differ by up to "
                f"{check.probabilities:.2g} and its features by {check.features:.2g}; "
                f"{AGREEMENT:g} is allowed. Nothing was written.",
                "Install the versions that requirements.txt names, and export again.",
            )
        beside.replace(path)
        return check
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _deployed(
    network: nn.Module, head: str, preprocessing: Preprocessing, temperature: float
) -> Iterator[nn.Module]:
    """The network between pixels and what a plant needs: uint8 → (probabilities, features)."""
    import torch

    features: list[torch.Tensor] = []

    class Deployed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self.network(normalise(pixels, preprocessing))
            return torch.softmax(logits / temperature, dim=1), features.pop()

    reading = network.get_submodule(head).register_forward_pre_hook(
        lambda _module, inputs: features.append(inputs[0])
    )
    try:
        yield Deployed().eval()
    finally:
        reading.remove()


def _write_graph(deployed: nn.Module, path: Path, size_px: int) -> None:
    import torch

    # The fused attention of evaluation mode has no counterpart in ONNX; its parts have.
    is_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this exporter will go, and that it traces
            torch.onnx.export(
                deployed,
                (torch.zeros((2, size_px, size_px, 3), dtype=torch.uint8),),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=[_INPUT],
                output_names=list(_OUTPUTS),
                dynamic_axes={name: {0: "n_images"} for name in (_INPUT, *_OUTPUTS)},
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fused)


def _describe(
    path: Path,
    preprocessing: Preprocessing,
    classes: Sequence[str],
    temperature: float,
    title: str,
) -> None:
    """Write into the file what whoever runs it has to know."""
    import onnx

    size = preprocessing.size_px
    model = onnx.load(path)
    model.producer_name = "Lacquer"
    model.doc_string = (
        f"Pixels: RGB, uint8, the whole image resized to {size} x {size} without cropping "
        f"({preprocessing.interpolation}, filtered against aliasing as Pillow does). "
        f"Probabilities: one for each class, in the order of the metadata's classes. "
        f"Features: what the last layer reads."
    )
    facts = {
        "model": title,
        "classes": list(classes),
        "temperature": temperature,
        "preprocessing": {
            "size_px": size,
            "resize": "whole image, aspect not kept",
            "interpolation": preprocessing.interpolation,
            "antialias": True,
            "channels": "RGB",
        },
    }
    onnx.helper.set_model_props(
        model, {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _compare(deployed: nn.Module, path: Path, sample_pixels: np.ndarray) -> OnnxCheck:
    """Run both on the same pixels; the last batch may be shorter, for the file's n is free."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    differences = []
    for start in range(0, len(sample_pixels), _BATCH_SIZE):
        pixels = np.ascontiguousarray(sample_pixels[start : start + _BATCH_SIZE])
        found = session.run(_OUTPUTS, {_INPUT: pixels})
        with torch.inference_mode():
            expected = [output.numpy() for output in deployed(torch.from_numpy(pixels))]
        differences.append(
            [np.abs(ours - its).max() for ours, its in zip(expected, found, strict=True)]
        )
        differences[-1][1] /= max(1.0, np.abs(expected[1]).max())
    probabilities, features = np.max(differences, axis=0)
    return OnnxCheck(
        n_images=len(sample_pixels),
        probabilities=float(probabilities),
        features=float(features),
        n_bytes=path.stat().st_size,
    )
