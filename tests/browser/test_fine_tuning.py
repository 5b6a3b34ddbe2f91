"""Fine-tuning in a real browser: a tiny training is launched, watched, stopped, and opened."""

import re

import pytest

from core.state import catalog, job_rows, labels, models
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from tests import samples
from tests.browser.steps import OpenApp, click, give_name, settle

pytestmark = pytest.mark.browser

PAGE = "fine_tuning"
N_TRAIN, N_VALIDATION = 3, 1  # images of each class; the others belong to no split


def take_few(workspace: Workspace) -> None:
    labels.set_split(workspace, catalog.image_ids(workspace).tolist(), None, actor="Ada")
    for label in samples.CLASSES:
        ids = catalog.image_ids(workspace, ImageFilter(labels=(label,))).tolist()
        labels.set_split(workspace, ids[:N_TRAIN], "train", actor="Ada")
        labels.set_split(
            workspace, ids[N_TRAIN : N_TRAIN + N_VALIDATION], "validation", actor="Ada"
        )


def choose_network(page, title: str) -> None:
    page.locator(f".st-key-{PAGE}-backbone").get_by_role("combobox").click()
    page.get_by_role("option", name=title, exact=True).click()
    settle(page)


def test_a_training_is_launched_watched_stopped_and_opened(
    open_app: OpenApp, small: Workspace
) -> None:
    take_few(small)
    page = open_app(PAGE)
    page.get_by_text("9 images to train on, 3 to validate on").wait_for()
    page.get_by_text("The paper's recipe").first.wait_for()
    choose_network(page, "ResNet-18 · others")
    page.get_by_text("Other than the paper's recipe").wait_for()
    click(page, "Start training")
    give_name(page, "Ada")
    click(page, "Start training")

    epochs = page.get_by_test_id("stMetric").filter(has_text=re.compile(r"Epoch\s*\d+ of 100"))
    epochs.wait_for()
    curves = page.locator(f"[class*='st-key-{PAGE}-live-'] .scatterlayer .trace")
    curves.first.wait_for()
    page.get_by_text(re.compile(r"9 images to train on, 3 to validate on;")).wait_for()
    click(page, "Stop")
    page.get_by_text(re.compile("is cancelled. The best so far")).wait_for()

    (model,) = models.list_models(small)
    (job,) = [job for job in job_rows.list_jobs(small) if job.kind == "fine_tune"]
    assert (job.status, model.job_id, model.actor) == ("cancelled", job.id, "Ada")
    assert model.result["stopped"] == "cancelled"
    click(page, "Open the model")
    page.get_by_role("heading", name=model.id).wait_for()
    page.get_by_text("stopped by a person").wait_for()
