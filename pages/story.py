"""Story: the paper's argument in eight steps, on a copy of the synthetic workspace of one's own."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.state.workspace import Workspace
from pages._shared import forget_change, page_header
from pages._story_copy import KEY, carry_on, own_copy, start_again
from pages._story_line import show_audit_step, show_new_type, show_queue_step, show_risk_step
from pages._story_space import show_alike, show_apart, show_mixed, show_tuning

STEP = "step"  # in the address


@dataclass(frozen=True)
class Step:
    """One step: its name in the line of steps, its heading, and what it shows of a copy."""

    name: str
    heading: str
    show: Callable[[Workspace], None]


STEPS = {
    "alike": Step("Alike", "Defects look alike", show_alike),
    "mixed": Step("Mixed", "A generic latent space mixes them", show_mixed),
    "tune": Step("Tune", "A minute of fine-tuning", show_tuning),
    "apart": Step("Apart", "The same map, separated", show_apart),
    "risk": Step("Risk", "How many may be wrong?", show_risk_step),
    "decide": Step("Decide", "Ten decisions", show_queue_step),
    "new_type": Step("New type", "A new defect from five images", show_new_type),
    "audit": Step("Audit", "Was the promise kept?", show_audit_step),
}


def chosen_step() -> str:
    """The step that the address names, the first where it names none."""
    named = st.query_params.get(STEP, "")
    return named if named in STEPS else next(iter(STEPS))


def go(step: str) -> None:
    """Show another step; for use as a callback."""
    st.query_params[STEP] = step
    forget_change()  # that of a step which has been told


def choose(key: str) -> None:
    """Show the step that was clicked in the line of steps; for use as a callback."""
    go(st.session_state[key])


def begin_anew() -> None:
    """Back to the first step, on a new copy; for use as a callback."""
    start_again()
    go(next(iter(STEPS)))


def show_way(step: str) -> None:
    """Back, the line of steps, Next: always on the screen."""
    names = list(STEPS)
    place = names.index(step)
    with st.bottom, st.container(horizontal=True, vertical_alignment="center", key=f"{KEY}.way"):
        st.button(
            "Back",
            icon=":material/arrow_back:",
            disabled=place == 0,
            key=f"{KEY}.back",
            on_click=go,
            args=(names[max(0, place - 1)],),
        )
        key = f"{KEY}.steps.{step}"
        st.segmented_control(
            "Step",
            names,
            default=step,
            required=True,
            format_func=lambda name: f"{names.index(name) + 1} {STEPS[name].name}",
            label_visibility="collapsed",
            key=key,
            on_change=choose,
            args=(key,),
        )
        st.button(
            "Next",
            type="primary",
            icon=":material/arrow_forward:",
            icon_position="right",
            disabled=place == len(names) - 1,
            key=f"{KEY}.next",
            on_click=go,
            args=(names[min(len(names) - 1, place + 1)],),
        )
        st.button(
            "",
            icon=":material/restart_alt:",
            type="tertiary",
            help="Start again: throws your copy away and begins with a new one.",
            key=f"{KEY}.reset",
            on_click=begin_anew,
        )


copy = own_copy()
step = chosen_step()
st.query_params[STEP] = step
carry_on(copy)
page_header(f"{list(STEPS).index(step) + 1} · {STEPS[step].heading}")
show_way(step)  # before the step, which may stop the page
STEPS[step].show(copy)
