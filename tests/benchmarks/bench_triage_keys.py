"""How long does an operator wait from a key to the next image, at a queue of 100 and of 100,000?

100 decisions by key in a real Chromium, each measured from the key to the moment when the next
image is on the screen, and to the moment when the decision is known to be saved. The queue's images
share a few files, so that only its length differs; every item carries what a model found of it,
with its neighbours.
"""

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import sqlalchemy as sa
from PIL import Image

from core.settings import PROJECT_ROOT, Settings
from core.state import catalog, database
from core.state.database import writing
from core.state.queue_rows import NewItem, add_items
from core.state.schema import images
from core.state.workspace import Workspace, create_workspace
from tests import samples

BROWSER_TESTS = Path(__file__).resolve().parents[1] / "browser"
SIZES = (100, 100_000)
N_DECISIONS = 100
N_FILES = 60
SIDE_PX = 640
KEYS_A_SECOND = 8
LIMIT_MS = 100.0
CHUNK = 10_000

# Notes the time from a key to the frame with the next image in it, and to the answer.
WATCH = """
  window.waits = [];
  window.saves = [];
  let pressedAt = 0;
  addEventListener("keydown", () => { pressedAt = performance.now(); }, true);
  const card = document.querySelector(".lq-triage");
  const body = card.querySelector(".lq-body");
  let last = body.dataset.id;
  new MutationObserver(() => {
    if (!card.hasAttribute("data-painted") || body.dataset.id === last) return;
    last = body.dataset.id;
    waits.push(performance.now() - pressedAt);
  }).observe(card, {attributeFilter: ["data-painted"]});
  const state = card.querySelector(".lq-state");
  new MutationObserver(() => {
    if (!state.hasAttribute("data-unsaved")) saves.push(performance.now() - pressedAt);
  }).observe(state, {attributeFilter: ["data-unsaved"]});
"""


def bench() -> list[dict[str, Any]]:
    """One row a length of the queue: p50 and p95 in ms, the limit, and whether it is kept."""
    tools = _load(BROWSER_TESTS / "conftest.py")
    rows = []
    with tempfile.TemporaryDirectory() as folder, tools.running_browser() as browser:
        for n in SIZES:
            home = Path(folder) / str(n)
            workspace = _make_queue(home, n)
            environment = {"LACQUER_HOME": str(home), "LACQUER_OFFLINE": "1"}
            environment |= {"LACQUER_DATABASE_URL": ""}
            with tools.running_app(PROJECT_ROOT / "app.py", home / "log", environment) as url:
                waits, saves = _decide(browser, url, workspace, min(N_DECISIONS, n - 1))
            database.drop(workspace)
            shutil.rmtree(home)
            p50, p95 = np.percentile(waits, (50, 95)).tolist()
            rows.append(
                {
                    "name": f"triage, queue of {n:,}: key to next image",
                    "n_decisions": len(waits),
                    "p50_ms": round(p50, 1),
                    "p95_ms": round(p95, 1),
                    "saved_p50_ms": round(float(np.median(saves)), 1),
                    "limit_ms": LIMIT_MS,
                    "passed": p95 <= LIMIT_MS,
                }
            )
    return rows


def _make_queue(home: Path, n: int) -> Workspace:
    """A workspace whose `n` images all wait, each with a suggestion and its neighbours."""
    home.mkdir()
    workspace = create_workspace(home / "queue", name="Queue", settings=Settings(home=home))
    rng = np.random.default_rng(0)
    for place in range(N_FILES):
        label = samples.CLASSES[place % len(samples.CLASSES)]
        pixels = rng.integers(0, 255, (SIDE_PX // 8, SIDE_PX // 8, 3), dtype=np.uint8)
        path = home / "files" / label / f"{place:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pixels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
        picture.save(path, quality=90)
    samples.import_folder(workspace, home / "files")
    _multiply(workspace, n)
    ids = catalog.image_ids(workspace).tolist()[:n]
    for start in range(0, n, CHUNK):
        items = [_item(ids, place) for place in range(start, min(n, start + CHUNK))]
        with writing(workspace) as connection:
            add_items(connection, items, actor="a model")
    return workspace


def _multiply(workspace: Workspace, n: int) -> None:
    """Rows of `n` images in all, that lie in the files that are there."""
    with writing(workspace) as connection:
        files = [dict(row) for row in connection.execute(sa.select(images)).mappings()]
        for start in range(len(files), n, CHUNK):
            rows = []
            for number in range(start, min(n, start + CHUNK)):
                row = files[number % len(files)] | {"sha256": f"{number:064x}", "label": None}
                del row["id"]
                rows.append(row)
            connection.execute(images.insert(), rows)


def _item(ids: Sequence[int], place: int) -> NewItem:
    label = samples.CLASSES[place % len(samples.CLASSES)]
    near = [ids[(place + step) % min(len(ids), N_FILES)] for step in range(1, 6)]
    return NewItem(
        ids[place],
        reason="",
        kind="ambiguous",
        suggested=label,
        facts={"top": [[label, 0.54], ["drop", 0.41]], "novelty": 0.4, "nearest": near},
        by_uncertainty=place / len(ids),
    )


def _decide(
    browser: Any, url: str, workspace: Workspace, n_decisions: int
) -> tuple[list[float], list[float]]:
    """Decide at speed; the times to the next image, and those to the answer, in ms."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": "lacquer_name", "value": "Ada", "url": url}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/triage?ws={workspace.uid}")
    page.wait_for_selector(".lq-triage[data-painted]")
    page.wait_for_timeout(3_000)  # what comes first has been fetched
    page.evaluate(WATCH)
    for done in range(n_decisions):
        page.keyboard.press("a")
        page.wait_for_function("done => waits.length > done", arg=done)
        page.wait_for_timeout(1_000 / KEYS_A_SECOND)
    page.wait_for_selector(".lq-state:not([data-unsaved])")
    waits, saves = page.evaluate("[waits, saves]")
    context.close()
    return waits, saves


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
