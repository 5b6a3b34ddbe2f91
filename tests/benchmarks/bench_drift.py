"""How soon is a shift of the camera alarmed, and how often is there an alarm without one?

X-SDD and NEU-DET, by ImageNet features of a MobileNetV2 and by the camera measures of each image.
The images are dealt into two halves, anew for every run: one is the reference, from the other the
stream is drawn with replacement. The tests that need a model of the classes (novelty, labels) are
left out here; the level of the others is as if they were there.

- Without a shift: runs of 1,000 images. At most one alarm in 20 is allowed.
- With one: 175 to 199 images as they are, then shifted ones, until the alarm: within 200 images in
  every run. An alarm before the shift counts as a failure. The shifts, each alone, are made to the
  decoded image before it is resized: brightness x1.2, a Gaussian blur of sigma 1 px, and a fixed
  colour matrix.

The tests were chosen by trials on X-SDD. With windows of 100 images, every 50, NEU-DET took up to
272 images to alarm a brightness x1.2: the window and its step were chosen then, by both sets.

    LACQUER_TEST_DATA=... LACQUER_WEIGHTS_DIR=... python tests/benchmarks/bench_drift.py
"""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from figures import report, row
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.images.quality import measure_quality
from core.images.reading import read_image
from core.latent.embedding import available_cores, embed_images, load_extractor
from core.latent.weights import resolve_weights
from core.triage.drift import STEP, WINDOW, Sample, compare_window
from core.vocabulary import QUALITY_MEASURES

Look = tuple[np.ndarray, np.ndarray]  # features and camera measures, row by row

BACKBONE = "mobilenet_v2"
DATA_SETS = ("x-sdd", "neu-det")
TESTS_MADE = ("mmd", "classifier", "camera")
AS_IT_IS = "as it is"
N_RUNS, N_MORE_RUNS, N_IMAGES = 20, 100, 1_000
MOST_ALARMS, MOST_IMAGES = 1, 200
N_BEFORE = WINDOW, WINDOW + STEP  # images before a shift, at random: no window begins with it
MAX_PIXELS = 10_000_000
# A lamp that is warmer, and a sensor whose channels spill over a little: rows give R, G and B.
COLOUR_MATRIX = (1.06, 0.04, 0.00, 0.0, 0.02, 0.98, 0.02, 0.0, 0.00, 0.04, 0.88, 0.0)


def brighter(image: Image.Image) -> Image.Image:
    return image.point([min(255, round(1.2 * level)) for level in range(256)] * 3)


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(1.0))


def tinted(image: Image.Image) -> Image.Image:
    return image.convert("RGB", COLOUR_MATRIX)


SHIFTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    AS_IT_IS: lambda image: image,
    "brightness x1.2": brighter,
    "blur of sigma 1 px": blurred,
    "colour matrix": tinted,
}


def bench(data: Path, weights_dir: Path) -> list[dict]:
    """A row a figure: what was measured, its value, its limit if any, and whether it holds."""
    rows = []
    for name in DATA_SETS:
        began = time.perf_counter()
        files = sorted(
            p for p in (data / name).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"}
        )
        looks = {shift: look(files, shift, weights_dir) for shift in SHIFTS}
        minutes = (time.perf_counter() - began) / 60
        rows += bench_set(name, looks)
        rows.append(row(f"{name}: minutes", (time.perf_counter() - began) / 60, looking=minutes))
    return rows


def bench_set(name: str, looks: dict[str, Look]) -> list[dict]:
    """The rows of one set of images, looked at under each shift."""
    usual = looks[AS_IT_IS]
    rows = []
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as workers:
        alarms = list(workers.map(partial(run_without_shift, usual), range(N_MORE_RUNS)))
        n_images = len(usual[0])
        for n, most in ((N_RUNS, MOST_ALARMS), (N_MORE_RUNS, None)):
            title = f"{name}: alarms in {n} runs without a shift"
            rows.append(row(title, sum(alarms[:n]), at_most=most, n_images=n_images))
        for shift in list(SHIFTS)[1:]:
            found = workers.map(partial(run_with_shift, usual, looks[shift]), range(N_RUNS))
            until, tests = zip(*found, strict=True)
            told = {test: sum(test in each for each in tests) for test in TESTS_MADE}
            title = f"{name}: images until the alarm, {shift}"
            rows.append(row(f"{title}, median", float(np.median(until)), **told))
            rows.append(row(f"{title}, most of {N_RUNS}", max(until), at_most=MOST_IMAGES))
    return rows


def run_without_shift(usual: Look, seed: int) -> bool:
    """Whether there is an alarm within a run."""
    reference, stream, rng = deal(usual, seed)
    rows = rng.choice(stream, N_IMAGES)
    return any(
        compare_window(reference, sample(usual, some), seed=seed, with_limits=False).is_alarm
        for some in windows(rows)
    )


def run_with_shift(usual: Look, shifted: Look, seed: int) -> tuple[float, tuple[str, ...]]:
    """Images from the shift to the alarm, and whose alarm it was; infinite if it came too early."""
    reference, stream, rng = deal(usual, seed)
    n_before = int(rng.integers(*N_BEFORE))
    rows = rng.choice(stream, N_IMAGES)
    features, camera = (
        np.concatenate([before[rows[:n_before]], after[rows[n_before:]]])
        for before, after in zip(usual, shifted, strict=True)
    )
    for number, places in enumerate(windows(np.arange(N_IMAGES))):
        window = Sample(rows[places], features[places], camera[places])
        found = compare_window(reference, window, seed=seed, with_limits=False)
        if found.is_alarm:
            n_seen = number * STEP + WINDOW - n_before
            by = tuple(test.name for test in found.tests if test.is_alarm)
            return (n_seen if n_seen > 0 else float("inf")), by
    return float("inf"), ()


def deal(usual: Look, seed: int) -> tuple[Sample, np.ndarray, np.random.Generator]:
    """The reference, and the rows of the other half."""
    rng = np.random.default_rng(seed)
    reference, stream = np.array_split(rng.permutation(len(usual[0])), 2)
    return sample(usual, reference), stream, rng


def windows(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + WINDOW] for at in range(0, len(rows) - WINDOW + 1, STEP)]


def sample(look: Look, rows: np.ndarray) -> Sample:
    features, camera = look
    return Sample(rows, features[rows], camera[rows])


def look(files: list[Path], shift: str, weights_dir: Path) -> Look:
    """Features (n_images, n_features) and camera measures (n_images, 6) of shifted images."""
    weights = resolve_weights(BACKBONE, weights_dirs=[weights_dir], offline=True)
    extractor = load_extractor(weights, device="cpu")
    features = np.empty((len(files), extractor.n_features), np.float32)
    camera = np.empty((len(files), len(QUALITY_MEASURES)))
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for row, file in enumerate(files):
            image = SHIFTS[shift](read_image(file, max_pixels=MAX_PIXELS))
            quality = measure_quality(image)
            camera[row] = [getattr(quality, name) for name in QUALITY_MEASURES]
            written.append(Path(folder) / f"{row}.png")  # loses nothing
            image.save(written[-1], compress_level=1)

        def keep(chunk) -> None:
            features[chunk.indices] = chunk.features

        report = embed_images(written, extractor, max_pixels=MAX_PIXELS, on_chunk=keep)
    assert not report.failed
    return features, camera


if __name__ == "__main__":
    report(bench)
