"""The recipe of a training: the paper's, until a person changes something, and the way back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import streamlit as st

from core import queries
from core.analysis.models import augmentation_title, departures, mode_title
from core.learning.recipe import AUGMENTATIONS, CLASS_WEIGHTS, MODES, PAPER, SCHEDULES, Recipe
from core.settings import load_settings
from core.state.workspace import Workspace
from pages._shared import capital, plain

_KEY = "fine_tuning"


def choose_network(workspace: Workspace) -> tuple[str, str]:
    """The backbone, and which of its layers are trained."""
    titles = queries.backbone_titles_by_family()
    backbone = st.selectbox(
        "Network",
        list(titles),
        index=list(titles).index(queries.usual_backbone(workspace, load_settings())),
        format_func=titles.__getitem__,
        key=f"{_KEY}.backbone",
    )
    return backbone, choose_layers()


def choose_layers() -> str:
    """Which layers are trained: a mode."""
    mode: str = st.segmented_control(
        "Trained layers",
        list(MODES),
        default=PAPER.mode,
        required=True,
        format_func=lambda mode: capital(mode_title(mode)),
        key=f"{_KEY}.mode",
    )
    st.caption(f"Trains {MODES[mode]}.")
    return mode


def choose_recipe(backbone: str, mode: str) -> Recipe:
    """Everything else of how to train."""
    says, settings = st.container(), st.container()
    with settings:
        values = _numbers() | _choices() | _views(mode)
    recipe = Recipe(backbone=backbone, mode=mode, **values)
    with says:
        _show_departures(recipe)
    return recipe


def _show_departures(recipe: Recipe) -> None:
    """Whether this is the paper's recipe; else what differs, and the way back."""
    different = departures(recipe)
    if not different:
        st.markdown(
            ":green[:material/menu_book: **The paper's recipe**], as it stands in section 4.2 and "
            "Table 2."
        )
        return
    changes = "; ".join(f"{each.what} {each.first} ({each.second})" for each in different)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            ":orange[:material/edit: **Other than the paper's recipe**], in brackets what is "
            f"there: {plain(changes)}."
        )
        st.button(
            "The paper's recipe",
            icon=":material/undo:",
            key=f"{_KEY}.paper",
            on_click=_back_to_the_paper,
        )


def _back_to_the_paper() -> None:
    for name, value in asdict(PAPER).items():
        if name != "seed":
            st.session_state[f"{_KEY}.{name}"] = list(value) if isinstance(value, tuple) else value


def _numbers() -> dict[str, Any]:
    """The settings of the optimiser, a row of them."""
    columns = st.columns(5)
    return {
        "epochs": _whole(columns[0], "epochs", "Epochs", 1, 10_000),
        "batch_size": _whole(columns[1], "batch_size", "Batch size", 1, 1024),
        "learning_rate": _number(columns[2], "learning_rate", "Learning rate", 1e-7, 10.0, 0.0005),
        "momentum": _number(columns[3], "momentum", "Momentum", 0.0, 0.999, 0.05),
        "weight_decay": _number(columns[4], "weight_decay", "Weight decay", 0.0, 1.0, 0.0001),
    }


def _choices() -> dict[str, Any]:
    """What the loss counts, how the rate changes, when it ends: a row of them."""
    columns = st.columns(5)
    return {
        "schedule": _named(columns[0], "schedule", "Schedule", SCHEDULES),
        "class_weights": _named(columns[1], "class_weights", "Class weights", CLASS_WEIGHTS),
        "label_smoothing": _number(
            columns[2],
            "label_smoothing",
            "Label smoothing",
            0.0,
            0.9,
            0.05,
            help="Share of the target that is spread over all classes.",
        ),
        "patience": _whole(
            columns[3],
            "patience",
            "Early stopping",
            0,
            10_000,
            help="Epochs without a better validation after which training ends; 0 trains all.",
        ),
        "seed": _whole(
            columns[4],
            "seed",
            "Seed",
            0,
            2**31 - 1,
            help="Of the head, the order of images, the augmentation and every draw.",
        ),
    }


def _views(mode: str) -> dict[str, Any]:
    """How the images are changed on the way in, and whether batch normalisation follows them."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    augmentations = left.multiselect(
        "Augmentation",
        list(AUGMENTATIONS),
        default=list(PAPER.augmentations),
        format_func=lambda name: capital(augmentation_title(name)),
        placeholder="None",
        disabled=mode == "head",
        help=_explain_augmentations(),
        key=f"{_KEY}.augmentations",
    )
    frozen = right.toggle(
        "Freeze batch normalisation",
        help="Keep all batch normalisation as it is; steadier with few images a batch.",
        key=f"{_KEY}.freeze_batch_norm",
    )
    return {"augmentations": tuple(augmentations), "freeze_batch_norm": frozen}


def _explain_augmentations() -> str:
    each = (f"{augmentation_title(name)}: {what}" for name, what in AUGMENTATIONS.items())
    return "; ".join(each) + ". The head alone is trained on features as they are."


def _named(place: Any, name: str, title: str, known: Mapping[str, str]) -> str:
    return place.selectbox(
        title,
        list(known),
        format_func=capital,
        help="; ".join(f"{each}: {what}" for each, what in known.items()) + ".",
        key=f"{_KEY}.{name}",
    )


def _whole(place: Any, name: str, title: str, low: int, high: int, *, help: str = "") -> int:
    return place.number_input(
        title,
        low,
        high,
        getattr(PAPER, name),
        step=1,
        help=help or None,
        key=f"{_KEY}.{name}",
    )


def _number(
    place: Any, name: str, title: str, low: float, high: float, step: float, *, help: str = ""
) -> float:
    return place.number_input(
        title,
        low,
        high,
        getattr(PAPER, name),
        step=step,
        format="%g",
        help=help or None,
        key=f"{_KEY}.{name}",
    )
