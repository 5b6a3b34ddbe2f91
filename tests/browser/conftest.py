"""A real Chromium and real servers for the tests that need them.

`serve` starts `streamlit run` and gives the address; `browser_page` is a fresh page that fails its
test on a script error. Both serve the tests of the app's own pages too.
"""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import urlencode, urlsplit

import pytest

from core.state.workspace import Workspace
from tests import samples
from tests.browser.steps import OpenApp
from tests.conftest import end_workers

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
PATIENCE_S = 120.0  # with a page or a server, where other tests have the cores

Serve = Callable[..., str]


@contextmanager
def running_app(app_path: Path, log_path: Path, env: Mapping[str, str] | None = None):
    """Run a Streamlit app on a free port; gives its address once it answers."""
    port = free_port()
    server = start_server(app_path, log_path, port=port, env=env)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE_S)


def start_server(
    app_path: Path, log_path: Path, *, port: int, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A Streamlit app on this port, once it answers; to be ended by whoever asked for it."""
    with log_path.open("ab") as log:
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
        _wait_until_healthy(server, f"http://127.0.0.1:{port}", log_path)
    except RuntimeError:
        server.kill()
        raise
    return server


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


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve(app_path, env)` starts an app and gives its address; all stop after the module."""
    with ExitStack() as running:

        def start(app_path: Path, env: Mapping[str, str] | None = None) -> str:
            log_path = tmp_path_factory.mktemp("server") / "log.txt"
            return running.enter_context(running_app(app_path, log_path, env))

        yield start


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests.

    Playwright keeps an event loop running in this thread, which no page that is opened in this very
    process survives: tests with a browser come last.
    """
    with ExitStack() as running:
        try:
            yield running.enter_context(running_browser())
        except LookupError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser_context(browser):
    """Pages of one context share a cache, as a person's do."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def browser_page(browser_context):
    """A fresh page of 1280x900; an uncaught script error fails the test."""
    page = browser_context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    script_errors: list[str] = []
    page.on("pageerror", lambda error: script_errors.append(str(error)))
    yield page
    page.close()
    assert script_errors == []


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="session")
def app_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of workspaces that the served app knows."""
    home = tmp_path_factory.mktemp("app") / "home"
    home.mkdir()
    yield home
    end_workers(home)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.build_template(tmp_path_factory.mktemp("template"), n_per_class=20)


@pytest.fixture(scope="session")
def app_environment(app_home: Path) -> dict[str, str]:
    return {
        "LACQUER_HOME": str(app_home),
        "LACQUER_OFFLINE": "1",
        "LACQUER_DATABASE_URL": "",
        "LACQUER_WORKER_IDLE_S": "5",
    }


@pytest.fixture(scope="module")
def serve_app(serve: Serve, app_environment: dict[str, str]) -> Callable[..., str]:
    """`serve_app()` starts another app in a process of its own and gives its address."""
    return lambda **more: serve(PROJECT_ROOT / "app.py", app_environment | more)


@pytest.fixture(scope="session")
def app_url(
    app_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app, which all tests share: each has a workspace of its own."""
    log_path = tmp_path_factory.mktemp("server") / "log.txt"
    with running_app(PROJECT_ROOT / "app.py", log_path, app_environment) as url:
        yield url


@pytest.fixture(scope="session")
def app_context(browser):
    """The first browser of each test: a new one would load and compile the app's files again."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def small(template: Path, app_home: Path, request: pytest.FixtureRequest) -> Workspace:
    """60 images in three classes with everything computed: a workspace of this test's own."""
    name = re.sub(r"\W+", "-", request.node.name)
    return samples.copy_template(template, app_home / name)


@pytest.fixture
def open_app(browser, app_context, app_url: str, small: Workspace) -> Iterator[OpenApp]:
    """`open_app("dataset")` gives a page in a browser that has never been here.

    The test fails where a page asked any other host for anything, or the console told of an error.
    """
    contexts: list = []
    asked: set[str] = set()
    told: list[str] = []

    def open_(path: str = "", *, url: str = app_url, scheme: str = "light", **query: str):
        context = browser.new_context() if contexts else app_context
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.emulate_media(color_scheme=scheme)
        page.on("request", lambda request: asked.add(request.url))
        page.on("websocket", lambda socket: asked.add(socket.url))
        page.on("response", lambda answer: told.append(answer.url) if failed(answer) else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("console", lambda line: told.append(line.text) if is_error(line) else None)
        page.goto(f"{url}/{path}?{urlencode({'ws': small.uid, **query})}")
        return page

    yield open_
    for context in contexts[1:]:
        context.close()
    forget(app_context, app_url)
    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts <= {"127.0.0.1"}
    assert told == []


def forget(context, url: str) -> None:
    """Close the pages and forget all that they kept, but not the files of the app."""
    for page in context.pages:
        page.close()
    context.clear_cookies()
    with closing(context.new_page()) as blank:
        blank.goto(f"{url}/_stcore/health")
        blank.evaluate("localStorage.clear()")


def failed(answer) -> bool:
    """Whether an answer is an error; Streamlit finds its own address by trying below the page's."""
    return answer.status >= 400 and "/_stcore/" not in answer.url


def is_error(line) -> bool:
    """Whether the console told of an error; failed answers are looked at by themselves."""
    return line.type == "error" and not line.text.startswith("Failed to load resource")


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str, log_path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
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
