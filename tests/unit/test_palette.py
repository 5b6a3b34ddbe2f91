"""Can every eye tell the classes apart, in light and dark?

Colour blindness is simulated, and distances are taken in Oklab, where equal steps look alike.

Source:
    Machado, Oliveira & Fernandes (2009), "A physiologically-based model for simulation of color
    vision deficiency", doi:10.1109/TVCG.2009.113; the matrices of severity 1, for linear RGB.
    Ottosson (2020), "A perceptual color space for image processing",
    bottosson.github.io/posts/oklab
"""

import tomllib
from itertools import combinations

import numpy as np
import pytest

from core.palette import CLASS_COLOURS, RESERVED_MARKS, UNKNOWN_COLOUR
from core.settings import PROJECT_ROOT

EYES = {
    "usual": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
LIGHT = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# In hundredths of the step from black to white. Two patches side by side differ from about 2 on; a
# point of 6 px is small and its neighbours are far.
APART = 7.0
FROM_THE_GROUND = 20.0

every_eye = pytest.mark.parametrize("eye", EYES)


def _seen(colour: str, eye: str) -> np.ndarray:
    """What an eye makes of a "#rrggbb": (3,) in Oklab, in hundredths."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(EYES[eye] @ linear, 0, 1)
    return 100 * OKLAB @ np.cbrt(LIGHT @ seen)


def _distance(one: str, other: str, eye: str) -> float:
    return float(np.linalg.norm(_seen(one, eye) - _seen(other, eye)))


@every_eye
def test_black_and_white_are_a_hundred_apart_for_every_eye(eye: str) -> None:
    assert _distance("#000000", "#ffffff", eye) == pytest.approx(100, abs=0.1)


def test_red_and_green_of_one_lightness_are_alike_to_a_deutan_eye_alone() -> None:
    red, green = "#c0504d", "#7f7d30"
    assert _distance(red, green, "usual") > 3 * _distance(red, green, "deutan")


@every_eye
def test_every_eye_tells_all_classes_apart(eye: str) -> None:
    for one, other in combinations(CLASS_COLOURS, 2):
        assert _distance(one, other, eye) >= APART, (one, other)


@every_eye
def test_every_eye_tells_a_class_from_what_is_none(eye: str) -> None:
    greys = {UNKNOWN_COLOUR, *(colour for colour, _ in RESERVED_MARKS.values())}
    for grey in greys:
        for colour in CLASS_COLOURS:
            assert _distance(grey, colour, eye) >= APART, (grey, colour)


@every_eye
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_class_stands_out_from_the_background(mode: str, eye: str) -> None:
    config = (PROJECT_ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    ground = tomllib.loads(config)["theme"][mode]["backgroundColor"]
    for colour in CLASS_COLOURS:
        assert _distance(colour, ground, eye) >= FROM_THE_GROUND, colour
