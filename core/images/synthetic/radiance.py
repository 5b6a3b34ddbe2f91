"""How much light does a panel send to the camera, with or without a defect?"""

from dataclasses import dataclass

import numpy as np

from core.images.synthetic.defects import Cover, Defect
from core.images.synthetic.panel import (
    LightTables,
    Panel,
    Surface,
    draw_panel,
    lay_surface,
    light_tables,
    look_up,
)

# How far the reflection moves, in frame widths of the light room, where relief tilts by 1.
_REFLECTION_SHIFT = 1.1
# How much brighter the base coat gets where relief tilts by 1 towards the key lamp.
_SHADING = 1.8
# The slope of relief that mirrors the key lamp into the camera, and how sharply.
_LAMP_SLOPE = 0.22
_LAMP_SPREAD = 0.06
_LAMP_BRIGHTNESS = 1.4


@dataclass(frozen=True)
class Scene:
    """A faultless panel, laid out pixel by pixel and lit."""

    panel: Panel
    surface: Surface
    lights: LightTables


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a panel and light it."""
    panel = draw_panel(rng)
    return Scene(panel, lay_surface(panel), light_tables(panel))


def panel_light(scene: Scene) -> np.ndarray:
    """Linear light from the faultless panel, float32 (3, height, width) of the whole frame."""
    surface = scene.surface
    body, gloss = _reflect(scene, surface.s, surface.t)
    return _mix(scene.panel, surface.pigment, body, gloss, surface.falloff, ())


def defect_light(scene: Scene, defect: Defect, *, top: int, left: int) -> np.ndarray:
    """Linear light from the window of the panel that a defect's patch covers.

    Args:
        scene: the panel beneath.
        defect: what lies on it; where its fields are 0 the light is the faultless panel's.
        top: row of the frame where the patch begins.
        left: column of the frame where the patch begins.

    Returns:
        float32 array (3, height, width) of the patch's size.
    """
    height, width = defect.shape
    window = np.s_[top : top + height, left : left + width]
    surface, panel = scene.surface, scene.panel
    s, t = surface.s[window], surface.t[window]
    if defect.relief is None:
        body, gloss = _reflect(scene, s, t)
    else:
        slope_y, slope_x = np.gradient(defect.relief)
        across = np.float32(_REFLECTION_SHIFT * np.cos(panel.turn))
        along = np.float32(_REFLECTION_SHIFT * np.sin(panel.turn))
        body, gloss = _reflect(
            scene,
            s - across * slope_x - along * slope_y,
            t - across * slope_y + along * slope_x,
        )
        shading, highlight = _key_lamp(panel, slope_x, slope_y)
        body *= shading
        gloss += highlight
    if defect.dulling is not None:
        gloss *= 1.0 - defect.dulling
    pigment, falloff = surface.pigment[window], surface.falloff[window]
    return _mix(panel, pigment, body, gloss, falloff, defect.covers)


def _reflect(scene: Scene, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light on the base coat and light off the clear coat, where the reflection looks at (s, t)."""
    lights = scene.lights
    strips, room, body = look_up(s, lights.strips, lights.room, lights.body)
    (ends,) = look_up(t, lights.ends)
    strips *= ends
    tilt = t * np.float32(scene.panel.room[2])
    tilt += np.float32(1.0)
    room *= tilt
    strips += np.maximum(room, 0.0, out=room)
    return body, strips


def _key_lamp(
    panel: Panel, slope_x: np.ndarray, slope_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The key lamp's shading of relief, 1 where it is flat, and its highlight, 0 there."""
    key_x, key_y = (np.float32(part) for part in panel.key)
    facing = -(key_x * slope_x + key_y * slope_y)
    sideways = key_y * slope_x - key_x * slope_y
    shading = np.clip(1.0 + np.float32(_SHADING) * facing, 0.25, 2.0)
    away = (facing - np.float32(_LAMP_SLOPE)) ** 2 + sideways**2
    highlight = np.exp(away / np.float32(-2.0 * _LAMP_SPREAD**2))
    highlight -= np.float32(np.exp(_LAMP_SLOPE**2 / (-2.0 * _LAMP_SPREAD**2)))
    return shading, np.float32(_LAMP_BRIGHTNESS) * np.maximum(highlight, 0.0)


def _mix(
    panel: Panel,
    pigment: np.ndarray,
    body: np.ndarray,
    gloss: np.ndarray,
    falloff: np.ndarray,
    covers: tuple[Cover, ...],
) -> np.ndarray:
    """Colour the light: base coat, what covers it, and the clear coat's reflection on top."""
    body *= falloff
    gloss *= falloff
    flaked = pigment * body
    linear = np.empty((3, *body.shape), dtype=np.float32)
    for channel, plane in enumerate(linear):
        np.multiply(flaked, np.float32(panel.colour[channel]), out=plane)
        for cover in covers:
            plane += cover.share * (np.float32(cover.colour[channel]) * body - plane)
        plane += np.float32(panel.light[channel]) * gloss
    return linear
