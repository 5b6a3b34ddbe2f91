"""A threshold to move: how many images are above it is counted in the browser, while it moves."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from core.latent.anomalies import AnomalyScores
from pages._components import asset_url, ignore_change, register_component

_STEPS = 400  # from the lowest score to the highest

_mount = register_component("threshold")


def threshold_handle(
    found: AnomalyScores,
    *,
    value: float,
    title: str,
    key: str,
    on_move: Callable[[], None] | None = None,
) -> None:
    """A handle from the lowest score to the highest, and the number of images above it.

    Args:
        found: scores that are not all the same.
        value: where the threshold stands.
        title: its name for screen readers.
        key: of the component.
        on_move: called before the rerun once the handle is let go; `moved_to` reads where.
    """
    steps = _steps(found.scores)
    counts = found.counts_above(np.append(steps, value))
    _mount(
        key=key,
        data={
            "script_url": asset_url("threshold/threshold.js"),
            "style_url": asset_url("threshold/threshold.css"),
            "low": float(steps[0]),
            "high": float(steps[-1]),
            "value": value,
            "counts": counts[:-1].tolist(),
            "n_above": int(counts[-1]),
            "n_total": len(found.scores),
            "title": title,
        },
        on_move_change=on_move or ignore_change,
    )


def moved_to(found: AnomalyScores, sent: Any) -> float:
    """The threshold that a browser sent.

    Raises:
        ValueError: it is not what the component sends.
    """
    step = sent.get("step") if isinstance(sent, Mapping) else None
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= _STEPS:
        raise ValueError(f"a threshold's step must lie in [0, {_STEPS}], got {sent!r:.80}")
    return float(_steps(found.scores)[step])


def _steps(scores: np.ndarray) -> np.ndarray:
    return np.linspace(float(scores.min()), float(scores.max()), _STEPS + 1)
