"""The words that every room shares: splits, reserved labels, and what a label may be called."""

import unicodedata
from functools import lru_cache

SPLITS = ("train", "validation", "calibration", "test")
MAX_LABEL_LENGTH = 80
QUALITY_MEASURES = (  # of a camera, of which images/quality.py says how each is taken
    "brightness",
    "contrast",
    "sharpness",
    "saturation",
    "dark_share",
    "bright_share",
)

# Said of an image, never learned as a class: several defects in one image, a false alarm of the
# line, and a picture nobody can judge.
MULTIPLE = "multiple"
NOT_A_DEFECT = "not_a_defect"
UNUSABLE = "unusable"
RESERVED_LABELS = (MULTIPLE, NOT_A_DEFECT, UNUSABLE)
RESERVED_KEYS = {MULTIPLE: "m", NOT_A_DEFECT: "x", UNUSABLE: "u"}  # that give them

ORDERS = ("uncertainty", "novelty", "diversity", "oldest")  # in which a queue can be worked off

SYNTHETIC = ("origin", "synthetic")  # the attribute that marks a generated image for good


@lru_cache(maxsize=4096)
def clean_label(text: str) -> str | None:
    """A label as it is stored: NFC, white space collapsed, control characters dropped.

    A reserved word is recognised however it is written ("Not a defect", "not-a-defect"). Case is
    otherwise kept: whether "Scratch" and "scratch" are one class is for a person to say.

    Returns:
        The label, or None where nothing is left of it.

    Raises:
        ValueError: the label is longer than `MAX_LABEL_LENGTH` characters, is not valid Unicode, or
            could not name a folder when the images are exported again.
    """
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc")
    label = " ".join(unicodedata.normalize("NFC", kept).split())
    if not label:
        return None
    if any(unicodedata.category(c) == "Cs" for c in label):
        raise ValueError(f"the label {printable(label)!r} is not valid Unicode")
    if len(label) > MAX_LABEL_LENGTH:
        raise ValueError(
            f"the label {label[:20]!r}… has {len(label)} characters, at most {MAX_LABEL_LENGTH} "
            "are allowed"
        )
    if "/" in label or "\\" in label or not label.strip("."):
        raise ValueError(f"the label {label!r} cannot name a folder")
    word = label.casefold().replace(" ", "_").replace("-", "_")
    return word if word in RESERVED_LABELS else label


def printable(name: str) -> str:
    """A file name that can be shown and stored: undecodable bytes become a replacement mark."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
