"""What the views of Defect types share: which features tell, and going from one view to another."""

import streamlit as st

from core.state import models, runs
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._shared import next_step

KEY = "defect_types"
EXAMPLES = f"{KEY}.examples"
_NEXT = f"{KEY}.next"
FEWEST, MOST = 3, 10  # images that show a new type


def telling_embedding(workspace: Workspace) -> Run | None:
    """The newest features by the model at work, else the newest of all; says so where none are."""
    found = runs.list_runs(workspace, "embedding")
    if not found:
        next_step(
            "There are no features to tell types by.",
            page="latent_space.py",
            label="Embed the images",
        )
        return None
    at_work = models.promoted(workspace)
    own = [
        each
        for each in found
        if at_work and each.config["weights_sha256"] == at_work.weights_sha256
    ]
    return own[0] if own else found[0]


def go_on(view: str, type_name: str | None = None) -> None:
    """Show another view of the page, or another type in it, in the next run."""
    st.session_state[_NEXT] = (view, type_name)


def follow() -> None:
    """Do what `go_on` asked for, before the choices of the page are drawn."""
    view, type_name = st.session_state.pop(_NEXT, (None, None))
    if view is not None:
        st.session_state[f"{KEY}.view"] = view
    if type_name is not None:
        st.session_state[f"{KEY}.type"] = type_name
