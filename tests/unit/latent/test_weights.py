"""Weights are looked for in a stated order, checked before they are used, and never unpickled."""

import hashlib
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import OperatorError
from core.latent import weights as weights_module
from core.latent.backbones import BACKBONES, BUNDLED, build_network, get_backbone
from core.latent.torch_setup import import_torchvision
from core.latent.weights import (
    bundled_weights,
    load_backbone,
    random_weights,
    read_state_dict,
    resolve_weights,
)

BACKBONE = "mobilenet_v2"
PUBLISHED = [name for name, backbone in BACKBONES.items() if backbone.weights]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return import_torchvision().models.mobilenet_v2(weights=None).state_dict()


@pytest.fixture(scope="module")
def saved(state, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "state.pth"
    torch.save(state, path)
    return path.read_bytes()


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Publish a file under a name as torchvision would, here as a file:// URL."""

    def publish_file(content: bytes, *, digits: str | None = None) -> str:
        digits = digits or hashlib.sha256(content).hexdigest()[:8]
        path = tmp_path / "published" / f"{BACKBONE}-{digits}.pth"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        monkeypatch.setattr(weights_module, "published_url", lambda backbone: path.as_uri())
        return path.name

    return publish_file


def place(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_placed_file_comes_before_the_cache_and_the_download(tmp_path, cache, saved, publish):
    name = publish(saved)
    place(cache, name, saved)
    mine = place(tmp_path / "mine", "paint-Mobilenet_v2_tuned.pth", saved)
    found = resolve_weights(BACKBONE, weights_dirs=[tmp_path / "none", mine.parent])
    assert (found.source, found.path) == ("file", mine)
    assert found.sha256 == hashlib.sha256(saved).hexdigest()
    assert found.notice == ""


def test_the_cache_comes_before_the_download(cache, saved, publish):
    path = place(cache, publish(saved), saved)
    found = resolve_weights(BACKBONE, cache_dir=cache)
    assert (found.source, found.path) == ("cache", path)


def test_a_cached_file_with_a_wrong_hash_is_not_used(cache, saved, publish):
    path = place(cache, publish(saved), saved[:-1] + b"?")
    assert resolve_weights(BACKBONE, cache_dir=cache, offline=True).source == "bundled"
    found = resolve_weights(BACKBONE, cache_dir=cache)
    assert (found.source, found.path) == ("download", path)
    assert path.read_bytes() == saved


def test_a_download_with_the_right_hash_is_kept_and_reports_progress(cache, saved, publish):
    name = publish(saved)
    seen = []
    found = resolve_weights(
        BACKBONE, cache_dir=cache, on_progress=lambda fraction, step: seen.append(fraction)
    )
    assert (found.source, found.path) == ("download", cache / name)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert [path.name for path in cache.iterdir()] == [name]


def test_a_download_with_a_wrong_hash_is_thrown_away(cache, saved, publish):
    publish(saved, digits="00000000")
    found = resolve_weights(BACKBONE, cache_dir=cache)
    assert found.source == "bundled"
    assert "00000000" in found.notice
    assert list(cache.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up(cache, monkeypatch):
    url = "http://127.0.0.1:9/mobilenet_v2-00000000.pth"
    monkeypatch.setattr(weights_module, "published_url", lambda backbone: url)
    found = resolve_weights(BACKBONE, cache_dir=cache, timeout_s=1)
    assert found.source == "bundled"
    assert "the download failed" in found.notice


def test_offline_without_a_file_the_bundled_backbone_stands_in_and_says_so(cache, saved, publish):
    publish(saved)
    found = resolve_weights(BACKBONE, cache_dir=cache, offline=True)
    assert (found.asked_backbone, found.backbone, found.source) == (BACKBONE, BUNDLED, "bundled")
    assert "No weights of MobileNet-V2 were found, and this machine works offline." in found.notice
    assert "generated" in found.notice
    assert not cache.exists()


def test_the_bundled_backbone_runs_where_it_is_asked_for_and_says_what_it_is(tmp_path):
    found = resolve_weights(BUNDLED, weights_dirs=[tmp_path], offline=False)
    assert (found.asked_backbone, found.backbone, found.source) == (BUNDLED, BUNDLED, "bundled")
    assert "No weights" not in found.notice
    assert "generated" in found.notice
    network = load_backbone(found)
    features = network(torch.rand(2, 3, 64, 64))
    assert features.shape == (2, get_backbone(BUNDLED).n_features)
    assert features.isfinite().all()


def test_a_file_placed_for_the_bundled_backbone_comes_before_its_own(tmp_path):
    path = bundled_weights().path
    mine = place(tmp_path / "mine", f"{BUNDLED}-longer.safetensors", path.read_bytes())
    found = resolve_weights(BUNDLED, weights_dirs=[mine.parent], offline=True)
    assert (found.source, found.path, found.notice) == ("file", mine, "")


def test_random_networks_of_one_seed_are_the_same_and_of_two_differ():
    def features(seed: int) -> torch.Tensor:
        found = random_weights(BACKBONE, seed=seed)
        network = load_backbone(found)
        return network(torch.ones(1, 3, 64, 64)), found.sha256

    (first, first_hash), (again, again_hash), (other, other_hash) = (
        features(seed) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert first_hash == again_hash != other_hash
    assert not torch.allclose(first, other)
    assert first.std() > 0.01  # neither vanished nor exploded on the way


@pytest.mark.parametrize(
    ("name", "backbone"),
    [("wide_resnet50_2-95faca4d.pth", "resnet50"), ("vgg16_bn.pth", "vgg16"),
     ("mobilenet_v2.txt", BACKBONE), ("resnet50.pth", BACKBONE), ("resnet50.pth", "resnet18"),
     ("fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", "resnet50"), ("vit_b_32.pth", "vit_b_16"),
     ("resnet50-0676ba61.pth", "fasterrcnn_resnet50_fpn"), ("swin_v2_t.pth", "swin_t"),
     ("fasterrcnn_resnet50_fpn_v2_coco.pth", "fasterrcnn_resnet50_fpn"),
     ("maxvit_t.pth", "swin_t"), ("swin_t-taught_by_resnet50.pth", "resnet50")],
)  # fmt: skip
def test_a_file_of_another_network_is_not_taken(tmp_path, name, backbone):
    place(tmp_path, name, b"")
    assert resolve_weights(backbone, weights_dirs=[tmp_path], offline=True).source != "file"


def test_safetensors_load_like_a_state_dict(tmp_path, state):
    save_file(state, tmp_path / "mobilenet_v2.safetensors")
    network = load_backbone(resolve_weights(BACKBONE, weights_dirs=[tmp_path]))
    assert torch.equal(network.state_dict()["features.0.0.weight"], state["features.0.0.weight"])


def test_a_head_of_other_classes_and_half_precision_are_fine(tmp_path, state):
    tuned = {key: value.half() for key, value in state.items() if "num_batches" not in key}
    tuned |= {"classifier.1.weight": torch.zeros(3, 1280), "classifier.1.bias": torch.zeros(3)}
    torch.save(tuned, tmp_path / "mobilenet_v2.pth")
    network = load_backbone(resolve_weights(BACKBONE, weights_dirs=[tmp_path]))
    assert not network.training
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1280)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features.0.0.weight": None}, "features.0.0.weight is missing"),
        (
            {"features.0.0.weight": torch.zeros(1, 3, 3, 3)},
            r"features.0.0.weight is \(1, 3, 3, 3\), expected \(32, 3, 3, 3\)",
        ),
        ({"extra": torch.zeros(1)}, "extra is unknown"),
    ],
)
def test_a_state_dict_that_does_not_fit_names_file_and_first_mismatch(
    tmp_path, state, change, words
):
    changed = {key: value for key, value in (state | change).items() if value is not None}
    torch.save(changed, tmp_path / "mobilenet_v2-mine.pth")
    with pytest.raises(OperatorError, match=f"mobilenet_v2-mine.pth does not fit.*{words}"):
        resolve_weights(BACKBONE, weights_dirs=[tmp_path])


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("a weights file was unpickled",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mobilenet_v2.pth", pickle.dumps(Exploding(), protocol=2)),
        ("mobilenet_v2.pth", b"not weights at all"),
        ("mobilenet_v2.pth", b""),
        ("mobilenet_v2.safetensors", b"not weights at all"),
    ],
    ids=["pickled code", "text", "empty", "text as safetensors"],
)
def test_a_file_that_is_no_state_dict_is_refused_and_not_run(tmp_path, name, content):
    place(tmp_path, name, content)
    with pytest.raises(OperatorError, match=f"{name} cannot be read"):
        resolve_weights(BACKBONE, weights_dirs=[tmp_path])


