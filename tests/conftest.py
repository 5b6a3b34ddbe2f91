"""What every test starts from: no settings of the person who runs it, a home folder of its own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

from core.latent.embedding import available_cores
from core.state import database as databases
from core.state.workspace import Workspace, create_workspace, list_workspaces

# No deadlines: how long one example takes says more of what else the machine does.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: there is always one that waits for a browser or a worker."""
    return available_cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a browser come last: see its fixture."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that holds this test's workspaces; its workers have ended when the test has."""
    for name in list(os.environ):
        if name.startswith("LACQUER_") and not name.startswith("LACQUER_TEST_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("LACQUER_HOME", str(home))
    monkeypatch.setenv("LACQUER_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))  # no weights of earlier downloads
    monkeypatch.setenv("LACQUER_WORKER_IDLE_S", "0.3")
    yield home
    end_workers(home)


@pytest.fixture
def online(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """May weights be downloaded? Yes: then the paper's network is the default. Nothing is run."""
    monkeypatch.delenv("LACQUER_OFFLINE")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Which database holds the facts; every workspace made below `home` is dropped afterwards."""
    if request.param == "postgresql":
        url = os.environ.get("LACQUER_TEST_DATABASE_URL")
        if not url:
            pytest.skip("LACQUER_TEST_DATABASE_URL names no PostgreSQL server")
        monkeypatch.setenv("LACQUER_DATABASE_URL", url)
    yield request.param
    end_workers(home)
    for workspace in list_workspaces():
        databases.drop(workspace)


@pytest.fixture
def workspace(home: Path, database: str) -> Workspace:
    """An empty workspace, on each database in turn."""
    return create_workspace(home / "paint-shop", name="Paint shop")


@pytest.fixture
def real_data() -> Path:
    """The folder of public defect images named by LACQUER_TEST_DATA."""
    folder = os.environ.get("LACQUER_TEST_DATA")
    if not folder:
        pytest.skip("LACQUER_TEST_DATA names no folder of real images")
    return Path(folder)


def end_workers(home: Path) -> None:
    """Kill the workers of a home folder, whoever started them, and wait until they have ended.

    Raises:
        TimeoutError: one lives on.
    """
    if not (home / ".workers").is_dir():
        return
    for process in psutil.process_iter():
        try:
            is_worker = any("core.jobs.worker" in part for part in process.cmdline())
            if is_worker and process.environ().get("LACQUER_HOME") == str(home):
                process.kill()
                _wait_until_ended(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _wait_until_ended(process: psutil.Process, *, timeout_s: float = 60) -> None:
    """Not by `Process.wait`: a server that still runs leaves the worker it started a zombie."""
    end = time.monotonic() + timeout_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            raise TimeoutError(f"worker {process.pid} lives on {timeout_s} s after its kill")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def planned_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy shop with its model and a plan at 5 %, to copy."""
    from tests.toy_shop import build_planned_shop  # which loads torch

    return build_planned_shop(tmp_path_factory.mktemp("planned"))


@pytest.fixture
def shop(planned_shop: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A toy shop of one's own: its model and one plan, nothing applied."""
    from tests.samples import copy_template
    from tests.toy_shop import stand_in

    workspace = copy_template(planned_shop, home / "shop")
    stand_in(workspace, monkeypatch)
    return workspace
