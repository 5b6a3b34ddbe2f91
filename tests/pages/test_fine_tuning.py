"""A data scientist launches a training, follows it, and looks after the models that came of it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.analysis.models import describe_model
from core.jobs import queue
from core.jobs.configs import (
    CompareBackbones,
    CompareModels,
    ExportModel,
    FindAnomalies,
    FineTune,
    ForecastTraining,
    ImportModel,
    JobConfig,
    from_json,
)
from core.jobs.training_progress import TrainingProgress, save_progress
from core.learning.evaluation import Estimate
from core.learning.fine_tuning import Epoch
from core.learning.recipe import PAPER, PAPERS_BACKBONES
from core.settings import PROJECT_ROOT
from core.state import catalog, job_rows, labels, models, own_weights, runs
from core.state.catalog import ImageFilter
from core.state.job_rows import Job, Owner
from core.state.models import Model
from core.state.workspace import Workspace
from tests import samples
from tests.classifiers import add_model
from tests.login import OPERATOR, SCIENTIST, configured
from tests.pages.conftest import TIMEOUT_S, OpenPage, checked, choose, click, texts

pytestmark = pytest.mark.usefixtures("online")

PAGE = "fine_tuning"
OWNER = Owner("another machine", 1, 0.0)


@pytest.fixture
def split(small: Workspace) -> Workspace:
    """Of each class six images train and two validate."""
    for label in samples.CLASSES:
        ids = catalog.image_ids(small, ImageFilter(labels=(label,))).tolist()
        labels.set_split(small, ids[:6], "train", actor="Ada")
        labels.set_split(small, ids[6:], "validation", actor="Ada")
    return small


def submitted(workspace: Workspace, kind: type[JobConfig]) -> list[JobConfig]:
    """What waits of a kind, the newest first."""
    waiting = job_rows.list_jobs(workspace, statuses=("queued",))
    return [from_json(kind, dict(job.config)) for job in waiting if job.kind == kind.kind]


def epochs(n: int) -> Sequence[Epoch]:
    return tuple(
        Epoch(
            epoch=number,
            train_loss=1 / number,
            train_accuracy=0.5,
            validation_loss=1 / number,
            validation_accuracy=0.75,
            learning_rate=0.001,
            seconds=2.0,
            validation_seconds=0.5,
        )
        for number in range(1, n + 1)
    )


def begin(workspace: Workspace, *, n_done: int) -> Job:
    """A training that another machine has begun, so many epochs in."""
    config = FineTune(backbone="resnet18", epochs=4)
    job = job_rows.add_job(
        workspace, kind=config.kind, lane=config.lane, config=asdict(config), actor="Ben"
    )
    job = job_rows.claim(workspace, job.id, OWNER)
    progress = TrainingProgress(
        backbone="resnet18",
        epochs=tuple(epochs(n_done)),
        best_epoch=n_done or None,
        n_epochs=4,
        n_train=18,
        n_validation=6,
        caching_seconds=0.0,
    )
    save_progress(workspace, job.id, progress)
    return job


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def keys(at: AppTest) -> list[str]:
    return [button.key for button in at.button]


def open_models(open_page: OpenPage, model: Model) -> AppTest:
    return open_page(PAGE, fine_tuning__view="Models", fine_tuning__model=describe_model(model))


def test_the_papers_recipe_is_the_default_and_said_to_be(
    open_page: OpenPage, split: Workspace
) -> None:
    at = open_page(PAGE)
    assert "**The paper's recipe**" in texts(at)
    assert "18 images to train on, 6 to validate on" in texts(at)
    click(at, f"{PAGE}.start")
    assert submitted(split, FineTune) == [FineTune()]
    assert job_rows.list_jobs(split)[0].actor == "Ada"


def test_what_departs_from_the_paper_is_named_and_taken_back_by_one_button(
    open_page: OpenPage, split: Workspace
) -> None:
    at = open_page(PAGE)
    assert f"{PAGE}.paper" not in keys(at)
    at.number_input(key=f"{PAGE}.epochs").set_value(10)
    at.multiselect(key=f"{PAGE}.augmentations").set_value([])
    choose(at, f"{PAGE}.mode", "last_block")
    said = texts(at).replace("\\", "")
    assert "epochs 10 (100)" in said
    assert "augmentation none (horizontal flip)" in said
    click(at, f"{PAGE}.paper")
    assert "**The paper's recipe**" in texts(at)
    assert at.number_input(key=f"{PAGE}.epochs").value == PAPER.epochs
    click(at, f"{PAGE}.start")
    assert submitted(split, FineTune) == [FineTune()]


def test_every_choice_reaches_the_training(open_page: OpenPage, split: Workspace) -> None:
    embedding = runs.list_runs(split, "embedding")[0]
    search = samples.do(split, FindAnomalies(embedding.id)).result["run"]
    (own_weights.folder(split) / "resnet18-mine.pth").write_bytes(b"PK\x03\x04")
    at = open_page(PAGE)
    checked(at.selectbox(key=f"{PAGE}.backbone").set_value("resnet18").run())
    start = at.selectbox(key=f"{PAGE}.start_from.resnet18")
    start.set_value("Own weights: resnet18-mine.pth")
    for name, value in (("seed", 3), ("patience", 2), ("label_smoothing", 0.1), ("epochs", 5)):
        at.number_input(key=f"{PAGE}.{name}").set_value(value)
    at.selectbox(key=f"{PAGE}.schedule").set_value("cosine")
    at.selectbox(key=f"{PAGE}.class_weights").set_value("balanced")
    at.selectbox(key=f"{PAGE}.without_anomalies").set_value(search)
    at.toggle(key=f"{PAGE}.freeze_batch_norm").set_value(True)
    at.multiselect(key=f"{PAGE}.classes").set_value(["dirt", "drop"])
    at.text_input(key=f"{PAGE}.notes").set_value("a first try")
    checked(at.toggle(key=f"{PAGE}.draws").set_value(True).run())
    checked(at.number_input(key=f"{PAGE}.per_class.dirt").set_value(2).run())
    checked(at.number_input(key=f"{PAGE}.per_class.drop").set_value(3).run())
    assert "5 images to train on" in texts(at)
    click(at, f"{PAGE}.start")
    assert submitted(split, FineTune) == [
        FineTune(
            backbone="resnet18",
            weights="resnet18-mine.pth",
            seed=3,
            patience=2,
            label_smoothing=0.1,
            epochs=5,
            schedule="cosine",
            class_weights="balanced",
            without_anomalies=search,
            freeze_batch_norm=True,
            classes=("dirt", "drop"),
            per_class=(2, 3),
            notes="a first try",
        )
    ]


def test_a_training_goes_on_from_an_earlier_model_of_the_same_network(
    open_page: OpenPage, split: Workspace
) -> None:
    model = add_model(split)
    at = open_page(PAGE)
    assert at.selectbox(key=f"{PAGE}.start_from.resnet50").options == ["The published weights"]
    checked(at.selectbox(key=f"{PAGE}.backbone").set_value("resnet18").run())
    start = at.selectbox(key=f"{PAGE}.start_from.resnet18")
    checked(start.set_value(start.options[-1]).run())
    click(at, f"{PAGE}.start")
    assert submitted(split, FineTune) == [FineTune(backbone="resnet18", start_from=model.id)]


def test_one_class_alone_cannot_be_trained_and_the_reason_is_said(
    open_page: OpenPage, split: Workspace
) -> None:
    at = open_page(PAGE)
    checked(at.multiselect(key=f"{PAGE}.classes").set_value(["dirt"]).run())
    assert "at least two classes" in texts(at)
    assert at.button(key=f"{PAGE}.start").disabled
    assert at.button(key=f"{PAGE}.forecast").disabled


def test_more_images_than_there_are_cannot_be_drawn(open_page: OpenPage, split: Workspace) -> None:
    at = open_page(PAGE)
    checked(at.toggle(key=f"{PAGE}.draws").set_value(True).run())
    checked(at.number_input(key=f"{PAGE}.per_class.drop").set_value(90).run())
    assert "90 are asked for" in texts(at)
    assert at.button(key=f"{PAGE}.start").disabled


def test_a_forecast_is_shown_for_the_very_training_it_was_made_of(
    open_page: OpenPage, split: Workspace
) -> None:
    at = open_page(PAGE)
    click(at, f"{PAGE}.forecast")
    assert submitted(split, ForecastTraining) == [ForecastTraining()]
    job = job_rows.claim(split, job_rows.list_jobs(split)[0].id, OWNER)
    result = {
        "seconds": 1500.0,
        "epoch_seconds": 15.0,
        "caching_seconds": 0.0,
        "disk_bytes": 4_000_000,
        "caches": False,
        "device": "cpu",
        "notes": ["It will be slow."],
    }
    job_rows.finish(split, job, "succeeded", result=result)
    at = open_page(PAGE)
    assert "About 25 min" in at.success[0].value
    assert "It will be slow" in at.success[0].value
    checked(at.number_input(key=f"{PAGE}.epochs").set_value(10).run())
    assert not at.success


def test_without_labels_the_page_leads_to_the_data_set(
    open_page: OpenPage, split: Workspace
) -> None:
    labels.relabel(split, catalog.image_ids(split).tolist(), None, actor="Ada")
    at = open_page(PAGE)
    assert [link.label for link in at.page_link] == ["Import or label images"]
    assert f"{PAGE}.start" not in keys(at)


def test_a_training_shows_its_epochs_while_it_runs(open_page: OpenPage, split: Workspace) -> None:
    job = begin(split, n_done=3)
    at = open_page(PAGE)
    assert metrics(at) == {
        "Epoch": "3 of 4",
        "Best epoch": "3",
        "Validation accuracy": "75.0%",
        "An epoch takes": "2 s",
        "Left": "2.5 s",
    }
    assert len(at.get("plotly_chart")) == 2
    click(at, f"{PAGE}.cancel.{job.id}")
    assert job_rows.get_job(split, job.id).cancel_requested


def test_before_its_first_epoch_a_training_shows_no_curves(
    open_page: OpenPage, split: Workspace
) -> None:
    begin(split, n_done=0)
    at = open_page(PAGE)
    assert not at.get("plotly_chart")
    assert not at.metric


def test_a_stopped_training_names_the_best_so_far_and_resumes(
    open_page: OpenPage, split: Workspace
) -> None:
    job = job_rows.finish(split, begin(split, n_done=2), "cancelled")
    at = open_page(PAGE)
    assert f"job {job.id} is cancelled" in texts(at)
    click(at, f"{PAGE}.resume.{job.id}")
    assert job_rows.get_job(split, job.id).status == "queued"


def test_without_a_model_the_registry_says_how_to_come_by_one(
    open_page: OpenPage, split: Workspace
) -> None:
    assert "There is no model yet" in texts(open_page(PAGE, fine_tuning__view="Models"))
    assert "no two models" in texts(open_page(PAGE, fine_tuning__view="Compare"))


def test_the_newest_model_is_open_unless_another_was_chosen(
    open_page: OpenPage, split: Workspace
) -> None:
    first = add_model(split, validation=[1, 2])
    second = add_model(split, start_from=first.id)
    at = open_page(PAGE, fine_tuning__view="Models")
    assert at.selectbox(key=f"{PAGE}.model").value == second.id
    assert f"descends from {first.id}" in texts(at)
    at = open_models(open_page, first)
    assert f"{second.id} began with it" in texts(at)
    assert "50.0% (9.5% to 90.5%, n = 2)" in texts(at)


def test_a_model_is_promoted_with_a_reason_and_rolled_back(
    open_page: OpenPage, split: Workspace
) -> None:
    first, second = add_model(split), add_model(split)
    at = open_models(open_page, first)
    at.text_input(key=f"{PAGE}.promote.reason").set_value("better on drops")
    click(at, f"{PAGE}.promote")
    at = open_models(open_page, second)
    assert f"{PAGE}.promote" not in keys(at)  # before anything has compared the two
    at.text_input(key=f"{PAGE}.promote.reason").set_value("fewer epochs")
    at = click(at, f"{PAGE}.compare_and_promote")
    (asked,) = submitted(split, CompareModels)
    assert asked == CompareModels(first.id, second.id, promote=True, reason="fewer epochs")
    (waiting,) = job_rows.list_jobs(split, kinds=(CompareModels.kind,))
    queue.cancel(split, waiting.id)
    at = open_models(open_page, second)
    checked(at.text_input(key=f"{PAGE}.overrule.reason").set_value("because").run())
    assert at.button(key=f"{PAGE}.overrule").disabled
    checked(at.text_input(key=f"{PAGE}.overrule.reason").set_value("better on drops").run())
    click(at, f"{PAGE}.overrule")
    done = models.list_promotions(split)
    assert [(each.model_id, each.actor, each.reason) for each in done] == [
        (second.id, "Ada", "better on drops"),
        (first.id, "Ada", "better on drops"),
    ]
    at = open_models(open_page, second)
    assert f"{PAGE}.promote" not in keys(at)
    click(at, f"{PAGE}.rollback")
    assert models.promoted(split).id == first.id


def test_with_no_earlier_model_a_roll_back_says_so(open_page: OpenPage, split: Workspace) -> None:
    model = add_model(split)
    models.promote(split, model.id, actor="Ada")
    at = click(open_models(open_page, model), f"{PAGE}.rollback")
    assert "no earlier model" in texts(at)


def test_notes_are_written_and_a_model_is_deleted(open_page: OpenPage, split: Workspace) -> None:
    first, second = add_model(split), add_model(split)
    at = open_models(open_page, first)
    checked(at.text_area(key=f"{PAGE}.notes.{first.id}").set_value("blurs *drops*").run())
    click(at, f"{PAGE}.notes.keep")
    assert models.get_model(split, first.id).notes == "blurs *drops*"
    assert r"blurs \*drops\*" in texts(at)
    at = click(at, f"{PAGE}.delete")
    assert models.list_models(split) == [models.get_model(split, second.id)]
    assert at.selectbox(key=f"{PAGE}.model").value == second.id


def test_an_export_is_offered_for_download_when_it_is_made(
    open_page: OpenPage, split: Workspace
) -> None:
    model = add_model(split)
    at = click(open_models(open_page, model), f"{PAGE}.export")
    assert submitted(split, ExportModel) == [ExportModel(model.id)]
    assert not at.get("link_button")
    (split.folder("exports") / f"{model.id}.onnx").write_bytes(b"onnx")
    job = job_rows.claim(split, job_rows.list_jobs(split)[0].id, OWNER)
    job_rows.finish(
        split, job, "succeeded", result={"model": model.id, "archive": f"{model.id}.onnx"}
    )
    at = open_models(open_page, model)
    (link,) = at.get("link_button")
    assert link.proto.url == f"lacquer/{split.uid}/export/{model.id}.onnx"


def test_a_classifier_of_elsewhere_waits_among_the_uploads_for_its_import(
    open_page: OpenPage, split: Workspace
) -> None:
    at = open_page(PAGE, fine_tuning__view="Models")
    checked(at.selectbox(key=f"{PAGE}.import.backbone").set_value("resnet18").run())
    at.file_uploader(key=f"{PAGE}.import.file").upload(
        "mine.pth", b"PK\x03\x04 what torch.save writes", "application/octet-stream"
    )
    at.text_area(key=f"{PAGE}.import.classes").set_value("dirt\n drop \n")
    click(checked(at.run()), f"{PAGE}.import.start")
    (config,) = submitted(split, ImportModel)
    assert (config.backbone, config.classes) == ("resnet18", ("dirt", "drop"))
    assert Path(config.source).parent == split.path / "uploads"
    assert own_weights.list_weights(split, "resnet18") == []


def test_what_is_no_classifier_is_refused(open_page: OpenPage, split: Workspace) -> None:
    at = open_page(PAGE, fine_tuning__view="Models")
    at.file_uploader(key=f"{PAGE}.import.file").upload("mine.pth", b"a text", "text/plain")
    at.text_area(key=f"{PAGE}.import.classes").set_value("dirt\ndrop")
    click(checked(at.run()), f"{PAGE}.import.start")
    assert "no weights file" in texts(at)
    assert submitted(split, ImportModel) == []


def test_two_models_are_compared_by_what_differs(open_page: OpenPage, split: Workspace) -> None:
    add_model(split)
    add_model(split, classes=("dirt", "scratch"))
    at = open_page(PAGE, fine_tuning__view="Compare")
    (table,) = at.dataframe
    shown = dict(zip(table.value.iloc[:, 0], table.value.iloc[:, 2], strict=True))
    assert shown == {"classes": "dirt, scratch"}
    checked(at.toggle(key=f"{PAGE}.compare.all").set_value(True).run())
    assert len(at.dataframe[0].value) > 10


def test_networks_are_compared_under_the_recipe_that_was_chosen(
    open_page: OpenPage, split: Workspace
) -> None:
    at = open_page(PAGE, fine_tuning__view="Networks")
    assert at.multiselect(key=f"{PAGE}.networks.backbones").value == list(PAPERS_BACKBONES)
    at.multiselect(key=f"{PAGE}.networks.backbones").set_value(["resnet18", "swin_t"])
    at.number_input(key=f"{PAGE}.epochs").set_value(7)
    checked(at.run())
    click(at, f"{PAGE}.networks.start")
    (asked,) = submitted(split, CompareBackbones)
    assert (asked.backbones, asked.epochs, asked.mode) == (("resnet18", "swin_t"), 7, "full")


def test_one_click_chooses_the_networks_of_a_family(open_page: OpenPage, split: Workspace) -> None:
    at = open_page(PAGE, fine_tuning__view="Networks")
    click(at, f"{PAGE}.networks.vision_transformers")
    assert at.multiselect(key=f"{PAGE}.networks.backbones").value == ["vit_b_16", "swin_t"]
    click(at, f"{PAGE}.networks.modern_cnns")
    chosen = at.multiselect(key=f"{PAGE}.networks.backbones").value
    assert chosen == ["convnext_tiny", "efficientnet_b0"]


def test_without_a_network_nothing_is_compared(open_page: OpenPage, split: Workspace) -> None:
    at = open_page(PAGE, fine_tuning__view="Networks")
    checked(at.multiselect(key=f"{PAGE}.networks.backbones").set_value([]).run())
    assert at.button(key=f"{PAGE}.networks.start").disabled


def test_a_comparison_shows_a_row_a_network_and_its_chart(
    open_page: OpenPage, split: Workspace
) -> None:
    config = CompareBackbones(backbones=("resnet18", "vgg16"))
    job = job_rows.add_job(
        split, kind=config.kind, lane=config.lane, config=asdict(config), actor="Ben"
    )
    rows = [network("ResNet-18", 0.9, notice="Random"), network("VGG16", 0.8, notice="Random")]
    result = {"rows": rows, "epochs": 3, "n_validation": 20}
    job_rows.finish(split, job_rows.claim(split, job.id, OWNER), "succeeded", result=result)
    at = open_page(PAGE, fine_tuning__view="Networks")
    (table,) = (each for each in at.dataframe if "network" in each.value)
    assert table.value["network"].tolist() == ["ResNet-18", "VGG16"]
    assert table.value["accuracy"].tolist() == [0.9, 0.8]
    assert "n = 20" in table.value["95% interval"][0]
    assert [warning.value for warning in at.warning] == ["Random"]
    assert "3 epochs" in texts(at)


def network(title: str, accuracy: float, *, notice: str) -> dict[str, object]:
    return {
        "title": title,
        "model": "resnet18-1",
        "accuracy": accuracy,
        "accuracy_interval": asdict(Estimate(accuracy, accuracy - 0.1, accuracy + 0.05, 20)),
        "epoch_seconds": 2.0,
        "n_parameters": 11_000_000,
        "silhouette": None,
        "ari": 0.5,
        "weights": "random",
        "notice": notice,
    }


@pytest.mark.parametrize("email", [OPERATOR, SCIENTIST])
def test_only_data_scientists_train_promote_and_delete(
    email: str, split: Workspace, tmp_path: Path
) -> None:
    model = add_model(split)
    allowed = email == SCIENTIST
    with configured(tmp_path):
        for key in ("start", "forecast", "promote", *([] if allowed else ["delete"])):
            view = "Train" if key in ("start", "forecast") else "Models"
            at = AppTest.from_file(PROJECT_ROOT / "pages" / "_main.py", default_timeout=TIMEOUT_S)
            at.user = {"is_logged_in": True, "email": email, "name": "someone"}
            at.query_params["fine_tuning.view"] = view
            at.switch_page("fine_tuning.py")
            click(checked(at.run()), f"{PAGE}.{key}")
            assert bool(at.error) != allowed, key
    assert bool(submitted(split, FineTune)) == allowed
    assert bool(models.promoted(split)) == allowed
    assert models.list_models(split) == [models.get_model(split, model.id)]
