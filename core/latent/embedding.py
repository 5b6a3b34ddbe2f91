"""What does a network see in each image? Files in, feature vectors out, as fast as the machine can.

Algorithm:
1. Each of several threads takes a batch of files, reads and resizes the images, and runs the
   network on them; while one decodes, another computes. On the CPU each thread computes alone: two
   batches side by side are faster than one batch shared by two cores, whose threads would wait for
   each other after every layer (and all the longer, the more else the machine does).
2. The network runs with batch normalisation folded into convolutions, channels last, in bfloat16
   where the processor computes in it.
3. On the first batch the bfloat16 features are compared with those in float32. Where any falls
   below cosine 0.999, the whole run uses float32.
4. Features leave in the order of the files, in chunks that a caller can store as they come.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from core.errors import OperatorError
from core.images.reading import ImageRejected, read_image
from core.latent.backbones import Preprocessing, get_backbone, load_preprocessing
from core.latent.weights import ResolvedWeights, load_backbone

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

CHUNK_ROWS = 512
MIN_COSINE = 0.999

# A batch on the CPU should stay near its caches; an accelerator needs more to be busy. Both are of
# images of 224 px; of larger ones, as many as have no more pixels.
_BATCH_SIZE_CPU = 16
_BATCH_SIZE_ACCELERATOR = 128
_BATCH_OF_PX = 224

# Each worker holds the activations of a batch: two maps of 0.2 GB for VGG16 in float32.
_MAX_WORKERS = 8
_BATCHES_AHEAD = 2

_FLIPS = ((3,), (2,), (2, 3))  # axes of (n, 3, h, w)


class FeatureExtractor:
    """A headless network together with what it expects of its input.

    Args:
        network: (n, 3, h, w) float32 → (n, n_features) float32, in evaluation mode, on the CPU.
        preprocessing: what the network was trained on.
        n_features: length of a feature vector.
        device: `auto` (CUDA, else Apple's MPS, else the CPU), or a name torch knows.
        average_flips: features are the mean of those of an image as it is, mirrored left to right,
            top to bottom, and both; steadier, and four times the work.

    Attributes:
        dtype: `bfloat16` or `float32`: what the network computes in. It is settled on the first
            batch.
        cosine: smallest cosine between a bfloat16 feature vector and the same in float32 on the
            first batch; None where bfloat16 was not tried.
        settled: whether `dtype` is final. Until then a call from a second thread is not allowed.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        preprocessing: Preprocessing,
        n_features: int,
        device: str = "auto",
        average_flips: bool = False,
    ) -> None:
        import torch

        self.device = choose_device(device)
        self.average_flips = average_flips
        self.preprocessing = preprocessing
        self.n_features = n_features
        self.dtype = "float32"
        self.cosine: float | None = None
        self._network = _fused(network).to(self.device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._fast = (
            deepcopy(self._network).to(torch.bfloat16) if computes_bfloat16(self.device) else None
        )
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        self._scale = (1 / (255 * std)).to(self.device)
        self._shift = (-mean / std).to(self.device)
        self.settled = self._fast is None
        # Threads compute side by side on the CPU and take turns on an accelerator, whose memory
        # would otherwise have to hold the activations of all of them.
        self._turn = nullcontext() if self.device == "cpu" else Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Features of a batch.

        Args:
            pixels: uint8 array (n, size, size, 3), RGB.

        Returns:
            float32 array (n, n_features).
        """
        import torch

        with self._turn, torch.inference_mode():
            images = self.normalise(pixels)
            features = self.forward(images)
            if self.average_flips:
                for axes in _FLIPS:
                    features += self.forward(images.flip(axes))
                features /= 1 + len(_FLIPS)
            return features.cpu().numpy()

    def normalise(self, pixels: np.ndarray) -> torch.Tensor:
        """The network's input on its device: (n, 3, size, size), channels last in memory."""
        import torch

        # Whole rows of pixels at once, for three channels alone are too few to vectorise over.
        n, height, width, channels = pixels.shape
        rows = torch.from_numpy(pixels).to(self.device).view(n, height, width * channels).float()
        rows.mul_(self._scale.repeat(width)).add_(self._shift.repeat(width))
        # Channels last is how the pixels lie already: permuting copies nothing.
        images = rows.view(pixels.shape).permute(0, 3, 1, 2)
        if not self.settled:
            self._settle(images)
        return images if self._fast is None else images.to(torch.bfloat16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The bare network: normalised images → float32 features."""
        return (self._fast or self._network)(images).float()

    def _settle(self, images: torch.Tensor) -> None:
        """Keep bfloat16 for the run only where the features stay what they are in float32."""
        import torch

        assert self._fast is not None
        fast = self._fast(images.to(torch.bfloat16)).float()
        exact = self._network(images)
        self.cosine = float(torch.nn.functional.cosine_similarity(fast, exact).min())
        if self.cosine >= MIN_COSINE:
            self.dtype = "bfloat16"
        else:
            self._fast = None
        log.info("cosine of bfloat16 to float32: %.5f; computing in %s", self.cosine, self.dtype)
        self.settled = True


@dataclass(frozen=True)
class FailedImage:
    """An image without features: its index among the sources, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Features as they come, in the order of the sources.

    Attributes:
        indices: int64 (n,) ascending: row i of `features` is of source `indices[i]`.
        features: float32 (n, n_features), n at most 512.
        failed: the images in between that could not be read.
    """

    indices: np.ndarray
    features: np.ndarray
    failed: tuple[FailedImage, ...]


@dataclass(frozen=True)
class EmbeddingReport:
    """How a run went.

    Attributes:
        n_embedded: images with features.
        failed: images without, in the order of the sources.
        device: what the network ran on.
        dtype: what it computed in, `bfloat16` or `float32`.
        cosine: smallest cosine between bfloat16 and float32 features, None where not compared.
        seconds: what the whole run took.
    """

    n_embedded: int
    failed: tuple[FailedImage, ...]
    device: str
    dtype: str
    cosine: float | None
    seconds: float

    @property
    def images_per_second(self) -> float:
        return self.n_embedded / self.seconds if self.seconds else 0.0


def load_extractor(
    weights: ResolvedWeights, *, device: str = "auto", average_flips: bool = False
) -> FeatureExtractor:
    """A feature extractor of the registry with the weights that were found for it."""
    backbone = get_backbone(weights.backbone)
    return FeatureExtractor(
        load_backbone(weights),
        preprocessing=load_preprocessing(backbone),
        n_features=backbone.n_features,
        device=device,
        average_flips=average_flips,
    )


def embed_images(
    sources: Sequence[Path | Image.Image],
    extractor: FeatureExtractor,
    *,
    max_pixels: int,
    on_chunk: Callable[[Chunk], None],
    on_progress: Callable[[float, str], None] | None = None,
    batch_size: int | None = None,
    n_workers: int | None = None,
) -> EmbeddingReport:
    """Embed image files, in order; an unreadable one is reported and stops nothing.

    An exception raised by a callback ends the run and is passed on; chunks handed out before it
    stay valid.

    Args:
        sources: image files; or images that are decoded already, whole, as `read_image` does.
        extractor: the network to run.
        max_pixels: images with more are refused before they are decoded.
        on_chunk: takes the features of at most 512 images at a time.
        on_progress: called after each batch with a fraction in [0, 1] and a line of text.
        batch_size: images that go through the network at once, in [1, 512]; by device if None.
        n_workers: threads that read images and run the network; one a core, at most 8, if None.

    Raises:
        ValueError: `batch_size` or `n_workers` is out of range.
    """
    if batch_size is None:
        batch_size = _default_batch_size(extractor)
    if n_workers is None:
        n_workers = default_workers()
    if not 1 <= batch_size <= CHUNK_ROWS:
        raise ValueError(f"batch_size must lie in [1, {CHUNK_ROWS}], got {batch_size}")
    if n_workers < 1:
        raise ValueError(f"n_workers must be at least 1, got {n_workers}")
    began = time.perf_counter()
    failed: list[FailedImage] = []
    n_embedded = 0
    pending = _PendingChunk(extractor.n_features)
    batches = _embedded_batches(
        sources, extractor, batch_size=batch_size, n_workers=n_workers, max_pixels=max_pixels
    )
    with closing(batches):
        for batch in batches:
            if not pending.has_room_for(batch):
                on_chunk(pending.take())
            pending.add(batch)
            n_embedded += len(batch.indices)
            failed += batch.failed
            if on_progress is not None:
                done = n_embedded + len(failed)
                on_progress(done / len(sources), f"{done:,} of {len(sources):,} images")
    if sources:
        on_chunk(pending.take())
    return EmbeddingReport(
        n_embedded=n_embedded,
        failed=tuple(failed),
        device=extractor.device,
        dtype=extractor.dtype,
        cosine=extractor.cosine,
        seconds=time.perf_counter() - began,
    )


def decode_into(
    pixels: np.ndarray,
    source: Path | Image.Image,
    preprocessing: Preprocessing,
    *,
    max_pixels: int,
) -> None:
    """Read an image, resize the whole of it to the network's square, write it into `pixels`.

    JPEG's reduced-size decoding (Pillow's `draft`) would be twice as fast, but moves MobileNet-V2's
    features of photographs to as low as cosine 0.994.

    Args:
        pixels: uint8 array (size, size, 3) to write to.
        source: the file; or the image, decoded already.

    Raises:
        ImageRejected: the file is no readable image.
    """
    size = (preprocessing.size_px, preprocessing.size_px)
    image = source if isinstance(source, Image.Image) else read_image(source, max_pixels=max_pixels)
    resample = Image.Resampling[preprocessing.interpolation.upper()]
    pixels[:] = np.asarray(image.resize(size, resample))


def decode_image(source: Path, preprocessing: Preprocessing, *, max_pixels: int) -> np.ndarray:
    """The whole image at the network's size: uint8 (size, size, 3).

    Raises:
        ImageRejected: the file is no readable image.
    """
    pixels = np.empty((preprocessing.size_px, preprocessing.size_px, 3), np.uint8)
    decode_into(pixels, source, preprocessing, max_pixels=max_pixels)
    return pixels


def choose_device(asked: str = "auto") -> str:
    """The device asked for, or with `auto` the fastest kind of processor that torch finds here.

    Raises:
        OperatorError: this machine has no such device.
    """
    import torch

    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=asked)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OperatorError(
            f"This machine cannot compute on the device {asked!r}.",
            str(error).partition("\n")[0],
            "Choose auto, or cpu.",
        ) from error
    return asked


def computes_bfloat16(device: str) -> bool:
    """Whether the processor has instructions for bfloat16, rather than emulating them slowly."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def available_cores() -> int:
    """Cores this process may run on, which a container may have fewer of than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """Threads that read images and run the network: one a core, as far as memory allows."""
    return min(available_cores(), _MAX_WORKERS)


@contextmanager
def worker_pool(n_workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads among which the cores are divided, for reading images and for torch."""
    import torch

    before = torch.get_num_threads()
    share = max(1, available_cores() // n_workers)
    try:
        with ThreadPoolExecutor(
            n_workers, "embed", initializer=torch.set_num_threads, initargs=(share,)
        ) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)  # threads that start later take over the last number set


def _fused(network: nn.Module) -> nn.Module:
    """The network with each batch normalisation folded into the convolution before it."""
    from torch import fx, nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    traced = fx.symbolic_trace(network)
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op == "call_module" and isinstance(modules[before.target], nn.Conv2d):
            folded = fuse_conv_bn_eval(modules[before.target], modules[node.target])
            traced.set_submodule(before.target, folded)
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _default_batch_size(extractor: FeatureExtractor) -> int:
    most = _BATCH_SIZE_CPU if extractor.device == "cpu" else _BATCH_SIZE_ACCELERATOR
    size = extractor.preprocessing.size_px
    return max(1, min(most, most * _BATCH_OF_PX**2 // size**2))


def _embedded_batches(
    sources: Sequence[Path | Image.Image],
    extractor: FeatureExtractor,
    *,
    batch_size: int,
    n_workers: int,
    max_pixels: int,
) -> Generator[Chunk, None, None]:
    """Batches in order, a few of them embedded ahead of the one that is asked for."""

    def embed(start: int) -> Chunk:
        files = sources[start : start + batch_size]
        return _embed_batch(files, start, extractor, max_pixels=max_pixels)

    starts = deque(range(0, len(sources), batch_size))
    # The first batch settles the dtype, before further threads compute.
    while starts and not extractor.settled:
        yield embed(starts.popleft())
    ahead: deque[Future[Chunk]] = deque()
    with worker_pool(n_workers) as pool:
        try:
            while starts or ahead:
                while starts and len(ahead) < n_workers + _BATCHES_AHEAD:
                    ahead.append(pool.submit(embed, starts.popleft()))
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _embed_batch(
    files: Sequence[Path | Image.Image],
    start: int,
    extractor: FeatureExtractor,
    *,
    max_pixels: int,
) -> Chunk:
    size = extractor.preprocessing.size_px
    pixels = np.empty((len(files), size, size, 3), dtype=np.uint8)
    read: list[int] = []
    failed: list[FailedImage] = []
    for row, file in enumerate(files):
        try:
            decode_into(pixels[row], file, extractor.preprocessing, max_pixels=max_pixels)
            read.append(row)
        except ImageRejected as error:
            failed.append(FailedImage(start + row, error.reason))
    if failed:
        pixels = pixels[read]
    features = extractor(pixels) if read else np.empty((0, extractor.n_features), np.float32)
    return Chunk(start + np.asarray(read, dtype=np.int64), features, tuple(failed))


class _PendingChunk:
    """Batches gathered until they fill a chunk."""

    def __init__(self, n_features: int) -> None:
        self._n = 0
        self._indices = np.empty(CHUNK_ROWS, dtype=np.int64)
        self._features = np.empty((CHUNK_ROWS, n_features), dtype=np.float32)
        self._failed: tuple[FailedImage, ...] = ()

    def has_room_for(self, batch: Chunk) -> bool:
        return self._n + len(batch.indices) <= CHUNK_ROWS

    def add(self, batch: Chunk) -> None:
        rows = slice(self._n, self._n + len(batch.indices))
        self._indices[rows], self._features[rows] = batch.indices, batch.features
        self._n = rows.stop
        self._failed += batch.failed

    def take(self) -> Chunk:
        chunk = Chunk(
            self._indices[: self._n].copy(), self._features[: self._n].copy(), self._failed
        )
        self._n, self._failed = 0, ()
        return chunk
