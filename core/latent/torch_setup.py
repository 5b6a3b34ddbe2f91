"""How is torchvision imported where its compiled operators do not load?

torchvision's published wheel is compiled against torch's CUDA build. Beside torch's CPU build its
`_C` library does not load, the schemas of `torchvision::nms` and `torchvision::qnms` are missing,
and `import torchvision` fails with "operator torchvision::nms does not exist", for it registers
shape functions for just these two. Lacquer uses models and presets only, never these operators, so
declaring the two schemas is enough. Every import of torchvision goes through `import_torchvision`.
"""

import importlib
import importlib.util
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@cache
def import_torchvision() -> ModuleType:
    """torchvision, importable beside any build of torch.

    Raises:
        ImportError: torch or torchvision is not installed.
    """
    import torch

    _load_compiled_operators()
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", schema)
    return importlib.import_module("torchvision")


def _load_compiled_operators() -> None:
    """Load torchvision's own operators where they fit this torch, before anything is declared.

    The order matters: a schema that is declared here and registered again by the library would
    abort its loading. torchvision loads the same library later, which then changes nothing.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    for suffix in EXTENSION_SUFFIXES:
        library = Path(spec.origin).with_name(f"_C{suffix}")
        if library.exists():
            try:
                torch.ops.load_library(str(library))
            except OSError:  # built for another torch: what this module is about
                return
