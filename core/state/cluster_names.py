"""What people call clusters: a name for each, which lasts as long as the clustering."""

from collections.abc import Mapping

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.database import reading, writing
from core.state.schema import cluster_names as names
from core.state.workspace import Workspace
from core.vocabulary import printable

MAX_LENGTH = 80


def name_cluster(workspace: Workspace, run_id: str, cluster: int, name: str) -> None:
    """Call a cluster by a name, in place of an earlier one; a blank name takes it away.

    Args:
        run_id: the clustering's whole id.
        cluster: its number, from 0; -1 for noise.

    Raises:
        OperatorError: the name is longer than 80 characters.
    """
    name = " ".join(printable(name).split())
    if len(name) > MAX_LENGTH:
        raise OperatorError(
            f"A cluster's name has at most {MAX_LENGTH} characters, this one has {len(name)}.",
            next_step="Choose a shorter name.",
        )
    this = (names.c.run_id == run_id) & (names.c.cluster == cluster)
    with writing(workspace) as connection:
        connection.execute(names.delete().where(this))
        if name:
            row = {"run_id": run_id, "cluster": cluster, "name": name}
            connection.execute(names.insert().values(row))


def cluster_names(workspace: Workspace, run_id: str) -> Mapping[int, str]:
    """Names by cluster, of those that have one, ascending."""
    query = sa.select(names.c.cluster, names.c.name).where(names.c.run_id == run_id)
    with reading(workspace) as connection:
        return {row[0]: row[1] for row in connection.execute(query.order_by(names.c.cluster))}
