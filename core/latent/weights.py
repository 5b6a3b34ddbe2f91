"""Which weights does a backbone run with, and where do they come from?

`resolve_weights` looks in this order: the file that is asked for, a file the user placed, torch's
own cache, torchvision's download, and at last the backbone that comes with the app, another
network, always with a notice. What was asked for and what was found are both recorded, the weights
by their sha256. Nothing is ever unpickled: state dicts load with `weights_only=True` or from
safetensors.

A user's own file may hold the state dict bare, as an entry of a checkpoint, and with the names that
a wrapper puts before those of the network (data parallel training, a training framework, a compiled
model, a model of one's own that has the network as its `backbone`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import urllib.request
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from core.errors import OperatorError
from core.latent.backbones import (
    BUNDLED,
    Backbone,
    build_network,
    current_names,
    get_backbone,
    published_url,
)
from core.latent.bundled import find_bundled, sha256_of
from core.latent.random_network import draw_random_network
from core.latent.torch_setup import import_torchvision

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

Source = Literal["file", "cache", "download", "bundled", "random", "model"]

_SUFFIXES = (".pth", ".pt", ".safetensors")
_ENTRIES = ("state_dict", "model", "model_state_dict")  # of a checkpoint, that hold a state dict
_WRAPPERS = re.compile(r"((module|model|net|backbone|_orig_mod)\.)*")
_DOWNLOAD_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class ResolvedWeights:
    """What a backbone runs with.

    Attributes:
        asked_backbone: the backbone that was asked for.
        backbone: the backbone that runs.
        source: where the weights come from; `bundled` means with the app, `model` that they were
            fine-tuned here, `random` that nothing was learned.
        path: the file they were read from, None for `random`.
        sha256: hash of that file; for `random`, of architecture and seed.
        seed: what a random network is drawn with, None otherwise.
        notice: what everyone who sees these features must be told; empty if nothing.
    """

    asked_backbone: str
    backbone: str
    source: Source
    path: Path | None
    sha256: str
    seed: int | None = None
    notice: str = ""


def resolve_weights(
    backbone: str,
    *,
    file: Path | None = None,
    weights_dirs: Sequence[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
    timeout_s: float = 10.0,
    on_progress: Callable[[float, str], None] | None = None,
) -> ResolvedWeights:
    """Find weights for a backbone, the user's own before the published ones.

    Where there are none, the bundled backbone stands in: `backbone` of what is returned is then
    not what was asked for, and `notice` says so. Who compares backbones has to refuse it.

    In `weights_dirs` a file counts whose name holds the backbone's, such as
    `mobilenet_v2-imagenet.pth`; in a folder, the first by name is taken. Its head is not used and
    may have any number of classes.

    Args:
        backbone: a name of the registry.
        file: the user's own weights, whatever their name; nothing else is looked at then.
        weights_dirs: folders the user places weights in, searched in this order.
        cache_dir: where published weights are kept; torch's own cache if None.
        offline: never download.
        timeout_s: seconds without an answer after which a download is given up.
        on_progress: called during a download with its fraction in [0, 1] and a line of text.

    Raises:
        ValueError: there is no such backbone.
        OperatorError: a file the user placed or asks for is not there, cannot be read, or does
            not fit the backbone; or the bundled weights are damaged.
    """
    entry = get_backbone(backbone)
    if file is not None and not file.is_file():
        raise OperatorError(
            f"There is no weights file {file}.", next_step="Check its name and where it lies."
        )
    own = file or _find_placed(entry, weights_dirs)
    if own is not None:
        read_state_dict(own, entry)
        return _resolved(entry, "file", own)
    if entry.name == BUNDLED:
        return bundled_weights()

    url = published_url(entry)
    cached = (cache_dir or torch_cache()) / PurePosixPath(urlparse(url).path).name
    if cached.is_file():
        if _hash_matches(cached):
            return _resolved(entry, "cache", cached)
        log.warning("%s is damaged: its hash is not the one in its name; it is not used", cached)

    reason = "this machine works offline"
    if not offline:
        try:
            _download(url, cached, timeout_s=timeout_s, on_progress=on_progress)
            return _resolved(entry, "download", cached)
        except (OSError, HTTPException, _WrongHashError) as error:
            reason = f"the download failed ({error})"
            log.warning("weights of %s: %s", entry.name, reason)
    return bundled_weights(instead_of=entry, reason=reason)


def bundled_weights(*, instead_of: Backbone | None = None, reason: str = "") -> ResolvedWeights:
    """The weights that come with the app.

    Args:
        instead_of: the backbone that was asked for and has no weights; none if these were.
        reason: why there are none, as the end of a sentence.

    Raises:
        OperatorError: the file is missing or damaged.
    """
    path, sha256 = find_bundled()
    title = get_backbone(BUNDLED).title
    asked = BUNDLED
    notice = (
        f"{title} ran, the small network that comes with the app. It was trained on generated "
        "pictures alone: it tells textures and flaws on surfaces apart, and objects less well than "
        "a network that was trained on photographs."
    )
    if instead_of is not None:
        asked = instead_of.name
        notice = (
            f"No weights of {instead_of.title} were found, and {reason}. {notice} Place a weights "
            "file in the workspace's weights folder, or go online once, and run this again."
        )
        log.info("weights of %s: none, and %s; %s runs", asked, reason, BUNDLED)
    return ResolvedWeights(asked, BUNDLED, "bundled", path, sha256, notice=notice)


def random_weights(backbone: str, *, seed: int = 0) -> ResolvedWeights:
    """A network that has learned nothing, to measure others against.

    Raises:
        ValueError: there is no such backbone.
    """
    entry = get_backbone(backbone)
    return ResolvedWeights(
        asked_backbone=entry.name,
        backbone=entry.name,
        source="random",
        path=None,
        sha256=hashlib.sha256(f"random {entry.builder} seed={seed}".encode()).hexdigest(),
        seed=seed,
        notice=f"This {entry.title} is random: it has learned nothing.",
    )


def load_backbone(resolved: ResolvedWeights, *, device: str = "cpu") -> nn.Module:
    """The network in evaluation mode: (n, 3, h, w) float32 → (n, n_features) float32.

    Raises:
        OperatorError: the file has changed or gone since it was resolved.
    """
    import torch

    entry = get_backbone(resolved.backbone)
    if resolved.path is None:
        network = draw_random_network(entry, seed=resolved.seed or 0)
    else:
        if not resolved.path.is_file() or sha256_of(resolved.path) != resolved.sha256:
            raise OperatorError(
                f"The weights file {resolved.path.name} has changed.",
                f"{resolved.path} is not the file that this run began with.",
                "Start the run again.",
            )
        with torch.device("meta"):
            network = build_network(entry)
        network.load_state_dict(read_state_dict(resolved.path, entry), assign=True)
    return network.eval().requires_grad_(False).to(device)


def read_state_dict(path: Path, backbone: Backbone) -> dict[str, torch.Tensor]:
    """The float32 state dict of a file without the head, checked against the backbone.

    Raises:
        OperatorError: the file cannot be read, or does not fit; the first mismatch is named.
    """
    import torch

    with torch.device("meta"):
        expected = build_network(backbone).state_dict()
    state = {
        current_names(backbone, key): tensor
        for key, tensor in _without_wrapper(_read_tensors(path), path, backbone, expected).items()
    }
    fitting = {}
    for key, wanted in expected.items():
        if key.endswith("num_batches_tracked"):  # counts training steps: unused here
            state[key] = torch.zeros((), dtype=torch.int64)
        if key not in state:
            raise _misfit(path, backbone, f"{key} is missing")
        found = state[key]
        if found.shape != wanted.shape:
            shapes = f"{tuple(found.shape)}, expected {tuple(wanted.shape)}"
            raise _misfit(path, backbone, f"{key} is {shapes}")
        if found.is_floating_point() != wanted.is_floating_point():
            raise _misfit(path, backbone, f"{key} holds {found.dtype}, expected {wanted.dtype}")
        fitting[key] = found.to(wanted.dtype)
        if not fitting[key].isfinite().all():
            raise _misfit(path, backbone, f"{key} holds values that are not finite")
    not_used = (f"{backbone.head}.", *backbone.unused)
    for key in state:
        if key not in expected and not key.startswith(not_used):
            raise _misfit(path, backbone, f"{key} is unknown")
    return fitting


def read_head(path: Path, backbone: Backbone) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (n_classes, n_features) and bias (n_classes,) of a file's head, float32.

    Raises:
        OperatorError: the file cannot be read, or holds no such linear layer.
    """
    import torch

    state = _read_tensors(path)
    found = {}
    for name, n_dimensions in (("weight", 2), ("bias", 1)):
        own = f"{backbone.head}.{name}"
        endings = [
            key for key in state if key.endswith(own) and _WRAPPERS.fullmatch(key.removesuffix(own))
        ]
        if not endings:
            raise _misfit(path, backbone, f"{own} is missing")
        tensor = state[endings[0]]
        if tensor.ndim != n_dimensions or not tensor.is_floating_point():
            raise _misfit(path, backbone, f"{endings[0]} is no part of a linear layer")
        if not tensor.isfinite().all():
            raise _misfit(path, backbone, f"{endings[0]} holds values that are not finite")
        found[name] = tensor.to(torch.float32).contiguous()
    weight, bias = found["weight"], found["bias"]
    if weight.shape != (len(bias), backbone.n_features):
        raise _misfit(
            path,
            backbone,
            f"{backbone.head}.weight is {tuple(weight.shape)}, expected "
            f"({len(bias)}, {backbone.n_features})",
        )
    return weight, bias


