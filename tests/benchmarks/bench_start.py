"""How long from `streamlit run app.py` to the first page, beside an app of one line?

Both are started in turn, from the process's start until a browser shows the page's heading.
"""

import importlib.util
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
N_ROUNDS = 5
LIMIT_RATIO = 1.5
ONE_LINE = "import streamlit as st; st.header('Lacquer')\n"


def bench() -> list[dict[str, Any]]:
    """One row: seconds to the first page of both apps, medians, and their ratio."""
    tools = _browser_tools()
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "peer.py"
        peer.write_text(ONE_LINE, encoding="utf-8")
        os.environ["LACQUER_HOME"] = folder
        seconds: dict[str, list[float]] = {"app": [], "peer": []}
        with tools.running_browser() as browser:
            for name, script in [("app", ROOT / "app.py"), ("peer", peer)] * (N_ROUNDS + 1):
                seconds[name].append(_seconds_to_first_page(tools, browser, script, folder))
    app, one_line = (statistics.median(seconds[name][1:]) for name in ("app", "peer"))
    return [
        {
            "name": "start to first page",
            "seconds": round(app, 2),
            "peer_seconds": round(one_line, 2),
            "ratio": round(app / one_line, 2),
            "limit": LIMIT_RATIO,
            "passed": app / one_line <= LIMIT_RATIO,
        }
    ]


def _seconds_to_first_page(tools: Any, browser: Any, script: Path, folder: str) -> float:
    start = time.perf_counter()
    with tools.running_app(script, Path(folder) / "log") as url:
        page = browser.new_page()
        try:
            page.goto(url)
            page.get_by_role("heading", name="Lacquer").first.wait_for()
            return time.perf_counter() - start
        finally:
            page.close()


def _browser_tools() -> Any:
    path = ROOT / "tests" / "browser" / "conftest.py"
    spec = importlib.util.spec_from_file_location("browser_tools", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["browser_tools"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    for row in bench():
        verdict = "passed" if row["passed"] else "FAILED"
        print(
            f"{row['name']}: {row['seconds']} s, {row['ratio']} of a one-line app's "
            f"{row['peer_seconds']} s (limit {row['limit']}), {verdict}"
        )
