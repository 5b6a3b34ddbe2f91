"""Take images in that a person has dropped into the browser, and say what the model makes of each.

They go the way of a line's images, and are queued or labelled as those are. The answer holds what
the page shows besides: all probabilities, the nearest images, and by then the heat map is there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import OperatorError
from core.images.arrivals import Arrival
from core.jobs.configs import AnswerDropped, ExplainImage
from core.jobs.context import JobContext
from core.jobs.steps import explain_image
from core.jobs.steps.inbox import Inbox, TakenIn
from core.jobs.steps.part_of_job import PartOfJob
from core.state import uploads
from core.state.arrivals import DROPPED
from core.state.models import Model
from core.vocabulary import printable

N_NEAREST = 5


def run(context: JobContext, config: AnswerDropped) -> Mapping[str, Any]:
    """Answer the files in their order; what is no image is told with its reason.

    Raises:
        OperatorError: the model that is at work cannot be read.
        ValueError: a file is no upload of this workspace.
    """
    paths = [Path(path) for path, _ in config.files]
    for path in paths:
        if not uploads.is_upload(context.workspace, path):
            raise ValueError(f"{path} is no upload of {context.workspace.name}")
    context.report(0.0, "Getting ready")
    inbox = Inbox(context, DROPPED, device=config.device)
    files = [
        # The name of an upload is never used twice: it is what tells two files of one name apart.
        Arrival(path, printable(name), path.stem, _sent_at(path))
        for path, (_, name) in zip(paths, config.files, strict=True)
    ]
    (done,) = inbox.take([files], is_refused=lambda _: True)
    model = inbox.responder.model
    answers = []
    for place, each in enumerate(done):
        context.report(0.5 + 0.5 * place / len(done), "Looking at the image")
        answers.append(_told(context, model, each))
    for path in paths:
        uploads.discard(context.workspace, path)
    return {"model": model.id if model else None, "answers": answers}


def _told(context: JobContext, model: Model | None, done: TakenIn) -> dict[str, Any]:
    arrival, answered = done.arrival, done.answered
    told: dict[str, Any] = {
        "arrival": arrival.id,
        "name": arrival.path,
        "status": arrival.status,
        "reason": arrival.reason,
        "image": arrival.image_id,
    }
    if answered is None:
        return told
    answer = answered.answer
    told |= {
        "label": answer.label,
        "confidence": answer.confidence,
        "novelty": answer.novelty,
        # What was there already keeps its label: the model only says what it would have done.
        "route": arrival.route or answer.route,
        "probabilities": list(answered.probabilities),
        "classes": list(model.classes) if model else [],
        "nearest": [near for near in answered.nearest if near != arrival.image_id][:N_NEAREST],
        "has_heat_map": False,
    }
    if model is not None and arrival.image_id is not None:
        told["has_heat_map"] = _explain(context, model, arrival.image_id)
    return told


def _explain(context: JobContext, model: Model, image_id: int) -> bool:
    """Draw the heat map; an answer without one is an answer too."""
    try:
        explain_image.run(PartOfJob(context, 0.5, 1.0), ExplainImage(model.id, image_id))
    except OperatorError:
        return False
    return True


def _sent_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # an attempt that was killed has used it up
        return time.time()
