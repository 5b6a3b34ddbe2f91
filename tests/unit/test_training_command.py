"""The commands `finetune` and `model`: what each answers, and how each refuses."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.jobs.configs import FindAnomalies, FineTune, ForecastTraining
from core.jobs.context import JobContext
from core.latent.backbones import BUNDLED
from core.state import models, own_weights, runs
from core.state.workspace import Workspace
from tests import samples
from tests.classifiers import add_model

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def line(template: Path, home: Path) -> Workspace:
    """24 images in three classes, embedded."""
    return samples.copy_template(template, home / "line-4")


@pytest.fixture
def ask(line: Workspace, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command in that workspace with `--json`: its exit code and its answer."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        code = main([*map(str, arguments), "--workspace", str(line.path), "--as", "Ada", "--json"])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, json.loads(out)

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[FineTune | ForecastTraining]:
    """The configs that reach the steps, which answer at once."""
    seen: list[FineTune | ForecastTraining] = []

    def train(context: JobContext, config: FineTune) -> Mapping[str, Any]:
        seen.append(config)
        return {
            "model": "resnet18-1",
            "val_accuracy": 0.75,
            "n_validation": 4,
            "best_epoch": 1,
            "epochs": 1,
            "epoch_seconds": 0.1,
            "history": [{"epoch": 1}],
            "device": "cpu",
            "weights": {"notice": ""},
            "warnings": [],
        }

    def forecast(context: JobContext, config: ForecastTraining) -> Mapping[str, Any]:
        seen.append(config)
        numbers = dict.fromkeys(("seconds", "epoch_seconds", "disk_bytes"), 60.0)
        return {
            **numbers,
            "caches": True,
            "n_train": 3,
            "n_validation": 4,
            "device": "cpu",
            "notes": [],
        }

    monkeypatch.setattr("core.jobs.steps.fine_tune.run", train)
    monkeypatch.setattr("core.jobs.steps.forecast_training.run", forecast)
    return seen


@pytest.mark.usefixtures("online")
def test_without_an_option_it_is_the_papers_recipe(ask: Ask, asked: list[FineTune]) -> None:
    code, said = ask("finetune")
    assert code == 0
    assert asked == [FineTune()]
    assert {"model", "val_accuracy", "epochs", "epoch_seconds", "history", "job"} <= set(said)


def test_every_option_reaches_the_training(ask: Ask, asked: list[FineTune], tmp_path: Path) -> None:
    weights = tmp_path / "mine.pth"
    given = "--backbone resnet18 --mode last_block --epochs 3 --batch-size 4 --lr 0.01"
    given += " --momentum 0.5 --weight-decay 0.001 --schedule cosine --augment light,vertical_flip"
    given += " --class-weights balanced --label-smoothing 0.1 --patience 2 --freeze-batch-norm"
    given += f" --seed 7 --classes dirt,drop --per-class 3,4 --device cpu --weights {weights}"
    code, _ = ask("finetune", *given.split(), "--notes", "a first try")
    assert code == 0
    assert asked == [
        FineTune(
            backbone="resnet18",
            mode="last_block",
            epochs=3,
            batch_size=4,
            learning_rate=0.01,
            momentum=0.5,
            weight_decay=0.001,
            schedule="cosine",
            augmentations=("light", "vertical_flip"),
            class_weights="balanced",
            label_smoothing=0.1,
            patience=2,
            freeze_batch_norm=True,
            seed=7,
            classes=("dirt", "drop"),
            per_class=(3, 4),
            device="cpu",
            weights=str(weights),
            notes="a first try",
        )
    ]


def test_offline_it_is_the_papers_recipe_on_a_network_that_is_here(
    ask: Ask, asked: list[FineTune], line: Workspace
) -> None:
    assert ask("finetune")[0] == 0
    (own_weights.folder(line) / "resnet18-line-4.pth").touch()
    assert ask("finetune")[0] == 0
    assert asked == [FineTune(backbone=BUNDLED), FineTune(backbone="resnet18")]


@pytest.mark.usefixtures("online")
def test_a_forecast_trains_nothing(ask: Ask, asked: list[ForecastTraining]) -> None:
    code, said = ask("finetune", "--mode", "head", "--augment", "none", "--forecast")
    assert (code, said["seconds"]) == (0, 60.0)
    assert asked == [ForecastTraining(mode="head", augmentations=())]


def test_a_training_that_goes_on_from_a_model_takes_its_network(
    ask: Ask, asked: list[FineTune], line: Workspace
) -> None:
    earlier = add_model(line)
    assert ask("finetune", "--start-from", "newest")[0] == 0
    assert asked == [FineTune(backbone="resnet18", start_from=earlier.id)]
    code, said = ask("finetune", "--start-from", earlier.id, "--backbone", "vgg16")
    assert code == 2
    assert earlier.id in said["error"]["detail"]


def test_anomalies_are_left_out_of_the_newest_features_that_no_model_made(
    ask: Ask, asked: list[FineTune], line: Workspace
) -> None:
    code, said = ask("finetune", "--exclude-anomalies")
    assert code == 1
    assert "anomalies" in said["error"]["next_step"]
    assert asked == []
    embedding = runs.list_runs(line, "embedding")[0]
    search = samples.do(line, FindAnomalies(embedding.id))
    assert ask("finetune", "--exclude-anomalies")[0] == 0
    assert asked[0].without_anomalies == search.result["run"]


@pytest.mark.parametrize(
    "given",
    [
        ("--epochs", "0"),
        ("--lr", "-1"),
        ("--momentum", "1"),
        ("--label-smoothing", "1"),
        ("--augment", "sepia"),
        ("--classes", "dirt,dirt"),
        ("--classes", "dirt,,drop"),
        ("--per-class", "3,4"),
        ("--per-class", "3,some", "--classes", "dirt,drop"),
        ("--per-class", "3", "--classes", "dirt,drop"),
        ("--mode", "most"),
        ("--start-from", "newest", "--weights", "mine.pth"),
    ],
)
def test_options_that_cannot_be_meant_are_wrong_usage(
    given: tuple[str, ...], ask: Ask, asked: list[FineTune]
) -> None:
    assert ask("finetune", *given)[0] == 2
    assert asked == []


def test_a_model_is_promoted_rolled_back_noted_and_deleted(ask: Ask, line: Workspace) -> None:
    first, second = add_model(line), add_model(line, start_from="resnet18-1")
    code, said = ask("model", "promote", first.number, "--reason", "the first")
    assert (code, said["model_id"], said["actor"]) == (0, first.id, "Ada")
    assert ask("model", "promote", second.number)[0] == 1  # they cannot be compared: no weights
    assert models.promoted(line) == first
    assert ask("model", "promote", second.number, "--overrule", "trust me")[0] == 1
    code, said = ask("model", "promote", second.number, "--overrule", "nothing to compare by")
    assert (code, said["model_id"], said["is_overruled"]) == (0, second.id, True)
    assert (said["comparison"], said["recalibration"]) == (None, None)
    code, said = ask("model", "delete", "promoted")
    assert code == 1
    assert "promoted" in said["error"]["title"]
    code, said = ask("model", "rollback", "--reason", "worse after all")
    assert (code, said["model_id"]) == (0, first.id)
    assert ask("model", "rollback")[0] == 1
    assert ask("model", "note", second.id, "blurs drops")[1]["notes"] == "blurs drops"
    assert ask("model", "delete", second.id) == (0, {"deleted": second.id})
    code, said = ask("model", "list")
    assert (code, said["promoted"]) == (0, first.id)
    assert [model["id"] for model in said["models"]] == [first.id]
    said = ask("model", "list", "--deleted")[1]
    assert [model["id"] for model in said["models"]] == [second.id, first.id]


def test_a_model_is_shown_with_its_lineage_and_promotions(ask: Ask, line: Workspace) -> None:
    first = add_model(line)
    second = add_model(line, start_from=first.id)
    models.promote(line, second.id, actor="Ben", reason="the first")
    code, said = ask("model", "show", "promoted")
    assert (code, said["id"], said["is_promoted"]) == (0, second.id, True)
    assert said["lineage"] == [first.id]
    assert [each["reason"] for each in said["promotions"]] == ["the first"]
    assert Path(said["weights_path"]).is_file()
    assert ask("model", "show", first.id)[1]["descendants"] == [second.id]


def test_models_are_compared_line_by_line(ask: Ask, line: Workspace) -> None:
    first, second = add_model(line), add_model(line, classes=("dirt", "drop", "scratch"))
    code, said = ask("model", "compare", first.id, second.id)
    assert (code, said["models"]) == (0, [first.id, second.id])
    different = {row["what"]: row["second"] for row in said["lines"] if not row["is_same"]}
    assert different["classes"] == "dirt, drop, scratch"


def test_without_a_model_every_verb_says_what_comes_next(ask: Ask) -> None:
    assert ask("model", "list") == (0, {"models": [], "promoted": None})
    for verb in ("show", "promote", "delete", "export"):
        code, said = ask("model", verb, "newest")
        assert (code, bool(said["error"]["next_step"])) == (1, True)


def test_people_read_text(line: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    model = add_model(line, validation=[1, 2])
    for given in (["list"], ["show", "1"], ["compare", "1", "newest"]):
        assert main(["model", *given, "--workspace", str(line.path)]) == 0
        assert model.id in capsys.readouterr().out
