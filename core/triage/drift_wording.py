"""Drift in words: what differs, in those of a plant, and what to do about it."""

from core.triage.drift import CameraShift, Comparison, Share

_CAMERA = {  # what more of it is called, and less of it
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "poorer in contrast"),
    "sharpness": ("sharper", "more blurred"),
    "saturation": ("more colourful", "less colourful"),
    "dark_share": ("with more black pixels", "with fewer black pixels"),
    "bright_share": ("with more white pixels", "with fewer white pixels"),
}
_OF_SHARES = ("dark_share", "bright_share")  # told as shares, not as a change in per cent
_CLEAR_Z = 3.5  # of one measure of six; below it, chance may do that
_MOST_NAMED = 2


def verdict(found: Comparison) -> str:
    """One or two sentences: whether the images differ, and in what."""
    if not found.is_alarm:
        return f"These {found.n_images:,} images look like the calibration images."
    alarming = {test.name for test in found.tests if test.is_alarm}
    parts = []
    if "camera" in alarming:
        parts.append("They are " + " and ".join(map(camera_change, clear_changes(found))))
    if alarming & {"mmd", "classifier"}:
        parts.append("The network sees them as different" + _told_by(found))
    if "novelty" in alarming and found.novelty is not None:
        share = found.novelty
        parts.append(
            f"{share.window:.0%} lie farther from all classes than {1 - share.reference:.0%} of "
            "the calibration images do"
        )
    if "labels" in alarming and found.labels:
        parts.append(_labels(found.labels[0]))
    return (
        f"{found.n_images:,} images that came in differ from the calibration images. "
        + ". ".join(parts)
        + "."
    )


def next_steps(found: Comparison) -> tuple[str, ...]:
    """What to do about an alarm, the first thing first; nothing where there is none."""
    if not found.is_alarm:
        return ()
    alarming = {test.name for test in found.tests if test.is_alarm}
    steps = []
    if "camera" in alarming:
        steps.append(_check_camera(clear_changes(found)))
    steps.append("Look at the images that differ most: is the line the same, and the material?")
    if "novelty" in alarming:
        steps.append("Judge the novel ones in the queue; a new type of defect may be among them.")
    if alarming == {"labels"}:
        steps.append(
            "If the mix of defects has really changed, the promise needs calibration images of the "
            "new mix."
        )
    steps += [
        "If the cause can be mended, mend it, and let automatic labelling go on.",
        "If it stays, let people judge some of the new images, move them to the split "
        "calibration, and plan again. If the error has grown, train again first.",
    ]
    return tuple(steps)


def clear_changes(found: Comparison) -> tuple[CameraShift, ...]:
    """The camera measures that changed beyond chance, the clearest first; the clearest at least."""
    clear = tuple(shift for shift in found.camera if abs(shift.z) >= _CLEAR_Z)
    return (clear or found.camera[:1])[:_MOST_NAMED]


def camera_change(shift: CameraShift) -> str:
    """Such as "brighter by 18 %"."""
    more, less = _CAMERA[shift.name]
    word = more if shift.z > 0 else less
    if shift.name in _OF_SHARES:
        return f"{word} ({shift.window:.1%} against {shift.reference:.1%})"
    change = abs(shift.window / shift.reference - 1) if shift.reference > 0 else 0.0
    if not 0.005 <= change < 10:
        return word
    return f"{word} by {100 * change:.0f} %"


def _told_by(found: Comparison) -> str:
    test = found.test("classifier")
    return (
        "" if test is None else f" (an unseen image's side is told with an AUC of {test.value:.2f})"
    )


def _labels(share: Share) -> str:
    return (
        f"The mix of labels has changed: {share.name} makes {share.window:.0%} of them, "
        f"{share.reference:.0%} usually"
    )


def _check_camera(shifts: tuple[CameraShift, ...]) -> str:
    """By the clearest change: more light makes an image look sharper too."""
    clearest = shifts[0].name
    if clearest == "sharpness":
        return "Check the lens and its focus: dirt, oil, vibration, the distance to the part."
    if clearest == "saturation":
        return "Check the colour of the lamps and the camera's white balance."
    return "Check the lamps, the exposure time and the gain of the camera."
