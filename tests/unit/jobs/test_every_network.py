"""A transformer goes all the way: trained, measured, promoted, asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.jobs import promotion, queue
from core.jobs.configs import EvaluateModel, FineTune, Predict
from core.latent.backbones import BACKBONES
from core.state import catalog, labels
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace, create_workspace
from tests.samples import CLASSES, do, import_folder, save_image, write_images


@pytest.fixture
def shop(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Four images of each of three classes: two to train, one to validate, one to test by."""
    monkeypatch.setattr(queue, "wake", lambda workspace, lane: None)
    small = replace(BACKBONES["swin_t"], input_size_px=64)  # the network takes any size
    monkeypatch.setitem(BACKBONES, "swin_t", small)
    workspace = create_workspace(home / "shop", name="Shop")
    import_folder(workspace, write_images(tmp_path / "images", n_per_class=4))
    for label in CLASSES:
        ids = catalog.image_ids(workspace, ImageFilter(labels=(label,))).tolist()
        splits = dict(zip(ids, ("train", "train", "validation", "test"), strict=True))
        labels.set_splits(workspace, splits, actor="Ada")
    return workspace


def test_a_transformer_is_trained_measured_promoted_and_asked(
    shop: Workspace, tmp_path: Path
) -> None:
    made = do(shop, FineTune(backbone="swin_t", mode="head", epochs=1))
    assert made.status == "succeeded", made.error
    model = made.result["model"]
    measured = do(shop, EvaluateModel(model))
    assert measured.status == "succeeded", measured.error
    assert measured.result["n"] == len(CLASSES)
    promotion.promote(shop, model, actor="Ada")
    picture = save_image(tmp_path / "new.png", (10, 20, 30))
    asked = do(shop, Predict("promoted", (str(picture),)))
    assert asked.status == "succeeded", asked.error
    (row,) = asked.result["predictions"]
    assert (row["label"] in CLASSES, row["route"]) == (True, "operator")  # there is no plan
