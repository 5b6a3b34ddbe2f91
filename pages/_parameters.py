"""Widgets for the parameters of a method, made from what the method says of them."""

from typing import Any

import streamlit as st

from core.latent.methods import Parameter


def parameter_input(parameter: Parameter, key: str, *, default: Any = None) -> Any:
    """A widget that yields a value of the parameter's type within its range.

    Args:
        default: shown first instead of the parameter's own.
    """
    value: Any = parameter.default if default is None else default
    if parameter.choices:
        return st.selectbox(
            parameter.title,
            parameter.choices,
            index=parameter.choices.index(str(value)),
            help=parameter.explanation,
            key=key,
        )
    kind: Any = type(parameter.default)
    return st.number_input(
        parameter.title,
        min_value=kind(parameter.minimum),
        max_value=kind(parameter.maximum),
        value=value,
        step=kind(parameter.step),
        help=parameter.explanation,
        key=key,
    )
