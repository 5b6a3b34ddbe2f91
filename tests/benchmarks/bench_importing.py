"""What does importing 20,000 images cost beyond reading, hashing and decoding them?

    python tests/benchmarks/bench_importing.py

The files are JPEG images of 640x640 pixels, put together from stripes of 200 different ones, so
that they are made in seconds and no two look alike. They are imported by the real job into fresh
workspaces, each in a process of its own: copied, hashed, decoded to their end, measured, made
small, searched for near-duplicates, stored in the database. Beside that, with as many threads:
reading and hashing alone, and that with bare decoding, which no import can do without that refuses
damaged files. Ratios compare processor time, which other work on the machine disturbs least.
The last row is the peak memory of eight threads that take in an image of 200 megapixels each, over
that of one thread.
"""

import functools
import hashlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

N_IMAGES = 20_000
N_DIFFERENT = 200
SIDE_PX = 640
STRIPE_PX = 16  # a row of JPEG's blocks, at half the resolution for colour
LIMIT_OVER_DECODING = 1.5
LIMIT_MEMORY = 1.15  # of the peak at 10,000 images, or of one thread's
_MEMORY_AT = (2_000, 10_000, N_IMAGES)


def bench() -> list[dict[str, object]]:
    """Rows of `name`, `value`, `limit` and `passed`; lower is better, a limit of None is none."""
    with tempfile.TemporaryDirectory() as folder:
        sources = {n: Path(folder, str(n)) for n in _MEMORY_AT}
        paths = _write_images(Path(folder, "all"), sources)
        hashing = _cost(_read_and_hash, paths)
        decoding = _cost(_read_hash_and_decode, paths)
        imports = {n: _in_another_process("--import", str(source)) for n, source in sources.items()}
    large = {n: _in_another_process("--large", str(n))["peak_mb"] for n in (1, 8)}
    whole = imports[N_IMAGES]
    print(
        f"{N_IMAGES:,} images, processor time each: {hashing['busy_ms']:.3f} ms to read and hash, "
        f"{decoding['busy_ms']:.3f} ms with decoding, {whole['busy_ms']:.3f} ms to import; "
        f"at {hashing['per_second']:,.0f}, {decoding['per_second']:,.0f} and "
        f"{whole['per_second']:,.0f} images/s"
    )
    print("peak memory: " + ", ".join(f"{n:,}: {imports[n]['peak_mb']:.0f} MB" for n in imports))
    rows = (
        (
            "over reading, hashing, decoding",
            whole["busy_ms"] / decoding["busy_ms"],
            LIMIT_OVER_DECODING,
        ),
        ("over reading and hashing alone", whole["busy_ms"] / hashing["busy_ms"], None),
        (
            "peak memory over that at 10,000",
            whole["peak_mb"] / imports[10_000]["peak_mb"],
            LIMIT_MEMORY,
        ),
        ("peak memory with large images", large[8] / large[1], LIMIT_MEMORY),
    )
    print(f"peak memory with an image of 200 megapixels: {large[1]:.0f} MB, {large[8]:.0f} MB")
    return [
        {
            "name": f"importing {N_IMAGES:,} images: {name}",
            "value": round(value, 2),
            "limit": limit,
            "passed": limit is None or value <= limit,
        }
        for name, value, limit in rows
    ]


def _read_and_hash(path: Path) -> None:
    hashlib.sha256(path.read_bytes()).digest()


def _read_hash_and_decode(path: Path) -> None:
    data = path.read_bytes()
    hashlib.sha256(data).digest()
    Image.open(BytesIO(data)).load()


def _cost(work: Callable[[Path], None], paths: Sequence[Path]) -> dict[str, float]:
    started, started_busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, paths):
            pass
    passed, busy = time.perf_counter() - started, time.process_time() - started_busy
    return {"busy_ms": 1000 * busy / len(paths), "per_second": len(paths) / passed}


