"""The review of labels in a real browser: keys at speed, undo, the mouse, a reload."""

import random
from urllib.parse import urlencode

import numpy as np
import pytest

from core.jobs.configs import AnalyseSpace
from core.settings import Settings
from core.state import catalog, labels
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.browser.steps import OpenApp, settle

pytestmark = pytest.mark.browser

N_PER_CLASS = 60
N_SLIPS = 36

# Every key that falls while an image is painted, and which image that is: what a person saw. It
# listens before the review does.
WATCH = """
window.seen = [];
window.addEventListener("keydown", (event) => {
  const review = document.querySelector(".lq-review[data-painted]");
  if (review) window.seen.push([Number(review.dataset.id), event.key]);
}, { capture: true });
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory):
    """180 flat images in three classes, 36 of them under the label of another, analysed."""
    folder = tmp_path_factory.mktemp("slips")
    chosen = random.Random(0).sample(range(3 * N_PER_CLASS), N_SLIPS)
    for row in range(3 * N_PER_CLASS):
        true = row // N_PER_CLASS
        given = samples.CLASSES[(true + (row in chosen)) % 3]
        colour = samples.colour_of(samples.CLASSES[true], row % N_PER_CLASS)
        samples.save_image(folder / "images" / given / f"{row:03}.png", colour)
    made = create_workspace(folder / "template", name="Slips", settings=Settings(home=folder))
    samples.import_folder(made, folder / "images")
    ids = catalog.image_ids(made)
    names = {image.id: image.name for image in catalog.list_images(made)}
    rows = np.array([int(names[i][-7:-4]) for i in ids.tolist()])
    vectors = np.random.default_rng(0).uniform(0, 0.3, (len(ids), 12)).astype(np.float32)
    vectors[np.arange(len(ids)), rows // N_PER_CLASS] += 2.0
    embedding = samples.keep_embedding(made, ids, vectors)
    job = samples.do(made, AnalyseSpace(embedding.id))
    assert job.status == "succeeded", job.error
    samples.close_for_copying(made)
    return made.path


@pytest.fixture
def review(open_app: OpenApp, small: Workspace):
    """The review with its first image painted, for a person who has given a name."""
    page = open_app("clusters_and_anomalies", **{"clusters_and_anomalies.view": "Label errors"})
    page.get_by_role("button", name="Begin").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your name").fill("Ada")
    dialog.get_by_role("button", name="Keep").click()
    painted(page)
    settle(page)
    return page


def painted(page) -> int:
    """The image on the screen."""
    shown = page.wait_for_selector(".lq-review[data-painted]")
    return int(shown.get_attribute("data-id"))


def press(page, key: str) -> int:
    """Press a key on the image that is painted; which one that was."""
    image_id = painted(page)
    page.keyboard.press(key)
    return image_id


def looked_at(page) -> int:
    """How many images the review says were looked at."""
    return int(page.locator(".lq-count").inner_text().split()[0])


def saved(page) -> None:
    page.wait_for_function("document.querySelector('.lq-state').innerText === 'all saved'")
    settle(page)


def label_of(workspace: Workspace, image_id: int) -> tuple[str | None, str | None]:
    image = catalog.get_image(workspace, image_id)
    return image.label, image.label_origin


def test_at_twenty_keys_a_second_every_decision_is_for_the_image_seen_and_none_is_lost(
    review, small: Workspace
) -> None:
    before = {image.id: image.label for image in catalog.list_images(small)}
    review.add_init_script(WATCH)
    review.reload()
    painted(review)
    settle(review)
    for place in range(300):
        review.keyboard.press("ak"[place % 2])
        review.wait_for_timeout(50)
        if review.evaluate("window.seen.length") >= 20:
            break
    saved(review)
    seen = review.evaluate("window.seen")
    assert len(seen) >= 20  # the others fell while nothing was painted, and counted for nothing
    assert len({image_id for image_id, _ in seen}) == len(seen)
    decided = {
        image.id: image.label
        for image in catalog.list_images(small)
        if image.label_origin == "human"
    }
    assert decided.keys() == {image_id for image_id, _ in seen}
    for image_id, key in seen:
        assert (decided[image_id] == before[image_id]) == (key == "k")
    assert len(labels.list_batches(small, limit=100)) == len(seen)
    assert looked_at(review) == len(seen)


def test_a_reload_restores_what_was_left_and_goes_on_where_it_stopped(
    review, small: Workspace
) -> None:
    done = [press(review, "a") for _ in range(5)]
    review.reload()  # some of them are on their way still
    following = painted(review)
    saved(review)
    assert following not in done
    assert {label_of(small, image_id)[1] for image_id in done} == {"human"}
    assert looked_at(review) == 5
    review.keyboard.press("Backspace")
    review.wait_for_function(
        "id => document.querySelector('.lq-review').dataset.id == id", arg=done[-1]
    )
    saved(review)
    assert label_of(small, done[-1])[1] == "imported"


def test_undo_brings_an_image_back_by_both_of_its_keys(review, small: Workspace) -> None:
    first, second = press(review, "a"), press(review, "k")
    painted(review)
    review.keyboard.press("Control+z")
    assert painted(review) == second
    review.keyboard.press("Backspace")
    review.wait_for_function(
        "id => document.querySelector('.lq-review').dataset.id == id", arg=first
    )
    saved(review)
    assert {label_of(small, image_id)[1] for image_id in (first, second)} == {"imported"}
    press(review, "3")
    saved(review)
    assert label_of(small, first) == ("scratch", "human")


def test_a_skipped_image_is_not_decided(review, small: Workspace) -> None:
    skipped = press(review, "s")
    saved(review)
    assert painted(review) != skipped
    assert label_of(small, skipped)[1] == "imported"
    assert looked_at(review) == 1


def test_the_mouse_decides_as_the_keys_do(review, small: Workspace) -> None:
    first = painted(review)
    review.get_by_role("button", name="A Accept").click()
    review.wait_for_function(
        "id => document.querySelector('.lq-review').dataset.id != id", arg=first
    )
    second = painted(review)
    review.get_by_role("group", name="Another label").get_by_role("button", name="unusable").click()
    saved(review)
    assert label_of(small, first)[1] == "human"
    assert label_of(small, second) == ("unusable", "human")


def test_keys_typed_into_a_field_decide_nothing(review, small: Workspace) -> None:
    review.get_by_role("combobox", name="Features").focus()
    review.keyboard.type("aks")
    review.keyboard.press("Escape")
    assert labels.list_batches(small) == []
    assert looked_at(review) == 0


def test_an_image_whose_file_is_gone_can_only_be_skipped(
    browser, app_url: str, small: Workspace
) -> None:
    for image in catalog.list_images(small):
        catalog.image_path(small, image).unlink()
    context = browser.new_context()  # where missing pictures are no failure
    context.add_cookies([{"name": "lacquer_name", "value": "Ada", "url": app_url}])
    page = context.new_page()
    view = urlencode({"ws": small.uid, "clusters_and_anomalies.view": "Label errors"})
    page.goto(f"{app_url}/clusters_and_anomalies?{view}")
    lost = painted(page)
    page.get_by_text("This image's file cannot be shown").wait_for()
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert painted(page) == lost
    page.keyboard.press("s")
    saved(page)
    assert labels.list_batches(small) == []
    context.close()


def test_the_report_opens_without_a_network_and_draws_its_charts(
    open_app, browser, small: Workspace, tmp_path
) -> None:
    page = open_app("clusters_and_anomalies", **{"clusters_and_anomalies.view": "Report"})
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download the report").click()
    path = tmp_path / "report.html"
    downloading.value.save_as(path)
    context = browser.new_context(offline=True)
    report = context.new_page()
    told: list[str] = []
    report.on("pageerror", lambda error: told.append(str(error)))
    report.on("console", lambda line: told.append(line.text) if line.type == "error" else None)
    report.goto(path.as_uri())
    n_charts = report.locator(".chart").count()
    assert n_charts >= 6
    report.wait_for_function(
        "n => document.querySelectorAll('.chart .main-svg').length >= n", arg=n_charts
    )
    assert report.locator("img").first.evaluate("image => image.complete && image.naturalWidth > 0")
    context.close()
    assert told == []
