"""Which images are each image's neighbours? The graph that all analyses of an embedding share."""

from core.latent.neighbor_graph import NeighborGraph
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace


def read_graph(workspace: Workspace, run: Run) -> NeighborGraph:
    """The neighbour graph that a run of kind `graph` keeps; row i is the embedding's row i.

    Its `note` says whether neighbours are exact.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    return NeighborGraph(
        indices=runs.load_array(workspace, run, "indices", mapped=True),
        distances=runs.load_array(workspace, run, "distances", mapped=True),
        metric=run.config["metric"],
        is_exact=run.result["is_exact"],
        recall=run.result["recall"],
    )
