"""How much does taking an image cost beyond reading, hashing and decoding it?

    python tests/benchmarks/bench_importing.py [FOLDER]

Without a folder, 400 JPEG files of 640x640 pixels are made for the occasion. Each line is the best
of three rounds over all files; taking an image is reading, hashing, decoding, thumbnail, quality.
The ratio compares processor time, which other work on the machine disturbs least.
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from core.images.importers import scan
from core.images.quality import measure_quality
from core.images.reading import load_for_import
from core.images.thumbnails import make_thumbnail

MAX_PIXELS = 300_000_000
N_FILES = 400


def read_and_hash(path: Path) -> None:
    hashlib.sha256(path.read_bytes()).digest()


def read_hash_and_decode(path: Path) -> None:
    data = path.read_bytes()
    hashlib.sha256(data).digest()
    Image.open(BytesIO(data)).load()


def take(path: Path) -> None:
    _, image = load_for_import(path, max_pixels=MAX_PIXELS)
    make_thumbnail(image)
    measure_quality(image)


def costs_per_image(
    work: Callable[[Path], None], paths: Sequence[Path], n_threads: int
) -> tuple[float, float]:
    """Seconds passed and seconds of processor time for an image."""
    passed, busy = [], []
    for _ in range(3):
        started, started_busy = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(work, paths))
        passed.append(time.perf_counter() - started)
        busy.append(time.process_time() - started_busy)
    return min(passed) / len(paths), min(busy) / len(paths)


def make_files(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(N_FILES):
        coarse = Image.fromarray(rng.integers(60, 200, (80, 80, 3), dtype=np.uint8))
        panel = np.asarray(coarse.resize((640, 640), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = (panel + rng.integers(-6, 7, panel.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number}.jpg", quality=92)


def measure(folder: Path) -> None:
    paths = [candidate.path for candidate in scan(folder, format="folder").candidates]
    print(f"{len(paths)} images in {folder.name}")
    for n_threads in dict.fromkeys((1, os.cpu_count() or 1)):
        busy_of = {}
        for work in (read_and_hash, read_hash_and_decode, take):
            passed, busy = costs_per_image(work, paths, n_threads)
            busy_of[work] = busy
            print(
                f"  {n_threads} threads  {work.__name__:22} {1 / passed:8,.0f} images/s, "
                f"{busy * 1e3:.3f} ms of processor time each"
            )
        print(f"  taking over decoding: {busy_of[take] / busy_of[read_hash_and_decode]:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            make_files(Path(made))
            measure(Path(made))
