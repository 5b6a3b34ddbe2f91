"""An evaluation in a real browser: a cell opens its images, a heat map lies upon its image."""

import pytest
from PIL import Image

from core.state import catalog, labels, runs
from core.state.heat_maps import heat_map_path
from core.state.models import Model
from core.state.workspace import Workspace
from tests import classifiers
from tests.browser.steps import OpenApp, settle, wait_for_tiles

pytestmark = pytest.mark.browser

PAGE = "evaluation"

# Where the pixels of the large image are drawn, and where those of the heat map are.
PLACES = """() => {
  const box = ({ left, top, width, height }) => [left, top, width, height];
  const image = document.querySelector("img.lq-large");
  const { left, top, width, height } = image.getBoundingClientRect();
  const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
  const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale];
  return {
    image: [left + (width - w) / 2, top + (height - h) / 2, w, h],
    heat: box(document.querySelector(".lq-heat image").getBoundingClientRect()),
  };
}"""


@pytest.fixture
def model(small: Workspace) -> Model:
    """It knows dirt and drop, is wrong about one dirt, and has been evaluated."""
    ids = catalog.image_ids(small).tolist()
    labels.set_split(small, ids, "validation", actor="Ada")
    model = classifiers.add_model(small, train=ids[1::2], validation=ids[::2])
    embedding = runs.list_runs(small, "embedding")[0]
    classifiers.evaluate(small, model, embedding, wrong=[wrong_image(small)])
    return model


def wrong_image(workspace: Workspace) -> int:
    """The first image, a dirt, which validates."""
    return int(catalog.image_ids(workspace)[0])


def test_a_cell_of_the_confusion_matrix_opens_its_images(
    open_app: OpenApp, small: Workspace, model: Model
) -> None:
    label = catalog.get_image(small, wrong_image(small)).label
    page = open_app(PAGE)
    page.set_viewport_size({"width": 1280, "height": 1400})
    cells = page.locator(f"[class*='st-key-{PAGE}-confusion-'] .barlayer .point path")
    row, column = model.classes.index(label), 1 - model.classes.index(label)
    cell = cells.nth(2 * row + column)
    cell.wait_for(state="attached")
    cell.scroll_into_view_if_needed()
    settle(page)
    box = cell.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    given = model.classes[column]
    page.get_by_role("heading", name=f"1 image labelled {label}, given {given}").wait_for()
    wait_for_tiles(page, 1)
    tile = page.locator(".lq-tile")
    assert int(tile.get_attribute("data-id")) == wrong_image(small)


def test_a_heat_map_lies_upon_the_image_whatever_is_done_to_it(
    open_app: OpenApp, small: Workspace, model: Model
) -> None:
    image = catalog.get_image(small, wrong_image(small))
    path = heat_map_path(small, model, image)
    path.parent.mkdir(parents=True)
    Image.new("RGBA", (17, 11), (255, 220, 0, 160)).save(path)  # of another shape than the image
    page = open_app(PAGE, **{"evaluation.view": "Mistakes"})
    wait_for_tiles(page, 1)
    page.locator(".lq-tile").dblclick()
    page.locator(".lq-heat image[href]").wait_for(state="attached")
    page.locator("img.lq-large[data-full]").wait_for()

    def is_aligned() -> bool:
        places = page.evaluate(PLACES)
        return places["heat"] == pytest.approx(places["image"], abs=0.5)

    assert is_aligned()
    page.mouse.move(300, 400)
    page.mouse.wheel(0, -300)
    page.wait_for_selector(".lq-large-stage[data-zoomed]")
    assert is_aligned()
    page.set_viewport_size({"width": 700, "height": 900})
    assert is_aligned()

    layer = page.locator("svg.lq-heat")
    page.get_by_label("Opacity of the heat map").fill("30")
    assert layer.evaluate("layer => getComputedStyle(layer).opacity") == "0.3"
    page.get_by_role("button", name="Heat map", exact=True).click()
    assert layer.evaluate("layer => getComputedStyle(layer).visibility") == "hidden"
    page.keyboard.press("h")
    assert layer.evaluate("layer => getComputedStyle(layer).visibility") == "visible"
    rows = page.locator(".lq-lightbox .lq-rows").inner_text()
    assert "Predicted" in rows
