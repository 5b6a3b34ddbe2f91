"""What the views of the page Evaluation share: roles, shares in words, images with heat maps."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from core import queries
from core.analysis.evaluations import Estimate, ModelEvaluation
from core.analysis.models import as_percent
from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import ExplainImage
from core.state import catalog, job_rows, runs
from core.state.catalog import ImageFilter
from core.state.models import Model
from core.state.workspace import Workspace
from pages._access import current_person
from pages._images import Heat, image_actions, ranked_gallery, show_gallery
from pages._shared import counted, noted_metric, plain, routes_of, show_error

ROLES = {
    "validation": "Validation",
    "test": "Test",
    "train": "Training, for reference",
}
N_NEIGHBORS = 12
_SIMILAR = "evaluation.similar"


def choose_role(found: ModelEvaluation, *, among: Mapping[str, str] = ROLES) -> str:
    """Whose images are looked at: those of one role that has some."""
    counts = {role: int(found.has_role(role).sum()) for role in among}
    there = [role for role, n in counts.items() if n] or list(among)[:1]
    role: str = st.segmented_control(
        "Images",
        there,
        default=there[0],
        required=True,
        format_func=lambda role: f"{among[role]} · {counts[role]:,}",
        label_visibility="collapsed",
        key=f"evaluation.role.{'-'.join(there)}",
    )
    if role == "train":
        st.caption(
            ":orange[:material/warning: The model has learned these very images: what it gets "
            "right here says nothing of new ones.]"
        )
    return role


def show_share(title: str, estimate: Estimate, *, help: str) -> None:
    """A share with its interval and what it is a share of."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        noted_metric(title, "–", "not measured", help=f"{estimate.why} {help}".strip())
        return
    noted_metric(
        title,
        f"{estimate.value:.1%}",
        f"{estimate.low:.1%} to {estimate.high:.1%}, n = {estimate.n:,}",
        help=help,
    )


def heat_maps(workspace: Workspace, model: Model, label: str = "") -> Heat:
    """Heat maps of a model for one class, the predicted one where empty."""
    query = f"?{urlencode({'label': label})}" if label else ""
    url = f"{routes_of(workspace)}/heat/{model.id}/{{id}}{query}"

    def explain(image_id: int) -> None:
        asked = ExplainImage(model.id, image_id, label)
        waiting = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
        wanted = {"model": model.id, "image": image_id, "label": label}
        if any(job.kind == asked.kind and dict(job.config) == wanted for job in waiting):
            return
        person = current_person()  # it changes nothing: whoever looks may ask
        queue.submit(workspace, asked, actor=person.name if person else "a visitor")

    return Heat(url, explain)


def show_images(
    workspace: Workspace,
    model: Model,
    found: ModelEvaluation,
    ids: np.ndarray,
    *,
    key: str,
    reason: str,
    order: str = "the surest first",
    label: str = "",
) -> None:
    """Images with what the model says of each, and what can be done with them.

    Args:
        ids: int64 (n_images,), in the order of the gallery.
        key: of the gallery.
        reason: why they are looked at, for the record of what is done with them.
        order: what that order is, in words.
        label: the class whose heat maps lie over enlarged images; the predicted one where empty.
    """
    there = np.isin(ids, catalog.image_ids(workspace))
    ids = ids[there]
    if not len(ids):
        st.info("No image is here.", icon=":material/check_circle:")
        return
    actions = st.container()
    picked = ranked_gallery(
        workspace,
        ids,
        key=key,
        order=order,
        remarks_for=lambda shown: found.verdicts(found.rows_of(np.asarray(shown))),
        heat=heat_maps(workspace, model, label),
        evaluation=found.run.id,
        on_find_similar=_remember_similar,
    )
    with actions:
        whole = st.toggle(f"Act on all {counted(len(ids), 'image')}", key=f"{key}.whole")
        chosen = ids.tolist() if whole else picked.selected
        image_actions(workspace, chosen, key=key, what=reason, queue_reason=reason)
    _show_similar(workspace, model, found)


def _remember_similar(image_id: int) -> None:
    """Ask for the neighbours of one image; they appear with the next run."""
    st.session_state[_SIMILAR] = image_id


def _show_similar(workspace: Workspace, model: Model, found: ModelEvaluation) -> None:
    """The images that the tuned space holds nearest to the one that was asked about."""
    image_id = st.session_state.get(_SIMILAR)
    if image_id is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        name = catalog.get_image(workspace, image_id).name
        st.subheader(f"Nearest to {plain(name)}, to this model", anchor=False)
        if st.button("Close", icon=":material/close:", key="evaluation.close_similar"):
            del st.session_state[_SIMILAR]
            st.rerun()
    embedding = runs.get_run(workspace, found.run.parent_id or "")
    try:
        nearest = queries.nearest_images(workspace, embedding, image_id, n_neighbors=N_NEIGHBORS)
    except OperatorError as error:
        show_error(error)
        return
    asked = ImageFilter(ids=tuple(each for each, _ in nearest))
    by_id = {image.id: image for image in catalog.list_images(workspace, asked)}
    shown = [(each, distance) for each, distance in nearest if each in by_id]
    show_gallery(
        workspace,
        [by_id[each] for each, _ in shown],
        key="evaluation.similar_images",
        captions=[f"{distance:.3f}" for _, distance in shown],
        remarks=found.verdicts(found.rows_of([each for each, _ in shown])),
        heat=heat_maps(workspace, model),
        evaluation=found.run.id,
        on_find_similar=_remember_similar,
    )
    st.caption("By cosine distance of the tuned features: 0 is alike in all, 1 is unrelated.")


def in_words(estimate: Estimate, what: str) -> str:
    """What a share of so few images says, and what it does not."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.why
    width = 100 * (estimate.high - estimate.low)
    return (
        f"{what}: {as_percent(estimate)}. The interval is {width:.0f} points wide: models that "
        f"differ by less are not told apart by {counted(estimate.n, 'image')}, and four times as "
        "many images would make it half as wide."
    )
