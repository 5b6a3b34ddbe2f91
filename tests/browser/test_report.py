"""The report in a real browser: bars are clicked and ranges dragged, and images come."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from core.state import catalog, labels
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from tests.browser.steps import OpenApp, give_name, settle

pytestmark = pytest.mark.browser


@pytest.fixture
def report(open_app: OpenApp):
    """The report on 60 flat images, with all its charts drawn."""
    page = open_app("dataset", **{"dataset.view": "Report"})
    page.set_viewport_size({"width": 1280, "height": 1400})
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 11")
    settle(page)
    return page


def bars(page, chart: str):
    """The bars of a chart that stand for images, as they are drawn."""
    points = page.locator(f"[class*='st-key-dataset-report-{chart}-'] .barlayer .point")
    points.first.wait_for(state="attached")
    points.evaluate_all("all => all.forEach(bar => bar.__data__.s && bar.classList.add('lq-bar'))")
    return page.locator(f"[class*='st-key-dataset-report-{chart}-'] .lq-bar path")


def middle(bar) -> tuple[float, float]:
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def shown(page) -> list:
    """What the address says is open."""
    return json.loads(parse_qs(urlsplit(page.url).query).get("shown", ["[]"])[0])


def shown_ids(page, n_images: int) -> list[int]:
    """Ids of the gallery's tiles, once there are so many."""
    page.wait_for_function("n => document.querySelectorAll('.lq-tile').length === n", arg=n_images)
    settle(page)
    tiles = page.locator(".lq-tile")
    return sorted(int(tiles.nth(i).get_attribute("data-id")) for i in range(n_images))


def test_a_clicked_piece_of_a_bar_opens_its_images_and_the_link_does_too(
    report, small: Workspace
) -> None:
    wanted = ImageFilter(labels=("dirt",), splits=("train",))
    ids = catalog.image_ids(small, wanted).tolist()
    report.mouse.click(*middle(bars(report, "by_class").first))
    report.get_by_role("heading", name=f"{len(ids)} images labelled dirt in train").wait_for()
    assert shown_ids(report, len(ids)) == ids
    assert shown(report) == [["cell", "dirt", "train"]]
    link = report.url
    report.get_by_role("button", name="All findings").click()
    report.get_by_role("heading", name="What to look at").wait_for()
    assert shown(report) == []
    report.goto(link)
    assert shown_ids(report, len(ids)) == ids


def test_a_bar_of_a_histogram_opens_as_many_images_as_it_shows(report, small: Workspace) -> None:
    bar = bars(report, "brightness").first
    n_images = report.evaluate("path => path.parentNode.__data__.s", bar.element_handle())
    report.mouse.click(*middle(bar))
    ids = shown_ids(report, n_images)
    ((kind, measure, low, high),) = shown(report)
    assert (kind, measure) == ("range", "brightness")
    values = catalog.column(small, catalog.image_ids(small), "brightness")
    assert len(ids) == sum(low <= value < high for value in values)


def test_a_range_is_drawn_as_a_box_and_moved_by_its_handles(report, small: Workspace) -> None:
    report.mouse.click(*middle(bars(report, "brightness").first))
    report.get_by_text("Act on all").wait_for()
    settle(report)
    ((_, _, low, _),) = shown(report)

    report.locator(".modebar-btn[data-title='Box Select']").click()
    left, _ = middle(bars(report, "brightness").first)
    right, top = middle(bars(report, "brightness").last)
    report.mouse.move(left - 5, top - 20)
    report.mouse.down()
    report.mouse.move(left + 50, top - 10)
    report.mouse.move(right + 5, top - 5)
    report.mouse.up()
    report.get_by_role("heading", name="60 images with brightness").wait_for()
    settle(report)

    report.get_by_role("slider").first.focus()
    report.keyboard.press("ArrowRight")
    report.wait_for_function("() => !document.querySelector('h3').innerText.startsWith('60 ')")
    settle(report)
    assert shown(report)[0][2] > low


def test_a_finding_is_excluded_whole_and_taken_back(report, small: Workspace) -> None:
    report.get_by_role("button", name="60 images are nearly uniform").click()
    report.get_by_role("heading", name="60 images judged nearly uniform").wait_for()
    report.get_by_role("button", name="Exclude all 60").click()
    give_name(report, "Ada")
    report.get_by_role("button", name="Exclude all 60").click()
    report.get_by_text("No image is left here").wait_for()
    assert catalog.summarise(small).n_excluded == 60
    assert labels.list_batches(small)[0].n_changes == 60
    report.get_by_role("button", name="Undo").click()
    report.get_by_role("heading", name="60 images judged nearly uniform").wait_for()
    assert catalog.summarise(small).n_excluded == 0


def test_a_chart_opened_again_shows_no_bar_as_clicked(report, small: Workspace) -> None:
    for _ in range(2):  # the same bar, twice
        report.mouse.click(*middle(bars(report, "sizes").first))
        report.get_by_role("heading", name="60 images of 32 × 24 pixels").wait_for()
        settle(report)
        report.get_by_role("button", name="All findings").click()
        report.get_by_role("heading", name="What to look at").wait_for()
        settle(report)
        assert bars(report, "sizes").first.evaluate("bar => bar.style.opacity") in ("", "1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_in_a_chart_have_the_colour_of_the_text(scheme: str, open_app: OpenApp) -> None:
    report = open_app("dataset", scheme=scheme, **{"dataset.view": "Report"})
    number = report.locator(".textpoint text").first
    number.wait_for()
    report.wait_for_function(
        """() => getComputedStyle(document.querySelector(".textpoint text")).fill
                 === getComputedStyle(document.querySelector(".stApp")).color"""
    )
