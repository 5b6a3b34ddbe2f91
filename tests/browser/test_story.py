"""The whole story in a real browser, from the first step to the audit and back to the start.

By default on small pictures whose colours tell the defects, with the finished model. With
LACQUER_TEST_STORY=1 on the demo as it is, fine-tuned live: minutes.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.images.synthetic import DatasetPlan, plan_arrivals
from core.images.synthetic.defects import LATE_CLASSES
from core.jobs import story as plot
from core.jobs.steps import generate_images
from core.settings import load_settings
from core.state import applications, catalog, decisions, label_book
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace, find_private
from tests.browser.conftest import failed, is_error
from tests.browser.steps import give_name, settle, wait_for_map
from tests.conftest import end_workers

pytestmark = pytest.mark.browser

IS_WHOLE = bool(os.environ.get("LACQUER_TEST_STORY"))
WAIT_MS = 600_000 if IS_WHOLE else 120_000
N_IMAGES = 100  # and 81 of the line, so that ten wait for people
NEW = LATE_CLASSES[0]
# Points glide for seconds, which a busy machine may let pass between two looks.
WATCH_FOR_GLIDING = """new MutationObserver(() => {
  window.hasGlided ||= document.querySelector(".lq-map[data-gliding]") !== null;
}).observe(document.body, { attributeFilter: ["data-gliding"], childList: true, subtree: true })"""
COLOURS = {
    "dirt": (150, 60, 60),
    "drop": (60, 150, 60),
    "scratch": (60, 60, 150),
    "watermark": (150, 150, 60),
    "multiple": (110, 110, 110),
    NEW: (230, 230, 230),
}


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own, with the demo and so the story, which other tests know nothing of."""
    home = tmp_path_factory.mktemp("demo") / "home"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LACQUER_HOME", str(home))
        patched.setenv("LACQUER_OFFLINE", "1")
        asked = ["demo"]
        if not IS_WHOLE:
            patched.setattr(generate_images, "write_plan", write_small)
            patched.setattr("core.images.synthetic.write_plan", write_small)
            patched.setattr(plot, "_EPOCHS", 6)
            asked += ["--n", str(N_IMAGES)]
        assert main(asked) == 0
    yield home
    end_workers(home)


def write_small(plan: DatasetPlan, folder: Path, **_: object) -> DatasetPlan:
    """Small pictures of a plan, each in the colour of what it shows; some of the line in two."""
    for number, image in enumerate(plan):
        path = folder / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(image.seed).normal(0, 12, (48, 48, 3))
        pixels = np.array(COLOURS[image.label]) + noise + number % 7
        if image.name.startswith("line_") and number % 4 == 0:
            pixels[:, ::2] = COLOURS["dirt"]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, format="PNG")
    return plan


@pytest.fixture
def story(browser, demo_home: Path, serve_app: Callable[..., str]) -> Iterator:
    """The story's first step, for a visitor who has never been here; nothing may be told amiss."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    told: list[str] = []
    page.on("response", lambda answer: told.append(answer.url) if failed(answer) else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("console", lambda line: told.append(line.text) if is_error(line) else None)
    page.goto(f"{serve_app(LACQUER_HOME=str(demo_home))}/story")
    yield page
    context.close()
    assert told == []


def go_on(page, heading: str) -> None:
    """To the next step; the way there is on the screen without scrolling."""
    button = page.locator(".st-key-story-next button")
    box = button.bounding_box()
    assert box["y"] + box["height"] <= page.viewport_size["height"]
    button.click()
    page.get_by_role("heading", name=heading).wait_for()
    settle(page)


def copy_of(page) -> Workspace:
    """The copy that the page's address names."""
    uid = page.evaluate("new URLSearchParams(location.search).get('ws')")
    found = find_private(uid, load_settings())
    assert found is not None
    return found


def press(page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()


def test_the_story_is_walked_to_its_end_and_begun_again(
    story, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACQUER_HOME", str(demo_home))
    page = story
    page.get_by_role("heading", name="Defects look alike").wait_for()
    page.get_by_text("Tell me what they show").click()
    page.locator(".lq-story-image figcaption", has_text=re.compile("[a-z]")).first.wait_for()
    first = copy_of(page)

    go_on(page, "A generic latent space mixes them")
    wait_for_map(page)

    go_on(page, "A minute of fine-tuning")
    press(page, "Fine-tune now" if IS_WHOLE else "Use the finished one")
    page.get_by_text("validation images right. Next").wait_for()

    page.evaluate(WATCH_FOR_GLIDING)
    go_on(page, "The same map, separated")
    page.wait_for_function("window.hasGlided")
    page.wait_for_selector(".lq-map[data-state=ready]:not([data-gliding])")
    page.get_by_text("paper 0.89").wait_for()

    go_on(page, "How many may be wrong?")
    press(page, "Apply at")
    page.get_by_text("Applied:").wait_for()
    copy = copy_of(page)
    (applied,) = applications.list_applications(copy)
    assert applied.n_labelled > 0
    assert catalog.count_images(copy, ImageFilter(queued=True)) >= 10

    go_on(page, "Ten decisions")
    press(page, "Begin")
    give_name(page, "Ada")
    settle(page)
    begin = page.get_by_role("button", name="Begin", exact=True)
    if begin.count():
        begin.click()
    for _ in range(10):
        page.wait_for_selector(".lq-triage[data-painted]")
        item = page.locator(".lq-triage .lq-body").get_attribute("data-id")
        page.keyboard.press("Enter")
        page.wait_for_selector(f".lq-triage .lq-body:not([data-id='{item}'])", state="attached")
    page.get_by_text("checks in disguise").wait_for()  # all ten are written
    given = decisions.list_decisions(copy, kinds=("label",))
    assert {each.actor for each in given} == {"Ada"}
    assert len(given) == 10

    go_on(page, "A new defect from five images")
    press(page, "Let the line go on")
    page.get_by_text("Your eye is quicker").wait_for()
    settle(page)
    new = [each.name for each in plan_arrivals(24, n_new=12) if each.label == NEW][:5]
    for name in new:
        page.locator(".lq-tile", has_text=name).locator("img").click()
    press(page, "Name what these 5 show")
    page.get_by_label("Name of the type").fill(NEW)
    press(page, "Add the type and find")
    page.get_by_text("candidates, the likeliest first").wait_for()
    assert NEW in label_book.list_offered(copy)
    best = page.locator(".lq-tile").first.inner_text()
    assert IS_WHOLE or "arrival_" in best  # the small pictures are told by their colour alone

    go_on(page, "Was the promise kept?")
    page.get_by_text("That is the story: 10 decisions, 5 types").wait_for()
    settle(page)
    assert page.get_by_role("button", name="Undo").count() == 0  # of the step before
    assert page.locator(".st-key-story-next button").is_disabled()

    page.locator(".st-key-story-reset button").first.click()
    page.get_by_role("heading", name="Defects look alike").wait_for()
    settle(page)
    anew = copy_of(page)
    assert anew.uid not in (first.uid, copy.uid)
    assert not copy.path.exists()
