"""Which of the images that people have judged are a random sample of all that came?

A plan divides what comes: what it accepts is labelled by the model, the rest by people. What people
judge is therefore a biased sample, the hard images, and thresholds must not be read off it. But of
the accepted part a share is drawn at random to be checked. The same share of the rest, drawn just
as blindly, makes with it a uniform random sample of the stream: whichever way an image went, it is
in the sample with that same probability.

The draw is a hash, not a generator: asked again tomorrow, when more has been judged, it says the
same of each image, and nobody can draw until it suits.
"""

import hashlib


def is_drawn(sha256: str, plan: str, share: float) -> bool:
    """Whether an image that a plan left to people belongs to the random sample.

    Args:
        sha256: of the image's file.
        plan: id of the plan's run.
        share: of the automatic labels that people check, in [0, 1].

    Raises:
        ValueError: the share lies outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    digest = hashlib.sha256(f"{plan} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
