"""Clusters in a real browser: one is made, a cell clicked, its cluster labelled and taken back."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from core.state import catalog, runs
from core.state.workspace import Workspace
from tests.browser.steps import OpenApp, click, give_name, settle, wait_for_map, wait_for_tiles

pytestmark = pytest.mark.browser

PAGE = "clusters_and_anomalies"


def shown(page) -> list:
    """What the address says is open."""
    return json.loads(parse_qs(urlsplit(page.url).query).get("shown", ["[]"])[0])


def cell(page, place: int):
    """A cell of labels against clusters, row by row, as it is drawn."""
    cells = page.locator(f"[class*='st-key-{PAGE}-labels-'] .barlayer .point path")
    cells.nth(place).wait_for(state="attached")
    return cells.nth(place)


def click_middle(page, shape) -> None:
    shape.scroll_into_view_if_needed()
    settle(page)
    box = shape.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_clustering_is_made_looked_into_labelled_and_taken_back(
    open_app: OpenApp, small: Workspace
) -> None:
    page = open_app(PAGE)
    page.set_viewport_size({"width": 1280, "height": 1400})
    page.get_by_text("Make a clustering").click()
    page.get_by_text("Choose k by a sweep").click()
    settle(page)
    click(page, "Cluster")
    give_name(page, "Ada")
    click(page, "Cluster")
    n_clusters = page.get_by_test_id("stMetric").filter(has_text=re.compile(r"Clusters\s*4"))
    n_clusters.wait_for()
    settle(page)
    made = runs.list_runs(small, "clustering")[0]
    assert made.config["n_clusters"] == 4  # a cluster more than there are classes

    ids = runs.load_array(small, made, "image_ids")
    inside = runs.load_array(small, made, "labels") == 0
    label = catalog.column(small, ids[inside], "label")[0]
    row = ("dirt", "drop", "scratch").index(label)
    click_middle(page, cell(page, 4 * row))
    page.get_by_role("heading", name=f"labelled {label} in cluster 0").wait_for()
    wanted = [i for i in ids[inside].tolist() if catalog.get_image(small, i).label == label]
    wait_for_tiles(page, len(wanted))
    assert shown(page) == [made.id, 0, label]
    tiles = page.locator(".lq-tile")
    found = sorted(int(tiles.nth(i).get_attribute("data-id")) for i in range(len(wanted)))
    assert found == wanted

    click(page, "The whole cluster")
    page.get_by_role("heading", name=f"{inside.sum()} images in cluster 0").wait_for()
    page.get_by_role("combobox", name="Label for the whole cluster").fill("ghost")
    page.keyboard.press("Enter")
    before = catalog.column(small, ids, "label")
    page.get_by_role("button", name=f"Label {inside.sum()} images as ghost").click()
    page.get_by_text("Labelled ghost").wait_for()
    settle(page)
    after = np.array(catalog.column(small, ids, "label"))
    assert set(after[inside]) == {"ghost"}
    assert "ghost" not in after[~inside]
    click(page, "Undo")
    page.get_by_text("are as before").wait_for()
    assert catalog.column(small, ids, "label") == before


def test_a_cluster_is_found_again_on_the_map(open_app: OpenApp, small: Workspace) -> None:
    run = runs.list_runs(small, "clustering")[0].id
    page = open_app(PAGE, clustering=run, shown=json.dumps([run, 1]))
    page.get_by_role("heading", name="20 images in cluster 1").wait_for()
    settle(page)
    page.get_by_role("link", name="Show on the map").click()
    wait_for_map(page)
    assert "By cluster" in page.locator(".lq-map").inner_text()


def test_the_page_works_in_the_dark_on_a_narrow_screen(open_app: OpenApp, small: Workspace) -> None:
    for scheme, width in (("dark", 1280), ("light", 700)):
        page = open_app(PAGE, scheme=scheme)
        page.set_viewport_size({"width": width, "height": 1200})
        cell(page, 0)
        settle(page)
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 1
