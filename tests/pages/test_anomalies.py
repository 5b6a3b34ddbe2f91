"""Anomalies: scores with a threshold to move, the worst images first, each with its reason."""

import json
from typing import Any

import numpy as np
import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core.analysis.anomalies import Anomalies, read_anomalies
from core.jobs.configs import FindAnomalies, from_json
from core.latent.anomalies import METHODS
from core.state import catalog, job_rows, labels, runs, selections
from core.state.workspace import Workspace
from tests import samples
from tests.factories import fill, new_image
from tests.pages.conftest import (
    OpenPage,
    checked,
    choose,
    click,
    component_data,
    send,
    shown_ids,
    texts,
)
from tests.slips import Slips

PAGE = "clusters_and_anomalies"
KEY = f"{PAGE}.anomalies"
GALLERY = f"{KEY}.gallery"
Analysed = tuple[Workspace, Slips]


def open_view(open_page: OpenPage, **options: Any) -> AppTest:
    return open_page(PAGE, clusters_and_anomalies__view="Anomalies", **options)


def found_in(workspace: Workspace) -> tuple[runs.Run, Anomalies]:
    run = runs.list_runs(workspace, "anomalies")[0]
    return run, read_anomalies(workspace, run)


def threshold_key(workspace: Workspace, method: str) -> str:
    return f"{KEY}.threshold.{found_in(workspace)[0].id}.{method}"


def test_without_scores_there_is_one_button_that_makes_them(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_view(open_page)
    assert "Nothing has looked for anomalies yet" in texts(at)
    click(at, f"{PAGE}.anomalies.make")
    (job,) = job_rows.list_jobs(small, statuses=("queued",))
    assert job.kind == FindAnomalies.kind


@pytest.mark.parametrize("method", METHODS)
def test_the_images_above_a_methods_own_threshold_come_worst_first_with_reasons(
    method: str, open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = choose(open_view(open_page), f"{KEY}.method", method)
    wanted = found_in(workspace)[1].ids_above(method).tolist()
    if wanted:
        handle = component_data(at, f"{threshold_key(workspace, method)}.handle")
        assert handle["n_above"] == len(wanted)
        assert shown_ids(at, GALLERY) == wanted
        remarks = [item["remark"] for item in component_data(at, GALLERY)["items"]]
        assert all(remark.endswith(".") for remark in remarks)
    assert "stranger" in texts(at)
    assert "Neighbours are exact" in texts(at)


def test_moving_the_threshold_changes_the_count_and_the_images(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    key = threshold_key(workspace, "density")
    suggested = component_data(at, f"{key}.handle")
    assert (suggested["n_above"], suggested["n_total"]) == (4, 72)
    counts = suggested["counts"]
    step = next(step for step, n_above in enumerate(counts) if n_above <= 10)
    send(at, f"{key}.handle", move={"step": step, "at": 1})
    assert component_data(at, f"{key}.handle")["n_above"] == counts[step]
    assert len(shown_ids(at, GALLERY)) == counts[step] > 4
    click(at, f"{key}.reset")
    assert component_data(at, f"{key}.handle")["n_above"] == len(shown_ids(at, GALLERY)) == 4
    send(at, f"{key}.handle", move={"step": 401, "at": 2})
    assert component_data(at, f"{key}.handle")["n_above"] == 4


def test_a_click_on_a_bar_moves_the_threshold_to_where_it_begins(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    key = threshold_key(workspace, "density")
    (chart,) = [each for each in at.get("plotly_chart") if key in each.proto.id]
    begins = json.loads(chart.proto.spec)["data"][0]["customdata"][30]
    value = {"selection": {"points": [{"customdata": begins}], "box": [], "lasso": []}}
    states = at._tree.get_widget_states()
    states.widgets.append(WidgetState(id=chart.proto.id, string_value=json.dumps(value)))
    checked(at._run(states))
    assert component_data(at, f"{key}.handle")["value"] == pytest.approx(begins)


def test_what_the_papers_two_find_is_counted_together_and_apart(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    _, found = found_in(workspace)
    dbscan, forest = (set(found.ids_above(name).tolist()) for name in ("dbscan", "isolation"))
    at = choose(open_view(open_page), f"{KEY}.method", "paper")
    assert (
        f"DBSCAN alone finds {len(dbscan - forest)}, the Isolation Forest alone "
        f"{len(forest - dbscan)}, both {len(dbscan & forest)}"
    ) in texts(at)
    assert set(shown_ids(at, GALLERY)) == dbscan | forest
    choose(at, f"{KEY}.set", "second")
    if forest - dbscan:
        assert set(shown_ids(at, GALLERY)) == forest - dbscan
    else:
        assert "No image is above the threshold" in texts(at)


def test_all_are_excluded_in_one_action_and_then_hidden(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    ids = shown_ids(at, GALLERY)
    click(at, f"{KEY}.exclude_all")
    (batch,) = labels.list_batches(workspace)
    assert (batch.action, batch.n_changes, batch.actor) == ("exclude", len(ids), "Ada")
    assert "All of them are excluded from training already" in texts(at)
    checked(at.toggle(key=f"{KEY}.hide").set_value(False).run())
    assert shown_ids(at, GALLERY) == ids
    assert all(item["flagged"] for item in component_data(at, GALLERY)["items"])
    click(at, f"shared.undo.{batch.id}")
    assert catalog.summarise(workspace).n_excluded == 0


def test_all_are_sent_to_triage_with_the_reason(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    n_images = len(shown_ids(at, GALLERY))
    checked(at.toggle(key=f"{KEY}.whole").set_value(True).run())
    click(at, f"{KEY}.act.triage")
    assert catalog.summarise(workspace).n_queued == n_images
    assert labels.list_batches(workspace)[0].detail["reason"] == "anomaly: Sparse surroundings"


def test_they_are_shown_on_the_map(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, slips = analysed
    samples.fake_projection(workspace, slips.embedding)
    at = open_view(open_page)
    ids = sorted(shown_ids(at, GALLERY))
    click(at, f"{KEY}.map")
    assert at.header[0].value == "Latent space"
    digest, _ = at.session_state["latent_space.selection"]
    assert selections.load_selection(workspace, digest).tolist() == ids


def test_other_settings_make_other_scores(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, slips = analysed
    at = open_view(open_page)
    checked(at.number_input(key=f"{KEY}.set.contamination").set_value(0.1).run())
    click(at, f"{KEY}.look_again")
    (job,) = job_rows.list_jobs(workspace, statuses=("queued",))
    config = from_json(FindAnomalies, dict(job.config))
    assert config == FindAnomalies(slips.embedding.id, contamination=0.1)


def test_copies_alone_are_said_to_be_alike(open_page: OpenPage, home: object) -> None:
    from core.state.workspace import create_workspace

    workspace = create_workspace(home / "copies", name="Copies")  # type: ignore[operator]
    ids = np.array(fill(workspace, *(new_image(n) for n in range(6))), np.int64)
    vectors = np.ones((6, 4), np.float32)
    vectors[:, 0] += np.array([0, 0, 0, 0, 0, 1e-6], np.float32)
    embedding = samples.keep_embedding(workspace, ids, vectors)
    job = samples.do(workspace, FindAnomalies(embedding.id))
    at = open_view(open_page)
    if job.status == "failed":
        assert "Nothing has looked for anomalies yet" in texts(at)
    else:
        choose(at, f"{KEY}.method", "dbscan")
        assert "Every image has the same score" in texts(at)
