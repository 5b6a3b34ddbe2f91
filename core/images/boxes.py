"""Boxes: where in an image are its defects, and what do they say of the whole image?"""

import math
from collections.abc import Iterable

from core.annotations import Box
from core.vocabulary import MULTIPLE, NOT_A_DEFECT

# Half a pixel holds a defect of one pixel that was rounded on its way, and no slip of the mouse.
MIN_SIDE_PX = 0.5


def label_of_boxes(boxes: Iterable[Box]) -> str | None:
    """The one label that boxes give their whole image, by the rule of the paper's curation.

    One class among the boxes is the image's label, however many boxes show it; several give the
    reserved label `multiple`. Boxes around false alarms (`not_a_defect`) count where there are no
    others. No boxes give None: that nobody drew one says less than a person's "not a defect", so a
    background image stays unlabelled until somebody looks at it.
    """
    labels = {box.label for box in boxes}
    if len(labels) > 1:
        labels.discard(NOT_A_DEFECT)
    return MULTIPLE if len(labels) > 1 else next(iter(labels), None)


def clip_box(box: Box, image_size: tuple[int, int]) -> Box:
    """The part of a box that lies in an image of (width, height) pixels.

    Raises:
        ValueError: nothing of it is left; the message says why in words for a person.
    """
    image_width, image_height = image_size
    edges = (box.x, box.y, box.x + box.width, box.y + box.height)
    if not all(math.isfinite(edge) for edge in edges):
        raise ValueError("the box's numbers are not finite")
    if box.width < MIN_SIDE_PX or box.height < MIN_SIDE_PX:
        raise ValueError(f"the box has no area ({box.width:g} x {box.height:g} pixels)")
    within_x = edges[0] >= 0 and edges[2] <= image_width
    within_y = edges[1] >= 0 and edges[3] <= image_height
    if within_x and within_y:
        return box  # to the last digit
    left, right = (min(max(edge, 0.0), float(image_width)) for edge in edges[::2])
    upper, lower = (min(max(edge, 0.0), float(image_height)) for edge in edges[1::2])
    if right - left < MIN_SIDE_PX or lower - upper < MIN_SIDE_PX:
        raise ValueError(f"the box lies outside the image of {image_width} x {image_height} pixels")
    return Box(box.label, left, upper, right - left, lower - upper)
