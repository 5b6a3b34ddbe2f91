"""Drift windows: which images that came in have been compared with the usual, and what was found?

Rows are only ever added. A window is named by the numbers of its first and last arrival.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from core.state.clock import now
from core.state.database import reading, writing
from core.state.schema import arrivals, drift_windows, images
from core.state.workspace import Workspace

ACTOR = "drift"  # who lets automatic labelling rest at an alarm


@dataclass(frozen=True)
class DriftWindow:
    """Images that came in one after another, against the calibration images of a plan.

    Attributes:
        first_arrival: number of the first image's arrival.
        last_arrival: of the last one's.
        n_images: different images that were compared.
        result: of `core.triage.drift`, as JSON.
    """

    id: int
    at: str
    model: str
    plan: str | None
    first_arrival: int
    last_arrival: int
    n_images: int
    is_alarm: bool
    result: Mapping[str, Any]


@dataclass(frozen=True)
class TakenImage:
    """An image that came in from the line.

    Attributes:
        id: of its arrival.
        label: that `model` gave; None where none was asked.
    """

    id: int
    at: str
    image_id: int
    label: str | None
    model: str | None


def images_taken(workspace: Workspace, *, since: str = "", first: int = 0) -> list[TakenImage]:
    """Images that came in, in the order in which they came.

    Args:
        since: a time as `core.state.clock` writes it: only what came after it.
        first: only arrivals of this number and above.
    """
    columns = [arrivals.c[name] for name in TakenImage.__dataclass_fields__]
    query = (
        sa.select(*columns)
        .where(
            arrivals.c.status == "taken",
            arrivals.c.image_id.is_not(None),
            arrivals.c.at > since,
            arrivals.c.id >= first,
        )
        .order_by(arrivals.c.id)
    )
    with reading(workspace) as connection:
        return [TakenImage(*row) for row in connection.execute(query)]


def count_taken(workspace: Workspace, *, since: str = "") -> int:
    """How many images came in after a time."""
    query = (
        sa.select(sa.func.count())
        .select_from(arrivals)
        .where(arrivals.c.status == "taken", arrivals.c.at > since)
    )
    with reading(workspace) as connection:
        return connection.execute(query).scalar_one()


def images_of_import(workspace: Workspace, import_id: int) -> np.ndarray:
    """Ids of the images that an import brought, in their order, int64 (n_images,)."""
    query = sa.select(images.c.id).where(images.c.import_id == import_id).order_by(images.c.id)
    with reading(workspace) as connection:
        return np.array(connection.execute(query).scalars().all(), np.int64)


def add_window(
    workspace: Workspace,
    *,
    model: str,
    plan: str,
    first_arrival: int,
    last_arrival: int,
    n_images: int,
    is_alarm: bool,
    result: Mapping[str, Any],
) -> bool:
    """Record a window, unless one of this plan that begins there or later is there already.

    Returns:
        Whether it was recorded: of two processes that look at the same images one is.
    """
    newest = sa.select(sa.func.max(drift_windows.c.first_arrival)).where(
        drift_windows.c.plan == plan
    )
    with writing(workspace) as connection:
        if (connection.execute(newest).scalar() or 0) >= first_arrival:
            return False
        connection.execute(
            drift_windows.insert().values(
                at=now(),
                model=model,
                plan=plan,
                first_arrival=first_arrival,
                last_arrival=last_arrival,
                n_images=n_images,
                is_alarm=is_alarm,
                result=dict(result),
            )
        )
        return True


def list_windows(
    workspace: Workspace, *, plan: str | None = None, limit: int | None = None
) -> list[DriftWindow]:
    """Windows, the newest first.

    Args:
        plan: only those compared with the calibration images of this plan.
    """
    query = sa.select(drift_windows).order_by(drift_windows.c.id.desc()).limit(limit)
    if plan is not None:
        query = query.where(drift_windows.c.plan == plan)
    with reading(workspace) as connection:
        return [DriftWindow(**row._asdict()) for row in connection.execute(query)]
