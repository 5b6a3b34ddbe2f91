"""A workspace at a line: a model with real weights, that answers what comes in.

Its network is random, its head tells three flat colours apart. The paper's rule is applied, which
promises nothing and needs few images.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from core.jobs.configs import ApplyTriage, EmbedImages, PlanTriage
from core.latent.backbones import BUNDLED, get_backbone
from core.latent.weights import resolve_weights
from core.learning.networks import build_classifier
from core.state import catalog, database, labels, models, runs
from core.state.models import Model
from core.state.workspace import Workspace, create_workspace
from tests.samples import CLASSES, colour_of, do, import_folder, save_image, write_images

BACKBONE = BUNDLED
_FIRST_OF_LINE = 40  # numbers below are of the images that the model was made with


def add_trained(workspace: Workspace, folder: Path, *, n_per_class: int = 4) -> Model:
    """Import flat images of three classes, and add a model whose head fits them all."""
    import_folder(workspace, write_images(folder, n_per_class=n_per_class))
    job = do(workspace, EmbedImages(BACKBONE))
    assert job.result is not None, job.error
    features = runs.load_array(workspace, runs.get_run(workspace, job.result["run"]), "vectors")
    ids = catalog.image_ids(workspace)
    classes = tuple(catalog.list_classes(workspace))
    places = [classes.index(label) for label in catalog.column(workspace, ids, "label")]
    wanted = np.eye(3)[places]
    weight = np.linalg.lstsq(np.c_[features, np.ones(len(ids))], 20 * wanted, rcond=None)[0].T
    network = build_classifier(resolve_weights(BACKBONE, offline=True), 3, seed=0)
    head = get_backbone(BACKBONE).head
    state = network.state_dict() | {
        f"{head}.weight": torch.from_numpy(weight[:, :-1]).float().contiguous(),
        f"{head}.bias": torch.from_numpy(weight[:, -1]).float().contiguous(),
    }
    with models.new_folder(workspace) as written:
        save_file(state, written / models.WEIGHTS_FILE)
        np.save(written / "train_ids.npy", ids[::2])
        np.save(written / "validation_ids.npy", ids[1::2])
        content = (written / models.WEIGHTS_FILE).read_bytes()
        return models.add_model(
            workspace,
            written,
            backbone=BACKBONE,
            mode="head",
            classes=classes,
            config={"backbone": BACKBONE},
            result={"weights": job.result["weights"]},
            weights_sha256=hashlib.sha256(content).hexdigest(),
            start_from=None,
            notes="",
            actor="tester",
            job_id=None,
        )


def build_line_shop(folder: Path) -> Path:
    """A workspace whose promoted model labels by an applied plan, closed for copying."""
    workspace = create_workspace(folder / "line", name="Line")
    model = add_trained(workspace, folder / "images", n_per_class=8)
    models.promote(workspace, model.id, actor="tester")
    without = catalog.image_ids(workspace)[-1:].tolist()
    labels.relabel(workspace, without, None, actor="tester")  # a plan routes what has no label
    planned = do(workspace, PlanTriage(model.id, rule="cluster", average_flips=False))
    assert planned.result is not None, planned.error
    applied = do(workspace, ApplyTriage(planned.result["run"], audit_share=0.5, gold_share=0.0))
    assert applied.status == "succeeded", applied.error
    database.drop(workspace)  # closes the connections
    return workspace.path


def shoot(folder: Path, number: int, *, name: str = "") -> Path:
    """One image of the line, of no content that was there before."""
    label = CLASSES[number % len(CLASSES)]
    colour = colour_of(label, _FIRST_OF_LINE + number)
    return save_image(folder / (name or f"{number:04}.png"), colour)
