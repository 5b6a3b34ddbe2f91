"""The real app in a real browser: what a person does on it, from page to page."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.state import catalog, labels, runs
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from tests import login
from tests.browser.steps import (
    OpenApp,
    click,
    give_name,
    go_to,
    metric,
    settle,
    wait_for_map,
    wait_for_tiles,
)

pytestmark = pytest.mark.browser

MAP = "document.querySelector('.lq-map').parentElement.latentMap"


def places(page, workspace: Workspace) -> tuple[np.ndarray, np.ndarray]:
    """(ids, places on the page in px) of all points of the map that is shown."""
    shown = page.evaluate(
        """() => {
          const chart = document.querySelector(".lq-plot");
          const {left, top, width, height} = chart.getBoundingClientRect();
          const {xaxis, yaxis} = chart.layout;
          return {left, top, width, height, x: xaxis.range, y: yaxis.range};
        }"""
    )
    run = runs.get_run(workspace, page.evaluate(f"{MAP}.data.version"))
    points = runs.load_array(workspace, run, "coordinates").astype(float)
    (x0, x1), (y0, y1) = shown["x"], shown["y"]
    across = shown["left"] + (points[:, 0] - x0) / (x1 - x0) * shown["width"]
    down = shown["top"] + (y1 - points[:, 1]) / (y1 - y0) * shown["height"]
    return runs.load_array(workspace, run, "image_ids"), np.column_stack([across, down])


def draw_box(page, low: np.ndarray, high: np.ndarray) -> None:
    page.locator(".lq-map [data-tool=box]").click()
    page.mouse.move(*low)
    page.mouse.down()
    page.mouse.move(*(low + high) / 2)
    page.mouse.move(*high)
    page.mouse.up()


def test_from_the_overview_over_the_map_into_the_triage_queue(
    open_app: OpenApp, small: Workspace
) -> None:
    page = open_app()
    page.get_by_role("heading", name="Paint shop").wait_for()
    assert metric(page, "In triage") == "0"
    go_to(page, "Dataset")
    wait_for_tiles(page, 48)
    page.wait_for_selector(".lq-thumb[data-shown]")
    go_to(page, "Latent space")
    wait_for_map(page)

    ids, at = places(page, small)
    for row in (3, 30):
        page.mouse.move(*np.round(at[row]))
        image = page.wait_for_selector(f".lq-card-image[data-shown='{ids[row]}']")
        assert re.search(rf"/(thumbnail|preview)/{ids[row]}$", image.get_attribute("src"))
        facts = catalog.get_image(small, int(ids[row]))
        page.get_by_role("status").get_by_text(facts.name).wait_for()
        rows = page.inner_text(".lq-card .lq-rows")
        assert all(word in rows for word in (facts.label, facts.split, "Cluster"))

    low, high = at.min(axis=0) - 20, (at.min(axis=0) + at.max(axis=0)) / 2
    inside = ids[((at > low) & (at < high)).all(axis=1)].tolist()
    draw_box(page, low, high)
    page.get_by_role("heading", name=f"{len(inside)} selected").wait_for()
    wait_for_tiles(page, len(inside))
    click(page, "Send to triage")
    give_name(page, "Ada")
    click(page, "Send to triage")
    page.get_by_text(f"Sent to triage · {len(inside)} images").wait_for()
    queued = catalog.image_ids(small, ImageFilter(queued=True)).tolist()
    assert queued == sorted(inside)
    assert labels.list_batches(small)[0].actor == "Ada"

    page.reload()  # the address keeps the selection, the browser the name
    wait_for_map(page)
    page.get_by_role("heading", name=f"{len(inside)} selected").wait_for()
    page.wait_for_function(f"n => {MAP}.selectedIds().length === n", arg=len(inside))
    assert sorted(page.evaluate(f"Array.from({MAP}.selectedIds())")) == queued
    page.get_by_role("button", name="Ada").wait_for()
    go_to(page, "Overview", heading="Paint shop")
    assert metric(page, "In triage") == str(len(inside))
    go_to(page, "Latent space")
    page.get_by_role("heading", name=f"{len(inside)} selected").wait_for()
    assert "selected=" in page.url

    other = open_app("latent_space")
    wait_for_map(other)
    assert other.evaluate(f"{MAP}.selectedIds().length") == 0
    assert other.get_by_role("button", name="Ada").count() == 0
    go_to(other, "Overview", heading="Paint shop")
    assert metric(other, "In triage") == str(len(inside))


def test_a_label_is_typed_for_clicked_images_and_taken_back(
    open_app: OpenApp, small: Workspace
) -> None:
    page = open_app("dataset", **{"dataset.label": "drop"})
    wait_for_tiles(page, 20)
    chosen = [int(page.locator(".lq-tile").nth(i).get_attribute("data-id")) for i in (0, 1)]
    for i in (0, 1):
        page.locator(".lq-tile").nth(i).click()
    box = page.get_by_role("combobox", name="Label for 2 images")
    box.fill("orange peel")
    box.press("Enter")
    click(page, "Relabel")
    give_name(page, "Grace")
    click(page, "Relabel")
    page.get_by_text("Labelled orange peel · 2 images").wait_for()
    wait_for_tiles(page, 18)
    assert [catalog.get_image(small, i).label for i in chosen] == ["orange peel"] * 2
    click(page, "Undo")
    wait_for_tiles(page, 20)
    assert [catalog.get_image(small, i).label for i in chosen] == ["drop"] * 2
    # Nothing is picked as the tiles come back: nothing may be done to any.
    page.get_by_role("combobox", name="Label for 0 images").wait_for()
    assert page.locator(".lq-chip").is_hidden()
    assert page.get_by_role("button", name="Exclude").is_disabled()


def test_what_is_picked_is_what_the_page_says_it_is(open_app: OpenApp, small: Workspace) -> None:
    page = open_app("dataset", **{"dataset.label": "drop"})
    wait_for_tiles(page, 20)
    for i in (0, 1):
        page.locator(".lq-tile").nth(i).click()
    page.get_by_role("combobox", name="Label for 2 images").wait_for()
    click(page, "Exclude")
    give_name(page, "Grace")
    click(page, "Exclude")
    page.get_by_text("Excluded from training · 2 images").wait_for()
    settle(page)
    assert page.locator(".lq-tile[aria-selected=true]").count() == 2
    page.get_by_role("combobox", name="Label for 2 images").wait_for()
    page.get_by_text("24", exact=True).click()  # another size, and the same tiles
    settle(page)
    assert page.locator(".lq-tile[aria-selected=true]").count() == 2
    page.get_by_label("Name contains").fill("019")
    wait_for_tiles(page, 1)
    page.get_by_role("combobox", name="Label for 0 images").wait_for()
    page.get_by_label("Name contains").fill("")
    wait_for_tiles(page, 20)
    page.get_by_role("combobox", name="Label for 0 images").wait_for()
    assert page.locator(".lq-tile[aria-selected=true]").count() == 0


def test_a_filter_that_is_chosen_stands_in_the_address(open_app: OpenApp, small: Workspace) -> None:
    page = open_app("dataset")
    wait_for_tiles(page, 48)
    page.get_by_role("combobox", name="Label", exact=True).first.click()
    page.get_by_role("option", name="scratch").click()
    wait_for_tiles(page, 20)
    page.wait_for_url("**dataset.label=scratch**")
    page.reload()
    wait_for_tiles(page, 20)


def test_a_workspace_is_made_and_entered(open_app: OpenApp, small: Workspace) -> None:
    page = open_app()
    page.get_by_label("New workspace").fill("Line 7")
    click(page, "Create")
    give_name(page, "Ada")
    assert page.get_by_label("New workspace").input_value() == "Line 7"
    click(page, "Create")
    page.get_by_role("heading", name="Line 7").wait_for()
    page.get_by_text("Next: import images.").wait_for()


def test_names_stay_text(open_app: OpenApp, small: Workspace) -> None:
    hostile = "www.evil.example :smile: <b>x **y** [z](q) $x$ a@b.example"
    ids = catalog.image_ids(small).tolist()[:2]
    labels.relabel(small, ids, hostile, actor=hostile)
    page = open_app("activity", **{"activity.view": "Changes"})
    page.get_by_text("Labelled ").wait_for()
    line = page.get_by_test_id("stMarkdown").filter(has_text="Labelled ").first
    assert line.inner_text().replace("\u2060", "").count(hostile) == 2
    assert line.locator("a, em, img").count() == 0
    assert line.locator("strong").count() == 1  # the page's own
    page = open_app("dataset", **{"dataset.view": "Report"})
    page.get_by_role("heading", name="Images by class").wait_for()
    axis = page.locator(".js-plotly-plot").first.locator(".ytick text")
    axis.first.wait_for()
    assert hostile in axis.all_text_contents()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_the_colours_of_the_system(
    scheme: str, open_app: OpenApp, small: Workspace
) -> None:
    page = open_app("latent_space", scheme=scheme)
    wait_for_map(page)
    brightness = """() => {
      const colour = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
      return Math.max(...colour.match(/[0-9.]+/g).slice(0, 3));
    }"""
    for title in ("Dataset", "Latent space", "Activity"):
        go_to(page, title)
        assert (page.evaluate(brightness) > 128) == (scheme == "light")


def test_a_cold_link_opens_its_page_on_a_server_that_has_shown_nothing_yet(
    open_app: OpenApp, serve_app: Callable[..., str], small: Workspace
) -> None:
    url = serve_app()
    page = open_app("latent_space", url=url)
    wait_for_map(page)
    page = open_app("dataset", url=url, **{"dataset.view": "Report"})
    page.get_by_role("heading", name="Image quality").wait_for()
    page = open_app("activity", url=url, **{"activity.view": "Changes"})
    page.get_by_text("Nobody has changed anything yet.").wait_for()
    page = open_app("", url=url)
    page.get_by_role("heading", name="Paint shop").wait_for()


def test_a_cold_link_shows_the_login_alone_where_there_is_one(
    open_app: OpenApp, serve_app: Callable[..., str], small: Workspace, tmp_path: Path
) -> None:
    with login.configured(tmp_path):
        pass  # it has written the secrets
    url = serve_app(STREAMLIT_SECRETS_FILES=str(tmp_path / "secrets.toml"))
    page = open_app("dataset", url=url)
    page.get_by_role("button", name="Log in").wait_for()
    assert "Paint shop" not in page.inner_text("body")
    assert page.locator(".lq-tile").count() == 0
    image_id = int(catalog.image_ids(small)[0])
    answer = page.request.get(f"{url}/lacquer/{small.uid}/thumbnail/{image_id}")
    assert answer.status == 401
