"""A real Chromium and real servers for the tests that need them.

`serve` starts `streamlit run` and gives the address; `browser_page` is a fresh page that fails its
test on a script error. Both serve the tests of the app's own pages too.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[2]
HARNESS = Path(__file__).resolve().parent / "harness"
DEBIAN_CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_TIMEOUT_S = 60.0

Serve = Callable[..., str]


@contextmanager
def running_app(app_path: Path, log_path: Path, env: Mapping[str, str] | None = None):
    """Run a Streamlit app on a free port; gives its address once it answers."""
    port = _free_port()
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", str(app_path)),
                *("--server.port", str(port), "--server.address", "127.0.0.1"),
                *("--server.headless", "true", "--browser.gatherUsageStats", "false"),
                *("--server.fileWatcherType", "none"),
            ],
            cwd=PROJECT_ROOT,
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **(env or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(server, url, log_path)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextmanager
def running_browser():
    """Start Chromium: `LACQUER_CHROMIUM`, Debian's, or Playwright's own.

    Raises:
        LookupError: there is none, with the reason.
    """
    try:
        from playwright import sync_api
    except ImportError:
        raise LookupError("playwright is not installed") from None
    chosen = os.environ.get("LACQUER_CHROMIUM") or DEBIAN_CHROMIUM
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=chosen if Path(chosen).exists() else None,
                args=CHROMIUM_ARGUMENTS,
            )
        except sync_api.Error as error:
            reason = error.message.splitlines()[0]
            raise LookupError(f"no browser could be started: {reason}") from None
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve(app_path, env)` starts an app and gives its address; all stop after the session."""
    with ExitStack() as running:

        def start(app_path: Path, env: Mapping[str, str] | None = None) -> str:
            log_path = tmp_path_factory.mktemp("server") / "log.txt"
            return running.enter_context(running_app(app_path, log_path, env))

        yield start


@pytest.fixture(scope="session")
def browser():
    """One Chromium for the session."""
    with ExitStack() as running:
        try:
            yield running.enter_context(running_browser())
        except LookupError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def browser_context(browser):
    """Pages of one context share a cache, as a person's do."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def browser_page(browser_context):
    """A fresh page of 1280x900; an uncaught script error fails the test."""
    page = browser_context.new_page()
    page.set_default_timeout(30_000)
    script_errors: list[str] = []
    page.on("pageerror", lambda error: script_errors.append(str(error)))
    yield page
    page.close()
    assert script_errors == []


@pytest.fixture(scope="session")
def harness_url(serve: Serve) -> str:
    """Address of the small app that shows the components with generated data."""
    return serve(HARNESS / "app.py")


@pytest.fixture(scope="session")
def harness_data() -> ModuleType:
    """What that app serves, made again here: the same points, ids and colours."""
    spec = importlib.util.spec_from_file_location("harness_data", HARNESS / "harness_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log_path.read_text(errors='replace')}")
