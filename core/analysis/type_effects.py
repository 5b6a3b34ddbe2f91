"""What would follow from another name, a merger, a split, a retirement of a type of defect?"""

from dataclasses import dataclass
from typing import Any

from core.state import applications, catalog, models
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace

_ORIGINS = {
    "imported": "by their source",
    "human": "by people",
    "automatic": "automatically",
}


@dataclass(frozen=True)
class TypeEffects:
    """What hangs on a type.

    Attributes:
        n_by_origin: images that bear it, by who gave it.
        n_calibration: of its images, those of the split that promises are read off.
        n_waiting: of its images, those that wait in triage.
        models: ids of the models that know it.
        promoted: id of the model at work, where that knows it.
        has_promise: a plan by such a model stands applied.
    """

    n_by_origin: dict[str, int]
    n_calibration: int
    n_waiting: int
    models: tuple[str, ...]
    promoted: str | None
    has_promise: bool

    @property
    def n_images(self) -> int:
        """Images that bear the type."""
        return sum(self.n_by_origin.values())

    def sentences(self, change: str) -> list[str]:
        """What a person should know before the change.

        Args:
            change: rename, merge, split or retire.
        """
        parts = ", ".join(f"{n:,} {origin}" for origin, n in sorted(self.n_by_origin.items()))
        images = f"{self.n_images:,} images bear it" + (f" ({parts})." if parts else ".")
        said = [
            {
                "rename": f"{images} They bear the new name afterwards.",
                "merge": f"{images} They bear the other name afterwards; this one is retired.",
                "split": f"{images} Those you name apart change; the others stay.",
                "retire": f"{images} They keep it; nobody can give it, no training learns it.",
            }[change]
        ]
        if self.n_waiting:
            said.append(f"{self.n_waiting:,} of them wait in triage and stay there.")
        if self.models:
            knowing = f"Known to {', '.join(self.models)}"
            said.append(
                f"{knowing}, and by the new name afterwards."
                if change == "rename"
                else f"{knowing} as it was: until one is trained again, what is taken for it goes "
                "to people."
            )
        if self.n_calibration:
            again = "plans of the triage must be made again"
            ends = ", and the one that is applied promises nothing more" if self.has_promise else ""
            said.append(f"{self.n_calibration:,} calibration images are of it: {again}{ends}.")
        return said


def effects_of(workspace: Workspace, name: str) -> TypeEffects:
    """What hangs on a type now."""

    def count(**more: Any) -> int:
        return catalog.count_images(workspace, ImageFilter(labels=(name,), **more))

    by_origin = {title: count(origins=(origin,)) for origin, title in _ORIGINS.items()}
    knowing = [each.id for each in models.list_models(workspace) if name in each.classes]
    at_work = models.promoted(workspace)
    return TypeEffects(
        n_by_origin={title: n for title, n in by_origin.items() if n},
        n_calibration=count(splits=("calibration",)),
        n_waiting=count(queued=True),
        models=tuple(knowing),
        promoted=at_work.id if at_work and at_work.id in knowing else None,
        has_promise=any(
            each.model in knowing and not each.reverted_at
            for each in applications.list_applications(workspace)
        ),
    )
