"""A small real training in a process of its own, which may kill itself after an epoch.

`python -m tests.unit.learning.toy_training FOLDER LAST_EPOCH`, 0 for no kill.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from core.latent.backbones import Preprocessing
from core.learning.fine_tuning import Examples, Training, fine_tune
from core.learning.inputs import PixelInputs
from core.learning.recipe import AUGMENTATIONS, Recipe

PREPROCESSING = Preprocessing(12, (0.5,) * 3, (0.25,) * 3, "bilinear")
RECIPE = Recipe(
    epochs=5,
    batch_size=5,
    learning_rate=0.05,
    weight_decay=0.001,
    schedule="cosine",
    augmentations=tuple(AUGMENTATIONS),
)


def make_network() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Conv2d(8, 8, 3, stride=2, groups=8),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 5 * 5, 3),
    )
    return network.to(memory_format=torch.channels_last)


def examples(n: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    pixels = rng.integers(0, 120, (n, 12, 12, 3)).astype(np.uint8)
    pixels[np.arange(n), :, :, targets] += 100
    inputs = PixelInputs(
        pixels, PREPROCESSING, augmentations=RECIPE.applied_augmentations, device="cpu"
    )
    return Examples(inputs, targets)


def main(folder: Path, last_epoch: int) -> None:
    torch.set_num_threads(1)

    def on_epoch(training: Training) -> None:
        if len(training.epochs) == last_epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    network = make_network()
    fine_tune(
        network,
        examples(17, 1),
        examples(9, 2),
        RECIPE,
        n_classes=3,
        device="cpu",
        checkpoints=folder,
        question="toy",
        on_epoch=on_epoch,
        on_step=lambda *_: None,
    )
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