def test_a_truncated_state_dict_is_refused(tmp_path, saved):
    place(tmp_path, "mobilenet_v2.pth", saved[: len(saved) // 2])
    with pytest.raises(OperatorError, match="cannot be read"):
        resolve_weights(BACKBONE, weights_dirs=[tmp_path])


def test_a_whole_model_is_no_state_dict(tmp_path):
    path = tmp_path / "mobilenet_v2.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(OperatorError, match="no state dict"):
        read_state_dict(path, get_backbone(BACKBONE))


def test_a_file_that_changed_since_it_was_resolved_is_not_run(tmp_path, saved):
    place(tmp_path, "mobilenet_v2.pth", saved)
    found = resolve_weights(BACKBONE, weights_dirs=[tmp_path])
    with pytest.raises(OperatorError, match="has changed"):
        load_backbone(replace(found, sha256="0" * 64))


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_a_file_called_as_it_is_published_or_after_the_backbone_is_found(tmp_path, backbone):
    entry = get_backbone(backbone)
    published = Path(weights_module.published_url(entry)).name
    for name in (published, f"{backbone}-taught_by_wide_resnet50_2.pth"):
        torch.save(shaped_state(backbone), place(tmp_path / name, name, b""))
        found = resolve_weights(backbone, weights_dirs=[tmp_path / name], offline=True)
        assert found.path == tmp_path / name / name


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_a_users_own_file_fits_whatever_its_number_of_classes(tmp_path, backbone):
    torch.save(shaped_state(backbone, num_classes=3), tmp_path / "mine.pth")
    found = resolve_weights(backbone, file=tmp_path / "mine.pth")
    assert (found.source, found.path) == ("file", tmp_path / "mine.pth")
    with torch.device("meta"):
        expected = build_network(get_backbone(backbone)).state_dict()
    state = read_state_dict(tmp_path / "mine.pth", get_backbone(backbone))
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in expected.items()
    }


@pytest.mark.parametrize(
    ("of", "other", "words"),
    [
        ("resnet34", "resnet18", "layer1.2.conv1.weight is unknown"),
        ("resnet18", "resnet34", "layer1.2.conv1.weight is missing"),
        ("resnet50", "fasterrcnn_resnet50_fpn", "backbone.body.conv1.weight is missing"),
        ("fasterrcnn_resnet50_fpn", "resnet50", "conv1.weight is missing"),
        ("mobilenet_v2", "efficientnet_b0", "features.1.0.block.0.0.weight is missing"),
        ("swin_t", "convnext_tiny", "features.0.1.weight is missing"),
    ],
)
def test_the_weights_of_one_network_fit_no_other(tmp_path, of, other, words):
    torch.save(shaped_state(of), tmp_path / "mine.pth")
    with pytest.raises(OperatorError, match=f"mine.pth does not fit .*{words}"):
        resolve_weights(other, file=tmp_path / "mine.pth")


@pytest.mark.parametrize(
    ("backbone", "new", "old"),
    [
        ("vit_b_16", ".mlp.0.", ".mlp.linear_1."),
        ("vit_b_16", ".mlp.3.", ".mlp.linear_2."),
        ("fasterrcnn_resnet50_fpn", "inner_blocks.0.0.", "inner_blocks.0."),
        ("fasterrcnn_resnet50_fpn", "layer_blocks.3.0.", "layer_blocks.3."),
    ],
)
def test_the_names_of_older_files_are_those_that_torchvision_knows(tmp_path, backbone, new, old):
    state = shaped_state(backbone, num_classes=3)
    older = {key.replace(new, old): value for key, value in state.items()}
    assert older.keys() != state.keys()
    with torch.device("meta"):
        torchvisions_own(backbone, num_classes=3).load_state_dict(older, assign=True)
    torch.save(older, tmp_path / "older.pth")
    assert read_state_dict(tmp_path / "older.pth", get_backbone(backbone)).keys() <= state.keys()


def test_the_published_detector_has_frozen_normalisation_without_counters(tmp_path):
    state = shaped_state("fasterrcnn_resnet50_fpn")
    published = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    torch.save(published, tmp_path / "frozen.pth")
    read = read_state_dict(tmp_path / "frozen.pth", get_backbone("fasterrcnn_resnet50_fpn"))
    assert not any(key.startswith(("rpn.", "roi_heads.")) for key in read)


def test_the_file_asked_for_comes_before_all_others(tmp_path, cache, saved, publish):
    place(cache, publish(saved), saved)
    place(tmp_path / "placed", "mobilenet_v2.pth", saved)
    mine = place(tmp_path, "whatever-i-call-it.bin", saved)
    found = resolve_weights(
        BACKBONE, file=mine, weights_dirs=[tmp_path / "placed"], cache_dir=cache
    )
    assert (found.source, found.path) == ("file", mine)
    assert found.sha256 == hashlib.sha256(saved).hexdigest()


def test_a_file_asked_for_that_is_not_there_is_named_and_nothing_else_is_taken(tmp_path, saved):
    place(tmp_path, "mobilenet_v2.pth", saved)
    with pytest.raises(OperatorError, match=r"There is no weights file .*gone.pth"):
        resolve_weights(BACKBONE, file=tmp_path / "gone.pth", weights_dirs=[tmp_path])


WRAPPED = {
    "data parallel": lambda state: prefixed(state, "module."),
    "a training framework": lambda state: {"state_dict": prefixed(state, "model."), "epoch": 3},
    "a compiled model": lambda state: prefixed(state, "_orig_mod."),
    "several at once": lambda state: {"model": prefixed(state, "module._orig_mod.")},
    "a checkpoint": lambda state: {"model_state_dict": state, "optimizer": {"lr": 0.1}},
    "a model of one's own": lambda state: (
        prefixed(state, "backbone.") | {"head.weight": torch.zeros(3, 5)}
    ),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("backbone", [BACKBONE, "fasterrcnn_resnet50_fpn"])
def test_what_a_wrapper_puts_around_a_state_dict_is_taken_off(tmp_path, backbone, wrap):
    state = shaped_state(backbone)
    first = next(iter(state))
    state[first] = torch.rand(state[first].shape)
    torch.save(wrap(state), tmp_path / "wrapped.pth")
    read = read_state_dict(tmp_path / "wrapped.pth", get_backbone(backbone))
    assert torch.equal(read[first], state[first])


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda state: prefixed(state, "teacher."), r"features.0.0.weight is missing"),
        (lambda state: state | prefixed(state, "module."), "more than one such network"),
        (lambda state: state | {"module.extra": torch.zeros(1)}, "module.extra is unknown"),
    ],
    ids=["an unknown wrapper", "two networks", "something beside a bare network"],
)
def test_any_other_names_are_refused_and_the_first_mismatch_named(tmp_path, wrap, words):
    torch.save(wrap(shaped_state(BACKBONE)), tmp_path / "other.pth")
    with pytest.raises(OperatorError, match=words):
        resolve_weights(BACKBONE, file=tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda value: value * torch.nan, "holds values that are not finite"),
        (lambda value: value / 0, "holds values that are not finite"),
        (lambda value: value.double() * 1e300, "holds values that are not finite"),
        (lambda value: value.to(torch.int8), "holds torch.int8, expected torch.float32"),
        (lambda value: value.to_sparse(), "holds no state dict"),
    ],
    ids=["not a number", "infinite", "beyond float32", "whole numbers", "sparse"],
)
def test_values_that_give_no_features_are_refused(tmp_path, damage, words):
    state = shaped_state(BACKBONE)
    state["features.0.0.weight"] = damage(torch.ones(state["features.0.0.weight"].shape))
    torch.save(state, tmp_path / "mine.pth")
    with pytest.raises(OperatorError, match=words):
        resolve_weights(BACKBONE, file=tmp_path / "mine.pth")


def test_a_file_that_unpacks_to_more_than_it_is_is_refused_before_it_is_read(tmp_path):
    torch.save({"zeros": torch.zeros(1_000_000)}, tmp_path / "zeros.pth")
    with (
        zipfile.ZipFile(tmp_path / "zeros.pth") as archive,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in archive.infolist():
            packed.writestr(entry.filename, archive.read(entry))
    with pytest.raises(OperatorError, match="unpacks to more than it is"):
        resolve_weights(BACKBONE, file=tmp_path / "bomb.pth")


def shaped_state(backbone: str, **options: int) -> dict[str, torch.Tensor]:
    """A state dict of torchvision's own model, all ones, which takes no room on disk."""
    with torch.device("meta"):
        state = torchvisions_own(backbone, **options).state_dict()
    return {
        key: torch.ones((), dtype=value.dtype).expand(value.shape) for key, value in state.items()
    }


def torchvisions_own(backbone: str, **options: int) -> torch.nn.Module:
    """The whole model that torchvision builds, a detector with all its parts."""
    if backbone == "fasterrcnn_resnet50_fpn":
        options["weights_backbone"] = None
    return import_torchvision().models.get_model(backbone, weights=None, **options)


def prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}
