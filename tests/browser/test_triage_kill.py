"""The server is killed while somebody decides: nothing of it is lost, nothing is written twice."""

from collections import Counter
from pathlib import Path

import pytest

from core.state import decisions
from core.state.workspace import Workspace
from tests.browser.conftest import PATIENCE_S, PROJECT_ROOT, free_port, start_server
from tests.queued import enqueue

pytestmark = pytest.mark.browser


def test_decisions_survive_a_killed_server_and_a_page_that_goes_on_without_it(
    browser, small: Workspace, app_home: Path, tmp_path: Path
) -> None:
    enqueue(small)
    env = {
        "LACQUER_HOME": str(app_home),
        "LACQUER_OFFLINE": "1",
        "LACQUER_DATABASE_URL": "",
        "LACQUER_WORKER_IDLE_S": "5",
    }
    port, log = free_port(), tmp_path / "log.txt"
    server = start_server(PROJECT_ROOT / "app.py", log, port=port, env=env)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        url = f"http://127.0.0.1:{port}"
        context.add_cookies([{"name": "lacquer_name", "value": "Ada", "url": url}])
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        page.goto(f"{url}/triage?ws={small.uid}")
        for _ in range(6):
            decide(page)
        page.wait_for_function("document.querySelector('.lq-state').innerText === 'all saved'")
        acknowledged = {each.item_id for each in decisions.list_decisions(small)}
        assert len(acknowledged) == 6
        decide(page)
        server.kill()  # perhaps before it was written, perhaps before it was told
        server.wait()
        for _ in range(4):
            decide(page)
        assert "saving" in page.locator(".lq-state").inner_text()
        server = start_server(PROJECT_ROOT / "app.py", log, port=port, env=env)
        page.wait_for_function("document.querySelector('.lq-state').innerText === 'all saved'")
    finally:
        context.close()
        server.kill()
        server.wait()
    kept = Counter(each.item_id for each in decisions.list_decisions(small))
    assert acknowledged < kept.keys()
    assert len(kept) == 11
    assert set(kept.values()) == {1}


def decide(page) -> None:
    page.wait_for_selector(".lq-triage[data-painted]")
    page.keyboard.press("Enter")