def model_weights(backbone: str, path: Path, sha256: str) -> ResolvedWeights:
    """The weights of a model that was fine-tuned here."""
    return ResolvedWeights(backbone, backbone, "model", path, sha256)


def _without_wrapper(
    state: dict[str, torch.Tensor],
    path: Path,
    backbone: Backbone,
    expected: Mapping[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """The network's own part of a state dict, under the network's own names.

    What stands beside a wrapped network, such as a head or a loss of the user's, is not used.
    """
    first = next(iter(expected))
    before = [key.removesuffix(first) for key in state if key.endswith(first)]
    wrappers = [wrapper for wrapper in before if _WRAPPERS.fullmatch(wrapper)]
    if len(wrappers) > 1:
        keys = " and ".join(wrapper + first for wrapper in wrappers[:2])
        raise _misfit(path, backbone, f"It holds more than one such network: {keys}")
    wrapper = wrappers[0] if wrappers else ""
    return {
        key.removeprefix(wrapper): tensor
        for key, tensor in state.items()
        if key.startswith(wrapper)
    }


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    content: Any
    try:
        if path.suffix.lower() == ".safetensors":
            content = load_file(path)
        else:
            if _is_packed(path):
                raise _unreadable(path, "It unpacks to more than it is: weights are never packed.")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise _unreadable(path, str(error)) from error
    except (pickle.UnpicklingError, SafetensorError, zipfile.BadZipFile) as error:
        raise _unreadable(path, "It is damaged or holds more than tensors.") from error
    if isinstance(content, Mapping):
        entries = [content[name] for name in _ENTRIES if isinstance(content.get(name), Mapping)]
        content = entries[0] if entries else content
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and _is_plain_tensor(value) for key, value in content.items()
    ):
        raise _unreadable(path, "It holds no state dict: a mapping of names to tensors.")
    return dict(content)


def _is_packed(path: Path) -> bool:
    """Whether a file is an archive that takes more memory than disk; torch's own never does."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size


def _is_plain_tensor(value: object) -> bool:
    import torch

    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )


def _unreadable(path: Path, detail: str) -> OperatorError:
    first_line = detail.partition("\n")[0]
    return OperatorError(
        f"The weights file {path.name} cannot be read.",
        first_line,
        "Save it with torch.save(model.state_dict(), path) or as safetensors, or remove it.",
    )


def _misfit(path: Path, backbone: Backbone, detail: str) -> OperatorError:
    return OperatorError(
        f"The weights file {path.name} does not fit {backbone.title}.",
        f"{detail}.",
        "Choose the network that it belongs to; a file that is found by its name has to be renamed "
        "or removed.",
    )


def _find_placed(backbone: Backbone, folders: Sequence[Path]) -> Path | None:
    """The first file named after the backbone, and not after one whose name holds the backbone's.

    "wide_resnet50_2.pth" and "vgg16_bn.pth" are no weights of resnet50 and vgg16: what stands
    before the first hyphen decides where it is the name of a torchvision model, else the longest
    such name within the file's name.
    """
    known = {*import_torchvision().models.list_models(), backbone.builder}
    builders = sorted(known, key=lambda name: (-len(name), name))
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                stem = path.stem.lower()
                begins = stem.partition("-")[0]
                within = begins if begins in builders else stem
                if next((name for name in builders if name in within), None) == backbone.builder:
                    return path
    return None


def _resolved(backbone: Backbone, source: Source, path: Path) -> ResolvedWeights:
    log.info("weights of %s: %s (%s)", backbone.name, path, source)
    return ResolvedWeights(
        asked_backbone=backbone.name,
        backbone=backbone.name,
        source=source,
        path=path,
        sha256=sha256_of(path),
    )


def torch_cache() -> Path:
    """Where torch keeps what it downloads, as `torch.hub` says it, without loading torch."""
    cache = Path(os.getenv("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(os.getenv("TORCH_HOME", str(cache))).expanduser() / "hub" / "checkpoints"


def _expected_digits(path: Path) -> str:
    """The first digits of the hash, which torchvision writes into the file's name."""
    match = re.search(r"-([0-9a-f]{8,})\.", path.name)
    if match is None:
        raise ValueError(f"{path.name} does not carry its hash: expected name-<8 digits>.pth")
    return match.group(1)


def _hash_matches(path: Path) -> bool:
    return sha256_of(path).startswith(_expected_digits(path))


class _WrongHashError(Exception):
    pass


def _download(
    url: str,
    target: Path,
    *,
    timeout_s: float,
    on_progress: Callable[[float, str], None] | None,
) -> None:
    """Fetch a file beside its place, check its hash, then move it there.

    torch.hub would do the same without a time limit, and hang where a firewall drops packets.
    """
    digits = _expected_digits(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response, beside.open("wb") as file:
            n_bytes = int(response.headers.get("Content-Length") or 0)
            while block := response.read(_DOWNLOAD_BLOCK_BYTES):
                file.write(block)
                digest.update(block)
                if on_progress is not None and n_bytes:
                    on_progress(min(1.0, file.tell() / n_bytes), f"Downloading {target.name}")
        if not digest.hexdigest().startswith(digits):
            raise _WrongHashError(f"{url} has hash {digest.hexdigest()[:8]}, expected {digits}")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
