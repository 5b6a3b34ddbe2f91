"""How many synthetic images a second does one core make?

Counted in processor time over all threads: that is one core's time, and other work on the machine
does not show in it.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.images.synthetic import SyntheticImage, plan_dataset, render_image, write_dataset

LIMIT_IMAGES_PER_S = 20.0
N_IMAGES = 100


def bench() -> list[dict[str, object]]:
    """Rows of `name`, `value`, `unit`, `limit` and `passed`; higher values are better."""
    plan = plan_dataset(N_IMAGES, seed=0)
    _render(plan.images[:5])  # makes the textures that a process makes once
    with tempfile.TemporaryDirectory() as folder:
        rates = {
            "render 640x640": _images_per_s(lambda: _render(plan.images)),
            "render 640x640 and write JPEG": _images_per_s(
                lambda: write_dataset(Path(folder), n_images=N_IMAGES, seed=0)
            ),
        }
    return [
        {
            "name": f"synthetic: {name}, one core",
            "value": round(rate, 1),
            "unit": "images/s",
            "limit": LIMIT_IMAGES_PER_S,
            "passed": rate >= LIMIT_IMAGES_PER_S,
        }
        for name, rate in rates.items()
    ]


def _render(images: tuple[SyntheticImage, ...]) -> None:
    for image in images:
        render_image(image.label, seed=image.seed)


def _images_per_s(make: Callable[[], object]) -> float:
    start = time.process_time()
    make()
    return N_IMAGES / (time.process_time() - start)


if __name__ == "__main__":
    for row in bench():
        verdict = "passed" if row["passed"] else "FAILED"
        print(f"{row['name']}: {row['value']} {row['unit']}, limit {row['limit']}, {verdict}")
