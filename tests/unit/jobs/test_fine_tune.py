"""Fine-tuning as a job: which images, what it leaves, and that a kill or a cancel loses nothing."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import CompareBackbones, FineTune, ForecastTraining
from core.jobs.context import job_folder
from core.jobs.steps import forecast_training
from core.jobs.training_progress import load_progress
from core.jobs.training_set import choose_training_set, find_problems
from core.latent.backbones import BUNDLED, build_network, get_backbone
from core.state import catalog, job_rows, labels, models, own_weights
from core.state.catalog import ImageFilter
from core.state.database import writing
from core.state.job_rows import Job
from core.state.near_duplicates import replace_groups
from core.state.schema import images
from core.state.workspace import Workspace, create_workspace
from tests.samples import CLASSES, do, import_folder, write_images

QUICK = FineTune(backbone=BUNDLED, mode="last_block", epochs=2, batch_size=4)


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Workspace:
    """Four training images and two validation images of each of three classes."""
    workspace = create_workspace(home / "shop", name="Shop")
    for split, n in (("train", 4), ("validation", 2)):
        folder = tmp_path / "images" / split
        for label in CLASSES:
            write_images(folder, n_per_class=n, classes=[label])
    # The second split's images must not be copies of the first's.
    for place, path in enumerate(sorted((tmp_path / "images/validation").rglob("*.png"))):
        _repaint(path, place)
    import_folder(workspace, tmp_path / "images", split="keep")
    return workspace


def _repaint(path: Path, place: int) -> None:
    from PIL import Image

    image = Image.open(path).convert("RGB")
    image.putpixel((0, 0), (place, 255, place))
    image.save(path)


def ids(workspace: Workspace, label: str, split: str) -> list[int]:
    return catalog.image_ids(workspace, ImageFilter(labels=(label,), splits=(split,))).tolist()


def succeeded(job: Job) -> Job:
    assert job.status == "succeeded", job.error
    return job


def weights(workspace: Workspace, model: str) -> dict[str, np.ndarray]:
    return load_file(models.weights_path(workspace, model))


class TestWhichImages:
    def test_the_splits_say_what_trains_and_what_validates(self, shop: Workspace) -> None:
        chosen = choose_training_set(shop, QUICK)
        assert chosen.classes == CLASSES
        assert dict(chosen.n_train_by_class) == dict.fromkeys(CLASSES, 4)
        assert dict(chosen.n_validation_by_class) == dict.fromkeys(CLASSES, 2)

    def test_excluded_multiple_and_unlabelled_images_do_not_train(self, shop: Workspace) -> None:
        excluded, several, plain = ids(shop, "dirt", "train")[:3]
        labels.set_excluded(shop, [excluded], True, actor="ana")
        labels.relabel(shop, [several], "multiple", actor="ana")
        labels.relabel(shop, [plain], None, actor="ana")
        chosen = choose_training_set(shop, QUICK)
        assert not {excluded, several, plain} & set(chosen.train_ids.tolist())
        assert chosen.n_train_by_class["dirt"] == 1
        assert chosen.n_multiple == 1

    def test_what_a_model_labelled_neither_trains_nor_validates(self, shop: Workspace) -> None:
        guessed = [ids(shop, "dirt", split)[0] for split in ("train", "validation")]
        with writing(shop) as connection:
            connection.execute(
                images.update().where(images.c.id.in_(guessed)).values(label_origin="automatic")
            )
        chosen = choose_training_set(shop, QUICK)
        assert not set(guessed) & {*chosen.train_ids.tolist(), *chosen.validation_ids.tolist()}
        assert chosen.n_train_by_class["dirt"] == 3

    def test_an_excluded_image_still_validates(self, shop: Workspace) -> None:
        kept = ids(shop, "drop", "validation")[0]
        labels.set_excluded(shop, [kept], True, actor="ana")
        assert kept in choose_training_set(shop, QUICK).validation_ids

    def test_so_many_of_each_class_are_drawn_and_the_rest_validates(self, shop: Workspace) -> None:
        config = replace(QUICK, classes=("scratch", "dirt"), per_class=(3, 2))
        chosen = choose_training_set(shop, config)
        assert dict(chosen.n_train_by_class) == {"scratch": 3, "dirt": 2}
        assert dict(chosen.n_validation_by_class) == {"scratch": 3, "dirt": 4}
        again = choose_training_set(shop, config)
        other = choose_training_set(shop, replace(config, seed=1))
        assert chosen.sha256 == again.sha256 != other.sha256

    def test_more_than_there_are_cannot_be_drawn(self, shop: Workspace) -> None:
        with pytest.raises(OperatorError, match="6 images"):
            choose_training_set(shop, replace(QUICK, classes=("drop", "dirt"), per_class=(7, 1)))

    def test_the_snapshot_changes_with_a_label_and_not_with_a_note(self, shop: Workspace) -> None:
        before = choose_training_set(shop, QUICK)
        assert choose_training_set(shop, replace(QUICK, notes="x")).sha256 == before.sha256
        labels.relabel(shop, ids(shop, "dirt", "train")[:1], "drop", actor="ana")
        assert choose_training_set(shop, QUICK).sha256 != before.sha256


class TestWhatSpeaksAgainst:
    def blocking(self, workspace: Workspace, config: FineTune = QUICK) -> list[str]:
        chosen = choose_training_set(workspace, config)
        found = find_problems(workspace, config, chosen)
        return [problem.title for problem in found if problem.is_blocking]

    def test_nothing_speaks_against_a_plain_set(self, shop: Workspace) -> None:
        assert self.blocking(shop) == []

    def test_one_class_cannot_be_told_apart(self, shop: Workspace) -> None:
        assert "two classes" in self.blocking(shop, replace(QUICK, classes=("dirt",)))[0]

    def test_a_class_of_one_image_or_none_blocks(self, shop: Workspace) -> None:
        first, *rest = ids(shop, "dirt", "train")
        labels.set_split(shop, rest, "test", actor="ana")
        assert "single" in self.blocking(shop)[0]
        labels.set_split(shop, [first], "test", actor="ana")
        config = replace(QUICK, classes=CLASSES)
        assert "no training images" in self.blocking(shop, config)[0]
        assert do(shop, config).error["title"] == self.blocking(shop, config)[0]

    def test_look_alikes_across_the_line_are_said(self, shop: Workspace) -> None:
        replace_groups(shop, [[ids(shop, "dirt", "train")[0], ids(shop, "dirt", "validation")[0]]])
        chosen = choose_training_set(shop, QUICK)
        titles = [problem.title for problem in find_problems(shop, QUICK, chosen)]
        assert any("look like training images" in title for title in titles)

    def test_a_full_disk_blocks(self, shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        from core.jobs import training_set

        class Full:
            free = 1000

        monkeypatch.setattr(training_set.shutil, "disk_usage", lambda _: Full)
        assert "room" in self.blocking(shop)[0]


def test_a_model_says_what_it_came_from(shop: Workspace) -> None:
    job = succeeded(do(shop, replace(QUICK, notes="first")))
    model = models.get_model(shop, job.result["model"])
    chosen = choose_training_set(shop, QUICK)
    assert (model.id, model.notes, model.classes) == (f"{BUNDLED}-1", "first", CLASSES)
    assert model.result["data_set"]["sha256"] == chosen.sha256
    assert model.result["weights"]["source"] == "bundled"
    assert "generated" in model.result["weights"]["notice"]
    assert model.result["versions"]["torch"]
    assert len(model.result["history"]) == 2
    assert model.config["seed"] == 0
    roles = models.load_roles(shop, model)
    assert roles.train.tolist() == chosen.train_ids.tolist()
    assert roles.validation.tolist() == chosen.validation_ids.tolist()
    state = weights(shop, model.id)
    assert state["head.weight"].shape == (3, get_backbone(BUNDLED).n_features)
    assert [path.name for path in job_folder(shop, job.id).iterdir() if path.is_dir()] == []


def test_only_the_last_block_and_the_head_change(shop: Workspace) -> None:
    full = replace(QUICK, mode="full", epochs=1)
    changed = {
        mode: _changed(shop, replace(full, mode=mode)) for mode in ("head", "last_block", "full")
    }
    assert changed["head"] == {"head"}
    assert changed["last_block"] == {"head", "layer4"}
    assert changed["full"] == {"head", "conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}


def _changed(workspace: Workspace, config: FineTune) -> set[str]:
    """Which parts differ from the network that it began with."""
    from core.latent.weights import load_backbone, resolve_weights

    model = succeeded(do(workspace, config)).result["model"]
    began = load_backbone(resolve_weights(config.backbone, offline=True)).state_dict()
    state = weights(workspace, model)
    return {
        name.split(".")[0]
        for name, values in state.items()
        if not name.endswith("num_batches_tracked")
        and (name not in began or not np.array_equal(values, began[name].numpy()))
    }


def test_a_later_model_goes_on_from_an_earlier_one(shop: Workspace) -> None:
    first = succeeded(do(shop, QUICK)).result["model"]
    config = replace(QUICK, start_from=first, classes=("scratch", "dirt"), learning_rate=1e-12)
    second = models.get_model(shop, succeeded(do(shop, config)).result["model"])
    assert second.start_from == first
    old, new = weights(shop, first), weights(shop, second.id)
    for row, name in enumerate(second.classes):
        np.testing.assert_allclose(
            new["head.weight"][row],
            old["head.weight"][CLASSES.index(name)],
            atol=1e-6,
        )


def test_cached_activations_give_what_the_whole_network_gives(shop: Workspace) -> None:
    """The same recipe with an augmentation of no effect on flat images runs uncached."""
    plain = replace(QUICK, augmentations=(), epochs=1)
    uncached = replace(plain, augmentations=("vertical_flip",))
    first, second = (succeeded(do(shop, config)).result for config in (plain, uncached))
    assert (first["caches"], second["caches"]) == (True, False)
    assert first["val_loss"] == pytest.approx(second["val_loss"], rel=1e-3)


def test_a_cancelled_training_keeps_its_best_and_can_go_on(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.jobs.steps import training

    saved = training.save_progress

    def save_and_cancel(workspace: Workspace, job_id: int, progress: object) -> None:
        saved(workspace, job_id, progress)
        if len(progress.epochs) == 1:
            queue.cancel(workspace, job_id)

    monkeypatch.setattr(training, "save_progress", save_and_cancel)
    monkeypatch.setattr("core.jobs.context._REPORT_EVERY_S", 0.0)
    cancelled = do(shop, replace(QUICK, epochs=3))
    assert cancelled.status == "cancelled"
    (kept,) = models.models_of_job(shop, cancelled.id)
    assert (kept.result["stopped"], kept.result["epochs"]) == ("cancelled", 1)
    folders = [path.name for path in job_folder(shop, cancelled.id).rglob("*") if path.is_dir()]
    assert sorted(folders) == ["checkpoints", "last", "training"]  # and no pixels

    monkeypatch.setattr(training, "save_progress", saved)
    from core.jobs.worker import run_job

    job_rows.requeue(shop, cancelled.id)
    finished = succeeded(run_job(shop, cancelled.id))
    assert finished.result["epochs"] == 3
    assert finished.result["model"] != kept.id
    assert finished.result["history"][0]["train_loss"] == kept.result["history"][0]["train_loss"]


def test_a_worker_killed_in_the_middle_ends_with_the_same_weights(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the worker's sums come in one order
    config = replace(QUICK, epochs=6)
    cut = queue.submit(shop, config, actor="ana")
    _wait(lambda: (p := load_progress(shop, cut.id)) is not None and len(p.epochs) >= 2)
    running = job_rows.get_job(shop, cut.id)
    os.kill(running.pid, signal.SIGKILL)
    _wait(lambda: not psutil.pid_exists(running.pid) or _is_zombie(running.pid))
    _wait(lambda: queue.look_after(shop) == [])
    ended = succeeded(job_rows.get_job(shop, cut.id))
    assert ended.attempts == 2
    whole = queue.submit(shop, config, actor="ana")
    _wait(lambda: queue.look_after(shop) == [])
    other = succeeded(job_rows.get_job(shop, whole.id))
    first, second = (weights(shop, job.result["model"]) for job in (ended, other))
    assert all(np.array_equal(first[name], second[name]) for name in second)


def test_two_launches_run_one_after_the_other(shop: Workspace) -> None:
    jobs = [queue.submit(shop, replace(QUICK, epochs=1, seed=seed), actor="ana") for seed in (0, 1)]
    _wait(lambda: queue.look_after(shop) == [])
    first, second = (succeeded(job_rows.get_job(shop, job.id)) for job in jobs)
    assert first.finished_at <= second.started_at
    assert [model.number for model in models.list_models(shop)] == [2, 1]


def test_a_forecast_says_what_it_would_take_and_leaves_no_model(shop: Workspace) -> None:
    values = {name: getattr(QUICK, name) for name in ("backbone", "mode", "epochs", "batch_size")}
    job = succeeded(do(shop, ForecastTraining(**values, augmentations=("light",))))
    assert job.result["seconds"] > job.result["epoch_seconds"] > 0
    assert (job.result["n_train"], job.result["caches"]) == (12, False)
    assert any("computed anew" in note for note in job.result["notes"])
    assert models.list_models(shop) == []


def test_a_forecast_measures_whole_batches_however_large(shop: Workspace) -> None:
    chosen = choose_training_set(shop, QUICK)
    for n_train in (5, 12):
        sample = forecast_training._sample(chosen, n_train, 0)
        assert len(sample.train_ids) == len(sample.train_targets) == n_train
        assert set(sample.train_ids.tolist()) <= set(chosen.train_ids.tolist())


def test_backbones_are_compared_under_one_recipe(shop: Workspace) -> None:
    place_random_weights(shop, "mobilenet_v2")
    config = CompareBackbones(
        backbones=("mobilenet_v2", BUNDLED), mode="head", epochs=2, batch_size=4
    )
    rows = succeeded(do(shop, config)).result["rows"]
    assert [row["backbone"] for row in rows] == ["mobilenet_v2", BUNDLED]
    assert rows[0]["n_parameters"] == 2_227_715
    assert [model.id for model in models.list_models(shop)] == [row["model"] for row in rows[::-1]]
    for row in rows:
        interval = row["accuracy_interval"]
        assert interval["low"] <= row["accuracy"] <= interval["high"]
    assert not rows[0]["notice"]
    assert "generated" in rows[1]["notice"]


def test_a_comparison_refuses_that_the_bundled_backbone_stands_in(shop: Workspace) -> None:
    config = CompareBackbones(
        backbones=(BUNDLED, "mobilenet_v2"), mode="head", epochs=2, batch_size=4
    )
    failed = do(shop, config)
    assert failed.status == "failed"
    assert failed.error["title"] == "No weights of MobileNet-V2 were found."
    assert "must not stand in" in failed.error["detail"]
    assert models.list_models(shop) == []  # it was said before the first was trained


def test_a_network_without_weights_is_trained_as_the_bundled_one_and_says_so(
    shop: Workspace,
) -> None:
    config = replace(QUICK, backbone="mobilenet_v2", mode="head", epochs=1)
    model = models.get_model(shop, succeeded(do(shop, config)).result["model"])
    assert (model.backbone, model.id) == (BUNDLED, f"{BUNDLED}-1")
    used = model.result["weights"]
    assert (used["asked"], used["backbone"]) == ("mobilenet_v2", BUNDLED)
    assert used["notice"].startswith("No weights of MobileNet-V2 were found")


def place_random_weights(workspace: Workspace, backbone: str) -> None:
    import torch

    torch.manual_seed(0)
    network = build_network(get_backbone(backbone))
    torch.save(network.state_dict(), own_weights.folder(workspace) / f"{backbone}-random.pth")


def _wait(condition, *, timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
