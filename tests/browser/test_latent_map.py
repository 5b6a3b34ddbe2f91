"""The latent map in a real browser, driven by mouse and keys, checked against the geometry."""

import json
import re
import urllib.request

import numpy as np
import pytest

pytestmark = pytest.mark.browser

# Where the chart's own axes put the plane on the page: independent of the map's camera.
PLANE = """() => {
  const chart = document.querySelectorAll(".lq-plot")[%d];
  const {left, top, width, height} = chart.getBoundingClientRect();
  const {xaxis, yaxis} = chart.layout;
  return {left, top, width, height, x: xaxis.range, y: yaxis.range};
}"""
MAP = "document.querySelectorAll('.lq-map')[%d].parentElement.latentMap"


class MapOnPage:
    """One map of the page, and where its points are on the screen."""

    def __init__(self, page, url, data, *, n, which=0):
        self.page, self.url, self.which = page, url, which
        self.points = data.points(("left", "right")[which], n)

    def plane(self):
        return self.page.evaluate(PLANE % self.which)

    def places(self):
        """float64 (n, 2), each point's place on the page in px."""
        plane = self.plane()
        (x0, x1), (y0, y1) = plane["x"], plane["y"]
        x, y = self.points.x.astype(float), self.points.y.astype(float)
        px = plane["left"] + (x - x0) / (x1 - x0) * plane["width"]
        py = plane["top"] + (y1 - y) / (y1 - y0) * plane["height"]
        return np.column_stack([px, py])

    def aim(self, row):
        """A place on the page at a point, in whole px, and the id of what is nearest to it."""
        places = self.places()
        place = np.round(places[row])
        nearest = np.hypot(*(places - place).T).argmin()
        return (int(place[0]), int(place[1])), int(self.points.ids[nearest])

    def at(self, across, down):
        """A place on the page, from shares of the map's width and height, in whole px."""
        plane = self.plane()
        return (
            round(plane["left"] + across * plane["width"]),
            round(plane["top"] + down * plane["height"]),
        )

    def tool(self, name):
        self.page.locator(f".lq-map >> nth={self.which} >> [data-tool={name}]").click()

    def draw(self, corners):
        mouse = self.page.mouse
        mouse.move(*corners[0])
        mouse.down()
        for corner in corners[1:]:
            mouse.move(*corner)
        mouse.up()

    def lit(self):
        """Ids that the browser shows as selected, ascending."""
        return sorted(self.page.evaluate(f"Array.from({MAP % self.which}.selectedIds())"))

    def resolved(self):
        """Ids that Python finds, once it has seen this map's last change, ascending."""
        text = self.page.wait_for_function(
            f"""() => {{
              const seq = {MAP % self.which}.seq;
              const text = document.querySelector(".stMain").innerText;
              return text.includes(`seq ${{seq}}`) && text.match(/resolved \\w+/)[0];
            }}"""
        ).json_value()
        with urllib.request.urlopen(f"{self.url}/selection/{text.split()[1]}") as answer:
            return np.frombuffer(answer.read(), "<i4").tolist()


@pytest.fixture
def open_map(browser_page, harness_url, harness_data):
    def open_(n, *, maps=1, **query):
        more = "".join(f"&{name}={value}" for name, value in query.items())
        browser_page.goto(f"{harness_url}/?n={n}&maps={maps}{more}")
        browser_page.wait_for_function(
            "n => document.querySelectorAll('.lq-map[data-state=ready]').length === n", arg=maps
        )
        shown = [
            MapOnPage(browser_page, harness_url, harness_data, n=n, which=which)
            for which in range(maps)
        ]
        return shown[0] if maps == 1 else shown

    return open_


def inside(places, polygon):
    """Even-odd on the screen, and the points too near an edge for the screen to decide."""
    px, py = places.T
    odd = np.zeros(len(places), bool)
    near = np.zeros(len(places), bool)
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if ay != by:
            crosses = (ay > py) != (by > py)
            odd ^= crosses & (px < ax + (py - ay) * (bx - ax) / (by - ay))
        along = np.clip(
            ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2),
            0,
            1,
        )
        near |= np.hypot(px - ax - along * (bx - ax), py - ay - along * (by - ay)) < 1e-3
    return odd, near


