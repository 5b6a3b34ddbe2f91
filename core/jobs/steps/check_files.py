"""Look at every file of the workspace and record which are missing or changed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.jobs.configs import CheckFiles
from core.jobs.context import JobContext
from core.state import catalog
from core.state.catalog import ImageFilter


def run(context: JobContext, config: CheckFiles) -> Mapping[str, Any]:
    """Count the images by condition: `ok`, `missing`, `changed`."""
    context.report(0.0, "Looking at the files")
    different = catalog.check_files(context.workspace)
    catalog.set_conditions(context.workspace, different)
    counts = Counter(
        {
            condition: catalog.count_images(context.workspace, ImageFilter(condition=condition))
            for condition in ("ok", "missing", "changed")
        }
    )
    return {"n_updated": len(different), **counts}
