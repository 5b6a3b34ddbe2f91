"""What is open of a clustering: one of its clusters, or a cell of labels against clusters.

It stands in the page's address, so that a link shows the same images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import streamlit as st

from pages._shared import clicked

_PARAMETER = "shown"
_VISITS = "clusters_and_anomalies.visits"


@dataclass(frozen=True)
class Opened:
    """Images of one cluster, of one label where `in_cell`.

    Attributes:
        clustering: the run's id.
        cluster: its number, -1 for noise.
        in_cell: whether only those of `label` are meant.
        label: None for those without one.
    """

    clustering: str
    cluster: int
    in_cell: bool = False
    label: str | None = None

    def encode(self) -> str:
        """As it stands in the address."""
        whole = [self.clustering, self.cluster]
        return json.dumps([*whole, self.label] if self.in_cell else whole)


def decode(text: object) -> Opened | None:
    """What an address or a clicked point carries; None for what is nothing of ours."""
    try:
        clustering, cluster, *rest = json.loads(str(text))
    except (ValueError, TypeError):
        return None
    is_known = isinstance(clustering, str) and type(cluster) is int and cluster >= -1
    if not is_known or len(rest) > 1 or not all(isinstance(each, str | None) for each in rest):
        return None
    return Opened(clustering, cluster, bool(rest), rest[0] if rest else None)


def opened_of(clustering: str) -> Opened | None:
    """What is open of this clustering; None where it is seen as a whole."""
    found = decode(st.query_params.get(_PARAMETER))
    return found if found and found.clustering == clustering else None


def open_images(opened: Opened | None) -> None:
    """Show these images, or the clustering as a whole; for use as a callback."""
    st.session_state[_VISITS] = st.session_state.get(_VISITS, 0) + 1
    for name in ("page", "whole", "sort", "label", "act.label"):  # chosen for other images
        st.session_state.pop(f"clusters_and_anomalies.opened.{name}", None)
    if opened:
        st.query_params[_PARAMETER] = opened.encode()
    else:
        st.query_params.pop(_PARAMETER, None)


def chart_key(name: str) -> str:
    """A key that is new whenever something else is open, so that no click is counted twice."""
    return f"clusters_and_anomalies.{name}.{st.session_state.get(_VISITS, 0)}"


def open_clicked(key: str) -> None:
    """Open what the clicked point of a chart carries; for use as a callback."""
    found = decode(clicked(key))
    if found:
        open_images(found)