def assert_ids_inside(shown, polygon, ids, *, hidden=None):
    odd, near = inside(shown.places(), polygon)
    if hidden is not None:
        odd &= ~hidden
        near &= ~hidden
    ids = set(ids)
    assert set(shown.points.ids[odd & ~near].tolist()) <= ids
    assert ids <= set(shown.points.ids[odd | near].tolist())
    assert near.sum() < 5


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_hover_shows_the_image_of_the_nearest_point(open_map, browser_page, harness_data, n):
    shown = open_map(n)
    for row in np.random.default_rng(0).choice(n, 5, replace=False):
        pointer, nearest = shown.aim(row)
        browser_page.mouse.move(*pointer)
        image = browser_page.wait_for_selector(f".lq-card-image[data-shown='{nearest}']")
        pixel = image.evaluate(
            """image => {
              const context = new OffscreenCanvas(8, 8).getContext("2d");
              context.drawImage(image, 0, 0);
              return Array.from(context.getImageData(4, 4, 1, 1).data.slice(0, 3));
            }"""
        )
        assert np.abs(np.subtract(pixel, harness_data.color_of(nearest))).max() <= 6
        title = harness_data.card(nearest)["title"]
        browser_page.wait_for_function(
            "title => document.querySelector('.lq-card-title').textContent === title", arg=title
        )
        assert browser_page.get_attribute(".lq-ring", "data-id") == str(nearest)
        box = browser_page.locator(".lq-card").bounding_box()
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= 1280
        assert box["y"] + box["height"] <= 900
    browser_page.wait_for_function(
        "document.querySelector('.lq-card-image').src.includes('preview')"
    )


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_a_lasso_selects_exactly_the_ids_inside(open_map, n):
    shown = open_map(n)
    shown.tool("lasso")
    polygon = [
        shown.at(*place)
        for place in [(0.3, 0.1), (0.6, 0.2), (0.55, 0.6), (0.5, 0.3), (0.4, 0.8), (0.35, 0.4)]
    ]
    shown.draw(polygon)
    ids = shown.resolved()
    assert 0.02 * n < len(ids) < 0.9 * n
    assert ids == shown.lit()
    assert_ids_inside(shown, polygon, ids)


def test_a_box_selects_what_is_inside_also_after_zooming(open_map, browser_page):
    shown = open_map(1_000)
    browser_page.mouse.move(*shown.at(0.4, 0.4))
    before = shown.plane()["x"]
    browser_page.mouse.wheel(0, -400)
    browser_page.wait_for_function(
        f"width => {{ const [a, b] = ({PLANE % 0})().x; return b - a < 0.6 * width; }}",
        arg=before[1] - before[0],
    )
    shown.tool("box")
    (left, top), (right, bottom) = shown.at(0.2, 0.2), shown.at(0.7, 0.7)
    shown.draw([(right, bottom), (left, top)])
    ids = shown.resolved()
    assert len(ids) > 20
    assert ids == shown.lit()
    assert_ids_inside(shown, [(left, top), (right, top), (right, bottom), (left, bottom)], ids)


def test_shift_adds_alt_removes_and_escape_clears(open_map, browser_page):
    shown = open_map(1_000)
    shown.tool("box")
    shown.draw([shown.at(0.25, 0.05), shown.at(0.45, 0.95)])
    first = set(shown.resolved())
    browser_page.keyboard.down("Shift")
    shown.draw([shown.at(0.4, 0.05), shown.at(0.7, 0.4)])
    browser_page.keyboard.up("Shift")
    both = set(shown.resolved())
    assert first < both
    browser_page.keyboard.down("Alt")
    shown.draw([shown.at(0.25, 0.05), shown.at(0.45, 0.95)])
    browser_page.keyboard.up("Alt")
    assert set(shown.resolved()) == both - first
    assert shown.lit() == sorted(both - first)
    browser_page.keyboard.press("Escape")
    assert shown.resolved() == []
    assert shown.lit() == []
    assert browser_page.locator(".lq-chip").is_hidden()


