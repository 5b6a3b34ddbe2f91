"""What was acknowledged survives the sudden death of the process that wrote it."""

import signal
import subprocess
import sys

import pytest

from core.settings import PROJECT_ROOT
from core.state import catalog, labels
from core.state.database import check_integrity
from core.state.workspace import Workspace, open_workspace
from tests.factories import fill, new_image

_WRITE_AND_ACKNOWLEDGE = """
import sys
from pathlib import Path
from core.state import catalog, labels
from core.state.workspace import open_workspace
workspace = open_workspace(Path(sys.argv[1]))
ids = catalog.image_ids(workspace).tolist()
number = 0
while True:
    number += 1
    batch = labels.relabel(workspace, ids, f"label {number}", actor="eve")
    print(batch.id, flush=True)
"""


@pytest.mark.parametrize("n_acknowledged", [1, 7, 25])
def test_every_acknowledged_change_survives_the_killing_of_its_writer(
    workspace: Workspace, n_acknowledged: int
) -> None:
    ids = fill(workspace, *(new_image(number) for number in range(20)))
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITE_AND_ACKNOWLEDGE, str(workspace.path)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout
    acknowledged = [int(writer.stdout.readline()) for _ in range(n_acknowledged)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
    assert writer.wait(30) == -signal.SIGKILL

    again = open_workspace(workspace.path)
    stored = labels.list_batches(again, limit=10_000)[::-1]
    assert [batch.id for batch in stored][: len(acknowledged)] == acknowledged
    assert all(batch.n_changes == len(ids) for batch in stored)  # whole batches only
    newest = f"label {len(stored)}"
    assert {image.label for image in catalog.list_images(again)} == {newest}
    assert check_integrity(again) == []
    assert labels.relabel(again, ids, "after", actor="adam").n_changes == len(ids)
