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


def wait_until_drawn(page) -> None:
    """Wait until all that the page shows is there: texts, images, charts, tables and maps."""
    settle(page)
    page.wait_for_function(
        """() => {
          const all = (selector) => [...document.querySelectorAll(selector)];
          const isFolded = (element) => element.closest("details:not([open])");
          const isSeen = (element) => element.checkVisibility() && !isFolded(element);
          const seen = (selector) => all(selector).filter(isSeen);
          const isNear = (element) => element.getBoundingClientRect().top < innerHeight;
          return document.fonts.status === "loaded"
            && document.querySelector("[data-testid=stMain] h2, [data-testid=stMain] h1") !== null
            && seen("[data-testid=stSkeleton], [data-testid=stSpinner]").length === 0
            && seen("[data-testid=stPlotlyChart]").every((it) => it.querySelector(".main-svg"))
            && seen("[data-testid=stDataFrame]").every((it) => it.querySelector("canvas"))
            && all(".lq-map").every((map) => map.dataset.state === "ready")
            && seen(".stMain img").filter(isNear).every((image) => image.complete);
        }"""
    )
    settle(page)


def bring_map_into_view(page) -> None:
    """Scroll until a map ends where the window does."""
    page.locator(".lq-map").last.evaluate("(map) => map.scrollIntoView({ block: 'end' })")
    settle(page)


def hover_over_a_point(page) -> None:
    """Put the pointer on a point of the map, left of its middle, so that the card has room."""
    place = page.evaluate(
        """() => {
          const chart = document.querySelector(".lq-plot");
          const {left, top, width, height} = chart.getBoundingClientRect();
          const {xaxis: {range: [x0, x1]}, yaxis: {range: [y0, y1]}} = chart.layout;
          const points = chart.data.flatMap((trace) => Array.from(trace.x ?? [], (x, i) => [
            left + (x - x0) / (x1 - x0) * width, top + (y1 - trace.y[i]) / (y1 - y0) * height,
          ]));
          const [x, y] = [left + 0.4 * width, top + 0.5 * height];
          const far = (point) => Math.hypot(point[0] - x, point[1] - y);
          return points.reduce((best, point) => far(point) < far(best) ? point : best);
        }"""
    )
    page.mouse.move(*place)
    page.wait_for_selector(".lq-card-image[data-shown]")


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
