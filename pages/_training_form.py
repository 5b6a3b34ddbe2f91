"""A new training: its network, images and recipe; what stands against it; how long it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core import queries
from core.analysis.models import describe_model
from core.errors import OperatorError
from core.jobs.configs import ChosenImages, FineTune, ForecastTraining, from_json
from core.jobs.training_set import Problem, TrainingSet, choose_training_set, find_problems
from core.state import catalog, job_rows, models, own_weights, runs
from core.state.label_book import list_offered
from core.state.models import MAX_NOTES
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS
from pages._recipe_form import choose_network, choose_recipe
from pages._shared import as_duration, as_size, counted, next_step, plain, show_error, submit

_KEY = "fine_tuning"


def show_training_form(workspace: Workspace) -> None:
    """From the network to the start."""
    if not catalog.summarise(workspace).n_labelled:
        next_step(
            "There are no labelled images to train on yet.",
            page="dataset.py",
            label="Import or label images",
        )
        return
    st.subheader("New training", anchor=False)
    network, images = st.columns([2, 3], gap="large")
    with network:
        st.markdown("##### 1 · Network")
        backbone, mode = choose_network(workspace)
        start = _choose_start(workspace, backbone)
    with images:
        st.markdown("##### 2 · Images")
        seed = int(st.session_state.get(f"{_KEY}.seed", 0))
        chosen, found = choose_images(workspace, seed=seed)
    st.markdown("##### 3 · Recipe")
    recipe = choose_recipe(backbone, mode)
    st.markdown("##### 4 · Start")
    _start(workspace, {**vars(recipe), **vars(chosen), **start}, found)


def _choose_start(workspace: Workspace, backbone: str) -> Mapping[str, str]:
    """What the network begins with: the fields of the config that say so."""
    earlier = [each for each in models.list_models(workspace) if each.backbone == backbone]
    options: dict[str, dict[str, str]] = {"The published weights": {}}
    options |= {
        f"Own weights: {name}": {"weights": name}
        for name in own_weights.list_weights(workspace, backbone)
    }
    options |= {f"Model {describe_model(each)}": {"start_from": each.id} for each in earlier}
    picked = st.selectbox("Starts from", list(options), key=f"{_KEY}.start_from.{backbone}")
    return options[picked]


def choose_images(workspace: Workspace, *, seed: int) -> tuple[ChosenImages, TrainingSet | None]:
    """Classes, numbers of images and what is left out, and the images that this means now."""
    names = [name for name in list_offered(workspace) if name not in RESERVED_LABELS]
    classes = st.multiselect(
        "Classes", names, placeholder="All that have training images", key=f"{_KEY}.classes"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        without = _choose_anomalies(workspace)
        draws = st.toggle(
            "So many images a class",
            help="Draws the training images of each class from all splits, and validates on the "
            "rest of these classes; else the splits are those of the data set.",
            key=f"{_KEY}.draws",
        )
    chosen = ChosenImages(classes=tuple(classes), without_anomalies=without)
    found = _find(workspace, chosen, seed=seed)
    if found is not None and draws:
        chosen = replace(chosen, classes=found.classes, per_class=_choose_counts(found))
        found = _find(workspace, chosen, seed=seed)
    if found is not None:
        _show_counts(found)
    return chosen, found


def _find(workspace: Workspace, chosen: ChosenImages, *, seed: int) -> TrainingSet | None:
    """The images that these choices mean; says why where they cannot be had."""
    try:
        return choose_training_set(workspace, FineTune(**vars(chosen), seed=seed))
    except OperatorError as error:
        show_error(error)
        return None


def _choose_counts(found: TrainingSet) -> tuple[int, ...]:
    with st.container(horizontal=True):
        return tuple(
            int(
                st.number_input(
                    plain(name),
                    min_value=1,
                    value=max(n, 1),
                    width=150,
                    key=f"{_KEY}.per_class.{name}",
                )
            )
            for name, n in found.n_train_by_class.items()
        )


def _show_counts(found: TrainingSet) -> None:
    rows = [
        {"class": name, "training": n, "validation": found.n_validation_by_class[name]}
        for name, n in found.n_train_by_class.items()
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key=f"{_KEY}.counts",
    )
    st.caption(
        f"{counted(len(found.train_ids), 'image')} to train on, {len(found.validation_ids):,} to "
        f"validate on. Left out of training: {counted(found.n_anomalies, 'anomalous image')}, "
        f"{found.n_multiple:,} with several defects, and what is excluded."
    )


def _choose_anomalies(workspace: Workspace) -> str:
    """The search for anomalies whose finds are left out; empty for none."""
    searches = {run.id: run for run in runs.list_runs(workspace, "anomalies")}
    embeddings = {run.id: run for run in runs.list_runs(workspace, "embedding")}

    def title(id: str) -> str:
        if not id:
            return "None" if searches else "None has been looked for"
        return _describe_search(searches[id], embeddings)

    return st.selectbox(
        "Leave out anomalies",
        ["", *searches],
        format_func=title,
        disabled=not searches,
        key=f"{_KEY}.without_anomalies",
        width=260,
    )


def _describe_search(search: Run, embeddings: Mapping[str, Run]) -> str:
    at = search.created_at[:16].replace("T", " ")
    embedding = embeddings.get(search.parent_id or "")
    features = queries.describe_run(embedding).partition(" · ")[0] if embedding else ""
    return f"{features} · {at}"


def _start(workspace: Workspace, values: Mapping[str, Any], found: TrainingSet | None) -> None:
    """What stands against it, what it would take, and the button."""
    notes = st.text_input(
        "Notes", max_chars=MAX_NOTES, placeholder="What to remember of it", key=f"{_KEY}.notes"
    )
    forecast, training = ForecastTraining(**values), FineTune(**values, notes=notes or "")
    problems = [] if found is None else find_problems(workspace, training, found)
    for problem in problems:
        show_problem(problem)
    _show_forecast(workspace, forecast, said=[_text_of(problem) for problem in problems])
    cannot = found is None or any(problem.is_blocking for problem in problems)
    with st.container(horizontal=True):
        if st.button(
            "Start training",
            type="primary",
            icon=":material/play_arrow:",
            disabled=cannot,
            help="What stands against it is said above." if cannot else None,
            key=f"{_KEY}.start",
        ):
            submit(workspace, training)
            st.rerun()
        if st.button(
            "Forecast",
            icon=":material/timer:",
            disabled=cannot,
            help="Measures a few steps, to say how long all of it will take.",
            key=f"{_KEY}.forecast",
        ):
            submit(workspace, forecast)
            st.rerun()


def show_problem(problem: Problem) -> None:
    """What stands against a training, and what to do about it."""
    show = st.error if problem.is_blocking else st.warning
    icon = ":material/block:" if problem.is_blocking else ":material/warning:"
    text = f"**{plain(problem.title)}** {plain(problem.detail)}"
    show(text + (f"  \n{plain(problem.next_step)}" if problem.next_step else ""), icon=icon)


def _text_of(problem: Problem) -> str:
    return f"{problem.title} {problem.detail}".strip()


def _show_forecast(workspace: Workspace, config: ForecastTraining, *, said: Sequence[str]) -> None:
    """The newest forecast of this very training, if there is one; what was said is not repeated."""
    for job in job_rows.list_jobs(workspace, statuses=("succeeded",), limit=200):
        if job.kind == config.kind and from_json(type(config), dict(job.config)) == config:
            break
    else:
        return
    result = job.result or {}
    epoch = as_duration(result["epoch_seconds"])
    caching = (
        f"the frozen layers once, {as_duration(result['caching_seconds'])}; "
        if result["caches"]
        else ""
    )
    st.success(
        f"**About {as_duration(result['seconds'])}** on {plain(result['device'])}: {caching}"
        f"{epoch} an epoch. It takes {as_size(result['disk_bytes'])} of disk while it runs."
        + "".join(f"  \n{plain(note)}" for note in result["notes"] if note not in said),
        icon=":material/timer:",
    )
