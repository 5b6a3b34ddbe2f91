"""Models without training: known right and wrong answers, for steps, pages and browsers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from core.jobs.configs import CompareMaps, EvaluateModel
from core.jobs.steps import compare_maps, evaluate_model
from core.jobs.steps.evaluate_model import _Outputs
from core.state import catalog, models, runs
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.samples import do, fake_projection, keep_embedding

CLASSES = ("dirt", "drop")  # of the model; scratches are unknown to it
LOGIT = 3.0  # of the class that is given; the others have 0


def add_model(
    workspace: Workspace,
    *,
    train: Sequence[int] = (),
    validation: Sequence[int] = (),
    classes: Sequence[str] = CLASSES,
    start_from: str | None = None,
    mode: str = "head",
) -> Model:
    """A model whose weights nobody can load, with its snapshot of images."""
    with models.new_folder(workspace) as written:
        (written / models.WEIGHTS_FILE).write_bytes(b"no weights")
        np.save(written / "train_ids.npy", np.array(sorted(train), np.int64))
        np.save(written / "validation_ids.npy", np.array(sorted(validation), np.int64))
        return models.add_model(
            workspace,
            written,
            backbone="resnet18",
            mode=mode,
            classes=classes,
            config={"backbone": "resnet18", "mode": mode, "epochs": 1},
            result={"val_accuracy": 0.5, "n_validation": len(validation)},
            weights_sha256="0" * 64,
            start_from=start_from,
            notes="",
            actor="tester",
            job_id=None,
        )


def evaluate(
    workspace: Workspace, model: Model, embedding: Run, *, wrong: Sequence[int] = ()
) -> Run:
    """Evaluate a model that gives every image its label, the first class where it does not know it.

    Args:
        embedding: that the model is said to have made.
        wrong: ids of images that are given the next class instead.
    """
    ids = runs.load_array(workspace, embedding, "image_ids")
    labels = catalog.column(workspace, ids, "label")
    given = [model.classes.index(label) if label in model.classes else 0 for label in labels]
    given = np.array(given) + np.isin(ids, wrong)
    logits = np.zeros((len(ids), len(model.classes)))
    logits[np.arange(len(ids)), given % len(model.classes)] = LOGIT
    features = runs.load_array(workspace, embedding, "vectors")
    with _embedded_by(evaluate_model, embedding) as patched:
        patched.setattr(evaluate_model, "_outputs", lambda *_: _Outputs(features, logits))
        job = do(workspace, EvaluateModel(model.id))
    assert job.status == "succeeded", job.error
    return runs.get_run(workspace, job.result["run"])


def compare(
    workspace: Workspace, model: Model, before: Run, after: Run, *, method: str = "pca"
) -> Run:
    """Lay the map of one embedding over that of another, both in a grid by their ids.

    Args:
        method: that the map before is said to be drawn by.
    """
    with _embedded_by(compare_maps, after) as patched:
        patched.setattr(compare_maps, "_embedding_before", lambda *_: before)
        patched.setattr(
            compare_maps,
            "_projection",
            lambda context, embedding, config: fake_projection(
                workspace, embedding, method=method if embedding == before else config.method
            ),
        )
        job = do(workspace, CompareMaps(model.id))
    assert job.status == "succeeded", job.error
    return runs.get_run(workspace, job.result["run"])


def tuned_embedding(workspace: Workspace, before: Run) -> Run:
    """Other features of the same images: those before, twice as far apart."""
    ids = runs.load_array(workspace, before, "image_ids")
    return keep_embedding(workspace, ids, 2 * runs.load_array(workspace, before, "vectors"))


@contextmanager
def _embedded_by(step: object, embedding: Run) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(step, "embedding_by_model", lambda *_, **__: embedding)
        yield patched
