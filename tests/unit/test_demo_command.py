"""The demo once a model can be trained: what it labels, what it leaves to people, and only once."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.cli.demo import choose_promise
from core.images.synthetic import DatasetPlan, plan_line_images
from core.images.synthetic.defects import DEFECT_CLASSES
from core.jobs.configs import JobConfig
from core.jobs.context import JobContext
from core.jobs.steps import evaluate_model, generate_images, plan_triage
from core.jobs.steps.evaluate_model import _Outputs
from core.settings import load_settings
from core.state import applications, catalog, models, runs, story
from core.state.catalog import ImageFilter
from core.state.runs import Run
from core.state.workspace import Workspace, open_workspace
from tests.classifiers import add_model
from tests.samples import fake_projection, keep_embedding

N_IMAGES, N_OF_LINE = 98, 80  # 40 of which are labelled: enough to promise 10 %, not 5 %
Ask = Callable[[], dict[str, Any]]


@pytest.fixture
def ask(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Make the demo, or ask for it again: its answer."""
    _without_networks(monkeypatch)

    def run() -> dict[str, Any]:
        capsys.readouterr()
        assert main(["demo", "--n", str(N_IMAGES), "--backbone", "resnet18", "--json"]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is right about every single defect, and images lie where it says."""
    monkeypatch.setattr(evaluate_model, "_outputs", lambda w, m, e: _outputs(w, e, scale=9.0))


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model says the same of every image."""
    monkeypatch.setattr(evaluate_model, "_outputs", lambda w, m, e: _outputs(w, e, scale=0.0))


def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures of noise, features that the truth makes, and a model that nobody trained."""

    def write(plan: DatasetPlan, folder: Path, **_: object) -> DatasetPlan:
        for image in plan:
            path = folder / image.name
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(image.seed).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(noise).save(path)
        return plan

    def embed(context: JobContext, config: JobConfig) -> Mapping[str, Any]:
        made = _embedding(context.workspace)
        weights = {"source": "file", "notice": ""}
        return {"run": made.id, "n_images": made.n_images, "weights": weights}

    def project(context: JobContext, config: JobConfig) -> Mapping[str, Any]:
        made = fake_projection(context.workspace, _embedding(context.workspace))
        return {"run": made.id, "trustworthiness": 0.9}

    def train(context: JobContext, config: JobConfig) -> Mapping[str, Any]:
        chosen = {
            split: catalog.image_ids(
                context.workspace, ImageFilter(splits=(split,), labels=DEFECT_CLASSES)
            ).tolist()
            for split in ("train", "validation")
        }
        made = add_model(context.workspace, classes=DEFECT_CLASSES, mode=config.mode, **chosen)
        return {"model": made.id, "val_accuracy": 0.5, "n_validation": len(chosen["validation"])}

    def compare(context: JobContext, config: JobConfig) -> Mapping[str, Any]:
        unmeasured = {"before": {"adjusted_rand_index": None}}
        made = runs.list_runs(context.workspace, "embedding")[0]
        return {"run": made.id, "separation": {"validation": unmeasured}}

    monkeypatch.setattr(generate_images, "write_plan", write)
    monkeypatch.setattr("core.images.synthetic.write_plan", write)
    monkeypatch.setattr("core.jobs.steps.embed_images.run", embed)
    monkeypatch.setattr("core.jobs.steps.project_embedding.run", project)
    monkeypatch.setattr("core.jobs.steps.fine_tune.run", train)
    monkeypatch.setattr("core.jobs.steps.compare_maps.run", compare)
    for step in (evaluate_model, plan_triage):
        monkeypatch.setattr(step, "embedding_by_model", lambda c, *_, **__: _embedding(c.workspace))


def _embedding(workspace: Workspace) -> Run:
    """The one embedding of a workspace: each image near the corner of what it shows."""
    found = runs.list_runs(workspace, "embedding")
    if found:
        return found[0]
    ids = catalog.image_ids(workspace)
    vectors = np.random.default_rng(0).normal(0.0, 0.1, (len(ids), 8)).astype(np.float32)
    corners = (*DEFECT_CLASSES, "multiple")
    vectors[np.arange(len(ids)), [corners.index(shown) for shown in _truth(workspace, ids)]] += 3
    return keep_embedding(workspace, ids, vectors)


def _truth(workspace: Workspace, ids: np.ndarray) -> list[str]:
    """What images show, also where no label says so."""
    of_line = {image.name: image.label for image in plan_line_images(N_OF_LINE)}
    images = {image.id: image for image in catalog.list_images(workspace)}
    return [images[i].label or of_line[images[i].name] for i in ids.tolist()]


def _outputs(workspace: Workspace, embedding: Run, *, scale: float) -> _Outputs:
    vectors = runs.load_array(workspace, embedding, "vectors")
    return _Outputs(vectors, scale * vectors[:, : len(DEFECT_CLASSES)].astype(np.float64))


def test_the_model_labels_what_it_is_sure_of_and_the_rest_waits(ask: Ask, sure: None) -> None:
    said = ask()
    workspace = open_workspace(Path(said["workspace"]))
    assert said["n_images"] == N_IMAGES + N_OF_LINE
    promoted = models.promoted(workspace)
    assert promoted is not None
    assert promoted.id == said["model"]
    (applied,) = applications.list_applications(workspace)
    assert (applied.id, applied.plan) == (said["application"], said["plan"])
    assert 0.05 < applied.max_error <= 0.1  # as strict as 40 calibration images allow
    assert said["n_labelled"] == applied.n_labelled > 0
    automatic = catalog.image_ids(workspace, ImageFilter(origins=("automatic",)))
    assert len(automatic) == said["n_labelled"]
    left = catalog.image_ids(workspace, ImageFilter(labels=(None,)))
    waiting = catalog.image_ids(workspace, ImageFilter(queued=True))
    assert set(left) <= set(waiting)
    assert len(waiting) == said["n_queued"]
    assert "multiple" in _truth(workspace, left)  # no class of the model


def test_a_model_that_is_sure_of_nothing_leaves_everything_to_people(
    ask: Ask, unsure: None
) -> None:
    said = ask()
    workspace = open_workspace(Path(said["workspace"]))
    assert (said["n_labelled"], said["application"]) == (0, 1)
    left = catalog.image_ids(workspace, ImageFilter(labels=(None,)))
    assert len(left) == N_OF_LINE // 2
    assert set(left) <= set(catalog.image_ids(workspace, ImageFilter(queued=True)))


def test_a_demo_that_is_made_is_neither_planned_nor_applied_again(ask: Ask, sure: None) -> None:
    first = ask()
    assert [step["step"] for step in first["steps"]][-2:] == ["plan_triage", "apply_triage"]
    assert not any(step["done_before"] for step in first["steps"])
    second = ask()
    assert all(step["done_before"] for step in second["steps"])
    for name in ("model", "plan", "application", "n_labelled", "n_queued"):
        assert second[name] == first[name]
    workspace = open_workspace(Path(first["workspace"]))
    assert len(runs.list_runs(workspace, "triage_plan")) == 2  # at 5 %, and as it was applied


def test_the_story_is_kept_before_anything_is_tuned_and_before_anything_is_labelled(
    ask: Ask, sure: None
) -> None:
    said = ask()
    assert said["story"]
    settings = load_settings()
    begun, tuned = (story.new_copy(settings, stage=stage) for stage in story.STAGES)
    assert [model.mode for model in models.list_models(begun)] == ["head"]
    assert {model.mode for model in models.list_models(tuned)} == {"head", "last_block"}
    assert runs.list_runs(tuned, "triage_plan")
    for copy in (begun, tuned):
        assert not applications.list_applications(copy)
        arrivals = list((copy.path / story.ARRIVALS).iterdir())
        assert {path.suffix for path in arrivals} == {".jpg"}  # nothing tells what they show


def test_a_demo_that_people_have_worked_in_is_not_kept_for_the_story(ask: Ask, sure: None) -> None:
    said = ask()
    applications.revert(open_workspace(Path(said["workspace"])), said["application"], actor="eve")
    settings = load_settings()
    story.forget_templates(settings)
    assert not ask()["story"]
    assert not story.has_templates(settings)


def test_labels_that_were_taken_back_are_given_again(ask: Ask, sure: None) -> None:
    first = ask()
    workspace = open_workspace(Path(first["workspace"]))
    applications.revert(workspace, first["application"], actor="eve")
    second = ask()
    assert [s["step"] for s in second["steps"] if not s["done_before"]] == ["apply_triage"]
    assert second["application"] != first["application"]
    assert len(catalog.image_ids(workspace, ImageFilter(origins=("automatic",)))) > 0


@pytest.mark.parametrize(
    ("shares", "chosen"),
    [
        ({0.04: 0.2, 0.05: 0.3, 0.06: 0.4}, 0.05),
        ({0.05: 0.0, 0.06: 0.0, 0.08: 0.4, 0.1: 0.6}, 0.08),
        ({0.05: 0.0, 0.1: 0.0, 0.15: 0.7}, 0.05),
        ({}, 0.05),
    ],
)
def test_the_strictest_promise_from_5_to_10_percent_that_labels_anything_is_made(
    shares: dict[float, float], chosen: float
) -> None:
    curve = [{"max_error": error, "auto_share": share} for error, share in shares.items()]
    assert choose_promise(curve) == chosen
