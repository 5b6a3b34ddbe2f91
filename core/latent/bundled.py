"""Where does the backbone that comes with the app lie, and is it the one that was put there?

`assets/backbone` holds the weights in half precision, a manifest with their hash and what the
network expects of its input, the log of their training, and the model card.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import OperatorError
from core.latent.backbones import Backbone, load_preprocessing
from core.settings import PROJECT_ROOT

if TYPE_CHECKING:
    import torch

BUNDLED_FOLDER = PROJECT_ROOT / "assets" / "backbone"
MANIFEST_FILE, LOG_FILE = "manifest.json", "training-log.jsonl"
LICENCE = "Apache-2.0"


def find_bundled(folder: Path = BUNDLED_FOLDER) -> tuple[Path, str]:
    """The weights file and its sha256, which has been checked.

    Raises:
        OperatorError: the file is missing, or is not the one that the manifest names.
    """
    try:
        manifest = read_manifest(folder)
        path = folder / manifest["file"]
        sha256 = sha256_of(path)
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder, str(error)) from error
    if sha256 != manifest["sha256"]:
        raise _damaged(folder, f"{path.name} is not the file that {MANIFEST_FILE} names.")
    return path, sha256


def read_manifest(folder: Path = BUNDLED_FOLDER) -> dict[str, Any]:
    """What is said of the weights beside them."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
    return manifest


def write_bundled(
    folder: Path,
    state: dict[str, torch.Tensor],
    backbone: Backbone,
    *,
    seed: int,
    n_pictures: int,
    epochs: int,
    training_log: Path,
) -> Path:
    """Write a trained network as the bundled backbone: float16, with its manifest and its log.

    Args:
        folder: made where it is missing; files of the same names are replaced.
        state: the network's state dict, without a head, on the CPU.
        backbone: the entry of the registry that it belongs to.
        seed: that pictures and training were drawn with.
        n_pictures: that it was trained on.
        epochs: how many times each was seen.
        training_log: is copied beside the weights.

    Returns:
        The weights file.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{backbone.name}.safetensors"
    described = {
        "backbone": backbone.name,
        "architecture": backbone.builder,
        "licence": LICENCE,
        "training": "generated pictures alone, by python -m core.learning.pretraining",
        "seed": seed,
        "n_pictures": n_pictures,
        "epochs": epochs,
        "preprocessing": asdict(load_preprocessing(backbone)),
    }
    half = {
        name: tensor.to(torch.float16).contiguous()
        for name, tensor in state.items()
        if tensor.is_floating_point()
    }
    save_file(half, path, metadata={name: json.dumps(value) for name, value in described.items()})
    path.chmod(0o644)  # safetensors writes for its owner alone
    manifest = {
        "file": path.name,
        "sha256": sha256_of(path),
        "n_bytes": path.stat().st_size,
        **described,
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    shutil.copyfile(training_log, folder / LOG_FILE)
    return path


def sha256_of(path: Path) -> str:
    """Hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(folder: Path, detail: str) -> OperatorError:
    return OperatorError(
        "The bundled backbone is damaged or missing.",
        detail,
        f"Restore {folder.name} in the app's folder assets, for instance by installing it again.",
    )
