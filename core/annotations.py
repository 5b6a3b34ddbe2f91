"""What is said of an image, as values that every room shares: boxes, crops, decisions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle drawn around one defect.

    Coordinates are in pixels of the upright image, as `read_image` gives it with the EXIF
    orientation applied, from its upper left corner: pixel column i spans i to i + 1.

    Attributes:
        label: what it shows, cleaned.
        x: left edge.
        y: upper edge.
        width: to the right edge.
        height: to the lower edge.
    """

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person or a model said of an image before it came here.

    Attributes:
        label: cleaned; None where a label was taken away.
        origin: `human`, `automatic`, or `imported` where one was taken back to what the source
            said.
        actor: who or what decided; for a model its name or version.
        at: when, ISO 8601 in UTC; empty where the source does not say.
        score: confidence of an automatic decision, in [0, 1], higher = surer.
    """

    label: str | None
    origin: str
    actor: str
    at: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Crop:
    """Where an image was cut out of another: a rectangle in pixels of that upright image.

    Attributes:
        source: name of the whole image in its import.
        source_sha256: hash of the whole image's file.
        x: left edge.
        y: upper edge.
        width: to the right edge.
        height: to the lower edge.
    """

    source: str
    source_sha256: str
    x: int
    y: int
    width: int
    height: int
