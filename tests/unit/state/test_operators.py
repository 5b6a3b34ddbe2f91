"""Eight people at one queue, each in a process of their own, one of them killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from core.settings import PROJECT_ROOT
from core.state import catalog, decisions, labels, triage_queue
from core.state.workspace import Workspace
from tests.factories import fill_many

N_ITEMS = int(os.environ.get("LACQUER_TEST_ITEMS", "300"))
N_PEOPLE = 8

# A person decides by the image's id, and notes what was acknowledged. Leases are short, so that
# what the killed one holds comes free while the others still work.
_OPERATOR = """
import json, sys, time
from pathlib import Path
from core.state import decisions, triage_queue
from core.state.decisions import Entry
from core.state.workspace import open_workspace
triage_queue.LEASE_S = 3.0
workspace, me = open_workspace(Path(sys.argv[1])), sys.argv[2]
seq = 0
with open(sys.argv[3], "w") as acknowledged:
    while not Path(sys.argv[4]).exists():  # until all are here
        time.sleep(0.01)
    while True:
        items = triage_queue.lease(workspace, actor=me, n=10, order="oldest")
        if not items:
            if not triage_queue.progress(workspace, actor=me).n_pending:
                break
            time.sleep(0.2)
        for item in items:
            seq += 1
            label = ("dirt", "drop", "scratch")[item.image_id % 3]
            entry = Entry(f"tab of {me}", seq, item.id, "label", label, item.seen)
            outcome = decisions.decide(workspace, entry, actor=me)
            said = {"seq": seq, "item": item.id, "standing": outcome.standing}
            print(json.dumps(said), file=acknowledged, flush=True)
"""


def test_no_item_is_lost_or_decided_twice_unseen_when_one_of_eight_is_killed(
    workspace: Workspace, tmp_path: Path
) -> None:
    images = fill_many(workspace, N_ITEMS)
    labels.set_queued(workspace, images, True, actor="line")
    people = [f"person {number}" for number in range(N_PEOPLE)]
    notes = {person: tmp_path / f"{person}.jsonl" for person in people}
    processes = {
        person: subprocess.Popen(
            [
                *(sys.executable, "-c", _OPERATOR, str(workspace.path), person),
                *(str(notes[person]), str(tmp_path / "go")),
            ],
            cwd=PROJECT_ROOT,
        )
        for person in people
    }
    for note in notes.values():
        _wait_for_lines([note], 0)
    (tmp_path / "go").touch()
    # Whoever is first: nothing promises that a given one gets its turn before all is decided.
    killed = people[_wait_for_lines([notes[person] for person in people], 5)]
    processes[killed].send_signal(signal.SIGKILL)
    assert processes[killed].wait() == -signal.SIGKILL
    assert triage_queue.progress(workspace, actor="").n_leased_by_others  # it held some
    others = [person for person in people if person != killed]
    for person in others:
        assert processes[person].wait() == 0

    said = {person: _lines(note) for person, note in notes.items()}
    kept = decisions.list_decisions(workspace)
    kept_by = Counter(each.actor for each in kept)
    for person in others:
        assert len(said[person]) == kept_by[person]
    assert 0 <= kept_by[killed] - len(said[killed]) <= 1  # written, and killed before it was told
    assert {each.image_id for each in kept} == set(images)
    of_item = Counter(each.item_id for each in kept)
    late = {each.item_id for each in kept if each.standing in ("agreed", "conflict")}
    assert {item for item, n in of_item.items() if n > 1} <= late
    assert triage_queue.progress(workspace, actor="").n_pending == 0
    given = {image.id: image.label for image in catalog.list_images(workspace, limit=N_ITEMS)}
    assert given == {image: ("dirt", "drop", "scratch")[image % 3] for image in images}


def _wait_for_lines(notes: list[Path], n: int, *, timeout_s: float = 120) -> int:
    """The place of the first note that has `n` lines."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for place, note in enumerate(notes):
            if note.exists() and note.read_text().count("\n") >= n:
                return place
        time.sleep(0.005)
    raise TimeoutError(f"none of {len(notes)} notes has {n} lines after {timeout_s} s")


def _lines(note: Path) -> list[dict]:
    """Whole lines; the one that a kill has cut is none."""
    return [
        json.loads(line) for line in note.read_text().splitlines(keepends=True) if line[-1] == "\n"
    ]
