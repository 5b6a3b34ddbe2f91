"""Which cell of a confusion matrix is open? It stands in the page's address, as a link shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import streamlit as st

from pages._shared import clicked

CELL = "cell"  # in the address
_VISITS = "evaluation.visits"


@dataclass(frozen=True)
class Cell:
    """Images of one role with one label that were given one class."""

    role: str
    label: str
    predicted: str

    def encode(self) -> str:
        """As it stands in the address."""
        return json.dumps([self.role, self.label, self.predicted])


def decode(text: object) -> Cell | None:
    """What an address or a clicked point carries; None for what is nothing of ours."""
    try:
        parts = json.loads(str(text))
    except ValueError:
        return None
    is_cell = isinstance(parts, list) and len(parts) == 3
    return Cell(*parts) if is_cell and all(isinstance(each, str) for each in parts) else None


def opened_cell() -> Cell | None:
    """The cell whose images are shown; None where the whole matrix is."""
    return decode(st.query_params.get(CELL))


def open_cell(cell: Cell | None) -> None:
    """Show these images, or the whole matrix; for use as a callback."""
    st.session_state[_VISITS] = st.session_state.get(_VISITS, 0) + 1
    for name in ("page", "whole", "sort", "act.label"):  # chosen for other images
        st.session_state.pop(f"evaluation.cell.{name}", None)
    if cell:
        st.query_params[CELL] = cell.encode()
    else:
        st.query_params.pop(CELL, None)


def chart_key(name: str) -> str:
    """A key that is new whenever something else is open, so that no click is counted twice."""
    return f"evaluation.{name}.{st.session_state.get(_VISITS, 0)}"


def open_clicked(key: str) -> None:
    """Open what the clicked point of a chart carries; for use as a callback."""
    found = decode(clicked(key))
    if found:
        open_cell(found)
