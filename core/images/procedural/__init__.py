"""Images that mean nothing, to train a network on: textures, fractals, shapes, flawed panels.

`fields` are the textures, `shapes` what is drawn, `grounds` the classes made of both, `flaws` what
goes wrong on a ground, `pool` draws and stores many pictures. No photograph goes into any of it,
and none of its flaws is a defect class of `core.images.synthetic`.
"""

from core.images.procedural.flaws import FLAW_CLASSES, FLAW_KINDS
from core.images.procedural.grounds import GROUND_CLASSES
from core.images.procedural.pool import Pool, draw_picture, make_pool, open_pool

__all__ = [
    "FLAW_CLASSES",
    "FLAW_KINDS",
    "GROUND_CLASSES",
    "Pool",
    "draw_picture",
    "make_pool",
    "open_pool",
]
