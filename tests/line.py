"""A line whose images come in by features: what the inbox leaves behind, without its files."""

import numpy as np
import pytest

from core.jobs.steps import watch_drift
from core.state import catalog, models, runs
from core.state.database import writing
from core.state.schema import arrivals
from core.state.workspace import Workspace
from core.triage import drift
from tests.factories import fill, new_image
from tests.samples import keep_embedding

WINDOW, STEP = 40, 20


def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 40 images, every 20, at a level that a thousand permutations can tell."""
    monkeypatch.setattr(watch_drift, "WINDOW", WINDOW)
    monkeypatch.setattr(watch_drift, "STEP", STEP)
    monkeypatch.setattr(drift, "IMAGES_A_FALSE_ALARM", 2_500)


def promote(workspace: Workspace) -> None:
    """Set the shop's model to work."""
    models.promote(workspace, models.list_models(workspace)[0].id, actor="tester")


def arrive(workspace: Workspace, n: int, *, moved: float = 0.0, at: str) -> list[int]:
    """Let images of dirt and drop come in, embedded like the shop's; the ids of the images.

    Args:
        moved: how far they lie from the calibration images, along a direction of no class.
        at: when they came.
    """
    number = 10_000 + len(catalog.image_ids(workspace))
    ids = fill(workspace, *(new_image(number + i) for i in range(n)))
    newest = runs.list_runs(workspace, "embedding")[0]
    before = runs.load_array(workspace, newest, "vectors")
    rng = np.random.default_rng(number)
    features = rng.normal(0.0, 0.3, (n, before.shape[1])).astype(np.float32)
    features[np.arange(n), np.arange(n) % 2] += 3.0
    features[:, 6] += moved
    known = runs.load_array(workspace, newest, "image_ids")
    keep_embedding(workspace, np.r_[known, ids], np.concatenate([before, features]))
    model = models.list_models(workspace)[0]
    with writing(workspace) as connection:
        connection.execute(
            arrivals.insert(),
            [
                {
                    "at": at,
                    "source": "/line",
                    "path": f"{image_id}.png",
                    "fingerprint": "1",
                    "status": "taken",
                    "image_id": image_id,
                    "label": model.classes[i % 2],
                    "model": model.id,
                }
                for i, image_id in enumerate(ids)
            ],
        )
    return ids
