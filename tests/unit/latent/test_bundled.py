"""The backbone that comes with the app is whole, small, described, and refused once damaged."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from core.errors import OperatorError
from core.latent.backbones import BUNDLED, build_network, get_backbone, load_preprocessing
from core.latent.bundled import BUNDLED_FOLDER, LOG_FILE, find_bundled, read_manifest
from core.latent.weights import read_state_dict

MOST_BYTES = 12_000_000


def test_it_is_the_file_that_its_manifest_names_and_at_most_twelve_megabytes() -> None:
    path, sha256 = find_bundled()
    manifest = read_manifest()
    assert (path.name, sha256) == (manifest["file"], manifest["sha256"])
    assert path.stat().st_size == manifest["n_bytes"]
    assert sum(file.stat().st_size for file in BUNDLED_FOLDER.iterdir()) <= MOST_BYTES


def test_it_is_stored_in_half_precision_and_read_in_single() -> None:
    from safetensors.torch import load_file

    path, _ = find_bundled()
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    backbone = get_backbone(BUNDLED)
    state = read_state_dict(path, backbone)
    build_network(backbone).load_state_dict(state)
    floats = [tensor for tensor in state.values() if tensor.is_floating_point()]
    assert {tensor.dtype for tensor in floats} == {torch.float32}


def test_what_its_input_has_to_be_is_recorded_with_it() -> None:
    preprocessing = load_preprocessing(get_backbone(BUNDLED))
    recorded = read_manifest()["preprocessing"]
    assert recorded["size_px"] == preprocessing.size_px
    assert tuple(recorded["mean"]) == preprocessing.mean
    assert tuple(recorded["std"]) == preprocessing.std
    assert recorded["interpolation"] == preprocessing.interpolation


def test_its_training_log_has_a_line_for_each_epoch_and_its_error_fell() -> None:
    lines = [json.loads(line) for line in (BUNDLED_FOLDER / LOG_FILE).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, read_manifest()["epochs"] + 1))
    assert lines[-1]["statistics_error"] < 0.5
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_its_card_names_the_file_the_licence_and_the_command() -> None:
    card = (BUNDLED_FOLDER / "README.md").read_text()
    manifest = read_manifest()
    for told in (manifest["file"], manifest["licence"], "make backbone", manifest["sha256"][:16]):
        assert told in card


def test_a_damaged_or_missing_file_is_said_and_never_used(tmp_path: Path) -> None:
    folder = tmp_path / "backbone"
    shutil.copytree(BUNDLED_FOLDER, folder)
    path = folder / read_manifest()["file"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(OperatorError, match="damaged or missing"):
        find_bundled(folder)
    path.unlink()
    with pytest.raises(OperatorError, match="damaged or missing"):
        find_bundled(folder)
