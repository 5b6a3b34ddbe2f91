"""Images for tests that need rows, not pixels."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.state import catalog, intake
from core.state.database import writing
from core.state.intake import NewImage
from core.state.schema import images
from core.state.workspace import Workspace


def new_image(number: int, **columns: Any) -> NewImage:
    """An image whose hash, name and path all say its number."""
    facts: dict[str, Any] = {
        "source": f"/line/{number:05}.png",
        "sha256": f"{number:064x}",
        "name": f"{number:05}.png",
        "storage": "copied",
        "location": f"images/{number:05}.png",
        "modified_ns": 0,
        "format": "PNG",
        "width": 64,
        "height": 48,
        "n_bytes": 1000,
    }
    return NewImage(**facts | columns)


def begin_import(workspace: Workspace) -> int:
    """An import by `tester`."""
    return intake.begin_import(
        workspace, source="/line", format="folder", options={}, actor="tester"
    )


def fill(workspace: Workspace, *found: NewImage) -> list[int]:
    """Import the images; their ids, in the order given."""
    intake.add_images(workspace, begin_import(workspace), found)
    by_sha256 = {image.sha256: image.id for image in catalog.list_images(workspace)}
    return [by_sha256[image.sha256] for image in found]


def fill_many(workspace: Workspace, n_images: int) -> list[int]:
    """Thousands of images in one insert; their ids."""
    import_id = begin_import(workspace)
    rows = [asdict(new_image(number)) for number in range(n_images)]
    for row in rows:
        del row["source"], row["quality"]
        row["import_id"] = import_id
    with writing(workspace) as connection:
        connection.execute(images.insert(), rows)
    return catalog.image_ids(workspace).tolist()


def copy_in(workspace: Workspace, number: int, content: bytes) -> NewImage:
    """A copied image whose file is really there."""
    location = Path("images", f"{number:05}.png")
    workspace.folder("images")
    (workspace.path / location).write_bytes(content)
    return new_image(number, location=str(location), n_bytes=len(content))
