"""Make synthetic paint defects and import them like images from anywhere else."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

from core.errors import OperatorError
from core.images.formats.importers import scan
from core.images.synthetic import (
    DatasetPlan,
    plan_dataset,
    plan_line_images,
    plan_training_images,
    write_plan,
)
from core.jobs.configs import GenerateImages, ImportImages
from core.jobs.context import JobContext
from core.jobs.steps.import_images import import_scan
from core.state import catalog
from core.state.catalog import ImageFilter
from core.vocabulary import SYNTHETIC


def run(context: JobContext, config: GenerateImages) -> Mapping[str, Any]:
    """Generate, then import.

    Raises:
        OperatorError: other than training images were asked for beside real images, which are
            judged by real ones alone.
    """
    n_images = catalog.count_images(context.workspace)
    n_synthetic = catalog.count_images(context.workspace, ImageFilter(attributes=(SYNTHETIC,)))
    if n_images > n_synthetic and not config.training_only:
        raise OperatorError(
            "This workspace holds real images.",
            "Synthetic images may join them in training, never where real ones are judged.",
            "Choose training images only, or generate into a workspace of their own.",
        )
    plan = _plan(config)
    folder = context.folder / "generated"
    try:
        write_plan(
            plan,
            folder,
            n_workers=os.cpu_count() or 1,
            on_progress=lambda done, total: context.report(
                0.8 * done / total, f"{done:,} of {total:,} images drawn"
            ),
        )
        return import_scan(
            context,
            ImportImages(source=str(folder), split="keep", shown_as="synthetic"),
            scan(folder, format="folder"),
            name=f"synthetic-{config.seed}",
            more_attributes=dict([SYNTHETIC]),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plan(config: GenerateImages) -> DatasetPlan:
    if config.training_only:
        return plan_training_images(config.n_images, seed=config.seed)
    if config.of_line:
        return plan_line_images(config.n_images, seed=config.seed)
    return plan_dataset(config.n_images, seed=config.seed)