def test_a_click_selects_one_image(open_map, browser_page):
    shown = open_map(1_000)
    place, nearest = shown.aim(3)
    browser_page.mouse.click(*place)
    assert shown.resolved() == [nearest]


def test_hidden_categories_are_never_selected_or_hovered(open_map, browser_page, harness_data):
    shown = open_map(1_000)
    browser_page.get_by_role("button", name="dirt").click()
    browser_page.wait_for_function(f"{MAP % 0}.hidden.size === 1")
    shown.tool("box")
    shown.draw([shown.at(0.01, 0.02), shown.at(0.99, 0.98)])
    dirt = harness_data.categories(1_000) == 0
    assert shown.resolved() == sorted(shown.points.ids[~dirt].tolist())
    assert shown.lit() == shown.resolved()


def test_a_double_click_in_the_legend_isolates_and_another_shows_all(open_map, browser_page):
    shown = open_map(1_000)
    browser_page.get_by_role("button", name="drop").dblclick()
    browser_page.wait_for_function(f"{MAP % 0}.hidden.size === 6")
    assert browser_page.locator(".lq-legend-entry[aria-pressed=true]").inner_text() == "drop\n232"
    visible = browser_page.evaluate(f"{MAP % 0}.plot.data.map(trace => trace.visible !== false)")
    assert sum(visible) == 1
    browser_page.get_by_role("button", name="drop").dblclick()
    browser_page.wait_for_function(f"{MAP % 0}.hidden.size === 0")
    assert shown.lit() == []


def test_linked_maps_light_and_ring_the_same_images(open_map, browser_page):
    left, right = open_map(1_000, maps=2)
    left.tool("box")
    left.draw([left.at(0.2, 0.05), left.at(0.5, 0.5)])
    assert left.lit() == right.lit() != []  # before Python has answered
    chosen = left.resolved()
    assert chosen == left.lit()

    # What is added in the other map comes on top, in that map's own plane.
    right.tool("box")
    browser_page.keyboard.down("Shift")
    corners = [right.at(0.2, 0.1), right.at(0.8, 0.1), right.at(0.8, 0.9), right.at(0.2, 0.9)]
    right.draw([corners[0], corners[2]])
    browser_page.keyboard.up("Shift")
    both = right.resolved()
    odd, _ = inside(right.places(), corners)
    assert both == left.lit() == right.lit()
    assert both == sorted(set(chosen) | set(right.points.ids[odd].tolist()))

    place, nearest = left.aim(5)
    browser_page.mouse.move(*place)
    for ring in browser_page.locator(".lq-ring").all():
        assert ring.get_attribute("data-id") == str(nearest)
    assert browser_page.locator(".lq-card:popover-open").count() == 1


def test_a_rerun_with_100000_selected_sends_little_and_fetches_nothing(open_map, browser_page):
    traffic = {"sent": 0, "received": 0}
    fetched = []

    def count(direction):
        return lambda payload: traffic.update({direction: traffic[direction] + len(payload)})

    def watch(socket):
        socket.on("framesent", count("sent"))
        socket.on("framereceived", count("received"))

    browser_page.on("websocket", watch)
    shown = open_map(100_000)
    shown.tool("box")
    shown.draw([shown.at(0.005, 0.01), shown.at(0.995, 0.99)])
    assert len(shown.resolved()) == 100_000
    assert len(shown.lit()) == 100_000
    selecting = dict(traffic)
    traffic.update(sent=0, received=0)
    browser_page.on("request", lambda request: fetched.append(request.url))
    browser_page.get_by_text("Rerun", exact=True).click()
    browser_page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    browser_page.wait_for_timeout(500)
    assert 0 < traffic["sent"] < 50_000
    assert 0 < traffic["received"] < 50_000
    assert max(selecting.values()) < 150_000
    assert not [url for url in fetched if re.search(r"/(points|colours|selection)/", url)]


