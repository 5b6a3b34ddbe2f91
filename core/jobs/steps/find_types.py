"""New types of defects: strange images that are alike, and more images like a few examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import FindCandidates, GroupStrange
from core.jobs.context import JobContext
from core.jobs.steps.feature_chunks import Chunks
from core.jobs.steps.recording import Found, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import get_embedding
from core.learning.evaluation import encode_targets
from core.state import catalog, runs
from core.state.knowledge import labelled_by_people, load_knowledge
from core.state.label_book import find_entry, list_offered
from core.state.runs import Run
from core.state.workspace import Workspace

_N_KNOWN, _N_LEFT_OUT, _MOST_LEFT_OUT = 1_500, 600, 5  # so that an answer takes seconds
FEWEST_EXAMPLES = 3
MOST_KNOWN = 0.01  # share of the images of other types that may look as much like a suggested one
VERSION = 1  # part of every run's id: raise it when the same input gives other groups


@dataclass(frozen=True)
class _Known:
    """What people have said of the images of an embedding.

    Attributes:
        ids: int64 (n_images,).
        features: float32 (n_images, n_features).
        labels: by image, None where no person has given it one.
        is_open: bool (n_images,), images that wait for a label and may take part.
        digest: changes with the labels and the types.
    """

    ids: np.ndarray
    features: np.ndarray
    labels: tuple[str | None, ...]
    is_open: np.ndarray
    types: tuple[str, ...]
    digest: str

    def rows_of(self, types: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of images of these types, and their places among the types that have any."""
        targets = encode_targets(self.labels, types)
        rows = np.flatnonzero(targets >= 0)
        return rows, np.unique(targets[rows], return_inverse=True)[1]

    def told_apart(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of a type's images; rows of the others' and their places, as `rows_of`."""
        others = tuple(each for each in self.types if each != name)
        return self.rows_of((name,))[0], *self.rows_of(others)


def group_strange(context: JobContext, config: GroupStrange) -> Mapping[str, Any]:
    """Group the images that are like none of the types, and keep that as a run.

    Raises:
        OperatorError: there is no such embedding, or people have labelled too few images.
    """
    workspace = context.workspace
    embedding = get_embedding(workspace, config.embedding)
    known = _load(workspace, embedding)
    asked = {"most_known": config.most_known, "seed": config.seed, "labels": known.digest}
    done = record(
        context,
        kind="novel_groups",
        id=analysis_id("novel_groups", asked, run=embedding.id, version=VERSION),
        parent=embedding,
        config=asked,
        compute=lambda: _group(known, config),
    )
    return {"run": done.id, **done.result}


def _group(known: _Known, config: GroupStrange) -> Found:
    from core.latent.novel_groups import USUAL, find_novel_groups

    rows, targets = known.rows_of(known.types)
    asked = np.flatnonzero(known.is_open)
    if len(rows) < 10 or not len(asked):
        raise OperatorError(
            f"{len(rows):,} images are labelled by people, {len(asked):,} wait for a label.",
            "What is strange is told by what is known, from ten images on.",
            "Label some images, or import more without labels.",
        )
    found = find_novel_groups(
        known.features[asked],
        known.features[rows],
        targets,
        most_known=config.most_known,
        seed=config.seed,
    )
    sizes = np.bincount(found.groups[found.groups >= 0])
    result = {
        "n_known": found.n_known,
        "n_looked_at": len(asked),
        "n_strange": int((found.groups != USUAL).sum()),
        "sizes": sizes.tolist(),
    }
    arrays = {
        "groups": found.groups,
        "novelty": found.novelty,
        "known_share": found.known_share,
    }
    return Found(known.ids[asked], arrays, result)


def find_candidates(context: JobContext, config: FindCandidates) -> Mapping[str, Any]:
    """Rank the images that wait for a label by how likely they are of one type.

    Raises:
        OperatorError: there is no such type or embedding, no image shows the type, or nothing is
            known that it could be told from.
    """
    from core.latent.vectors import draw_subset
    from core.learning.prototypes import left_out_shares, rank_candidates

    workspace = context.workspace
    find_entry(workspace, config.name)
    embedding = get_embedding(workspace, config.embedding)
    known = _load(workspace, embedding)
    context.report(0.1, "Learning where the type lies")
    examples, rows, targets = known.told_apart(config.name)
    if not len(examples) or not len(rows):  # nothing to tell it by, or from
        raise OperatorError(
            f"{len(examples):,} images show {config.name}, {len(rows):,} show other types.",
            "A type is told by its images, and from those of others.",
            "Label images of both, and embed them.",
        )
    rows, targets = _some(rows, targets)
    asked = np.flatnonzero(known.is_open)
    ranked = rank_candidates(
        known.features[examples], known.features[rows], targets, known.features[asked]
    )
    context.report(0.6, "Leaving each example out in turn")
    some = draw_subset(len(rows), _N_LEFT_OUT, seed=0)
    left_out = left_out_shares(
        known.features[examples],
        known.features[rows[some]],
        np.unique(targets[some], return_inverse=True)[1],
        most=_MOST_LEFT_OUT,
    )
    shown = ranked.order[: config.n_most]
    return {
        "name": config.name,
        "embedding": embedding.id,
        "n_examples": len(examples),
        "n_known": len(rows),
        "n_looked_at": len(asked),
        "n_likely": int((ranked.scores > 0).sum()),
        "left_out": [round(share, 6) for share in left_out],
        "candidates": [
            {
                "image": int(known.ids[asked[place]]),
                "score": round(float(ranked.scores[place]), 4),
                "known_share": round(float(ranked.known_share[place]), 6),
            }
            for place in shown.tolist()
        ],
    }


def suggest_new(
    workspace: Workspace, classes: Sequence[str], embedding: Run, features: np.ndarray
) -> list[str | None]:
    """The type that a model does not know yet and that an image is likely of, if there is one.

    A type works by its images alone from three on, until a training has learned it. Images that
    came in from the line show it as soon as people have said so, before an embedding has them.

    Args:
        classes: those that the model knows.
        embedding: whose images show the types.
        features: float array (n_images, n_features), made like those of the embedding.
    """
    from core.learning.prototypes import rank_candidates

    suggested: list[str | None] = [None] * len(features)
    new_names = [name for name in list_offered(workspace) if name not in classes]
    if not new_names or not len(features):
        return suggested
    known = _load(workspace, embedding)
    arrived = _shown_by_arrivals(workspace, embedding, known)
    best = np.zeros(len(features))
    for name in new_names:
        of_name, rows, targets = known.told_apart(name)
        examples = np.concatenate([known.features[of_name], *arrived.get(name, ())])
        if len(examples) < FEWEST_EXAMPLES or not len(rows):
            continue
        rows, targets = _some(rows, targets)
        ranked = rank_candidates(examples, known.features[rows], targets, features)
        is_likely = (ranked.scores > best) & (ranked.known_share <= MOST_KNOWN)
        best[is_likely] = ranked.scores[is_likely]
        for row in np.flatnonzero(is_likely).tolist():
            suggested[row] = name
    return suggested


def _shown_by_arrivals(
    workspace: Workspace, embedding: Run, known: _Known
) -> dict[str, list[np.ndarray]]:
    """Features (1, n_features) by label, of images that came in since the embedding was made."""
    chunks = Chunks(workspace, embedding.config).load()
    features = {
        int(image_id): vector[None]
        for ids, vectors in chunks
        for image_id, vector in zip(ids, vectors, strict=True)
    }
    ids = np.setdiff1d(np.array(list(features), np.int64), known.ids)
    ids = ids[labelled_by_people(workspace, ids)]
    by_label: dict[str, list[np.ndarray]] = {}
    for image_id, label in zip(ids.tolist(), catalog.column(workspace, ids, "label"), strict=True):
        by_label.setdefault(label, []).append(features[image_id])
    return by_label


def _some(rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `_N_KNOWN` of the known images, drawn at random, and their classes."""
    from core.latent.vectors import draw_subset

    kept = draw_subset(len(rows), _N_KNOWN, seed=0)
    return rows[kept], np.unique(targets[kept], return_inverse=True)[1]


def _load(workspace: Workspace, embedding: Run) -> _Known:
    ids = runs.load_array(workspace, embedding, "image_ids")
    knowledge = load_knowledge(workspace, ids)
    is_given = labelled_by_people(workspace, ids)
    labels = tuple(
        label if given else None
        for label, given in zip(knowledge.labels, is_given.tolist(), strict=True)
    )
    is_taking_part = np.array(catalog.column(workspace, ids, "condition")) == "ok"
    types = tuple(list_offered(workspace))
    digest = hashlib.sha256(json.dumps([labels, types]).encode()).hexdigest()[:16]
    return _Known(
        ids=ids,
        features=np.asarray(runs.load_array(workspace, embedding, "vectors", mapped=True)),
        labels=labels,
        is_open=~is_given & is_taking_part,
        types=types,
        digest=digest,
    )
