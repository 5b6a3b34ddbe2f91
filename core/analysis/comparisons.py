"""Do two sets of images differ in the full latent space?"""

from dataclasses import dataclass

import numpy as np

from core.latent.two_sample import TwoSampleTest
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace


@dataclass(frozen=True)
class Comparison:
    """Two sets and what the test of them said.

    Attributes:
        first_name: what a person calls the first set.
        second_name: what a person calls the second.
        first: int64 ids of the first set, ascending.
        second: int64 ids of the second.
        test: figures, `verdict` and `caveats`.
    """

    first_name: str
    second_name: str
    first: np.ndarray
    second: np.ndarray
    test: TwoSampleTest


def list_comparisons(workspace: Workspace, embedding: Run) -> list[Run]:
    """Every comparison in an embedding, newest first."""
    return runs.list_runs(workspace, "comparison", parent_id=embedding.id)


def read_comparison(workspace: Workspace, run: Run) -> Comparison:
    """What a run of kind `comparison` found.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    ids = runs.load_array(workspace, run, "image_ids")
    in_second = runs.load_array(workspace, run, "in_second")
    stored = dict(run.result)
    return Comparison(
        first_name=run.config["first_name"],
        second_name=run.config["second_name"],
        first=ids[~in_second],
        second=ids[in_second],
        test=TwoSampleTest(**{**stored, "caveats": tuple(stored["caveats"])}),
    )
