"""Clusters have the names that people give them, as long as they are there."""

import numpy as np
import pytest

from core.errors import OperatorError
from core.state import runs
from core.state.cluster_names import cluster_names, name_cluster
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.factories import fill, new_image
from tests.samples import fake_clustering, keep_embedding


@pytest.fixture
def clustering(workspace: Workspace) -> Run:
    """Three clusters of three images."""
    ids = fill(workspace, *(new_image(number) for number in range(3)))
    vectors = np.column_stack([np.eye(3), np.arange(3)]).astype(np.float32)
    return fake_clustering(workspace, keep_embedding(workspace, np.array(ids), vectors))


def test_a_name_replaces_an_earlier_one_and_a_blank_takes_it_away(
    workspace: Workspace, clustering: Run
) -> None:
    assert cluster_names(workspace, clustering.id) == {}
    name_cluster(workspace, clustering.id, 2, "long scratches")
    name_cluster(workspace, clustering.id, -1, "odd ones")
    name_cluster(workspace, clustering.id, 2, "  fine \n scratches ")
    assert list(cluster_names(workspace, clustering.id).items()) == [
        (-1, "odd ones"),
        (2, "fine scratches"),
    ]
    name_cluster(workspace, clustering.id, 2, " ")
    assert cluster_names(workspace, clustering.id) == {-1: "odd ones"}


def test_a_name_may_not_be_endless(workspace: Workspace, clustering: Run) -> None:
    name_cluster(workspace, clustering.id, 0, "x" * 80)
    with pytest.raises(OperatorError, match="at most 80 characters, this one has 81"):
        name_cluster(workspace, clustering.id, 0, "x" * 81)
    assert cluster_names(workspace, clustering.id) == {0: "x" * 80}


def test_names_go_with_their_clustering(workspace: Workspace, clustering: Run) -> None:
    name_cluster(workspace, clustering.id, 0, "dirt")
    assert clustering.parent_id is not None
    runs.delete_run(workspace, clustering.parent_id)
    assert cluster_names(workspace, clustering.id) == {}
