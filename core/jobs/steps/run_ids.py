"""Run ids: which inputs make a run, so that the same question asked twice has one answer?

Everything that changes a result is among them. Whoever computes a run, and whoever brings one in
from elsewhere, names it by these.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.state import runs


def embedding_id(config: Mapping[str, Any], sha256s: Sequence[str], ids: np.ndarray) -> str:
    """The id of the features of these images.

    Args:
        config: all that shapes a feature: backbone, hash of the weights, preprocessing, version.
        sha256s: of the images' files, in the order of `ids`.
        ids: int64 array (n_images,), ascending.
    """
    contents = hashlib.sha256("".join(sha256s).encode()).hexdigest()
    inputs = {**config, "images": contents, "image_ids": runs.hash_array(ids)}
    return runs.run_id("embedding", inputs)


def projection_id(config: Mapping[str, Any], *, embedding: str, version: int) -> str:
    """The id of a map of an embedding; `config` is its method, seed and parameters."""
    return runs.run_id("projection", {"embedding": embedding, "version": version, **config})


def clustering_id(config: Mapping[str, Any], *, run: str, swept: bool, version: int) -> str:
    """The id of clusters of a run.

    Args:
        config: the method, the space, the number of clusters and the seed.
        run: the embedding or projection that was clustered.
        swept: whether the number of clusters was chosen by a sweep.
    """
    inputs = {"run": run, "version": version, **config, "sweep": swept}
    return runs.run_id("clustering", inputs)


def analysis_id(kind: str, config: Mapping[str, Any], *, run: str, version: int) -> str:
    """The id of an analysis of a run.

    Args:
        kind: of run.
        config: all that was asked, and digests of the labels and whatever else it was computed
            from.
        run: the embedding or projection that was analysed.
        version: of the step.
    """
    return runs.run_id(kind, {"run": run, "version": version, **config})
