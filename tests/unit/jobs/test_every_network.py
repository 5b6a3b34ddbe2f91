"""A transformer goes all the way that the paper's networks go: trained, promoted, asked."""

from pathlib import Path

import pytest

from core.jobs import promotion, queue
from core.jobs.configs import CompareModels, FineTune, Predict
from core.state import catalog, labels, models
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace, create_workspace
from tests.samples import CLASSES, do, import_folder, save_image, write_images


@pytest.fixture
def shop(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Four images of each of three classes: two to train, one to validate, one to test by."""
    monkeypatch.setattr(queue, "wake", lambda workspace, lane: None)
    workspace = create_workspace(home / "shop", name="Shop")
    import_folder(workspace, write_images(tmp_path / "images", n_per_class=4))
    for label in CLASSES:
        ids = catalog.image_ids(workspace, ImageFilter(labels=(label,))).tolist()
        splits = dict(zip(ids, ("train", "train", "validation", "test"), strict=True))
        labels.set_splits(workspace, splits, actor="Ada")
    return workspace


def test_a_transformer_is_trained_compared_promoted_and_asked(
    shop: Workspace, tmp_path: Path
) -> None:
    made = []
    for seed in (0, 1):
        job = do(shop, FineTune(backbone="swin_t", mode="head", epochs=1, seed=seed))
        assert job.status == "succeeded", job.error
        made.append(job.result["model"])
    promotion.promote(shop, made[0], actor="Ada")
    compared = do(shop, CompareModels(*made, promote=True))
    assert compared.status == "succeeded", compared.error
    assert compared.result["both"]["n"] == len(CLASSES)
    assert models.get_model(shop, "promoted").id == made[1]
    picture = save_image(tmp_path / "new.png", (10, 20, 30))
    asked = do(shop, Predict(made[1], (str(picture),)))
    assert asked.status == "succeeded", asked.error
    (row,) = asked.result["predictions"]
    assert (row["label"] in CLASSES, row["route"]) == (True, "operator")  # there is no plan
