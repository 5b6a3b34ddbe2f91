"""Imports go one way: computation knows no state, state no computation, core no Streamlit."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import PROJECT_ROOT

COMPUTATION = ("core.images", "core.latent", "core.learning", "core.triage")
FOUNDATION = ("core.errors", "core.settings", "core.vocabulary", "core.annotations")
PAGES = ("pages", "app")

# What pages may use: facts and jobs, what turns them into figures and tables, and the few modules
# of computation that hold words and choices only. None of them loads anything heavy: see below.
FOR_PAGES = (
    *FOUNDATION,
    "core.state",
    "core.jobs",
    "core.actions",
    "core.analysis",
    "core.figures",
    "core.palette",
    "core.queries",
    "core.report",
    "core.routes",
    "core.selection",
    "core.images.splits",
    "core.latent.agreement",
    "core.latent.anomalies",
    "core.latent.clustering_methods",
    "core.latent.methods",
    "core.latent.metrics",
    "core.latent.novel_groups",
    "core.learning.recipe",
    "core.triage",
)
HEAVY = (
    *("torch", "torchvision", "umap", "pacmap", "numba", "sklearn", "scipy"),
    *("cv2", "matplotlib", "onnx", "onnxruntime", "pytorch_grad_cam"),
)


def _module_name(path: Path) -> str:
    name = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def _imported(source: str) -> Iterator[str]:
    """Dotted names of all that a source imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports out in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)
            )


def _is_within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


@functools.cache
def _ours() -> dict[str, list[str]]:
    """What each module of the product imports, by the module's name."""
    files = [PROJECT_ROOT / "app.py"]
    for room in ("core", "pages"):
        files += sorted((PROJECT_ROOT / room).rglob("*.py"))
    return {_module_name(file): list(_imported(file.read_text("utf-8"))) for file in files}


def _against_the_rules(
    importers: tuple[str, ...],
    *,
    only: tuple[str, ...] = (),
    never: tuple[str, ...] = (),
) -> list[str]:
    """Imports by `importers` of ours that are not within `only`, or of anything in `never`."""
    found = []
    for module, imported in _ours().items():
        if _is_within(module, importers):
            for name in imported:
                is_ours = _is_within(name, ("core", "pages", "app"))
                if (only and is_ours and not _is_within(name, only)) or _is_within(name, never):
                    found.append(f"{module} imports {name}")
    return found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import core.state.runs as r, os", ["core.state.runs", "os"]),
        ("from core import state", ["core.state"]),
        ("def f():\n    from torch import nn", ["torch.nn"]),
        ("if TYPE_CHECKING:\n    import streamlit", ["streamlit"]),
        ("importlib.import_module('torchvision')", ["torchvision"]),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, names: list[str]) -> None:
    assert list(_imported(source)) == names


def test_every_room_is_looked_at() -> None:
    rooms = {".".join(module.split(".")[:2]) for module in _ours()}
    assert {"core.images", "core.latent", "core.state", "core.jobs", "pages.overview"} <= rooms


def test_computation_takes_arrays_and_values_and_knows_no_state_and_no_jobs() -> None:
    assert _against_the_rules(COMPUTATION, only=(*COMPUTATION, *FOUNDATION)) == []


def test_state_computes_nothing_and_knows_no_jobs() -> None:
    assert _against_the_rules(("core.state",), only=("core.state", *FOUNDATION)) == []


def test_jobs_join_computation_and_state_and_know_no_page_and_no_command_line() -> None:
    allowed = (*COMPUTATION, *FOUNDATION, "core.state", "core.jobs")
    assert _against_the_rules(("core.jobs",), only=allowed) == []


def test_nothing_in_core_imports_streamlit_or_a_page() -> None:
    assert _against_the_rules(("core",), never=("streamlit", "pages", "app")) == []


def test_pages_use_only_what_is_meant_for_them() -> None:
    assert _against_the_rules(PAGES, only=(*FOR_PAGES, "pages")) == []


def test_torchvision_is_imported_in_one_place() -> None:
    importing = {
        module
        for module, imported in _ours().items()
        if any(_is_within(name, ("torchvision",)) for name in imported)
    }
    assert importing == {"core.latent.torch_setup"}


def test_nothing_that_a_page_imports_loads_what_is_heavy() -> None:
    modules = set()
    for module, imported in _ours().items():
        if _is_within(module, PAGES):
            modules |= {name for name in imported if _is_within(name, ("core",))}
    script = """
import importlib, sys
heavy = set(sys.argv[1].split())
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:  # a name within a module
        importlib.import_module(name.rpartition(".")[0])
    if loaded := heavy & set(sys.modules):
        sys.exit(f"{name} loads {', '.join(sorted(loaded))}")
"""
    loading = subprocess.run(
        [sys.executable, "-c", script, " ".join(HEAVY), *sorted(modules)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loading.stderr == ""
    assert loading.returncode == 0
