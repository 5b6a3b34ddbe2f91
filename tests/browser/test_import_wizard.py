"""Images come in through the wizard: seen before they are taken, found again after a reload."""

import zipfile
from pathlib import Path

import pytest

from core.state import catalog
from core.state.workspace import Workspace
from tests import samples
from tests.browser.steps import OpenApp, click, give_name, metric, settle, wait_for_tiles

pytestmark = pytest.mark.browser


def zipped(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(folder.rglob("*.*")):
            packed.write(file, file.relative_to(folder))
    return archive


def look_through(page, archive: Path) -> None:
    """Send an archive and have it looked through, in a browser that knows no name yet."""
    page.locator("input[type=file]").set_input_files(archive)
    page.get_by_text(archive.name).wait_for()
    click(page, "Look through it")
    give_name(page, "Ada")
    click(page, "Look through it")
    page.get_by_text("How to take them in").wait_for()
    settle(page)


def choose(page, label: str, option: str) -> None:
    """Choose in a select box, once nothing scrolls or grows: an open list closes when it moves."""
    page.locator(".js-plotly-plot .bars").first.wait_for()
    settle(page)
    box = page.get_by_role("combobox", name=label)
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box.click()
    page.get_by_role("option", name=option).click()
    settle(page)


def test_an_uploaded_zip_is_seen_decided_on_and_imported(
    open_app: OpenApp, small: Workspace, tmp_path: Path
) -> None:
    for number in range(5):
        samples.save_image(tmp_path / "line" / "crater" / f"{number}.png", (200, 200, number))
    (tmp_path / "line" / "crater" / "bad.png").write_text("no image")
    (tmp_path / "line" / "crater" / "raw.heic").write_text("raw")
    page = open_app("dataset", **{"dataset.view": "Import"})
    look_through(page, zipped(tmp_path / "line"))
    assert metric(page, "Images") == "6"
    assert page.locator(".lq-tiles img").count() == 5
    page.get_by_text("cannot be read: the content is text").wait_for()
    assert catalog.count_images(small) == 60

    page.reload()  # the address knows which look it is
    page.get_by_text("How to take them in").wait_for()
    choose(page, "Splits", "Draw all anew")
    page.get_by_role("textbox", name="Training / validation").fill("0/0/0/1")
    page.keyboard.press("Enter")
    page.get_by_text("test 6 (100%)").wait_for()
    click(page, "Import 6 images")
    page.get_by_role("heading", name="line.zip is in").wait_for()
    assert (metric(page, "Imported"), metric(page, "Refused")) == ("5", "2")
    page.get_by_text("What was refused (2)").click()
    page.get_by_role("button", name="Download what was refused").wait_for()
    assert not list((small.path / "uploads").iterdir())

    page.reload()
    page.get_by_role("heading", name="line.zip is in").wait_for()
    click(page, "See them in the gallery")
    wait_for_tiles(page, 48)
    assert page.locator(".lq-caption", has_text="crater/").count() == 5
    images = [image for image in catalog.list_images(small) if image.label == "crater"]
    assert {image.split for image in images} == {"test"}


def test_boxes_are_cut_out_with_the_margin_that_is_shown(
    open_app: OpenApp, small: Workspace, tmp_path: Path
) -> None:
    for number in range(3):
        samples.save_image(
            tmp_path / "voc" / "images" / f"panel-{number}.png", (90, 90, number), size=(200, 150)
        )
        (tmp_path / "voc" / f"panel-{number}.xml").write_text(
            f"<annotation><filename>panel-{number}.png</filename><object><name>crater</name>"
            "<bndbox><xmin>51</xmin><ymin>51</ymin><xmax>90</xmax><ymax>90</ymax></bndbox>"
            "</object></annotation>"
        )
    page = open_app("dataset", **{"dataset.view": "Import"})
    look_through(page, zipped(tmp_path / "voc"))
    page.get_by_text("Each box, cut out").click()
    page.get_by_text("Some crops with this margin").wait_for()
    settle(page)
    shown = page.locator(".lq-tiles").last.locator("img")
    assert shown.count() == 3
    assert shown.first.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [60, 60]
    choose(page, "Keep together", "The same part of the file's path")
    page.get_by_role("textbox", name="Pattern").fill("(")
    page.keyboard.press("Enter")
    page.get_by_text("is not a regular expression").wait_for()
    assert page.get_by_role("button", name="Import", exact=True).is_disabled()
    page.get_by_role("textbox", name="Pattern").fill(r"(panel)-\d")
    page.keyboard.press("Enter")
    page.get_by_text("1 group of 3 images; the largest: panel").wait_for()
    click(page, "Import 3 crops")
    page.get_by_role("heading", name="voc.zip is in").wait_for()
    crops = [image for image in catalog.list_images(small) if image.label == "crater"]
    assert {(image.width, image.height) for image in crops} == {(60, 60)}
    assert len({image.split for image in crops}) == 1


def test_what_waits_is_found_from_another_tab_and_discarded(
    open_app: OpenApp, small: Workspace, tmp_path: Path
) -> None:
    samples.write_images(tmp_path / "line", n_per_class=1)
    page = open_app("dataset", **{"dataset.view": "Import"})
    look_through(page, zipped(tmp_path / "line"))
    other = open_app("dataset", **{"dataset.view": "Import"})
    other.get_by_role("heading", name="Looked through, not imported yet").wait_for()
    click(other, "Go on")
    other.get_by_text("How to take them in").wait_for()
    click(page, "Discard")
    page.get_by_text("Choose a source").wait_for()
    page.get_by_text("Looked through, not imported yet").wait_for(state="hidden")
    other.reload()
    other.get_by_text("no longer kept").wait_for()
    assert not list((small.path / "uploads").iterdir())
