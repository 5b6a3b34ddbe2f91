"""Samples: which 8-bit grey or colour does an image's stored sample become?

A rule looks at what the file states of itself, never at its lowest and highest sample: stretched by
those, a dark image and a bright one would look alike, and no two images would compare.

- Samples of 9 to 16 bits keep the highest 8 of them: 0..65535 becomes 0..255, within one level of
  dividing by 257, so that grey and colour, PNG and TIFF agree.
- Cameras put 10, 12 or 14 bits into 16, which read as 16 bits would be nearly black. So a TIFF
  file's own word counts: its BitsPerSample, or a MaxSampleValue or SMaxSampleValue one less than a
  power of two, such as 4095. Any other value there is the highest sample of this one image, which
  is "not to be used to affect the visual appearance" (TIFF 6.0, p. 36). PNG's sBIT chunk changes
  nothing, since samples are stored scaled to all their bits.
- Signed whole numbers are read by the non-negative half of their range, those of 32 bits like
  unsigned ones of 16, floating-point samples within 0..1. What lies outside is refused: its scale
  is unknown.
- Transparency is laid over white, as most viewers show it.
- CMYK and YCbCr are converted by Pillow's formulas; CMYK in JPEG is taken as inverted, as Adobe
  writes it. Embedded colour profiles are not applied: a phone's Display P3 photograph comes out a
  little paler than on the phone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

# TIFF's tags by the names that its specification gives them.
_NEW_SUBFILE_TYPE = 254
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC_INTERPRETATION = 262
_MAX_SAMPLE_VALUE = 281
_COLOR_MAP = 320
_SAMPLE_FORMAT = 339
_S_MAX_SAMPLE_VALUE = 341
_DNG_VERSION = 50706
_WHITE_IS_ZERO = 0
_SIGNED = 2
_KINDS = {1: "unsigned whole", 2: "signed whole", 3: "floating-point", 5: "complex", 6: "complex"}


class UnreadSamples(Exception):
    """The samples have no known meaning as 8-bit colour; the message says why."""


def to_8_bits(image: Image.Image, *, png_bits: int | None = None) -> Image.Image:
    """A decoded image as mode L or RGB, by the rules above.

    Args:
        image: as Pillow opened it, with its pixels loaded.
        png_bits: of a PNG file, the bits a sample has in it.

    Raises:
        UnreadSamples: the kind of the samples is not read, or they lie outside their range.
    """
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    if tags.get(_DNG_VERSION) or _first(tags, _NEW_SUBFILE_TYPE, 0) & 1:
        raise UnreadSamples("it is a camera's raw file, of which only the preview could be read")
    if image.mode == "LAB":
        raise UnreadSamples("it is in the Lab colour space")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_whole_numbers(np.asarray(image), tags, image.info.get("transparency"))
    if image.mode == "F":
        return _from_floats(np.asarray(image), tags)
    if _first(tags, _SAMPLE_FORMAT, 1) == _SIGNED:
        raise UnreadSamples("its samples are signed numbers of 8 bits")
    if _first(tags, _BITS_PER_SAMPLE, 8) == 16 and _stated_bits(tags, 16) < 16:
        raise UnreadSamples(
            f"its colour samples have {_stated_bits(tags, 16)} bits in 16; scale them to all 16"
        )
    if image.mode == "P" and _COLOR_MAP in tags:
        _use_palette_of_8_bits(image, tags[_COLOR_MAP])
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return _over_white(image, png_bits)
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def describe_tiff_samples(tags: Mapping[int, Any]) -> str:
    """What the samples of a TIFF file are, as words for a reason: "64-bit floating-point samples…".

    Args:
        tags: of its first page, by number.
    """
    kind = _KINDS.get(_first(tags, _SAMPLE_FORMAT, 1), "unknown")
    n_samples = len(tags.get(_BITS_PER_SAMPLE, (1,)))
    photometric = tags.get(_PHOTOMETRIC_INTERPRETATION, "unknown")
    return (
        f"{_first(tags, _BITS_PER_SAMPLE, 1)}-bit {kind} samples, {n_samples} a pixel, of "
        f"photometric interpretation {photometric}"
    )


def _from_whole_numbers(
    samples: np.ndarray, tags: Mapping[int, Any], transparent: int | None
) -> Image.Image:
    is_signed = _first(tags, _SAMPLE_FORMAT, 1) == _SIGNED
    is_short = _first(tags, _BITS_PER_SAMPLE, 16) <= 16
    bits = _stated_bits(tags, 15 if is_signed and is_short else 16)
    most = 2**bits - 1
    lowest, highest = int(samples.min()), int(samples.max())
    if lowest < 0 or highest > most:
        raise UnreadSamples(f"its samples lie in {lowest}..{highest}, not within 0..{most}")
    grey = (samples >> (bits - 8)).astype(np.uint8)
    if _is_inverted(tags):
        grey = 255 - grey
    if transparent is not None:
        grey[samples == transparent] = 255
    return Image.fromarray(grey)


def _from_floats(samples: np.ndarray, tags: Mapping[int, Any]) -> Image.Image:
    lowest, highest = float(samples.min()), float(samples.max())
    if not (lowest >= 0.0 and highest <= 1.0):  # NaN is in no range
        raise UnreadSamples(
            f"its floating-point samples lie in {lowest:g}..{highest:g}, not within 0..1"
        )
    grey = (samples * 255.0 + 0.5).astype(np.uint8)
    return Image.fromarray(255 - grey if _is_inverted(tags) else grey)


def _stated_bits(tags: Mapping[int, Any], container: int) -> int:
    """How many bits of a container of 9 to 16 the file says that its samples use."""
    stated = [min(container, _first(tags, _BITS_PER_SAMPLE, container))]
    for tag in (_MAX_SAMPLE_VALUE, _S_MAX_SAMPLE_VALUE):
        most = _first(tags, tag, 0)
        bits = int(most).bit_length()
        if 8 <= bits < container and most == 2**bits - 1:
            stated.append(bits)
    return min(stated)


def _is_inverted(tags: Mapping[int, Any]) -> bool:
    # Pillow turns samples of up to 8 bits round by itself.
    return tags.get(_PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO


def _first(tags: Mapping[int, Any], tag: int, default: int) -> Any:
    """The value of a tag for the first sample of a pixel."""
    values = tags.get(tag, default)
    return values[0] if isinstance(values, tuple) else values


def _use_palette_of_8_bits(image: Image.Image, colours: tuple[int, ...]) -> None:
    # TIFF's palettes have 16 bits, of which Pillow keeps the high ones; some writers fill in 8.
    if max(colours) < 256:
        image.putpalette(bytes(colours), "RGB;L")


def _over_white(image: Image.Image, png_bits: int | None) -> Image.Image:
    if png_bits is not None and png_bits != 8 and image.mode in {"L", "RGB"}:
        # Pillow scales the pixels to 8 bits, but not the one colour that stands for transparency.
        key = np.atleast_1d(image.info["transparency"])
        key = key >> 8 if png_bits == 16 else key * 255 // (2**png_bits - 1)
        image.info["transparency"] = int(key[0]) if image.mode == "L" else tuple(key.tolist())
    rgba = image.convert("RGBA")
    rgb = Image.new("RGB", rgba.size, "white")
    rgb.paste(rgba, mask=rgba.getchannel("A"))
    return rgb
