"""How does a backbone become a classifier, and which part of it does a mode of fine-tuning train?

A classifier is a backbone of the registry with a new linear layer in the place of its head. For
`last_block` it is cut in two where the registry says: what runs before the cut never changes, so
its outputs are computed once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.latent.backbones import Backbone, get_backbone
from core.latent.weights import ResolvedWeights, load_backbone, read_state_dict

if TYPE_CHECKING:
    from torch import fx, nn


@dataclass(frozen=True)
class Head:
    """The last linear layer: `features @ weight.T + bias` are the logits.

    Attributes:
        weight: float32 (n_classes, n_features).
        bias: float32 (n_classes,).
    """

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits of features (n_images, n_features): float64 (n_images, n_classes)."""
        return features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias


@dataclass(frozen=True)
class Cut:
    """A classifier in two parts that share their modules with it.

    Attributes:
        frozen: (images,) → the tensors that cross the cut, in evaluation mode.
        trained: the tensors that cross the cut → logits.
    """

    frozen: nn.Module
    trained: nn.Module


def build_classifier(weights: ResolvedWeights, n_classes: int, *, seed: int) -> nn.Module:
    """The network with these weights and a head drawn with `seed`; every parameter trains.

    Raises:
        OperatorError: the file has changed or gone since it was resolved.
    """
    import torch

    entry = get_backbone(weights.backbone)
    network = load_backbone(weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = torch.nn.Linear(entry.n_features, n_classes)
    network.set_submodule(entry.head, head)
    return network.requires_grad_(True)


def load_classifier(path: Path, backbone: Backbone) -> nn.Module:
    """The classifier of a state dict with its head, in evaluation mode on the CPU.

    Raises:
        OperatorError: the file cannot be read, or does not fit the backbone.
    """
    import torch

    from core.latent.backbones import build_network

    head = load_head(path, backbone)
    with torch.device("meta"):
        network = build_network(backbone)
    network.load_state_dict(read_state_dict(path, backbone), assign=True)
    layer = torch.nn.Linear(head.weight.shape[1], head.weight.shape[0])
    layer.load_state_dict(
        {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
    )
    network.set_submodule(backbone.head, layer)
    return network.eval().requires_grad_(False)


def load_head(path: Path, backbone: Backbone) -> Head:
    """The head of a state dict.

    Raises:
        OperatorError: the file cannot be read, or holds no linear head of this backbone.
    """
    from core.latent.weights import read_head

    weight, bias = read_head(path, backbone)
    return Head(weight.numpy(), bias.numpy())


def copy_head_rows(
    network: nn.Module,
    backbone: Backbone,
    head: Head,
    *,
    classes: Sequence[str],
    known: Sequence[str],
) -> None:
    """Let the classes that an earlier model knows begin with what it has learned of them."""
    import torch

    layer = network.get_submodule(backbone.head)
    assert isinstance(layer, torch.nn.Linear)
    with torch.no_grad():
        for row, name in enumerate(classes):
            if name in known:
                place = list(known).index(name)
                layer.weight[row] = torch.from_numpy(head.weight[place])
                layer.bias[row] = float(head.bias[place])


def cut_before_last_block(network: nn.Module, backbone: Backbone) -> Cut:
    """Cut a classifier before the layers that `last_block` trains.

    Algorithm: trace the network in evaluation mode, the trained modules as leaves, so that these
    stay real modules whose dropout and batch normalisation follow `train()`. A step belongs to the
    trained part when it runs a trained module or needs something of that part; what the trained
    part needs of the rest crosses the cut.
    """
    trained_modules = (*backbone.last_block, backbone.head)
    graph = _trace(network.eval(), trained_modules)
    trained = _trained_nodes(graph, trained_modules)
    crossing = [
        node
        for node in graph.nodes
        if node not in trained and node.op != "get_attr" and trained.intersection(node.users)
    ]
    return Cut(
        frozen=_frozen_part(network, graph, crossing).eval(),
        trained=_trained_part(network, graph, crossing),
    )


def freeze(network: nn.Module, backbone: Backbone, mode: str) -> None:
    """Leave only those parameters to train that the mode trains."""
    trained = {
        "full": ("",),
        "last_block": (*backbone.last_block, backbone.head),
        "head": (backbone.head,),
    }[mode]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(any(_is_within(name, prefix) for prefix in trained))


def train_mode(network: nn.Module, *, freeze_batch_norm: bool) -> None:
    """Training mode, but batch normalisation that does not train stays in evaluation mode.

    Its running statistics would drift away from the frozen weights they belong to.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            own = [parameter.requires_grad for parameter in module.parameters(recurse=False)]
            if freeze_batch_norm or not any(own):
                module.eval()


def _is_within(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(f"{prefix}.")


def _trace(network: nn.Module, leaves: Sequence[str]) -> fx.Graph:
    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, module: nn.Module, name: str) -> bool:
            return name in leaves or super().is_leaf_module(module, name)

    return Tracer().trace(network)


def _trained_nodes(graph: fx.Graph, modules: Sequence[str]) -> set[fx.Node]:
    trained: set[fx.Node] = set()
    for node in graph.nodes:
        runs_one = node.op == "call_module" and any(
            _is_within(str(node.target), module) for module in modules
        )
        if runs_one or trained.intersection(node.all_input_nodes):
            trained.add(node)
    return trained


def _frozen_part(network: nn.Module, graph: fx.Graph, crossing: Sequence[fx.Node]) -> nn.Module:
    """All that leads to the crossing tensors, and no more: it is (images,) → those tensors."""
    return _part(network, graph, inputs=[], outputs=crossing)


def _trained_part(network: nn.Module, graph: fx.Graph, crossing: Sequence[fx.Node]) -> nn.Module:
    """All that leads from the crossing tensors to the logits."""
    logits = next(iter(reversed(graph.nodes))).all_input_nodes
    return _part(network, graph, inputs=crossing, outputs=logits)


def _part(
    network: nn.Module, graph: fx.Graph, *, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> nn.Module:
    """The steps that lead from some nodes to others, sharing their modules with the whole."""
    from torch import fx

    needed: set[fx.Node] = set()
    ahead = list(outputs)
    while ahead:
        node = ahead.pop()
        if node not in needed:
            needed.add(node)
            ahead += [] if node in inputs else node.all_input_nodes
    part = fx.Graph()
    copied = {node: part.placeholder(node.name) for node in inputs}
    for node in graph.nodes:
        if node in needed and node not in copied:
            copied[node] = part.node_copy(node, copied.__getitem__)
    results = tuple(copied[node] for node in outputs)
    part.output(results if not inputs else results[0])
    return fx.GraphModule(network, part)
