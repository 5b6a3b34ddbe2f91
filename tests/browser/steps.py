"""What a person does on any page of the app, in the words of Playwright."""

from collections.abc import Callable

OpenApp = Callable[..., object]


def go_to(page, title: str, *, heading: str = "") -> None:
    """Follow a link of the navigation."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    page.get_by_role("heading", name=heading or title, exact=True).wait_for()
    settle(page)


def settle(page) -> None:
    """Wait until the script has run, so that the page moves no more under the mouse."""
    page.wait_for_selector(".stApp[data-test-script-state=notRunning]")


def give_name(page, name: str) -> None:
    """Answer the question that the first action asks."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your name").fill(name)
    dialog.get_by_role("button", name="Keep").click()
    dialog.wait_for(state="hidden")


def click(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def wait_for_map(page) -> None:
    page.wait_for_selector(".lq-map[data-state=ready]")
    settle(page)


def wait_for_tiles(page, n_tiles: int) -> None:
    page.wait_for_function("n => document.querySelectorAll('.lq-tile').length === n", arg=n_tiles)
    settle(page)


def metric(page, label: str) -> str:
    return page.get_by_test_id("stMetric").filter(has_text=label).inner_text().split("\n")[-1]