def test_a_long_lasso_stays_small_and_is_still_exact(open_map, browser_page):
    shown = open_map(1_000)
    browser_page.evaluate(
        f"""() => {{
          const map = {MAP % 0};
          const send = map.setStateValue;
          map.setStateValue = (name, value) => {{
            window.lastSent = JSON.stringify(value);
            send(name, value);
          }};
        }}"""
    )
    shown.tool("lasso")
    turns = np.linspace(0, 14 * np.pi, 900)
    (cx, cy), radius = shown.at(0.45, 0.5), 60 + 12 * turns / np.pi
    spiral = np.column_stack([cx + radius * np.cos(turns), cy + radius * np.sin(turns)])
    browser_page.evaluate(
        f"""spiral => {{
          const {{stage}} = {MAP % 0};
          stage.setPointerCapture = () => {{}}; // there is no such pointer to capture
          const tell = (type, [clientX, clientY]) =>
            stage.dispatchEvent(new PointerEvent(type, {{clientX, clientY, bubbles: true}}));
          tell("pointerdown", spiral[0]);
          for (const place of spiral) tell("pointermove", place);
          tell("pointerup", spiral.at(-1));
        }}""",
        spiral.tolist(),
    )
    assert shown.resolved() == shown.lit() != []
    value = browser_page.evaluate("window.lastSent")
    assert len(value) < 20_000
    assert 100 < len(json.loads(value)["ops"][0]["path"]) <= 512


def test_a_reload_lights_the_selection_again_and_goes_on_from_it(open_map, browser_page):
    shown = open_map(1_000)
    shown.tool("box")
    shown.draw([shown.at(0.3, 0.05), shown.at(0.5, 0.4)])
    chosen = shown.resolved()
    browser_page.wait_for_url("**held=*")
    browser_page.reload()
    browser_page.wait_for_selector(".lq-map[data-state=ready]")
    browser_page.wait_for_function(f"{MAP % 0}.selectedCount > 0")
    assert shown.lit() == chosen
    other = next(row for row in range(1_000) if shown.points.ids[row] not in chosen)
    place, nearest = shown.aim(other)
    browser_page.keyboard.down("Shift")
    browser_page.mouse.click(*place)
    browser_page.keyboard.up("Shift")
    assert shown.resolved() == sorted({*chosen, nearest})


def test_a_map_that_is_left_cleans_up_and_comes_back_with_its_selection(open_map, browser_page):
    shown = open_map(1_000)
    shown.tool("box")
    shown.draw([shown.at(0.3, 0.05), shown.at(0.5, 0.4)])
    chosen = shown.resolved()
    browser_page.evaluate(f"window.mapBefore = {MAP % 0}")
    browser_page.get_by_text("Leave").click()
    browser_page.wait_for_function("mapBefore.abort.signal.aborted")
    assert browser_page.locator("canvas").count() == 0
    browser_page.get_by_text("Come back").click()
    browser_page.wait_for_selector(".lq-map[data-state=ready]")
    browser_page.wait_for_function(f"{MAP % 0}.selectedCount > 0")
    assert shown.lit() == chosen


def test_dragging_pans_and_what_is_under_the_pointer_follows(open_map, browser_page):
    shown = open_map(100_000)
    row = 17
    (x, y), _ = shown.aim(row)
    before = shown.places()[row]
    width = shown.plane()["x"]
    for _ in range(2):  # the second may be slid, where drawing is slow, before it is drawn anew
        browser_page.mouse.move(x, y)
        browser_page.mouse.down()
        browser_page.mouse.move(x + 30, y + 10, steps=4)
        browser_page.mouse.up()
        browser_page.wait_for_timeout(300)
    browser_page.wait_for_function(
        f"""left => {{
          const map = {MAP % 0};
          return !map.moving && map.plot.style.transform === ""
            && Math.abs(map.plot.layout.xaxis.range[0] - map.camera.xRange[0]) < 1e-9
            && map.camera.xRange[0] < left;
        }}""",
        arg=width[0],
    )
    assert shown.places()[row] - before == pytest.approx([60, 20], abs=0.01)
    place, nearest = shown.aim(row)
    browser_page.mouse.move(*place)
    browser_page.wait_for_selector(f".lq-card-image[data-shown='{nearest}']")


