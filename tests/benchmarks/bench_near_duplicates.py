"""How long does finding the near-duplicates among 100,000 images take, and what does a hash cost?

    python tests/benchmarks/bench_near_duplicates.py [N_IMAGES]

The images have random hashes, so that each has some four candidates by chance, as real sets have,
and every image is looked at; a hundredth of them have a second shot a few bits away. Thumbnails are
taken from a store of two thousand, for making more would say nothing about the search. Counted in
processor time: that is one core's time, and other work on the machine does not show in it.
"""

import resource
import sys
import time

import numpy as np
from PIL import Image

from core.images.near_duplicates import find_near_duplicates, perceptual_hash
from core.images.thumbnails import make_thumbnail

LIMIT_S = 300.0
LIMIT_HASH_MS = 1.0
N_IMAGES = 100_000
N_THUMBNAILS = 2_000


def make_thumbnails(rng: np.random.Generator) -> list[bytes]:
    blotches = rng.integers(40, 220, (N_THUMBNAILS, 16, 16, 3), dtype=np.uint8)
    return [
        make_thumbnail(Image.fromarray(each).resize((128, 128), Image.Resampling.BICUBIC))
        for each in blotches
    ]


def make_hashes(rng: np.random.Generator, n_images: int, n_second_shots: int) -> list[str]:
    """Random hashes; the last `n_second_shots` are the first ones with four bits turned."""
    bits = rng.integers(0, 2**64, n_images, dtype=np.uint64)
    for row in range(n_second_shots):
        turned = sum(1 << int(bit) for bit in rng.choice(64, 4, replace=False))
        bits[n_images - n_second_shots + row] = bits[row] ^ np.uint64(turned)
    return [f"{each:016x}" for each in bits]


def main(n_images: int) -> int:
    rng = np.random.default_rng(0)
    thumbnails = make_thumbnails(rng)
    perceptual_hash(thumbnails[0])  # imports what it needs
    started = time.process_time()
    for thumbnail in thumbnails:
        perceptual_hash(thumbnail)
    hash_ms = (time.process_time() - started) / len(thumbnails) * 1000
    print(f"one hash: {hash_ms:.2f} ms (limit {LIMIT_HASH_MS:g})")

    n_second = n_images // 100
    hashes = make_hashes(rng, n_images, n_second)
    shown = rng.integers(0, len(thumbnails), n_images)
    shown[n_images - n_second :] = shown[:n_second]
    started = time.process_time()
    found = find_near_duplicates(hashes, lambda row: thumbnails[shown[row]])
    seconds = time.process_time() - started
    group_of = {row: group for group in found.groups for row in group.rows.tolist()}
    n_found = sum(
        row in group_of and group_of[row] is group_of.get(n_images - n_second + row)
        for row in range(n_second)
    )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{n_images:,} images: {seconds:.1f} s (limit {LIMIT_S:g}), peak {peak_mb:,.0f} MB, "
        f"{n_found:,} of {n_second:,} second shots found"
    )
    return int(seconds > LIMIT_S or hash_ms > LIMIT_HASH_MS or n_found < n_second)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else N_IMAGES))
