"""The `folder` format: a folder a class, with a folder a split above it or not.

    scratch/001.jpg               label scratch, no split
    train/scratch/001.jpg         label scratch, split train
    train/scratch/line2/001.jpg   label scratch: deeper folders say nothing
    train/001.jpg                 no label, split train
    001.jpg                       neither

A split folder is known by its name in any case: train, val, valid, validation, calib, calibration,
test.
"""

from pathlib import Path

from core.images.formats.scanning import Candidate, Rejection, Scan
from core.images.formats.tree import list_tree
from core.images.splits import split_named
from core.vocabulary import clean_label


def scan_folder(root: Path) -> Scan:
    """List a folder's images with the labels and splits that their folders give."""
    tree = list_tree(root)
    candidates: list[Candidate] = []
    refused_folders: dict[str, str] = {}
    for image in tree.images:
        folders = image.relative.split("/")[:-1]
        split = split_named(folders[0]) if folders else None
        classes = folders[1:] if split else folders
        try:
            label = clean_label(classes[0]) if classes else None
        except ValueError as error:
            refused_folders["/".join(folders[: 2 if split else 1]) + "/"] = str(error)
        else:
            candidates.append(Candidate(image.path, image.relative, label=label, split=split))
    refused = [Rejection(folder, reason) for folder, reason in refused_folders.items()]
    sidecars = [file.relative for file in tree.sidecars]
    return Scan(
        format="folder",
        root=root,
        candidates=tuple(candidates),
        rejected=tuple(sorted([*tree.rejected, *refused], key=lambda rejection: rejection.path)),
        ignored=tuple(sorted([*tree.ignored, *sidecars])),
    )