def test_what_python_clears_goes_dark(open_map, browser_page):
    shown = open_map(1_000)
    shown.tool("box")
    shown.draw([shown.at(0.3, 0.05), shown.at(0.5, 0.4)])
    shown.resolved()
    browser_page.get_by_text("Clear from Python").click()
    browser_page.wait_for_function(f"{MAP % 0}.selectedCount === 0")


def test_a_change_of_theme_restyles_the_map_without_drawing_it_anew(open_map, browser_page):
    shown = open_map(1_000)
    shown.tool("box")
    shown.draw([shown.at(0.3, 0.05), shown.at(0.5, 0.4)])
    chosen = shown.resolved()
    browser_page.evaluate(f"window.canvasBefore = {MAP % 0}.plot.querySelector('canvas')")
    veil = "getComputedStyle(document.querySelector('.lq-veil')).backgroundColor"
    light = browser_page.evaluate(veil)
    browser_page.emulate_media(color_scheme="dark")
    browser_page.wait_for_function(f"light => {veil} !== light", arg=light)
    assert shown.lit() == chosen
    assert browser_page.evaluate(f"canvasBefore === {MAP % 0}.plot.querySelector('canvas')")


def test_names_from_files_stay_text(open_map, browser_page, harness_data):
    shown = open_map(1_000)
    assert harness_data.UNTRUSTED in browser_page.inner_text(".lq-legend")
    row = int(np.flatnonzero(shown.points.ids % 5 == 0)[0])
    browser_page.evaluate(f"{MAP % 0}.hover({row})")
    browser_page.wait_for_function(
        "text => document.querySelector('.lq-card-title').textContent === text",
        arg=harness_data.UNTRUSTED,
    )
    assert browser_page.evaluate("window.hacked") is None


def test_arrow_keys_go_from_point_to_point_and_enter_selects(open_map, browser_page):
    shown = open_map(1_000)
    browser_page.locator(".lq-stage").focus()
    browser_page.keyboard.press("ArrowRight")
    first = browser_page.wait_for_selector(".lq-card-image[data-shown]").get_attribute("data-id")
    browser_page.keyboard.press("ArrowRight")
    browser_page.wait_for_function(
        "first => document.querySelector('.lq-ring').dataset.id !== first", arg=first
    )
    browser_page.keyboard.press("Enter")
    assert shown.resolved() == [int(browser_page.get_attribute(".lq-ring", "data-id"))]


def test_a_tap_shows_the_card_and_a_second_one_selects(browser, harness_url, harness_data):
    context = browser.new_context(viewport={"width": 820, "height": 1100}, has_touch=True)
    page = context.new_page()
    page.goto(f"{harness_url}/?n=1000")
    page.wait_for_selector(".lq-map[data-state=ready]")
    shown = MapOnPage(page, harness_url, harness_data, n=1_000)
    place, nearest = shown.aim(0)
    page.touchscreen.tap(*place)
    page.wait_for_selector(f".lq-card-image[data-shown='{nearest}']")
    assert shown.lit() == []
    page.touchscreen.tap(*place)
    assert shown.resolved() == [nearest]
    context.close()


def test_scores_are_shown_with_their_range(open_map, browser_page):
    open_map(1_000, kind="score")
    assert browser_page.inner_text(".lq-score-ends").split() == ["0", "14"]
    assert "1 without a score" in browser_page.inner_text(".lq-score")


def test_one_point_is_shown_and_none_says_so(open_map, browser_page):
    shown = open_map(1)
    browser_page.mouse.move(*shown.aim(0)[0])
    browser_page.wait_for_selector(f".lq-card-image[data-shown='{shown.points.ids[0]}']")
    open_map(0)
    assert "No points yet" in browser_page.inner_text(".lq-message")


def test_points_that_fail_to_load_can_be_asked_for_again(browser_page, harness_url):
    urllib.request.urlopen(f"{harness_url}/fail_once").close()
    browser_page.goto(f"{harness_url}/?n=999")
    browser_page.wait_for_selector(".lq-map[data-state=failed]")
    assert "could not be loaded" in browser_page.inner_text(".lq-message")
    browser_page.get_by_text("Try again").click()
    browser_page.wait_for_selector(".lq-map[data-state=ready]")
