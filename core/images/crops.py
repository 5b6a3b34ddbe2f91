"""Crops: one defect, cut out of its image with a margin around it.

Tiny defects on large panels vanish when the whole image is made as small as a network's input; cut
out along their boxes they keep their pixels.
"""

import math
from dataclasses import replace

from PIL import Image

from core.images.boxes import Box, clip_box
from core.images.scanning import Candidate

# Around a speck of a few pixels a share of it would show nothing of the surface it lies on.
MIN_MARGIN_PX = 8


def crop_box(image: Image.Image, box: Box, *, margin: float) -> Image.Image:
    """Cut a box out of its image, with a margin on all four sides.

    The margin is that share of the box's longer side, at least `MIN_MARGIN_PX`, and ends where the
    image ends: nothing is filled up. Edges are rounded outwards to whole pixels.

    Args:
        image: the whole image, upright, as `read_image` gives it.
        box: in pixels of that image.
        margin: share of the box's longer side, 0 or more.

    Raises:
        ValueError: `margin` is negative or not finite, or the box lies outside the image.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be 0 or more, got {margin}")
    box = clip_box(box, image.size)
    margin_px = max(margin * max(box.width, box.height), MIN_MARGIN_PX)
    return image.crop(
        (
            max(math.floor(box.x - margin_px), 0),
            max(math.floor(box.y - margin_px), 0),
            min(math.ceil(box.x + box.width + margin_px), image.width),
            min(math.ceil(box.y + box.height + margin_px), image.height),
        )
    )


def crop_candidates(candidate: Candidate) -> list[Candidate]:
    """One candidate for each box of an image, in the order of its boxes; none where it has none.

    Each keeps the image's path and split, has the box's label and that box alone, and is named as
    if the image were a folder (`train/7.jpg/box-1.png`), a name that no file can have. Its
    attributes say where it comes from: `crop_of` (the image's name) and `box_x`, `box_y`,
    `box_width`, `box_height` in pixels of that image, upright and without the margin.
    """
    return [
        replace(
            candidate,
            relative=f"{candidate.relative}/box-{number}.png",
            label=box.label,
            boxes=(box,),
            attributes={
                **candidate.attributes,
                "crop_of": candidate.relative,
                "box_x": box.x,
                "box_y": box.y,
                "box_width": box.width,
                "box_height": box.height,
            },
        )
        for number, box in enumerate(candidate.boxes, start=1)
    ]
