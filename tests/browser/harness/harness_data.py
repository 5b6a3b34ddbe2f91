"""Generated points, images and cards that stand in for the app's own routes."""

import hashlib
import io
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from core.selection import Points

N_CATEGORIES = 6
FIRST_ID = 7  # ids are not positions
UNTRUSTED = "<img src=x onerror=window.hacked=1> & <b>bold</b>"
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")

kept_selections: dict[str, np.ndarray] = {}


@cache
def categories(n: int) -> np.ndarray:
    """uint8 (n,); one point in fifty has none, 255."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(N_CATEGORIES, size=n, p=(0.3, 0.25, 0.2, 0.12, 0.08, 0.05)).astype(np.uint8)
    drawn[rng.random(n) < 0.02] = 255
    return drawn


@cache
def points(view: str, n: int) -> Points:
    """Overlapping clouds, one a category; the views place the same ids differently."""
    rng = np.random.default_rng(1 if view == "left" else 2)
    centres = rng.uniform(-8, 8, size=(256, 2))
    xy = centres[categories(n)] + rng.standard_normal((n, 2)) * rng.uniform(0.5, 1.4, size=(n, 1))
    ids = np.random.default_rng(3).permutation(n).astype(np.int32) + FIRST_ID
    return Points(x=xy[:, 0].astype(np.float32), y=xy[:, 1].astype(np.float32), ids=ids)


def scores(n: int) -> np.ndarray:
    """float32 (n,), distance from the origin; NaN for the first point."""
    left = points("left", n)
    values = np.hypot(left.x, left.y).astype(np.float32)
    values[:1] = np.nan
    return values


def color_of(image_id: int) -> tuple[int, int, int]:
    """The flat colour of an image, from which a test reads which image is shown."""
    return (image_id * 37 % 200 + 28, image_id * 91 % 200 + 28, image_id * 53 % 200 + 28)


@cache
def jpeg(image_id: int, side_px: int) -> bytes:
    picture = Image.new("RGB", (side_px, side_px), color_of(image_id))
    draw = ImageDraw.Draw(picture)
    draw.text((side_px * 0.08, side_px * 0.7), str(image_id), fill="white", font_size=side_px / 5)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


BOXES = [{"label": UNTRUSTED, "x": 300, "y": 0, "width": 600, "height": 120}]


def card(image_id: int) -> dict:
    return {
        "title": f"panel_{image_id:05d}.jpg" if image_id % 5 else UNTRUSTED,
        "rows": [
            ["Label", ("dirt", "drop", "scratch")[image_id % 3]],
            ["Split", "train"],
            ["Cluster", str(image_id % 4)],
            ["Anomaly score", f"{image_id % 100 / 100:.2f}"],
        ],
        "size": [1200, 1200],
        "boxes": BOXES if image_id % 2 else [],
    }


def keep_selection(ids: np.ndarray) -> str:
    version = hashlib.sha256(ids.tobytes()).hexdigest()[:16]
    kept_selections[version] = ids
    return version
