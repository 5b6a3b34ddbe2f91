"""Triage in a real browser: keys at speed, undo, two people, fingers, a lost answer, a pause."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from core.state import catalog, decisions
from core.state.decisions import Entry
from core.state.workspace import Workspace
from tests.browser.conftest import PATIENCE_S, is_error
from tests.queued import enqueue

pytestmark = pytest.mark.browser

# Every key that falls while an image is painted, and which item that is: what a person saw. It
# listens before the card does.
WATCH = """
window.seen = [];
window.addEventListener("keydown", (event) => {
  const card = document.querySelector(".lq-triage[data-painted]");
  const body = card?.querySelector(".lq-body");
  if (body) window.seen.push([Number(body.dataset.id), event.key]);
}, { capture: true });
"""
TYPED_AT_ONCE = 12  # keys a second


@pytest.fixture
def work_as(browser, app_url: str, small: Workspace) -> Iterator[Any]:
    """`work_as("Ada")` gives the page of somebody whose name is known, its first image painted."""
    contexts: list = []
    problems: list[str] = []

    def open_(name: str, *, view: str = "Queue", **options: Any):
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"} | options
        )
        contexts.append(context)
        context.add_cookies([{"name": "lacquer_name", "value": name, "url": app_url}])
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if is_error(line) else None)
        page.add_init_script(WATCH)
        page.goto(f"{app_url}/triage?{urlencode({'ws': small.uid, 'triage.view': view})}")
        painted(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


def painted(page) -> int:
    """The item on the screen."""
    page.wait_for_selector(".lq-triage[data-painted]")
    return int(page.locator(".lq-triage .lq-body").get_attribute("data-id"))


def press(page, key: str) -> int:
    """Press a key on the item that is painted; which one that was."""
    item = painted(page)
    page.keyboard.press(key)
    return item


def shows(page, item: int) -> None:
    """Wait until this item is painted."""
    page.wait_for_selector(f".lq-triage[data-painted] .lq-body[data-id='{item}']")


def saved(page) -> None:
    page.wait_for_function("document.querySelector('.lq-state').innerText === 'all saved'")


def decided(workspace: Workspace) -> dict[int, str | None]:
    """Labels by item, of the decisions that stand, and what was skipped under no label."""
    return {
        each.item_id: each.label
        for each in decisions.list_decisions(workspace)
        if each.kind != "undo" and each.undone_by is None
    }


def suggestions(workspace: Workspace) -> dict[int, str | None]:
    """Every item's suggestion: what its image is."""
    return {image.id: image.label for image in catalog.list_images(workspace)}


def test_at_speed_every_decision_is_for_the_image_seen_and_the_batch_does_not_run_dry(
    work_as, small: Workspace
) -> None:
    enqueue(small)
    page = work_as("Ada")
    for place in range(300):
        page.keyboard.press("a12"[place % 3])
        page.wait_for_timeout(1000 / TYPED_AT_ONCE)
        if page.evaluate("window.seen.length") >= 30:
            break
    saved(page)
    seen = page.evaluate("window.seen")
    assert len(seen) >= 30  # more than a batch
    assert len({item for item, _ in seen}) == len(seen)
    recorded = {each.item_id: each for each in decisions.list_decisions(small)}
    assert recorded.keys() == {item for item, _ in seen}
    for item, key in seen:
        label = {"a": recorded[item].suggested, "1": "dirt", "2": "drop"}[key]
        assert recorded[item].label == label
    assert page.locator(".lq-count").inner_text() == f"{len(seen)} of 60 decided"


def test_undo_goes_back_many_steps_also_over_a_reload_and_without_the_tabs_memory(
    work_as, app_url: str, small: Workspace
) -> None:
    enqueue(small)
    page = work_as("Ada")
    done = [press(page, key) for key in ("a", "x", "s", "2")]
    page.keyboard.press("Control+z")
    shows(page, done[3])
    page.reload()
    painted(page)
    saved(page)
    assert set(decided(small)) == set(done[:3])
    page.keyboard.press("Backspace")
    shows(page, done[2])
    saved(page)
    page.goto(f"{app_url}/_stcore/health")
    page.evaluate("sessionStorage.clear()")  # what the tab knew is gone
    page.go_back()
    painted(page)
    page.keyboard.press("Backspace")
    shows(page, done[1])
    page.keyboard.press("Backspace")
    shows(page, done[0])
    saved(page)
    assert decided(small) == {}
    assert {image.label_origin for image in catalog.list_images(small)} == {"imported"}


