"""Facts: all that the report on a data set looks at, as arrays with one row an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.images.quality import QUALITY_MEASURES, SHAPE_MEASURES, QualityMeasure
from core.images.quality_flags import Flagged, flag_quality, flag_shapes
from core.state.image_table import ImageTable

MEASURES: Mapping[str, QualityMeasure] = {
    measure.name: measure for measure in (*QUALITY_MEASURES, *SHAPE_MEASURES)
}
Paths = tuple[str, ...]
PathsWithLabels = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Facts:
    """The images of a workspace and what is known of them all.

    Attributes:
        classes: in the order of their colours.
        duplicates: the paths by image, of images that came from several files.
        conflicts: (path, label given there) by image, of images that came with several labels.
    """

    images: ImageTable
    classes: tuple[str, ...]
    duplicates: Mapping[int, Paths]
    conflicts: Mapping[int, PathsWithLabels]

    @cached_property
    def measures(self) -> Mapping[str, np.ndarray]:
        """float (n_images,) by measure; NaN where an image was not measured."""
        widths, heights = self.images.widths, self.images.heights
        shapes = {
            "aspect_ratio": widths / heights,
            "shorter_side": np.minimum(widths, heights).astype(float),
        }
        return {**self.images.quality, **shapes}

    @cached_property
    def flagged(self) -> Mapping[str, Flagged]:
        """Every flag by name, judged over all images: excluding some moves no threshold."""
        found = (
            *flag_quality(self.images.quality),
            *flag_shapes(self.images.widths, self.images.heights),
        )
        return {flagged.flag.name: flagged for flagged in found}

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(width, height), the commonest first."""
        pairs = np.column_stack([self.images.widths, self.images.heights])
        sizes, counts = np.unique(pairs, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return tuple((int(width), int(height)) for width, height in sizes[order])

    @cached_property
    def is_straddling(self) -> np.ndarray:
        """bool (n_images,): near-duplicates that stand in more than one split."""
        return self._differ(self.images.splits.codes)

    @cached_property
    def is_disputed(self) -> np.ndarray:
        """bool (n_images,): near-duplicates that have more than one label."""
        return self._differ(self.images.labels.codes)

    def _differ(self, codes: np.ndarray) -> np.ndarray:
        """bool (n_images,): whose near-duplicates have several of these codes; -1 is none."""
        groups = np.where((codes >= 0) & ~self.images.is_excluded, self.images.look_alikes, 0)
        pairs = np.unique(np.column_stack([groups, codes])[groups > 0], axis=0)
        numbers, n_codes = np.unique(pairs[:, 0], return_counts=True)
        return np.isin(groups, numbers[n_codes > 1])

    def among(self, ids: Sequence[int]) -> np.ndarray:
        """bool (n_images,): which images are among `ids`."""
        return np.isin(self.images.ids, np.array(ids, np.int64))
