"""Runs: one answer to one question, and no row that points at a missing file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import OperatorError
from core.settings import PROJECT_ROOT
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace

_DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from core.state import runs
from core.state.workspace import open_workspace
workspace = open_workspace(Path(sys.argv[1]))
with runs.new_artefact(workspace, "embedding", sys.argv[2]) as folder:
    np.save(folder / "vectors.npy", np.zeros((3, 2), np.float32))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _compute(
    workspace: Workspace, kind: str, inputs: dict, *, parent: Run | None = None, value: float = 1.0
) -> Run:
    id = runs.run_id(kind, inputs)
    with runs.new_artefact(workspace, kind, id) as folder:
        np.save(folder / "vectors.npy", np.full((3, 2), value, np.float32))
    return runs.add_run(
        workspace,
        id=id,
        kind=kind,
        parent_id=parent.id if parent else None,
        config=inputs,
        result={"value": value},
        n_images=3,
        actor="tester",
        job_id=None,
    )


def _entries(workspace: Workspace, kind: str) -> list[str]:
    return sorted(entry.name for entry in (workspace.path / f"{kind}s").iterdir())


def test_the_same_question_has_the_same_id_however_it_is_written() -> None:
    id = runs.run_id("projection", {"seed": 0, "method": "pca", "of": [1, 2]})
    assert id == runs.run_id("projection", {"method": "pca", "of": (1, 2), "seed": 0})
    assert id.startswith("projection-")
    others = [
        runs.run_id("projection", {"seed": 1, "method": "pca", "of": [1, 2]}),
        runs.run_id("projection", {"seed": 0, "method": "pca", "of": [2, 1]}),
        runs.run_id("clustering", {"seed": 0, "method": "pca", "of": [1, 2]}),
    ]
    assert len({id, *others}) == 4


def test_an_unknown_kind_of_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of embedding, .* got 'map'"):
        runs.run_id("map", {})


def test_arrays_that_differ_in_value_type_or_shape_have_different_hashes() -> None:
    zeros = np.zeros((2, 3), np.float32)
    others = [zeros + 1, zeros.T, zeros.ravel(), zeros.astype(np.int32), zeros[:, :2]]
    hashes = {runs.hash_array(array) for array in [zeros, *others]}
    assert len(hashes) == 6
    assert runs.hash_array(zeros) == runs.hash_array(np.asfortranarray(zeros))


def test_a_run_is_found_again_with_its_arrays(workspace: Workspace) -> None:
    run = _compute(workspace, "embedding", {"backbone": "tiny"})
    assert runs.find_run(workspace, run.id) == run
    assert runs.find_run(workspace, "embedding-none") is None
    assert runs.get_run(workspace, run.id[:-4]) == run
    assert (run.config, run.result) == ({"backbone": "tiny"}, {"value": 1.0})
    for mapped in (False, True):
        vectors = runs.load_array(workspace, run, "vectors", mapped=mapped)
        assert vectors.tolist() == [[1, 1]] * 3


def test_a_beginning_that_fits_no_run_or_several_names_none(workspace: Workspace) -> None:
    _compute(workspace, "embedding", {"seed": 1})
    _compute(workspace, "embedding", {"seed": 2})
    for start, says in [("embedding-", "More than one run"), ("x", "No run"), ("%", "No run")]:
        with pytest.raises(OperatorError, match=f"{says} begins with"):
            runs.get_run(workspace, start)


def test_a_run_that_is_recorded_stays_as_it_was_recorded(workspace: Workspace) -> None:
    first = _compute(workspace, "embedding", {"seed": 1}, value=1.0)
    assert _compute(workspace, "embedding", {"seed": 1}, value=2.0) == first
    assert runs.list_runs(workspace) == [first]


def test_arrays_computed_again_take_the_place_of_the_old_ones(workspace: Workspace) -> None:
    run = _compute(workspace, "embedding", {"seed": 1}, value=1.0)
    _compute(workspace, "embedding", {"seed": 1}, value=2.0)
    assert runs.load_array(workspace, run, "vectors")[0, 0] == 2.0
    assert _entries(workspace, "embedding") == [run.id]


def test_a_computation_that_raises_leaves_nothing_behind(workspace: Workspace) -> None:
    def fail_half_way() -> None:
        with runs.new_artefact(workspace, "embedding", "embedding-1") as folder:
            np.save(folder / "vectors.npy", np.zeros(3))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    assert _entries(workspace, "embedding") == []


def test_a_killed_computation_leaves_no_run_and_the_next_one_sweeps_up(
    workspace: Workspace,
) -> None:
    inputs = {"backbone": "tiny"}
    id = runs.run_id("embedding", inputs)
    died = subprocess.run(
        [sys.executable, "-c", _DIE_WHILE_WRITING, str(workspace.path), id],
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert not runs.artefact_folder(workspace, id).exists()
    assert runs.list_runs(workspace) == []
    [left] = _entries(workspace, "embedding")
    assert left.startswith(".")

    _compute(workspace, "embedding", inputs)
    assert _entries(workspace, "embedding") == [id]


def test_what_a_living_process_is_writing_is_not_swept(workspace: Workspace) -> None:
    id = runs.run_id("embedding", {})
    final = runs.artefact_folder(workspace, id)
    other = final.with_name(f"{runs._prefix(final)}{os.getppid()}")
    other.mkdir(parents=True)
    _compute(workspace, "embedding", {})
    assert _entries(workspace, "embedding") == sorted([id, other.name])


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage", "pickled"])
def test_a_damaged_array_is_for_a_person_to_mend(
    workspace: Workspace, damage: str, mapped: bool
) -> None:
    run = _compute(workspace, "embedding", {})
    path = runs.artefact_folder(workspace, run.id) / "vectors.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "garbage":
        path.write_bytes(bytes(range(256)))
    else:
        np.save(path, np.array([{}], dtype=object))
    with pytest.raises(OperatorError, match=r"vectors.npy of embedding-.* cannot be read") as told:
        runs.load_array(workspace, run, "vectors", mapped=mapped)
    assert "compute it again" in told.value.next_step


def test_runs_are_listed_by_kind_and_parent_and_the_newest_comes_first(
    workspace: Workspace,
) -> None:
    embedding = _compute(workspace, "embedding", {})
    first = _compute(workspace, "projection", {"seed": 1}, parent=embedding)
    second = _compute(workspace, "projection", {"seed": 2}, parent=embedding)
    cluster = _compute(workspace, "clustering", {}, parent=first)
    assert len(runs.list_runs(workspace)) == 4
    listed = runs.list_runs(workspace, "projection", parent_id=embedding.id)
    assert [run.created_at for run in listed] == sorted(
        (first.created_at, second.created_at), reverse=True
    )
    assert {run.id for run in listed} == {first.id, second.id}
    assert runs.list_runs(workspace, parent_id=first.id) == [cluster]
    assert runs.list_runs(workspace, "clustering") == [cluster]


def test_deleting_a_run_deletes_what_was_computed_from_it(workspace: Workspace) -> None:
    kept = _compute(workspace, "embedding", {"seed": 0})
    embedding = _compute(workspace, "embedding", {"seed": 1})
    projection = _compute(workspace, "projection", {}, parent=embedding)
    clustering = _compute(workspace, "clustering", {}, parent=projection)
    gone = runs.delete_run(workspace, embedding.id)
    assert set(gone) == {embedding.id, projection.id, clustering.id}
    assert runs.list_runs(workspace) == [kept]
    assert not any(runs.artefact_folder(workspace, id).exists() for id in gone)
    assert runs.load_array(workspace, kept, "vectors").shape == (3, 2)


def test_a_run_that_is_not_there_cannot_be_deleted_nor_a_path_outside(
    workspace: Workspace, tmp_path: Path
) -> None:
    outside = tmp_path / "embeddings" / "embedding-x"
    outside.mkdir(parents=True)
    for id in ("embedding-none", "../../embedding-x"):
        with pytest.raises(OperatorError, match="No run"):
            runs.delete_run(workspace, id)
    assert outside.exists()
