"""How long until the demo is made without weights or a network, and until the story begins anew?

The demo is made by its command, offline, by the network that comes with the app; from there to a
map in a browser five minutes are allowed. The story is begun anew in a real Chromium, from the
click until the images of the new copy are drawn, of which two seconds are allowed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import row

from core.settings import PROJECT_ROOT
from tests.browser.conftest import running_app, running_browser
from tests.conftest import end_workers

N_RESETS = 8
MOST_DEMO_S, MOST_RESET_S = 300.0, 2.0
N_ALIKE = 10  # images of the first step
ALL_DRAWN = """([before, n]) => !location.search.includes(before)
  && [...document.querySelectorAll(".stMain img")]
    .filter(each => each.naturalWidth > 100).length >= n
"""


def bench() -> list[dict]:
    """A row a figure: seconds, the limit, and whether it holds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        environment = {**os.environ, "LACQUER_HOME": str(home), "LACQUER_OFFLINE": "1"}
        for name in ("LACQUER_WEIGHTS_DIR", "LACQUER_WORKSPACE", "LACQUER_DATABASE_URL"):
            environment.pop(name, None)
        environment["TORCH_HOME"] = str(home / "torch")  # no weights of earlier downloads
        command = [sys.executable, "-m", "core", "--json", "demo"]
        began = time.perf_counter()
        made = subprocess.run(
            command, env=environment, cwd=PROJECT_ROOT, check=True, capture_output=True
        )
        to_demo = time.perf_counter() - began
        try:
            with (
                running_browser() as browser,
                running_app(PROJECT_ROOT / "app.py", home / "log", environment) as url,
            ):
                to_map, resets = look(browser, url)
        finally:
            end_workers(home)
    return [
        row(
            "demo, offline: seconds to a map in the browser",
            to_demo + to_map,
            at_most=MOST_DEMO_S,
            demo=round(to_demo, 1),
            n_images=json.loads(made.stdout)["n_images"],
        ),
        row(
            "story: seconds to begin anew, median",
            statistics.median(resets),
            at_most=MOST_RESET_S,
            longest=round(max(resets), 2),
            n=len(resets),
        ),
    ]


def look(browser, url: str) -> tuple[float, list[float]]:  # type: ignore[no-untyped-def]
    """Seconds until the map is drawn, and of every beginning anew."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    began = time.perf_counter()
    page.goto(f"{url}/latent_space")
    page.wait_for_selector(".lq-map[data-state=ready]")
    to_map = time.perf_counter() - began
    page.goto(f"{url}/story?step=mixed")
    page.wait_for_selector(".lq-map[data-state=ready]")
    resets = []
    for number in range(N_RESETS):
        if number:  # away from the images, so that only new ones count
            page.get_by_role("button", name="Next").click()
            page.wait_for_selector(".lq-map[data-state=ready]")
        page.wait_for_selector(".stApp[data-test-script-state=notRunning]")
        before = page.evaluate("new URLSearchParams(location.search).get('ws')")
        began = time.perf_counter()
        page.locator(".st-key-story-reset button").first.click()
        page.wait_for_function(ALL_DRAWN, arg=[before, N_ALIKE])
        resets.append(time.perf_counter() - began)
    page.close()
    return to_map, resets


if __name__ == "__main__":
    rows = bench()
    for each in rows:
        print(each)
    sys.exit(not all(each["holds"] for each in rows))
