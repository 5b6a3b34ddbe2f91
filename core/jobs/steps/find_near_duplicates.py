"""Find images that show the same thing, though no two bytes agree, and record them in groups."""

from collections.abc import Callable, Mapping
from typing import Any

from core.errors import OperatorError
from core.images.grouping import straddling
from core.images.near_duplicates import find_near_duplicates, perceptual_hash
from core.images.thumbnails import ThumbnailStore
from core.jobs.configs import FindNearDuplicates
from core.jobs.context import JobContext
from core.state import catalog, near_duplicates
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from core.vocabulary import SYNTHETIC


def run(context: JobContext, config: FindNearDuplicates) -> Mapping[str, Any]:
    """Search the whole workspace; what an earlier search found is replaced."""
    return search(context.workspace, on_progress=lambda p: context.report(p, "Comparing images"))


def search(
    workspace: Workspace, *, on_progress: Callable[[float], None] = lambda share: None
) -> Mapping[str, Any]:
    """Find the groups and record them; what `on_progress` raises ends the search unrecorded.

    Returns:
        `n_groups`, `n_images` in them, `n_straddling` groups that stand in more than one split,
        `n_unseen` images whose thumbnail is lost (`doctor` makes them anew), `n_not_compared` and
        `n_cut` pairs (see `NearDuplicates`).
    """
    thumbnails = ThumbnailStore(workspace.path / "thumbnails.db")

    def load(sha256: str) -> bytes:
        thumbnail = thumbnails.get(sha256)
        if thumbnail is None:
            raise OperatorError("A thumbnail went away meanwhile.", next_step="Search again.")
        return thumbnail

    # Generated images are drawn one by one: alike lamps in two of them are no second shot.
    drawn = set(catalog.image_ids(workspace, ImageFilter(attributes=(SYNTHETIC,))).tolist())
    rows = [row for row in near_duplicates.images_to_compare(workspace) if row[0] not in drawn]
    lost = set(thumbnails.missing([sha256 for _, sha256, _ in rows]))
    seen = [row for row in rows if row[1] not in lost]
    lacking = {i: perceptual_hash(load(sha)) for i, sha, known in seen if not known}
    near_duplicates.set_perceptual_hashes(workspace, lacking)
    found = find_near_duplicates(
        [known or lacking[image_id] for image_id, _, known in seen],
        lambda row: load(seen[row][1]),
        on_progress=on_progress,
    )
    near_duplicates.replace_groups(
        workspace, [[seen[row][0] for row in group.rows] for group in found.groups]
    )
    counts = {
        "n_unseen": len(lost),
        "n_not_compared": found.n_not_compared,
        "n_cut": found.n_cut,
    }
    return {**count_groups(workspace), **counts}


def count_groups(workspace: Workspace) -> Mapping[str, int]:
    """Groups that the newest search found, the images in them, and the groups in several splits."""
    alike = near_duplicates.list_look_alikes(workspace)
    divided = straddling([str(each.number) for each in alike], [each.split for each in alike])
    return {
        "n_groups": len({each.number for each in alike}),
        "n_images": len(alike),
        "n_straddling": len(divided),
    }
