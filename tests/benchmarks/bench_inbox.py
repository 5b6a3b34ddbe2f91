"""How soon is one file answered, and how fast is a burst taken in, against `embed`?

X-SDD with MobileNetV2: a head is trained, a plan applied, a watcher started in a process of its
own. Files are no contents that the workspace has: each differs from its original in one pixel.

- Single files, one every second: seconds from the last byte, as this process wrote it, to the
  answer in the table. 95 of 100 take no longer than 2 s.
- A burst of 500 files, present at once: images a second from the first answer to the last, against
  `embed` of 500 images of the same kind by the same weights in the same way, in this run. At least
  0.8 of it. Both are tried in turn, twice, and the best of each counts.

    LACQUER_TEST_DATA=... LACQUER_WEIGHTS_DIR=... python tests/benchmarks/bench_inbox.py
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from figures import report, row
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.jobs import queue
from core.jobs.configs import (
    ApplyTriage,
    EmbedImages,
    FineTune,
    ImportImages,
    JobConfig,
    PlanTriage,
)
from core.jobs.worker import run_job
from core.settings import PROJECT_ROOT
from core.state import arrivals, catalog, job_rows, labels, models
from core.state.workspace import Workspace, create_workspace

N_SINGLE, N_BURST, N_ROUNDS = 40, 500, 2
MOST_SECONDS, LEAST_SHARE = 2.0, 0.8


def bench(data: Path, _weights: Path) -> list[dict]:
    """A row a figure: what was measured, its value, its limit, and whether it holds."""
    originals = sorted((data / "x-sdd").rglob("*.jpg"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a worker may live on
        home = Path(folder)
        os.environ["LACQUER_HOME"] = str(home)
        rows = []
        for average_flips in (False, True):
            name = "with the plan's four looks" if average_flips else "one look"
            workspace = make_line(home / f"line-{average_flips}", data / "x-sdd", average_flips)
            shoot = Camera(originals, home / f"camera-{average_flips}")
            with watching(workspace, shoot.folder):
                seconds = single_files(workspace, shoot)
                bursts, embeds = [], []
                for number in range(N_ROUNDS):
                    bursts.append(burst(workspace, shoot))
                    other = Camera(originals, home / f"other-{average_flips}-{number}", seed=99)
                    embeds.append(embed(workspace, other, average_flips, number))
            rows.append(
                row(
                    f"inbox, mobilenet_v2, {name}: seconds to the answer, p95",
                    float(np.quantile(seconds, 0.95)),
                    at_most=MOST_SECONDS,
                    median=round(float(np.median(seconds)), 2),
                    n=len(seconds),
                )
            )
            rows.append(
                row(
                    f"inbox, mobilenet_v2, {name}: burst against embed",
                    max(bursts) / max(embeds),
                    at_least=LEAST_SHARE,
                    burst_per_s=round(max(bursts), 1),
                    embed_per_s=round(max(embeds), 1),
                )
            )
        return rows


class Camera:
    """Writes images of the data set that no workspace has seen."""

    def __init__(self, originals: list[Path], folder: Path, *, seed: int = 0) -> None:
        self.folder = folder
        self._originals, self._seed, self._n = originals, seed, 0
        folder.mkdir()

    def shoot(self, folder: Path | None = None) -> Path:
        """Write the next file, under a temporary name first."""
        number, self._n = self._n, self._n + 1
        image = Image.open(self._originals[number % len(self._originals)]).convert("RGB")
        image.putpixel((0, 0), (number % 256, number // 256, self._seed))
        path = (folder or self.folder) / f"{number:05}.png"
        image.save(path.with_suffix(".tmp"), "PNG")
        return path.with_suffix(".tmp").rename(path)


def make_line(path: Path, data: Path, average_flips: bool) -> Workspace:
    """X-SDD with a model at work, and a plan that labels by the risk rule."""
    workspace = create_workspace(path, name="line")
    do(workspace, ImportImages(str(data), split="50/15/30/5"))
    without = catalog.image_ids(workspace)[::10].tolist()
    labels.relabel(workspace, without, None, actor="bench")
    model = do(workspace, FineTune(backbone="mobilenet_v2", mode="head", epochs=20))["model"]
    models.promote(workspace, model, actor="bench")
    planned = PlanTriage(model, max_error=0.1, average_flips=average_flips)
    do(workspace, ApplyTriage(do(workspace, planned)["run"]))
    return workspace


@contextmanager
def watching(workspace: Workspace, folder: Path) -> Iterator[None]:
    """A watcher at work, in a process of its own."""
    command = [sys.executable, "-m", "core", "--workspace", str(workspace.path), "watch"]
    output = folder.with_suffix(".csv")
    process = subprocess.Popen(
        [*command, str(folder), "--output", str(output)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: any("0 taken" in job.step for job in job_rows.list_jobs(workspace)))
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def single_files(workspace: Workspace, camera: Camera) -> list[float]:
    """Seconds from the last byte to the answer, of files that come one by one."""
    seconds = []
    for _ in range(N_SINGLE):
        before = arrivals.newest_id(workspace)
        camera.shoot()
        written = time.time()
        until(lambda before=before: arrivals.newest_id(workspace) > before)
        (done,) = arrivals.list_taken(workspace, after=before)
        seconds.append(datetime.fromisoformat(done.at).timestamp() - written)
        time.sleep(0.3 + 0.01 * (len(seconds) % 40))  # at no fixed place between two looks
    return seconds


def burst(workspace: Workspace, camera: Camera) -> float:
    """Images a second, from the moment at which all files are there."""
    beside = camera.folder.with_name(f"{camera.folder.name}-beside")
    beside.mkdir(exist_ok=True)
    files = [camera.shoot(beside) for _ in range(N_BURST)]
    before = arrivals.newest_id(workspace)
    for file in files:
        file.rename(camera.folder / file.name)
    began = time.time()
    until(lambda: len(arrivals.list_taken(workspace, after=before)) >= N_BURST)
    last = arrivals.list_taken(workspace, after=before)[-1]
    return N_BURST / (datetime.fromisoformat(last.at).timestamp() - began)


def embed(workspace: Workspace, camera: Camera, average_flips: bool, number: int) -> float:
    """Images a second of `embed`, while the watcher has nothing to do."""
    # The colours of the first pixel tell the rounds apart.
    fresh = Camera(camera._originals, camera.folder / "fresh", seed=100 + number)
    for _ in range(N_BURST):
        fresh.shoot()
    do(workspace, ImportImages(str(fresh.folder), split="keep"))
    model = models.promoted(workspace)
    assert model is not None
    config = EmbedImages("mobilenet_v2", model=model.id, average_flips=average_flips)
    done = do(workspace, config)
    assert done["n_embedded"] >= N_BURST, done
    return float(done["images_per_second"])


def do(workspace: Workspace, config: JobConfig) -> dict:
    """Run a job in this process; its result."""
    job = queue.submit(workspace, config, actor="bench", start=False)
    done = run_job(workspace, job.id)
    if done.status != "succeeded" or done.result is None:
        raise RuntimeError(f"{config.kind} failed: {done.error}")
    return dict(done.result)


def until(holds: Callable[[], bool], timeout_s: float = 300.0) -> None:
    """Wait until it holds.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened in {timeout_s} s")
        time.sleep(0.05)


if __name__ == "__main__":
    report(bench)
