"""The gallery in a real browser: selecting, enlarging, keys."""

import pytest

from pages._gallery import GalleryItem, gallery

pytestmark = pytest.mark.browser


@pytest.fixture
def tiles(browser_page, harness_url):
    """The tiles of a gallery of 60 images, ids from 7."""
    browser_page.goto(f"{harness_url}/?view=gallery&n=60")
    browser_page.wait_for_selector(".lq-thumb[data-shown]")
    return browser_page.locator(".lq-tile")


def wait_for_text(page, text):
    page.get_by_text(text, exact=True).wait_for()


def test_clicks_select_and_shift_extends(tiles, browser_page):
    tiles.nth(1).click()
    wait_for_text(browser_page, "selected [8]")
    tiles.nth(4).click(modifiers=["Shift"])
    wait_for_text(browser_page, "selected [8, 9, 10, 11]")
    tiles.nth(2).click()
    wait_for_text(browser_page, "selected [8, 10, 11]")
    assert tiles.nth(2).get_attribute("aria-selected") == "false"
    assert "3 selected" in browser_page.inner_text(".lq-chip")


def test_control_a_selects_the_page_and_escape_clears(tiles, browser_page):
    tiles.nth(0).focus()
    browser_page.keyboard.press("Control+a")
    wait_for_text(browser_page, f"selected {list(range(7, 67))}")
    browser_page.keyboard.press("Escape")
    wait_for_text(browser_page, "selected []")


def test_arrow_keys_move_by_tile_and_by_line(tiles, browser_page):
    tiles.nth(0).focus()
    browser_page.keyboard.press("ArrowRight")
    assert browser_page.evaluate("document.activeElement.dataset.id") == "8"
    browser_page.keyboard.press("ArrowDown")
    below = browser_page.evaluate("Number(document.activeElement.dataset.id)")
    first, second = tiles.nth(1).bounding_box(), tiles.nth(below - 7).bounding_box()
    assert first["x"] == second["x"]
    assert first["y"] < second["y"]
    browser_page.keyboard.press("Space")
    wait_for_text(browser_page, f"selected [{below}]")


def test_enter_enlarges_arrows_go_on_and_escape_returns(tiles, browser_page):
    tiles.nth(3).focus()
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_selector("dialog[open] .lq-large[data-full][data-id='10']")
    assert "Anomaly score" in browser_page.inner_text("dialog .lq-rows")
    browser_page.keyboard.press("ArrowRight")
    browser_page.wait_for_selector("dialog[open] .lq-large[data-full][data-id='11']")
    wait_for_text(browser_page, "opened 11")
    browser_page.keyboard.press("Escape")
    wait_for_text(browser_page, "opened None")
    assert browser_page.evaluate("document.activeElement.dataset.id") == "11"


def test_the_wheel_zooms_where_the_pointer_is_and_dragging_pans(tiles, browser_page):
    tiles.nth(0).dblclick()
    image = browser_page.wait_for_selector("dialog[open] .lq-large[data-full]")
    transform = "image => new DOMMatrix(getComputedStyle(image).transform).toJSON()"
    stage = browser_page.locator(".lq-large-stage").bounding_box()
    x, y = stage["x"] + 0.75 * stage["width"], stage["y"] + stage["height"] / 2
    browser_page.mouse.move(x, y)
    browser_page.mouse.wheel(0, -500)
    browser_page.wait_for_selector(".lq-large-stage[data-zoomed]")
    zoomed = image.evaluate(transform)
    offset = 0.25 * stage["width"]
    assert zoomed["a"] > 2
    assert zoomed["e"] == pytest.approx(offset * (1 - zoomed["a"]), abs=1)
    browser_page.mouse.down()
    browser_page.mouse.move(x + 40, y + 10)
    browser_page.mouse.up()
    panned = image.evaluate(transform)
    assert panned["e"] - zoomed["e"] == pytest.approx(40, abs=0.5)
    browser_page.mouse.dblclick(x, y)
    assert image.evaluate(transform)["a"] == 1


def test_boxes_lie_where_they_were_drawn_and_can_be_hidden(tiles, browser_page, harness_data):
    tiles.nth(0).dblclick()
    box = browser_page.wait_for_selector("dialog[open] .lq-boxes rect")
    assert box.query_selector("title").text_content() == harness_data.UNTRUSTED
    browser_page.mouse.wheel(0, -300)  # over the image's middle: boxes zoom with it
    drawn = box.bounding_box()
    image = browser_page.locator("dialog .lq-large").first.bounding_box()
    side = min(image["width"], image["height"])  # the image is square and fitted
    left, top = image["x"] + (image["width"] - side) / 2, image["y"] + (image["height"] - side) / 2
    assert drawn["x"] == pytest.approx(left + side / 4, abs=3)
    assert drawn["y"] == pytest.approx(top, abs=3)
    assert drawn["width"] == pytest.approx(side / 2, abs=4)
    browser_page.keyboard.press("b")
    assert not browser_page.locator("dialog .lq-boxes rect").is_visible()
    browser_page.keyboard.press("ArrowRight")
    browser_page.wait_for_selector("dialog[open] .lq-large[data-full][data-id='8']")
    assert browser_page.locator("dialog .lq-boxes rect").count() == 0
    assert not browser_page.get_by_text("Boxes", exact=True).is_visible()


def test_similar_images_are_asked_for_from_a_tile_and_from_the_large_view(tiles, browser_page):
    tiles.nth(2).hover()
    tiles.nth(2).locator("[data-act=similar]").click()
    wait_for_text(browser_page, "similar [9]")
    wait_for_text(browser_page, "selected []")
    tiles.nth(5).hover()
    tiles.nth(5).locator("[data-act=enlarge]").click()
    browser_page.locator("dialog").get_by_text("Find similar").click()
    wait_for_text(browser_page, "similar [9, 12]")


def test_titles_stay_text(tiles, browser_page, harness_data):
    assert tiles.nth(3).locator(".lq-caption").inner_text() == harness_data.UNTRUSTED
    tiles.nth(3).dblclick()
    assert browser_page.locator("dialog h2").inner_text() == harness_data.UNTRUSTED
    assert browser_page.evaluate("window.hacked") is None


def test_nothing_moves_when_the_images_come(tiles, browser_page):
    shift = browser_page.evaluate(
        """() => new Promise(resolve => {
          new PerformanceObserver(list => resolve(
            list.getEntries().flatMap(entry => entry.sources)
              .filter(source => source.node?.closest?.(".lq-gallery")).length,
          )).observe({type: "layout-shift", buffered: true});
          setTimeout(() => resolve(0), 500);
        })"""
    )
    assert shift == 0


def test_an_empty_page_says_so(browser_page, harness_url):
    browser_page.goto(f"{harness_url}/?view=gallery&n=0")
    browser_page.get_by_text("No images here.").wait_for()


def test_more_than_200_images_on_one_page_are_refused():
    items = [GalleryItem(id=image_id, title="") for image_id in range(201)]
    with pytest.raises(ValueError, match="at most 200 images a page, got 201"):
        gallery(items, thumbnail_url="", preview_url="", image_url="", card_url="", key="many")
