"""A classifier that was trained elsewhere is taken into the registry."""

import streamlit as st

from core import queries
from core.errors import OperatorError
from core.jobs.configs import ImportModel
from core.settings import load_settings
from core.state import own_weights
from core.state.workspace import Workspace
from core.vocabulary import clean_label
from pages._shared import acting, show_error, submit

_KEY = "fine_tuning.import"


def offer_import(workspace: Workspace) -> None:
    """A state dict with its head, the network that it fits, and what its rows mean."""
    with st.popover("Import a model", icon=":material/upload_file:"):
        titles = queries.backbone_titles()
        backbone = st.selectbox(
            "Network", list(titles), format_func=titles.__getitem__, key=f"{_KEY}.backbone"
        )
        file = st.file_uploader(
            "Its state dict, the head included",
            type=[suffix.lstrip(".") for suffix in own_weights.SUFFIXES],
            key=f"{_KEY}.file",
        )
        typed = st.text_area(
            "Its classes, one a line, in the order of the head's rows", key=f"{_KEY}.classes"
        )
        notes = st.text_input("Notes", max_chars=200, key=f"{_KEY}.notes")
        ready = file is not None and bool((typed or "").strip())
        if not st.button("Import", type="primary", disabled=not ready, key=f"{_KEY}.start"):
            return
        acting("data scientist")
        max_bytes = load_settings().max_upload_mb * 1_000_000
        try:
            assert file is not None  # the button is disabled without one
            kept = own_weights.keep_upload(workspace, file, max_bytes=max_bytes)
            classes = _read_classes(typed or "")
        except OperatorError as error:
            show_error(error)
            return
        submit(workspace, ImportModel(str(kept), backbone, classes, notes=notes or ""))
        st.rerun()


def _read_classes(typed: str) -> tuple[str, ...]:
    """The names as labels are stored.

    Raises:
        OperatorError: a name cannot be a label, or stands there twice.
    """
    try:
        names = tuple(filter(None, map(clean_label, typed.splitlines())))
    except ValueError as error:
        raise OperatorError("A class has no usable name.", f"{error}.") from error
    if len(set(names)) < len(names):
        raise OperatorError("A class stands there twice.", ", ".join(names))
    return names
