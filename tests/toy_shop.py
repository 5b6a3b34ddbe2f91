"""A workshop whose features the eye can see: two known classes, an unknown one, and a model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.jobs.configs import PlanTriage
from core.jobs.steps import apply_triage, compare_models, evaluate_model, plan_triage
from core.jobs.steps.evaluate_model import _Outputs
from core.state import catalog, runs
from core.state.catalog import ImageFilter
from core.state.models import Model
from core.state.workspace import Workspace, create_workspace
from tests import classifiers
from tests.factories import fill, new_image
from tests.samples import close_for_copying, do, keep_embedding

CLASSES = classifiers.CLASSES  # dirt and drop; scratches are unknown to the model
SHARES = (("train", 30), ("validation", 30), ("calibration", 80), ("test", 20), (None, 20))


def make_shop(home) -> Workspace:  # type: ignore[no-untyped-def]
    """Per class 30 images to train, 30 validate, 80 calibrate, 20 test and 20 without a label."""
    workspace = create_workspace(home / "shop", name="Shop")
    made = [
        (label, split)
        for label in (*CLASSES, "scratch")
        for split, n in SHARES
        for _ in range(n if label in CLASSES else n // 8)
    ]
    fill(
        workspace,
        *(
            new_image(number, label=label if split else None, split=split)
            for number, (label, split) in enumerate(made)
        ),
    )
    places = [(*CLASSES, "scratch").index(label) for label, _ in made]
    random = np.random.default_rng(0)
    vectors = random.normal(0.0, 0.3, (len(made), 8)).astype(np.float32)
    vectors[np.arange(len(made)), places] += 3.0
    keep_embedding(workspace, catalog.image_ids(workspace), vectors)
    return workspace


def make_model(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Model:
    """It tells dirt from drop by their axes, and is as sure of a scratch as of anything."""
    stand_in(workspace, monkeypatch)
    chosen = {
        split: catalog.image_ids(workspace, ImageFilter(splits=(split,), labels=CLASSES)).tolist()
        for split in ("train", "validation")
    }
    return classifiers.add_model(workspace, **chosen)


def add_erring_model(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    *,
    wrong: Sequence[int] = (),
    **more: object,
) -> Model:
    """A second model: like the first, but that it takes some images of dirt for drops or back.

    Args:
        wrong: ids of those images.
        more: as `classifiers.add_model`.
    """
    new = classifiers.add_model(workspace, **more)  # type: ignore[arg-type]
    embedding = runs.list_runs(workspace, "embedding")[0]
    features = runs.load_array(workspace, embedding, "vectors")
    right = 2.0 * features[:, :2].astype(np.float64)
    is_wrong = np.isin(runs.load_array(workspace, embedding, "image_ids"), wrong)
    erring = np.where(is_wrong[:, None], right[:, ::-1], right)

    def outputs(workspace: Workspace, model: Model, embedding: object) -> _Outputs:
        return _Outputs(features, erring if model.id == new.id else right)

    monkeypatch.setattr(evaluate_model, "_outputs", outputs)
    return new


def stand_in(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the shop's features stand for those of its model, whose weights nobody can load."""
    embedding = runs.list_runs(workspace, "embedding")[0]
    features = runs.load_array(workspace, embedding, "vectors")
    outputs = _Outputs(features, 2.0 * features[:, :2].astype(np.float64))
    monkeypatch.setattr(evaluate_model, "_outputs", lambda *_: outputs)
    for step in (plan_triage, apply_triage, compare_models):
        monkeypatch.setattr(step, "embedding_by_model", lambda *_, **__: embedding)


def build_planned_shop(folder: Path) -> Path:
    """The shop with its model and a plan at 5 %, closed for copying by `copy_template`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LACQUER_HOME", str(folder))
        workspace = make_shop(folder)
        job = do(workspace, PlanTriage(make_model(workspace, patched).id))
        assert job.status == "succeeded", job.error
        close_for_copying(workspace)
    return workspace.path
