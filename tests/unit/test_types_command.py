"""The command `types`: what each verb answers, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.state import catalog
from core.state.workspace import Workspace, create_workspace
from tests.factories import fill, new_image
from tests.samples import keep_embedding

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def shop(home: Path) -> Workspace:
    """Twelve drops, twelve scratches, and six images of a third kind without a label."""
    workspace = create_workspace(home / "shop", name="Shop")
    kinds = np.repeat([0, 1, 2], [12, 12, 6])
    given = ("drop", "scratch", None)
    ids = fill(workspace, *(new_image(n, label=given[k]) for n, k in enumerate(kinds.tolist())))
    vectors = np.random.default_rng(0).normal(0, 0.1, (len(ids), 6)).astype(np.float32)
    vectors[np.arange(len(ids)), kinds] += 3
    keep_embedding(workspace, np.array(ids), vectors)
    return workspace


@pytest.fixture
def ask(shop: Workspace, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a verb of `types` with `--json`: its exit code and its answer."""

    def run(*given: object) -> tuple[int, dict[str, Any]]:
        where = ("--workspace", str(shop.path), "--as", "Ada", "--json")
        code = main(["types", *map(str, given), *where])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_type_goes_through_its_whole_life(shop: Workspace, ask: Ask) -> None:
    code, strange = ask("strange")
    assert (code, strange["sizes"]) == (0, [6])
    fresh = strange["groups"][0]
    assert ask("add", "blister", *fresh[:3], "--definition", "Raised.")[1]["n_images"] == 3
    found = ask("candidates", "blister", "--most", 3)[1]
    assert {each["image"] for each in found["candidates"]} == set(fresh[3:])
    assert ask("define", "blister", "--key", "b")[0] == 0
    assert ask("rename", "blister", "bubble")[1]["to"] == "bubble"
    assert ask("effects", "bubble")[1]["n_images"] == 3
    assert ask("split", "bubble", "crater", fresh[0])[1]["n_images"] == 1
    merged = ask("merge", "bubble", "crater")[1]
    assert ask("undo", merged["change"])[1]["n_restored"] == 2
    assert ask("retire", "crater")[0] == 0
    rows = {row["name"]: row for row in ask("list")[1]["types"]}
    assert (rows["bubble"]["n_images"], rows["bubble"]["key"]) == (2, "b")
    assert (rows["bubble"]["definition"], rows["crater"]["is_retired"]) == ("Raised.", True)
    assert ask("bring-back", "crater")[0] == 0
    assert catalog.get_image(shop, fresh[0]).label == "crater"


@pytest.mark.parametrize(
    "given",
    [("rename", "rust", "blister"), ("merge", "drop", "drop"), ("undo", 99), ("effects", "rust")],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(given: tuple, ask: Ask) -> None:
    before = ask("list")
    assert ask(*given)[0] == 1
    assert ask("list") == before