def _write_images(folder: Path, sources: dict[int, Path]) -> list[Path]:
    """Write all images into a folder, and links to the first of them into one for each number."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    head, stripes = _stripes([_panel(rng) for _ in range(N_DIFFERENT)])
    n_rows = SIDE_PX // STRIPE_PX
    paths = []
    for number in range(N_IMAGES):
        drawn = [stripes[stripe] for stripe in rng.integers(0, len(stripes), n_rows)]
        path = folder / f"{number:05}.jpg"
        path.write_bytes(_joined(head, drawn))
        paths.append(path)
    size = statistics.mean(path.stat().st_size for path in paths)
    print(f"{N_IMAGES:,} JPEG images of {size / 1000:.0f} kB in the mean")
    for n_images, source in sources.items():
        source.mkdir()
        for path in paths[:n_images]:
            (source / path.name).hardlink_to(path)
    return paths


def _panel(rng: np.random.Generator) -> bytes:
    """A painted panel: smooth shading and a sensor's noise, with a marker after each stripe."""
    coarse = Image.fromarray(rng.integers(60, 200, (40, 40, 3), dtype=np.uint8))
    panel = np.asarray(coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = (panel + rng.integers(-3, 4, panel.shape)).clip(0, 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=85, restart_marker_rows=1)
    return buffer.getvalue()


def _stripes(jpegs: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """What comes before the pixels, which all have in common, and the stripes of all."""
    at = jpegs[0].index(b"\xff\xda")
    start = at + 2 + int.from_bytes(jpegs[0][at + 2 : at + 4])
    stripes = [stripe for jpeg in jpegs for stripe in re.split(b"\xff[\xd0-\xd7]", jpeg[start:-2])]
    return jpegs[0][:start], stripes


def _joined(head: bytes, stripes: Sequence[bytes]) -> bytes:
    # The markers between stripes count from 0 to 7 over and over.
    marked = [stripe + bytes((0xFF, 0xD0 + row % 8)) for row, stripe in enumerate(stripes)]
    return head + b"".join(marked)[:-2] + b"\xff\xd9"


def _in_another_process(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _import(source: Path) -> dict[str, float]:
    from core.jobs import queue
    from core.jobs.configs import ImportImages
    from core.jobs.worker import run_job
    from core.settings import Settings
    from core.state.workspace import create_workspace

    with tempfile.TemporaryDirectory() as home:
        workspace = create_workspace(Path(home, "w"), settings=Settings(home=Path(home)))
        job = queue.submit(workspace, ImportImages(str(source)), actor="bench", start=False)
        started, started_busy = time.perf_counter(), time.process_time()
        done = run_job(workspace, job.id)
        passed, busy = time.perf_counter() - started, time.process_time() - started_busy
    if done.status != "succeeded" or done.result is None:
        raise RuntimeError(f"the import failed: {done.error}")
    n_images = done.result["n_imported"]
    return {
        "busy_ms": 1000 * busy / n_images,
        "per_second": n_images / passed,
        "peak_mb": _peak_mb(),
    }


def _take_in_large_images(n_threads: int) -> dict[str, float]:
    from core.images.reading import load_for_import
    from tests.odd_files import odd_files

    data = next(file.data for file in odd_files() if file.name == "png-200-megapixels.png")
    with ThreadPoolExecutor(n_threads) as pool:
        take = functools.partial(load_for_import, max_pixels=300_000_000, side=320)
        list(pool.map(take, [data] * n_threads))
    return {"peak_mb": _peak_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    if "--import" in sys.argv:
        print(json.dumps(_import(Path(sys.argv[2]))))
    elif "--large" in sys.argv:
        print(json.dumps(_take_in_large_images(int(sys.argv[2]))))
    else:
        for row in bench():
            limit = "no limit" if row["limit"] is None else f"limit {row['limit']}"
            verdict = "passed" if row["passed"] else "FAILED"
            print(f"{row['name']}: {row['value']} ({limit}), {verdict}")
