"""What does the latent map cost, beside Streamlit's own plotly chart of the same points?

Cold time to the first ink, hover to image, and a rerun's time and websocket bytes, medians of
three, on one machine in one run: the ratios carry over, the times do not.
"""

import importlib.util
import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

BROWSER_TESTS = Path(__file__).resolve().parents[1] / "browser"
SIZES = (1_000, 10_000, 100_000)
N_RUNS = 3
N_HOVERS = 20

# Notes when the chart's canvas first holds a pixel that is not transparent.
WATCH_INK = """
  const small = new OffscreenCanvas(96, 96).getContext("2d", {willReadFrequently: true});
  const watch = setInterval(() => {
    for (const canvas of document.querySelectorAll(".js-plotly-plot canvas")) {
      if (!canvas.width) continue;
      small.clearRect(0, 0, 96, 96);
      small.drawImage(canvas, 0, 0, 96, 96);
      if (small.getImageData(0, 0, 96, 96).data.some(Boolean)) {
        window.inkAt = performance.now();
        clearInterval(watch);
        return;
      }
    }
  }, 20);
"""
# Notes the time from the pointer's move to the image of the point under it.
WATCH_HOVER = """
  window.hovers = [];
  let movedAt = 0;
  addEventListener("pointermove", () => { movedAt = performance.now(); }, true);
  const image = document.querySelector(".lq-card-image");
  let last = null;
  new MutationObserver(() => {
    const {shown} = image.dataset;
    if (!shown || shown === last) return; // the sharper image of the same point comes later
    last = shown;
    requestAnimationFrame(() => hovers.push(performance.now() - movedAt));
  }).observe(image, {attributeFilter: ["data-shown"]});
"""
MAP = "document.querySelector('.lq-map').parentElement.latentMap"


def bench() -> list[dict[str, Any]]:
    """One row a measurement: `n`, `what`, `unit`, `map`, `stock` and `ratio` (map / stock)."""
    tools = _load(BROWSER_TESTS / "conftest.py")
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        tools.running_app(BROWSER_TESTS / "harness" / "app.py", Path(folder) / "log") as url,
        tools.running_browser() as browser,
    ):
        for n in SIZES:
            for path in ("points/left", "colours/category"):  # the server makes its data
                urllib.request.urlopen(f"{url}/{path}/{n}").close()
            runs = [
                {view: _visit(browser, f"{url}/?view={view}&n={n}") for view in ("map", "stock")}
                for _ in range(N_RUNS)
            ]
            for what, unit in (
                ("first_ink", "ms"),
                ("websocket_at_first", "kB"),
                ("rerun", "ms"),
                ("rerun_received", "kB"),
                ("rerun_sent", "kB"),
                ("hover_to_image_p50", "ms"),
                ("hover_to_image_p95", "ms"),
                ("rerun_all_selected_received", "kB"),
                ("rerun_all_selected_sent", "kB"),
            ):
                rows.append(_row(n, what, unit, runs))
    return rows


def _row(n: int, what: str, unit: str, runs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    own = statistics.median(run["map"][what] for run in runs)
    stock = None
    if what in runs[0]["stock"]:
        stock = statistics.median(run["stock"][what] for run in runs)
    return {
        "n": n,
        "what": what,
        "unit": unit,
        "map": round(own, 1),
        "stock": None if stock is None else round(stock, 1),
        "ratio": round(own / stock, 3) if stock else None,
    }


def _visit(browser: Any, url: str) -> dict[str, float]:
    """Open a page cold and measure it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.add_init_script(WATCH_INK)
    frames: list[tuple[float, str, int]] = []
    page.on("websocket", lambda socket: _record(socket, frames))
    page.goto(url)
    page.wait_for_function("window.inkAt")
    _wait_until_quiet(page, frames)
    measured = {
        "first_ink": page.evaluate("inkAt"),
        "websocket_at_first": _kilobytes(frames, "received"),
        **_rerun(page, frames, "rerun"),
    }
    if "view=map" in url:
        measured |= _hover(page)
        page.evaluate(f"{MAP}.apply({{op: 'replace', kind: 'box', path: [[-99, -99], [99, 99]]}})")
        _wait_until_quiet(page, frames)
        measured |= _rerun(page, frames, "rerun_all_selected")
    context.close()
    return measured


def _record(socket: Any, frames: list[tuple[float, str, int]]) -> None:
    def note(direction: str) -> Any:
        return lambda payload: frames.append((time.perf_counter(), direction, len(payload)))

    socket.on("framesent", note("sent"))
    socket.on("framereceived", note("received"))


def _wait_until_quiet(page: Any, frames: list[tuple[float, str, int]]) -> None:
    """Wait until no frame has come for a second."""
    seen = -1
    while seen != len(frames):
        seen = len(frames)
        page.wait_for_timeout(1_000)


def _rerun(page: Any, frames: list[tuple[float, str, int]], name: str) -> dict[str, float]:
    frames.clear()
    page.get_by_text("Rerun", exact=True).click()
    _wait_until_quiet(page, frames)
    return {
        name: 1_000 * (frames[-1][0] - frames[0][0]),
        f"{name}_received": _kilobytes(frames, "received"),
        f"{name}_sent": _kilobytes(frames, "sent"),
    }


def _kilobytes(frames: list[tuple[float, str, int]], direction: str) -> float:
    return sum(size for _, way, size in frames if way == direction) / 1_000


def _hover(page: Any) -> dict[str, float]:
    places = page.evaluate(
        f"""n => {{
          const map = {MAP};
          const {{left, top}} = map.stage.getBoundingClientRect();
          return Array.from({{length: n}}, (_, i) => {{
            const row = Math.floor((i + 0.5) / n * map.points.n);
            const [x, y] = map.camera.toPixel(map.points.x[row], map.points.y[row]);
            return [left + x, top + y];
          }});
        }}""",
        N_HOVERS,
    )
    page.evaluate(WATCH_HOVER)
    for done, (x, y) in enumerate(places):
        page.mouse.move(x, y)
        page.wait_for_function("done => hovers.length > done", arg=done)
        page.wait_for_timeout(200)  # a look at the image, and the traffic is over
    hovers = page.evaluate("hovers")
    page.mouse.move(5, 5)
    return {
        "hover_to_image_p50": float(np.percentile(hovers, 50)),
        "hover_to_image_p95": float(np.percentile(hovers, 95)),
    }


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("browser_tools", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    for row in bench():
        print(json.dumps(row))
