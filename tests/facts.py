"""Facts of a few images for tests of the report, without a workspace."""

from collections.abc import Sequence

import numpy as np

from core.report.facts import Facts
from core.state.catalog import QUALITY_MEASURES
from core.state.image_table import Categories, ImageTable

ORDINARY = {
    "brightness": 0.5,
    "contrast": 0.3,
    "sharpness": 200.0,
    "saturation": 0.1,
    "dark_share": 0.0,
    "bright_share": 0.0,
}


def make_facts(
    labels: Sequence[str | None] = (),
    splits: Sequence[str | None] = (),
    *,
    n_images: int | None = None,
    excluded: Sequence[int] = (),
    decided: Sequence[int] = (),
    conditions: Sequence[str] = (),
    sizes: Sequence[tuple[int, int]] = (),
    duplicates: dict[int, tuple[str, ...]] | None = None,
    conflicts: dict[int, tuple[tuple[str, str | None], ...]] | None = None,
    look_alikes: Sequence[int] = (),
    **measures: Sequence[float],
) -> Facts:
    """Images with the ids 1, 2, 3 and on, ordinary in all that is not said of them.

    Args:
        excluded: ids of images out of training.
        decided: ids of images that a person labelled.
        look_alikes: number of each image's group of near-duplicates; 0 for none.
    """
    given = [labels, splits, conditions, sizes, look_alikes, *measures.values()]
    n = n_images or max((len(each) for each in given), default=0)
    ids = np.arange(1, n + 1)
    widths, heights = zip(*(sizes or [(64, 48)] * n), strict=True) if n else ((), ())
    return Facts(
        images=ImageTable(
            ids=ids,
            labels=categories(labels or [None] * n),
            splits=categories(splits or [None] * n),
            conditions=categories(conditions or ["ok"] * n),
            is_excluded=np.isin(ids, excluded),
            is_decided=np.isin(ids, decided),
            widths=np.array(widths, np.int64),
            heights=np.array(heights, np.int64),
            look_alikes=np.array(look_alikes or [0] * n, np.int64),
            quality={
                name: np.array(measures.get(name, [ORDINARY[name]] * n), float)
                for name in QUALITY_MEASURES
            },
        ),
        classes=tuple(dict.fromkeys(label for label in labels if label)),
        duplicates=duplicates or {},
        conflicts=conflicts or {},
    )


def categories(values: Sequence[str | None]) -> Categories:
    """One name an image as places in the different names."""
    names = tuple(dict.fromkeys(value for value in values if value is not None))
    codes = [-1 if value is None else names.index(value) for value in values]
    return Categories(names, np.array(codes, np.int32))
