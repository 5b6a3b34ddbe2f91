"""What do people read of the registry: a model's recipe and lineage, two models side by side?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from core.latent.backbones import BACKBONES
from core.learning.evaluation import Estimate, estimate_share
from core.learning.recipe import CLASS_WEIGHTS, MODES, PAPER, SCHEDULES, Recipe
from core.state import models
from core.state.models import Model
from core.state.workspace import Workspace

IMPORTED = "imported"  # the mode of a model that was trained elsewhere
SETTINGS = {  # titles of a recipe's fields, in the order in which they are read
    "backbone": "network",
    "mode": "trained layers",
    "epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "momentum": "momentum",
    "weight_decay": "weight decay",
    "schedule": "schedule",
    "augmentations": "augmentation",
    "class_weights": "class weights",
    "label_smoothing": "label smoothing",
    "patience": "early stopping",
    "freeze_batch_norm": "batch normalisation",
    "seed": "seed",
}
_WORDS = {"mode": MODES, "schedule": SCHEDULES, "class_weights": CLASS_WEIGHTS}
_STOPPED = {"": "all epochs", "early": "stopped early", "cancelled": "stopped by a person"}


@dataclass(frozen=True)
class Fact:
    """One line about a model."""

    what: str
    value: str


@dataclass(frozen=True)
class Difference:
    """One line about two recipes or models; `is_same` where they agree."""

    what: str
    first: str
    second: str

    @property
    def is_same(self) -> bool:
        """Whether both say the same."""
        return self.first == self.second


def describe_setting(name: str, value: Any) -> str:
    """A value of a recipe as people read it."""
    if name == "backbone":
        return BACKBONES[value].title if value in BACKBONES else str(value)
    if name in _WORDS:
        return _WORDS[name].get(value, str(value))
    if name == "augmentations":
        return ", ".join(augmentation_title(each) for each in value) or "none"
    if name == "patience":
        return f"after {value} epochs without a better one" if value else "off"
    if name == "freeze_batch_norm":
        return "frozen" if value else "trained"
    return f"{value:g}"


def augmentation_title(name: str) -> str:
    """What a person calls an augmentation."""
    return name.replace("_", " ")


def departures(recipe: Recipe, usual: Recipe = PAPER) -> list[Difference]:
    """What a recipe does otherwise than the usual one; the seed is no part of it."""
    return [
        difference
        for name, difference in _settings(recipe, usual).items()
        if name != "seed" and not difference.is_same
    ]


def recipe_of(model: Model) -> Recipe | None:
    """How a model was trained; None where that was done elsewhere."""
    if model.mode == IMPORTED:
        return None
    known = {field.name for field in fields(Recipe)}
    asked = {name: value for name, value in model.config.items() if name in known}
    asked["backbone"] = model.backbone  # a comparison of backbones names several
    asked["augmentations"] = tuple(asked.get("augmentations", ()))
    return Recipe(**asked)


def mode_title(mode: str) -> str:
    """What a person calls a mode of training, in a word or two."""
    return mode.replace("_", " ")


def validation_accuracy(model: Model) -> Estimate | None:
    """Share of the validation images that it gets right; None where nothing was validated."""
    share, n = model.result.get("val_accuracy"), model.result.get("n_validation")
    if share is None or not n:
        return None
    return estimate_share(round(share * n), n, why="")


def as_percent(estimate: Estimate | None) -> str:
    """`97.5% (94.3% to 98.9%, n = 199)`: the bounds are those of its 95 % interval."""
    if estimate is None or estimate.value is None:
        return "not measured"
    assert estimate.low is not None
    assert estimate.high is not None
    bounds = f"{estimate.low:.1%} to {estimate.high:.1%}"
    return f"{estimate.value:.1%} ({bounds}, n = {estimate.n:,})"


def describe_model(model: Model) -> str:
    """A model in the few words of a select box."""
    accuracy = model.result.get("val_accuracy")
    measured = "" if accuracy is None else f" · {accuracy:.1%}"
    return f"{model.id} · {mode_title(model.mode)}{measured}"


def model_table(found: Sequence[Model], *, promoted: str | None) -> list[dict[str, Any]]:
    """A row a model: what it is, how good, whence."""
    return [
        {
            "model": model.id,
            "promoted": model.id == promoted,
            "network": describe_setting("backbone", model.backbone),
            "trained": mode_title(model.mode),
            "accuracy": None if accuracy is None else round(accuracy, 3),
            "n": model.result.get("n_validation"),
            "from": model.start_from or "",
            "made": model.created_at[:16].replace("T", " "),
            "by": model.actor,
            "classes": ", ".join(model.classes),
            "notes": model.notes,
        }
        for model, accuracy in ((each, each.result.get("val_accuracy")) for each in found)
    ]


def lineage(workspace: Workspace, model: Model) -> list[Model]:
    """The models that it descends from, the first ancestor first, and itself last.

    Deleted ones are among them: their rows stay.
    """
    known = {each.id: each for each in models.list_models(workspace, with_deleted=True)}
    line = [model]
    while line[0].start_from in known:
        line.insert(0, known[line[0].start_from])
    return line


def outcome(model: Model) -> list[Fact]:
    """What came out of its training."""
    result = model.result
    facts = [Fact("validation accuracy", as_percent(validation_accuracy(model)))]
    if "best_epoch" in result:
        ended = _STOPPED.get(result.get("stopped", ""), "")
        facts += [
            Fact("validation loss", _number(result["val_loss"])),
            Fact("best epoch", f"{result['best_epoch']} of {result['epochs']}, {ended}"),
            Fact("time per epoch", f"{_seconds(result['epoch_seconds'])} on {result['device']}"),
        ]
    if result.get("caching_seconds"):
        facts.append(Fact("before the first epoch", _seconds(result["caching_seconds"])))
    if "n_parameters" in result:
        trained = result.get("n_trained_parameters", 0)
        share = f"{trained:,} of {result['n_parameters']:,} trained"
        facts.append(Fact("parameters", share))
    return facts


def origin(model: Model) -> list[Fact]:
    """What it was trained on, from which weights, by which versions."""
    facts = []
    data_set = model.result.get("data_set")
    if data_set:
        facts += [Fact(split, _counted(data_set[split])) for split in ("train", "validation")]
        facts.append(Fact("data set", f"sha256 {data_set['sha256'][:16]}"))
    weights = model.result.get("weights")
    if weights:
        source = model.start_from or weights.get("file") or weights["source"]
        facts.append(Fact("started from", f"{source}, sha256 {weights['sha256'][:16]}"))
    facts.append(Fact("weights", f"sha256 {model.weights_sha256[:16]}"))
    versions = model.result.get("versions", {})
    facts += [Fact(name, str(version)) for name, version in versions.items() if version]
    return facts


def recipe_facts(model: Model) -> list[Fact]:
    """Its recipe, a line a setting; empty where it was trained elsewhere."""
    recipe = recipe_of(model)
    if recipe is None:
        return []
    applied = replace(recipe, augmentations=recipe.applied_augmentations)
    return [
        Fact(title, describe_setting(name, getattr(applied, name)))
        for name, title in SETTINGS.items()
    ]


def compare_models(first: Model, second: Model) -> list[Difference]:
    """Two models line by line: what came out, how they were trained, on what."""
    both: dict[str, list[str]] = {}
    for place, model in enumerate((first, second)):
        lines = [
            *outcome(model),
            Fact("classes", ", ".join(model.classes)),
            *recipe_facts(model),
            *origin(model),
        ]
        for fact in lines:
            both.setdefault(fact.what, ["", ""])[place] = fact.value
    return [Difference(what, *values) for what, values in both.items()]


def _settings(first: Recipe, second: Recipe) -> dict[str, Difference]:
    return {
        name: Difference(
            title,
            describe_setting(name, getattr(first, name)),
            describe_setting(name, getattr(second, name)),
        )
        for name, title in SETTINGS.items()
    }


def _seconds(seconds: float) -> str:
    """Two digits where it is short: a head alone takes hundredths of a second."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2g} s"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"


def _counted(counts: Mapping[str, int]) -> str:
    by_class = ", ".join(f"{name} {n:,}" for name, n in counts.items())
    return f"{sum(counts.values()):,} images: {by_class}"