def test_keys_typed_into_a_field_decide_nothing_and_a_new_type_is_given_by_enter(
    work_as, small: Workspace
) -> None:
    enqueue(small)
    page = work_as("Ada")
    first = press(page, "n")
    page.keyboard.type("axs1/")
    page.keyboard.press("Enter")
    page.get_by_text("no slashes").wait_for()
    page.keyboard.press("Escape")
    assert painted(page) == first
    page.get_by_role("button", name="Ada").click()
    page.get_by_label("Your name").focus()
    page.keyboard.type("as1")
    page.keyboard.press("Escape")
    page.get_by_label("Your name").wait_for(state="hidden")
    page.locator(".lq-count").click()
    assert painted(page) == first
    press(page, "n")
    page.keyboard.type("orange peel")
    page.keyboard.press("Enter")
    saved(page)
    assert decided(small) == {first: "orange peel"}
    page.get_by_role("group", name="Labels").get_by_text("orange peel").wait_for()


def test_the_list_the_comment_and_the_keys_are_used_by_keyboard_alone(
    work_as, small: Workspace
) -> None:
    enqueue(small)
    page = work_as("Ada")
    first = press(page, "l")
    page.keyboard.type("not")
    page.keyboard.press("Enter")
    shows_another(page, first)
    second = press(page, "f")
    page.keyboard.type("blurred")
    page.keyboard.press("Enter")
    shows_another(page, second)
    third = press(page, "?")
    page.get_by_text("take the last decision back").wait_for()
    page.keyboard.press("a")  # closes them, and decides nothing
    page.get_by_text("take the last decision back").wait_for(state="detached")
    page.keyboard.press("Shift+Tab")
    page.get_by_role("button", name="Skip").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # the button that Tab has reached, not the suggestion
    shows_another(page, third)
    saved(page)
    newest = decisions.list_decisions(small)
    assert [(each.item_id, each.kind, each.label, each.comment) for each in newest] == [
        (third, "skip", None, ""),
        (second, "flag", None, "blurred"),
        (first, "label", "not_a_defect", ""),
    ]


def shows_another(page, item: int) -> None:
    page.wait_for_selector(f".lq-triage[data-painted] .lq-body:not([data-id='{item}'])")


def test_the_image_is_zoomed_inverted_and_compared_by_keys(work_as, small: Workspace) -> None:
    enqueue(small)
    page = work_as("Ada")
    box = page.locator(".lq-stage").bounding_box()
    assert box["height"] >= 0.6 * 800
    press(page, "+")
    zoom = (
        "new DOMMatrix(getComputedStyle(document.querySelector('.lq-view .lq-large')).transform).a"
    )
    assert page.evaluate(zoom) == pytest.approx(1.5)
    page.keyboard.press("0")
    assert page.evaluate(zoom) == 1
    page.keyboard.press("i")
    page.keyboard.press("]")
    filtered = page.locator(".lq-view img").evaluate("image => getComputedStyle(image).filter")
    assert filtered == "contrast(1.25) invert(1)"
    page.keyboard.press("c")
    page.locator(".lq-other img").wait_for()
    page.keyboard.press("Escape")
    page.locator(".lq-other img").wait_for(state="hidden")
    page.wait_for_selector(".lq-view [data-whole]")


def test_two_people_never_see_the_same_item_and_a_conflict_stands_out(
    work_as, small: Workspace
) -> None:
    enqueue(small)
    ada, grace = work_as("Ada"), work_as("Grace")
    mine, theirs = [], []
    for _ in range(3):
        mine.append(press(ada, "a"))
        theirs.append(press(grace, "a"))
    assert not set(mine) & set(theirs)
    late = painted(ada)
    decisions.decide(small, Entry("elsewhere", 1, late, "label", "scratch", "dirt"), actor="Hopper")
    ada.keyboard.press("1")
    conflict = ada.locator(".lq-trail li[data-standing=conflict]")
    conflict.wait_for()
    assert "Hopper decided scratch" in conflict.inner_text()
    assert ada.locator(".lq-last[data-loud]").count() == 1
    saved(grace)
    assert set(theirs) <= set(decided(small))


def test_a_blind_item_shows_no_score_until_it_is_decided(work_as, small: Workspace) -> None:
    enqueue(small, is_blind=True)
    page = work_as("Ada")
    page.get_by_text("Judged blind: the scores appear after your decision").wait_for()
    assert "0.54" not in page.content()
    press(page, "Enter")
    page.locator(".lq-trail").get_by_text("The model found: dirt 0.54 and rust 0.41.").wait_for()


