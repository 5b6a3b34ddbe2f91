"""The commands of the unsupervised analysis: what each answers, and how each refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.cli import latent
from core.latent.metrics import METRICS
from core.state import labels, runs
from core.state.workspace import Workspace, create_workspace
from tests.blobs import N_PER_CLASS, Blobs, add_blobs

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def line(home: Path) -> Workspace:
    """A workspace of its own, on SQLite."""
    return create_workspace(home / "line-4", name="Line 4")


@pytest.fixture
def blobs(line: Workspace) -> Blobs:
    """Three tight classes, one odd image, one slip."""
    return add_blobs(line)


@pytest.fixture
def ask(line: Workspace, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command in that workspace with `--json`: its exit code and its answer."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        given = [*map(str, arguments), "--workspace", str(line.path)]
        assert main(given) in (0, 1, 2)
        capsys.readouterr()
        code = main([*given, "--json"])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, json.loads(out)

    return run


def test_every_method_is_asked_for_by_its_own_options(ask: Ask, blobs: Blobs) -> None:
    code, said = ask("cluster", "--method", "dbscan", "--eps", 0.2, "--min-samples", 4)
    assert (code, said["n_noise"], said["sizes"]) == (0, 1, [N_PER_CLASS] * 3)
    assert said["ami"] > 0.9
    code, said = ask("cluster", "--method", "agglomerative", "--k", 3, "--components", 3)
    assert (code, said["n_clusters"]) == (0, 3)
    code, said = ask("cluster", "--method", "hdbscan", "--min-cluster-size", 15)
    assert (code, said["method"]) == (0, "hdbscan")
    code, said = ask("cluster", "--largest", 3)
    assert [row["k"] for row in said["sweep"]["rows"]] == [2, 3]


@pytest.mark.parametrize(
    "given",
    [
        ("--eps", "0.5"),
        ("--method", "dbscan", "--k", "3"),
        ("--method", "dbscan", "--eps", "-1"),
        ("--method", "agglomerative", "--metric", "cosine"),  # of Ward's linkage
        ("--k", "3", "--largest", "5"),
        ("--method", "hdbscan", "--largest", "5"),
        ("--components", "1.5"),
        ("--components", "some"),
        ("--components", "2", "--space", "projection"),
        ("--k", "0"),
    ],
)
def test_an_option_of_another_method_is_wrong_usage(
    given: tuple[str, ...], ask: Ask, blobs: Blobs
) -> None:
    code, said = ask("cluster", *given)
    assert (code, said["error"]["title"]) == (2, "Wrong usage.")


def test_silhouettes_come_under_all_eighteen_metrics(ask: Ask, blobs: Blobs) -> None:
    _, clustering = ask("cluster", "--k", 3)
    code, said = ask("silhouette")
    assert (code, said["of"]) == (0, clustering["run"])
    assert set(said["scores"]) == set(METRICS)
    assert said["scores"][said["best"]] == max(
        value for value in said["scores"].values() if value is not None
    )
    code, of_labels = ask("silhouette", "--labels", "--binarise", "median")
    assert (code, of_labels["of"], of_labels["n_groups"]) == (0, "labels", 3)


def test_anomalies_are_lists_of_images(ask: Ask, blobs: Blobs) -> None:
    code, said = ask("anomalies", "--contamination", 0.1)
    assert code == 0
    assert said["density"][0] == said["dbscan"][0] == blobs.odd
    assert set(said["union"]) == {*said["dbscan"], *said["isolation_forest"]}
    assert set(said["both"]) == {*said["dbscan"]} & {*said["isolation_forest"]}
    assert len(said["knn"]) == 6
    assert set(said["thresholds"]) == {"density", "dbscan", "isolation", "knn"}
    code, said = ask("anomalies", "--contamination", 0.9)
    assert (code, said["error"]["title"]) == (2, "Wrong usage.")


def test_doubtful_labels_are_ranked_and_the_list_may_be_short(ask: Ask, blobs: Blobs) -> None:
    code, said = ask("label-errors")
    assert (code, len(said["ranked"]), said["n_issues"]) == (0, 60, 1)
    worst = said["ranked"][0]
    assert (worst["image"], worst["given"], worst["suggested"]) == (blobs.slip, "dirt", "scratch")
    assert worst["name"] == "00059.png"
    assert len(ask("label-errors", "--limit", 2)[1]["ranked"]) == 2


def test_a_layout_is_json_without_numbers_that_are_none(ask: Ask, blobs: Blobs) -> None:
    code, said = ask("layout")
    assert code == 0
    assert [each["label"] for each in said["classes"]] == ["dirt", "drop", "scratch"]
    assert said["separability"][0][0] is None
    assert said["separability"][0][1] > 0.9
    assert said["shifts"][0]["split"] == "train"


def test_sets_are_named_by_label_split_cluster_or_ids(ask: Ask, blobs: Blobs) -> None:
    ask("cluster", "--k", 3)
    some = ",".join(map(str, blobs.ids[:9]))
    for first, second in [
        ("label:drop", "label:scratch"),
        ("split:train", "split:test"),
        ("cluster:0", "cluster:1"),
        (f"ids:{some}", "label:drop"),
    ]:
        code, said = ask("compare-sets", first, second)
        assert code == 0, said
        assert said["verdict"]
    for wrong in ("dirt", "colour:red", "ids:1,x", "cluster:"):
        assert ask("compare-sets", wrong, "label:drop")[0] == 2
    code, said = ask("compare-sets", "label:rust", "label:drop")
    assert (code, "No image of" in said["error"]["title"]) == (1, True)


def test_reach_and_stability_are_measured(ask: Ask, blobs: Blobs) -> None:
    code, said = ask("k-distances", "--min-samples", 4)
    assert (code, said["k"]) == (0, 3)
    ask("cluster", "--k", 3)
    code, said = ask("stability", "--runs", 2)
    assert (code, said["seeds"]["mean"]) == (0, 1.0)


def test_all_of_it_is_answered_at_once_and_listed_among_the_runs(ask: Ask, blobs: Blobs) -> None:
    code, said = ask("analyse")
    assert (code, said["skipped"]) == (0, [])
    listed = {run["id"] for run in ask("runs")[1]["runs"]}
    assert set(said["runs"].values()) < listed
    kinds = {run["kind"] for run in ask("runs", "--kind", "layout")[1]["runs"]}
    assert kinds == {"layout"}


def test_every_kind_of_run_can_be_listed() -> None:
    assert latent._KINDS == runs.KINDS


@pytest.mark.parametrize(
    "command", ["silhouette", "anomalies", "label-errors", "layout", "stability", "analyse"]
)
def test_before_there_is_anything_to_analyse_the_next_step_is_said(command: str, ask: Ask) -> None:
    code, said = ask(command)
    assert code == 1
    assert "Run `python -m core " in said["error"]["next_step"]


def test_without_labels_each_command_says_what_it_lacks(
    ask: Ask, line: Workspace, blobs: Blobs
) -> None:
    labels.relabel(line, blobs.ids, None, actor="Ada")
    code, said = ask("silhouette", "--labels")
    assert (code, said["error"]["title"]) == (1, "No silhouette is defined.")
    code, said = ask("label-errors")
    assert (code, "from two classes on" in said["error"]["title"]) == (1, True)
    code, said = ask("analyse")
    assert (code, len(said["skipped"])) == (0, 2)
