"""Embedding with weights of one's own: chosen by name or path, told apart, refused with words."""

import hashlib
from pathlib import Path

import pytest
import torch

from core.__main__ import main
from core.jobs.configs import EmbedImages
from core.latent.torch_setup import import_torchvision
from core.state import job_rows, own_weights, runs
from core.state.workspace import Workspace, create_workspace
from tests.samples import do, import_folder, write_images

BACKBONE = "mobilenet_v2"


@pytest.fixture
def workspace(home: Path, tmp_path: Path) -> Workspace:
    """Three images, of which a random network can tell nothing but that they differ."""
    workspace = create_workspace(home / "paint-shop", name="Paint shop")
    import_folder(workspace, write_images(tmp_path / "line", n_per_class=1))
    return workspace


def save_state(path: Path, *, seed: int) -> str:
    """Save a state dict of this network; its hash."""
    torch.manual_seed(seed)
    torch.save(import_torchvision().models.mobilenet_v2(weights=None).state_dict(), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_of_ones_own_gives_a_run_of_its_own(workspace: Workspace) -> None:
    folder = own_weights.folder(workspace)
    hashes = [save_state(folder / f"{BACKBONE}-{name}.pth", seed=i) for i, name in enumerate("ab")]
    by_itself = do(workspace, EmbedImages(BACKBONE)).result
    a, b = (
        do(workspace, EmbedImages(BACKBONE, weights=f"{BACKBONE}-{x}.pth")).result for x in "ab"
    )
    assert by_itself["run"] == a["run"] != b["run"]
    assert [used["weights"]["sha256"] for used in (a, b)] == hashes
    assert [used["weights"]["file"] for used in (a, b)] == [f"{BACKBONE}-{x}.pth" for x in "ab"]
    assert (a["n_reused"], b["n_reused"]) == (3, 0)
    features = [runs.load_array(workspace, run, "vectors") for run in runs.list_runs(workspace)]
    assert (features[0] != features[1]).any()


def test_a_file_that_is_gone_or_does_not_fit_fails_with_words(workspace: Workspace) -> None:
    save_state(own_weights.folder(workspace) / "resnet18-mine.pth", seed=0)
    gone = do(workspace, EmbedImages(BACKBONE, weights="mobilenet_v2-gone.pth"))
    assert gone.status == "failed"
    assert "There is no weights file" in gone.error["title"]
    misfit = do(workspace, EmbedImages("resnet18", weights="resnet18-mine.pth"))
    assert (misfit.status, misfit.error["title"]) == (
        "failed",
        "The weights file resnet18-mine.pth does not fit ResNet-18.",
    )
    assert misfit.error["detail"] == "conv1.weight is missing."
    assert runs.list_runs(workspace) == []


def test_the_command_line_takes_a_path_from_where_one_stands(
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sha256 = save_state(tmp_path / "mine.pth", seed=0)
    monkeypatch.chdir(tmp_path)
    where = ["--workspace", str(workspace.path)]
    assert main(["embed", "--backbone", BACKBONE, "--weights", "mine.pth", *where]) == 0
    assert f"file mine.pth, sha256 {sha256[:16]}" in capsys.readouterr().out
    assert job_rows.list_jobs(workspace)[0].config["weights"] == str(tmp_path / "mine.pth")
    assert main(["embed", "--backbone", BACKBONE, "--weights", "gone.pth", *where]) == 1
    assert "There is no weights file" in capsys.readouterr().err