def test_a_group_is_confirmed_but_for_what_was_left_out_and_taken_back_as_a_whole(
    work_as, small: Workspace
) -> None:
    ids = catalog.image_ids(small).tolist()
    enqueue(small, ids[:8], alike=1)
    enqueue(small, ids[20:24], alike=2)
    page = work_as("Ada", view="Grid")
    first = painted(page)
    page.get_by_role("button", name="Confirm 8 as dirt").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.locator(".lq-pick").nth(4).click()
    page.get_by_role("button", name="Confirm 6 as dirt").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("2 left out").wait_for()
    saved(page)
    assert len(decided(small)) == 6
    painted(page)
    page.keyboard.press("Enter")  # gives them nothing: they are something else
    page.keyboard.press("3")
    page.get_by_role("button", name="Confirm 4 as drop").wait_for()
    saved(page)
    assert sorted(decided(small).values()) == ["dirt"] * 6 + ["scratch"] * 2
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    shows(page, first)
    saved(page)
    assert decided(small) == {}


def test_fingers_decide_on_a_tablet_by_buttons_that_are_large_enough(
    work_as, small: Workspace
) -> None:
    enqueue(small)
    page = work_as("Ada", viewport={"width": 820, "height": 1180}, has_touch=True)
    buttons = page.locator(".lq-triage :is(.lq-key, .lq-confirm, .lq-tool, .lq-round)")
    heights = buttons.evaluate_all(
        "all => all.filter((each) => each.offsetParent).map((each) => each.offsetHeight)"
    )
    assert len(heights) > 12
    assert min(heights) >= 44
    first = painted(page)
    page.locator(".lq-confirm").tap()
    shows_another(page, first)
    second = painted(page)
    page.get_by_role("button", name="Not a defect").tap()
    shows_another(page, second)
    page.get_by_role("group", name="Actions").get_by_role("button", name="Undo").tap()
    shows(page, second)
    saved(page)
    assert decided(small) == {first: "dirt"}


def test_a_duplicated_tab_does_not_take_its_decisions_for_those_of_the_first(
    work_as, small: Workspace
) -> None:
    enqueue(small)
    page = work_as("Ada")
    done = {press(page, "a")}
    saved(page)
    with page.expect_popup() as opening:  # it begins with a copy of the first tab's storage
        page.evaluate("window.open(location.href)")
    copy = opening.value
    done.add(press(copy, "2"))
    saved(copy)
    page.bring_to_front()
    assert press(page, "x") in done  # the tabs of one person share what is leased
    page.locator(".lq-trail").get_by_text("You had decided this one already").wait_for()
    saved(page)
    assert set(decided(small)) == done


def test_a_key_decides_at_once_after_a_click_on_the_view(work_as, small: Workspace) -> None:
    enqueue(small)
    page = work_as("Ada")
    page.get_by_role("radio", name="People", exact=True).click()
    page.get_by_text("Nobody has decided").wait_for()
    page.get_by_role("radio", name="Queue", exact=True).click()
    first = press(page, "Enter")  # the view still has the focus
    saved(page)
    assert decided(small) == {first: "dirt"}


def test_who_was_away_comes_back_by_a_key_that_decides_nothing(work_as, small: Workspace) -> None:
    enqueue(small)
    page = work_as("Ada")
    first = painted(page)
    page.evaluate(
        """() => {
          const {presence} = document.querySelector(".lq-triage").parentElement.triage;
          presence.usedAt -= 6 * 60 * 1000;
          presence.renew();
        }"""
    )
    page.get_by_text("Paused").wait_for()
    page.keyboard.press("a")
    page.locator(".lq-pause").wait_for(state="hidden")  # until then keys are swallowed
    shows(page, first)
    assert decisions.list_decisions(small) == []
    press(page, "a")
    saved(page)
    assert decided(small) == {first: "dirt"}


def test_what_gets_no_answer_is_sent_again_and_names_are_never_markup(
    browser_page, harness_url: str
) -> None:
    browser_page.goto(f"{harness_url}/?view=triage&n=30&deaf=1")
    done = [press(browser_page, key) for key in ("a", "1", "s")]
    assert re.match(r"saving \d", browser_page.locator(".lq-state").inner_text())
    saved(browser_page)
    browser_page.get_by_text('"seq": 3').wait_for()
    written = json.loads(browser_page.locator("[data-testid=stText]").inner_text())
    assert [(entry["item_id"], entry["kind"]) for entry in written] == [
        (done[0], "label"),
        (done[1], "label"),
        (done[2], "skip"),
    ]
    assert browser_page.evaluate("window.hacked") is None
    assert "onerror" in browser_page.locator(".lq-focus").inner_text()
