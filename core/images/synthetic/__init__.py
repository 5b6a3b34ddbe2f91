"""Synthetic photographs of car-paint panels with dirt, drops, scratches and watermarks.

`panel` is the faultless paint and its light, `defects` what goes wrong with it, `rendering` makes
one picture of both, `dataset` plans many and writes them.
"""

from core.images.synthetic.dataset import (
    DatasetPlan,
    SyntheticImage,
    plan_arrivals,
    plan_dataset,
    plan_line_images,
    plan_training_images,
    write_dataset,
    write_plan,
)
from core.images.synthetic.defects import DEFECT_CLASSES, LATE_CLASSES, MULTIPLE
from core.images.synthetic.rendering import (
    DefectBox,
    contact_sheet,
    render_image,
    render_panel,
)

__all__ = [
    "DEFECT_CLASSES",
    "LATE_CLASSES",
    "MULTIPLE",
    "DatasetPlan",
    "DefectBox",
    "SyntheticImage",
    "contact_sheet",
    "plan_arrivals",
    "plan_dataset",
    "plan_line_images",
    "plan_training_images",
    "render_image",
    "render_panel",
    "write_dataset",
    "write_plan",
]
